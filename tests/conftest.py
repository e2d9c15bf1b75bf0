"""Fixtures of every test."""

import gc
import signal
import sys

import numpy as np
import pytest

import deepfs as dfs
from deepfs.testing import any_work_on


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the thousands of tests, which live to the end, out of each collection of garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _seed():
    dfs.set_seed(0)


@pytest.fixture(autouse=True)
def _figures():
    """Close the figures that pyplot keeps, where a test has imported it."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c():
    """Ctrl-C as on a terminal, also where the suite runs under nohup, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=[1, 2, 4], ids="{} threads".format)
def threads(request):
    """Each number of threads in turn, really used whatever the size of the arrays."""
    with any_work_on(request.param):
        yield request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def tolerance(dtype):
    """Largest difference from a NumPy reference, for results of about 1."""
    return {"rtol": 0, "atol": 1e-5 if dtype == np.float32 else 1e-12}


@pytest.fixture
def data(rng):
    """Three easy classes: which third of the image is bright."""
    y = rng.integers(0, 3, 90)
    x = rng.random((90, 1, 9, 9)).astype(np.float32)
    for i, k in enumerate(y):
        x[i, 0, 3 * k : 3 * k + 3] += 0.7
    return x, y
