"""The learning-rate range test finds a rate that works, and leaves no trace."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import deepfs as dfs
from deepfs.training.lr_finder import RangeTest
from models import small_model


@pytest.fixture
def data(rng):
    return rng.random((40, 1, 8, 8), np.float32), rng.integers(0, 3, 40)


@pytest.mark.parametrize("begun", [False, True])
def test_leaves_everything_as_it_was(begun, data):
    def go(find):
        dfs.set_seed(1)
        model = small_model()
        model.predict(data[0])  # builds it
        if begun:
            model.fit(*data, 8, verbose=0)
        if find:
            before = copy.deepcopy(model)
            test = model.lr_find(*data, 8, steps=30)
            assert len(test.lrs) == len(test.losses) == len(test.smooth) <= 30
            assert_array_equal(model.trainer.prepare().grads, before.trainer.prepare().grads)
        history = model.fit(*data, 8, 2, verbose=0)
        arrays = [model.arena.values, *model.state.values(), *model.network.buffers().values()]
        return arrays, history, (model.steps, model.epochs, repr(model.optimizer))

    found, plain = go(True), go(False)
    assert found[1:] == plain[1:]
    for a, b in zip(found[0], plain[0], strict=True):
        assert_array_equal(a, b)


def test_the_losses_are_those_of_a_training_at_these_rates(data):
    dfs.set_seed(1)
    model = small_model()
    model.predict(data[0])
    copied = copy.deepcopy(model)
    test = model.lr_find(*data, 40, min_lr=1e-4, max_lr=1e-1, steps=5)
    np.testing.assert_allclose(test.lrs, np.geomspace(1e-4, 1e-1, 5), rtol=1e-12)
    order = dfs.random.Random(1, 2**32 - 1)
    smooth = 0.0
    for t, lr in enumerate(test.lrs):
        picked = order.permutation(40)
        copied.optimizer.lr = float(lr)
        loss = copied.train_on_batch(data[0][picked], data[1][picked])["loss"]
        smooth = 0.9 * smooth + 0.1 * loss
        assert test.losses[t] == loss
        assert test.smooth[t] == pytest.approx(smooth / (1 - 0.9 ** (t + 1)), rel=1e-12)


def test_stops_when_the_loss_is_many_times_its_least(data):
    test = small_model().lr_find(*data, 8, max_lr=1e6, steps=200, stop=2.0)
    assert len(test.lrs) < 200
    assert test.smooth[-1] > 2 * test.smooth.min()
    assert (test.smooth[:-1] <= 2 * np.minimum.accumulate(test.smooth[:-1])).all()


def test_what_is_suggested_trains(data):
    (x, y), _ = dfs.datasets.mnist_mini()
    dfs.set_seed(0)
    model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    test = model.lr_find(x, y)
    model.optimizer.lr = test.suggestion
    assert model.fit(x, y, epochs=3, verbose=0)["accuracy"][-1] > 0.8


def test_the_suggestion_is_where_the_loss_falls_fastest():
    lrs = np.geomspace(1e-5, 1, 6)
    test = RangeTest(lrs, np.zeros(6), np.array([3.0, 2.9, 2.0, 1.9, 4.0, 1.95]))
    assert test.suggestion == lrs[1]
    with pytest.raises(ValueError, match="falls at no rate from 1e-05 to 1: lr_find needs"):
        RangeTest(lrs, np.zeros(6), np.arange(1.0, 7.0)).suggestion  # noqa: B018


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_lr": 0}, "min_lr must be"),
        ({"min_lr": 1.0, "max_lr": 1e-3}, "max_lr must be above min_lr, got 0.001 and 1"),
        ({"steps": 1}, "steps must be at least 2"),
        ({"stop": 1.0}, "stop must be"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_refuses(settings, message, data):
    with pytest.raises(ValueError, match=message):
        small_model().lr_find(*data, **settings)
