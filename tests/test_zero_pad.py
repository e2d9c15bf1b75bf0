"""ZeroPad2D: against NumPy, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.layers import channels_first, channels_last


@pytest.mark.parametrize(
    ("padding", "sides"),
    [(0, (0, 0, 0, 0)), (2, (2, 2, 2, 2)), ((1, 3), (1, 1, 3, 3)), ((0, 1, 2, 3), (0, 1, 2, 3))],
)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (0, 3, 4, 5), (2, 1, 1, 1), (2, 3, 0, 5)])
def test_zeros_around_an_image(padding, sides, shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = L.ZeroPad2D(padding)
    for seen in (x, channels_first(channels_last(x))):
        y, cache = layer.forward(seen)
        assert y.dtype == dtype
        assert_array_equal(y, reference.zero_pad2d(x, sides))
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = layer.backward(dy, cache)
        assert_array_equal(dx, reference.zero_pad2d_backward(x, dy, sides))
        assert not np.may_share_memory(dx, dy)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.ZeroPad2D(1), (3, 4), "ZeroPad2D takes 4 dimensional input, got shape (n, 3, 4)"),
    ],
)
def test_refuses_an_input(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((2, *shape)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.ZeroPad2D(-1), ValueError, "padding must be an int of at least 0, two or four"),
        (lambda: L.ZeroPad2D((1, 2, 3, -1)), ValueError, "padding must be at least 0, got -1"),
        (lambda: L.ZeroPad2D((1, 2, 3)), ValueError, r"two or four of them, .* got \(1, 2, 3\)"),
        (lambda: L.ZeroPad2D(2**31), ValueError, "padding must be an int of at least 0"),
        (lambda: L.ZeroPad2D("same"), TypeError, "padding must be one, two or four ints, got"),
        (lambda: L.ZeroPad2D(None), TypeError, "padding must be an int of at least 0"),
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
