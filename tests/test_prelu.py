"""PReLU: against the NumPy reference, the bits of its slopes, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import layers as L
from deepfs import reference
from deepfs.testing import any_work_on


@pytest.mark.parametrize(
    "shape", [(4, 1), (5, 3), (3, 17), (9, 64), (2, 5, 4, 3), (3, 16, 7, 7), (2, 9000), (2, 4, 9)]
)
@pytest.mark.parametrize("per_channel", [True, False])
def test_prelu_matches_the_reference(shape, per_channel, dtype, tolerance, threads, rng):
    layer = L.PReLU(per_channel)
    x = rng.standard_normal(shape).astype(dtype)
    layer(x)
    slope = layer.parameters()["slope"]
    assert_array_equal(slope.value, np.full(shape[1] if per_channel else 1, 0.25))
    slope.value = rng.standard_normal(slope.value.shape)
    y, cache = layer.forward(x)
    assert_allclose(y, reference.prelu(x, slope.value), **tolerance)
    dy = rng.standard_normal(shape).astype(dtype)
    dx = layer.backward(dy, cache)
    right, dslope = reference.prelu_backward(*(a.astype(float) for a in (x, dy, slope.value)))
    assert_allclose(dx, right, **tolerance)
    assert_allclose(slope.grad, dslope, rtol=0, atol=10 * tolerance["atol"])


@pytest.mark.parametrize("per_channel", [True, False])
def test_prelu_learns_the_same_bits_with_any_number_of_threads(per_channel, dtype, rng):
    x, dy = rng.standard_normal((2, 12, 24, 40, 41)).astype(dtype)
    first = None
    for n in (1, 2, 3, 4, 7):
        layer = L.PReLU(per_channel)
        with any_work_on(n):
            y, cache = layer.forward(x)
            assert layer.backward(dy, cache, need_dx=False) is None
        first = layer.parameters()["slope"].grad if first is None else first
        assert_array_equal(layer.parameters()["slope"].grad, first)
    assert first.any()


def test_prelu_refuses():
    with pytest.raises(TypeError, match="per_channel must be True or False, got 1"):
        L.PReLU(1)
    layer = L.PReLU(name="p")
    layer(np.zeros((2, 4, 3, 3)))
    with pytest.raises(ValueError, match=r'PReLU "p" takes 4 channels, got shape \(5, 3, 3\)'):
        layer(np.zeros((2, 5, 3, 3)))
    with pytest.raises(ValueError, match=r"PReLU takes 1 channels, got shape \(0,\)"):
        L.PReLU()(np.zeros((2, 0)))
    with pytest.raises(ValueError, match=r"PReLU needs an axis of channels, got shape \(\)"):
        L.PReLU()(np.zeros(3))
    assert_array_equal(L.PReLU(per_channel=False)(np.array([-4.0, 4.0])), [-1, 4])
