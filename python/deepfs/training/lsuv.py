"""LSUV: layer-sequential unit variance initialization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._arrays import Array
from .._check import array as array_of
from .._check import number, whole
from ..initializers import Orthogonal
from ..layers import Container, Layer
from ..layers._container import walk
from ..random import Random


def lsuv(
    network: Layer, x: ArrayLike, tolerance: float = 0.1, max_steps: int = 10
) -> dict[str, float]:
    """LSUV initialization: scale weights so that each layer's output on a batch has variance 1.

    Every weight with at least two axes becomes orthonormal. Then each layer with such a weight, in
    order, is run, and its weight is divided by the standard deviation of its output (before any
    activation), until the variance is 1 within the tolerance.

    Parameters
    ----------
    network : Layer
        It is built for ``x`` if it is not built yet. Biases, gamma and beta do not change.
    x : array (n, ...)
        A batch of training inputs; a few hundred samples are enough.
    tolerance : float
        Largest difference of a variance from 1, in (0, 1).
    max_steps : int
        Largest number of divisions of a weight.

    Returns
    -------
    dict of float
        The variance that each layer has reached, by its name.

    Raises
    ------
    TypeError
        If ``network`` is not a layer, or a setting is of the wrong kind.
    ValueError
        If a setting is out of range, the batch is empty, or an output is constant or not finite.
    RuntimeError
        If a layer does not reach the tolerance, for instance because of a large bias. After any
        error, all weights are those from before the call.

    Notes
    -----
    Shapes: those of the network. The batch passes the network in training mode, so batch
    normalization and dropout act as they will in training; buffers are restored afterwards. One
    forward pass is enough, since the output of a layer is scaled before it reaches the next.

    References
    ----------
    Mishkin and Matas, "All you need is a good init", 2015, arXiv:1511.06422.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> net = L.Sequential([L.Dense(50), L.ReLU(), L.Dense(10)])
    >>> found = lsuv(net, np.random.default_rng(0).random((100, 20)))
    >>> {name: round(variance, 3) for name, variance in found.items()}
    {'dense_1': 1.0, 'dense_2': 1.0}
    """
    if not isinstance(network, Layer):
        raise TypeError(f"lsuv needs a deepfs Layer, got {network!r}")
    tolerance = number(tolerance, "tolerance", "(0, 1)")
    max_steps = whole(max_steps, "max_steps")
    x = array_of(x, "lsuv")
    if x.ndim < 1 or x.size == 0:
        raise ValueError(f"lsuv needs at least 1 sample, got inputs of shape {x.shape}")
    x = network.prepare(x)
    kept = [
        (array, array.copy())
        for array in (*(p.storage for p in network.parameters().values()),
                      *network.buffers().values())
    ]  # fmt: skip
    buffers = kept[len(network.parameters()) :]
    watched: dict[int, _Scaled] = {}
    try:
        for name, layer, _ in walk(network, "", network.in_shape or ()):
            if not isinstance(layer, Container) and id(layer) not in watched:
                watched[id(layer)] = _Scaled(name or layer.label, layer, tolerance, max_steps)
        network.forward(x, training=True)
    except BaseException:
        buffers = kept
        raise
    finally:
        for scaled in watched.values():
            scaled.release()
        for array, before in buffers:
            array[...] = before
    return {s.name: s.variance for s in watched.values() if s.variance is not None}


class _Scaled:
    """A layer that scales its own weights when it runs for the first time, until `release`."""

    def __init__(self, name: str, layer: Layer, tolerance: float, max_steps: int) -> None:
        self.name, self.layer, self.tolerance, self.max_steps = name, layer, tolerance, max_steps
        self.variance: float | None = None
        self.weights = [p for p in layer.parameters().values() if p.value.ndim > 1]
        self._forward: Callable[..., Any] = layer._forward
        for weight in self.weights:
            weight.value = Orthogonal()(weight.value.shape, Random())
        if self.weights:
            vars(layer)["_forward"] = self.forward

    def forward(self, x: Array, training: bool, *end: Any) -> Any:
        """Run the layer, scaled so that its output without a fused ReLU has variance 1."""
        if self.variance is None:
            self.variance = self._scale(x, training)
        return self._forward(x, training, *end)

    def _scale(self, x: Array, training: bool) -> float:
        for _ in range(self.max_steps + 1):
            y = self._forward(x, training)[0]
            with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused below
                variance = float(np.var(y, dtype=np.float64))
            if not 0 < variance < np.inf:
                raise ValueError(
                    f"lsuv needs outputs that vary, got variance {variance} from {self.layer.label}"
                )
            if abs(variance - 1) <= self.tolerance:
                return variance
            for weight in self.weights:
                weight.value = weight.value / variance ** (0.5 / len(self.weights))
        raise RuntimeError(
            f"lsuv got variance {variance:.3g} from {self.layer.label} after {self.max_steps} "
            f"steps, not 1 within {self.tolerance}"
        )

    def release(self) -> None:
        """Restore the original `_forward` of the layer."""
        if self.weights:
            vars(self.layer).pop("_forward", None)
