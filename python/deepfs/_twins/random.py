"""Twins of layers with a state: batch norm, and layers of random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import reference
from .._arrays import Array, logical, physical
from .plain import Twin, add_gradients


class BatchNorm(Twin):
    """Of `deepfs.layers.BatchNorm`: it updates the running statistics as well."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        gamma, beta = self.affine(layer, x)
        given: tuple[Array, ...] = ()
        if training and not layer.fixed:
            layer.check_training(x.shape)
            self.update(layer, x)
        else:
            given = layer.buffered["running_mean"].copy(), layer.buffered["running_var"].copy()
        if x.size == 0:
            return x.copy(), (x, given)
        return reference.batch_norm(x, gamma, beta, layer.eps, *given), (x, given)

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        x, given = kept
        if x.size == 0:
            return dy.copy() if need_dx else None
        gamma = self.affine(layer, x)[0]
        dx, dgamma, dbeta = reference.batch_norm_backward(x, gamma, dy, layer.eps, *given)
        add_gradients(layer, {"gamma": dgamma, "beta": dbeta})
        return dx if need_dx else None

    @staticmethod
    def affine(layer: Any, x: Array) -> tuple[Array, Array]:
        if layer.affine:
            return layer.learned["gamma"].value, layer.learned["beta"].value
        return np.ones(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)

    @staticmethod
    def update(layer: Any, x: Array) -> None:
        """Update the running statistics: running = keep * running + (1 - keep) * batch."""
        if x.size == 0:
            return
        axes, m = (0, *range(2, x.ndim)), x.size // x.shape[1]
        layer.buffered["batches"][...] += 1
        count = int(layer.buffered["batches"][0])
        keep = layer.momentum if layer.statistics == "moving" else 1 - 1 / count
        divisor = m - 1 if layer.running_variance == "unbiased" else m
        var = x.var(axes) * (m / divisor)
        for name, batch in (("running_mean", x.mean(axes)), ("running_var", var)):
            running = layer.buffered[name]
            running[...] = keep * running + (1 - keep) * batch


class Dropout(Twin):
    """Of `deepfs.layers.Dropout`: it draws the masks that the layer would draw."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        draw = layer._new_draw() if training else None
        return self.masked(layer, x, draw), draw

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        return self.masked(layer, dy, kept) if need_dx else None

    @staticmethod
    def masked(layer: Any, x: Array, draw: tuple[int, ...] | None) -> Array:
        if draw is None:  # in inference
            return x.copy() if layer.scaling == "train" else x * (1 - layer.p)
        memory = physical(x)  # random numbers are for entries in the order of the memory
        y = reference.dropout(memory.reshape(-1), layer.p, *draw).reshape(memory.shape)
        return logical(y if layer.scaling == "train" else y * (1 - layer.p))


class SpatialDropout(Dropout):
    """Of `deepfs.layers.SpatialDropout`."""

    @staticmethod
    def masked(layer: Any, x: Array, draw: tuple[int, ...] | None) -> Array:
        return x.copy() if draw is None else reference.spatial_dropout(x, layer.p, *draw)


class GaussianNoise(Twin):
    """Of `deepfs.layers.GaussianNoise`."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        if not training:
            return x.copy(), None
        memory = physical(x)
        y = reference.gaussian_noise(memory.reshape(-1), layer.std, *layer._new_draw())
        return logical(y.reshape(memory.shape)), None

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        return dy.copy() if need_dx else None


class DropConnect(Twin):
    """Of `deepfs.layers.DropConnect`; in inference it is a dense layer."""

    def forward(self, layer: Any, x: Array, training: bool) -> tuple[Array, Any]:
        draw = layer._new_draw() if training else None
        weight, bias = self.parameters(layer, x)
        if draw is None:
            return reference.dense(x, weight, bias), (x, None)
        return reference.drop_connect(x, weight, bias, layer.p, *draw), (x, draw)

    def backward(self, layer: Any, dy: Array, kept: Any, need_dx: bool) -> Array | None:
        x, draw = kept
        weight, _ = self.parameters(layer, x)
        if draw is None:
            dx, dweight, dbias = reference.dense_backward(x, weight, dy)
        else:
            dx, dweight, dbias = reference.drop_connect_backward(x, weight, dy, layer.p, *draw)
        add_gradients(layer, {"weight": dweight, "bias": dbias})
        return dx if need_dx else None

    @staticmethod
    def parameters(layer: Any, x: Array) -> tuple[Array, Array]:
        bias = layer.learned["bias"].value if layer.bias else np.zeros(layer.units, x.dtype)
        return layer.learned["weight"].value, bias
