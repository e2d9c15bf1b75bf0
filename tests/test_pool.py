"""Pooling: against NumPy, its rules for ties, NaN and edges, and what it refuses."""

import re
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import pool
from deepfs import reference
from deepfs.layers import (
    AdaptiveAvgPool2D,
    AvgPool2D,
    Epilogue,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    MaxPool2D,
)
from deepfs.testing import any_work_on

# size, stride, padding, shape of x
CASES = [
    pytest.param((2, 2), (2, 2), 0, (3, 2, 6, 8), id="windows tile"),
    pytest.param((3, 3), (1, 1), 1, (2, 1, 5, 5), id="windows overlap, padded"),
    pytest.param((2, 1), (3, 2), 0, (1, 4, 7, 5), id="gaps and a remainder"),
    pytest.param((4, 4), (4, 4), (2, 0), (2, 3, 4, 4), id="padded above and below"),
    pytest.param((4, 2), (2, 2), (2, 1, 0, 1), (2, 70, 5, 5), id="four sides, many channels"),
    pytest.param((2, 2), (2, 2), 0, (2, 6, 7, 9), id="2 x 2 and a remainder"),
    pytest.param((2, 2), (2, 2), 0, (2, 35, 5, 6), id="2 x 2, many channels"),
    pytest.param((2, 2), (2, 2), (0, 1, 0, 0), (2, 5, 7, 8), id="2 x 2, padded below"),
    pytest.param((2, 2), (2, 2), (0, 0, 0, 1), (2, 5, 8, 9), id="2 x 2, padded on the right"),
    pytest.param((2, 2), (2, 2), (1, 0, 0, 0), (2, 1, 8, 8), id="2 x 2, padded above"),
    pytest.param((2, 2), (2, 2), 0, (0, 3, 4, 4), id="no images"),
]


@pytest.mark.parametrize(("size", "stride", "padding", "shape"), CASES)
def test_matches_numpy(size, stride, padding, shape, dtype, tolerance, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = MaxPool2D(size, stride, padding)
    assert_array_equal(layer(x), reference.max_pool2d(x, size, stride, layer.padding))
    for count in (True, False):
        y = AvgPool2D(size, stride, padding, count_include_pad=count)(x)
        assert y.dtype == dtype
        wanted = reference.avg_pool2d(x, size, stride, layer.padding, count)
        assert_allclose(y, wanted, **tolerance)


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


@pytest.mark.parametrize("make", [GlobalAvgPool2D, GlobalMaxPool2D, partial(AdaptiveAvgPool2D, 2)])
def test_an_image_without_pixels_is_refused(make):
    layer = make(name="top")
    message = f"{layer.label} needs an image with pixels, got shape (3, 0, 4)"
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((1, 3, 0, 4)))


