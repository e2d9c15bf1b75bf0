"""Constants that a file multiplies and adds: a batch norm with fixed statistics does both.

deepfs has no layer that only scales and shifts. `BatchNorm` with ``statistics="fixed"``, a mean of
0 and a variance of 1 is one: y = gamma x + beta, and gamma and beta learn. What is one number, as
in x / 255, is a setting, no weight: such a layer is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
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
    """Return x scale + shift, for constants that broadcast to x.

    A product and the sum after it are one layer, unless it is asked for one of its ``own``.
    """
    a, b = np.asarray(scale, np.float64), np.asarray(shift, np.float64)
    single = a.size == 1 and b.size == 1
    if single and a.reshape(-1)[0] == 1 and b.reshape(-1)[0] == 0:
        return x
    tensor, (gamma, beta), made = per_channel(net, x, np.broadcast_arrays(a, b))
    before = net.affine.get(id(tensor))
    if before is not None and net.alone(tensor) and not own:
        weights = net.weights[id(before)]
        weights["beta"] = weights["beta"] * gamma + beta
        weights["gamma"] = weights["gamma"] * gamma
        if not single:
            before.unfreeze()
        return x
    layer = L.BatchNorm(eps=EPS, statistics="fixed", running_variance="biased")
    if single:
        layer.freeze()
    done = net.call(layer, tensor, {"gamma": gamma, "beta": beta})
    net.affine[id(done)] = layer
    return made(done)


def prelu_of(net: Importer, x: Value, slope: Array) -> Value:
    """Return x with slopes below 0 that learn: one, or those that broadcast to x."""
    if slope.size == 1:
        one = L.PReLU(per_channel=False)
        return x.of(net.call(one, x.tensor, {"slope": slope.reshape(1)}))
    tensor, slopes, made = per_channel(net, x, [slope])
    return made(net.call(L.PReLU(), tensor, {"slope": slopes[0]}))


def per_channel(
    net: Importer, x: Value, constants: Sequence[Array]
) -> tuple[Any, list[Array], Callable[[Any], Value]]:
    """Return a tensor, constants with a number for each of its channels, and what x becomes.

    Constants that differ from pixel to pixel make each entry of a sample a channel: the tensor is
    then flat, and reshaped after the layer.
    """
    full = [broadcast(x.shape, constant) for constant in constants]
    if full[0].size > 1:
        size_of(x.shape)
        full = [np.broadcast_to(constant, x.shape) for constant in full]
        if x.order is None and 1 <= len(x.shape) <= 3 and all(map(equal_pixels, full)):
            x = Value(net.settled(x), x.shape)
        full = [x.arranged(constant) for constant in full]
    shape = x.tensor.shape
    if 1 <= len(shape) <= 3 and all(map(equal_pixels, full)):
        size_of(shape[:1])
        first = [f.reshape(-1) if f.size == 1 else f.reshape(len(f), -1)[:, 0] for f in full]
        return x.tensor, [np.broadcast_to(row, shape[0]) for row in first], x.of
    size_of(shape)
    rows = net.call(L.Flatten() if shape else L.Reshape((1,)), x.tensor)

    def back(made: Any) -> Value:
        if x.order is None:
            return Value(made, x.shape)
        return x.of(net.call(L.Reshape(shape), made))

    return rows, [np.broadcast_to(f.reshape(-1), prod(shape)) for f in full], back


def equal_pixels(array: Array) -> bool:
    """Return whether all pixels of a channel have the same number."""
    if array.size == 1:
        return True
    rows = array.reshape(len(array), -1)
    return bool((rows == rows[:, :1]).all())


def broadcast(shape: Shape, given: Array) -> Array:
    """Return a constant with the axes of a sample; refuse what differs between samples."""
    rank = len(shape) + 1
    if given.ndim > rank or (given.ndim == rank and given.shape[0] != 1):
        raise Refused(f"its constant of shape {given.shape} differs from sample to sample")
    array = given.reshape((1,) * (rank - given.ndim) + given.shape)[0]
    if any(a not in (1, b) for a, b in zip(array.shape, shape, strict=True)):
        raise Refused(f"its constant of shape {given.shape} does not fit samples of shape {shape}")
    return array
