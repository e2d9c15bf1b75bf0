"""Pages of docs: every block of Python runs, one after the other."""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs
from compiler import can_compile

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))


COMPILED = "<!-- needs: compiler -->\n"  # above a block


def blocks(page):
    """Return the blocks of Python on a page, each at its own line for error messages.

    Without a compiler, those that need one are left out.
    """
    text = page.read_text()
    return [
        "\n" * text[: match.start(1)].count("\n") + match.group(1)
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        if can_compile() or not text[: match.start()].endswith(COMPILED)
    ]


class Plot:
    """Takes the place of matplotlib.pyplot."""

    @staticmethod
    def plot(values):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(ROOT / page)], ids=str)
def test_blocks_run(page, tmp_path, monkeypatch):
    for needed in re.findall(r"^<!-- needs: (\w+) -->$", (ROOT / page).read_text(), re.MULTILINE):
        if needed != "compiler":
            pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    if COMPILED in (ROOT / page).read_text():
        monkeypatch.setenv("DEEPFS_CACHE", str(tmp_path))
    x, y = np.eye(8, dtype=np.float32), np.arange(8) % 2
    net = dfs.layers.Sequential([dfs.layers.Dense(4), dfs.layers.BatchNorm(), dfs.layers.Dense(2)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
    module = types.ModuleType("page_of_docs")  # classes of a page can be pickled by its name
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = vars(module)
    # what the shorter pages take for given
    names |= {"dfs": dfs, "np": np, "plt": Plot, "x": x, "y": y, "xt": x, "yt": y, "model": model}
    names |= {name: getattr(dfs.schedules, name) for name in dfs.schedules.__all__}
    before = {*sys.modules}
    try:
        for block in blocks(ROOT / page):
            exec(compile(block, str(page), "exec"), names)
    finally:  # a kernel that a page compiles has a name that other tests give to theirs
        for name in {*sys.modules} - before:
            if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def test_the_page_on_layers_has_blocks():
    assert len(blocks(ROOT / "docs/add_a_layer.md")) >= 8


def uneven_rows(text):
    """Return the numbers of lines of tables that have other columns than their first line."""
    columns, inside, uneven = 0, False, []
    for number, line in enumerate(text.splitlines(), 1):
        inside ^= line.startswith("```")
        if inside or not line.startswith("|"):
            columns = 0
            continue
        plain = re.sub(r"`[^`]*`", "code", line.strip()).replace(r"\|", "")
        cells = plain.strip("|").count("|") + 1
        columns = columns or cells
        if cells != columns:
            uneven.append(number)
    return uneven


@pytest.mark.parametrize(
    "page", [*PAGES, *(path.relative_to(ROOT) for path in ROOT.glob("*.md"))], ids=str
)
def test_rows_of_tables_have_the_columns_of_their_head(page):
    assert uneven_rows((ROOT / page).read_text()) == []


def test_a_table_under_another_head_is_found():
    good, bad = "| a | b |\n|---|---|\n| `x|y` | 2 |\n\n", "| a |\n|---|---|\n| 1 | 2 |\n"
    assert uneven_rows(good + bad) == [6, 7]
