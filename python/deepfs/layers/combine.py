"""Layers made of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from cnn_core import add

from ._base import (
    Array,
    Layer,
    Parameter,
    Shape,
    as_seen,
    check_name,
    empty,
    float_dtype,
    in_memory,
)  # fmt: skip
from .activation import ReLU


class Container(Layer):
    """What layers made of layers share: the names of their parts, and what the parts own."""

    @abstractmethod
    def named_parts(self) -> dict[str, Layer]:
        """Return the layers this one is made of, by name."""

    def parameters(self) -> dict[str, Parameter]:
        return {
            f"{name}.{key}": parameter
            for name, part in self.named_parts().items()
            for key, parameter in part.parameters().items()
        }

    def buffers(self) -> dict[str, Array]:
        return {
            f"{name}.{key}": buffer
            for name, part in self.named_parts().items()
            for key, buffer in part.buffers().items()
        }

    trains_on_one: ClassVar[bool] = False  # known to pass `check_training`, of in_shape

    def build(self, in_shape: Shape, dtype: DTypeLike = np.float32) -> None:
        super().build(in_shape, dtype)
        try:
            self.check_training((1, *in_shape))
        except ValueError:
            return
        vars(self)["trains_on_one"] = True

    def forward(self, x: ArrayLike, training: bool = False) -> tuple[Array, Any]:
        x = self.prepare(x)
        known = self.trains_on_one and x.shape[1:] == self.in_shape
        if training and len(x) == 1 and not known:
            self.check_shape(x)
            self.check_training(x.shape)
        return super().forward(x, training)

    def check_training(self, shape: Shape) -> None:
        for part in self.named_parts().values():
            part.check_training(shape)

    def _build_part(self, part: Layer, in_shape: Shape, dtype: np.dtype[Any]) -> Shape:
        """Build a part unless it is built (a layer may stand in two places); return its output."""
        wanted = part.built_dtype or float_dtype(part.dtype or dtype)
        if wanted != dtype:
            raise ValueError(
                f"{self.label} of {dtype} must have parts of it, got {part.label} of {wanted}"
            )
        if part.built_dtype is None:
            part.build(in_shape, dtype)
        return part.out_shape(in_shape)


def name_parts(parts: Sequence[Layer], who: str) -> dict[str, Layer]:
    """Return layers by name: their own, or their kind and their number among it."""
    numbers: Counter[str] = Counter()
    named: dict[str, Layer] = {}
    for part in parts:
        if not isinstance(part, Layer):
            raise TypeError(f"{who} takes layers, got {part!r}")
        check_name(part)
        kind = type(part).__name__.lower()
        numbers[kind] += 1
        name = part.name or f"{kind}_{numbers[kind]}"
        if named.get(name) is part:  # the same layer once more
            name = f"{name}_{numbers[kind]}"
        if name in named:
            raise ValueError(f"{who} must have parts of different names, got {name!r} twice")
        if "." in name:
            raise ValueError(f"{who} must have parts without '.' in their name, got {name!r}")
        named[name] = part
        vars(part).setdefault("given_name", name)
    return named


@dataclass(eq=False)
class Sequential(Container):
    """Run layers one after the other.

    Parameters
    ----------
    layers : list of Layer
        At least one. The same layer may stand in several places: it then has one set of weights.

    Raises
    ------
    TypeError, ValueError
        If a part is not a layer, if two parts have one name, or if there is none.

    Notes
    -----
    Shapes: those of the parts. The input is checked once, at the door. In backward, no part below
    the first one that learns is asked for a gradient unless the caller wants ``dx``. A `ReLU` is
    left to its neighbours where they can do it in the same pass, with the same bits: the layer
    before it rectifies its output, the layer behind it stops its gradient.
    What a container around this one leaves to it goes to its last layer, in backward its first.

    References
    ----------
    ``torch.nn.Sequential``, ``keras.Sequential``.

    Examples
    --------
    >>> from deepfs.layers import Dense, ReLU, Sequential
    >>> net = Sequential([Dense(8), ReLU(), Dense(2)])
    >>> net(np.zeros((3, 4))).shape
    (3, 2)
    >>> list(net.parameters())
    ['dense_1.weight', 'dense_1.bias', 'dense_2.weight', 'dense_2.bias']
    """

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        if isinstance(self.layers, Layer) or not isinstance(self.layers, Sequence):
            raise TypeError(f"Sequential takes a list of layers, got {self.layers!r}")
        self.layers = tuple(self.layers)
        if not self.layers:
            raise ValueError("Sequential needs at least one layer, got none")
        self._parts = name_parts(self.layers, "Sequential")
        pairs = list(zip(self.layers, (*self.layers[1:], None), strict=True))
        # by number: a layer that rectifies for the ReLU behind it; a ReLU that another does
        rectifies = ["relu" in a.forward_ends and isinstance(b, ReLU) for a, b in pairs]
        self._rectified = [False, *rectifies[:-1]]
        self._stopped = [
            isinstance(a, ReLU) and b is not None and "gate" in b.backward_ends for a, b in pairs
        ]
        # what is left to the end of the forward of each layer but the last
        self._left = [{"relu": True} if relu else {} for relu in rectifies[:-1]]
        ends = {
            "forward_ends": self.layers[-1].forward_ends,
            "backward_ends": self.layers[0].backward_ends,
        }
        vars(self).update(ends)

    def named_parts(self) -> dict[str, Layer]:
        return self._parts

    def _out_shape(self, in_shape: Shape) -> Shape:
        for part in self.layers:
            in_shape = part.out_shape(in_shape)
        return in_shape

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        for part in self.layers:
            in_shape = self._build_part(part, in_shape, dtype)

    def check_training(self, shape: Shape) -> None:
        n, in_shape = shape[0], shape[1:]
        for part in self.layers:
            part.check_training((n, *in_shape))
            in_shape = part.out_shape(in_shape)

    def _forward(self, x: Array, training: bool, **end: Any) -> tuple[Array, Any]:
        self.check_shape(x)
        caches = []
        part: Any
        for part, left, rectified, stopped in zip(
            self.layers, (*self._left, end), self._rectified, self._stopped, strict=True
        ):
            if rectified:  # keeps what its backward needs, if that is ever asked for
                cache: Any = None if stopped else in_memory(x)
            else:
                x, cache = part._forward(x, training, **left)
            caches.append(cache)
        return x, caches

    def _infer(self, x: Array, **end: Any) -> Array:
        self.check_shape(x)
        part: Any
        for part, left, rectified in zip(
            self.layers, (*self._left, end), self._rectified, strict=True
        ):
            if not rectified:
                x = part._infer(x, **left)
        return x

    def _backward(self, dy: Array, cache: Any, need_dx: bool, **end: Any) -> Array | None:
        first = 0 if need_dx else next(
            (i for i, part in enumerate(self.layers) if part.parameters()), len(self.layers)
        )  # fmt: skip
        dx: Any = dy
        for i in range(len(self.layers) - 1, first - 1, -1):
            part: Any = self.layers[i]
            wanted = need_dx or i > first
            if i > first and self._stopped[i - 1]:
                dx = part._backward(dx, cache[i], wanted, gate=True)
            elif not self._stopped[i]:
                dx = part._backward(dx, cache[i], wanted, **(end if i == 0 else {}))
        return dx if need_dx else None


def _any(part: Layer) -> Any:
    """Return the layer, to be asked for what only some layers take."""
    return part


@dataclass(eq=False)
class Residual(Container):
    r"""Add a shortcut around a layer: y = body(x) + shortcut(x).

    .. math:: y = f(x) + s(x), \quad dx = \frac{\partial f}{\partial x}^T dy
              + \frac{\partial s}{\partial x}^T dy

    Parameters
    ----------
    body : Layer
        What the shortcut leads around.
    shortcut : Layer, optional
        What the input passes on the way. By default it is added as it is.

    Raises
    ------
    TypeError
        If a part is not a layer.
    ValueError
        On first call, if body and shortcut have different output shapes.

    Notes
    -----
    Shapes: ``(n, ...)`` to the output shape of both ways. Twin: the sum of the parts' twins.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385.

    Examples
    --------
    >>> from deepfs.layers import Dense, Residual
    >>> Residual(Dense(2, initializer="zeros"))(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    body: Layer
    shortcut: Layer | None = None

    forward_ends, backward_ends = frozenset({"relu"}), frozenset({"gate"})

    def __post_init__(self) -> None:
        for name, part in self.named_parts().items():
            if not isinstance(part, Layer):
                raise TypeError(f"Residual takes layers, got {part!r}")
            vars(part).setdefault("given_name", name)

    def named_parts(self) -> dict[str, Layer]:
        body = {"body": self.body}
        return body if self.shortcut is None else {**body, "shortcut": self.shortcut}

    def _out_shape(self, in_shape: Shape) -> Shape:
        body = self.body.out_shape(in_shape)
        past = in_shape if self.shortcut is None else self.shortcut.out_shape(in_shape)
        if body != past:
            raise ValueError(
                f"{self.label} must add equal shapes, got body {body}, shortcut {past}"
            )
        return body

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        for part in self.named_parts().values():
            self._build_part(part, in_shape, dtype)

    def _forward(self, x: Array, training: bool, relu: bool = False) -> tuple[Array, Any]:
        self.check_shape(x)
        past, shortcut = (x, None) if self.shortcut is None else self.shortcut._forward(x, training)
        if "plus" in self.body.forward_ends:
            y, body = _any(self.body)._forward(x, training, relu=relu, plus=past)
        else:
            y, body = self.body._forward(x, training)
            y = add_up(y, past, relu)
        return y, (body, shortcut, x)

    def _infer(self, x: Array, relu: bool = False) -> Array:
        self.check_shape(x)
        past = x if self.shortcut is None else self.shortcut._infer(x)
        if "plus" in self.body.forward_ends:
            return _any(self.body)._infer(x, relu=relu, plus=past)
        return add_up(self.body._infer(x), past, relu)

    def _backward(self, dy: Array, cache: Any, need_dx: bool, gate: bool = False) -> Array | None:
        body, shortcut, x = cache
        past = dy if self.shortcut is None else self.shortcut._backward(dy, shortcut, need_dx)
        if need_dx and "plus" in self.body.backward_ends:
            return _any(self.body)._backward(dy, body, True, gate=gate, plus=past)
        dx = self.body._backward(dy, body, need_dx)
        if dx is None or past is None:
            return None
        return add_up(dx, past, gate=x if gate else None)


def add_up(a: Array, b: Array, relu: bool = False, gate: Array | None = None) -> Array:
    """Return a + b in memory order, images channels-last; see `cnn_core.add`."""
    a, b = in_memory(a), in_memory(b)
    y = empty(a.shape, a.dtype)
    gates = None if gate is None else in_memory(gate).reshape(-1)
    add.add(a.reshape(-1), b.reshape(-1), y.reshape(-1), relu, gates)
    return as_seen(y)
