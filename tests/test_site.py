"""The site: entries of every public name, the code of translations, links."""

import importlib
import re
import sys
from pathlib import Path

import pytest

import deepfs as dfs

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
if not (ROOT / "tools" / "site").is_dir():
    pytest.skip("the tools of the site are not here", allow_module_level=True)
TRANSLATED = [*sorted((DOCS / "zh").rglob("*.md"))] + [
    page for page in [ROOT / "README.zh.md"] if page.exists()
]


@pytest.fixture(scope="module")
def catalogue():
    sys.path.insert(0, str(ROOT / "tools" / "site"))
    yield importlib.import_module("catalogue")
    sys.path.remove(str(ROOT / "tools" / "site"))


def test_every_public_name_has_an_entry(catalogue):
    modules = catalogue.modules()
    pages = {module: catalogue.reference(module, names) for module, names in modules.items()}
    for name in dfs.__all__:
        value = getattr(dfs, name)
        if isinstance(value, type(sys)):
            assert value.__name__ in pages
            public = getattr(value, "__all__", ())
            public = [key for key in public if not isinstance(getattr(value, key), type(sys))]
            for key in public:
                assert re.search(rf"deepfs\.{name}\.{key}\b", pages[value.__name__]), key
        else:
            assert f"::: deepfs.{name}\n" in pages["deepfs"], name


@pytest.mark.parametrize("kind", ["layers", "losses", "optimizers"])
def test_lists_have_pictures_and_formulas(catalogue, kind):
    names, page = catalogue.listed(kind), catalogue.list_of(kind)
    assert len(names) >= {"layers": 50, "losses": 7, "optimizers": 13}[kind]
    assert page.count("$$") >= len(names)  # two of them make a formula
    for name in names:
        picture = catalogue.LISTS[kind][0](name)
        assert picture.startswith("<svg")
        assert "nan" not in picture
        assert len(picture) < 20_000


def test_formulas_of_docstrings(catalogue):
    text = "A.\n\n.. math::\n    y = x,\n    \\quad z\n\nB :math:`a\n< b`.\n\n.. math:: c\n"
    docstrings = sys.modules["docstrings"]
    assert docstrings.formulas(text) == ["y = x,\n\\quad z", "c"]
    shown = docstrings.markdown(text)
    assert "$$\ny = x,\n\\quad z\n$$\n\nB $a < b$." in shown
    assert "math" not in shown


def rows_of(page, header):
    lines = (DOCS / page).read_text().splitlines()
    for line in lines[lines.index(header) + 2 :]:
        if not line.startswith("|"):
            return
        yield line


def test_each_line_beside_keras_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    rows = [*rows_of("from_keras.md", "| Keras | deepfs |")]
    assert len(rows) > 25
    for row in rows:
        code = re.fullmatch(r"\| `.*` \| `(.*)` \|", row).group(1)
        exec(compile(code, row, "exec"), names)
    assert 0 <= names["model"].evaluate(names["xt"], names["yt"])["accuracy"] <= 1


def test_each_line_beside_pytorch_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(blocks(DOCS / "from_pytorch.md")[0].strip("`").removeprefix("python"), names)
    rows = [*rows_of("from_pytorch.md", "| PyTorch | deepfs |")]
    assert len(rows) > 25
    for row in rows:
        code = re.fullmatch(r"\| `.*` \| `(.*)` \|", row).group(1)
        exec(compile(code, row, "exec"), names)
    assert names["z"].shape == (16, 10)
    assert names["model"].evaluate(names["x"], names["y"])["loss"] > 0


def blocks(page):
    return re.findall(r"^```\w*\n.*?^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", TRANSLATED, ids=str)
def test_translations_have_the_same_code(page):
    chinese = page.is_relative_to(DOCS / "zh")
    original = DOCS / page.relative_to(DOCS / "zh") if chinese else ROOT / "README.md"
    assert blocks(page) == blocks(original)


LINKS = [
    (page.relative_to(ROOT), link)
    for page in [*sorted(DOCS.rglob("*.md")), *ROOT.glob("README*.md")]
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?ms)^```.*?^```$", "", page.read_text()))
    if ":" not in link and link != "x"
]


def test_links_lead_somewhere():
    """On the page of the repository, too; `mkdocs build --strict` checks those of the site."""
    if not (ROOT / "python").is_dir():
        pytest.skip("the sources are not here")
    dead = [
        f"{page}: {link}"
        for page, link in LINKS
        if link[0] != "#" and not (ROOT / page.parent / link.partition("#")[0]).exists()
    ]
    assert not dead
