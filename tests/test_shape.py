"""Layers that rearrange: against NumPy, the order of numbers, and what they refuse."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference


def channels_last(x):
    """Return the same images, channels-last in memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((24,), (24,)),
        (24, (24,)),
        (-1, (24,)),
        ((6, 4), (6, 4)),
        ([4, -1], (4, 6)),
        ((4, -1, 3), (4, 2, 3)),
        ((2, 3, 4, -1), (2, 3, 4, 1)),
    ],
)
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_reshape_keeps_the_order_that_people_read(shape, wanted, batch, rng):
    x = rng.standard_normal((batch, 2, 3, 4))
    layer = L.Reshape(shape)
    assert layer.out_shape((2, 3, 4)) == wanted
    for seen in (x, channels_last(x)):
        y, cache = layer.forward(seen)
        assert_array_equal(y, reference.reshape(x, wanted))
        dy = rng.standard_normal(y.shape)
        dx = layer.backward(dy, cache)
        assert_array_equal(dx, reference.reshape_backward(x, dy))
        assert not np.may_share_memory(dx, dy)


def test_reshape_undoes_flatten(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    net = L.Sequential([L.Conv2D(4, 1), L.Flatten(), L.Reshape((4, 4, 5)), L.Conv2D(2, 3)])
    short = L.Sequential([net.layers[0], net.layers[3]])
    assert_array_equal(net(x), short(x))


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_flatten_gradient_is_a_shape(batch, rng):
    x, layer = rng.standard_normal((batch, 3, 4, 5)), L.Flatten()
    y, cache = layer.forward(channels_last(x))
    assert_array_equal(y, reference.flatten(x))
    dy = rng.standard_normal(y.shape)
    assert_array_equal(layer.backward(dy, cache), reference.flatten_backward(x, dy))


@pytest.mark.parametrize(
    ("padding", "sides"),
    [(0, (0, 0, 0, 0)), (2, (2, 2, 2, 2)), ((1, 3), (1, 1, 3, 3)), ((0, 1, 2, 3), (0, 1, 2, 3))],
)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (0, 3, 4, 5), (2, 1, 1, 1), (2, 3, 0, 5)])
def test_zeros_around_an_image(padding, sides, shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = L.ZeroPad2D(padding)
    for seen in (x, channels_last(x)):
        y, cache = layer.forward(seen)
        assert y.dtype == dtype
        assert_array_equal(y, reference.zero_pad2d(x, sides))
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = layer.backward(dy, cache)
        assert_array_equal(dx, reference.zero_pad2d_backward(x, dy, sides))
        assert not np.may_share_memory(dx, dy)


@pytest.mark.parametrize("factor", [1, 2, (1, 3), (4, 2)])
@pytest.mark.parametrize("channels", [1, 3, 5, 40])
def test_upsampling_matches_numpy(factor, channels, dtype, tolerance, threads, rng):
    x = rng.standard_normal((2, channels, 3, 4)).astype(dtype)
    layer = L.Upsample2D(factor)
    y, cache = layer.forward(x)
    assert y.dtype == dtype
    assert_array_equal(y, reference.upsample2d(x, layer.factor))
    dy = rng.standard_normal(y.shape).astype(dtype)
    wanted = reference.upsample2d_backward(x, dy, layer.factor)
    assert_allclose(layer.backward(dy, cache), wanted, **tolerance)


def test_upsampling_keeps_what_is_not_a_number():
    x = np.array([np.nan, np.inf, -np.inf, -0.0]).reshape(1, 1, 2, 2)
    y = L.Upsample2D((1, 2))(x)[0, 0]
    assert_array_equal(y, [[np.nan, np.nan, np.inf, np.inf], [-np.inf, -np.inf, 0, 0]])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Reshape((5, 2), name="r"), (3, 4), 'Reshape "r" must give shape (5, 2), got samples of'),
        (L.Reshape((5, -1)), (3, 4), "must give shape (5, -1), got samples of shape (3, 4)"),
        (L.Reshape((2, 2)), (2, 4), "must give shape (2, 2), got samples of shape (2, 4)"),
        (L.Reshape(-1), (0, 4), "must give shape (-1,), got samples of shape (0, 4)"),
        (L.ZeroPad2D(1), (3, 4), "ZeroPad2D takes 4 dimensional input, got shape (n, 3, 4)"),
        (L.Upsample2D(2), (3, 4), "Upsample2D takes 4 dimensional input, got shape (n, 3, 4)"),
        (L.Upsample2D(2), (3, 0, 4), "Upsample2D needs an image with pixels, got shape (3, 0, 4)"),
        (L.Upsample2D(2**29), (1, 2, 1), "1073741823 pixels a side, got 1073741824x5368709"),
    ],
)  # fmt: skip
def test_refuses_an_input(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((2, *shape)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Reshape((2, 0)), ValueError, r"positive entries, and -1 at most once, got"),
        (lambda: L.Reshape((-1, -1)), ValueError, "-1 at most once"),
        (lambda: L.Reshape(-2), ValueError, "each entry of shape must be at least -1, got -2"),
        (lambda: L.Reshape((2, 1.0)), TypeError, "each entry of shape must be an int, got 1.0"),
        (lambda: L.Reshape(None), TypeError, "each entry of shape must be an int, got None"),
        (lambda: L.Reshape("12"), TypeError, "each entry of shape must be an int, got '12'"),
        (lambda: L.ZeroPad2D(-1), ValueError, "padding must be an int of at least 0, two or four"),
        (lambda: L.ZeroPad2D((1, 2, 3, -1)), ValueError, "padding must be at least 0, got -1"),
        (lambda: L.ZeroPad2D((1, 2, 3)), ValueError, r"two or four of them, .* got \(1, 2, 3\)"),
        (lambda: L.ZeroPad2D(2**31), ValueError, "padding must be an int of at least 0"),
        (lambda: L.ZeroPad2D("same"), TypeError, "padding must be one, two or four ints, got"),
        (lambda: L.ZeroPad2D(None), TypeError, "padding must be an int of at least 0"),
        (lambda: L.Upsample2D(0), ValueError, "factor must be a positive int or two of them"),
        (lambda: L.Upsample2D(2**63 - 1), ValueError, "factor must be a positive int or two of"),
        (lambda: L.Upsample2D(1.5), TypeError, "factor must be a positive int or two of them"),
        (lambda: L.Upsample2D(True), TypeError, "factor must be a positive int or two of them"),
    ],
)  # fmt: skip
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
