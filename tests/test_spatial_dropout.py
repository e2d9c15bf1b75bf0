"""SpatialDropout: against the NumPy reference, whole channels, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from deepfs import reference
from deepfs.layers import SpatialDropout
from random_layers import first_draw


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(20, 30, 4, 3), (20, 33, 5)])
def test_spatial_dropout_matches_the_reference(p, shape, dtype, threads, rng):
    layer, (x, dy) = SpatialDropout(p), rng.standard_normal((2, *shape)).astype(dtype)
    y, cache = layer.forward(x, training=True)
    draw = first_draw(layer)
    assert_allclose(y, reference.spatial_dropout(x, p, *draw), rtol=1e-6)
    assert_allclose(layer.backward(dy, cache), reference.spatial_dropout(dy, p, *draw), rtol=1e-6)
    kept = (y != 0).reshape(*shape[:2], -1)
    assert_array_equal(kept.any(axis=2), kept.all(axis=2))  # whole channels
    assert kept.mean() == pytest.approx(1 - p, abs=0.05)
    assert_array_equal(layer(x), x)


def test_spatial_dropout_gives_each_sample_its_own_channels():
    y, _ = SpatialDropout(0.5).forward(np.ones((50, 40, 1, 1)), training=True)
    assert len(np.unique(y.reshape(50, 40), axis=0)) == 50


def test_spatial_dropout_keeps_the_memory_order(rng):
    x = np.ascontiguousarray(rng.standard_normal((2, 4, 5, 3))).transpose(0, 3, 1, 2)
    y, cache = SpatialDropout(0.5).forward(x, training=True)
    assert y.strides == x.strides


def test_a_dropped_channel_is_zero_whatever_it_was():
    x = np.full((2, 30, 2, 2), np.nan)
    x[1] = np.inf
    y, _ = SpatialDropout(0.5).forward(x, training=True)
    assert (y == 0).any(axis=(1, 2, 3)).all()
    assert np.isnan(y[0]).any()
    assert (y[1] == np.inf).any()
    assert_array_equal(SpatialDropout(1).forward(x, training=True)[0], np.zeros(x.shape))


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), 2**63])
def test_refuses_a_p_that_is_no_probability(p):
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got"):
        SpatialDropout(p)


@pytest.mark.parametrize("p", ["0.5", None, True, [0.5]])
def test_refuses_a_p_that_is_no_number(p):
    with pytest.raises(TypeError, match=r"p must be a number in \[0, 1\], got"):
        SpatialDropout(p)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SpatialDropout(0.5)(np.zeros((2, 3))), ValueError, "takes 3 or 4 dimensional inp"),
    ],
)
def test_refuses(make, error, message):
    with pytest.raises(error, match=message):
        make()
