"""Pooling: against NumPy, its rules for ties, NaN and edges, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import pool
from deepfs import reference, use_reference
from deepfs.layers import (
    AvgPool2D,
    Epilogue,
    MaxPool2D,
)
from deepfs.testing import any_work_on

# size, stride, padding, shape of x, dilation
CASES = [
    pytest.param((2, 2), (2, 2), 0, (3, 2, 6, 8), (1, 1), id="windows tile"),
    pytest.param((3, 3), (1, 1), 1, (2, 1, 5, 5), (1, 1), id="windows overlap, padded"),
    pytest.param((2, 1), (3, 2), 0, (1, 4, 7, 5), (1, 1), id="gaps and a remainder"),
    pytest.param((4, 4), (4, 4), (2, 0), (2, 3, 4, 4), (1, 1), id="padded above and below"),
    pytest.param((4, 2), (2, 2), (2, 1, 0, 1), (2, 70, 5, 5), (1, 1), id="four sides, 70 channels"),
    pytest.param((2, 2), (2, 2), 0, (2, 6, 7, 9), (1, 1), id="2 x 2 and a remainder"),
    pytest.param((2, 2), (2, 2), 0, (2, 35, 5, 6), (1, 1), id="2 x 2, many channels"),
    pytest.param((2, 2), (2, 2), (0, 1, 0, 0), (2, 5, 7, 8), (1, 1), id="2 x 2, padded below"),
    pytest.param((2, 2), (2, 2), (0, 0, 0, 1), (2, 5, 8, 9), (1, 1), id="2 x 2, padded right"),
    pytest.param((2, 2), (2, 2), (1, 0, 0, 0), (2, 1, 8, 8), (1, 1), id="2 x 2, padded above"),
    pytest.param((2, 2), (2, 2), 0, (0, 3, 4, 4), (1, 1), id="no images"),
    pytest.param((3, 3), (1, 2), (2, 1, 0, 2), (2, 3, 5, 6), (1, 1), id="all but a pixel padded"),
    pytest.param((2, 2), (1, 1), 1, (2, 3, 6, 5), (2, 2), id="2 x 2, dilated"),
    pytest.param((2, 2), (2, 2), 0, (2, 9, 7, 8), (1, 2), id="2 x 2 side by side, dilated"),
    pytest.param((3, 2), (2, 3), (3, 4, 2, 0), (2, 5, 7, 9), (2, 3), id="dilated and padded"),
    pytest.param((2, 3), (3, 1), (1, 0, 3, 3), (1, 34, 6, 7), (3, 2), id="dilated, many channels"),
    pytest.param((1, 140), (1, 5), 0, (1, 2, 3, 290), (1, 2), id="dilated, longer than a chain"),
]
SETTINGS = ("size", "stride", "padding", "shape", "dilation")


@pytest.mark.parametrize(SETTINGS, CASES)
def test_matches_numpy(size, stride, padding, shape, dilation, dtype, tolerance, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = MaxPool2D(size, stride, padding, dilation=dilation)
    wanted = reference.max_pool2d(x, size, stride, layer.padding, dilation)
    assert_array_equal(layer(x), wanted)
    assert layer.out_shape(shape[1:]) == wanted.shape[1:]
    for count in (True, False):
        y = AvgPool2D(size, stride, padding, count_include_pad=count, dilation=dilation)(x)
        assert y.dtype == dtype
        wanted = reference.avg_pool2d(x, size, stride, layer.padding, count, dilation)
        assert_allclose(y, wanted, **tolerance)


@pytest.mark.parametrize(SETTINGS, CASES)
def test_gradients_match_numpy(size, stride, padding, shape, dilation, tolerance, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    for count in (True, False):
        layer = AvgPool2D(size, stride, padding, count_include_pad=count, dilation=dilation)
        y, cache = layer.forward(x)
        dy = rng.standard_normal(y.shape).astype(dtype)
        wanted = reference.avg_pool2d_backward(x, dy, size, stride, layer.padding, count, dilation)
        assert_allclose(layer.backward(dy, cache), wanted, **tolerance)


def test_dilated_windows_by_hand():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    assert_array_equal(MaxPool2D(2, 1, dilation=2)(x)[0, 0], [[10, 11], [14, 15]])
    assert_array_equal(AvgPool2D(2, 1, dilation=2)(x)[0, 0], [[5, 6], [9, 10]])
    same = MaxPool2D(3, 1, "same", dilation=2)  # 2 pixels of padding on every side
    assert_array_equal(same(x)[0, 0, 0], [10, 11, 10, 11])
    assert_array_equal(MaxPool2D(3, 1, 2)(x)[0, 0, 0], [0, 1, 2, 3, 3, 3])
    edge = AvgPool2D((1, 3), 1, (0, 0, 2, 2), count_include_pad=True)(x[:, :, :1])
    assert_allclose(edge[0, 0, 0], np.array([0, 1, 3, 6, 5, 3]) / 3, rtol=1e-15)


@pytest.mark.parametrize("size", [(2, 2), (16, 16)])  # indices of bytes, and of words
@pytest.mark.parametrize("dilation", [(1, 1), (1, 2)])
@pytest.mark.parametrize("channels", [1, 5])
def test_indices_say_where_the_maxima_are(size, dilation, channels, dtype, rng):
    x = rng.integers(-3, 4, (2, channels, 18, 33)).astype(dtype)
    x[rng.random(x.shape) < 0.02] = np.nan
    layer = MaxPool2D(size, (2, 3), (1, 0, 0, 1), dilation=dilation)
    y, indices = layer.with_indices(x)
    window = size, (2, 3), layer.padding, dilation
    assert_array_equal(y, layer(x))
    assert indices.dtype == np.int64
    assert_array_equal(indices, reference.max_pool2d_indices(x, y.shape[2:], *window))
    picked = np.take_along_axis(x.reshape(2, channels, -1), indices.reshape(2, channels, -1), 2)
    assert_array_equal(picked.reshape(y.shape), y)


def test_indices_by_hand():
    """Of equal values the first, in row order; lists are taken, and no image is fine."""
    y, indices = MaxPool2D(2, 1, 1).with_indices([[[[1.0, 5], [5, 2]]]])
    assert_array_equal(y[0, 0], [[1, 5, 5], [5, 5, 5], [5, 5, 2]])
    assert_array_equal(indices[0, 0], [[0, 1, 1], [2, 1, 1], [2, 2, 3]])
    assert MaxPool2D(2).with_indices(np.zeros((0, 3, 4, 6)))[1].shape == (0, 3, 2, 3)
    with use_reference():
        assert_array_equal(MaxPool2D(2).with_indices([[[[1.0, 5], [5, 2]]]])[1], [[[[1]]]])


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
        (
            {"kernel_size": 3, "padding": 3},
            (1, 1, 9, 9),
            "{} padding must be less than the window 3x3, got (3, 3, 3, 3)",
        ),
        (
            {"kernel_size": 2, "padding": (0, 0, 0, 3), "dilation": (1, 2)},
            (1, 1, 9, 9),
            "{} padding must be less than the window 2x2, which covers 2x3, got (0, 0, 0, 3)",
        ),
        ({"dilation": 0}, (1, 1, 4, 4), "dilation must be a positive int or two of them, got 0"),
        (
            {"kernel_size": 2, "dilation": 4},
            (1, 1, 4, 9),
            "{} window 2x2 dilated by 4x4 exceeds the image, 4x9",
        ),
        (
            {"kernel_size": 2, "stride": 1, "padding": "same", "dilation": (1, 4)},
            (1, 1, 5, 2),
            "{} window 2x2 dilated by 1x4 must contain a pixel everywhere, got one with only "
            "padding of the image, 5x2 + same",
        ),
    ],
)
@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
def test_refuses(kind, settings, shape, message):
    with pytest.raises(ValueError, match=re.escape(message.format(kind.__name__))):
        kind(**settings)(np.zeros(shape))


@pytest.mark.parametrize(
    ("size", "stride", "padding", "image", "dilation"),
    [
        pytest.param((2, 2), (2, 2), 0, (6, 20), 1, id="tiles, more than share a word"),
        pytest.param((2, 2), (2, 2), 0, (5, 7), 1, id="a remainder"),
        pytest.param((3, 3), (2, 2), 1, (6, 9), 1, id="overlapping"),
        pytest.param((3, 2), (1, 1), 1, (4, 12), 1, id="all overlapping"),
        pytest.param((2, 1), (3, 2), 0, (7, 5), 1, id="gaps"),
        pytest.param((15, 17), (2, 16), (4, 8), (14, 21), 1, id="255 pixels, in a byte"),
        pytest.param((16, 16), (2, 15), (4, 8), (14, 21), 1, id="256 pixels, in a word"),
        pytest.param((2, 2), (2, 2), (1, 2, 1, 2), (6, 20), (2, 3), id="dilated"),
        pytest.param((3, 2), (1, 3), (4, 0, 1, 2), (7, 9), (2, 2), id="dilated, padded by more"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3, 5, 9, 30])
def test_max_pool_of_any_channels(size, stride, padding, image, dilation, channels, dtype, rng):
    """Every vector width and overlap; ties, -inf and NaN; inference; and a ReLU before it."""
    x = rng.integers(-3, 4, (1, channels, *image)).astype(dtype)
    x[rng.random(x.shape) < 0.1] = -np.inf
    x[rng.random(x.shape) < 0.02] = np.nan
    x[rng.random(x.shape) < 0.1] = -0.0
    layer = MaxPool2D(size, stride, padding, dilation=dilation)
    window = size, stride, layer.padding, layer.dilation
    y, cache = layer.forward(x)
    with np.errstate(invalid="ignore"):
        assert_array_equal(y, reference.max_pool2d(x, *window))
    assert_array_equal(layer(x), y)
    dy = rng.standard_normal(y.shape).astype(dtype)
    for n in (1, 3):
        with any_work_on(n):
            dx = layer.backward(dy, cache)
            drelu = layer._backward(dy, cache[1], True, Epilogue(drelu=True))
        wanted = reference.max_pool2d_backward(x, dy, *window)
        assert_array_equal(dx, wanted)
        assert_array_equal(drelu, np.where(x > 0, dx, 0))
        assert_array_equal(np.signbit(drelu), np.signbit(np.where(x > 0, dx, 0)))


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
    for dilation in [(0, 1), (1, -1), (1, 2**30)]:
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.max_pool2d_forward(x, y, argmax, *good, *dilation)
        with pytest.raises(ValueError, match="do not belong to one pooling"):
            pool.avg_pool2d_backward(y, x, *good, 0, 0, 0, *dilation)
    with pytest.raises(ValueError, match="do not belong to one pooling"):  # shared out, dilated
        pool.avg_pool2d_forward(x, y, *(0,) * 9, 1, 2)
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
        pool.max_pool2d_backward(y, argmax, x, *good, 1, 1, y[:, :1].copy())
    for bits in (-1, 0x0404040404040404):  # no pixel; a number that no pixel of the window has
        pool.max_pool2d_backward(y + 1, np.full((1, 2, 1, 1), bits).view(float), x, *good)
        assert not x.any()


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation", "image"),
    [
        ((3, 3), (2, 2), 0, (1, 1), (40, 41)),
        ((2, 2), (2, 2), 0, (1, 1), (9, 12)),
        ((3, 2), (1, 3), (2, 1, 1, 0), (1, 1), (7, 10)),
        ((4, 5), (3, 2), (3, 2, 8, 7), (2, 2), (12, 30)),
        ((16, 15), (5, 16), (0, 0, 14, 14), (1, 1), (20, 90)),
        ((2, 3), (4, 1), (0, 0, 5, 5), (1, 3), (11, 3)),
        ((1, 2), (1, 1), 0, (1, 1), (2, 2100)),  # wider than the buffers of the few channels
    ],
)
def test_few_channels_have_the_bits_of_many(
    channels, size, stride, padding, dilation, image, dtype, threads, rng
):
    """The first channels of 40 go through `pool`, alone they go through `pool_few`."""
    many = rng.integers(-2, 3, (2, 40, *image)).astype(dtype)  # full of ties
    many[rng.random(many.shape) < 0.05] = -np.inf
    layers = [MaxPool2D(size, stride, padding, dilation=dilation)]
    layers += [
        AvgPool2D(size, stride, padding, count_include_pad=count, dilation=dilation)
        for count in (False, True)
    ]
    for layer in layers:
        x = many if layer is layers[0] else rng.standard_normal(many.shape).astype(dtype)
        y, cache = layer.forward(x)
        few, cache_of_few = layer.forward(x[:, :channels])
        assert_array_equal(few, y[:, :channels])
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = layer.backward(dy, cache)
        assert_array_equal(layer.backward(dy[:, :channels], cache_of_few), dx[:, :channels])
    y, cache = layers[0].forward(many)
    few = layers[0].forward(many[:, :channels])[1]
    end = Epilogue(drelu=True)
    dx = layers[0]._backward(dy, cache[1], True, end)
    assert_array_equal(layers[0]._backward(dy[:, :channels], few[1], True, end), dx[:, :channels])
