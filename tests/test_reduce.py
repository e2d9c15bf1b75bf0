"""Sums over the rows of a matrix: against NumPy, their digits, and what the kernel refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import reduce


@pytest.mark.parametrize("shape", [(1, 1), (64, 3), (65, 64), (1000, 65), (5000, 130), (0, 4)])
def test_column_sums(shape, dtype, threads, rng):
    x, total = rng.standard_normal(shape).astype(dtype), np.ones(shape[1], dtype)
    reduce.add_column_sums(x, total)
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    assert_allclose(total, 1 + x.astype(float).sum(0), rtol=0, atol=tolerance * 10)


def test_a_million_rows_keep_their_digits():
    """A single chain of float32 sums would be off by 1 %."""
    x, total = np.full((1_000_000, 1), 0.1, np.float32), np.zeros(1, np.float32)
    reduce.add_column_sums(x, total)
    assert_allclose(total, x.sum(0, dtype=float), rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_adds_nothing(shape):
    total = np.ones(shape[1])
    reduce.add_column_sums(np.zeros(shape), total)
    assert_array_equal(total, 1)


def test_refuses_what_would_crash():
    with pytest.raises(ValueError, match="x and total do not belong to one sum"):
        reduce.add_column_sums(np.zeros((2, 3)), np.ones(4))
