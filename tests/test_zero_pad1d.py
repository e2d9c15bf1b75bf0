"""ZeroPad1D: against NumPy, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.layers import channels_first, channels_last


@pytest.mark.parametrize(
    ("padding", "ends"), [(0, (0, 0)), (2, (2, 2)), ((3, 0), (3, 0)), ((0, 1), (0, 1))]
)
@pytest.mark.parametrize("shape", [(2, 3, 5), (0, 3, 5), (2, 1, 0)])
def test_zeros_at_the_ends_of_a_sequence(padding, ends, shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = L.ZeroPad1D(padding)
    for seen in (x, channels_first(channels_last(x))):
        y, cache = layer.forward(seen)
        assert y.dtype == dtype
        assert_array_equal(y, reference.zero_pad1d(x, ends))
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = layer.backward(dy, cache)
        assert_array_equal(dx, reference.zero_pad1d_backward(x, dy, ends))
        assert not np.may_share_memory(dx, dy)


def test_refuses_an_input():
    message = "ZeroPad1D takes 3 dimensional input, got shape (n, 3, 4, 5): for images, use "
    with pytest.raises(ValueError, match=re.escape(message)):
        L.ZeroPad1D(1)(np.zeros((2, 3, 4, 5)))


@pytest.mark.parametrize(
    ("padding", "error", "message"),
    [
        (-1, ValueError, "padding must be an int of at least 0 or two of them, got -1"),
        ((1, 2, 3, 4), ValueError, "padding must be an int of at least 0 or two of them, got"),
        ("same", TypeError, "padding must be an int of at least 0 or two of them, got 'same'"),
    ],
)
def test_refuses_a_setting(padding, error, message):
    with pytest.raises(error, match=message):
        L.ZeroPad1D(padding)
