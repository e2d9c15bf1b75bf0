"""Shrink of models: their training goes on; penalties, times, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.compress import shrink
from deepfs.optimizers import Group
from deepfs.regularizers import L1, GroupLasso


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "muon"])
def test_a_model_goes_on_where_it_was(optimizer, rng):
    x, y = rng.standard_normal((32, 6)).astype(np.float32), np.arange(32) % 3
    net = L.Sequential(
        [L.Dense(12, bias=False), L.BatchNorm(), L.ReLU(), L.Dense(8), L.ReLU(), L.Dense(3)]
    )
    model = dfs.Model(net, "cross_entropy", optimizer, class_names=["a", "b", "c"], seed=3)
    model.fit(x, y, 8, epochs=2, verbose=0)
    net["dense_1"].parameters()["weight"].value[:, ::3] = 0
    for name in ("gamma", "beta"):
        net["batchnorm_1"].parameters()[name].value[::3] = 0
    net["dense_2"].freeze()
    small, report = shrink(model, samples=0)
    assert report["dense_1"].outputs == (12, 8)
    assert np.abs(small.predict(x) - model.predict(x)).max() < 1e-5
    assert (small.steps, small.epochs, small.class_names) == (8, 2, ("a", "b", "c"))
    assert small.history == model.history
    old, new = (m.trainer.arena for m in (model, small))
    assert small.state.keys() == model.state.keys()
    keep = np.arange(12) % 3 > 0
    for kind, flat in model.state.items():
        whole, cut = old.split(flat), new.split(small.state[kind])
        assert_array_equal(cut["dense_1.weight"], whole["dense_1.weight"][:, keep])
        assert_array_equal(cut["dense_2.weight"], whole["dense_2.weight"][keep])
        assert_array_equal(cut["batchnorm_1.gamma"], whole["batchnorm_1.gamma"][keep])
    before = small.network["dense_2"].get_weights()
    # the same step on both: the units that were removed have no part in it
    logs = [m.train_on_batch(x, y) for m in (model, small)]
    assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], rel=1e-5)
    assert small.network["dense_2"].frozen
    assert all((before[n] == a).all() for n, a in small.network["dense_2"].get_weights().items())
    if optimizer != "muon":  # which makes the update of a matrix orthogonal, as a whole
        for name in ("dense_1.weight", "dense_3.weight"):
            left, right = (m.network.parameters()[name].value for m in (model, small))
            left = left[:, keep] if name == "dense_1.weight" else left
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
    assert small.fit(x, y, 8, epochs=1, verbose=0)["loss"][0] < 2
    assert small.steps == 13


@pytest.mark.parametrize("batch_norm", [False, True])
def test_units_that_a_penalty_sets_to_zero_go(batch_norm, rng):
    x = rng.standard_normal((64, 6)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    if batch_norm:
        first, names, penalty = [L.Dense(12), L.BatchNorm()], ["*.gamma", "*.beta"], L1
    else:
        first, names, penalty = [L.Dense(12)], "dense_1.weight", GroupLasso
    group = Group(names, regularizer=penalty(0.15, proximal=True), biases=True)
    net = L.Sequential([*first, L.ReLU(), L.Dense(2)])
    model = dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(0.2, groups=[group]), seed=0)
    model.fit(x, y, 16, epochs=15, verbose=0)
    small, report = shrink(model, samples=0)
    assert 1 <= small.network["dense_1"].units <= 9
    assert report.kept == []
    assert model.evaluate(x, y)["accuracy"] > 0.8
    assert np.abs(small.predict(x) - model.predict(x)).max() < 1e-5


def test_times_are_measured():
    net = L.Sequential([L.Dense(4), L.ReLU(), L.Dense(2)])
    net.build((3,))
    report = shrink(net, samples=2)[1]
    assert report.samples == 2
    assert all(ms > 0 for row in report.rows for ms in row.ms)
    assert "time of 2 samples" in repr(report)
    assert "ms" in report._repr_html_()
    assert "ms" not in repr(shrink(net, samples=0)[1]).splitlines()[0]


def test_what_shrink_refuses():
    net = L.Dense(2)
    with pytest.raises(RuntimeError, match=r"call fit, or network.build\(in_shape\)"):
        shrink(net)
    with pytest.raises(TypeError, match="takes a Model or a network, got 3"):
        shrink(3)
    net.build((3,))
    with pytest.raises(ValueError, match="tolerance must be in"):
        shrink(net, -1.0)
    for kinds in ([L.ReLU()], [L.Dense], 3):
        with pytest.raises(TypeError, match="elementwise takes classes of layers of your own, got"):
            shrink(net, elementwise=kinds)
    assert shrink(net, samples=0)[0].units == 2
