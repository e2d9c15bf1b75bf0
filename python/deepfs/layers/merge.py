"""Layers that make one array of several: sum, difference, product, concatenation.

They are called on several tensors of a `Graph`, or on a tuple of arrays. Kernel of sums:
``src/cnn_core/add.pyx``; the others are plain NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from .._arrays import Array, Shape, empty, logical, physical
from .._check import whole
from .._trees import Tree
from ._fusion import PLAIN, Epilogue
from ._several import Several, form
from ._symbolic import Tensor
from .residual import add_arrays


class Merge(Several):
    """Base of layers of several inputs of one output."""

    def _matched(self, tree: Tree) -> Tree:
        if not isinstance(tree, (tuple, list)) or all(isinstance(entry, int) for entry in tree):
            raise ValueError(f"{self.label} takes a tuple of inputs, (a, b), got {form(tree)}")
        if len(tree) < 2:
            raise ValueError(f"{self.label} takes at least 2 inputs, got {len(tree)}")
        return tuple(tree)

    def _equal_shapes(self, shapes: Any, verb: str) -> Shape:
        if len(set(shapes)) > 1:
            listed = ", ".join(map(str, shapes))
            raise ValueError(f"{self.label} must {verb} equal shapes, got {listed}")
        shape: Shape = shapes[0]
        return shape


@dataclass(eq=False)
class Add(Merge):
    r"""Sum of several inputs of equal shapes, y = a + b + ...

    .. math:: y = \sum_i x_i, \quad dx_i = dy

    Raises
    ------
    ValueError
        If the inputs are fewer than 2, or have different shapes.

    Notes
    -----
    Shapes: inputs ``(n, ...)`` to ``(n, ...)``. Sums are formed in the order of the inputs. In a
    `Graph`, a layer that can add an array to its output does so, as in `Residual`, with the same
    bits. On symbolic tensors, ``a + b`` is the same. NumPy reference: `deepfs.reference.add`.

    References
    ----------
    ``keras.layers.Add``.

    Examples
    --------
    >>> from deepfs.layers import Add
    >>> Add()((np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])))
    array([[11., 22.]])
    """

    fuses_forward = frozenset({"relu"})

    def _out_shape(self, in_shape: Any) -> Shape:
        return self._equal_shapes(in_shape, "add")

    def _forward(self, x: Tree, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        return add_arrays(reduce(add_arrays, x[:-1]), x[-1], end.relu), len(x)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Tree | None:
        return (dy,) * cache if need_dx else None


@dataclass(eq=False)
class Subtract(Merge):
    r"""Difference of two inputs of equal shapes, y = a - b.

    .. math:: y = a - b, \quad da = dy, \quad db = -dy

    Raises
    ------
    ValueError
        If the inputs are not 2, or have different shapes.

    Notes
    -----
    Shapes: inputs ``(n, ...)`` to ``(n, ...)``. On symbolic tensors, ``a - b`` is the same.
    NumPy reference: `deepfs.reference.subtract`.

    References
    ----------
    ``keras.layers.Subtract``.

    Examples
    --------
    >>> from deepfs.layers import Subtract
    >>> Subtract()((np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])))
    array([[ -9., -18.]])
    """

    def _matched(self, tree: Tree) -> Tree:
        tree = super()._matched(tree)
        if len(tree) != 2:
            raise ValueError(f"{self.label} takes 2 inputs, got {len(tree)}")
        return tree

    def _out_shape(self, in_shape: Any) -> Shape:
        return self._equal_shapes(in_shape, "subtract")

    def _forward(self, x: Tree, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        a, b = map(physical, x)
        y = empty(a.shape, a.dtype)
        np.subtract(a, b, out=y)
        return logical(y), None

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Tree | None:
        return (dy, np.negative(dy)) if need_dx else None


@dataclass(eq=False)
class Multiply(Merge):
    r"""Product of several inputs, element by element, y = a * b * ...

    .. math:: y = \prod_i x_i, \quad dx_i = dy \prod_{j \ne i} x_j

    Raises
    ------
    ValueError
        If the inputs are fewer than 2, or have shapes that do not fit together.

    Notes
    -----
    Shapes: inputs ``(n, ...)`` to ``(n, ...)``. They have equal numbers of axes; an extent of 1
    fits any other, and its gradient is then summed, so that a gate ``(c, 1, 1)`` scales the
    channels of images ``(c, h, w)``. On symbolic tensors, ``a * b`` is the same.
    NumPy reference: `deepfs.reference.multiply`.

    References
    ----------
    ``keras.layers.Multiply``. Gates: Hu, Shen and Sun, "Squeeze-and-excitation networks", 2017,
    arXiv:1709.01507.

    Examples
    --------
    >>> from deepfs.layers import Multiply
    >>> Multiply()((np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])))
    array([[10., 40.]])
    """

    def _out_shape(self, in_shape: Any) -> Shape:
        try:
            if len(set(map(len, in_shape))) > 1:
                raise ValueError
            return np.broadcast_shapes(*in_shape)
        except ValueError:
            listed = ", ".join(map(str, in_shape))
            raise ValueError(
                f"{self.label} must multiply shapes that are equal but for extents of 1, "
                f"got {listed}"
            ) from None

    def _forward(self, x: Tree, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        parts = [physical(part) for part in x]
        return logical(product(parts)), parts

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Tree | None:
        if not need_dx:
            return None
        dy = physical(dy)
        gradients = []
        for i, part in enumerate(cache):
            dx = product([dy, *cache[:i], *cache[i + 1 :]])
            axes = tuple(a for a in range(dx.ndim) if part.shape[a] == 1 < dx.shape[a])
            gradients.append(logical(dx.sum(axes, keepdims=True) if axes else dx))
        return tuple(gradients)


@dataclass(eq=False)
class Concat(Merge):
    r"""Concatenation of several inputs along an axis, by default the channels.

    .. math:: y = [x_1, \dots, x_k], \quad dx_i = \text{the part of } dy \text{ from } x_i

    Parameters
    ----------
    axis : int
        Axis of the batch along which the inputs are joined: 1 is that of the channels, -1 the last.

    Raises
    ------
    TypeError, ValueError
        If the axis is not an int, or that of the samples, 0; ValueError on first call, if the
        inputs are fewer than 2, or their shapes differ in other axes.

    Notes
    -----
    Shapes: inputs ``(n, c_i, ...)`` to ``(n, c_1 + ... + c_k, ...)``.
    NumPy reference: `deepfs.reference.concat`.

    References
    ----------
    ``keras.layers.Concatenate``, ``torch.cat``.

    Examples
    --------
    >>> from deepfs.layers import Concat
    >>> Concat()((np.array([[1.0, 2.0]]), np.array([[10.0]])))
    array([[ 1.,  2., 10.]])
    """

    axis: int = 1

    def __post_init__(self) -> None:
        self.axis = whole(self.axis, "axis", -16, 16)
        if self.axis == 0:
            raise ValueError("axis must be at least 1, or below 0, got 0: that of the samples")

    def _out_shape(self, in_shape: Any) -> Shape:
        rank = len(in_shape[0]) + 1
        axis = (self.axis + rank if self.axis < 0 else self.axis) - 1
        rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in in_shape}
        if len(rest) > 1 or not 0 <= axis < rank - 1 or len(set(map(len, in_shape))) > 1:
            listed = ", ".join(map(str, in_shape))
            which = "channels" if self.axis == 1 else f"axis {self.axis} of the batch"
            raise ValueError(
                f"{self.label} must join shapes equal but for the {which}, got {listed}"
            )
        first = in_shape[0]
        return (*first[:axis], sum(shape[axis] for shape in in_shape), *first[axis + 1 :])

    def _forward(self, x: Tree, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        return join(list(x), self.axis), [part.shape[self.axis] for part in x]

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Tree | None:
        if not need_dx:
            return None
        return tuple(np.split(dy, np.cumsum(cache)[:-1], axis=self.axis))


def product(arrays: list[Array]) -> Array:
    """Return the product of arrays, formed in their order."""
    return reduce(np.multiply, arrays)


def join(arrays: list[Array], axis: int = 1) -> Array:
    """Return arrays concatenated along an axis; images are channels-last in memory."""
    parts = [physical(a) for a in arrays]
    if parts[0].ndim == 4:
        axis = (0, 3, 1, 2)[axis]  # where the axes of (n, c, h, w) lie
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    y = empty(tuple(shape), parts[0].dtype)
    np.concatenate(parts, axis, out=y)
    return logical(y)


Tensor.merging.update({"+": Add, "-": Subtract, "*": Multiply})
