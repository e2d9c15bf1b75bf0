"""Parallel branches, as in Inception and DenseNet blocks.

Channels are concatenated by NumPy, which takes up to twice the time of the fastest copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from .._arrays import Array, Shape, empty, logical, physical
from .._check import one_of
from ._axes import size_hint
from ._base import Layer
from ._container import name_parts
from ._fusion import Epilogue
from ._indexing import Indexed, checked_parts
from .residual import add_arrays
from .sequential import Sequential


@dataclass(eq=False)
class Branches(Indexed):
    r"""Parallel branches: several layers on the same input, outputs concatenated or added.

    .. math:: y = f_1(x) + \dots + f_k(x) \quad\text{or}\quad y = [f_1(x), \dots, f_k(x)],
              \quad dx = \sum_i \left(\frac{\partial f_i}{\partial x}\right)^T dy_i

    where each :math:`dy_i` is dy itself, or the channels of dy that come from the branch.

    Parameters
    ----------
    parts : list of Layer
        The branches, at least one. `Identity` returns the input; a list, or `Sequential`, is a
        branch of several layers.
    merge : {"concat", "add"}
        "concat" concatenates the channels of the branches, in order; "add" adds the outputs, which
        must have equal shapes.

    Raises
    ------
    TypeError, ValueError
        If a part is not a layer, if two parts have the same name, or if there is no part;
        ValueError on first call, if the shapes of the outputs do not fit together.

    Notes
    -----
    Shapes: outputs ``(n, c_i, ...)`` of the branches to ``(n, c_1 + ... + c_k, ...)``, or, added,
    to the shape of one. Sums are formed in the order of the branches.
    NumPy reference: `deepfs.reference.branches`.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", 2014, arXiv:1409.4842.
    Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks", 2016,
    arXiv:1608.06993.

    Examples
    --------
    >>> from deepfs.layers import Branches, Conv2D
    >>> Branches([Conv2D(4, 1), Conv2D(6, 3, padding=1)])(np.zeros((2, 3, 8, 8))).shape
    (2, 10, 8, 8)
    """

    parts: Sequence[Any]  # layers, from `__post_init__` on
    merge: str = "concat"

    listed = "parts"

    def __post_init__(self) -> None:
        self.parts = checked_parts("Branches", self.parts, Sequential)
        one_of(self.merge, "merge", ("concat", "add"))
        self._parts = name_parts(self.parts, "Branches")

    def named_parts(self) -> dict[str, Layer]:
        return self._parts

    def _out_shape(self, in_shape: Shape) -> Shape:
        shapes = [part.out_shape(in_shape) for part in self.parts]
        first, rest = shapes[0], {shape[1:] for shape in shapes}
        joined = self.merge == "concat"
        if len(rest) > 1 or (not joined and len(set(shapes)) > 1) or (joined and not first):
            listed = ", ".join(map(str, shapes))
            fit = "join shapes equal but for the channels" if joined else "add equal shapes"
            raise ValueError(f"{self.label} must {fit}, got {listed}{size_hint(shapes)}")
        return (sum(shape[0] for shape in shapes), *first[1:]) if joined else first

    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        self.check_shape(x)
        outputs: list[Array] = []
        caches = []
        for part in self.parts:
            if self._adds(part, outputs):
                end = Epilogue(residual=outputs.pop())
                y, cache = part._forward(x, training, end)
            else:
                y, cache = part._forward(x, training)
            outputs.append(y)
            caches.append(cache)
        channels = [y.shape[1] for y in outputs] if self.merge == "concat" else []
        return self._merged(outputs), (caches, channels)

    def _infer(self, x: Array) -> Array:  # type: ignore[override]
        self.check_shape(x)
        outputs: list[Array] = []
        for part in self.parts:
            if self._adds(part, outputs):
                outputs.append(part._infer(x, Epilogue(residual=outputs.pop())))
            else:
                outputs.append(part._infer(x))
        return self._merged(outputs)

    def _adds(self, part: Layer, outputs: list[Array]) -> bool:
        """Return whether a part can add the sum so far to its own output."""
        return self.merge == "add" and bool(outputs) and "residual" in part.fuses_forward

    def _merged(self, outputs: list[Array]) -> Array:
        return reduce(add_arrays, outputs) if self.merge == "add" else join(outputs)

    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        caches, channels = cache
        given = [dy] * len(caches)
        if self.merge == "concat":
            given = np.split(dy, np.cumsum(channels)[:-1], axis=1)
        dx: Any = None
        for part, part_dy, part_cache in zip(self.parts, given, caches, strict=True):
            if need_dx and dx is not None and "residual" in part.fuses_backward:
                end = Epilogue(residual=dx)
                dx = part._backward(part_dy, part_cache, True, end)
                continue
            more: Any = part._backward(part_dy, part_cache, need_dx)
            dx = more if dx is None or not need_dx else add_arrays(dx, more)
        return dx if need_dx else None


def join(arrays: list[Array]) -> Array:
    """Return arrays concatenated along the channels, axis 1; images are channels-last in memory."""
    parts = [physical(a) for a in arrays]
    axis = 3 if parts[0].ndim == 4 else 1
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    y = empty(tuple(shape), parts[0].dtype)
    np.concatenate(parts, axis, out=y)
    return logical(y)
