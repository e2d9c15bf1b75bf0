"""DropConnect: against the NumPy reference and Dense, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import reference
from deepfs.layers import DropConnect
from random_layers import first_draw


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_drop_connect_matches_the_reference(p, dtype, threads, rng):
    layer = DropConnect(7, p)
    x, dy = rng.standard_normal((9, 4, 5)).astype(dtype), rng.standard_normal((9, 7)).astype(dtype)
    layer.build(x.shape[1:], dtype)
    weight, bias = layer.parameters().values()
    bias.value = rng.standard_normal(7)
    draw, before = first_draw(layer), weight.value.copy()
    close = {"rtol": 0, "atol": 1e-5 if dtype == np.float32 else 1e-13}
    y, cache = layer.forward(x, training=True)
    assert_allclose(y, reference.drop_connect(x, before, bias.value, p, *draw), **close)
    got = layer.backward(dy, cache), weight.grad, bias.grad
    wanted = reference.drop_connect_backward(x, before, dy, p, *draw)
    for a, b in zip(got, wanted, strict=True):
        assert_allclose(a, b, **close)
    assert_array_equal(weight.value, before)
    assert_allclose(layer(x), reference.dense(x, before, bias.value), **close)


def test_drop_connect_is_dense_on_average(rng):
    layer, x = DropConnect(3, 0.4), rng.standard_normal((5, 40))
    wanted = layer(x)
    draws = [layer.forward(x, training=True)[0] for _ in range(4000)]
    assert np.std(draws, axis=0).min() > 0.3
    assert_allclose(np.mean(draws, axis=0), wanted, atol=0.15)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), 2**63])
def test_refuses_a_p_that_is_no_probability(p):
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got"):
        DropConnect(2, p)


@pytest.mark.parametrize("p", ["0.5", None, True, [0.5]])
def test_refuses_a_p_that_is_no_number(p):
    with pytest.raises(TypeError, match=r"p must be a number in \[0, 1\], got"):
        DropConnect(2, p)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DropConnect(0, 0.5), ValueError, "units must be at least 1, got 0"),
        (lambda: DropConnect(2.0, 0.5), TypeError, "units must be an int, got 2.0"),
        (lambda: DropConnect(2, 0.5, bias=1), TypeError, "bias must be True or False, got 1"),
        (lambda: DropConnect(2, 0.5, initializer="x"), ValueError, "initializer must be one of"),
        (lambda: DropConnect(2, 0.5)(np.zeros(3)), ValueError, r"takes inputs of 1 numbers, got"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_drop_connect_refuses_other_lengths():
    layer = DropConnect(2, 0.5, name="d")
    layer(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r'DropConnect "d" takes inputs of 3 numbers, got shape'):
        layer(np.zeros((1, 4)))
