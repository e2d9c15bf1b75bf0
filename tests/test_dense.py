"""Dense layers: against the NumPy reference, inputs of any rank, and what they refuse.

What every layer must do (gradients by finite differences, any memory layout, pickles...) is tested
for all of them in `test_layers.py`, from the table `every_layer.py`. The fixtures ``dtype``,
``tolerance``, ``threads`` and ``rng`` are in `conftest.py`: each test runs in float32 and float64,
on 1, 2 and 4 threads.
"""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import dense
from deepfs import reference
from deepfs.layers import Dense


# rows, sequences and images; no samples; one number; more than a block of the matrix product
@pytest.mark.parametrize("shape", [(5, 7), (4, 2, 3), (3, 2, 4, 5), (0, 7), (1, 1), (70, 130)])
@pytest.mark.parametrize("units", [1, 6, 33])
def test_matches_numpy(units, shape, dtype, tolerance, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    layer = Dense(units)
    layer.build(shape[1:], dtype)
    weight, bias = (layer.parameters()[k] for k in ("weight", "bias"))
    bias.value = rng.standard_normal(units)
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, cache)
    got = y, dx, weight.grad, bias.grad
    wanted = (
        reference.dense(x, weight.value, bias.value),
        *reference.dense_backward(x, weight.value, dy),
    )
    for array, expected in zip(got, wanted, strict=True):
        assert array.dtype == dtype
        assert_allclose(array, expected, rtol=0, atol=10 * tolerance["atol"])


def test_images_are_flattened_in_logical_order(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    layer = Dense(2)
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert_array_equal(layer(channels_last), layer(x))


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_refuses_samples_without_numbers(shape):
    message = f"Dense takes inputs of 1 numbers, got shape {shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        Dense(2)(np.zeros((4, *shape)))


def test_refuses_samples_of_another_size():
    layer = Dense(2, name="top")
    layer(np.zeros((1, 6)))
    assert layer(np.zeros((1, 2, 3))).shape == (1, 2)  # 2 * 3 = 6 numbers as well
    with pytest.raises(ValueError, match=r'Dense "top" takes inputs of 6 numbers, got shape \(7,'):
        layer(np.zeros((1, 7)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dense(0), ValueError, "units must be at least 1, got 0"),
        (lambda: Dense(2.0), TypeError, "units must be an int, got 2.0"),
        (lambda: Dense(True), TypeError, "units must be an int, got True"),
        (lambda: Dense(2, bias=None), TypeError, "bias must be True or False, got None"),
        (lambda: Dense(2, initializer="he"), ValueError, "initializer"),
    ],
)
def test_refuses_a_setting(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(("k", "units"), [(7, 5), (70, 37)])
@pytest.mark.parametrize("n", [0, 1, 40])
def test_forward_kernel(n, k, units, dtype, tolerance, threads, rng):
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in ((n, k), (k, units)))
    bias, y = rng.standard_normal(units).astype(dtype), np.full((n, units), np.nan, dtype)
    close = {"rtol": 0, "atol": tolerance["atol"] * 10}
    dense.dense_forward(x, weight, None, y)
    assert_allclose(y, reference.dense(x, weight, np.zeros(units)), **close)
    dense.dense_forward(x, weight, bias, y)
    wanted = reference.dense(x, weight, bias)
    assert_allclose(y, wanted, **close)
    dense.dense_forward(x, weight, bias, y, relu=True)
    assert_allclose(y, np.maximum(wanted, 0), **close)


@pytest.mark.parametrize(
    ("x", "weight", "bias", "y"),
    [
        ((2, 3), (4, 5), 5, (2, 5)),
        ((2, 3), (3, 4), 5, (2, 5)),
        ((2, 3), (3, 5), 4, (2, 5)),
        ((2, 3), (3, 5), 5, (1, 5)),
        ((2, 0), (0, 5), 5, (2, 5)),
    ],
)
def test_forward_kernel_refuses_what_would_crash(x, weight, bias, y):
    with pytest.raises(ValueError, match="x, weight, bias and y do not belong to one dense layer"):
        dense.dense_forward(*map(np.zeros, (x, weight, bias, y)))


@pytest.mark.parametrize(("k", "units"), [(7, 5), (70, 37)])
@pytest.mark.parametrize("n", [0, 1, 40])
def test_backward_kernel(n, k, units, dtype, tolerance, threads, rng):
    x, dy = (rng.standard_normal((n, size)).astype(dtype) for size in (k, units))
    weight, before = rng.standard_normal((2, k, units)).astype(dtype)
    # dweight and dbias are added to, dx is overwritten
    dweight, dbias, dx = before.copy(), np.ones(units, dtype), np.full((n, k), np.nan, dtype)
    close = {"rtol": 0, "atol": tolerance["atol"] * 10}
    dense.dense_backward(x, dy, weight, dweight, dbias, dx, drelu=True)
    wanted = reference.dense_backward(x, weight, dy)
    assert_allclose(dx, np.where(x > 0, wanted[0], 0), **close)
    assert_allclose(dweight - before, wanted[1], **close)
    assert_allclose(dbias - 1, wanted[2], **close)
    dense.dense_backward(x, dy, weight, dweight, None, None)  # without bias, without dx
    assert_allclose(dweight - before, 2 * wanted[1], **close)
    with pytest.raises(ValueError, match="do not belong to one dense layer"):
        dense.dense_backward(x, dy, weight, dweight[1:], dbias, dx)
