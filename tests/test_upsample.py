"""Upsample2D: against NumPy, special values, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference


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
        (L.Upsample2D(2), (3, 4), "Upsample2D takes 4 dimensional input, got shape (n, 3, 4)"),
        (L.Upsample2D(2), (3, 0, 4), "Upsample2D needs an image with pixels, got shape (3, 0, 4)"),
        (L.Upsample2D(2**29), (1, 2, 1), "1073741823 pixels a side, got 1073741824x5368709"),
    ],
)
def test_refuses_an_input(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((2, *shape)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Upsample2D(0), ValueError, "factor must be a positive int or two of them"),
        (lambda: L.Upsample2D(2**63 - 1), ValueError, "factor must be a positive int or two of"),
        (lambda: L.Upsample2D(1.5), TypeError, "factor must be a positive int or two of them"),
        (lambda: L.Upsample2D(True), TypeError, "factor must be a positive int or two of them"),
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()
