"""Upsample1D: against NumPy, special values, and what it refuses."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference


@pytest.mark.parametrize("factor", [1, 2, 5])
@pytest.mark.parametrize("channels", [1, 3, 5, 40])
def test_upsampling_matches_numpy(factor, channels, dtype, tolerance, threads, rng):
    x = rng.standard_normal((2, channels, 4)).astype(dtype)
    layer = L.Upsample1D(factor)
    y, cache = layer.forward(x)
    assert y.dtype == dtype
    assert_array_equal(y, reference.upsample1d(x, factor))
    dy = rng.standard_normal(y.shape).astype(dtype)
    wanted = reference.upsample1d_backward(x, dy, factor)
    assert_allclose(layer.backward(dy, cache), wanted, **tolerance)


def test_upsampling_keeps_what_is_not_a_number():
    x = np.array([[[np.nan, np.inf, -np.inf]]])
    assert_array_equal(L.Upsample1D(2)(x), x.repeat(2, axis=2))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            L.Upsample1D(2),
            (3, 4, 5),
            "Upsample1D takes 3 dimensional input, got shape (n, 3, 4, 5)",
        ),
        (L.Upsample1D(2), (3, 0), "Upsample1D needs a sequence with entries, got shape (3, 0)"),
        (L.Upsample1D(2**29), (1, 3), "at most 1073741823 entries, got 1610612736"),
    ],
)
def test_refuses_an_input(layer, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        layer(np.zeros((2, *shape)))


@pytest.mark.parametrize(
    ("factor", "error", "message"),
    [
        (0, ValueError, "factor must be at least 1, got 0"),
        ((2, 2), TypeError, r"factor must be an int, got \(2, 2\)"),
        (1.5, TypeError, "factor must be an int, got 1.5"),
    ],
)
def test_refuses_a_setting(factor, error, message):
    with pytest.raises(error, match=message):
        L.Upsample1D(factor)
