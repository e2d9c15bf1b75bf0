"""Reshape: against NumPy, the order of the entries, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.layers import channels_first, channels_last


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
    for seen in (x, channels_first(channels_last(x))):
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


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (L.Reshape((5, 2), name="r"), (3, 4), 'Reshape "r" must give shape (5, 2), got samples of'),
        (L.Reshape((5, -1)), (3, 4), "must give shape (5, -1), got samples of shape (3, 4)"),
        (L.Reshape((2, 2)), (2, 4), "must give shape (2, 2), got samples of shape (2, 4)"),
        (L.Reshape(-1), (0, 4), "must give shape (-1,), got samples of shape (0, 4)"),
    ],
)
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
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
