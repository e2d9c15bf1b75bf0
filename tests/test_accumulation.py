"""Several batches in one step: the gradients of all their samples together."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import deepfs as dfs
from deepfs import layers as L

LOSSES = [
    dfs.losses.CrossEntropy(),
    dfs.losses.CrossEntropy(ignore_index=2, class_weight=[1.0, 3.0, 1.0]),
    dfs.losses.CrossEntropy(reduction="sum"),
]


def trained(loss, data, batch_size, steps, **settings):
    dfs.set_seed(5)
    net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.Dense(3)])
    model = dfs.Model(net, loss, dfs.optimizers.Momentum(1e-3, clip_norm=1.0), **settings)
    history = model.fit(*data, batch_size, 2, gradient_accumulation_steps=steps, verbose=0)
    return model, history


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("samples", [24, 31, 25])  # even; parts of a batch; one sample left
def test_a_step_is_that_of_all_samples_at_once(loss, samples, rng):
    data = rng.random((samples, 1, 6, 6)), rng.integers(0, 3, samples)
    whole, expected = trained(loss, data, 12, 1)
    parts, history = trained(loss, data, 4, 3)
    assert parts.steps == whole.steps
    assert_allclose(parts.arena.values, whole.arena.values, rtol=1e-12, atol=1e-14)
    assert history.history.keys() == expected.history.keys()
    for name in expected.history:
        assert_allclose(history[name], expected[name], rtol=1e-12)


def test_a_part_whose_targets_are_all_ignored_adds_nothing(rng):
    x, y = rng.random((8, 1, 6, 6)), np.array([0, 1, 0, 1, 2, 2, 2, 2])

    def values(n, batch_size, steps):
        dfs.set_seed(5)
        model = dfs.Model(L.Dense(3), LOSSES[1], dfs.optimizers.SGD())
        model.fit(x[:n], y[:n], batch_size, shuffle=False, verbose=0,
                  gradient_accumulation_steps=steps)  # fmt: skip
        return model.arena.values

    assert_allclose(values(8, 4, 2), values(4, 4, 1), rtol=1e-12, atol=1e-14)


def test_a_loss_that_is_not_finite_in_a_later_part_takes_no_step(rng):
    net = L.Sequential([L.Dense(5, initializer="ones"), L.BatchNorm(), L.Dense(3)])
    model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    x, y = rng.random((8, 5)), np.arange(8) % 3
    model.train_on_batch(x, y)
    before = model.arena.values.copy(), net.layers[1].buffers()["running_mean"].copy()
    x[6] = 1e308  # its sum overflows
    with (
        pytest.raises(FloatingPointError, match="the loss at step 2 is"),
        np.errstate(all="ignore"),
    ):
        model.fit(x, y, 4, gradient_accumulation_steps=2, shuffle=False, verbose=0)
    assert (model.arena.values == before[0]).all()
    assert (net.layers[1].buffers()["running_mean"] == before[1]).all()


@pytest.mark.parametrize("steps", [0, -1, 1.0, None, True])
def test_refuses(steps, rng):
    model = dfs.Model(L.Dense(3), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    with pytest.raises((TypeError, ValueError), match="gradient_accumulation_steps must be"):
        model.fit(np.ones((2, 2)), [0, 1], gradient_accumulation_steps=steps)
