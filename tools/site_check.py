"""Check the built site as a reader sees it: links, formulas, search, the width of a phone.

    python tools/site_check.py build/site [--pictures FOLDER]

Links are checked in the files. The rest needs `pip install playwright` and a Chromium, which
Debian has as `chromium`; the browser reaches this folder and no other server. `--pictures` keeps
screenshots of PAGES.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

PAGES = (
    "index",
    "tutorial",
    "from_keras",
    "list_of_layers",
    "api/deepfs.layers",
    "maths/conv",
    "zh/start",
)
SEARCHES = ("Conv2D", "checkpoint", "fused multiply-add", "EarlyStopping")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


class Page(HTMLParser):
    """Collect the anchors, the links and the requests of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        wanted = tag in ("script", "img", "source") or "stylesheet" in values.get("rel", "")
        if wanted:
            self.loads += [values[name] for name in ("src", "href") if values.get(name)]


def file_of(site: Path, address: str) -> Path:
    """Return the file that a server sends for a path."""
    path = site / unquote(address).lstrip("/")
    return path / "index.html" if path.is_dir() or address.endswith("/") else path


def dead_links(site: Path, base: str) -> list[str]:
    """Return what leads nowhere, or loads from another server. `base` is the site's own address."""
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    wrong = []
    for path, page in pages.items():
        here = f"{base}{path.relative_to(site).as_posix().removesuffix('index.html')}"
        for link in [*page.links, *page.loads]:
            whole = urljoin(here, link)
            if not whole.startswith(base):
                if link in page.loads and not link.startswith("data:"):
                    wrong.append(f"{path.relative_to(site)} loads {link}")
                continue
            parts = urlsplit(whole[len(base) :])
            target = file_of(site, parts.path)
            if not target.is_file():
                wrong.append(f"{path.relative_to(site)} links to {link}, which is not there")
            elif parts.fragment and target in pages:
                fragment = unquote(parts.fragment)
                if fragment not in pages[target].anchors and not fragment.startswith("__"):
                    wrong.append(
                        f"{path.relative_to(site)} links to {link}, which has no such anchor"
                    )
    return wrong


class Quiet(SimpleHTTPRequestHandler):
    """Serve files without a log."""

    def log_message(self, *args: Any) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the browser went on
            super().copyfile(source, outputfile)


@contextmanager
def opened(folder: Path, executable: str, wrong: list[str]) -> Iterator[tuple[Any, str]]:
    """Serve a folder; yield a page as wide as a phone, and the address of the folder.

    Errors of scripts, and requests that leave the folder, are added to ``wrong``.
    """
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_address[1]}/"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport=PHONE)

        def route(request: Any) -> None:
            if request.request.url.startswith((home, "data:", "blob:")):
                request.continue_()
            else:
                wrong.append(f"the page {page.url} asks for {request.request.url}")
                request.abort()

        page.route("**/*", route)
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        yield page, home
        browser.close()
    server.shutdown()


def chromium() -> str | None:
    """Return the path of the browser, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def too_wide(page: Any) -> int:
    """Return by how many pixels the page is wider than the screen."""
    over: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return over


def in_browser(site: Path, executable: str, pictures: Path | None) -> list[str]:
    """Return what a browser finds wrong."""
    wrong: list[str] = []
    with opened(site, executable, wrong) as (page, home):
        for path in sorted(site.rglob("index.html")):
            where = path.parent.relative_to(site).as_posix().removeprefix(".")
            wrong += _visit(page, home, where)
            if pictures and (where or "index") in PAGES:
                name = (where or "index").replace("/", "-")
                for size, kind in ((PHONE, "phone"), (DESK, "desk")):
                    page.set_viewport_size(size)
                    page.wait_for_timeout(500)
                    page.screenshot(path=pictures / f"{name}-{kind}.png")
                page.set_viewport_size(PHONE)
        page.set_viewport_size(DESK)
        wrong += [
            f"search finds nothing for {words!r}"
            for words in SEARCHES
            if not _finds(page, home, words)
        ]
    return wrong


def _visit(page: Any, home: str, where: str) -> list[str]:
    """Open a page at the width of a phone and return what is wrong with it."""
    page.goto(f"{home}{where}/" if where else home)
    formulas = page.locator(".arithmatex").count()
    if formulas:
        page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
        page.evaluate("MathJax.startup.promise")
    wrong = []
    drawn = page.locator(".arithmatex > mjx-container svg").count()
    if drawn < formulas:
        wrong.append(f"{where}: {formulas - drawn} of {formulas} formulas are not drawn")
    seen = "[...document.querySelectorAll('.arithmatex > mjx-container > svg')]"
    if thin := page.evaluate(f"{seen}.filter(e => e.getBoundingClientRect().width < 3).length"):
        wrong.append(f"{where}: {thin} formulas are too narrow to be seen")
    bad = page.locator("mjx-container [data-mml-node='merror']")
    if bad.count():
        wrong.append(
            f"{where}: MathJax does not understand {bad.first.get_attribute('data-mjx-error')}"
        )
    over = too_wide(page)
    if over > 0:
        wrong.append(f"{where} is {over} pixels wider than a phone")
    if empty := page.evaluate(
        "[...document.images].filter(i => i.complete && !i.naturalWidth).length"
    ):
        wrong.append(f"{where}: {empty} pictures are empty")
    return wrong


def _finds(page: Any, home: str, words: str) -> bool:
    page.goto(home)
    page.keyboard.press("/")
    for _ in range(8):  # what is typed before the index is loaded may get no answer
        page.locator("input.md-search__input").fill("")
        page.locator("input.md-search__input").press_sequentially(words)
        page.wait_for_timeout(4000)
        if page.locator(".md-search-result__item a").count():
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument(
        "--base", default="https://deepfs.github.io/deepfs/", help="address of the site"
    )
    parser.add_argument("--pictures", type=Path, help="folder for screenshots")
    arguments = parser.parse_args()
    wrong = dead_links(arguments.site, arguments.base)
    executable = chromium()
    if executable is None:
        print("no Chromium on this machine: formulas, search and widths are not checked")
    else:
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
        wrong += in_browser(arguments.site, executable, arguments.pictures)
    print("\n".join(wrong[:100]))
    pages = len(list(arguments.site.rglob("index.html")))
    print(f"{pages} pages, {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
