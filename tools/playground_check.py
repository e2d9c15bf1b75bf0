"""Use the playground as a reader does, in Chromium, and measure how fast it is.

    python tools/playground.py build/playground --wheel WHEEL --runtime FOLDER
    python tools/playground_check.py build/playground [--pictures FOLDER] [--slack 4]

Needs `pip install playwright` and a Chromium, which Debian has as `chromium`. The browser reaches
this folder and no other server. `--slack` multiplies the limits, for a machine that does other
work; `--pictures` keeps screenshots.
"""

from __future__ import annotations

import argparse
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from site_check import DESK, PHONE, Quiet, chromium, too_wide

READY, EPOCH, CLICK = 10.0, 4.0, 0.1  # seconds
PATIENCE = 30_000  # milliseconds
SEVEN = ((0.25, 0.22), (0.75, 0.22), (0.62, 0.45), (0.48, 0.8))  # of the width and the height
RAISES = "def share(n):\n    return 1 / n\n\nprint('before')\nshare(0)\n"
ENDLESS = "while True:\n    print('again')\n"
# Press a button and wait until what it changes is painted.
CLICKED = """id => new Promise(done => {
  const began = performance.now();
  document.getElementById(id).click();
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
})"""


class Missing(Quiet):
    """Serve files, but answer 404 for those whose name is in `names`."""

    names: ClassVar[set[str]] = set()

    def send_head(self) -> Any:
        if Path(self.path).name in self.names:
            self.send_error(404)
            return None
        return super().send_head()


class Reader:
    """A reader before the page; `wrong` collects what goes wrong, `figures` what is measured."""

    def __init__(self, browser: Any, home: str, pictures: Path | None, slack: float) -> None:
        self.browser, self.home, self.pictures, self.slack = browser, home, pictures, slack
        self.wrong: list[str] = []
        self.figures: dict[str, float] = {}
        self.page: Any = None

    def open(
        self, query: str = "?lang=en", size: Any = DESK, before: str = "", **settings: Any
    ) -> None:
        """Open the page anew, after a script `before`, and with some settings in place of its."""
        if self.page is not None:
            self.page.context.close()
        self.page = self.browser.new_context(viewport=size, locale="en-US").new_page()
        self.page.set_default_timeout(PATIENCE * self.slack)
        self.page.on("request", self._asked)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error of a script: {error}"))
        self.page.on("console", self._said)
        if before:
            self.page.add_init_script(before)
        if settings:
            self.page.route("**/settings.json", lambda asked: asked.fulfill(json=settings))
        self.page.goto(f"{self.home}{query}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.wrong.append(f"the page asks for {request.url}")

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and "404" not in message.text:
            self.wrong.append(f"console: {message.text}")

    def phase(self, wanted: str) -> None:
        """Wait until the page is in a phase: loading, ready, running, paused, stopping, failed."""
        self.page.wait_for_function("wanted => document.body.dataset.phase === wanted", arg=wanted)

    def text(self, selector: str) -> str:
        found: str = self.page.inner_text(selector)
        return found

    def until(self, selector: str, part: str) -> None:
        """Wait until an element has a text."""
        self.page.wait_for_function(
            "([s, part]) => document.querySelector(s).innerText.includes(part)",
            arg=[selector, part],
        )

    def run(self, code: str) -> None:
        self.page.fill("#code", code)
        self.page.focus("#code")
        self.page.keyboard.press("Control+Enter")

    def draw(self, points: Any) -> None:
        """Draw a stroke by the mouse."""
        self.page.locator("#pad").scroll_into_view_if_needed()
        box = self.page.locator("#pad").bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=8)
        self.page.mouse.up()

    def expect(self, holds: Any, what: str) -> None:
        if not holds:
            self.wrong.append(what)

    def picture(self, name: str) -> None:
        over = too_wide(self.page)
        self.expect(over <= 0, f"{name}: the page is {over} pixels wider than the screen")
        if self.pictures:
            self.page.evaluate("scrollTo(0, 0)")
            self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)


