"""Images between channels first and channels last: the kernel against NumPy, and when it copies."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cnn_core import transpose
from deepfs.layers import Flatten, channels_first, channels_last, flat_rows

SHAPES = [(1, 1, 1), (3, 4, 8), (2, 5, 7), (40, 30, 144), (3, 1, 9), (0, 4, 4), (2, 0, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_transposes_every_matrix(shape, dtype, threads, rng):
    x = rng.standard_normal(shape).astype(dtype)
    y = np.full((shape[0], shape[2], shape[1]), np.nan, dtype)
    transpose.transpose(x, y)
    assert_array_equal(y, x.transpose(0, 2, 1))
    with pytest.raises(ValueError, match="one transposition"):
        transpose.transpose(x, np.empty((shape[0], shape[2] + 1, shape[1]), dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", "int64", "float16"])
def test_copies_images_of_any_numbers_only_if_it_must(dtype, rng):
    first = (9 * rng.standard_normal((3, 5, 4, 6))).astype(dtype)
    last = channels_last(first)
    assert last.flags.c_contiguous
    assert last.dtype == first.dtype
    assert_array_equal(last, first.transpose(0, 2, 3, 1))
    assert np.shares_memory(channels_last(channels_first(last)), last)
    assert_array_equal(flat_rows(channels_first(last)), first.reshape(3, -1))
    assert np.shares_memory(flat_rows(first), first)
    assert_array_equal(channels_last(first[:, ::-1, 1:]), first[:, ::-1, 1:].transpose(0, 2, 3, 1))
    assert_array_equal(flat_rows(first[:, ::-1, 1:]), first[:, ::-1, 1:].reshape(3, -1))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (2, 3, 4), (2, 3)])
def test_the_gradient_of_flatten_has_memory_of_its_own(shape):
    layer = Flatten()
    y, cache = layer.forward(np.zeros(shape), training=True)
    dy = np.arange(float(y.size)).reshape(y.shape)
    dx = layer.backward(dy, cache)
    assert_array_equal(dx, dy.reshape(shape))
    assert not np.shares_memory(dx, dy)
