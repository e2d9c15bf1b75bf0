"""The reading paths: what pages and notebooks name exists, in both languages, and fits.

Files are looked for as installed, so that these tests say the same beside a wheel.
"""

import importlib
import json
import re
from pathlib import Path

import pytest

import cnn_core
import deepfs as dfs

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ROOT / "docs" / "learn", ROOT / "docs" / "zh" / "learn"
PAGES = sorted([*ENGLISH.glob("*.md"), *CHINESE.glob("*.md")])
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
INSTALLED = {
    "python/deepfs": Path(dfs.__file__).parent,
    "src/cnn_core": Path(cnn_core.__file__).parent,
}
MODULES = {"L": dfs.layers, "R": dfs.reference, "dfs": dfs, "deepfs": dfs}


def text_of(page):
    return page.read_text("utf-8")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def prose(page):
    return re.sub(r"(?ms)^```.*?^```$", "", text_of(page))


def place_of(page, link):
    """Return the file or folder that a link of a page leads to, where it is installed."""
    path = (page.parent / link.partition("#")[0]).resolve()
    for source, home in INSTALLED.items():
        if path.is_relative_to(ROOT / source):
            return home / path.relative_to(ROOT / source)
    return path


def defines(source, name):
    """Return whether a file of Python or Cython defines a function or class of this name."""
    head = r"(?:def|class)" if source.suffix == ".py" else r"(?:def|cpdef|cdef)\b[^=\n]*?"
    return re.search(rf"^\s*{head}\s*\b{name}\b\s*[(:\[]", source.read_text("utf-8"), re.MULTILINE)


def test_there_is_a_page_for_each_chapter_in_both_languages():
    english, chinese = (
        {page.name for page in PAGES if page.parent == home} for home in (ENGLISH, CHINESE)
    )
    assert english == chinese
    chapters = {page.stem for page in NOTEBOOKS}
    assert english == {"index.md"} | {f"{chapter}.md" for chapter in chapters}
    assert {chapter[:3] for chapter in chapters} == {f"ch{n}" for n in range(2, 9)}


def test_linked_files_exist_and_define_what_the_link_names():
    wrong, kernels = [], 0
    for page in PAGES:
        for text, link in re.findall(r"\[([^\]]*)\]\(([^)\s]+)\)", prose(page)):
            place = place_of(page, link)
            if "pictures/lab/" in link:  # test_site.py asks for the pictures
                continue
            if not link.startswith("#") and not place.exists():
                wrong.append(f"{name_of(page)}: no file {link}")
            elif place.suffix in (".py", ".pyx", ".pxd"):
                names = re.findall(r"`(\w+)`", text)
                kernels += place.suffix != ".py"
                wrong += [
                    f"{name_of(page)}: {link} defines no {name}"
                    for name in names
                    if not defines(place, name)
                ]
    assert not wrong, "\n".join(wrong)
    assert kernels > 40


def test_names_of_deepfs_exist():
    wrong = []
    for page in PAGES:
        for name in re.findall(r"`((?:L|R|dfs|deepfs)\.[\w.]+)", prose(page)):
            first, *rest = name.rstrip(".").split(".")
            value = MODULES[first]
            for part in rest:
                value = getattr(value, part, None)
            if value is None:
                wrong.append(f"{name_of(page)}: {name}")
    assert not wrong, "\n".join(wrong)


OF_CHAPTERS = {"init_network", "predict", "weight_init_std", "weight_decay_lambda"}  # of scripts


def test_names_of_the_book_exist():
    book = importlib.import_module("deepfs.book")
    wrong, found = [], 0
    for page in PAGES:
        for table in re.findall(
            r"^\| (?:the book|书) \|.*\n((?:\|.*\n)*)", text_of(page), re.MULTILINE
        ):
            cells = [row.split("|")[1] for row in table.splitlines()[1:]]
            names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} - OF_CHAPTERS
            found += len(names)
            wrong += [f"{name_of(page)}: {name}" for name in names if not hasattr(book, name)]
    assert not wrong, "deepfs.book has no\n" + "\n".join(wrong)
    assert found > 60


