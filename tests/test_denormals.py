"""Denormal numbers count as zero in kernels, and only there: docs/numerics.md defines it."""

import ctypes
import platform
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import cnn_core
import deepfs as dfs
from cnn_core import add, batch_norm, dense, softmax
from cnn_core import threads as kernel
from deepfs.testing import any_work_on
from every_layer import CASES, spread
from every_optimizer import every

KERNELS = Path(cnn_core.__file__).parent
DENORMAL = {np.float32: 1e-39, np.float64: 1e-309}


def flushes():
    """Return whether this thread treats denormal numbers as zero, in NumPy."""
    small = np.full(9, 1e-20, np.float32)
    return not (small * small).any()


def has_denormals(x):
    return x.dtype.kind == "f" and bool(((x != 0) & (abs(x) < np.finfo(x.dtype).tiny)).any())


pytestmark = pytest.mark.skipif(flushes(), reason="NumPy itself flushes denormals here")


def test_every_kernel_of_numbers_begins_by_flushing():
    """A `def` that takes arrays of numbers sets the mode before it does anything else."""
    forgotten, found = [], 0
    for path in sorted(KERNELS.glob("*.pyx")):
        for name, signature, body in re.findall(
            r'^def (\w+)\((.*?)\):\n    """.*?"""\n(.*?\n)', path.read_text("utf-8"), re.M | re.S
        ):
            if re.search(r"\breal\[", signature):
                found += 1
                if body != "    cdef FloatMode _mode = flush_denormals()\n":
                    forgotten.append(f"{path.stem}.{name}")
    assert not forgotten
    assert found > 25


def test_every_parallel_region_is_one_of_this_header():
    """`cnn_core_threads.h` gives workers their caller's mode, in each module that includes it."""
    for path in KERNELS.glob("*.pyx"):
        text = path.read_text("utf-8")
        if "prange(" in text and path.stem != "threads":  # which its own .pxd makes include it
            assert "from cnn_core.threads cimport" in text, path.name


def test_moments_of_an_optimizer_become_zero(dtype):
    """A weight that never gets a gradient again: m stayed at 5.6e-45, and steps took 10 times."""
    w, g = np.full(100, 0.1, dtype), np.full(100, 0.1, dtype)
    adam = dfs.optimizers.Adam(1e-6)
    state = adam.init(w)
    adam.step(w, g, state, t=1)
    g[:] = 0
    for t in range(2, 2000 if dtype == np.float32 else 8000):
        adam.step(w, g, state, t=t)
    assert not state["m"].any()
    assert state["v"].all()  # it decays more slowly
    assert not flushes()


# Layers that hand on what they are given, or a part of it; by NumPy, the Heaviside step.
HANDING_ON = ("max pool", "global max pool", "relu", "identity", "elu", "maxout", "spatial dropout",
              "clip", "gaussian noise", "flatten", "reshape", "zero pad", "crop", "branches",
              "step", "graph of rows")  # fmt: skip


@pytest.mark.parametrize(
    ("make", "shape"),
    [case[1:] for case in CASES if not case[0].startswith(HANDING_ON)],
    ids=[case[0] for case in CASES if not case[0].startswith(HANDING_ON)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_compute_as_if_denormals_were_zero(make, shape, dtype):
    x = spread(shape).astype(np.float64)
    x = (x / abs(x).max() * DENORMAL[dtype]).astype(dtype)
    results = []
    for given in (x, np.zeros_like(x)):
        layer = make()
        layer.build(shape[1:], dtype)
        y, cache = layer.forward(given, training=True)
        dx = layer.backward(np.full(y.shape, DENORMAL[dtype], dtype), cache)
        results.append([y, dx, *(p.grad for p in layer.parameters().values())])
        assert not any(map(has_denormals, results[-1]))
    for got, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert not flushes()


@every
def test_optimizers_leave_the_mode_alone(kind, settings, dtype):
    w = np.full(50, DENORMAL[dtype], dtype)
    optimizer = kind(**settings)
    optimizer.step(w, w.copy(), optimizer.init(w), t=1)
    assert not flushes()


def test_several_threads_flush_alike(dtype):
    """Which thread computes an entry must not decide its value."""
    a = np.full(100_000, DENORMAL[dtype], dtype)
    for n in (1, 2, 3):
        y = np.ones_like(a)
        with any_work_on(n):
            add.add(a, a, y)
        assert not y.any()


ONE = np.ones((5, 4), np.float32)
WRONG = {
    "shapes": lambda: add.add(ONE[0], ONE[1], np.ones(3, np.float32)),
    "labels": lambda: softmax.cross_entropy_forward(
        ONE, np.full(5, 99), None, None, ONE.copy(), np.ones(5, np.float32)
    ),
    "a product": lambda: dense.dense_forward(ONE, ONE, None, ONE.copy()),
    "no rows": lambda: batch_norm.batch_moments(ONE[:0], *ONE[:4], 0.9, True, 1e-5),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_the_mode_is_put_back_when_a_kernel_raises(call):
    with pytest.raises((ValueError, IndexError)):
        call()
    assert not flushes()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="by the C library's layout for x86")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="by glibc's layout")
def test_a_caller_who_flushes_goes_on_flushing():
    libm, mxcsr = ctypes.CDLL("libm.so.6"), 28
    before = ctypes.create_string_buffer(64)
    assert libm.fegetenv(before) == 0
    own = ctypes.create_string_buffer(before.raw, 64)
    mode = int.from_bytes(own[mxcsr : mxcsr + 4], "little") | 0x8040
    own[mxcsr : mxcsr + 4] = mode.to_bytes(4, "little")
    try:
        assert libm.fesetenv(own) == 0
        flushed_before = flushes()
        add.add(ONE[0], ONE[1], np.ones(4, np.float32))
        flushed_after = flushes()
    finally:
        libm.fesetenv(before)
    assert (flushed_before, flushed_after) == (True, True)
    assert not flushes()


def team():
    """Return a function that calls another on each of two threads of the kernels' OpenMP."""
    paths = re.findall(r"(/\S*libgomp\S*)$", Path("/proc/self/maps").read_text(), re.M)
    library, kind = ctypes.CDLL(paths[0]), ctypes.CFUNCTYPE(None, ctypes.c_void_p)

    def call(function):
        found = []
        body = kind(lambda _: found.append((threading.get_native_id(), function())))
        library.GOMP_parallel(body, None, 2, 0)
        return dict(found)

    return call


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="of Linux")
@pytest.mark.skipif(not kernel.has_openmp(), reason="built without OpenMP")
def test_workers_get_their_mode_back():
    """They are shared with all that uses the library: PyTorch, say."""
    if "libgomp" not in Path("/proc/self/maps").read_text():
        pytest.skip("not GNU OpenMP")
    on_each = team()
    a = np.full(100_000, 1e-39, np.float32)
    with any_work_on(2):
        add.add(a, a, a.copy())
        modes = on_each(flushes)
    assert len(modes) == 2
    assert not any(modes.values())
