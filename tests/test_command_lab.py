"""``deepfs lab``: the list, one experiment, the gallery of all, and what is refused."""

import html.parser
import importlib
import re
import struct
import sys
import types
from pathlib import Path

import pytest

import deepfs as dfs
from deepfs import lab
from deepfs.cli import main
from deepfs.lab import GROUPS, Movie, Result, experiment

NUMBERS = "  best h, forward difference  1e-08\n"
PLOT = "needs Matplotlib, which is not installed: pip install 'deepfs[plot]'"


def run(capsys, *arguments):
    status = main(["lab", *map(str, arguments)])
    return (status, *capsys.readouterr())


@pytest.fixture
def without_matplotlib(monkeypatch):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)


def invented(name, function):
    """Return a module with an experiment of this name."""
    function.__name__ = name
    module = types.ModuleType(f"deepfs.lab.search.{name}")
    setattr(module, name, experiment(en=f"The title of {name} <b>", zh=f"标题 {name}")(function))
    return module


@pytest.fixture
def invent(monkeypatch):
    """A function that makes the lab have one real experiment, and others that a test invents."""

    def add(**functions):
        for name, function in functions.items():
            module = invented(name, function)
            monkeypatch.setitem(sys.modules, module.__name__, module)
        found = dict.fromkeys(GROUPS, ())
        found |= {"derivatives": ("difference_errors",), "search": tuple(functions)}
        monkeypatch.setattr(importlib.import_module("deepfs.lab._list"), "groups", lambda: found)
        monkeypatch.setattr(importlib.import_module("deepfs.commands.lab"), "groups", lambda: found)

    return add


def line(figure):
    figure.subplots().plot([0, 1])


def result(found=True, **settings):
    see = {"en": "A line & its <end>.", "zh": "一条直线。"}
    return Result({"a number": 2}, see, found, line, (4, 2), **settings)


def moving(*, seed=0, quick=False, full=False):
    movie = Movie(3, lambda figure, k: figure.subplots().plot([0, k]))
    return result(movie=movie)


def failing(*, seed=0, quick=False):
    raise FloatingPointError("the loss is <nan>")


def not_found(*, seed=0, quick=False):
    return result(found=seed == 1)


def test_it_lists_the_experiments_by_group(capsys):
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    found = re.findall(r"^  ([a-z0-9-]+)  +(\S.*)$", out, re.MULTILINE)
    assert [name.replace("-", "_") for name, _ in found] == lab.names()
    for name, title in found:
        assert title == lab.find(name).title["en"]
    for group, members in lab.groups().items():
        assert (f"{GROUPS[group][0]}\n" in out) == bool(members)
    how = "deepfs lab NAME runs an experiment, deepfs lab all --out gallery all of them."
    assert out.endswith(f"\n\n{how}\n")
    assert run(capsys, "--lang", "zh")[1].count("\n  ") == len(found)
    chinese = run(capsys, "derivatives", "--lang", "zh")[1]
    assert re.search(r"\n  difference-errors +前向差分", chinese)


def test_a_name_of_a_group_lists_it(capsys):
    status, out, _ = run(capsys, "derivatives")
    assert status == 0
    assert out.startswith("Derivatives\n  difference-errors")
    assert out.count("\n\n") == 1
    assert run(capsys, "initial-values")[0] == 0


def test_it_runs_an_experiment(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "difference_errors", "--quick")
    assert (status, err) == (0, "")
    assert out.startswith(
        "Error of forward and central differences over h: the V\n\nA smaller step"
    )
    assert NUMBERS in out
    code = lab.find("difference_errors").__wrapped__.__code__.co_filename
    assert out.endswith(
        "\n\nThe finding holds.\n\npicture: difference-errors.png\n"
        f"code: {code}\nin Python: dfs.lab.difference_errors(x=1.0, seed=0)\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["difference-errors.png"]


def test_it_writes_pictures_into_a_folder(tmp_path, invent, capsys):
    pytest.importorskip("matplotlib")
    invent(moving=moving)
    folder = tmp_path / "new" / "pictures"
    status, out, _ = run(capsys, "moving", "--lang", "zh", "--out", folder, "--seed", "3")
    assert status == 0
    assert out.startswith("标题 moving\n\n一条直线。\n\n  a number  2\n\n结论成立。\n")
    assert f"\n图片: {folder / 'moving.png'}\n图片: {folder / 'moving.gif'}\n" in out
    assert out.endswith("\nPython: dfs.lab.moving(seed=3)\n")
    png, gif = (folder / f"moving.{end}" for end in ("png", "gif"))
    assert struct.unpack(">2I", png.read_bytes()[16:24]) == (440, 220)
    from PIL import Image

    with Image.open(gif) as movie:
        assert movie.n_frames == 3
        assert movie.size == (240, 120)


def test_pictures_are_none_of_pyplot(tmp_path):
    pytest.importorskip("matplotlib")
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    found = lab.difference_errors(quick=True)
    found.save(tmp_path)
    assert found._repr_html_().count("<img src=") == 1
    assert pyplot.get_fignums() == []
    assert found.plot().number == 1
    assert pyplot.get_fignums() == [1]


def test_a_seed_for_which_the_finding_does_not_hold(tmp_path, invent, capsys):
    pytest.importorskip("matplotlib")
    invent(not_found=not_found)
    status, out, _ = run(capsys, "not-found", "--out", tmp_path)
    assert status == 1
    assert "\n\nThe finding does not hold with these settings.\n" in out
    assert run(capsys, "not-found", "--out", tmp_path, "--seed", "1")[0] == 0


def test_without_matplotlib_there_are_numbers(tmp_path, monkeypatch, without_matplotlib, capsys):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "difference-errors", "--quick")
    assert status == 0
    assert NUMBERS in out
    assert "picture" not in out
    assert err == f"deepfs lab: warning: a picture {PLOT}\n"
    assert not any(tmp_path.iterdir())


