"""Dropout: against the NumPy reference, in both scalings, and what it refuses."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from deepfs import reference
from deepfs.layers import Dropout


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_matches_the_reference(p, dtype, threads):
    layer = Dropout(p)
    x = np.arange(1, 9001, dtype=dtype).reshape(60, 150)  # more than two blocks
    y, cache = layer.forward(x, training=True)
    seed, stream = map(int, layer.buffers()["key"])
    wanted = reference.dropout(x.reshape(-1), p, seed, stream, 0)
    assert np.allclose(y.reshape(-1), wanted, rtol=1e-6)
    assert (y == 0).mean() == pytest.approx(p, abs=0.03)
    again, _ = layer.forward(x, training=True)
    assert p in (0.0, 1.0) or (again != y).any()
    assert_array_equal(layer(x), x)


def test_dropout_of_the_textbook():
    layer, x = Dropout(0.25, scaling="test"), np.ones((100, 100))
    y, _ = layer.forward(x, training=True)
    assert set(np.unique(y)) == {0.0, 1.0}
    assert_array_equal(layer(x), 0.75 * x)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), 2**63])
def test_refuses_a_p_that_is_no_probability(p):
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got"):
        Dropout(p)


@pytest.mark.parametrize("p", ["0.5", None, True, [0.5]])
def test_refuses_a_p_that_is_no_number(p):
    with pytest.raises(TypeError, match=r"p must be a number in \[0, 1\], got"):
        Dropout(p)
