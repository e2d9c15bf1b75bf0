"""Run notebooks in a site of tools/jupyterlite.sh as a reader does, in Chromium.

    python tools/jupyterlite_check.py SITE [NAME ...] [--pictures FOLDER] [--slack 4]

NAME: notebooks, such as ch2_perceptron, which is the default, or `all`. Their outputs are cleared
and all cells run, by the menu; each cell must run without an error, with an output where the file
has one. Needs `pip install playwright` and a Chromium, which Debian has as `chromium`. The browser
reaches this folder and no other server. `--slack` multiplies the limit of time, for a machine that
does other work; `--pictures` keeps screenshots.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from playground_check import Reader, parser_of, reader_of
from site_check import chromium

LIMIT = 40.0  # seconds until a notebook has run, and for each step before
ALL = {"width": 1280, "height": 4000}  # JupyterLab takes cells outside the window out of the page
# The prompt of each cell of code, such as "[3]:", and its number of outputs
CELLS = """[...document.querySelectorAll('.jp-CodeCell')].map(cell => [
  cell.querySelector('.jp-InputPrompt')?.textContent ?? 'nothing',
  cell.querySelectorAll('.jp-OutputArea-output').length])"""
# Matplotlib writes to stderr that it lists its fonts, which a new Pyodide always does
ERRORS = """[...document.querySelectorAll(
  '.jp-OutputArea-output:is([data-mime-type*=stderr], [data-mime-type*=error])'
)].map(output => output.textContent).filter(text => !text.includes('building the font cache'))"""


def check(reader: Reader, notebook: Path, pictures: Path | None) -> None:
    """Run a notebook and note what is wrong."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    context = reader.browser.new_context(viewport=ALL, locale="en-US")
    context.on("request", reader._asked)
    page = context.new_page()
    page.set_default_timeout(1000 * LIMIT * reader.slack)
    try:
        page.goto(f"{reader.home}lab/index.html?path={notebook.name}")
        page.wait_for_function(f"({CELLS}).length === {len(code)}")
        for menu, command, done in (
            ("Edit", "editmenu:clear-all", f"({CELLS}).every(cell => cell[1] === 0)"),
            ("Run", "runmenu:run-all",
             f"({CELLS}).every(cell => /\\d/.test(cell[0])) || ({ERRORS}).length > 0"),
        ):  # fmt: skip
            page.click(f".lm-MenuBar-item:has-text('{menu}')")
            page.click(f".lm-Menu li[data-command='{command}']")
            page.wait_for_function(done)
    except Exception as error:  # Playwright's, whose first line says what was awaited
        reader.wrong.append(f"{notebook.stem}: {str(error).splitlines()[0]}")
    for i, (cell, (prompt, outputs)) in enumerate(zip(code, page.evaluate(CELLS), strict=False), 1):
        wanted = len(cell["outputs"])
        reader.expect(
            f"[{i}]" in prompt and bool(outputs) == bool(wanted),
            f"{notebook.stem}: cell {i} shows {prompt} {outputs} outputs, the file has {wanted}",
        )
    reader.wrong += [f"{notebook.stem}: {error[-2000:]}" for error in page.evaluate(ERRORS)]
    if pictures:
        page.screenshot(path=pictures / f"{notebook.stem}.png")
    context.close()


def main() -> int:
    parser = parser_of(__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["ch2_perceptron"])
    arguments = parser.parse_args()
    executable = chromium()
    if executable is None:
        print("no Chromium on this machine: the notebooks are not checked")
        return 0
    files = sorted((arguments.folder / "files").glob("*.ipynb"))
    if arguments.names != ["all"]:
        files = [arguments.folder / "files" / f"{name}.ipynb" for name in arguments.names]
    with reader_of(arguments.folder, executable, slack=arguments.slack) as reader:
        for notebook in files:
            began = time.monotonic()
            check(reader, notebook, arguments.pictures)
            print(f"{notebook.stem}: {time.monotonic() - began:.1f} s")
        print("\n".join(reader.wrong))
        print(f"{len(files)} notebooks, {len(reader.wrong)} faults")
        return 1 if reader.wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
