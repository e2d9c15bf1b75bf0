"""InstanceNorm: against the NumPy reference, and what it refuses."""

import numpy as np
import pytest

from deepfs import reference
from deepfs.layers import InstanceNorm
from norms import assert_near, run


@pytest.mark.parametrize("shape", [(3, 4, 5), (5, 3, 4, 6), (2, 70, 3, 3), (2, 1, 9, 9)])
def test_instance_norm_matches_the_reference(shape, dtype, threads, rng):
    x, dy = (2 + rng.standard_normal((2, *shape))).astype(dtype)
    gamma, beta, got = run(InstanceNorm(), x, dy, rng)
    x, dy, gamma = (a.astype(float) for a in (x, dy, gamma))
    wanted = reference.instance_norm_backward(x, gamma, dy)
    assert_near(got, (reference.instance_norm(x, gamma, beta), *wanted), dtype)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: InstanceNorm("1"), TypeError, r"eps must be a number in \(0, inf\), got '1'"),
        (lambda: InstanceNorm(affine="no"), TypeError, "affine must be True or False, got 'no'"),
    ],
)
def test_refuses_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (InstanceNorm(), (2, 3), r"InstanceNorm takes 3 or 4 dimensional input, got shape \(n, 3"),
        (InstanceNorm(), (2, 3, 1, 1), "needs more than 1 value per channel of a sample, got"),
        (InstanceNorm(), (2, 0, 3, 3), r"InstanceNorm takes 1 channels, got shape \(0, 3, 3\)"),
    ],
)
def test_refuses_inputs(layer, shape, message):
    for training in (True, False):
        with pytest.raises(ValueError, match=message):
            layer.forward(np.zeros(shape), training=training)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (InstanceNorm(), (1, 6, 2, 3), r"InstanceNorm takes 4 channels, got shape \(6, 2, 3\)"),
    ],
)
def test_refuses_other_inputs_than_the_first(layer, shape, message):
    layer(np.zeros((1, 4, 2, 3)))
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape))
