"""LayerNorm: against the NumPy reference, its axes, edges, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import reference
from deepfs.layers import LayerNorm
from norms import assert_near, run


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        (1, (1, 1)),
        (1, (5, 3)),
        (1, (130, 64)),  # more rows than are added in single precision
        (1, (3, 4, 2111)),  # more vectors too, and a part of one
        (2, (7, 3, 5)),
        (1, (2, 5, 3, 6)),
        (1, (3, 5, 3, 1)),
        (2, (3, 37, 4, 5)),
        (1, (3, 1, 4, 5)),
        (3, (20, 2, 3, 5)),
        (3, (2, 7, 11, 13)),
    ],
)
def test_layer_norm_matches_the_reference(axes, shape, dtype, threads, rng):
    x, dy = (2 + rng.standard_normal((2, *shape))).astype(dtype)
    gamma, beta, got = run(LayerNorm(axes), x, dy, rng)
    assert gamma.shape == shape[-axes:]
    x, dy, gamma = (a.astype(float) for a in (x, dy, gamma))
    wanted = reference.layer_norm_backward(x, gamma, dy)
    assert_near(got, (reference.layer_norm(x, gamma, beta), *wanted), dtype)


def test_one_number_per_mean_gives_beta():
    y, cache = (layer := LayerNorm()).forward(np.array([[3.0], [np.pi]]), training=True)
    assert_array_equal(y, np.zeros((2, 1)))
    assert_array_equal(layer.backward(np.ones((2, 1)), cache), np.zeros((2, 1)))


def test_huge_and_infinite_values():
    y = LayerNorm()(np.array([[1e300, -1e300], [np.inf, 0.0], [1.0, -1.0]]))
    assert_array_equal(y[0], [1, -1])  # though the variance is beyond the numbers
    assert np.isnan(y[1]).any()
    assert_allclose(y[2], [1, -1], rtol=1e-5)


def test_layer_norm_takes_other_leading_axes(rng):
    layer, x = LayerNorm(), rng.standard_normal((2, 5, 3, 8))
    wanted = layer(x)
    assert_allclose(layer(x[:, 0]), wanted[:, 0], rtol=0, atol=1e-14)
    assert_allclose(layer(x[:, 1, 2]), wanted[:, 1, 2], rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LayerNorm(0), ValueError, "axes must be at least 1, got 0"),
        (lambda: LayerNorm(-1), ValueError, "axes must be at least 1, got -1"),
        (lambda: LayerNorm(4), ValueError, "axes must be at most 3, got 4"),
        (lambda: LayerNorm(2**63), ValueError, "axes must be at most 3, got 9223372036854775808"),
        (lambda: LayerNorm((3, 4)), TypeError, r"axes must be an int, got \(3, 4\)"),
        (lambda: LayerNorm(eps=0), ValueError, r"eps must be in \(0, inf\), got 0"),
        (lambda: LayerNorm(affine=1), TypeError, "affine must be True or False, got 1"),
    ],
)
def test_refuses_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            LayerNorm(2),
            (3, 4),
            r"over 2 axes takes more than 2 dimensional input, got shape \(n",
        ),
        (LayerNorm(), (3,), r"LayerNorm takes 2 or 3 or 4 dimensional input, got shape \(n\)"),
        (LayerNorm(), (3, 4, 0), r"LayerNorm takes shapes \(\.\.\., 1\), got shape \(n, 4, 0\)"),
    ],
)
def test_refuses_inputs(layer, shape, message):
    for training in (True, False):
        with pytest.raises(ValueError, match=message):
            layer.forward(np.zeros(shape), training=training)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (LayerNorm(2, name="a"), (1, 4, 2, 5), r'LayerNorm "a" takes shapes \(\.\.\., 2, 3\), got'),
    ],
)
def test_refuses_other_inputs_than_the_first(layer, shape, message):
    layer(np.zeros((1, 4, 2, 3)))
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape))
