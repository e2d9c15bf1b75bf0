"""Memory that is used again: who holds an array holds its buffer."""

import copy
import gc
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cnn_core import memory
from deepfs.layers import empty
from deepfs.testing import any_work_on
from every_layer import every_layer

SHAPE = (50, 40, 40)


@pytest.fixture(autouse=True)
def _start_without_idle_buffers():
    gc.collect()
    memory.release()


def test_a_buffer_returns_when_its_last_array_dies():
    a = empty(SHAPE, np.float32)
    assert a.shape == SHAPE
    assert a.dtype == np.float32
    assert a.flags.c_contiguous
    assert a.flags.writeable
    address, view = a.ctypes.data, a[3:].T
    assert address % 64 == 0
    view[:] = 7
    del a
    assert memory.idle_memory() == 0
    assert (view == 7).all()
    del view
    assert memory.idle_memory() >= 4 * np.prod(SHAPE)
    again = empty(SHAPE, np.float32)
    assert again.ctypes.data == address
    assert memory.idle_memory() == 0


def test_live_arrays_never_share_memory():
    arrays = [empty((n, 33), np.float64) for n in range(1000, 1020)]
    for i, a in enumerate(arrays):
        a[:] = i
    del arrays[::2]
    arrays += [empty((n, 33), np.float64) for n in range(1000, 1010)]
    for i, a in enumerate(arrays[10:]):
        a[:] = -i
    for i, a in enumerate(arrays[:10]):
        assert (a == 2 * i + 1).all()


def test_idle_memory_is_bounded_and_can_be_given_back():
    del (lambda: [empty((2**26,), np.float32) for _ in range(6)])()[:]
    assert 0 < memory.idle_memory() <= 2**30
    memory.release()
    assert memory.idle_memory() == 0


@pytest.mark.parametrize("n", [1, 4095, 4096, 4097, 100_001, 2**20 + 1])
def test_sizes_waste_at_most_a_quarter(n):
    buffer = memory.Buffer(n)
    assert len(memoryview(buffer)) == n
    del buffer
    assert n <= memory.idle_memory() <= max(4096, 1.25 * n + 4096)


def test_refuses_a_negative_size():
    with pytest.raises(ValueError, match="a buffer cannot have a negative size"):
        memory.Buffer(-1)
    with pytest.raises(MemoryError, match="no memory for an array of"):
        memory.Buffer(2**62)


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


def test_threads_share_idle_buffers():
    """Without the lock, a Python without a GIL gives one buffer to two threads."""

    def work(mark):
        for _ in range(300):
            a = np.frombuffer(memory.Buffer(16000), np.float64)
            a[:] = mark
            assert (a == mark).all()
            del a

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert 0 < memory.idle_memory() <= 4 * 16384


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_can_use_buffers():
    memory.Buffer(16000)
    child = multiprocessing.get_context("fork").Process(target=memory.Buffer, args=(16000,))
    child.start()
    child.join(20)
    if child.exitcode is None:
        child.kill()
    assert child.exitcode == 0
