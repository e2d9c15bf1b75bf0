"""Pooling of sequences: against NumPy, as images of height 1, ties, edges, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.layers import AvgPool1D, Epilogue, MaxPool1D

# size, stride, padding, shape of x, dilation
CASES = [
    pytest.param(2, 2, 0, (3, 2, 8), 1, id="windows tile"),
    pytest.param(3, 1, 1, (2, 1, 5), 1, id="windows overlap, padded"),
    pytest.param(2, 3, 0, (1, 4, 7), 1, id="gaps and a remainder"),
    pytest.param(4, 4, (2, 0), (2, 70, 6), 1, id="padded on the left, many channels"),
    pytest.param(4, 3, (0, 1), (2, 5, 9), 1, id="padded on the right"),
    pytest.param(300, 7, 150, (2, 5, 310), 1, id="more entries than a byte counts"),
    pytest.param(2, 2, 0, (0, 3, 4), 1, id="no sequences"),
    pytest.param(3, 2, (2, 1), (2, 5, 9), 1, id="padded by all but an entry"),
    pytest.param(2, 2, 0, (2, 9, 12), 3, id="dilated"),
    pytest.param(3, 1, (4, 3), (2, 2, 8), 2, id="dilated and padded"),
]


@pytest.mark.parametrize(("size", "stride", "padding", "shape", "dilation"), CASES)
def test_matches_numpy(size, stride, padding, shape, dilation, dtype, tolerance, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = MaxPool1D(size, stride, padding, dilation=dilation)
    window = (size, stride, layer.padding)
    y, cache = layer.forward(x)
    assert y.dtype == dtype
    assert_array_equal(y, reference.max_pool1d(x, *window, dilation))
    assert_array_equal(layer(x), y)
    assert layer.out_shape(shape[1:]) == y.shape[1:]
    largest, indices = layer.with_indices(x)
    assert_array_equal(largest, y)
    assert_array_equal(indices, reference.max_pool1d_indices(x, y.shape[2], *window, dilation))
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    assert_allclose(dx, reference.max_pool1d_backward(x, dy, *window, dilation), **tolerance)
    drelu = layer._backward(dy, cache[1], True, Epilogue(drelu=True))
    assert_array_equal(drelu, np.where(x > 0, dx, 0))
    for count in (True, False):
        layer = AvgPool1D(size, stride, padding, count_include_pad=count, dilation=dilation)
        y, cache = layer.forward(x)
        assert_allclose(y, reference.avg_pool1d(x, *window, count, dilation), **tolerance)
        wanted = reference.avg_pool1d_backward(x, dy, *window, count, dilation)
        assert_allclose(layer.backward(dy, cache), wanted, **tolerance)


@pytest.mark.parametrize("padding", [1, (1, 0), "same", "valid"])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize(("length", "dilation"), [(3, 1), (8, 1), (11, 1), (5, 2), (8, 2)])
def test_windows_lie_as_those_of_images_of_height_1(padding, ceil, length, dilation, rng):
    """With the same bits, the odd entry of "same" at the end, and windows added by ceil_mode."""
    x = rng.standard_normal((2, 3, length))
    around = padding if isinstance(padding, str) else (0, 0, *np.broadcast_to(padding, 2))
    for kind, image, more in [
        (MaxPool1D, L.MaxPool2D, {}),
        (AvgPool1D, L.AvgPool2D, {}),
        (AvgPool1D, L.AvgPool2D, {"count_include_pad": True}),
    ]:
        layer = kind(3, 2, padding, ceil_mode=ceil, dilation=dilation, **more)
        other = image((1, 3), (1, 2), around, ceil_mode=ceil, dilation=(1, dilation), **more)
        y, cache = layer.forward(x)
        wanted, other_cache = other.forward(x[:, :, None])
        assert_array_equal(y, wanted[:, :, 0])
        assert layer.out_shape((3, length)) == y.shape[1:]
        dx = other.backward(wanted, other_cache)
        assert_array_equal(layer.backward(y, cache), dx[:, :, 0])


def test_by_hand():
    x = np.array([[[1.0, 4, 2, 2, 7]]])
    assert_array_equal(MaxPool1D()(x), [[[4, 2]]])
    assert_array_equal(MaxPool1D(ceil_mode=True)(x), [[[4, 2, 7]]])
    assert_array_equal(AvgPool1D()(x), [[[2.5, 2]]])
    assert_array_equal(AvgPool1D(2, padding=(1, 0))(x), [[[1, 3, 4.5]]])
    assert_array_equal(AvgPool1D(2, padding=(1, 0), count_include_pad=True)(x), [[[0.5, 3, 4.5]]])
    layer = MaxPool1D(5)
    _, cache = layer.forward(np.array([[[1.0, 3, 3, 0, 3]]]))
    assert_array_equal(layer.backward([[[2.0]]], cache), [[[0, 2, 0, 0, 0]]])
    assert np.isnan(MaxPool1D(3)(np.array([[[1.0, np.nan, 2.0]]])))


def test_a_relu_before_it_is_left_to_it(rng):
    """In a network, after a convolution: the same bits as one after the other."""
    x = rng.standard_normal((3, 4, 12))
    net = L.Sequential([L.Conv1D(5, 3), L.ReLU(), MaxPool1D(2)])
    y, cache = net.forward(x)
    dx = net.backward(np.cos(y), cache)
    convolution, relu, pool = net.layers
    a, first = convolution.forward(x)
    b, second = relu.forward(a)
    c, third = pool.forward(b)
    assert_array_equal(y, c)
    step = pool.backward(np.cos(c), third)
    assert_array_equal(dx, convolution.backward(relu.backward(step, second), first))


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"kernel_size": 0}, (1, 1, 4), "kernel_size must be at least 1, got 0"),
        ({"stride": 0}, (1, 1, 4), "stride must be at least 1, got 0"),
        ({"padding": -1}, (1, 1, 4), "padding must be an int of at least 0 or two of them, got -1"),
        ({"padding": "full"}, (1, 1, 4), "padding must be one of 'same', 'valid', got 'full'"),
        ({"kernel_size": 3, "padding": 3}, (1, 1, 9), "{} padding must be less than the window 3"),
        ({"padding": 3, "dilation": 2}, (1, 1, 9),
         "{} padding must be less than the window 2, which covers 3, got (3, 3)"),
        ({"dilation": 0}, (1, 1, 9), "dilation must be at least 1, got 0"),
        ({"kernel_size": 2, "stride": 1, "padding": "same", "dilation": 4}, (1, 1, 2),
         "{} window 2 dilated by 4 must contain an entry everywhere, but somewhere has only "
         "padding of the sequence, 2 entries padded by 2 and 2"),
        ({"kernel_size": 3}, (1, 1, 2), "{} window 3 exceeds the sequence, 2 entries"),
        ({"kernel_size": 5, "padding": 1}, (1, 1, 2),
         "{} window 5 exceeds the sequence, 2 entries padded by 1 and 1"),
        ({"kernel_size": 3, "padding": 1}, (1, 1, 0), "{} window 3 exceeds the sequence, 0 entr"),
        ({}, (1, 1, 4, 4), "{} takes 3 dimensional input, got shape (n, 1, 4, 4): for images, "),
        ({}, (4, 4), "got shape (n, 4): for sequences of one channel, x[:, None]"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [MaxPool1D, AvgPool1D])
def test_refuses(kind, settings, shape, message):
    with pytest.raises(ValueError, match=re.escape(message.format(kind.__name__))):
        kind(**settings)(np.zeros(shape))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": (2, 2)}, r"kernel_size must be an int, got \(2, 2\)"),
        ({"stride": 1.5}, "stride must be an int, got 1.5"),
        ({"ceil_mode": 1}, "ceil_mode must be True or False, got 1"),
        ({"pool_size": 2}, "has no argument 'pool_size': it is called 'kernel_size' here"),
        ({"strides": 2}, "has no argument 'strides': it is called 'stride' here"),
        ({"dilation_rate": 2}, "no argument 'dilation_rate': it is called 'dilation' here"),
        ({"return_indices": True}, "no argument 'return_indices': call with_indices"),
    ],
)
@pytest.mark.parametrize("kind", [MaxPool1D, AvgPool1D])
def test_refuses_a_setting(kind, settings, message):
    with pytest.raises(TypeError, match=message):
        kind(**settings)


def test_settings_that_are_assigned():
    layer = MaxPool1D(2, padding=1)
    layer.kernel_size = 3
    assert (layer.stride, layer.padding) == (3, (1, 1))
    assert layer(np.zeros((1, 1, 6))).shape == (1, 1, 2)
    layer.stride = 1  # after it was built, too
    assert layer(np.zeros((1, 1, 6))).shape == (1, 1, 6)
    with pytest.raises(ValueError, match="less than the window 1"):
        layer.kernel_size = 1
    assert layer.kernel_size == 3
