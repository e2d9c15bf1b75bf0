"""GaussianNoise: against the NumPy reference, its distribution, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import reference
from deepfs.layers import GaussianNoise
from random_layers import first_draw


@pytest.mark.parametrize("shape", [(7,), (60, 51), (2, 3, 5, 7)])
def test_gaussian_noise_matches_the_reference(shape, dtype, threads, rng):
    layer, x = GaussianNoise(0.5), rng.standard_normal(shape).astype(dtype)
    y, cache = layer.forward(x, training=True)
    memory = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
    wanted = reference.gaussian_noise(memory.reshape(-1), 0.5, *first_draw(layer))
    got = y.transpose(0, 2, 3, 1) if x.ndim == 4 else y
    assert_allclose(got.reshape(-1), wanted, rtol=0, atol=1e-6)
    assert_array_equal(layer.backward(x, cache), x)
    assert_array_equal(layer(x), x)


def test_gaussian_noise_is_normal():
    y, _ = GaussianNoise(2.0).forward(np.zeros((1000, 1000), np.float32), training=True)
    y = y.astype(float)
    assert y.mean() == pytest.approx(0, abs=0.01)
    assert y.std() == pytest.approx(2, rel=0.005)
    assert (y**4).mean() == pytest.approx(3 * 2**4, rel=0.02)  # the kurtosis of a normal number
    assert (np.abs(y) < 2).mean() == pytest.approx(0.6827, abs=0.002)


def test_no_noise_changes_nothing(rng):
    x = rng.standard_normal((3, 4))
    y, _ = GaussianNoise(0).forward(x, training=True)
    assert_array_equal(y, x)


def test_huge_noise_is_infinite_in_single_precision():
    y, _ = GaussianNoise(1e300).forward(np.zeros((3, 4), np.float32), training=True)
    assert np.isinf(y).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GaussianNoise(-1), ValueError, r"std must be in \[0, inf\), got -1"),
        (lambda: GaussianNoise(float("inf")), ValueError, r"std must be in \[0, inf\), got inf"),
        (lambda: GaussianNoise(None), TypeError, r"std must be a number in \[0, inf\), got None"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_gradient_is_a_copy_that_lies_like_images(rng):
    layer, images = GaussianNoise(0.5), rng.standard_normal((2, 4, 5, 3)).transpose(0, 3, 1, 2)
    _, cache = layer.forward(images, training=True)
    dx = layer.backward(images, cache)
    assert_array_equal(dx, images)
    assert dx.strides == images.strides
    assert not np.shares_memory(dx, images)
