"""Residual connections. Kernel: ``src/cnn_core/add.pyx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnn_core import add

from .._arrays import Array, Shape, empty, logical, physical
from ._axes import size_hint
from ._base import Layer
from ._container import Container
from ._fusion import PLAIN, Epilogue
from ._indexing import checked_part, part_named
from .sequential import Sequential


@dataclass(eq=False)
class Residual(Container):
    r"""Residual (skip) connection: y = body(x) + shortcut(x).

    .. math:: y = f(x) + s(x), \quad dx = \frac{\partial f}{\partial x}^T dy
              + \frac{\partial s}{\partial x}^T dy

    Parameters
    ----------
    body : Layer or list of Layer
        The layer that the shortcut bypasses; a list becomes a `Sequential`.
    shortcut : Layer or list of Layer, optional
        Layer applied to the input before it is added. By default, the input itself is added.

    Raises
    ------
    TypeError
        If a part is not a layer.
    ValueError
        On first call, if body and shortcut have different output shapes.

    Notes
    -----
    Shapes: ``(n, ...)`` to the output shape of both. NumPy reference: `deepfs.reference.residual`.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385.

    Examples
    --------
    >>> from deepfs.layers import Dense, Residual
    >>> Residual(Dense(2, initializer="zeros"))(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    body: Any  # a Layer, from `__post_init__` on
    shortcut: Any = None

    fuses_forward, fuses_backward = frozenset({"relu"}), frozenset({"drelu"})

    _once = True

    def __post_init__(self) -> None:
        self.body = checked_part("Residual", self.body, Sequential)
        if self.shortcut is not None:
            self.shortcut = checked_part("Residual", self.shortcut, Sequential)
        for name, part in self.named_parts().items():
            vars(part).setdefault("given_name", name)

    def named_parts(self) -> dict[str, Layer]:
        body = {"body": self.body}
        return body if self.shortcut is None else {**body, "shortcut": self.shortcut}

    def __getitem__(self, name: str) -> Layer:
        """Return a part by its name, as in names of parameters: ``"body.dense_1"``."""
        return part_named(self, name)

    def _out_shape(self, in_shape: Shape) -> Shape:
        body = self.body.out_shape(in_shape)
        past = in_shape if self.shortcut is None else self.shortcut.out_shape(in_shape)
        if body != past:
            raise ValueError(
                f"{self.label} must add equal shapes, got body {body}, shortcut {past}"
                f"{size_hint([body, past])}"
            )
        return body

    def _forward(self, x: Array, training: bool, end: Epilogue = PLAIN) -> tuple[Array, Any]:
        self.check_shape(x)
        past, shortcut = (x, None) if self.shortcut is None else self.shortcut._forward(x, training)
        if "residual" in self.body.fuses_forward:
            end = end._replace(residual=past)
            y, body = self.body._forward(x, training, end)
        else:
            y, body = self.body._forward(x, training)
            y = add_arrays(y, past, end.relu)
        return y, (body, shortcut, x)

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        self.check_shape(x)
        past = x if self.shortcut is None else self.shortcut._infer(x)
        if "residual" in self.body.fuses_forward:
            return self.body._infer(x, end._replace(residual=past))
        return add_arrays(self.body._infer(x), past, end.relu)

    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, end: Epilogue = PLAIN
    ) -> Array | None:
        body, shortcut, x = cache
        if need_dx and self.shortcut is not None and self._joins():
            dx = self.body._backward(dy, body, True, Epilogue(drelu=end.drelu))
            end = end._replace(residual=dx, onto=True)
            return self.shortcut._backward(dy, shortcut, True, end)
        past = dy if self.shortcut is None else self.shortcut._backward(dy, shortcut, need_dx)
        if need_dx and "residual" in self.body.fuses_backward:
            end = end._replace(residual=past)
            return self.body._backward(dy, body, True, end)
        dx = self.body._backward(dy, body, need_dx)
        if dx is None or past is None:
            return None
        return add_arrays(dx, past, drelu=x if end.drelu else None)

    def _joins(self) -> bool:
        """Return whether the shortcut adds its gradient to that of the body, in its memory.

        A shortcut of 1x1 windows at stride 2 then touches a quarter of the pixels.
        """
        fuses: list[frozenset[str]] = [part.fuses_backward for part in (self.body, self.shortcut)]
        return all({"residual", "drelu"} <= each for each in fuses)


def add_arrays(a: Array, b: Array, relu: bool = False, drelu: Array | None = None) -> Array:
    """Return a + b, images channels-last in memory.

    With ``relu``, negative sums become 0. With an array ``drelu``, sums become 0 where that array
    is not above 0.
    """
    a, b = physical(a), physical(b)
    y = empty(a.shape, a.dtype)
    x = None if drelu is None else physical(drelu).reshape(-1)
    add.add(a.reshape(-1), b.reshape(-1), y.reshape(-1), relu, x)
    return logical(y)
