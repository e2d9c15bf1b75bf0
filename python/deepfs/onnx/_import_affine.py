"""Constants that a file multiplies and adds: a batch norm with fixed statistics does both.

deepfs has no layer that only scales and shifts. `BatchNorm` with ``statistics="fixed"``, a mean of
0 and a variance of 1 is one: y = gamma x + beta, and gamma and beta learn. What is one number, as
in x / 255, is a setting, no weight: such a layer is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers as L
from .._arrays import Array, Shape
from ._import_values import Refused, Value, size_of

if TYPE_CHECKING:
    from ._import_net import Importer

EPS = 1e-12  # above 0, as BatchNorm needs; 1 + EPS is 1 in float32


def scaled(
    net: Importer, x: Value, scale: Array | float, shift: Array | float = 0.0, own: bool = False
) -> Value:
    """Return x scale + shift, for constants that broadcast to x; ``own``: by a layer of its own."""
    a, b = np.asarray(scale, np.float64), np.asarray(shift, np.float64)
    single = a.size == 1 and b.size == 1
    if single and a.reshape(-1)[0] == 1 and b.reshape(-1)[0] == 0:
        return x
    tensor, both, made = per_channel(net, x, np.stack(np.broadcast_arrays(a, b)), leading=1)
    before = net.affine.get(id(tensor))
    if (
        before is not None and net.alone(tensor) and not own
    ):  # one layer for a product and the sum after it
        weights = net.weights[id(before)]
        weights["beta"] = weights["beta"] * both[0] + both[1]
        weights["gamma"] = weights["gamma"] * both[0]
        if not single:
            before.unfreeze()
        return x
    layer = L.BatchNorm(eps=EPS, statistics="fixed", running_variance="biased")
    if single:
        layer.freeze()
    done = net.call(layer, tensor, {"gamma": both[0], "beta": both[1]})
    net.affine[id(done)] = layer
    return made(done)


def per_channel(
    net: Importer, x: Value, constant: Array, leading: int = 0
) -> tuple[Any, Array, Callable[[Any], Value]]:
    """Return a tensor, a constant with a number for each of its channels, and what x becomes.

    Constants that differ from pixel to pixel make each entry of a sample a channel: the tensor is
    then flat, and reshaped after the layer. ``leading`` axes of the constant are several of them.
    """
    parts = constant if leading else constant[None]
    shape = x.tensor.shape
    samples = [broadcast(x.shape, part) for part in parts]
    if parts[0].size == 1:
        full = [np.broadcast_to(part.reshape((1,) * len(shape)), shape) for part in samples]
    else:
        size_of(x.shape)
        full = [x.arranged(np.broadcast_to(part, x.shape)) for part in samples]
    if 1 <= len(shape) <= 3 and all(equal_pixels(part) for part in full):
        channels = np.stack([part.reshape(shape[0], -1)[:, 0] for part in full])
        return x.tensor, channels if leading else channels[0], x.of
    flat = np.stack([part.reshape(-1) for part in full])
    rows = net.call(L.Flatten() if shape else L.Reshape((1,)), x.tensor)

    def back(made: Any) -> Value:
        if x.order is None:
            return Value(made, x.shape)
        return x.of(net.call(L.Reshape(shape), made))

    return rows, flat if leading else flat[0], back


def equal_pixels(array: Array) -> bool:
    """Return whether all pixels of a channel have the same number."""
    rows = array.reshape(len(array), -1)
    return bool((rows == rows[:, :1]).all())


def broadcast(shape: Shape, array: Array) -> Array:
    """Return a constant with the axes of a sample; refuse what differs between samples."""
    rank = len(shape) + 1
    if array.ndim > rank or (array.ndim == rank and array.shape[0] != 1):
        raise Refused(f"its constant of shape {array.shape} differs from sample to sample")
    array = array.reshape((1,) * (rank - array.ndim) + array.shape)[0]
    if np.broadcast_shapes(array.shape, shape) != shape:
        raise Refused(f"its constant of shape {array.shape} enlarges samples of shape {shape}")
    return array