@pytest.mark.parametrize(("size", "stride", "padding", "shape"), CASES)
def test_gradients_match_numpy(size, stride, padding, shape, tolerance, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    for count in (True, False):
        layer = AvgPool2D(size, stride, padding, count_include_pad=count)
        y, cache = layer.forward(x)
        dy = rng.standard_normal(y.shape).astype(dtype)
        wanted = reference.avg_pool2d_backward(x, dy, size, stride, layer.padding, count)
        assert_allclose(layer.backward(dy, cache), wanted, **tolerance)


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
    gated = layer._backward(dy, cache[1], True, Epilogue(drelu=True))
    assert_array_equal(gated, np.where(x > 0, dx, 0))


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


def test_ceil_mode_drops_a_window_that_begins_in_the_padding():
    assert MaxPool2D(2, 2, ceil_mode=True)(np.ones((1, 1, 5, 5))).shape[2:] == (3, 3)
    assert MaxPool2D(2, 3, padding=1, ceil_mode=True)(np.ones((1, 1, 5, 5))).shape[2:] == (2, 2)
    assert MaxPool2D(3, 2, ceil_mode=True)(np.ones((1, 1, 2, 2))).shape[2:] == (1, 1)
    y = AvgPool2D(2, 2, ceil_mode=True)(np.ones((1, 1, 3, 3)))
    assert_array_equal(y, np.ones((1, 1, 2, 2)))


def test_padding_counts_but_not_what_ceil_mode_adds_behind_it():
    """The last window begins at pixel 3 and has one more of padding; it divides by 2, not by 3."""
    layer = AvgPool2D(3, 2, padding=1, ceil_mode=True, count_include_pad=True)
    y, cache = layer.forward(np.ones((1, 1, 4, 4)))
    along = np.array([2 / 3, 1, 1 / 2])
    assert_allclose(y[0, 0], np.outer(along, along), rtol=1e-15)
    along = np.array([1 / 3, 2 / 3, 1 / 3, 1 / 3 + 1 / 2])
    dx = layer.backward(np.ones_like(y), cache)
    assert_allclose(dx[0, 0], np.outer(along, along), rtol=1e-15)


def test_padding_is_minus_infinity_to_a_maximum():
    assert_array_equal(MaxPool2D(3, padding=1)(np.full((1, 1, 2, 2), -5.0)), [[[[-5.0]]]])


def test_the_first_of_equals_gets_the_gradient():
    layer = MaxPool2D(2)
    y, cache = layer.forward(np.ones((1, 1, 2, 4)))
    dx = layer.backward(np.array([[[[3.0, 5.0]]]]), cache)
    assert_array_equal(dx[0, 0], [[3, 0, 5, 0], [0, 0, 0, 0]])


def test_nan_wins_and_minus_infinity_is_a_value():
    x = np.array([1.0, np.nan, 2.0, 3.0]).reshape(1, 1, 2, 2)
    assert np.isnan(MaxPool2D(2)(x)).all()
    layer = MaxPool2D(2)
    y, cache = layer.forward(np.full((1, 1, 2, 2), -np.inf))
    assert (y == -np.inf).all()
    assert layer.backward(np.ones_like(y), cache)[0, 0, 0, 0] == 1


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"kernel_size": 0}, (1, 1, 4, 4), "kernel_size must be a positive int or two of them"),
        ({"kernel_size": 3}, (1, 1, 2, 4), "{} window 3x3 exceeds the image, 2x4"),
        ({"kernel_size": 3, "padding": 1}, (1, 1, 0, 4), "{} window 3x3 exceeds the image, 0x4"),
        ({"kernel_size": 2}, (4, 4), "{} takes 4 dimensional input, got shape (n, 4)"),
        ({"kernel_size": 3, "padding": 2}, (1, 1, 9, 9), "at most half the window 3x3"),
    ],
)
@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
def test_refuses(kind, settings, shape, message):
    with pytest.raises(ValueError, match=re.escape(message.format(kind.__name__))):
        kind(**settings)(np.zeros(shape))


