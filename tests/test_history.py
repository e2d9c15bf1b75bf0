"""History: a dict of lists, as CSV, as a DataFrame, as a plot."""

import sys
import types

import numpy as np
import pytest

import deepfs as dfs
from deepfs.training.history import History

NUMBERS = {"loss": [0.1 + 0.2, 1e-12, float("nan")], "val_loss": [2.0, float("inf")]}


@pytest.fixture
def history():
    return History({name: list(values) for name, values in NUMBERS.items()}, interrupted=True)


def test_is_a_dict_of_lists(history):
    assert dict(history) == dict(history.items()) == history.history
    assert list(history) == list(history.keys()) == ["loss", "val_loss"]
    assert "loss" in history
    assert "accuracy" not in history
    assert history["val_loss"] == [2.0, float("inf")]


def test_as_csv_with_all_digits_and_empty_cells(history, tmp_path):
    text = "epoch,loss,val_loss\n0,0.30000000000000004,2.0\n1,1e-12,inf\n2,nan,\n"
    assert history.to_csv() == text
    assert history.to_csv(tmp_path / "h.csv") is None
    assert (tmp_path / "h.csv").read_bytes() == text.encode()
    assert History().to_csv() == "epoch\n"


def test_as_a_frame(history):
    pytest.importorskip("pandas")
    frame = history.to_frame()
    assert list(frame.columns) == ["loss", "val_loss"]
    assert frame.index.name == "epoch"
    np.testing.assert_array_equal(frame["loss"], NUMBERS["loss"])
    np.testing.assert_array_equal(frame["val_loss"], [2.0, np.inf, np.nan])
    assert History().to_frame().shape == (0, 0)


def test_without_pandas_the_line_for_pip_is_named(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas, .*: pip install pandas"):
        history.to_frame()


def test_is_drawn_by_the_plots(history, monkeypatch):
    plots = types.ModuleType("deepfs.plots")
    plots.history = lambda drawn, ax: (drawn, ax)
    monkeypatch.setitem(sys.modules, "deepfs.plots", plots)
    assert history.plot() == (history, None)
    assert history.plot(ax=3) == (history, 3)


def test_a_training_gives_it_to_the_model():
    model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    found = model.fit(np.eye(4), np.arange(4) % 2, epochs=2, verbose=0)
    assert model.history is found
    assert found.to_csv().count("\n") == 3
