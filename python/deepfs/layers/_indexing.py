"""Containers that are lists of layers: ``net[0]``, ``net["dense_1"]``, ``len(net)``, loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, SupportsIndex, overload

from .._check import shown
from .._fields import setting_names
from .._names import elsewhere
from . import activation, gelu, softmax
from ._base import Layer
from ._container import Container

WAY = "assign the whole, as {0} = [*{0}, layer], or exchange one by replace(name, layer)"


class Layers(tuple[Layer, ...]):
    """The layers of a container: a tuple that takes a list as a summand.

    It does not change in place, because the container would not know.

    Examples
    --------
    >>> from deepfs.layers import Dense, ReLU, Sequential
    >>> net = Sequential([Dense(8), ReLU(), Dense(10)])
    >>> net.layers = net.layers[:-1] + [Dense(3)]
    >>> len(net.layers)
    3
    """

    __slots__ = ()

    def __add__(self, other: Any) -> Layers:
        return Layers([*self, *other]) if isinstance(other, (list, tuple)) else NotImplemented

    def __radd__(self, other: Any) -> Layers:
        return Layers([*other, *self]) if isinstance(other, (list, tuple)) else NotImplemented

    @overload
    def __getitem__(self, key: SupportsIndex) -> Layer: ...

    @overload
    def __getitem__(self, key: slice) -> Layers: ...

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return Layers(found) if isinstance(key, slice) else found

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(f"layers cannot be exchanged in their tuple: {WAY.format('net.layers')}")

    def __delitem__(self, key: Any) -> None:
        raise TypeError(f"layers cannot be taken out of their tuple: {WAY.format('net.layers')}")


for _name in ("append", "clear", "extend", "insert", "pop", "remove"):
    elsewhere(Layers, _name, WAY.format("net.layers"))


class Indexed(Container):
    """A container whose parts stand in a list, the attribute ``listed``."""

    listed: ClassVar[str]

    def _list(self) -> Layers:
        parts: Layers = getattr(self, self.listed)
        return parts

    def __len__(self) -> int:
        return len(self._list())

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._list())

    def __contains__(self, part: object) -> bool:
        """Return whether a layer, or a layer of this name, is one of its parts."""
        if isinstance(part, str):
            return part in self.named_parts()
        return any(part is own for own in self._list())

    @overload
    def __getitem__(self, key: str | SupportsIndex) -> Layer: ...

    @overload
    def __getitem__(self, key: slice) -> Self: ...

    def __getitem__(self, key: Any) -> Any:
        """Return a part by its place or its name; of a slice, a container of the same parts."""
        if isinstance(key, str):
            return part_named(self, key)
        if isinstance(key, slice):
            return self._sliced(self._list()[key])
        try:
            return self._list()[key]
        except IndexError:
            raise IndexError(f"{self.label} has {len(self)} parts, got the index {key}") from None
        except TypeError:
            raise TypeError(
                f"{self.label} finds parts by number, name or slice, got {shown(key)}"
            ) from None

    def __setitem__(self, key: str | SupportsIndex, layer: Layer) -> None:
        """Replace a part, see `replace`."""
        if not isinstance(key, str):
            names = list(self.named_parts())
            self[key]  # raises if there is none
            key = names[key]
        self.replace(key, layer)

    def _sliced(self, parts: Sequence[Layer]) -> Self:
        if not parts:
            raise IndexError(f"{self.label} has no parts in this slice")
        settings = {name: getattr(self, name) for name in setting_names(type(self))}
        return type(self)(**(settings | {self.listed: parts, "name": None}))


def part_named(holder: Layer, name: str) -> Layer:
    """Return the part of a dotted name, as in names of parameters."""
    for step in name.split("."):
        if not isinstance(holder, Container):
            raise KeyError(f"{holder.label} has no parts, got {name!r}")
        holder = holder._part(step)
    return holder


def checked_parts(
    who: str, given: Any, of_list: Callable[[list[Any] | tuple[Any, ...]], Layer] | None = None
) -> Layers:
    """Return a list of layers, or refuse it with what to write.

    ``of_list`` makes a layer of an entry that is a list; without it such an entry is refused.
    """
    if isinstance(given, (Layer, str)) or not isinstance(given, Sequence):
        raise TypeError(f"{who} takes a list of layers, got {shown(given)}{in_a_list(given)}")
    if not given:
        raise ValueError(f"{who} needs at least one layer, got none")
    return Layers(checked_part(who, part, of_list) for part in given)


def in_a_list(given: Any) -> str:
    """Return the end of a message about layers that come in no list."""
    if isinstance(given, Layer):
        return ": put it in a list, [layer]"
    if isinstance(given, Mapping):
        return ": give the names to the layers, [Dense(8, name=...)]"
    return ": make a list of it, list(...)" if isinstance(given, Iterable) else ""


def checked_part(who: str, part: Any, of_list: Any = None) -> Layer:
    """Return a layer, or refuse what is none with what to write."""
    if isinstance(part, Layer):
        return part
    if of_list is not None and isinstance(part, (list, tuple)):
        return of_list(checked_parts(who, part))
    way = ""
    if isinstance(part, type) and issubclass(part, Layer):
        way = f": write {part.__name__}(...)"
    elif isinstance(part, tuple) and part and isinstance(part[0], str):
        way = f": give the name to the layer, name={part[0]!r}"
    elif isinstance(part, (list, tuple)):
        way = ": write *layers, or Sequential(layers)"
    elif isinstance(part, str):
        way = activation_named(part)
    elif callable(part):
        way = ": derive a class from deepfs.layers.Layer"
    raise TypeError(f"{who} takes layers, got {shown(part)}{way}")


def activation_named(name: str) -> str:
    """Return the end of a message about a name in the place of a layer."""
    wanted = name.replace("_", "").lower()
    for module in (activation, gelu, softmax):
        for kind in vars(module).values():
            layer = isinstance(kind, type) and issubclass(kind, Layer)
            if layer and kind.__name__.lower() == wanted:
                return f": write {kind.__name__}()"
    return ""
