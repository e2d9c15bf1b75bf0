"""Sums over a batch: how they are cut follows from the shape, not from the number of threads."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cnn_core import batch_norm, conv, reduce
from deepfs.testing import any_work_on

MANY = (1, 3, 8, 16, 64)

# n, height and width, channels, filters, kernel, stride
WEIGHTS = {
    "short runs": (2, 128, 8, 8, 3, 1),
    "parts of the entries": (1, 24, 16, 16, 3, 1),
    "parts of the filters": (4, 8, 40, 100, 3, 1),
    "two runs": (2, 12, 256, 256, 3, 1),
    "blocks of taps": (2, 30, 16, 24, 3, 2),
    "several parts of the taps": (2, 14, 40, 8, 5, 1),
    "more runs": (3, 96, 1, 17, 5, 1),
    "one channel": (3, 96, 1, 2, 3, 1),
}


@pytest.mark.parametrize("shape", WEIGHTS)
def test_weight_gradients_have_the_same_bits(shape, rng):
    n, size, c, co, kernel, stride = WEIGHTS[shape]
    padding = kernel // 2
    x = rng.standard_normal((n, size, size, c), np.float32)
    out = (size + 2 * padding - kernel) // stride + 1
    dy = rng.standard_normal((n, out, out, co), np.float32)

    def gradients(dtype=np.float32):
        dweight, dbias = np.zeros((kernel, kernel, c, co), dtype), np.zeros(co, dtype)
        window = (stride, stride, padding, padding, 1, 1, 1)
        conv.conv2d_backward_weight(x.astype(dtype), dy.astype(dtype), dweight, dbias, *window)
        return dweight, dbias

    found = []
    for threads in MANY:
        with any_work_on(threads):
            found.append(gradients())
    for dweight, dbias in found[1:]:
        assert dweight.tobytes() == found[0][0].tobytes()
        assert dbias.tobytes() == found[0][1].tobytes()
    for got, wanted in zip(found[0], gradients(np.float64), strict=True):
        assert_allclose(got, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("rows", [1000, 1025, 25600, 27001])
def test_sums_of_rows_have_the_same_bits(rows, rng):
    x, dy = (rng.standard_normal((rows, 3), np.float32) for _ in range(2))
    found = []
    for threads in MANY:
        sums = np.zeros((7, 3), np.float32)
        dx = np.empty_like(x)
        with any_work_on(threads):
            reduce.add_column_sums(x, sums[0])
            batch_norm.batch_moments(x, *sums[1:5], 0.9, True, 1e-5)
            ones = np.ones(3, np.float32)
            batch_norm.batch_norm_backward(x, dy, *sums[1:3], ones, dx, *sums[5:], True)
        found.append(sums.tobytes() + dx.tobytes())
    assert len(set(found)) == 1
    assert_allclose(sums[0], x.sum(0, dtype=float), rtol=1e-4)
    assert_allclose(sums[1], x.mean(0, dtype=float), rtol=1e-4)
    assert_allclose(sums[2], 1 / np.sqrt(x.var(0, dtype=float) + 1e-5), rtol=1e-5)
    assert_allclose(sums[6], dy.sum(0, dtype=float), rtol=1e-4)
