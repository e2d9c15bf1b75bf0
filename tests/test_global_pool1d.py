"""Pooling over whole sequences or a given number of windows: against NumPy, what it refuses."""

import re
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.layers import AdaptiveAvgPool1D, Epilogue, GlobalAvgPool1D, GlobalMaxPool1D

SHAPES = [(3, 2, 8), (2, 70, 5), (2, 5, 300), (0, 3, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_mean_matches_numpy(shape, dtype, tolerance, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = GlobalAvgPool1D()
    y, cache = layer.forward(x)
    assert y.dtype == dtype
    assert_allclose(y, reference.global_avg_pool1d(x), **tolerance)
    dy = rng.standard_normal(y.shape).astype(dtype)
    wanted = reference.global_avg_pool1d_backward(x, dy)
    assert_allclose(layer.backward(dy, cache), wanted, **tolerance)


def test_the_mean_of_a_long_sequence_is_accurate(rng):
    """Here a single chain of a million float32 sums errs by 1 %."""
    x = rng.random((1, 2, 1_000_000), np.float32) + 100
    wanted = reference.global_avg_pool1d(x.astype(np.float64))
    assert_allclose(GlobalAvgPool1D()(x), wanted, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_matches_numpy(shape, dtype, threads, rng):
    """Ties, -inf, NaN; and a ReLU before it."""
    x = rng.integers(-3, 4, shape).astype(dtype)
    x[:1, :, ::2], x[1:2, 1:] = -np.inf, np.nan
    layer = GlobalMaxPool1D()
    y, cache = layer.forward(x)
    assert_array_equal(y, reference.global_max_pool1d(x))
    assert_array_equal(layer(x), y)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    assert_array_equal(dx, reference.global_max_pool1d_backward(x, dy))
    drelu = layer._backward(dy, cache[1], True, Epilogue(drelu=True))
    assert_array_equal(drelu, np.where(x > 0, dx, 0))


@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("length", [1, 4, 7, 13])
def test_windows_that_share_out_a_sequence(size, length, dtype, tolerance, threads, rng):
    x = rng.standard_normal((2, 21, length)).astype(dtype)
    layer = AdaptiveAvgPool1D(size)
    y, cache = layer.forward(x)
    assert_allclose(y, reference.adaptive_avg_pool1d(x, size), **tolerance)
    dy = rng.standard_normal(y.shape).astype(dtype)
    wanted = reference.adaptive_avg_pool1d_backward(x, dy)
    assert_allclose(layer.backward(dy, cache), wanted, rtol=0, atol=20 * tolerance["atol"])


def test_by_hand():
    x = np.array([[[1.0, 10, 100]]])
    assert_array_equal(GlobalAvgPool1D()(x), [[37]])
    assert_array_equal(GlobalMaxPool1D()(x), [[100]])
    assert_array_equal(AdaptiveAvgPool1D(2)(x), [[[5.5, 55]]])


@pytest.mark.parametrize(
    ("make", "image"),
    [
        (GlobalAvgPool1D, "GlobalAvgPool2D"),
        (GlobalMaxPool1D, "GlobalMaxPool2D"),
        (partial(AdaptiveAvgPool1D, 2), "AdaptiveAvgPool2D"),
    ],
)
def test_refuses(make, image):
    layer = make(name="top")
    message = f"{layer.label} needs a sequence with entries, got shape (3, 0)"
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((1, 3, 0)))
    message = f"{layer.label} takes 3 dimensional input, got shape (n, 3, 4, 5): for images, use "
    with pytest.raises(ValueError, match=re.escape(message + image)):
        layer(np.zeros((1, 3, 4, 5)))


@pytest.mark.parametrize(
    ("size", "error"), [(0, ValueError), ((1, 2), TypeError), (2.0, TypeError)]
)
def test_an_output_size_that_is_refused(size, error):
    with pytest.raises(error, match="output_size must be a"):
        AdaptiveAvgPool1D(size)


def test_a_relu_before_the_largest_is_left_to_it(rng):
    x = rng.standard_normal((3, 4, 12))
    net = L.Sequential([L.ReLU(), GlobalMaxPool1D()])
    y, cache = net.forward(x)
    assert_array_equal(y, np.maximum(x, 0).max(axis=2))
    dx = net.backward(np.ones_like(y), cache)
    assert_array_equal(dx, x == x.max(axis=2, keepdims=True))
