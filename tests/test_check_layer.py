"""``deepfs check-layer``: what it prints, and its exit status."""

import os
import subprocess
import sys

import pytest

import cnn_core
from deepfs.cli import main
from deepfs.commands.check_layer import levels

LAYERS = '''
import cnn_core
import numpy as np
from deepfs.layers import Layer


class Double(Layer):
    """y = 2 x."""

    factor = 2

    def _out_shape(self, in_shape):
        if in_shape[0] != 5:
            raise ValueError(f"{self.label} takes 5 features, got {in_shape[0]}")
        return in_shape

    def _forward(self, x, training):
        return 2 * x, None

    def _backward(self, dy, cache, need_dx):
        return self.factor * dy


class Wrong(Double):
    factor = 3


class WrongAtOne(Double):
    factor = 3 if cnn_core.level == "v2" else 2
'''


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("mine", None)


def test_a_right_layer(capsys):
    assert main(["check-layer", "mine:Double", "--input", "4,5", "--level", cnn_core.level]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gradients and central differences agree in 20 entries"
    assert lines[2].split()[:4] == ["x", "20", "20", "0"]
    ends = [line for line in lines if line.startswith("checked: 19 properties of Double in ")]
    assert ["training" in end for end in ends] == [True, False]
    assert all(end.endswith(f"1, 2 and 4 threads, level {cnn_core.level}") for end in ends)


def test_shapes_of_its_own_and_several(capsys):
    assert main(["check-layer", "mine:Double", "--level", cnn_core.level]) == 0
    assert "inputs (6, 5) and (1741, 5), float64" in capsys.readouterr().out
    shapes = ["--input", "2,5", "--input", "3,5,4"]
    assert main(["check-layer", "mine:Double", *shapes, "--level", cnn_core.level]) == 0
    out = capsys.readouterr().out
    assert "inputs (2, 5) and (1741, 5), " in out
    assert "inputs (3, 5, 4) and (437, 5, 4), " in out


def test_a_wrong_layer(capsys):
    assert main(["check-layer", "mine:Wrong", "--input", "4,5", "--level", cnn_core.level]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Wrong in training fails 1 of 18 checks"
    assert lines[1].startswith("gradients: the gradient of x at (0, 0) is ")
    assert lines[2:5] == [
        f"at level {cnn_core.level}",
        "",
        "Wrong in inference fails 1 of 18 checks",
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mine:Doubl", "mine has no Doubl: did you mean mine:Double?"),
        ("mine.py:Double", "a layer is named by its module: mine:Double, got 'mine.py:Double'"),
        ("mine", "a layer is named by module:Class, such as swish:Swish, got 'mine'"),
        ("yours:Double", "there is no module yours here: run the command in the folder of yours"),
        ("mine:np", "mine:np must be a Layer, or make one; got module"),
    ],
)
def test_what_there_is_not(name, says, capsys):
    assert main(["check-layer", name]) == 2
    assert f"deepfs check-layer: error: {says}" in capsys.readouterr().err


def test_an_input_that_the_layer_refuses(capsys):
    assert main(["check-layer", "mine:Double", "--input", "4,6"]) == 2
    assert "error: Double takes 5 features, got 6" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["check-layer", "mine:Double", "--level", "v9"])
    assert "invalid choice: 'v9'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["check-layer", "mine:Double", "--seed", "-1"])
    assert "--seed: must be an int of at least 0, got '-1'" in capsys.readouterr().err


@pytest.mark.skipif("v2" not in levels() or len(levels()) < 2, reason="needs several levels")
def test_every_level():
    best = {**os.environ, "DEEPFS_ISA": levels()[0]}

    def run(name):
        command = [sys.executable, "-m", "deepfs", "check-layer", f"mine:{name}", "--input", "4,5"]
        return subprocess.run(command, env=best, capture_output=True, text=True, check=False)

    right = run("Double")
    assert right.returncode == 0, right.stderr
    ends = [line for line in right.stdout.splitlines() if line.startswith("checked: ")]
    assert [end.split()[-1] for end in ends] == [k for k in levels() for _ in range(2)]
    wrong = run("Wrong")
    assert wrong.returncode == 1
    assert wrong.stdout.count("the gradient of x") == 2
    assert "the same at level v2\n" in wrong.stdout
    one = run("WrongAtOne")
    assert one.returncode == 1
    assert one.stdout.count("the gradient of x") == 2
    assert one.stdout.endswith("at level v2\n")
