"""What the store of memory keeps in a process in which nothing else holds a buffer.

`test_memory.py` runs this file in such a process: in that of the whole suite, arrays of other tests
lie among the idle parts.
"""

import gc
import sys

import numpy as np
import pytest

from cnn_core import memory
from deepfs.layers import empty

SHAPE = (50, 40, 40)


@pytest.fixture(autouse=True)
def _start_without_idle_buffers():
    gc.collect()
    memory.release()


def address(buffer):
    return np.frombuffer(buffer, np.uint8).ctypes.data


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


def test_idle_memory_is_bounded_and_can_be_given_back():
    del (lambda: [empty((2**24,), np.float32) for _ in range(20)])()[:]
    assert 0 < memory.idle_memory() <= (2**30 if sys.maxsize > 2**32 else 2**28)
    memory.release()
    assert memory.idle_memory() == 0


@pytest.mark.parametrize("n", [1, 4095, 4096, 4097, 100_001, 2**20 + 1])
def test_sizes_waste_at_most_a_quarter(n):
    buffer = memory.Buffer(n)
    assert len(memoryview(buffer)) == n
    del buffer
    assert n <= memory.idle_memory() <= max(4096, 1.25 * n + 4096)


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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes pages of an allocation back")
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
