"""Pooling: against NumPy, its rules for ties, NaN and edges, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import pool
from deepfs import reference
from deepfs.layers import AvgPool2D, GlobalAvgPool2D, MaxPool2D

# size, stride, padding, shape of x
CASES = [
    pytest.param((2, 2), (2, 2), 0, (3, 2, 6, 8), id="windows tile"),
    pytest.param((3, 3), (1, 1), 1, (2, 1, 5, 5), id="windows overlap, padded"),
    pytest.param((2, 1), (3, 2), 0, (1, 4, 7, 5), id="gaps and a remainder"),
    pytest.param((4, 4), (4, 4), (2, 0), (2, 3, 4, 4), id="padded above and below"),
    pytest.param((4, 2), (2, 2), (2, 1, 0, 1), (2, 70, 5, 5), id="four sides, two slabs"),
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


def test_the_mean_of_channels_refuses_no_pixels():
    message = 'GlobalAvgPool2D "top" needs an image with pixels, got shape (3, 0, 4)'
    with pytest.raises(ValueError, match=re.escape(message)):
        GlobalAvgPool2D(name="top")(np.zeros((1, 3, 0, 4)))


def test_ceil_mode_drops_a_window_that_begins_in_the_padding():
    assert MaxPool2D(2, 2, ceil_mode=True)(np.ones((1, 1, 5, 5))).shape[2:] == (3, 3)
    assert MaxPool2D(2, 3, padding=1, ceil_mode=True)(np.ones((1, 1, 5, 5))).shape[2:] == (2, 2)
    assert MaxPool2D(3, 2, ceil_mode=True)(np.ones((1, 1, 2, 2))).shape[2:] == (1, 1)
    y = AvgPool2D(2, 2, ceil_mode=True)(np.ones((1, 1, 3, 3)))
    assert_array_equal(y, np.ones((1, 1, 2, 2)))


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


def test_kernels_refuse_what_would_crash():
    x, y, argmax = np.zeros((1, 4, 4, 1)), np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1), np.intc)
    for window in [(0, 2, 2, 2, 0, 0), (2, 2, 0, 2, 0, 0), (2, 2, 2, 2, -1, 0), (2**62,) * 6]:
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.max_pool2d_forward(x, y, argmax, *window)
    with pytest.raises(ValueError, match="do not belong to one pooling"):
        pool.max_pool2d_forward(x, y, argmax[:, :1].copy(), 2, 2, 2, 2, 0, 0)
    for bad in (np.full_like(argmax, -5), np.full_like(argmax, 2**31 - 1)):
        pool.max_pool2d_backward(y + 1, bad, x)  # numbers outside the image are skipped
        assert not x.any()
