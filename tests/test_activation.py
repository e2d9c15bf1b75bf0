"""Activations: against NumPy, and at the edges of the numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference

EDGES = np.array([-np.inf, -1e30, -750.0, -88.0, -1e-30, -0.0, 0.0, 1e-30, 88.0, 750.0, np.inf])


@pytest.mark.parametrize("name", ["ReLU", "Sigmoid", "Tanh"])
def test_matches_numpy(name, dtype, tolerance, threads, rng):
    layer, twin = getattr(L, name)(), getattr(reference, name.lower())
    x = (4 * rng.standard_normal((3, 5, 40, 30))).astype(dtype)
    assert_allclose(layer(x), twin(x), **tolerance)
    edges = EDGES[None].astype(dtype)
    assert_allclose(layer(edges), twin(edges), **tolerance)


def test_relu_has_no_slope_at_zero():
    layer = L.ReLU()
    y, cache = layer.forward(np.array([[-1.0, 0.0, 2.0]]))
    assert_array_equal(layer.backward(np.ones((1, 3)), cache), [[0, 0, 1]])


@pytest.mark.parametrize("shape", [(4, 10), (2, 3, 4, 5), (5, 1)])
def test_softmax_matches_numpy(shape, dtype, tolerance, threads, rng):
    x = (10 * rng.standard_normal(shape)).astype(dtype)
    y = L.Softmax()(x)
    assert_allclose(y, reference.softmax(x), **tolerance)
    assert_allclose(y.sum(axis=1), 1, **tolerance)


def test_softmax_does_not_overflow(dtype):
    y = L.Softmax()(np.array([[1e30, 0, -1e30]], dtype))
    assert_array_equal(y, [[1, 0, 0]])


def test_softmax_needs_classes():
    with pytest.raises(ValueError, match=r"Softmax needs an axis of classes, got shape \(\)"):
        L.Softmax()(np.zeros(3))
