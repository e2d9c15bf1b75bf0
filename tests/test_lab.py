"""What holds for every experiment of the lab; findings are asserted in test_lab_GROUP.py."""

import ast
import inspect
import math
import re
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs
from deepfs import lab
from deepfs.lab import GROUPS
from lab_results import quick, seconds

FOLDER, TESTS = Path(lab.__file__).parent, Path(__file__).parent
NAMES = lab.names()
CHINESE = re.compile(r"[\u3400-\u9fff]")
LINES, USUAL = 150, 110  # most of any, and the median: about a page
every = pytest.mark.parametrize("name", NAMES)


def source(name):
    return Path(inspect.getfile(inspect.unwrap(lab.find(name))))


def test_the_groups_list_the_modules_of_their_folders():
    for group, listed in lab.groups().items():
        files = {path.stem for path in FOLDER.joinpath(group).glob("*.py") if path.stem[0] != "_"}
        assert {*listed} == files, group
    assert {path.parent.name for path in FOLDER.glob("*/__init__.py")} == {*GROUPS}


def test_a_name_means_one_thing():
    assert len(NAMES) == len({*NAMES})
    others = {*GROUPS, *lab.__all__, "all", *(path.stem for path in FOLDER.glob("*.py"))}
    assert not others & {*NAMES}
    for name in NAMES:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name


def test_each_group_has_two_titles():
    for english, chinese in GROUPS.values():
        assert english.isascii()
        assert CHINESE.search(chinese)


@every
def test_its_title_is_one_line_in_each_language(name):
    title = lab.find(name).title
    assert title.keys() == {"en", "zh"}
    assert 10 <= len(title["en"]) <= 90
    assert CHINESE.search(title["zh"])
    assert not CHINESE.search(title["en"])
    for text in title.values():
        assert "\n" not in text
        assert text == text.strip(" .\u3002")


@every
def test_its_settings_have_defaults(name):
    parameters = inspect.signature(lab.find(name)).parameters
    assert parameters["seed"].default == 0
    assert parameters["quick"].default is False
    for parameter in parameters.values():
        assert parameter.default is not parameter.empty, parameter.name
        if parameter.name in ("seed", "quick", "full"):
            assert parameter.kind is parameter.KEYWORD_ONLY
        if parameter.name == "full":
            assert parameter.default is False


@every
def test_it_is_a_page_that_says_what_it_does(name):
    text = source(name).read_text("utf-8")
    assert length_of(name) <= LINES
    assert ast.get_docstring(ast.parse(text))
    assert lab.find(name).__name__ == name
    assert inspect.getdoc(lab.find(name))


def length_of(name):
    return len(source(name).read_text("utf-8").splitlines())


def test_most_are_a_page():
    assert statistics.median(map(length_of, NAMES)) <= USUAL


@every
def test_it_uses_what_students_may_use(name):
    wrong = faults_of(source(name).read_text("utf-8"))
    assert not wrong


@pytest.mark.parametrize("group", GROUPS)
def test_what_a_group_shares_uses_the_same(group):
    for path in FOLDER.joinpath(group).glob("_[!_]*.py"):
        assert not faults_of(path.read_text("utf-8")), path.name


