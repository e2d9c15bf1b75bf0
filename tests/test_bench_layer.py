"""`bench_layer` and `deepfs bench-layer`: what they time, compare with, warn of and refuse."""

import sys
import types
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs.cli import main
from deepfs.commands._layer_of import layer_of
from deepfs.testing import bench
from deepfs.testing.bench import nearest, vector_widths

SHAPE = (4, 3, 6, 6)


@dataclass(eq=False)
class Softplus2(L.Layer):
    """Named like a built-in layer."""

    def _out_shape(self, in_shape):
        return in_shape

    def _forward(self, x, training):
        return x.copy(), None

    def _backward(self, dy, cache, need_dx):
        return dy.copy() if need_dx else None


class Gate(Softplus2):
    """Named like none."""


class MyTanh(L.LeakyReLU):
    """Has a built-in base class."""


class MyDense(Softplus2):
    def _build(self, in_shape, dtype):
        self.add_parameter("w", (in_shape[0], 5), dtype, 0.1)

    def _out_shape(self, in_shape):
        return (5,)

    def multiply_adds(self, in_shape):
        return in_shape[0] * 5

    def _forward(self, x, training):
        return x @ self.learned["w"].storage, x

    def _backward(self, dy, cache, need_dx):
        self.learned["w"].dstorage += cache.T @ dy
        return dy @ self.learned["w"].storage.T


def example():
    return MyDense()


def test_times_and_shares():
    times = dfs.testing.bench_layer(MyDense(), (8, 3), seconds=0.01)
    assert 0 < times.forward < 1
    assert 0 < times.backward < 1
    assert times.forward_bandwidth > 0
    assert times.forward_peak > 0
    assert times.beside == "Dense"
    text = str(times)
    assert text.startswith("MyDense for x float32 (8, 3), ")
    assert text.count("% of the bandwidth of a copy") == 2
    assert text.count("% of the peak") == 2
    assert text.count(" times Dense") == 2


def test_an_element_wise_layer_has_no_peak():
    times = dfs.testing.bench_layer(Gate(), np.ones(SHAPE), beside=L.Tanh(), seconds=0.01)
    assert times.forward_peak is times.backward_peak is None
    assert "peak" not in str(times)
    assert times.beside == "Tanh"
    assert times.x == "float64 (4, 3, 6, 6)"


def test_what_a_pass_must_read_and_write():
    timed = bench._Timed(MyDense(), np.ones((8, 3)))
    x, y, w = 8 * 3 * 8, 8 * 5 * 8, 3 * 5 * 8
    assert timed.nbytes == (x + y + w, 2 * (x + w) + y)
    assert (timed.multiply_adds, timed.backward_work) == (8 * 15, 2 * 8 * 15)


@pytest.mark.parametrize(
    ("layer", "shape", "found"),
    [
        (Softplus2(), SHAPE, "Softplus"),
        (Gate(), SHAPE, "SiLU"),
        (MyTanh(0.3), SHAPE, "LeakyReLU"),
        (L.SiLU(), SHAPE, "SELU"),
        (MyDense(), (4, 3), "Dense"),
        (L.Conv2D(2, 3), SHAPE, "NoneType"),
    ],
)
def test_the_nearest_layer(layer, shape, found):
    layer.forward(np.ones(shape))
    other = nearest(layer, np.ones(shape))
    assert type(other).__name__ == found
    if found == "LeakyReLU":
        assert other.slope == 0.3


def test_narrow_vectors_are_warned_of(tmp_path, monkeypatch):
    """A compiled module says in its bytes how wide its vectors are."""
    core = bench._width_in(bench.Path(bench.activation.__file__))
    assert core in (16, 32, 64)
    suffix = bench.EXTENSION_SUFFIXES[-1]
    for name, width in (("narrow", core // 2), ("wide", core)):
        module = types.ModuleType(f"own_layers.{name}")
        module.__file__ = str(tmp_path / f"{name}{suffix}")
        text = b"\0cnn_core vectors of %d bytes\0" % width
        bench.Path(module.__file__).write_bytes(b"\x7fELF" + text)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    package = types.ModuleType("own_layers")
    monkeypatch.setitem(sys.modules, "own_layers", package)
    kind = type("Kind", (Gate,), {"__module__": "own_layers"})
    assert vector_widths(kind) == {"own_layers.narrow": core // 2, "own_layers.wide": core}
    said = f"own_layers.narrow has vectors of {core // 2} bytes, the kernels of deepfs here {core}"
    with pytest.warns(RuntimeWarning, match=said):
        times = dfs.testing.bench_layer(kind(), SHAPE, seconds=0.01)
    assert times.vector_bytes == core // 2
    monkeypatch.delitem(sys.modules, "own_layers.narrow")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dfs.testing.bench_layer(kind(), SHAPE, seconds=0.01).vector_bytes == core


def test_what_it_refuses():
    with pytest.raises(TypeError, match=r"bench_layer takes a Layer, such as Swish\(\), got .*Gat"):
        dfs.testing.bench_layer(Gate, SHAPE)
    with pytest.raises(TypeError, match="bench_layer takes a Layer"):
        dfs.testing.bench_layer(Gate(), SHAPE, beside=1)
    with pytest.raises(ValueError, match="seconds must be in"):
        dfs.testing.bench_layer(Gate(), SHAPE, seconds=0)


def test_the_command(capsys, monkeypatch):
    monkeypatch.setattr(
        "deepfs.commands.bench_layer.bench_layer", lambda *_, **given: given["beside"]
    )
    threads = dfs.get_num_threads()
    arguments = ["bench-layer", "deepfs.layers:Tanh", "--input", "2,3", "--beside"]
    assert main([*arguments, "deepfs.layers:ReLU"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "ReLU()"
    assert dfs.get_num_threads() == threads


@pytest.mark.parametrize("shape", ["2", "2,", "2,x", "0,3", "", "2,-3", "2;3", f"{2**63},2"])
def test_shapes_that_the_command_refuses(shape, capsys):
    with pytest.raises(SystemExit):
        main(["bench-layer", "deepfs.layers:Tanh", f"--input={shape}"])
    assert "--input: must be the shape of a batch, such as 32,3,28,28" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("tanh", ValueError, "a layer is named by module:Class, such as swish:Swish, got 'tanh'"),
        ("a b:Tanh", ValueError, "module:Class"),
        ("deepfs.layers:Tan", ValueError, "has no Tan: did you mean deepfs.layers:Tanh?"),
        ("deepfs.layers:Dense", TypeError, "needs arguments: write a function without any"),
        ("deepfs.layers:empty", TypeError, "needs arguments"),
        ("deepfs.layers:Layer", TypeError, "does not define _backward, _forward, _out_shape"),
        ("deepfs.losses:Hinge", TypeError, "must be a Layer, or make one; got Hinge"),
        ("no_such_module:Tanh", ImportError, "there is no module no_such_module here: run the"),
        ("deepfs.nothing:Tanh", ImportError, "there is no module deepfs.nothing here"),
    ],
)
def test_names_of_layers_that_are_refused(text, error, said):
    with pytest.raises(error) as caught:
        layer_of(text)
    assert said in str(caught.value)


def test_names_of_layers(monkeypatch):
    module = types.ModuleType("own_layers")
    module.example, module.Gate, module.made = example, Gate, Gate()
    monkeypatch.setitem(sys.modules, "own_layers", module)
    assert isinstance(layer_of("own_layers:example"), MyDense)
    assert isinstance(layer_of("own_layers:Gate"), Gate)
    assert layer_of("own_layers:made") is module.made