def trains(reader: Reader) -> None:
    """Train to 90 % on the digits; pause, draw a seven, change the rate, go on, stop."""
    began = time.monotonic()
    reader.open()
    reader.phase("ready")
    reader.figures["ready"] = time.monotonic() - began
    reader.picture("ready")
    reader.page.click("#run")
    reader.page.wait_for_function("document.querySelectorAll('#layers h3').length > 9")
    reader.picture("training")
    clicks = []
    for _ in range(3):
        for phase in ("paused", "running"):
            clicks.append(reader.page.evaluate(CLICKED, "pause"))
            reader.phase(phase)
            reader.page.wait_for_timeout(200)
    reader.figures["click"] = max(clicks)
    reader.page.wait_for_function(
        "/Test digits: accuracy (9\\d|100)/.test(document.querySelector('#numbers').innerText)"
    )
    reader.until("#layers", "of 16 dead")
    began = time.monotonic()
    reader.draw(SEVEN)
    reader.until("#verdict", "Prediction: 7")
    reader.figures["prediction while it trains"] = time.monotonic() - began
    reader.page.click("#pause")
    reader.page.wait_for_timeout(500)
    before = reader.text("#numbers")
    reader.page.focus("#rate")
    for _ in range(10):
        reader.page.keyboard.press("ArrowLeft")
    reader.page.wait_for_function("document.querySelector('#rate-value').value === '0.0001'")
    reader.page.wait_for_timeout(500)
    reader.expect(reader.text("#numbers") == before, "a paused training goes on")
    reader.picture("drawn")
    reader.page.click("#pause")
    reader.page.wait_for_function(
        "before => document.querySelector('#numbers').innerText !== before", arg=before
    )
    seconds = "Number(document.querySelector('#numbers').innerText.match(/took ([\\d.]+) s/)[1])"
    epochs = [reader.page.evaluate(seconds)]
    reader.until("#numbers", "Epoch 3,")
    reader.figures["epoch"] = min(*epochs, reader.page.evaluate(seconds))
    reader.page.click("#stop")
    reader.phase("ready")
    reader.until("#status", "Stopped")


def draws_by_keys(reader: Reader) -> None:
    """Draw a one by the keyboard alone, after the training."""
    reader.page.click("#clear")
    reader.page.focus("#pad")
    for key in ("ArrowUp",) * 8 + (" ",) + ("ArrowDown",) * 16 + (" ",):
        reader.page.keyboard.press(key)
    reader.until("#verdict", "Prediction: 1")
    reader.page.keyboard.press("Delete")


def runs_own_code(reader: Reader) -> None:
    """Run code that raises, and code that never ends and prints; the page lives on."""
    reader.run(RAISES)
    reader.until("#output", "ZeroDivisionError")
    for part in ("before", 'File "code.py", line 5', "share(0)", "return 1 / n"):
        reader.expect(part in reader.text("#output"), f"the output lacks {part!r}")
    reader.expect("playground.py" not in reader.text("#output"), "the traceback is not only theirs")
    reader.phase("ready")
    reader.picture("raised")
    reader.run(ENDLESS)
    reader.until("#output", "more output is not shown")
    reader.page.click("#stop")
    reader.phase("loading")
    reader.phase("ready")
    reader.until("#status", "did not react")
    reader.run("print(6 * 7)")
    reader.until("#output", "42")
    reader.until("#status", "Done")


def runs_the_lab(reader: Reader) -> None:
    """Run an experiment of the lab and see its picture, in both languages."""
    reader.page.select_option("#choice", "lab.difference_errors")
    reader.page.click("#run")
    reader.until("#result", "The finding holds.")
    width = "document.querySelector('#result-picture img').naturalWidth"
    reader.page.wait_for_function(f"{width} > 400")
    reader.picture("lab")
    reader.page.click("button[lang=zh]")
    reader.until("#result", "结论成立。")
    reader.expect(reader.page.url.endswith("?lang=zh"), "the address does not keep the language")
    reader.picture("lab-zh")