def faults_of(text):
    """Return what a module uses that is not public, or that shares a random state with others."""
    tree, wrong = ast.parse(text), []
    inside = {id(node) for f in ast.walk(tree)
              if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wrong += [alias.name for alias in node.names
                      if not may_import(alias.name, id(node) in inside)]  # fmt: skip
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                shown = "." * node.level + (node.module or "")
                public = {"Movie", "Result", "experiment"}
                if shown == ".._experiment" and {alias.name for alias in node.names} <= public:
                    continue
                if node.level != 1 or not node.module:
                    wrong.append(shown)
            elif not may_import(node.module, id(node) in inside):
                wrong.append(node.module)
            elif node.module.split(".")[0] == "deepfs":
                wrong += [alias.name for alias in node.names if alias.name[0] == "_"]
        elif isinstance(node, ast.Attribute):
            whole = ast.unparse(node)
            if re.match(r"_(?!_\w+__$)", node.attr):
                wrong.append(whole)
            found = re.fullmatch(r"np\.random\.(\w+)", whole)
            if found and found[1] not in ("default_rng", "Generator"):
                wrong.append(whole)
            found = re.fullmatch(r"dfs\.(\w+)", whole)
            if found and (found[1] not in dfs.__all__ or found[1] == "set_seed"):
                wrong.append(whole)
    return wrong


def may_import(module, inside_a_function):
    parts = module.split(".")
    if parts[0] == "deepfs":
        return not any(part[0] == "_" for part in parts)
    if parts[0] in ("matplotlib", "PIL", "scipy", "sklearn"):
        return parts[0] == "matplotlib" and inside_a_function
    return parts[0] == "numpy" or parts[0] in sys.stdlib_module_names - {"random"}


def test_faults_are_found():
    for line in (
        "from deepfs._check import shown", "from deepfs.layers import _base", "import scipy",
        "import matplotlib", "from ..basics import x", "from .._list import names", "import random",
        "np.random.seed(0)", "x = np.random.rand(3)", "dfs.set_seed(3)", "dfs._load", "m._arena",
        "dfs.no_such_name", "from .._experiment import DPI",
    ):  # fmt: skip
        assert faults_of(line), line
    for line in (
        "import numpy as np", "from deepfs import layers as L", "from ._shared import digits",
        "def draw(figure):\n    from matplotlib import cm", "rng = np.random.default_rng(0)",
        "from .._experiment import Movie, Result, experiment", "x = type(y).__name__",
    ):  # fmt: skip
        assert not faults_of(line), line


@every
def test_its_quick_form_has_its_finding(name):
    result = quick(name)
    assert result.found is True
    assert result.name == name
    assert result.verdict() == "The finding holds."


@every
def test_it_has_numbers(name):
    numbers = quick(name).numbers
    assert 1 <= len(numbers) <= 40
    for key, value in numbers.items():
        assert key == key.strip()
        assert "\n" not in f"{key}{value}"
        assert len(key) <= 80
        assert not CHINESE.search(f"{key}{value}")
        if isinstance(value, float):
            assert not math.isnan(value), key


@every
def test_it_says_what_to_see_in_each_language(name):
    see = quick(name).see
    assert see.keys() == {"en", "zh"}
    assert 60 <= len(see["en"]) <= 900
    assert 25 <= len(see["zh"]) <= 450
    assert len(CHINESE.findall(see["zh"])) > 15
    assert not CHINESE.search(see["en"])
    assert see["en"].endswith((".", "?", ")"))
    assert see["zh"].endswith(("\u3002", "\uff1f", "\uff09"))  # full stop, question, bracket
    assert "\n" not in see["en"] + see["zh"]
    assert not re.search(r"[\u3400-\u9fff][,;:]", see["zh"]), "Chinese has its own commas"


@every
def test_its_picture_can_be_drawn_later(name):
    result = quick(name)
    assert callable(result.draw)
    assert 3 <= result.size[0] <= 16
    assert 2 <= result.size[1] <= 16
    if result.movie is not None:
        assert 2 <= result.movie.frames <= 60


def test_the_page_lists_the_experiments_with_their_titles():
    """`python tools/lab.py --table docs/lab.md` writes them."""
    page = (TESTS.parent / "docs" / "lab.md").read_text("utf-8").partition("<!-- experiments")[2]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.*?)( \(`--full`\))? \|$", page, re.MULTILINE)
    assert [name.replace("-", "_") for name, _, _ in rows] == NAMES
    for name, title, full in rows:
        found = lab.find(name)
        assert title == found.title["en"].replace("|", r"\|")
        assert bool(full) == ("full" in inspect.signature(found).parameters), name
    for group, members in lab.groups().items():
        assert (f"\n### {GROUPS[group][0]}\n" in page) == bool(members)


@every
def test_a_test_asserts_its_finding(name):
    """In test_lab_GROUP.py, from the numbers, whatever the experiment itself says."""
    texts = [path.read_text("utf-8") for path in sorted(TESTS.glob("test_lab*.py"))]
    assert any(re.search(rf"[\"'.]{name}\b", text) for text in texts)


def same(a, b):
    """Return whether two numbers, texts or arrays are equal; NaN is equal to itself."""
    return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc")


