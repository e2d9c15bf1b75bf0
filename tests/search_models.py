"""Models for tests of `deepfs.search`: functions of a module, which processes can import."""

import os
import signal

import numpy as np

import deepfs as dfs
from deepfs import layers as L


def data(samples=96):
    """Return points of two classes that a small network learns in an epoch or two."""
    x = np.random.default_rng(0).normal(size=(samples, 4)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(int)


def build(params):
    """Return a small network; 13 units are refused, as a faulty function would."""
    units = params.get("units", 4)
    if units == 13:
        raise ValueError("13 units bring bad luck")
    net = L.Sequential([L.Dense(units), L.ReLU(), L.Dense(2)])
    return dfs.Model(net, "cross_entropy", dfs.optimizers.SGD(params["lr"]))


def killing(params):
    """Kill the process of one trial, as a machine does that has no memory left."""
    if params["units"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return build(params)


SPACE = {"lr": ("log", 1e-3, 1.0), "units": (2, 8)}
