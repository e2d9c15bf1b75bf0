"""Training of convolutional networks on CPUs.

>>> import deepfs as dfs
>>> from deepfs import layers as L
>>> (x, y), (xt, yt) = dfs.datasets.mnist_mini()
>>> net = L.Sequential([L.Conv2D(16, 3), L.ReLU(), L.MaxPool2D(2), L.Flatten(), L.Dense(10)])
>>> model = dfs.Model(net, loss=dfs.losses.CrossEntropy(), optimizer=dfs.optimizers.Adam(1e-3))
>>> history = model.fit(x[:500], y[:500], batch_size=100, epochs=1, verbose=0)
>>> model.evaluate(xt[:100], yt[:100])["accuracy"] > 0.2
True

`Model` trains, evaluates, predicts and saves; `layers` and `networks` are what it trains.
Submodules are imported when they are first used, so ``import deepfs`` takes little more time than
``import numpy``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._launched import several as _several
from ._version import __version__ as __version__

if TYPE_CHECKING:
    from . import (
        augment,
        book,
        build,
        callbacks,
        compress,
        config,
        data,
        datasets,
        distributed,
        initializers,
        lab,
        layers,
        losses,
        metrics,
        networks,
        onnx,
        optimizers,
        plots,
        preprocessing,
        recipes,
        reference,
        regularizers,
        schedules,
        testing,
    )
    from ._im2col import col2im, im2col
    from ._load import load
    from ._use_reference import use_reference
    from .config import get_num_threads, set_num_threads, show_config, threads
    from .cross_validation import cross_validate
    from .inference import InferenceModel
    from .inspection.diagnose import diagnose
    from .layers.graph import Graph
    from .model import Model
    from .random import set_seed
    from .saving.tensors import CheckpointError
    from .testing.numerical import numerical_gradient
    from .training.history import History
    from .training.lsuv import lsuv
    from .tuning.search import search

__all__ = [
    "CheckpointError",
    "Graph",
    "History",
    "InferenceModel",
    "Model",
    "augment",
    "book",
    "build",
    "callbacks",
    "col2im",
    "compress",
    "config",
    "cross_validate",
    "data",
    "datasets",
    "diagnose",
    "distributed",
    "get_num_threads",
    "im2col",
    "initializers",
    "lab",
    "layers",
    "load",
    "losses",
    "lsuv",
    "metrics",
    "networks",
    "numerical_gradient",
    "onnx",
    "optimizers",
    "plots",
    "preprocessing",
    "recipes",
    "reference",
    "regularizers",
    "schedules",
    "search",
    "set_num_threads",
    "set_seed",
    "show_config",
    "testing",
    "threads",
    "use_reference",
]

_HOME = {
    "CheckpointError": "saving.tensors",
    "Graph": "layers.graph",
    "History": "training.history",
    "InferenceModel": "inference",
    "Model": "model",
    "col2im": "_im2col",
    "cross_validate": "cross_validation",
    "diagnose": "inspection.diagnose",
    "get_num_threads": "config",
    "im2col": "_im2col",
    "load": "_load",
    "lsuv": "training.lsuv",
    "numerical_gradient": "testing.numerical",
    "search": "tuning.search",
    "set_num_threads": "config",
    "set_seed": "random",
    "show_config": "config",
    "threads": "config",
    "use_reference": "_use_reference",
}

if _several():  # processes that must not wait for ever for one that has failed
    from .distributed.launch import watch as _watch

    _watch()


if not TYPE_CHECKING:  # type checkers shall report wrong names

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(importlib.import_module(f"deepfs.{_HOME[name]}"), name)
        elif name in __all__:
            value = importlib.import_module(f"deepfs.{name}")
        else:
            from ._elsewhere import absent

            raise absent("deepfs", name, __all__)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