def anchors(page):
    """Return the anchors of the headings of a page, as the site makes them."""
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


def test_anchors_exist():
    wrong = [
        f"{name_of(page)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]*\.md#[^)\s]+)\)", prose(page))
        if link.partition("#")[2] not in anchors(place_of(page, link))
    ]
    assert not wrong, "\n".join(wrong)


def experiments(page):
    """Return the experiments that a page shows, runs or names, with underscores."""
    text = text_of(page)
    found = re.findall(r"deepfs lab ([a-z][\w-]+)", text)
    found += re.findall(r"pictures/lab/([\w-]+)\.png", text)
    found += re.findall(r"\blab\.([a-z]\w+)\(", text)
    found += re.findall(r"`([a-z]\w*(?:-\w+)+)`", text)  # nothing else has hyphens in its name
    found += [name for name in re.findall(r"`([a-z]+)`", text) if name in dfs.lab.names()]
    return {name.replace("-", "_") for name in found}


def test_experiments_exist():
    known, wrong = dfs.lab.names(), []
    for page in PAGES:
        wrong += [f"{name_of(page)}: {name}" for name in sorted(experiments(page) - {*known})]
    assert not wrong, "the lab has no\n" + "\n".join(wrong)


def test_every_experiment_is_on_a_page():
    for home in (ENGLISH, CHINESE):
        shown = {name for page in home.glob("*.md") for name in experiments(page)}
        missing = [name for name in dfs.lab.names() if name not in shown]
        assert not missing, f"no page of {name_of(home)} names {', '.join(missing)}"


def test_every_picture_has_its_command():
    for page in PAGES:
        text = text_of(page)
        for name in re.findall(r"pictures/lab/([\w-]+)\.png", text):
            assert re.search(rf"^deepfs lab {name}\b", text, re.MULTILINE), (name_of(page), name)


@pytest.mark.parametrize("page", sorted(ENGLISH.glob("*.md")), ids=lambda page: page.name)
def test_the_translation_says_the_same(page):
    other = CHINESE / page.name
    places = [
        [place_of(one, link) for _, link in re.findall(r"(!?\[[^\]]*\])\(([^)\s]+)\)", prose(one))]
        for one in (page, other)
    ]
    english, chinese = (
        [str(p).replace("/docs/zh/learn/", "/docs/learn/") for p in ps] for ps in places
    )
    assert sorted(english) == sorted(chinese)
    heads = [re.findall(r"^(#+) ", prose(one), re.MULTILINE) for one in (page, other)]
    assert heads[0] == heads[1]
    formulas = [re.findall(r"\$\$.*?\$\$", prose(one), re.DOTALL) for one in (page, other)]
    assert len(formulas[0]) == len(formulas[1])
    assert experiments(page) == experiments(other)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_takes_ten_minutes(page):
    text = prose(page)
    words = len(re.findall(r"[A-Za-z]{2,}", re.sub(r"\(\S+\)|`[^`]*`", "", text)))
    characters = len(re.findall(r"[\u4e00-\u9fff]", text))
    assert words + characters / 2 < 1500


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_small_and_uses_what_there_is(path):
    notebook = json.loads(text_of(path))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    text = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] != "code"]
    for source in code:
        compile(source, path.name, "exec")
    assert sum(part.startswith("## Exercise") for part in text) == 1
    shown = re.findall(r"dfs\.lab\.(\w+)\(", "\n".join(code))
    assert shown
    assert not {*shown} - {*dfs.lab.names()}
    assert re.search(r"dfs\.(layers|networks|Model)|\bL\.", "\n".join(code))


def test_notebooks_are_small():
    assert sum(path.stat().st_size for path in NOTEBOOKS) < 600_000
