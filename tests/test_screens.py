"""What is there to be looked at: reprs, summaries, tables and curves in notebooks, `dir`."""

import importlib
import io
import re
import sys
import types
from dataclasses import dataclass
from html.parser import HTMLParser

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.training import progress
from deepfs.training.lr_finder import RangeTest
from deepfs.training.progress import Progress
from models import small_model
from network_cases import CASES

VOID = {"br", "img", "meta", "link"}


class Checker(HTMLParser):
    """Collects the elements of a page; tags must be closed in the order of their opening."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def count(self, wanted):
        return sum(tag == wanted for tag, _ in self.tags)


def page_of(shown):
    page = shown._repr_html_()
    checked = Checker(page)
    assert not checked.count("script")
    assert not re.search(r"\son\w+=|https?://(?!www\.w3\.org/2000/svg)", page)
    return checked


def fits(text, width=100):
    return max(map(len, text.splitlines())) <= width


# reprs


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (L.Conv2D(16, 3), "Conv2D(16, 3)"),
        (L.Conv2D(16, (3, 2), padding=1), "Conv2D(16, (3, 2), padding=1)"),
        (L.Conv2D(16, 3, padding=(1, 2)), "Conv2D(16, 3, padding=(1, 1, 2, 2))"),
        (L.MaxPool2D(), "MaxPool2D()"),
        (L.MaxPool2D(3, 2), "MaxPool2D(kernel_size=3, stride=2)"),
        (L.Dense(10, name="head"), "Dense(10, name='head')"),
        (L.Residual(L.Dense(4)), "Residual(Dense(4))"),
        (L.Residual(L.ReLU(), L.Dense(4)), "Residual(ReLU(), shortcut=Dense(4))"),
        (
            L.Branches([L.Dense(2), L.Tanh()], merge="add"),
            "Branches([Dense(2), Tanh()], merge='add')",
        ),
        (dfs.optimizers.Adam(), "Adam()"),
        (dfs.optimizers.Adam(0.1, beta1=0.8), "Adam(lr=0.1, beta1=0.8)"),
        (
            dfs.optimizers.SGD(0.1, groups=[dfs.optimizers.Group("a.*", frozen=True)]),
            "SGD(lr=0.1, groups=[Group('a.*', frozen=True)])",
        ),
        (dfs.losses.CrossEntropy(), "CrossEntropy()"),
        (
            dfs.schedules.Warmup(3, then=dfs.schedules.Exponential(0.1, 0.5)),
            "Warmup(3, Exponential(0.1, 0.5))",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_repr_is_the_call_without_defaults(made, text):
    assert repr(made) == text


def test_a_network_has_a_line_per_layer():
    body = L.Sequential([L.Conv2D(16, 3, padding=1, bias=False), L.BatchNorm(), L.ReLU(),
                         L.Conv2D(16, 3, padding=1, bias=False)])  # fmt: skip
    net = L.Sequential([L.Conv2D(16, 3), L.Residual(body, L.Conv2D(16, 1)), L.Dense(10)],
                       dtype="float32")  # fmt: skip
    assert (
        repr(net)
        == """\
