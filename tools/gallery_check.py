"""Look at a gallery of the lab as a student does: in Chromium, at the width of a phone.

    deepfs lab all --quick --out build/gallery
    python tools/gallery_check.py build/gallery [--screenshots FOLDER]

Files and links are checked without a browser. The rest needs `pip install playwright` and a
Chromium, which Debian has as `chromium`; the page reaches its own folder and no other server.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from deepfs import lab
from site_check import DESK, PHONE, chromium, dead_links, opened, too_wide

MAX_GIF = 1_500_000  # bytes
OPEN = "document.querySelectorAll('details').forEach(d => d.open = {})"
FEW = 5  # experiments of which there are screenshots


def in_files(folder: Path) -> list[str]:
    """Return what is wrong with the files."""
    wrong = dead_links(folder, "http://gallery.invalid/")
    page = folder.joinpath("index.html").read_text("utf-8")
    for name in lab.names():
        if f'<article id="{name}">' not in page:
            wrong.append(f"{name} is not on the page")
        elif not (folder / f"{name.replace('_', '-')}.png").is_file():
            wrong.append(f"{name} has no picture")
    for path in folder.glob("*.gif"):
        if path.stat().st_size > MAX_GIF:
            wrong.append(f"{path.name} has {path.stat().st_size:,} bytes, more than {MAX_GIF:,}")
    return wrong


def in_browser(folder: Path, executable: str, screenshots: Path | None) -> list[str]:
    """Return what a browser finds wrong."""
    wrong: list[str] = []
    with opened(folder, executable, wrong) as (page, home):
        page.on(
            "console",
            lambda said: (
                wrong.append(f"console: {said.text}") if said.type in ("error", "warning") else None
            ),
        )
        page.on(
            "response",
            lambda got: wrong.append(f"{got.url}: {got.status}") if got.status >= 400 else None,
        )
        page.goto(home, wait_until="load")
        wrong += pictures(page)
        for size, kind in ((PHONE, "phone"), (DESK, "desk")):
            page.set_viewport_size(size)
            for code in ("false", "true"):
                page.evaluate(OPEN.format(code))
                wrong += wide_ones(page, kind)
            if screenshots:
                page.evaluate(OPEN.format("false"))
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=screenshots / f"top-{kind}.png")
                for article in page.locator("article").all()[:FEW]:
                    article.screenshot(
                        path=screenshots / f"{article.get_attribute('id')}-{kind}.png"
                    )
        for link in page.locator("article a[href$='.gif']").all():
            address = home + str(link.get_attribute("href"))
            page.goto(address)
            if page.evaluate("document.images.length != 1 || !document.images[0].naturalWidth"):
                wrong.append(f"{address} is no picture")
            page.go_back()
    return wrong


def pictures(page: Any) -> list[str]:
    """Return which pictures are not shown."""
    count = page.evaluate("document.images.length")
    articles = page.locator("article").count()
    wrong = page.evaluate(
        "[...document.querySelectorAll('article:has(p.bad)')]"
        ".map(a => a.id + ': ' + a.querySelector('p.bad').innerText)"
    )
    if not articles or count != articles:
        wrong.append(f"{articles} experiments have {count} pictures")
    empty = page.evaluate(
        "[...document.images].filter(i => !i.complete || !(i.naturalWidth > 0)).map(i => i.src)"
    )
    return [*wrong, *(f"{address} is not shown" for address in empty)]


def wide_ones(page: Any, kind: str) -> list[str]:
    """Return whether the page must be scrolled sideways, and what is wider than the screen."""
    over = too_wide(page)
    if over <= 0:
        return []
    who = page.evaluate(
        "[...document.querySelectorAll('article')].filter(a => a.scrollWidth > "
        "document.documentElement.clientWidth).map(a => a.id)"
    )
    return [f"the page is {over} pixels wider than a {kind}: {', '.join(who)}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gallery", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for a few screenshots")
    arguments = parser.parse_args()
    wrong = in_files(arguments.gallery)
    executable = chromium()
    if executable is None:
        print("no Chromium on this machine: pictures and widths are not checked")
    else:
        if arguments.screenshots:
            arguments.screenshots.mkdir(parents=True, exist_ok=True)
        wrong += in_browser(arguments.gallery, executable, arguments.screenshots)
    print("\n".join(wrong[:100]))
    print(f"{len(lab.names())} experiments, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
