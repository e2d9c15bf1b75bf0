"""SiLU, GELU, HardSwish: against the NumPy reference, to the last digits, and at the edges."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from activations import check_errors, check_limits, check_reference
from deepfs import layers as L


@pytest.mark.parametrize(
    ("layer", "function", "settings"),
    [
        (L.SiLU(), "silu", {}),
        (L.GELU(), "gelu", {}),
        (L.GELU(approximate=True), "gelu", {"approximate": True}),
        (L.HardSwish(), "hard_swish", {}),
    ],
    ids=repr,
)
def test_matches_the_reference(layer, function, settings, dtype, tolerance, threads, rng):
    check_reference(layer, function, settings, dtype, tolerance, rng)


def test_known_values():
    """From the papers' formulas, and tables of the normal distribution: P(-10), P(-30)."""
    for layer, x, y in [
        (L.SiLU(), 1, 0.7310585786300049),
        (L.GELU(), 1, 0.8413447460685429),
        (L.GELU(), -10, -10 * 7.619853024160526e-24),
        (L.GELU(), -30, -30 * 4.906713927148187e-198),
        (L.GELU(approximate=True), 1, 0.8411919906082768),
        (L.HardSwish(), 1, 2 / 3),
    ]:
        assert_allclose(layer(np.array([float(x)])), [y], rtol=4e-15, err_msg=f"{layer}({x})")


def normal_tail(a):
    """Return the part of the normal distribution above a: a series, or Laplace's fraction."""
    total, term, fraction = a.copy(), a.copy(), a.copy()
    for k in range(1, 60):
        term *= a * a / (2 * k + 1)
        total += term
    for k in range(400, 0, -1):
        fraction = a + k / fraction
    density = np.exp(-a * a / 2) / np.sqrt(2 * np.longdouble(np.pi) + 2.4492935982947064e-16)
    return np.where(a < 2, 0.5 - density * total, density / fraction)


def exact_gelu(x):
    tail = normal_tail(np.maximum(np.abs(x), np.longdouble(1e-40)))
    return x * np.where(x > 0, 1 - tail, tail)


@pytest.mark.parametrize(
    ("name", "exact", "few"),
    [
        ("silu", lambda x: x / (1 + np.exp(-x)), 4),
        ("gelu", exact_gelu, 12),
        ("hard_swish", lambda x: x * np.clip(x + 3, 0, 6) / 6, 2),
    ],
)
@pytest.mark.parametrize("spread", [1e-30, 1e-3, 0.4, 3, 30, 300])
def test_errs_in_the_last_place_only(name, exact, few, spread, dtype, rng):
    check_errors(name, exact, few, spread, dtype, rng)


@pytest.mark.parametrize(
    ("layer", "at", "slope"),
    [
        (L.SiLU(), [0, 0, -0.0, 0, 1e30, np.inf], 0.5),
        (L.GELU(), [0, 0, -0.0, 0, 1e30, np.inf], 0.5),
        (L.GELU(approximate=True), [0, 0, -0.0, 0, 1e30, np.inf], 0.5),
        (L.HardSwish(), [-0.0, -0.0, -0.0, 0, 1e30, np.inf], 0.5),
    ],
    ids=repr,
)
def test_limits_zeros_and_nan(layer, at, slope, dtype):
    check_limits(layer, at, slope, dtype)


def test_corners_of_hard_swish(dtype):
    layer = L.HardSwish()
    y, cache = layer.forward(np.array([-3, 3, np.nan], dtype))
    assert_array_equal(y, [-0.0, 3, np.nan])
    assert_array_equal(layer.backward(np.ones(3, dtype), cache), [0, 1, np.nan])


def test_approximate_is_a_flag():
    with pytest.raises(TypeError, match="approximate must be True or False, got 'tanh'"):
        L.GELU("tanh")
