"""Clipping of gradients: by the norm of all, by that of each array, by value."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deepfs as dfs
from deepfs import reference
from deepfs.optimizers import SGD, Adam
from every_optimizer import grouped_step


def test_clips_by_global_norm_over_an_arena(rng, threads):
    before, after, grads, _ = grouped_step(SGD(1.0, clip_norm=0.5), rng)
    norm, clipped = reference.clip_norm(list(grads.values()), 0.5)
    assert norm > 0.5
    for (name, w), g in zip(before.items(), clipped, strict=True):
        assert_allclose(after[name], w - g, rtol=1e-13, atol=1e-14)


def test_clips_each_array_by_its_own_norm(rng):
    before, after, grads, _ = grouped_step(SGD(1.0, clip_each=0.5), rng)
    for name, w in before.items():
        _, (g,) = reference.clip_norm([grads[name]], 0.5)
        assert_allclose(after[name], w - g, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("how", ["clip_norm", "clip_each"])
def test_a_short_gradient_is_not_stretched(how):
    w = np.zeros(2)
    norm = SGD(1.0, **{how: 5.5}).step(w, np.array([3.0, 4.0]), {}, 1)
    assert norm == 5
    assert_array_equal(w, [-3, -4])


def test_clips_by_value(rng):
    before, after, grads, _ = grouped_step(SGD(1.0, clip_value=0.5), rng)
    for name, w in before.items():
        assert_allclose(after[name], w - np.clip(grads[name], -0.5, 0.5), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_norm_is_that_of_float64_and_of_any_number_of_threads(dtype, rng):
    g = (1e18 * rng.standard_normal(100_003)).astype(dtype)
    g[17] = 3e25  # its square is beyond float32
    norms = set()
    for n in (1, 2, 3, 4):
        with dfs.testing.any_work_on(n):
            norms.add(SGD(1e-9, clip_norm=1.0).step(np.zeros_like(g), g, {}, 1))
    assert len(norms) == 1
    assert norms.pop() == pytest.approx(np.sqrt((g.astype(float) ** 2).sum()), rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_to_clip_by_a_norm_that_is_not_finite(bad):
    w, g = np.ones(3), np.array([1.0, bad, 1.0])
    optimizer = Adam(clip_norm=1.0)
    state = optimizer.init(w)
    with pytest.raises(FloatingPointError, match=rf"norm of the gradients at step 1 is {bad}"):
        optimizer.step(w, g, state, 1)
    assert_array_equal(w, 1)
    assert not state["m"].any()
