"""Residual: against the NumPy reference, and what it refuses."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference


@pytest.mark.parametrize("shortcut", [None, L.ReLU()], ids=["identity", "relu"])
def test_matches_the_reference(shortcut, rng):
    x, dy = rng.standard_normal((2, 3, 4))
    layer = L.Residual(L.Tanh(), shortcut)
    y, cache = layer.forward(x)
    ways = (reference.tanh,) if shortcut is None else (reference.tanh, reference.relu)
    assert_allclose(y, reference.residual(x, *ways), rtol=1e-14)
    ways = [partial(getattr(reference, f"{way.__name__}_backward"), x) for way in ways]
    assert_allclose(layer.backward(dy, cache), reference.residual_backward(dy, *ways), rtol=1e-13)


def test_residual_adds_channels_last(rng):
    layer = L.Residual(L.Conv2D(3, 3, padding=1, initializer="zeros"))
    x = rng.standard_normal((2, 3, 5, 5))
    y = layer(x)
    assert_array_equal(y, x)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("learns", [True, False])
def test_a_shortcut_adds_its_gradient_in_the_memory_of_the_body(kernel, learns, rng):
    """With the bits of two gradients that are added afterwards, and of a ReLU after that."""
    x = rng.standard_normal((2, 16, 9, 7)).astype("f")
    body = L.Sequential([L.Conv2D(32, 3, 2, padding=1), L.ReLU(), L.Conv2D(32, 3, padding=1)])
    shortcut = L.Sequential([L.Conv2D(32, kernel, 2, padding=kernel // 2), L.BatchNorm()])
    net = L.Sequential([L.ReLU(), L.Residual(body, shortcut)])
    y, cache = net.forward(x, training=True)
    dy = rng.standard_normal(y.shape).astype("f")
    if not learns:
        shortcut.freeze()
    _, (_, kept) = cache
    apart = [part._backward(dy, c, True) for part, c in zip((body, shortcut), kept, strict=False)]
    before = dy.copy()
    dx = net.backward(dy, cache)
    assert_array_equal(dx, np.where(x > 0, apart[0] + apart[1], 0))
    assert_array_equal(dy, before)


def test_residual_refuses_unequal_shapes():
    message = r"Residual must add equal shapes, got body \(4, 6, 6\), shortcut \(3, 6, 6\)"
    with pytest.raises(ValueError, match=message):
        L.Residual(L.Conv2D(4, 1))(np.zeros((1, 3, 6, 6)))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: L.Residual(None), TypeError, "Residual takes layers, got None"),
        (lambda: L.Residual(L.ReLU(), np.tanh), TypeError, "Residual takes layers, got <ufunc"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
