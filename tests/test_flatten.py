"""Flatten: against NumPy, from either memory order."""

import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.layers import channels_first, channels_last


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_flatten_gradient_is_a_shape(batch, rng):
    x, layer = rng.standard_normal((batch, 3, 4, 5)), L.Flatten()
    y, cache = layer.forward(channels_first(channels_last(x)))
    assert_array_equal(y, reference.flatten(x))
    dy = rng.standard_normal(y.shape)
    assert_array_equal(layer.backward(dy, cache), reference.flatten_backward(x, dy))
