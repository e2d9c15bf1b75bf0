"""What the networks of the book share: initial values, the pass backward, parameters in a file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..._arrays import Array
from ...datasets._pickles import read_pickle
from .._settings import Settings


def random_weights(scale: Any, *shape: int) -> Array:
    """Return normal numbers of a standard deviation, by ``np.random``."""
    return (scale * np.random.randn(*shape)).astype(Settings.dtype, copy=False)


def zeros(count: int) -> Array:
    """Return the initial values of a bias."""
    return np.zeros(count, Settings.dtype)


def share_right(y: Array, t: Array) -> Any:
    """Return the share of rows whose largest value is at the right class."""
    t = t if t.ndim == 1 else np.argmax(t, axis=1)
    return np.sum(np.argmax(y, axis=1) == t) / float(len(y))


def go_back(layers: Iterable[Any], last_layer: Any) -> None:
    """Carry the gradient of the loss back through all layers."""
    dout = last_layer.backward(1)
    for layer in reversed(list(layers)):
        dout = layer.backward(dout)


def load_pickle(file_name: str | os.PathLike[str]) -> Any:
    """Read a pickle of parameters, such as the book's ``sample_weight.pkl``, and run nothing of it.

    Raises
    ------
    ValueError
        If the file holds anything but dicts, lists, numbers, text and arrays.

    Examples
    --------
    >>> network = load_pickle("sample_weight.pkl")  # doctest: +SKIP
    """
    path = Path(file_name)
    return _own(read_pickle(path.read_bytes(), str(path)))


def _own(value: Any) -> Any:
    """Return data with arrays that may be changed."""
    if isinstance(value, dict):
        return {key: _own(entry) for key, entry in value.items()}
    return value.copy() if isinstance(value, np.ndarray) else value


def save_params(params: dict[str, Array], file_name: str) -> None:
    """Write parameters as the book does, as a pickle of a dict."""
    with open(file_name, "wb") as file:
        pickle.dump({key: np.ascontiguousarray(value) for key, value in params.items()}, file)


def load_params(params: dict[str, Array], layers: Iterable[Any], file_name: str) -> None:
    """Read parameters into a network; ``layers`` are those of W1 and b1, W2 and b2 ..."""
    found = load_pickle(file_name)
    for key, value in params.items():
        if not isinstance(found, dict) or key not in found:
            raise ValueError(f"{file_name} must have the parameter {key!r} of this network")
        if np.shape(found[key]) != value.shape:
            raise ValueError(
                f"{file_name} has {key!r} of shape {np.shape(found[key])}, "
                f"this network needs {value.shape}"
            )
    for key in params:
        params[key] = found[key].astype(Settings.dtype, copy=False)
    for number, layer in enumerate(layers, 1):
        layer.W, layer.b = params[f"W{number}"], params[f"b{number}"]


class ConvNet:
    """What the networks of chapters 7 and 8 share."""

    params: dict[str, Array]
    layers: Any
    last_layer: Any
    predict: Callable[..., Array]  # what goes into the softmax

    def loss(self, x: Array, t: Array) -> Any:
        """Return the loss of a batch."""
        return self.last_layer.forward(self.predict(x), t)

    def accuracy(self, x: Array, t: Array, batch_size: int = 100) -> Any:
        """Return the share of right classes; images after the last whole batch count as wrong."""
        t = t if t.ndim == 1 else np.argmax(t, axis=1)
        right = 0.0
        for i in range(len(x) // batch_size):
            part = slice(i * batch_size, (i + 1) * batch_size)
            right += np.sum(np.argmax(self.predict(x[part]), axis=1) == t[part])
        return right / len(x)

    def gradient(self, x: Array, t: Array) -> dict[str, Array]:
        """Return the gradients by backpropagation."""
        self.loss(x, t)
        go_back(self._in_order(), self.last_layer)
        grads = {}
        for i, layer in enumerate(self._learning(), 1):
            grads[f"W{i}"], grads[f"b{i}"] = layer.dW, layer.db
        return grads

    def save_params(self, file_name: str = "params.pkl") -> None:
        """Write the parameters as a pickle of a dict."""
        save_params(self.params, file_name)

    def load_params(self, file_name: str = "params.pkl") -> None:
        """Read parameters from a pickle, without running anything of it."""
        load_params(self.params, self._learning(), file_name)

    def _in_order(self) -> list[Any]:
        """Return the layers but the last; the book keeps them in a dict or in a list."""
        return list(self.layers.values() if isinstance(self.layers, dict) else self.layers)

    def _learning(self) -> list[Any]:
        """Return the layers of W1 and b1, W2 and b2 ..."""
        return [layer for layer in self._in_order() if hasattr(layer, "W")]
