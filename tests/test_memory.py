"""Memory that is used again: who holds an array holds its buffer."""

import gc
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cnn_core import memory
from deepfs.layers import empty

SHAPE = (50, 40, 40)


@pytest.fixture(autouse=True)
def _start_without_idle_buffers():
    gc.collect()
    memory.release()


def test_the_store_of_a_fresh_process():
    file = Path(__file__).with_name("fresh_memory.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


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


def address(buffer):
    return np.frombuffer(buffer, np.uint8).ctypes.data


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
