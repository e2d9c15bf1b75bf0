"""Crop1D against NumPy. What it refuses is in test_crop.py."""

import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.layers import channels_first, channels_last


@pytest.mark.parametrize(
    ("cropping", "ends"), [(0, (0, 0)), (2, (2, 2)), ((3, 0), (3, 0)), ((0, 1), (0, 1))]
)
@pytest.mark.parametrize("shape", [(2, 3, 5), (0, 3, 5), (2, 1, 9)])
def test_a_sequence_without_its_ends(cropping, ends, shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = L.Crop1D(cropping)
    for seen in (x, channels_first(channels_last(x))):
        y, cache = layer.forward(seen)
        assert_array_equal(y, reference.crop1d(x, ends))
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = layer.backward(dy, cache)
        assert_array_equal(dx, reference.crop1d_backward(x, dy, ends))
