"""Memory that is used again has what was left in it: no layer reads that."""

import copy

import numpy as np
import pytest

from cnn_core import memory
from deepfs.testing import any_work_on
from every_layer import every_layer


@pytest.fixture(autouse=True)
def _start_without_idle_buffers():
    memory.release()


def leave_in_idle_buffers(byte):
    """Have what comes next work in memory full of one byte: 255 makes NaN of every number."""
    buffers = [
        memory.Buffer(quarters << shift)
        for shift in range(10, 17)  # 4 KB to 448 KB
        for quarters in range(4, 8)
        for _ in range(8)
    ]
    for buffer in buffers:
        memoryview(buffer).cast("B")[:] = bytes([byte]) * len(memoryview(buffer))


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_layer_reads_what_was_left_in_a_buffer(make, shape, dtype, rng):
    x = (0.01 + rng.permutation(np.prod(shape))).reshape(shape) / np.prod(shape)
    layer, results = make(), []
    layer.build(shape[1:], dtype)
    for byte in (0, 255):
        fresh = copy.deepcopy(layer)
        with any_work_on(2):
            leave_in_idle_buffers(byte)
            y, cache = fresh.forward(x.astype(dtype), training=True)
            leave_in_idle_buffers(byte)
            dx = fresh.backward(np.cos(np.arange(y.size)).reshape(y.shape), cache)
        results.append([y, dx, *(p.grad for p in fresh.parameters().values())])
    for clean, dirty in zip(*results, strict=True):
        assert np.isfinite(clean).all()
        np.testing.assert_array_equal(dirty, clean)