@pytest.mark.parametrize(
    ("size", "stride", "padding", "image"),
    [
        pytest.param((2, 2), (2, 2), 0, (6, 20), id="tiles, more than share a word"),
        pytest.param((2, 2), (2, 2), 0, (5, 7), id="a remainder"),
        pytest.param((3, 3), (2, 2), 1, (6, 9), id="overlapping"),
        pytest.param((3, 2), (1, 1), 1, (4, 12), id="all overlapping"),
        pytest.param((2, 1), (3, 2), 0, (7, 5), id="gaps"),
        pytest.param((15, 17), (2, 16), (4, 8), (14, 21), id="255 pixels, in a byte"),
        pytest.param((16, 16), (2, 15), (4, 8), (14, 21), id="256 pixels, in a word"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 5, 9, 30])
def test_max_pool_of_any_channels(size, stride, padding, image, channels, dtype, rng):
    """Every vector width and overlap; ties, -inf and NaN; inference; and a ReLU before it."""
    x = rng.integers(-3, 4, (1, channels, *image)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = -np.inf
    x[rng.random(x.shape) < 0.02] = np.nan
    x[rng.random(x.shape) < 0.1] = -0.0
    layer = MaxPool2D(size, stride, padding)
    y, cache = layer.forward(x)
    with np.errstate(invalid="ignore"):
        assert_array_equal(y, reference.max_pool2d(x, size, stride, layer.padding))
    assert_array_equal(layer(x), y)
    dy = rng.standard_normal(y.shape).astype(dtype)
    for n in (1, 3):
        with any_work_on(n):
            dx = layer.backward(dy, cache)
            gated = layer._backward(dy, cache[1], True, Epilogue(drelu=True))
        wanted = reference.max_pool2d_backward(x, dy, size, stride, layer.padding)
        assert_array_equal(dx, wanted)
        assert_array_equal(gated, np.where(x > 0, dx, 0))
        assert_array_equal(np.signbit(gated), np.signbit(np.where(x > 0, dx, 0)))


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0)]
)
@pytest.mark.parametrize("channels", [2, 3, 5, 9, 30])
def test_average_pool_of_any_channels(size, stride, padding, channels, dtype, tolerance, rng):
    """Every vector width and overlap: each channel comes out as it does alone."""
    x = rng.standard_normal((2, channels, 7, 8)).astype(dtype)
    layer = AvgPool2D(size, stride, padding)
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    for k in range(channels):
        alone, cache = layer.forward(x[:, k : k + 1])
        assert_allclose(y[:, k : k + 1], alone, **tolerance)
        assert_allclose(dx[:, k : k + 1], layer.backward(dy[:, k : k + 1], cache), **tolerance)


def test_kernels_refuse_what_would_crash():
    x, y, argmax = np.zeros((1, 4, 4, 1)), np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 1, 1))
    assert pool.argmax_words(2, 2, 2, x.itemsize) == 1
    good = (2, 2, 2, 2, 0, 0)
    for window in [(0, 2, 2, 2, 0, 0), (2, 2, 0, 2, 0, 0), (2, 2, 2, 2, -1, 0), (2**62,) * 6]:
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.max_pool2d_forward(x, y, argmax, *window)
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.max_pool2d_backward(y, argmax, x, *window)
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.avg_pool2d_forward(x, y, *window, 0, 0, False)
    for bad in (argmax[:, :1].copy(), np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 1, 2))):
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.max_pool2d_forward(x, y, bad, *good)
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.max_pool2d_backward(y, bad, x, *good)
    shared = (0, 0, 0, 0)
    for window in [(*shared, 1, 0), (0, 0, 2, 2, 0, 0), (2, 2, 0, 0, 0, 0)]:
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.avg_pool2d_forward(x, y, *window, 0, 0, 0)
    for count in (-1, 3):
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.avg_pool2d_backward(y, x, *good, 0, 0, count)
    with pytest.raises(ValueError, match="do not belong to one pooling"):
        pool.avg_pool2d_backward(y[:, :0], x, *shared, 0, 0, 0, 0, 0)
    for window in [(*shared, 0, 0), (2**16, 2**15, 1, 1, 0, 0)]:  # too large to be numbered
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.max_pool2d_forward(x, y, None, *window)
    with pytest.raises(ValueError, match="do not belong to one pooling"):
        pool.max_pool2d_forward(x, y, argmax, 16, 16, 2, 2, 0, 0)  # a word for each is needed
    with pytest.raises(ValueError, match="do not belong to one pooling"):
        pool.max_pool2d_backward(y, argmax, x, *good, y[:, :1].copy())
    for bits in (-1, 0x0404040404040404):  # no pixel; a number that no pixel of the window has
        pool.max_pool2d_backward(y + 1, np.full((1, 2, 1, 1), bits).view(float), x, *good)
        assert not x.any()