Sequential([
    Conv2D(16, 3),
    Residual(
        Sequential([
            Conv2D(16, 3, padding=1, bias=False),
            BatchNorm(),
            ReLU(),
            Conv2D(16, 3, padding=1, bias=False),
        ]),
        shortcut=Conv2D(16, 1),
    ),
    Dense(10),
], dtype='float32')"""
    )


@pytest.mark.parametrize("name", dfs.networks.__all__)
def test_a_network_is_rebuilt_from_its_repr(name):
    net = getattr(dfs.networks, name)()
    assert fits(repr(net))
    assert repr(eval(repr(net), vars(L) | vars(dfs.initializers))) == repr(net)


def test_a_graph_is_rebuilt_from_its_repr():
    image, age = L.Input((1, 8, 8)), L.Input((4,), name="age")
    h = L.Concat()([L.Flatten()(L.Conv2D(4, 3, padding="same")(image)), L.Dense(30)(age)])
    net = L.Graph({"image": image, "age": age}, {"sort": L.Dense(3)(h), "age": L.Dense(1)(h)})
    assert fits(repr(net))
    again = eval(repr(net), vars(L))
    assert repr(again) == repr(net)
    x = {"image": np.ones((2, 1, 8, 8)), "age": np.ones((2, 4))}
    assert net(x).keys() == again(x).keys()
    for name, parameter in net.parameters().items():
        again.parameters()[name].value = parameter.value
    assert (again(x)["sort"] == net(x)["sort"]).all()


def test_long_settings_are_wrapped():
    loss = dfs.losses.CrossEntropy(class_weight=list(np.linspace(0, 1, 50)))
    assert fits(repr(loss))
    assert repr(eval(repr(loss), vars(dfs.losses))) == repr(loss)


@dataclass(eq=False)
class Odd(L.Layer):
    """A layer of a user whose check fails on defaults."""

    units: int = 0
    more: tuple = ()

    def __post_init__(self):
        if self.units < 1:
            raise RuntimeError("no units")

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        return x + 0, None

    def _backward(self, dy, cache, need_dx):
        return dy + 0


class Named(Odd):
    def __repr__(self):
        return "<Named>"


@dataclass(eq=False)
class Renamed(Named):
    size: int = 3


@dataclass(eq=False)
class Talks(Odd):
    """Its messages contain its repr."""

    units: int = 1
    a: int = 1
    b: bool = False

    def __post_init__(self):
        if self.a > 1 and not self.b:
            raise ValueError(f"{self} needs b")
        if self.b and self.a < 2:
            raise ValueError(f"{self!r} needs a")


class Plain(dfs.losses.Loss):
    """Not a dataclass: it has no settings."""

    def terms(self, outputs, targets, sample_weight=None):
        raise NotImplementedError

    def _gradient(self, cache, scale):
        raise NotImplementedError


def test_layers_of_users():
    assert repr(Odd(3)) == "Odd(units=3)"
    assert repr(Odd(3, [1])) == "Odd(units=3, more=[1])"
    assert repr(L.Sequential([Odd(2), Named(2)])) == "Sequential([Odd(units=2), <Named>])"
    assert repr(Plain()) == "Plain()"
    assert repr(Talks()) == "Talks()"
    assert repr(Talks(a=2, b=True)) == "Talks(a=2, b=True)"
    assert repr(Renamed(2)) == "<Named>"  # as written, not as @dataclass would have it
    assert repr(Renamed.__new__(Renamed)) == "<Named>"
    assert repr(Odd.__new__(Odd)).startswith("Odd(")  # in an error message of a constructor


def test_a_model_before_and_after_training(data):
    model = small_model()
    assert (
        repr(model)
        == """\
Model(
    network: Sequential of 6 layers, not built yet: the first data or summary(in_shape) will
    loss: CrossEntropy()
    optimizer: Adam(lr=0.01)
    metrics: accuracy
    trained: 0 epochs, 0 steps
)"""
    )
    model.fit(*data, epochs=2, batch_size=45, verbose=0)
    lines = repr(model).splitlines()
    assert lines[1] == "    network: Sequential of 6 layers, 237 parameters, float32, 948 B"
    assert re.fullmatch(r"    trained: 2 epochs, 4 steps: loss [\d.]+, accuracy [\d.]+", lines[5])
    assert repr(model.history).splitlines()[0] == "History of 2 epochs"
    model.loss = dfs.losses.CrossEntropy(class_weight=list(np.linspace(0.1, 1, 3) / 7))
    model.optimizer = dfs.optimizers.SGD(
        0.1, groups=[dfs.optimizers.Group(f"layer_{i}.*", lr_scale=0.5) for i in range(9)]
    )
    assert fits(repr(model))
    assert len(repr(model).splitlines()) == 7
    single = dfs.Model(L.Dense(3), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(), ())
    single.train_on_batch(np.ones((4, 2)), np.arange(4) % 3)
    assert "network: Dense, 9 parameters, float64, 72 B\n" in repr(single)
    assert "metrics: none\n" in repr(single)
    assert "trained: 0 epochs, 1 step\n" in repr(single)


def history_of(**curves):
    history = dfs.History()
    history.history.update(curves)
    return history


def test_a_history_tells_where_it_was_best():
    history = history_of(loss=[2.5, 1.25, 1.5], accuracy=[0.25, 0.5, 0.125])
    assert (
        repr(history)
        == """\
