"""Maxout: against the NumPy reference, special values, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import layers as L
from deepfs import reference


@pytest.mark.parametrize("shape", [(4, 12), (3, 12, 5, 4), (2, 24, 3), (0, 12)])
@pytest.mark.parametrize("pieces", [1, 2, 3, 12])
def test_maxout_matches_the_reference(shape, pieces, dtype, rng):
    x = rng.integers(-3, 3, shape).astype(dtype)  # full of ties
    layer = L.Maxout(pieces)
    y, cache = layer.forward(x)
    assert_array_equal(y, reference.maxout(x, pieces))
    dy = rng.standard_normal(y.shape).astype(dtype)
    assert_array_equal(layer.backward(dy, cache), reference.maxout_backward(x, dy, pieces))


def test_maxout_of_special_numbers(dtype):
    x = np.array([[-np.inf, -np.inf, 1, np.nan, 2, np.nan, -0.0, 0.0]], dtype)
    layer = L.Maxout(2)
    y, cache = layer.forward(x)
    assert_array_equal(y, [[-np.inf, np.nan, np.nan, 0]])
    dx = layer.backward(np.array([[1, 2, np.inf, np.nan]], dtype), cache)
    assert_array_equal(dx, [[1, 0, 0, 2, 0, np.inf, np.nan, 0]])


def test_maxout_of_many_pieces(rng):
    x = rng.standard_normal((2, 600))
    layer = L.Maxout(300)
    y, cache = layer.forward(x)
    assert_array_equal(layer.backward(y, cache), np.where(np.isin(x, y), x, 0))


@pytest.mark.parametrize(("pieces", "got"), [(3, (4, 5, 5)), (5, (0, 2, 2)), (2**62, (4, 1, 1))])
def test_maxout_needs_a_multiple(pieces, got):
    text = rf'Maxout "m" takes a multiple of {pieces} channels, got shape \({got[0]}, '
    with pytest.raises(ValueError, match=text):
        L.Maxout(pieces, name="m")(np.zeros((2, *got)))
    with pytest.raises(ValueError, match=r"takes a multiple of 2 channels, got shape \(\)"):
        L.Maxout(2)(np.zeros(4))


def test_maxout_needs_pieces():
    for pieces in (0, -1, 2**63 - 1):
        with pytest.raises(ValueError, match=r"pieces must be at (least 1|most \d+), got"):
            L.Maxout(pieces)
    for pieces in (2.0, "2", None, True):
        with pytest.raises(TypeError, match=f"pieces must be an int, got {pieces!r}"):
            L.Maxout(pieces)
