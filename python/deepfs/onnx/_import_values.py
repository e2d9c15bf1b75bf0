"""What stands for an array of an ONNX file while its network is made, and how a reader refuses.

ONNX permutes and reshapes arrays where deepfs needs no layer for it: a `Dense` flattens its input
itself, and models of Keras turn (n, h, w, c) into (n, c, h, w) and back. So both are remembered
beside the tensor, and become a layer only if something needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import numpy as np

from .._arrays import Array, Shape

if TYPE_CHECKING:
    from ._import_file import Node
    from ._import_net import Importer


class Refused(Exception):  # noqa: N818 it says what happened to a node, and never gets out
    """A node that cannot be read. The text is the reason; the importer names the node."""


class Batch:
    """The number of samples, as an extent: it is not known, and must stay the first one."""

    def __mul__(self, other: Any) -> Batch:
        if other == 1:
            return self
        raise Refused("it computes with the number of samples, which is free in deepfs")

    __rmul__ = __floordiv__ = __truediv__ = __mul__

    def _refuse(self, *_: Any) -> NoReturn:
        raise Refused("it computes with the number of samples, which is free in deepfs")

    __add__ = __radd__ = __sub__ = __rsub__ = __rfloordiv__ = __rtruediv__ = __neg__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __index__ = _refuse

    def __repr__(self) -> str:
        return "n"


BATCH = Batch()


@dataclass(frozen=True)
class Value:
    """An array of the file: a symbolic tensor, and how the file has it arranged.

    The file has the axes of a sample in ``order``, if that is not None, and then reshaped to
    ``shape``, its shape of a sample in the file. ``turned`` is the node that permuted them.
    """

    tensor: Any
    shape: Shape
    order: tuple[int, ...] | None = None
    turned: str = ""

    def __post_init__(self) -> None:
        moved = [axis for axis in self.order or () if self.tensor.shape[axis] != 1]
        if moved == sorted(moved):  # axes of extent 1 alone are elsewhere: that moves no entry
            object.__setattr__(self, "order", None)

    @property
    def turned_shape(self) -> Shape:
        """The shape of a sample after the permutation, before it is reshaped."""
        extents: Shape = self.tensor.shape
        return extents if self.order is None else tuple(extents[axis] for axis in self.order)

    @property
    def plain(self) -> bool:
        """Whether the tensor has the axes of the file, possibly permuted."""
        return self.shape == self.turned_shape

    def of(self, tensor: Any) -> Value:
        """Return the value that an element-wise layer makes of this one."""
        return replace(self, tensor=tensor)

    def reshaped(self, shape: Shape) -> Value:
        return replace(self, shape=shape)

    def axis(self, axis: int) -> int:
        """Return the axis of the tensor that is an axis of the file, both with the batch."""
        if not self.plain:
            raise Refused("its input has been reshaped after its axes were permuted")
        return axis if self.order is None or axis == 0 else self.order[axis - 1] + 1

    def arranged(self, array: Array) -> Array:
        """Return an array of the shape of a sample of the file as the tensor has it."""
        if self.order is None:
            return array.reshape(self.tensor.shape)
        turned = array.reshape(self.turned_shape)
        return np.ascontiguousarray(turned.transpose(np.argsort(self.order)))

    def permuted(self, axes: tuple[int, ...], node: str) -> Value | None:
        """Return this value with the axes of a sample permuted; None if a layer is needed."""
        shape = tuple(self.shape[axis] for axis in axes)
        moved = [axis for axis in axes if self.shape[axis] != 1]
        if moved == sorted(moved):
            return self.reshaped(shape)
        before = self.order or tuple(range(len(self.turned_shape)))
        parts = parted(self.shape, self.turned_shape) or []
        moved_parts = sorted(parts, key=lambda part: axes.index(part[0]))
        if [axis for part in moved_parts for axis in part] != list(axes):
            return None  # an axis that was divided, or joined with another, is torn apart
        order = tuple(before[parts.index(part)] for part in moved_parts)
        return Value(self.tensor, shape, order, node)


def parted(shape: Shape, whole: Shape) -> list[list[int]] | None:
    """Return the axes of a shape that each extent of another was divided into; None if not so.

    Examples
    --------
    >>> parted((3, 4, 2, 5), (3, 8, 5))
    [[0], [1, 2], [3]]
    """
    parts: list[list[int]] = []
    axis = 0
    for extent in whole:
        part: list[int] = []
        size = 1
        while axis < len(shape) and (not part or size * shape[axis] <= extent):
            size *= shape[axis]
            part.append(axis)
            axis += 1
        if size != extent:
            return None
        parts.append(part)
    return parts if axis == len(shape) else None


Known: TypeAlias = Value | Array
Reader: TypeAlias = Callable[["Importer", "Node"], Value]
R = TypeVar("R", bound=Reader)
READERS: dict[str, Reader] = {}  # by operator; the modules `_import_*` fill it


def reads(*operators: str) -> Callable[[R], R]:
    """Register a function that makes layers of nodes of these operators."""

    def register(reader: R) -> R:
        READERS.update(dict.fromkeys(operators, reader))
        return reader

    return register


def axis_in(axis: int, rank: int) -> int:
    """Return an axis counted from the front; refuse one out of range."""
    if not -rank <= axis < rank:
        raise Refused(f"its axis {axis} is not one of the {rank} of its input")
    return axis % rank


def size_of(shape: Shape) -> int:
    """Return the number of entries, of which there is a limit: a file may state any shape."""
    size = prod(shape)
    if size > 2**27:
        raise Refused(f"it needs an array of shape {shape}, and at most 2**27 entries are made")
    return size
