"""Activations: against NumPy, to the last digits, and at the edges of the numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import activation
from deepfs import layers as L
from deepfs import reference

EDGES = np.array([-np.inf, -1e30, -750.0, -88.0, -1e-30, -0.0, 0.0, 1e-30, 88.0, 750.0, np.inf])
KINDS = [activation.relu, activation.sigmoid, activation.tanh]


def forward(kind, x):
    y = np.empty_like(x)
    activation.forward(kind, x, y)
    return y


def errors(y, exact):
    """Return the distances from exact results, in units of the last place of these."""
    return np.abs(y - exact) / np.spacing(np.abs(exact).astype(y.dtype)).astype(np.longdouble)


@pytest.mark.parametrize("name", ["ReLU", "Sigmoid", "Tanh"])
def test_matches_numpy(name, dtype, tolerance, threads, rng):
    layer, twin = getattr(L, name)(), getattr(reference, name.lower())
    x = (4 * rng.standard_normal((3, 5, 40, 30))).astype(dtype)
    assert_allclose(layer(x), twin(x), **tolerance)
    edges = EDGES[None].astype(dtype)
    assert_allclose(layer(edges), twin(edges), **tolerance)


@pytest.mark.parametrize("spread", [1e-30, 1e-3, 0.4, 3, 30, 300])
def test_errs_in_the_last_place_only(spread, dtype, rng):
    """Relative to the result: small ones, of tanh near 0 and of sigmoid far below, are as exact."""
    x = np.clip(rng.uniform(-spread, spread, 20_001), -87 if dtype == np.float32 else -708, None)
    x = x.astype(dtype)
    exact = x.astype(np.longdouble)
    few = 3 if np.finfo(np.longdouble).eps < 1e-18 else 4  # where the exact results are exact
    assert errors(forward(activation.tanh, x), np.tanh(exact)).max() < few
    assert errors(forward(activation.sigmoid, x), 1 / (1 + np.exp(-exact))).max() < few


def test_special_numbers(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, tiny, -tiny], dtype)
    assert_array_equal(forward(activation.relu, x), [np.nan, 0, np.inf, -0.0, 0, tiny, 0])
    assert_array_equal(forward(activation.sigmoid, x), [np.nan, 0, 1, 0.5, 0.5, 0.5, 0.5])
    y = forward(activation.tanh, x)
    assert_array_equal(y, [np.nan, -1, 1, 0, 0, tiny, -tiny])
    assert_array_equal(np.signbit(y[3:5]), [True, False])
    # sigmoid dies out through the subnormal numbers, it does not fall to 0 at the last normal one
    last = -103 if dtype == np.float32 else -744
    low = forward(activation.sigmoid, np.array([last, last - 15, 89, 711], dtype))
    assert 0 < low[0] < np.finfo(dtype).tiny
    assert_array_equal(low[1:], [0, 1, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_place_in_the_array_does_not_matter(kind, dtype, threads, rng):
    """Vectors, their rest, blocks and threads: each number has the same bits."""
    x = (5 * rng.standard_normal(20_011)).astype(dtype)
    y = forward(kind, x)
    dx, dy = np.empty_like(x), np.cos(x)
    activation.backward(kind, y, dy, dx)
    assert_array_equal(forward(kind, np.roll(x, 5)), np.roll(y, 5))
    for n in range(1, 36):
        assert_array_equal(forward(kind, x[-n:].copy()), y[-n:])
        part = np.empty(n, dtype)
        activation.backward(kind, y[:n], dy[:n], part)
        assert_array_equal(part, dx[:n])


def test_relu_has_no_slope_at_zero():
    layer = L.ReLU()
    y, cache = layer.forward(np.array([[-1.0, 0.0, 2.0, np.nan]]))
    assert_array_equal(layer.backward(np.ones((1, 4)), cache), [[0, 0, 1, 0]])


def test_kernels_refuse_what_would_crash():
    x = np.zeros(3)
    for kind, y in [(0, np.zeros(2)), (-1, x.copy()), (3, x.copy())]:
        with pytest.raises(ValueError, match="kind must be of this module, and x and y of one len"):
            activation.forward(kind, x, y)
        with pytest.raises(ValueError, match="kind must be of this module, and y, dy and dx of"):
            activation.backward(kind, x, x, y)
