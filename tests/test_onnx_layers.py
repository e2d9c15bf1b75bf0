"""ONNX without the package: every layer and preprocessing has a form, and its absence is told."""

import inspect
import sys

import numpy as np
import pytest

import deepfs as dfs
from deepfs import layers as L
from deepfs import preprocessing as P
from deepfs.onnx import export
from deepfs.onnx._export_graph import WRITERS


def concrete(module, base):
    """Return the public classes of a module that can be made."""
    kinds = [getattr(module, name) for name in module.__all__]
    return [
        kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, base) and not inspect.isabstract(kind)
    ]


@pytest.mark.parametrize("kind", [*concrete(L, L.Layer), *concrete(P, P.Preprocess)])
def test_everything_public_has_an_onnx_form(kind):
    """A new class is written by a function with `writes` in a module deepfs/onnx/_export_*.py."""
    assert kind in WRITERS or hasattr(kind, "to_onnx"), f"deepfs.onnx cannot write {kind.__name__}"


def test_there_are_many():
    assert len(concrete(L, L.Layer)) > 55
    assert len(concrete(P, P.Preprocess)) == 8


def test_without_onnx_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    says = r"deepfs.onnx.save needs onnx, which is not installed: pip install 'deepfs\[onnx\]'"
    with pytest.raises(ImportError, match=says):
        dfs.onnx.save(L.Dense(2), tmp_path / "m.onnx", input_shape=(3,))
    model = dfs.Model(L.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    with pytest.raises(ImportError, match=says):
        model.export(tmp_path / "m.onnx", input_shape=(3,))
    assert not list(tmp_path.iterdir())


def test_names_of_the_module():
    assert dfs.onnx.save is export.save
    assert dir(dfs.onnx) == ["load", "save"]
    with pytest.raises(AttributeError, match=r"module 'deepfs.onnx' has no attribute 'saved'"):
        dfs.onnx.saved  # noqa: B018


def test_the_end_of_the_last_window_decides_about_padding():
    """So that no runtime rounds up: a window of 3 at stride 2 on 7 pixels, padded by 1 before."""
    from deepfs.onnx._export_windows import pads_of, shares

    pool = L.MaxPool1D(3, 2, padding=1, ceil_mode=True)
    assert pads_of((8,), pool._place(8)) == [1, 2]
    assert pads_of((7,), pool._place(7)) == [1, 1]
    np.testing.assert_array_equal(shares(8, 1, 1, 5, 2, 3, 1, 1), [1, 1, 1, 1, 1.5])
    np.testing.assert_array_equal(shares(4, 1, 0, 2, 3, 3, 2, 0), [1.5, 3])
