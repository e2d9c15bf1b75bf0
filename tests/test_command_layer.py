"""``--layer``: commands read models that have layers of one's own."""

import sys

import numpy as np
import pytest

import deepfs as dfs
from deepfs import _command
from deepfs.cli import main

MODULE = """
from dataclasses import dataclass

from deepfs import layers as L


@dataclass(eq=False)
class Twice(L.Layer):
    def _forward(self, x, training):
        return 2 * x, None

    def _backward(self, dy, cache):
        return 2 * dy

    def _out_shape(self, shape):
        return shape


half = 0.5
"""


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A model with a layer of one's own, in a folder with the module of that layer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "own_twice", raising=False)
    (tmp_path / "own_twice.py").write_text(MODULE)
    import own_twice

    net = dfs.layers.Sequential([dfs.layers.Flatten(), own_twice.Twice(), dfs.layers.Dense(10)])
    model = dfs.Model(net, "cross_entropy", "adam", seed=0)
    x, y = np.random.default_rng(0).random((20, 1, 28, 28), np.float32), np.arange(20) % 10
    model.fit(x, y, epochs=1, verbose=0)
    model.save("m.safetensors")
    np.save("x.npy", x[0])
    yield model.predict_proba(x[:1])[0]
    monkeypatch.delitem(sys.modules, "own_twice", raising=False)


def test_predict(saved, capsys):
    assert main(["predict", "m.safetensors", "x.npy", "--layer", "own_twice:Twice"]) == 0
    assert capsys.readouterr().out == f"x.npy: {saved.argmax()} {saved.max():.2%}\n"


@pytest.mark.parametrize(
    "words", [["evaluate", "m.safetensors", "mnist_mini"], ["plan", "m.safetensors"],
              ["diagnose", "m.safetensors", "mnist_mini"]], ids=lambda words: words[0]
)  # fmt: skip
def test_others(words, saved, capsys):
    assert main([*words, "--layer=own_twice:Twice"]) in (0, 1)
    printed = capsys.readouterr()
    assert printed.out
    assert "error" not in printed.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "add --layer MODULE:Twice, with the module that defines it"),
        (["--layer", "own_twice:Twise"], "own_twice has no Twise: did you mean own_twice:Twice?"),
        (["--layer", "own_twice.py:Twice"], "a layer is named by its module: own_twice:Twice"),
        (["--layer", "own_twice:half"], "own_twice:half must be a class, got float"),
        (["--layer", "nowhere_at_all:Twice"], "there is no module nowhere_at_all here"),
    ],
)
def test_what_is_missing_is_said(words, wanted, saved, capsys):
    assert main(["predict", "m.safetensors", "x.npy", *words]) == 2
    assert wanted in capsys.readouterr().err


def test_a_network_of_deepfs_takes_no_layer(capsys):
    assert main(["plan", "mlp", "--layer", "own_twice:Twice"]) == 2
    assert "--layer is for a file, got the network mlp" in capsys.readouterr().err


def test_an_option_for_each_class():
    text = _command.in_options("x, which deepfs does not have: load(path, layers=[A, B])")
    assert "add --layer MODULE:A --layer MODULE:B, with" in text