def test_what_needs_matplotlib_is_refused_before_it_is_computed(
    tmp_path, invent, without_matplotlib, capsys
):
    invent(failing=failing)
    status, out, err = run(capsys, "failing", "--out", tmp_path / "new")
    assert (status, out) == (2, "")
    assert err == f"deepfs lab: error: --out {PLOT}\n"
    status, out, err = run(capsys, "all", "--out", tmp_path / "new")
    assert (status, out, err) == (2, "", f"deepfs lab: error: deepfs lab all {PLOT}\n")
    with pytest.raises(ImportError, match=r"^lab\.gallery needs Matplotlib"):
        lab.gallery(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_it_is_computed(
    tmp_path, invent, capsys, monkeypatch
):
    pytest.importorskip("matplotlib")
    invent(failing=failing)
    file = tmp_path / "file"
    file.write_text("")
    for folder, why in ((file, "it is a file"), (file / "under", "Not a directory")):
        for name in ("failing", "all"):
            status, out, err = run(capsys, name, "--out", folder)
            assert (status, out) == (2, "")
            assert err == (
                f"deepfs lab: error: {folder}: cannot write here: {why}; give another folder as "
                "--out FOLDER\n"
            )

    def refuse(**settings):
        raise PermissionError(13, "Permission denied", "a temporary name")

    monkeypatch.setattr("deepfs.commands.lab.tempfile.TemporaryFile", refuse)
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, "failing")
    assert (status, out) == (2, "")
    assert err.startswith("deepfs lab: error: .: cannot write here: Permission denied; ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diference-errors"], r"the lab has no experiment 'diference-errors', nearest are "
         r".*difference_errors.*; `deepfs lab` lists them"),
        (["difference-errors", "--full"], "difference-errors has no --full form; these have one: "),
        (["--out", "here"], "--out needs the NAME of an experiment, or all"),
        (["derivatives", "--quick"], "--quick needs the NAME of an experiment, or all"),
        (["--seed", "0"], "--seed needs the NAME of an experiment, or all"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert re.match(f"deepfs lab: error: {message}", err)
    assert err.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--seed", "-1"], "must be an int of at least 0, got '-1'"),
        (["x", "--lang", "de"], "invalid choice: 'de'"),
        (["x", "--quick", "--full"], "not allowed with argument --quick"),
        (["x", "--language", "zh"], "there is no option --language: did you mean --lang?"),
    ],
)
def test_options_that_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["lab", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_full_says_which_experiments_have_it(invent, capsys):
    invent(moving=moving, failing=failing)
    status, _, err = run(capsys, "failing", "--full")
    assert status == 2
    assert err == "deepfs lab: error: failing has no --full form; these have one: moving\n"


def test_where_mnist_is_absent_it_says_what_to_do(invent, tmp_path, monkeypatch, capsys):
    def on_digits(*, seed=0, quick=False, full=False):
        dfs.datasets.mnist()

    def offline(*, seed=0, quick=False, full=False):
        raise ConnectionError("mnist could not download a from b")

    invent(on_digits=on_digits, offline=offline)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEPFS_DATA", str(tmp_path))
    status, _, err = run(capsys, "on-digits", "--full")
    assert status == 2
    way = (
        "deepfs lab: error: --full trains on all of MNIST: put its four files into a folder mnist "
        "and set DEEPFS_DATA to the folder above; without --full it takes the bundled digits ("
    )
    assert err.startswith(f"{way}mnist found none of train-images-idx3-ubyte, ")
    status, _, err = run(capsys, "offline", "--full")
    assert err == f"{way}mnist could not download a from b)\n"


class Page(html.parser.HTMLParser):
    """The page: texts of each experiment, what it loads, whether tags are closed."""

    def __init__(self, path):
        super().__init__()
        self.articles, self.loads, self.links, self.open = {}, [], [], []
        self.now, self.code = None, ""
        self.feed(path.read_text("utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in ("meta", "link", "img", "!doctype"):
            self.open.append(tag)
        if tag == "article":
            self.now = self.articles.setdefault(values["id"], [])
        self.loads += [values["src"]] if tag in ("img", "script") else []
        self.links += [values["href"]] if tag == "a" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "article":
            self.now = None

    def handle_data(self, data):
        if "pre" in self.open:
            self.code += data
        elif self.now is not None:
            self.now.append(data)


def without_code(folder):
    """Return the page without the experiments' code, which here is that of the tests."""
    text = folder.joinpath("index.html").read_text("utf-8")
    return re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)


def test_the_gallery_shows_all_and_goes_on_after_a_failure(tmp_path, invent, capsys):
    pytest.importorskip("matplotlib")
    invent(failing=failing, moving=moving, not_found=not_found)
    folder = tmp_path / "gallery"
    status, out, err = run(capsys, "all", "--quick", "--out", folder)
    assert status == 2
    assert err == "deepfs lab: error: failing: FloatingPointError: the loss is <nan>\n"
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert re.fullmatch(r"1/4 difference-errors \d+\.\d s holds", lines[0])
    assert re.fullmatch(r"2/4 failing \d+\.\d s failed", lines[1])
    assert re.fullmatch(r"4/4 not-found \d+\.\d s does not hold", lines[3])
    assert lines[-1] == str(folder / "index.html")
    page = Page(folder / "index.html")
    assert [*page.articles] == ["difference_errors", "failing", "moving", "not_found"]
    for name, texts in page.articles.items():
        text = "".join(texts)
        assert f"deepfs lab {name.replace('_', '-')} --quick" in text
    for name in page.articles:
        assert f"def {name}(" in page.code
    assert "FloatingPointError: the loss is <nan>" in "".join(page.articles["failing"])
    assert "The title of moving <b>" in page.articles["moving"]
    assert "A line & its <end>." in page.articles["moving"]
    assert "The finding does not hold" in "".join(page.articles["not_found"])
    assert page.loads == ["difference-errors.png", "moving.png", "not-found.png"]
    assert "moving.gif" in page.links
    for link in [*page.loads, *page.links]:
        assert link.startswith("#") or (folder / link).is_file()
    for link in page.links:
        assert link[0] != "#" or f'id="{link[1:]}"' in without_code(folder)
    text = without_code(folder)
    assert (
        "4 of 4 experiments. Findings that hold: 2; that do not: 1; experiments that failed: 1."
        in text
    )
    assert not re.search(r"https?://|//\w+\.", text)


def test_the_gallery_in_chinese(tmp_path, invent):
    pytest.importorskip("matplotlib")
    invent(moving=moving)
    seen = []
    done = lab.gallery(
        tmp_path, experiments=["moving"], seed=5, full=True, lang="zh", report=seen.append
    )
    assert seen == done
    assert (done[0].name, done[0].files) == ("moving", ("moving.png", "moving.gif"))
    assert done[0].result.numbers == {"a number": 2}
    text = without_code(tmp_path)
    for part in (
        '<html lang="zh-CN">', "共 1 个实验", "已完成 1 个", "标题 moving", "一条直线。",
        "结论成立。", "deepfs lab moving --seed 5 --full", GROUPS["search"][1],
    ):  # fmt: skip
        assert part in text


def test_the_gallery_takes_full_forms_where_there_are_any(tmp_path, invent):
    pytest.importorskip("matplotlib")
    got = []

    def on_digits(*, seed=0, quick=False, full=False):
        got.append((seed, quick, full))
        return result()

    invent(on_digits=on_digits, not_found=not_found)
    done = lab.gallery(tmp_path, experiments=["on-digits", "not-found"], seed=1, full=True)
    assert got == [(1, False, True)]
    assert [entry.command for entry in done] == [
        "deepfs lab on-digits --seed 1 --full", "deepfs lab not-found --seed 1",
    ]  # fmt: skip
    assert all(entry.result.found for entry in done)


def test_an_interrupted_gallery_has_what_was_done(tmp_path, invent, capsys):
    pytest.importorskip("matplotlib")

    def interrupted(*, seed=0, quick=False):
        raise KeyboardInterrupt

    invent(moving=moving, interrupted=interrupted)
    status, _, err = run(capsys, "all", "--quick", "--out", tmp_path)
    assert status == 130
    index = tmp_path / "index.html"
    assert err == f"deepfs lab: interrupted; 2 of 3 experiments are in {index}\n"
    assert [*Page(index).articles] == ["difference_errors", "moving"]
    assert "2 of 3 experiments. Findings that hold: 2;" in without_code(tmp_path)


def test_what_the_gallery_refuses(tmp_path):
    with pytest.raises(ValueError, match="the lab has no experiment 'nothing'"):
        lab.gallery(tmp_path, experiments=["nothing"])
    with pytest.raises(ValueError, match='gallery lang must be "en" or "zh", got \'de\''):
        lab.gallery(tmp_path, lang="de")
    assert not any(Path(tmp_path).iterdir())
