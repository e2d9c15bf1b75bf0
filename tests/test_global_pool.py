"""Pooling over whole images or a given number of windows: against NumPy, ties, what it refuses."""

import re
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import reference
from deepfs.layers import (
    AdaptiveAvgPool2D,
    Epilogue,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
)


@pytest.mark.parametrize("shape", [(3, 2, 6, 8), (2, 70, 5, 1), (0, 3, 4, 4)])
def test_the_mean_of_channels_matches_numpy(shape, dtype, tolerance, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    y = GlobalAvgPool2D()(x)
    assert y.dtype == dtype
    assert_allclose(y, reference.global_avg_pool2d(x), **tolerance)


def test_the_mean_of_a_large_image_is_accurate(rng):
    """Here a single chain of a million float32 sums errs by 1 %."""
    x = rng.random((1, 2, 1000, 1000), np.float32) + 100
    wanted = reference.global_avg_pool2d(x.astype(np.float64))
    assert_allclose(GlobalAvgPool2D()(x), wanted, rtol=1e-6)


@pytest.mark.parametrize("image", [(4096, 3), (3, 4096), (129, 500), (700, 257)])
@pytest.mark.parametrize("channels", [1, 5, 20])
def test_the_mean_of_equal_pixels_is_theirs(image, channels, dtype, threads):
    """Equal numbers are the worst case: in a chain of thousands all roundings go one way."""
    x = np.full((2, channels, *image), 0.1, dtype)
    assert_allclose(GlobalAvgPool2D()(x), 0.1, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("make", [GlobalAvgPool2D, GlobalMaxPool2D, partial(AdaptiveAvgPool2D, 2)])
def test_an_image_without_pixels_is_refused(make):
    layer = make(name="top")
    message = f"{layer.label} needs an image with pixels, got shape (3, 0, 4)"
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((1, 3, 0, 4)))


@pytest.mark.parametrize("channels", [1, 3, 5, 30])
def test_the_largest_of_a_channel(channels, dtype, threads, rng):
    """Ties, -inf, NaN, more pixels than a byte counts; and a ReLU before it."""
    x = rng.integers(-3, 4, (6, channels, 16, 17)).astype(dtype)
    x[1], x[2], x[3, :, 3:5, 2] = -np.inf, 1, np.nan
    x[4] = -abs(x[4])
    layer = GlobalMaxPool2D()
    y, cache = layer.forward(x)
    assert y.dtype == dtype
    assert_array_equal(y, reference.global_max_pool2d(x))
    assert_array_equal(layer(x), y)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    assert_array_equal(dx, reference.global_max_pool2d_backward(x, dy))
    drelu = layer._backward(dy, cache[1], True, Epilogue(drelu=True))
    assert_array_equal(drelu, np.where(x > 0, dx, 0))


def test_the_first_of_equals_is_the_largest_of_a_channel():
    layer = GlobalMaxPool2D()
    y, cache = layer.forward(np.array([1.0, 7, 7, 2, 7, 0]).reshape(1, 1, 2, 3))
    assert y == [[7]]
    assert_array_equal(layer.backward([[5.0]], cache)[0, 0], [[0, 5, 0], [0, 0, 0]])


@pytest.mark.parametrize("size", [1, (2, 3), (4, 6), (5, 4), (9, 11)])
@pytest.mark.parametrize("image", [(4, 6), (5, 7), (1, 1), (13, 2)])
@pytest.mark.parametrize("channels", [1, 3, 21])
def test_windows_that_share_out_an_image(size, image, channels, dtype, tolerance, threads, rng):
    x = rng.standard_normal((2, channels, *image)).astype(dtype)
    layer = AdaptiveAvgPool2D(size)
    y, cache = layer.forward(x)
    assert y.dtype == dtype
    assert_allclose(y, reference.adaptive_avg_pool2d(x, layer.output_size), **tolerance)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, wanted = layer.backward(dy, cache), reference.adaptive_avg_pool2d_backward(x, dy)
    assert_allclose(dx, wanted, rtol=0, atol=20 * tolerance["atol"])


def test_windows_that_share_out_three_pixels():
    """As PyTorch: two windows of two pixels each, which share the one in the middle."""
    x = np.array([1.0, 10, 100]).reshape(1, 1, 1, 3)
    layer = AdaptiveAvgPool2D((1, 2))
    y, cache = layer.forward(x)
    assert_array_equal(y[0, 0, 0], [5.5, 55])
    dx = layer.backward(np.array([2.0, 4]).reshape(1, 1, 1, 2), cache)
    assert_array_equal(dx[0, 0, 0], [1, 3, 2])
    assert_array_equal(AdaptiveAvgPool2D((1, 6))(x)[0, 0, 0], [1, 1, 10, 10, 100, 100])


@pytest.mark.parametrize("size", [0, -1, 2**31, 2**63 - 1, (1, 2, 3), (2, 0), ()])
def test_an_output_size_out_of_range_is_refused(size):
    message = "output_size must be a positive int or two of them"
    with pytest.raises(ValueError, match=message):
        AdaptiveAvgPool2D(size)


@pytest.mark.parametrize("size", [1.0, None, True, "2", "22", (1, None)])
def test_an_output_size_of_another_kind_is_refused(size):
    message = "output_size must be a positive int or two of them"
    with pytest.raises(TypeError, match=message):
        AdaptiveAvgPool2D(size)
