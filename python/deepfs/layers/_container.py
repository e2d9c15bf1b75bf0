"""Container: the base class of layers made of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._arrays import Array, Shape, float_dtype
from .._settings import setting_names
from . import _parameter
from ._base import Layer, check_name
from ._parameter import Parameter


class Container(Layer):
    """Base class of layers made of layers, its parts, which own its parameters and buffers.

    To write one, define `named_parts`, `part_shapes` if a part does not get the container's input,
    and the hooks of `Layer`. `_forward` calls the `_forward` of the parts, so that the input is
    checked once. ``docs/add_a_layer.md`` has an example.
    """

    # derived from the structure of this version; not copied, not pickled
    _trains_on_one: ClassVar[int] = -1
    _plan: ClassVar[Any] = None

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {k: v for k, v in state.items() if k not in ("_trains_on_one", "_plan")}

    @abstractmethod
    def named_parts(self) -> dict[str, Layer]:
        """Return the parts by name."""

    def part_shapes(self, in_shape: Shape) -> list[Shape]:
        """Return the input shape of each part. By default, each gets the input of the container."""
        return [in_shape for _ in self.named_parts()]

    def replace(self, name: str, layer: Layer) -> Layer:
        """Replace a part by another layer; return the old one.

        Parameters
        ----------
        name : str
            Name of a part, as in parameter names: ``"dense_2"``, ``"residual_1.body"``.
        layer : Layer
            The new part. If the container is built, it is built too, unless it has weights already.

        Raises
        ------
        KeyError
            If there is no part of that name.
        TypeError, ValueError
            If ``layer`` is not a layer, or does not fit. Then nothing has changed.

        Examples
        --------
        >>> from deepfs import layers as L
        >>> net = L.Sequential([L.Dense(8), L.ReLU(), L.Dense(10)])
        >>> net(np.zeros((1, 4))).shape
        (1, 10)
        >>> old = net.replace("dense_2", L.Dense(3))
        >>> net(np.zeros((1, 4))).shape
        (1, 3)
        """
        first, _, rest = name.partition(".")
        parts = self.named_parts()
        if first not in parts:
            raise KeyError(f"{self.label} has no part {first!r}: it has {', '.join(parts)}")
        old = parts[first]
        if rest:
            if not isinstance(old, Container):
                raise KeyError(f"{old.label} has no parts")
            before = {n: getattr(old, n) for n in setting_names(type(old))}
            replaced = old.replace(rest, layer)
            try:
                if self.in_shape is not None:
                    self.out_shape(self.in_shape)
            except ValueError:
                for setting, value in before.items():
                    if getattr(old, setting) is not value:
                        setattr(old, setting, value)
                raise
            return replaced
        for setting in setting_names(type(self)):
            value = getattr(self, setting)
            if value is old:
                setattr(self, setting, layer)
            elif isinstance(value, tuple) and any(part is old for part in value):
                setattr(self, setting, tuple(layer if part is old else part for part in value))
        return old

    def _set(self, name: str, value: Any) -> None:
        """Change a setting; what is refused leaves new parts as they were, not built or named."""
        parts = list(all_parts(value))
        if any(part is self for part in parts):
            raise ValueError(f"{self.label} cannot be a part of itself")
        before = [(part, dict(vars(part))) for part in parts]
        try:
            super()._set(name, value)
        except BaseException:
            for part, attributes in before:
                for new in vars(part).keys() - attributes.keys():
                    del vars(part)[new]
                vars(part).update(attributes)
            raise

    def _changed(self, name: str) -> None:
        for part_name, part in self.named_parts().items():
            vars(part)["given_name"] = part_name
        super()._changed(name)

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

    @property
    def frozen(self) -> bool:
        """True if all parts are frozen; see `freeze`."""
        return all(part.frozen for part in self.named_parts().values())

    @frozen.setter
    def frozen(self, value: bool) -> None:
        for part in self.named_parts().values():
            part.frozen = value

    def _freeze(self, frozen: bool) -> None:
        for part in self.named_parts().values():
            part._freeze(frozen)

    def forward(self, x: ArrayLike, training: bool = False) -> tuple[Array, Any]:
        x = self.prepare(x)
        if training and len(x) == 1:
            self._check_one(x)
        y, cache = self._forward(x, training)
        return y, (y.shape, cache)

    def _check_one(self, x: Array) -> None:
        """Refuse a single sample before any buffer changes, if a part cannot train on it."""
        known = self._trains_on_one == _parameter.structure.number
        if not known or x.shape[1:] != self.in_shape:
            self.check_shape(x)
            self.check_training(x.shape)
            if x.shape[1:] == self.in_shape:
                vars(self)["_trains_on_one"] = _parameter.structure.number

    def check_training(self, shape: Shape) -> None:
        n, *in_shape = shape
        parts = self.named_parts().values()
        for part, part_shape in zip(parts, self.part_shapes(tuple(in_shape)), strict=True):
            part.check_training((n, *part_shape))

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        for part, part_shape in self._parts_in_order(in_shape):
            self._build_part(part, part_shape, dtype)

    def _parts_in_order(self, in_shape: Shape) -> Iterator[tuple[Layer, Shape]]:
        yield from zip(self.named_parts().values(), self.part_shapes(in_shape), strict=True)

    def _build_part(self, part: Layer, in_shape: Shape, dtype: DTypeLike) -> None:
        """Build a part, unless it is built already: a layer may occur twice."""
        wanted = part.built_dtype or float_dtype(part.dtype or dtype)
        if wanted != dtype:
            raise ValueError(
                f"{self.label} of {dtype} must have parts of it, got {part.label} of {wanted}"
            )
        if part.built_dtype is None:
            part.build(in_shape, dtype, self._budget)
        else:
            part.out_shape(in_shape)


def name_parts(parts: Sequence[Layer], who: str) -> dict[str, Layer]:
    """Return layers by name: their own, or their class and a number, such as ``conv2d_1``."""
    numbers: Counter[str] = Counter()
    named: dict[str, Layer] = {}
    for part in parts:
        if not isinstance(part, Layer):
            raise TypeError(f"{who} takes layers, got {part!r}")
        check_name(part)
        kind = type(part).__name__.lower()
        numbers[kind] += 1
        name = part.name or f"{kind}_{numbers[kind]}"
        if named.get(name) is part:  # the same layer again
            name = f"{name}_{numbers[kind]}"
        if name in named:
            raise ValueError(f"{who} must have parts of different names, got {name!r} twice")
        if "." in name:
            raise ValueError(f"{who} must have parts without '.' in their names, got {name!r}")
        named[name] = part
        vars(part).setdefault("given_name", name)
    return named


def all_parts(value: Any) -> Iterator[Layer]:
    """Yield the layers in a setting, and all that they are made of."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    for part in parts:
        if isinstance(part, Layer):
            yield part
        if isinstance(part, Container):
            yield from all_parts(list(part.named_parts().values()))


def walk(layer: Layer, name: str, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
    """Yield name, layer and input shape of a layer and all its parts, depth first.

    A Sequential computes nothing itself, and appears only in the names of its parts.
    """
    if not getattr(layer, "transparent", False):
        yield name, layer, in_shape
    if isinstance(layer, Container):
        parts, shapes = layer.named_parts().items(), layer.part_shapes(in_shape)
        for (part_name, part), part_shape in zip(parts, shapes, strict=True):
            yield from walk(part, f"{name}.{part_name}".lstrip("."), part_shape)
