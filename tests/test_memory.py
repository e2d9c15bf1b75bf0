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


def address(buffer):
    return np.frombuffer(buffer, np.uint8).ctypes.data


def test_a_large_buffer_serves_smaller_ones_and_larger_ones_again():
    whole = memory.Buffer(2**20)
    begin = address(whole)
    del whole
    idle = memory.idle_memory()
    parts = [memory.Buffer(n) for n in (300_000, 200_000, 400_000)]
    assert sorted(map(address, parts)) == [address(part) for part in parts]
    assert begin == address(parts[0])
    assert address(parts[-1]) < begin + 2**20
    for i, part in enumerate(parts):
        memoryview(part).cast("B")[:] = bytes([i]) * len(memoryview(part))
    for i, part in enumerate(parts):
        assert (np.frombuffer(part, np.uint8) == i).all()
    assert memory.idle_memory() < idle - 900_000
    del parts[1], part  # a hole, which the next of its size gets
    hole = memory.Buffer(190_000)
    assert begin < address(hole) < begin + 2**20
    del hole, parts
    assert memory.idle_memory() == idle
    assert address(memory.Buffer(2**20)) == begin


@pytest.mark.parametrize("order", [(0, 2, 3), (3, 2, 0)])
def test_the_smallest_idle_part_that_is_large_enough_is_taken(order):
    buffers = [memory.Buffer(n) for n in (155_000, 60_000, 135_000, 2**20)]
    begin = address(buffers[2])
    for i in order:
        buffers[i] = None
    assert address(memory.Buffer(133_000)) == begin


def test_other_sizes_go_back_before_memory_grows():
    several = [memory.Buffer(2**20) for _ in range(6)]
    del several
    assert memory.idle_memory() > 6 * 2**20
    large = memory.Buffer(4 * 2**20)
    assert memory.idle_memory() < 3 * 2**20
    del large


def test_release_returns_the_pages_around_what_is_held():
    pages = [memory.Buffer(2**23)]
    memoryview(pages[0]).cast("B")[:] = bytes(2**23)
    del pages[0]
    held = [memory.Buffer(2**16) for _ in range(2)]
    del held[0]
    assert memory.idle_memory() > 2**22
    memory.release()
    assert memory.idle_memory() == 0
    again = memory.Buffer(2**22)  # from what was released, beside what is held
    assert abs(address(again) - address(held[0])) < 2**23
    del again, held
    assert memory.idle_memory() > 2**23 - 2**20


@pytest.mark.parametrize("seed", range(3))
def test_buffers_of_random_sizes_keep_what_is_in_them(seed):
    numbers, held = np.random.default_rng(seed), {}
    for step in range(3000):
        if held and numbers.random() < 0.5:
            buffer = held.pop(list(held)[numbers.integers(len(held))])
            a = np.frombuffer(buffer, np.uint32)
            assert (a[[0, -1]] == a[len(a) // 2]).all()
            del a, buffer
        else:
            n = 4 * int(10 ** numbers.uniform(2, 5))
            held[step] = memory.Buffer(n)
            np.frombuffer(held[step], np.uint32)[:] = step
    for step, buffer in held.items():
        assert (np.frombuffer(buffer, np.uint32) == step).all()
    assert len({address(buffer) for buffer in held.values()}) == len(held)


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