def fits_a_phone(reader: Reader) -> None:
    """Train on a phone, in both languages."""
    reader.open("?lang=zh", PHONE)
    reader.phase("ready")
    reader.picture("phone-zh-ready")
    reader.page.select_option("#choice", "mlp")
    reader.page.click("#run")
    reader.until("#numbers", "测试集")
    reader.draw(SEVEN)
    reader.until("#verdict", "预测：7")  # noqa: RUF001
    reader.picture("phone-zh-mlp")
    reader.page.click("#stop")
    reader.phase("ready")
    reader.page.click("button[lang=en]")
    reader.page.select_option("#choice", "mini_convnet")
    reader.page.click("#run")
    reader.until("#numbers", "Test digits")
    reader.picture("phone-en")


def says_what_lacks(reader: Reader) -> None:
    """Open the page in browsers that cannot run it; let downloads fail, and try again."""
    for name, before, part in (
        ("no-wasm", "delete window.WebAssembly", "cannot run WebAssembly"),
        ("no-simd", "WebAssembly.validate = () => false", "no vector instructions"),
    ):
        reader.open(before=before)
        reader.phase("failed")
        reader.until("#status", part)
        reader.picture(name)
    elsewhere = "https://cdn.example.org/pyodide/"  # it is not asked before the reader says so
    reader.open(runtime=elsewhere, wheel="", transfer=12)
    reader.until("#status", "no deepfs beside it")
    reader.open(runtime=elsewhere, wheel="deepfs.whl", transfer=12)
    reader.until("#load", "Load Python, about 12 MB, from cdn.example.org")
    reader.picture("consent")
    for name in ("pyodide.mjs", "pyodide.asm.wasm", "playground.py"):
        Missing.names = {name}
        reader.open()
        reader.phase("failed")
        reader.until("#status", "A download failed")
        reader.expect(name in reader.text("#status"), f"the page does not say that {name} failed")
        Missing.names = set()
    reader.picture("failed")
    reader.page.click("#load")
    reader.phase("ready")


CHECKS: tuple[Callable[[Reader], None], ...] = (
    trains, draws_by_keys, runs_own_code, runs_the_lab, fits_a_phone, says_what_lacks,
)  # fmt: skip


@contextmanager
def reader_of(
    folder: Path, executable: str, pictures: Path | None = None, slack: float = 1.0
) -> Iterator[Reader]:
    """Serve a folder and yield a reader of it, whose browser finds no other server."""
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Missing, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable, args=["--no-sandbox", rules])
        yield Reader(browser, f"http://127.0.0.1:{server.server_address[1]}/", pictures, slack)
        browser.close()
    server.shutdown()


def parser_of(about: str) -> argparse.ArgumentParser:
    """Return a parser of what every check of a page takes."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for screenshots")
    parser.add_argument("--slack", type=float, default=1.0, help="factor of the limits")
    return parser


def main() -> int:
    arguments = parser_of(__doc__.splitlines()[0]).parse_args()
    executable = chromium()
    if executable is None:
        print("no Chromium on this machine: the playground is not checked")
        return 0
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    with reader_of(arguments.folder, executable, arguments.pictures, arguments.slack) as reader:
        for check in CHECKS:
            began = time.monotonic()
            try:
                check(reader)
            except Exception as error:  # Playwright's, whose first line says what was awaited
                what = str(error).splitlines()[0]
                state = reader.text("#status") if reader.page is not None else "no page"
                reader.wrong.append(f"{check.__name__}: {what}; the page says: {state}")
            print(f"{check.__name__}: {time.monotonic() - began:.1f} s")
    for name, limit in (("ready", READY), ("epoch", EPOCH), ("click", CLICK)):
        seconds = reader.figures.get(name, float("inf"))
        reader.expect(seconds <= limit * arguments.slack, f"{name}: {seconds:.2f} s, limit {limit}")
    print(", ".join(f"{name} {seconds:.3f} s" for name, seconds in reader.figures.items()))
    print("\n".join(reader.wrong))
    print(f"{len(CHECKS)} checks, {len(reader.wrong)} faults")
    return 1 if reader.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