History of 3 epochs
          first   last  lowest  in epoch  highest  in epoch
loss        2.5    1.5    1.25         2      2.5         1
accuracy   0.25  0.125   0.125         3      0.5         2"""
    )
    history.interrupted = True
    assert repr(history).startswith("History of 3 epochs, interrupted in the last\n")
    assert repr(dfs.History()) == "History of no epoch"
    diverged = history_of(loss=[1.0, float("inf"), float("nan")], **{"a" * 90: [float("nan")]})
    rows = [line.split() for line in repr(diverged).splitlines()[2:]]
    assert rows[0] == ["loss", "1", "nan", "1", "1", "1", "1"]
    assert rows[1][1:] == ["nan", "nan", "-", "-", "-", "-"]
    assert fits(repr(diverged))


def test_a_range_test_is_a_line():
    rates, losses = np.geomspace(1e-4, 1, 5), np.array([3.0, 2.5, 1.0, 2.0, 9.0])
    assert repr(RangeTest(rates, losses, losses)) == (
        "RangeTest of 5 rates from 0.0001 to 1: smoothed loss 1 at 0.01, suggestion 0.001"
    )
    assert repr(RangeTest(rates, losses, rates)).endswith(
        "0.0001, no suggestion: the loss falls at no rate"
    )


# the summary


def summary_of(network, in_shape, capsys):
    dfs.Model(network, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(), ()).summary(in_shape)
    return capsys.readouterr().out.splitlines()


def test_the_summary_adds_up(capsys):
    net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.Dense(5, bias=False)], dtype="float64")
    net.layers[0].freeze()
    lines = summary_of(net, (2, 6, 6), capsys)
    assert [line.split()[-4:] for line in lines[1:4]] == [
        ["76", "1.15k", "512", "B"],  # 4 * 16 * 2 * 9 multiply-adds, 4 * 16 numbers of 8 bytes
        ["-", "-", "512", "B"],
        ["320", "320", "40", "B"],
    ]
    assert lines[4:] == [
        "396 parameters, float64, 3.17 kB, 76 of them frozen",
        "for each sample 1.47k multiply-adds (MACs), outputs of 1.06 kB",
    ]


def test_shared_layers_are_marked_and_run_in_every_place(capsys):
    shared = L.Dense(4, bias=False)
    net = L.Sequential([shared, L.Residual(shared), L.Dense(4, bias=False)])
    lines = summary_of(net, (4,), capsys)
    rows = [line.split()[-4:-2] for line in lines[1:5] if "Dense" in line]
    assert rows == [["16", "16"], ["shared", "16"], ["16", "16"]]
    assert lines[-3:] == [
        "32 parameters, float32, 128 B",
        "for each sample 48 multiply-adds (MACs), outputs of 48 B",
        "shared: the layer has a row above; its parameters count once",
    ]


def test_every_call_of_a_graph_has_a_row(capsys):
    """A siamese network: the second call is on inputs of another shape."""
    a, b = L.Input((1, 8, 8)), L.Input((1, 6, 6))
    embed = L.Sequential([L.Conv2D(4, 3), L.GlobalAvgPool2D()], name="embed")
    net = L.Graph({"a": a, "b": b}, {"left": embed(a), "right": embed(b)})
    lines = summary_of(net, {"a": (1, 8, 8), "b": (1, 6, 6)}, capsys)
    convs = [line.split() for line in lines if "conv2d_1" in line]
    assert [conv[2:6] for conv in convs] == [["(n,", "4,", "6,", "6)"], ["(n,", "4,", "4,", "4)"]]
    assert [conv[7] for conv in convs] == ["40", "shared"]
    assert any(line.startswith("for each sample 1.87k ") for line in lines)  # 9 * 4 * (36 + 16)


def test_deep_names_keep_to_the_width(capsys):
    part = L.Dense(4, name="a_layer_with_quite_a_name_of_its_own")
    for depth in range(8):
        part = L.Residual(L.Sequential([part], name=f"block_{depth}"))
    lines = summary_of(L.Sequential([part]), (4,), capsys)
    assert fits("\n".join(lines))
    assert lines[-3].split()[0].endswith("a_layer_with_quite_a_name_of_its_own")
    assert lines[-3].startswith("..")
    for case in CASES:
        lines = summary_of(getattr(dfs.networks, case.name)(), case.image, capsys)
        assert fits("\n".join(lines))
        names = [line.split()[0] for line in lines[1:-2]]
        assert len(set(names)) == len(names)  # what is left of the names tells them apart


# notebooks


def test_the_table_of_a_network():
    net = L.Sequential([L.Conv2D(4, 3, name="a<b"), L.Flatten(), L.Dense(3)])
    unbuilt = page_of(net)
    assert unbuilt.tags == [("pre", {})]
    assert "".join(unbuilt.texts) == repr(net)
    net(np.ones((2, 1, 5, 5), np.float32))
    page = page_of(net)
    assert page.count("tr") == 4
    assert [text for text in page.texts if text.strip()][:8] == [
        "layer", "kind", "output", "algorithm", "params", "MACs", "memory", "a<b"]  # fmt: skip
    assert "151 parameters, float32, 604 B" in page.texts


def test_the_curves_of_a_history():
    history = history_of(loss=[2.0, 1.0, float("nan"), 0.5], val_loss=[2.5, 1.5, 1.2, 1.1],
                         accuracy=[0.5] * 4, val_extra=[1e300, -1e308, 1e308])  # fmt: skip
    page = page_of(history)
    assert page.count("svg") == 3
    assert page.count("polyline") == 4  # loss and val_loss share a diagram
    lines = [attributes["points"].split() for tag, attributes in page.tags if tag == "polyline"]
    assert [len(points) for points in lines] == [3, 4, 4, 3]
    first, last = (tuple(map(float, lines[1][i].split(","))) for i in (0, -1))
    assert first[0] < last[0]  # epochs go to the right
    assert first[1] < last[1]  # and a loss that falls goes down, where y is larger
    for points in lines:
        for point in points:
            x, y = map(float, point.split(","))
            assert 58 <= x <= 328
            assert 28 <= y <= 184
    assert {"loss", "training", "validation", "accuracy", "val_extra", "epoch"} <= {*page.texts}
    assert {"0.5", "1", "1.5", "2", "2.5"} <= {*page.texts}  # of the loss
    assert page_of(dfs.History()).texts == ["History of no epoch"]
    long = page_of(history_of(loss=list(np.linspace(3, 1, 200))))
    assert {"50", "100", "150", "200"} <= {*long.texts}
    assert not long.count("circle")
    assert page_of(history_of(loss=[float("nan")])).count("svg") == 1


def test_a_model_and_a_profile(data):
    model = small_model()
    assert page_of(model).count("pre") == 2
    model.fit(*data, epochs=1, verbose=0)
    page = page_of(model)
    assert (page.count("table"), page.count("svg")) == (1, 2)
    profile = model.profile(*data, repeats=1)
    page = page_of(profile)
    assert page.count("tr") == 2 + len(profile.rows)
    assert [text for text in page.texts if text in ("ms", "GFLOP/s", "GB/s")] == [
        "ms", "GFLOP/s", "GB/s"]  # fmt: skip


# progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def jupyter(monkeypatch, kernel=True, **variables):
    """Pretend to run in IPython, in a kernel or not."""
    shell = types.SimpleNamespace(kernel=object()) if kernel else types.SimpleNamespace()
    module = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)
    for name in ("JPY_SESSION_NAME", "VSCODE_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("kernel", "variables", "mode"),
    [
        (True, {"JPY_SESSION_NAME": "a.ipynb"}, 1),
        (True, {"VSCODE_PID": "7"}, 1),
        (True, {}, 2),  # run by nbconvert or papermill: nobody looks
        (False, {"JPY_SESSION_NAME": "a.ipynb"}, 2),  # a script that a notebook starts
        (False, {"VSCODE_PID": "7"}, 2),
    ],
)
def test_a_bar_goes_where_it_is_seen(kernel, variables, mode, monkeypatch):
    jupyter(monkeypatch, kernel, **variables)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert progress.chosen("auto") == mode
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress.chosen("auto") == 1


def run(images, steps):
    with Progress(1, 2, images) as shown:
        shown.begin(1)
        for n in steps:
            shown.step(n, lambda: {"loss": 0.25})
        seen = shown.bar
        text = seen.format_meter(**seen.format_dict)
        shown.trained()
        shown.end({"loss": 0.5})
    return seen, text


def test_a_notebook_without_widgets_gets_characters_on_stdout(monkeypatch, capsys):
    jupyter(monkeypatch, VSCODE_PID="7")
    _, text = run(100, [25, 25])
    assert text.startswith("epoch 1/2  50%|")
    out, err = capsys.readouterr()
    assert "epoch 1/2" in out
    assert out.endswith("epoch 1/2  loss 0.5000\n")
    assert err == ""
    assert max(map(len, re.split(r"[\r\n]", out))) <= 80


def test_a_notebook_with_widgets_gets_one(monkeypatch):
    made = {}
    jupyter(monkeypatch, JPY_SESSION_NAME="a.ipynb")
    monkeypatch.setattr(progress, "find_spec", lambda name: object())
    module = types.SimpleNamespace(tqdm=lambda **settings: made.update(settings) or "widget")
    monkeypatch.setitem(sys.modules, "tqdm.notebook", module)
    assert progress.bar_of(100, desc="epoch 1/2") == "widget"
    assert made["total"] == 100
    assert "{bar}" in made["bar_format"]
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    assert not isinstance(progress.bar_of(100, disable=True), str)


def test_counts_where_the_number_of_samples_is_not_known(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    bar, text = run(None, [3000, 4000])
    assert bar.total is None
    assert re.match(r"epoch 1/2 7\.00k img in 00:00, .*img/s, loss 0\.2500$", text)
    assert "%" not in text
    assert capsys.readouterr().out.endswith("epoch 1/2  loss 0.5000\n")


def test_a_pipe_gets_a_line_per_epoch(capsys):
    with Progress("auto", 2, None) as shown:
        for epoch in (1, 2):
            shown.begin(epoch)
            shown.step(500, dict)
            shown.trained()
            shown.end({"loss": 0.5})
    out, err = capsys.readouterr()
    assert err == ""
    assert "\r" not in out
    assert re.fullmatch(r"(epoch \d/2  loss 0\.5000  [\d,]+ images/s  \d\.\d s\n){2}", out)


# dir

PACKAGES = [name for name in dfs.__all__ if isinstance(getattr(dfs, name), types.ModuleType)]


def test_dir_is_the_public_names():
    assert dir(dfs) == sorted([*dfs.__all__, "__version__"])
    assert dir(dfs.networks) == sorted(dfs.networks.__all__)
    more = {"Array", "Container", "Epilogue", "PLAIN", "Shape", "channels_first", "channels_last",
            "empty", "flag", "flat_rows", "ignore_overflow", "logical", "number", "one_of",
            "padding", "pair", "physical", "whole"}  # fmt: skip
    assert {*dir(L)} == {*L.__all__} | more  # those for layers of one's own
    assert dir(dfs.config) == ["get_num_threads", "set_num_threads", "show_config", "threads"]


@pytest.mark.parametrize("name", PACKAGES)
def test_dir_lists_no_modules_and_imports(name):
    module = importlib.import_module(f"deepfs.{name}")
    listed = dir(module)
    assert {*getattr(module, "__all__", ())} <= {*listed}
    for public in listed:
        value = getattr(module, public)
        assert public[0] != "_"
        assert not isinstance(value, types.ModuleType), public
        home = str(getattr(value, "__module__", ""))
        assert home.partition(".")[0] not in ("abc", "dataclasses", "__future__"), public
