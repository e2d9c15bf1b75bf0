"""Pruning during training: the schedule, what becomes zero and stays so, runs that are resumed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import layers as L
from deepfs.callbacks import Callback
from deepfs.compress import prune, shrink
from models import small_model

X = np.random.default_rng(0).standard_normal((32, 6)).astype(np.float32)
Y = np.arange(32) % 3


def dense_model(seed=0, **settings):
    net = L.Sequential([
        L.Dense(10, bias=False), L.BatchNorm(), L.ReLU(), L.Dense(8), L.Sigmoid(), L.Dense(3),
    ])  # fmt: skip
    return dfs.Model(net, "cross_entropy", dfs.optimizers.Adam(1e-2), seed=seed, **settings)


def fit(model, callback, epochs=3, **settings):
    return model.fit(X, Y, 8, epochs=epochs, verbose=0, callbacks=[callback], **settings)


class Zeros(Callback):
    """Notes the share of zeros of a weight after each step."""

    def __init__(self, name):
        self.name, self.shares = name, []

    def on_train_batch_end(self, batch, logs):
        self.shares.append(float((self.model.network.parameters()[self.name].value == 0).mean()))


def test_the_schedule_is_that_of_the_paper():
    callback = prune(0.8, start=10, stop=50, initial=0.2)
    t = np.arange(10, 51)
    right = 0.8 + (0.2 - 0.8) * (1 - (t - 10) / 40) ** 3
    assert_allclose([callback.share_at(count) for count in t], right)
    assert [callback.share_at(count) for count in (0, 9, 51, 1000)] == [0, 0, 0.8, 0.8]
    assert prune(0.8, stop=4, power=1).share_at(1) == pytest.approx(0.2)
    assert prune(0.8, start=5, stop=5).share_at(5) == 0.8


def test_the_smallest_weights_of_each_layer_become_zero_and_stay_so():
    model, zeros = dense_model(), Zeros("dense_2.weight")
    callback = prune(0.75, stop=8, every=2)
    history = model.fit(X, Y, 8, epochs=3, verbose=0, callbacks=[callback, zeros])
    right = [round(callback.share_at(count // 2 * 2) * 80) / 80 for count in range(1, 13)]
    assert_allclose(zeros.shares, right)
    assert history["sparsity"][-1] == pytest.approx((45 + 60 + 18) / (60 + 80 + 24))
    for name, parameter in model.network.parameters().items():
        weight = name.endswith("weight")
        assert (parameter.value == 0).sum() == (round(0.75 * parameter.size) if weight else 0)


def test_one_choice_takes_the_smallest_absolute_values():
    for scope in ("layer", "network"):
        model = dense_model()
        model.network.build((6,))
        before = {n: abs(p.value.copy()) for n, p in model.network.parameters().items()}
        callback = prune(0.5, start=0, stop=0, scope=scope, names=["dense_1.*", "dense_2.*"])
        callback.set_model(model)
        callback.on_train_begin({})
        callback.on_train_batch_begin(0, {})
        parameters = model.network.parameters()
        weights = {n: p.value for n, p in parameters.items() if n.endswith("weight")}
        assert not (weights.pop("dense_3.weight") == 0).any()
        chosen = {name: weight == 0 for name, weight in weights.items()}
        if scope == "layer":
            assert [mask.sum() for mask in chosen.values()] == [30, 40]
        gone = np.concatenate([before[n][mask] for n, mask in chosen.items()])
        left = np.concatenate([before[n][~mask] for n, mask in chosen.items()])
        assert gone.size == left.size == 70
        if scope == "network":
            assert gone.max() <= left.min()


@pytest.mark.parametrize("scope", ["layer", "network"])
def test_whole_units_become_zero_with_all_that_belongs_to_them(scope):
    model = dense_model()
    history = fit(model, prune(0.5, structured=True, stop=8, every=4, scope=scope))
    parameters = {name: p.value for name, p in model.network.parameters().items()}
    gone = (parameters["dense_1.weight"] == 0).all(axis=0)
    assert_array_equal(parameters["batchnorm_1.gamma"] == 0, gone)
    assert_array_equal(parameters["batchnorm_1.beta"] == 0, gone)
    gone_2 = (parameters["dense_2.weight"] == 0).all(axis=0)
    assert_array_equal(parameters["dense_2.bias"] == 0, gone_2)
    assert gone.sum() + gone_2.sum() == 9
    assert (parameters["dense_3.weight"] != 0).all()  # outputs of the network
    assert history["sparsity"][-1] == 0.5
    small, report = shrink(model, samples=0)
    assert report.kept == []
    assert small.network["dense_1"].units == 10 - gone.sum()
    assert_allclose(small.predict(X), model.predict(X), atol=1e-6)
    if scope == "layer":
        assert (gone.sum(), gone_2.sum()) == (5, 4)


def test_the_units_of_the_smallest_norms_go():
    model = dense_model()
    model.network.build((6,))
    norms = np.linalg.norm(model.network["dense_1"].parameters()["weight"].value, axis=0)
    callback = prune(0.3, structured=True, start=0, stop=0, names="dense_1.weight")
    callback.set_model(model)
    callback.on_train_begin({})
    callback.on_train_batch_begin(0, {})
    weight = model.network["dense_1"].parameters()["weight"].value
    assert_array_equal(np.flatnonzero((weight == 0).all(axis=0)), np.sort(np.argsort(norms)[:3]))


def test_filters_that_are_added_go_together(rng):
    def conv(filters):
        return L.Conv2D(filters, 3, padding=1, bias=False)

    net = L.Sequential([
        conv(6), L.BatchNorm(), L.Residual([conv(4), L.BatchNorm(), L.ReLU(), conv(6)]),
        L.DepthwiseConv2D(3), L.GlobalAvgPool2D(), L.Dense(3),
    ])  # fmt: skip
    model = dfs.Model(net, "cross_entropy", "adam")
    x = rng.standard_normal((32, 2, 6, 6)).astype(np.float32)
    callback = prune(0.5, structured=True, stop=2, every=1)
    model.fit(x, Y, 8, epochs=1, verbose=0, callbacks=[callback])
    small, report = shrink(model, samples=0)
    assert report["conv2d_1"].outputs == report["residual_1.body.conv2d_2"].outputs == (6, 3)
    assert report["residual_1.body.conv2d_1"].outputs == (4, 2)
    assert_allclose(small.predict(x), model.predict(x), atol=1e-5)


@pytest.mark.parametrize("structured", [False, True])
def test_a_resumed_run_has_the_same_bits(structured, tmp_path):
    def callback():
        return prune(0.6, structured, start=1, stop=9, every=2)

    whole, half = small_model(seed=1), small_model(seed=1)
    x = np.random.default_rng(1).standard_normal((32, 1, 6, 6)).astype(np.float32)
    settings = {"batch_size": 8, "verbose": 0}
    history = whole.fit(x, Y % 2, epochs=4, callbacks=[callback()], **settings)
    with pytest.warns(UserWarning, match=r"ends after 9 steps, and fit took 4: .* give stop=4"):
        half.fit(x, Y % 2, epochs=1, callbacks=[callback()], checkpoint=tmp_path, **settings)
    again, last = small_model(seed=1), callback()
    resumed = again.fit(
        x, Y % 2, epochs=4, callbacks=[last], checkpoint=tmp_path, resume=True, **settings
    )
    assert resumed == history
    assert last.count == 16
    for name, parameter in whole.network.parameters().items():
        assert_array_equal(again.network.parameters()[name].value, parameter.value, name)
    assert any((p.value == 0).any() for p in again.network.parameters().values())


def test_frozen_weights_stay_and_another_model_starts_anew():
    model, callback = dense_model(), prune(0.5, stop=2, every=1)
    model.network.build((6,))
    model.network["dense_1"].freeze()
    model.optimizer.groups = [dfs.optimizers.Group("dense_3.*", frozen=True)]
    fit(model, callback, 1)
    parameters = model.network.parameters()
    assert (parameters["dense_1.weight"].value != 0).all()
    assert (parameters["dense_3.weight"].value != 0).all()
    assert (parameters["dense_2.weight"].value == 0).sum() == 40
    model.network.replace("dense_3", L.Dense(3))
    zero = parameters["dense_2.weight"].value == 0
    fit(model, callback, 1)  # what is zero stays so
    assert_array_equal(parameters["dense_2.weight"].value == 0, zero)
    other = dense_model(seed=5)
    fit(other, callback, 1)
    assert ((other.network.parameters()["dense_2.weight"].value == 0) != zero).any()
    units = dense_model()
    units.network.build((6,))
    units.network["batchnorm_1"].freeze()
    fit(units, prune(0.5, structured=True, stop=2, every=1), 1)
    small = shrink(units, samples=0)[1]
    assert (small["dense_1"].outputs, small["dense_2"].outputs) == ((10, 10), (8, 4))


def test_weights_that_are_restored_are_pruned():
    model = dense_model()
    stop = dfs.callbacks.EarlyStopping("loss", min_delta=10.0, patience=3)
    callbacks = [stop, prune(0.5, stop=8, every=1)]
    model.fit(X, Y, 8, epochs=5, verbose=0, callbacks=callbacks)
    assert stop.best_epoch == 0
    assert (model.network.parameters()["dense_2.weight"].value == 0).sum() == 40


def test_what_prune_refuses():
    for settings, error, text in (
        ({"sparsity": 1.0}, ValueError, r"sparsity must be in \[0, 1\)"),
        ({"start": 5, "stop": 4}, ValueError, "stop must be at least start, got 4 and 5"),
        ({"initial": 0.6}, ValueError, "initial must be at most sparsity, got 0.6 and 0.5"),
        ({"scope": "all"}, ValueError, "scope must be"),
        ({"every": 0}, ValueError, "every"),
        ({"names": 3}, TypeError, "names must be patterns of names of weights, got 3"),
        ({"structured": 1}, TypeError, "structured"),
    ):
        with pytest.raises(error, match=text):
            prune(**settings)
    with pytest.raises(
        ValueError, match=r"no weight matches names='conv\*' of prune; there are de"
    ):
        fit(dense_model(), prune(names="conv*"), 1)
    with pytest.raises(ValueError, match="prune has no filters or units to choose from"):
        fit(dense_model(), prune(structured=True, names="dense_3.*"), 1)
