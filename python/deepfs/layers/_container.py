"""Container: the base class of layers made of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._arrays import Array, Shape, float_dtype
from .._check import shown
from .._table import html_of
from .._trees import is_shape
from . import _parameter
from ._base import Layer
from ._parameter import ByName, Parameter
from ._state import check_name


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

    def _repr_html_(self) -> str:
        return html_of(self)

    def _calls(self, in_shape: Any) -> Iterator[tuple[str, Layer, Any]]:
        """Yield name, part and input shape of each call of a part."""
        for (name, part), shape in zip(
            self.named_parts().items(), self.part_shapes(in_shape), strict=True
        ):
            yield name, part, shape

    def out_shape(self, in_shape: Shape) -> Shape:
        made = super().out_shape(in_shape)
        if not is_shape(made):
            raise ValueError(f"{self.label} has one output, got {len(made)}: make it a Graph")
        return made

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
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.label} takes layers, got {layer!r}")
        *path, last = name.split(".")
        holders: list[Container] = [self]
        for step in path:
            inner = holders[-1]._part(step)
            if not isinstance(inner, Container):
                raise KeyError(f"{inner.label} has no parts")
            holders.append(inner)
        holder, old = holders[-1], holders[-1]._part(last)
        before = {name: value for name, value in vars(holder).items()
                  if any(part is old for part in parts_in(value))}  # fmt: skip
        with restored_if_refused(layer):
            for name in before:
                if any(part is old for part in parts_in(vars(holder)[name])):
                    setattr(holder, name, exchanged(before[name], old, layer))
            try:
                for outer in reversed(holders[:-1]):
                    if outer.in_shape is not None:
                        outer.out_shape(outer.in_shape)
            except ValueError:
                for name, value in before.items():
                    setattr(holder, name, value)
                raise
        if any(part is old for part in holder.named_parts().values()):
            raise TypeError(f"{holder.label} holds its part {last!r} in no attribute to set")
        return old

    def _part(self, name: str) -> Layer:
        parts = self.named_parts()
        if name not in parts:
            raise KeyError(f"{self.label} has no part {name!r}: it has {', '.join(parts)}")
        return parts[name]

    def _set(self, name: str, value: Any) -> None:
        if any(part is self for part in all_parts(value)):
            raise ValueError(f"{self.label} cannot be a part of itself")
        with restored_if_refused(value):
            super()._set(name, value)

    def _set_own(self, name: str, value: Any) -> None:
        if parts_in(value) or parts_in(vars(self).get(name)):
            self._set(name, value)  # a part, in an attribute that is no field
        else:
            super()._set_own(name, value)

    def _changed(self, name: str) -> None:
        for part_name, part in self.named_parts().items():
            vars(part)["given_name"] = part_name
        super()._changed(name)

    def parameters(self) -> dict[str, Parameter]:
        return ByName({
            f"{name}.{key}": parameter
            for name, part in self.named_parts().items()
            for key, parameter in part.parameters().items()
        })  # fmt: skip

    def buffers(self) -> dict[str, Array]:
        return ByName({
            f"{name}.{key}": buffer
            for name, part in self.named_parts().items()
            for key, buffer in part.buffers().items()
        })  # fmt: skip

    def _weights(self) -> dict[str, Array]:
        return {
            f"{name}.{key}": array
            for name, part in self.named_parts().items()
            for key, array in part._weights().items()
        }

    def freeze(self, until: str | None = None) -> None:
        """Freeze all parts, or those before one, as far as training goes; see `Layer.freeze`.

        Parameters
        ----------
        until : str, optional
            Name of the first part that learns, as in parameter names: ``"dense_1"``,
            ``"backbone.conv2d_3"``. Parts before it are frozen, it and those after it are not,
            whatever was frozen before: so calls with earlier and earlier names thaw a network
            gradually, as fastai's ``freeze_to`` does. The order is that of `parameters`.

        Raises
        ------
        KeyError
            If there is no part of that name. Then nothing has changed.

        Examples
        --------
        >>> from deepfs import layers as L
        >>> net = L.Sequential([L.Conv2D(8, 3), L.ReLU(), L.Conv2D(8, 3), L.Flatten(), L.Dense(2)])
        >>> net.freeze(until="conv2d_2")
        >>> [layer.frozen for layer in net.layers]
        [True, True, False, False, False]
        """
        if until is None:
            return super().freeze()
        if not isinstance(until, str):
            raise TypeError(f"until must be the name of a part, got {shown(until)}")
        holder: Layer = self
        learns: list[Layer] = []
        freezes: list[Layer] = []
        for step in until.split("."):
            if not isinstance(holder, Container):
                raise KeyError(f"{holder.label} has no parts")
            inner, parts = holder._part(step), list(holder.named_parts().items())
            place = [name for name, _ in parts].index(step)
            freezes += [part for _, part in parts[:place]]
            learns += [part for _, part in parts[place + 1 :]]
            holder = inner
        for part in freezes:
            part._freeze(True)
        for part in [*learns, holder]:  # a layer in several places learns if one of them does
            part._freeze(False)
        return None

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


@contextmanager
def restored_if_refused(value: Any) -> Iterator[None]:
    """Leave the layers in an attribute as they were, not built or named, after an error inside."""
    before = [(part, dict(vars(part))) for part in all_parts(value)]
    try:
        yield
    except BaseException:
        for part, attributes in before:
            for new in vars(part).keys() - attributes.keys():
                del vars(part)[new]
            vars(part).update(attributes)
        raise


def all_parts(value: Any) -> Iterator[Layer]:
    """Yield the layers in a setting, and all that they are made of."""
    for part in parts_in(value):
        yield part
        if isinstance(part, Container):
            yield from all_parts(part.named_parts())


def parts_in(value: Any) -> list[Layer]:
    """Return the layers in an attribute: itself, or the entries of a list, tuple or dict."""
    entries = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list, tuple)):
        entries = [value]
    return [entry for entry in entries if isinstance(entry, Layer)]


def exchanged(value: Any, old: Layer, new: Layer) -> Any:
    """Return such an attribute with another layer in the place of one."""
    if isinstance(value, dict):
        return {key: new if entry is old else entry for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(new if entry is old else entry for entry in value)
    return new


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
