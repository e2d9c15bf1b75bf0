"""Softmax and its logarithm: against NumPy, and at the edges of the numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import softmax
from deepfs import layers as L
from deepfs import reference

SHAPES = [(4, 10), (2, 3, 4, 5), (5, 1), (3, 16), (2, 33), (3, 1000), (2, 6, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_matches_numpy(shape, dtype, tolerance, threads, rng):
    x = (10 * rng.standard_normal(shape)).astype(dtype)
    y = L.Softmax()(x)
    assert_allclose(y, reference.softmax(x), **tolerance)
    assert_allclose(y.sum(axis=1), 1, **tolerance)


@pytest.mark.parametrize("classes", [1, 3, 10, 16, 31, 40, 777])
def test_softmax_and_its_logarithm_to_the_last_places(classes, dtype, rng):
    x = (3 * rng.standard_normal((50, classes))).astype(dtype)
    p, log_p = np.empty_like(x), np.empty_like(x)
    softmax.softmax(x, p)
    softmax.softmax(x, log_p, True)
    exact = x.astype(np.longdouble)
    exact -= exact.max(axis=1, keepdims=True)
    total = np.exp(exact).sum(axis=1, keepdims=True)
    eps = np.finfo(dtype).eps
    assert_allclose(p, np.exp(exact) / total, rtol=32 * eps)  # x - max(x) is rounded
    assert_allclose(log_p, exact - np.log(total), rtol=32 * eps, atol=32 * eps)


def test_softmax_does_not_overflow(dtype):
    y = L.Softmax()(np.array([[1e30, 0, -1e30]], dtype))
    assert_array_equal(y, [[1, 0, 0]])


def test_softmax_of_special_numbers(dtype):
    x = np.zeros((3, 40), dtype)
    x[0, 37], x[1, 1:] = np.nan, -np.inf
    y = L.Softmax()(x)
    assert np.isnan(y[0]).all()
    assert_array_equal(y[1], np.eye(40)[0])
    assert_allclose(y[2], 1 / 40, rtol=1e-6)


def test_softmax_needs_classes():
    with pytest.raises(ValueError, match=r"Softmax needs an axis of classes, got shape \(\)"):
        L.Softmax()(np.zeros(3))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradients_match_the_reference(name, shape, dtype, tolerance, threads, rng):
    layer = {"softmax": L.Softmax, "log_softmax": L.LogSoftmax}[name]()
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    dy = rng.standard_normal(shape).astype(dtype)
    y, cache = layer.forward(x)
    wide, wide_dy = x.astype(np.float64), dy.astype(np.float64)
    assert_allclose(y, getattr(reference, name)(wide), **tolerance)
    right = getattr(reference, f"{name}_backward")(wide, wide_dy)
    assert_allclose(layer.backward(dy, cache), right, **tolerance)


def test_log_softmax_keeps_what_softmax_loses(dtype):
    x = np.array([[1e30, 0, -1e30], [5, -995, 5 - np.log(3)]], dtype)
    y = L.LogSoftmax()(x)
    assert_allclose(y[0], [0, -1e30, -2e30], rtol=1e-6)
    assert_allclose(y[1], np.log([3 / 4, 0.75, 1 / 4]) - [0, 1000, 0], rtol=1e-6)


def test_log_softmax_of_special_numbers(dtype):
    x = np.zeros((3, 20), dtype)
    x[0, 17], x[1, 1:], x[2, 3] = np.nan, -np.inf, -np.inf
    layer = L.LogSoftmax()
    y, cache = layer.forward(x)
    assert np.isnan(y[0]).all()
    assert_array_equal(y[1], np.where(np.arange(20) == 0, 0, -np.inf))
    assert y[2, 3] == -np.inf
    assert_allclose(np.delete(y[2], 3), -np.log(19), rtol=1e-6)
    dx = layer.backward(np.ones_like(x), cache)
    assert_allclose(dx[2], np.where(np.arange(20) == 3, 1, 1 - 20 / 19), atol=1e-6)


def test_log_softmax_needs_classes():
    with pytest.raises(ValueError, match=r'LogSoftmax "p" needs an axis of classes, got shape \(0'):
        L.LogSoftmax(name="p")(np.zeros((2, 0)))


def test_kernels_take_rows_without_columns(dtype):
    nothing = np.zeros((3, 0), dtype)
    softmax.softmax(nothing, nothing.copy(), True)
    for logarithm in (False, True):
        softmax.softmax_backward(nothing, nothing, nothing.copy(), logarithm)
    with pytest.raises(ValueError, match="y, dy and dx must have one shape"):
        softmax.softmax_backward(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((2, 3)), True)
