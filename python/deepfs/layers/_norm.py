"""Base of layer, group and instance normalization. Kernel: ``src/cnn_core/group_norm.pyx``.

The three layers are one computation: rows of pixels x columns, whose columns fall into groups that
each have their own mean and variance. A layer says how its input is arranged that way.
"""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from typing import Any

import numpy as np

from cnn_core import group_norm

from .._arrays import Array, Shape, empty, logical, physical
from ._base import Layer


class SampleNorm(Layer):
    """Base of the layers below: everything but their settings and the arrangement of the input."""

    eps: Any  # types of the fields of the layers below, once __post_init__ has run
    affine: Any

    @abstractmethod
    def _rows(self, x: Array) -> tuple[Array, int, int]:
        """Return ``x`` as C-contiguous (rows, pixels, c), and two numbers.

        The numbers are the groups that the c columns fall into, and the columns that share an entry
        of gamma.
        """

    @abstractmethod
    def _logical(self, rows: Array, shape: Shape) -> Array:
        """Return the array of ``shape`` from which `_rows` makes ``rows``: its inverse."""

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        x = logical(physical(x))  # the copy, if one is needed
        rows, groups, repeats = self._rows(x)
        statistics, y = np.empty((2, len(rows), groups), x.dtype), empty(rows.shape, x.dtype)
        gamma, beta = self._affine(rows, repeats)
        group_norm.group_norm_forward(rows, gamma, beta, self.eps, statistics, y)
        return self._logical(y, x.shape), (rows, repeats, statistics)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        if not (need_dx or self._learns()):
            return None
        rows, repeats, statistics = cache
        gamma = self._affine(rows, repeats)[0]
        own = self.affine and repeats == 1
        if own:
            dgamma, dbeta = (p.dstorage.reshape(gamma.shape) for p in self.learned.values())
        else:
            dgamma, dbeta = np.zeros_like(gamma), np.zeros_like(gamma)
        dx = empty(rows.shape, rows.dtype) if need_dx else None
        group_norm.group_norm_backward(
            rows, self._rows(dy)[0], gamma, statistics, dx, dgamma, dbeta
        )
        if self.affine and not own:
            for parameter, each in zip(self.learned.values(), (dgamma, dbeta), strict=True):
                total = each.sum(axis=1, dtype=np.float64)
                parameter.dstorage += total.reshape(parameter.dstorage.shape)
        return None if dx is None else self._logical(dx, dy.shape)

    def _affine(self, rows: Array, repeats: int) -> tuple[Array, Array]:
        """Return gamma and beta as the kernel takes them: (1 or pixels, c)."""
        c = rows.shape[2]
        if not self.affine:
            return np.ones((1, c), rows.dtype), np.zeros((1, c), rows.dtype)
        gamma, beta = (p.storage.reshape(-1, c // repeats) for p in self.learned.values())
        return (gamma, beta) if repeats == 1 else (gamma.repeat(c, axis=1), beta.repeat(c, axis=1))

    def _learn(self, shape: Shape, dtype: np.dtype[Any], axes: Shape | None = None) -> None:
        if self.affine:
            self.add_parameter("gamma", shape, dtype, 1.0, axes)
            self.add_parameter("beta", shape, dtype, 0.0, axes)


class ChannelNorm(SampleNorm):
    """Base of group and instance normalization: a gamma and a beta for each channel."""

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        self._learn(in_shape[:1], dtype)

    def _check_channels(self, in_shape: Shape, groups: int, kind: str) -> None:
        takes, values = self.in_shape or in_shape, prod(in_shape) // max(groups, 1)
        if in_shape[0] != takes[0] or takes[0] < 1:
            raise ValueError(
                f"{self.label} takes {max(takes[0], 1)} channels, got shape {in_shape}"
            )
        if values < 2:
            raise ValueError(
                f"{self.label} needs more than 1 value per {kind} of a sample, got shape {in_shape}"
            )

    def _columns(self, x: Array) -> Array:
        """Return (n, c, ...) as C-contiguous (n, pixels, c); a copy only if needed."""
        flat = x.reshape(*x.shape[:2], prod(x.shape[2:]))
        return np.ascontiguousarray(flat.transpose(0, 2, 1))

    def _logical(self, rows: Array, shape: Shape) -> Array:
        return rows.transpose(0, 2, 1).reshape(shape)