def test_the_numbers_repeat_whatever_other_code_draws():
    """Of the cheapest experiments of each group; `tools/lab.py --twice` asks it of all."""
    for group, members in lab.groups().items():
        for name in sorted(members, key=seconds)[:2]:
            first = quick(name)
            if seconds(name) > 0.3:
                continue
            dfs.set_seed(7)
            state = np.random.get_state()[1].copy()
            again = lab.find(name)(quick=True)
            assert {**again.numbers} == {**first.numbers}, f"{group}: {name}"
            for key, value in first.data.items():
                if isinstance(value, (float, int, str, np.ndarray)):
                    assert same(value, again.data[key]), f"{group}: {name}: {key}"
            assert np.array_equal(state, np.random.get_state()[1]), name


def test_a_result_in_words():
    text = str(quick("difference_errors"))
    assert text.startswith("Error of forward and central differences over h: the V\n\nA smaller ")
    assert re.search(r"\n\n  best h, forward difference +1e-08\n  best h, central", text)
    assert text.endswith("\n\nThe finding holds.")
    assert max(map(len, text.splitlines())) <= 88
    chinese = quick("difference_errors").text("zh")
    assert chinese.startswith("前向差分与中心差分")
    assert chinese.endswith("\n\n结论成立。")


def test_the_best_steps_of_differences_are_those_of_the_theory():
    """Near eps^(1/2) and eps^(1/3), where truncation equals rounding."""
    numbers, eps = quick("difference_errors").numbers, np.finfo(float).eps
    assert eps**0.5 / 10 < numbers["best h, forward difference"] < eps**0.5 * 10
    assert eps ** (1 / 3) / 10 < numbers["best h, central difference"] < eps ** (1 / 3) * 10
    assert numbers["least error, central"] < numbers["least error, forward"] / 10


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (715.0, "715"), (0.1 + 0.2, "0.3"), (np.float32(2.2), "2.2"), (60000, "60,000"),
        (np.int64(12), "12"), (12345.6, "12,346"), (1e-50, "1e-50"), (np.True_, "yes"),
        (False, "no"), ("4 x 4", "4 x 4"), (1e12, "1e+12"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_numbers_in_digits(value, shown):
    from deepfs.lab._experiment import in_digits

    assert in_digits(value) == shown


def test_names_are_found_with_hyphens_and_in_any_case():
    one = lab.find("difference_errors")
    assert lab.find(" Difference-Errors ") is one
    assert dfs.lab.difference_errors is one
    assert lab.difference_errors(quick=True).name == "difference_errors"
    assert {*lab.names(), "find", "gallery"} <= {*dir(lab)}
    assert lab.groups()["derivatives"] == lab.derivatives.EXPERIMENTS


def test_unknown_names_have_near_ones():
    message = "the lab has no experiment 'diference-erors', nearest are difference_errors"
    with pytest.raises(ValueError, match=message):
        lab.find("diference-erors")
    with pytest.raises(
        ValueError, match=r"'errors', nearest are .*difference_errors.*; `deepfs lab`"
    ):
        lab.find("errors")
    with pytest.raises(
        AttributeError, match="the lab has no experiment 'xyzzy'; `deepfs lab` lists"
    ):
        lab.xyzzy  # noqa: B018
    with pytest.raises(AttributeError):
        lab._xyzzy  # noqa: B018
    with pytest.raises(TypeError, match="name of an experiment, got 3"):
        lab.find(3)


def test_a_notebook_shows_text_and_picture(monkeypatch):
    result = quick("difference_errors")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    shown = result._repr_html_()
    assert "best h, forward difference" in shown
    assert "lab.difference_errors needs Matplotlib" in shown
    assert "<img" not in shown
    with pytest.raises(
        ImportError, match=r"difference_errors needs .*: pip install 'deepfs\[plot\]'"
    ):
        result.plot()


def test_the_list_needs_no_matplotlib():
    code = "import sys; from deepfs import lab; lab.names(); lab.find('difference_errors')"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    loaded = done.stdout.split()
    assert "deepfs.lab.derivatives.difference_errors" in loaded
    assert not {"matplotlib", "PIL"} & {*loaded}
