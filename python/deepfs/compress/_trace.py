"""The channels of a network: where each goes, which belong together, which are constant.

Each channel has a number, the same wherever it passes through layers that keep channels apart.
Channels that are added to each other must stay or go together: their numbers are joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import layers as L
from .._arrays import Array, Shape
from .._trees import leaves, map_shapes, map_tree
from ..layers import Container, Layer
from ._kinds import (
    folds,
    keeps_apart,
    mixes,
    per_channel,
    silent,
    weight_rows,
    why_whole,
)


@dataclass(frozen=True)
class Value:
    """What a layer takes or returns, for one sample.

    Attributes
    ----------
    shape : tuple of int
        Its shape, channels first.
    channels : array of int
        The numbers of its channels.
    constant : array
        In inference, the number that a channel has in all pixels of all samples; NaN: there is
        none.
    """

    shape: Shape
    channels: Array
    constant: Array


@dataclass
class Mixer:
    """A layer that makes each output of all inputs.

    ``reads[o, i]`` tells whether output o depends on input i; ``constants`` are those of the
    inputs, per call; ``folds`` tells whether constants other than 0 may be folded into the bias.
    """

    name: str
    layer: Layer
    inputs: Array
    outputs: Array
    reads: Array
    constants: list[Array]
    folds: bool

    def foldable(self) -> Array:
        """Return a mask of the inputs that may go, because the bias can do what they do."""
        good = np.isfinite(self.constants[0]) if self.folds else self.constants[0] == 0
        for constant in self.constants[1:]:
            good &= constant == self.constants[0]
        return good


@dataclass
class Apart:
    """A layer that keeps channels apart; arrays that it has have an entry per output channel."""

    name: str
    layer: Layer
    inputs: Array
    outputs: Array


class Trace:
    """The channels of a built network.

    Parameters
    ----------
    network : Layer
        It is not changed.
    tolerance : float
        Largest absolute value of a weight that is taken for 0.
    own : tuple of type
        Classes of layers of the user's that keep channels apart, without arrays.

    Attributes
    ----------
    root : array of int
        For each channel the number that stands for it and all that are joined to it.
    """

    def __init__(self, network: Layer, tolerance: float = 0.0, own: tuple[type, ...] = ()) -> None:
        self.network, self.tolerance, self.own = network, tolerance, own
        self.parent: list[int] = []
        self.mixers: dict[int, Mixer] = {}  # by the id of the layer
        self.aparts: dict[int, Apart] = {}
        self.whole: dict[int, Layer] = {}  # layers that are taken as they are, and their parts
        self.fixed: list[tuple[Array, str]] = []  # channels that must stay, and why
        self.added: set[int] = set()  # channels that are added to others
        self.silent: set[int] = set()  # channels that a layer makes constant
        inputs = map_shapes(self._input, network.in_shape)
        for value in leaves(self._run(network, "", inputs)):
            self.fixed.append((value.channels, "the network returns it"))
        self.root = self._roots(np.arange(len(self.parent)))
        for number in self.whole.keys() & (self.mixers.keys() | self.aparts.keys()):
            for each in (self.mixers.get(number), self.aparts.get(number)):
                if each is not None:
                    shared = f"{each.name} is also part of a layer of your own"
                    self.fixed += [(each.inputs, shared), (each.outputs, shared)]

    # Numbers of channels

    def _roots(self, channels: Array) -> Array:
        """Return the numbers that stand for channels: equal for those that are joined."""
        return np.array([self._root(int(number)) for number in channels], np.intp)

    def _root(self, number: int) -> int:
        while self.parent[number] != number:
            self.parent[number] = self.parent[self.parent[number]]
            number = self.parent[number]
        return number

    def _new(self, count: int) -> Array:
        first = len(self.parent)
        self.parent += range(first, first + count)
        return np.arange(first, first + count)

    def _join(self, one: Array, other: Array) -> None:
        for a, b in zip(self._roots(one).tolist(), self._roots(other).tolist(), strict=True):
            self.parent[self._root(b)] = self._root(a)

    def _input(self, shape: Shape) -> Value:
        value = self._unknown(shape)
        self.fixed.append((value.channels, "it is an input"))
        return value

    def _unknown(self, shape: Shape) -> Value:
        count = shape[0] if shape else 0
        return Value(shape, self._new(count), np.full(count, np.nan))

    # Layers

    def _run(self, layer: Layer, name: str, x: Any) -> Any:
        """Return the value, or tree of values, that a layer makes of one."""
        kind = type(layer)  # a class derived from one of these may do anything
        if isinstance(layer, L.Sequential) and kind is L.Sequential:
            for part_name, part in layer.named_parts().items():
                x = self._run(part, inner(name, part_name), x)
            return x
        if isinstance(layer, L.Checkpoint) and kind is L.Checkpoint:
            return self._run(layer.body, inner(name, "body"), x)
        if isinstance(layer, L.Residual) and kind is L.Residual:
            body = self._run(layer.body, inner(name, "body"), x)
            past = x
            if layer.shortcut is not None:
                past = self._run(layer.shortcut, inner(name, "shortcut"), x)
            return self._sum([body, past])
        if isinstance(layer, L.Branches) and kind is L.Branches:
            parts = [self._run(p, inner(name, n), x) for n, p in layer.named_parts().items()]
            return joined(parts) if layer.merge == "concat" else self._sum(parts)
        if isinstance(layer, L.Graph) and kind is L.Graph:
            names = {id(part): part_name for part_name, part in layer.named_parts().items()}
            values = list(leaves(x))
            for part, numbers, _ in layer._wired:
                given = map_tree(values.__getitem__, numbers)
                values += leaves(self._run(part, inner(name, names[id(part)]), given))
            return map_tree(values.__getitem__, layer.outputs)
        name = name or type(layer).__name__.lower()
        if kind in (L.Add, L.Subtract, L.Multiply, L.Concat):
            return self._merged(layer, name, list(x))
        if not isinstance(x, Value) or not x.shape:
            return self._whole(layer, name, x)
        if kind is L.Flatten:
            return self._flat(x)
        if mixes(layer):
            return self._mixed(layer, name, x)
        if keeps_apart(layer, self.own):
            return self._apart(layer, name, x)
        return self._whole(layer, name, x)

    def _whole(self, layer: Layer, name: str, x: Any) -> Any:
        """Take a layer as it is: all its channels stay."""
        why = f"{name} takes all: {why_whole(layer)}"
        self.fixed += [(value.channels, why) for value in leaves(x)]
        for part in [layer, *all_layers(layer)]:
            self.whole[id(part)] = part
        shapes = map_tree(lambda value: value.shape, x) if not isinstance(x, Value) else x.shape
        made = map_shapes(self._unknown, layer.out_shape(shapes))
        self.fixed += [(value.channels, f"{name} makes it: {why_whole(layer)}")
                       for value in leaves(made)]  # fmt: skip
        return made

    def _flat(self, x: Value) -> Value:
        count = int(np.prod(x.shape[1:], dtype=np.intp))
        channels, constant = np.repeat(x.channels, count), np.repeat(x.constant, count)
        return Value((len(channels),), channels, constant)

    def _mixed(self, layer: Layer, name: str, x: Value) -> Value:
        out_shape = layer.out_shape(x.shape)
        can_fold = folds(layer, x.shape)
        if isinstance(layer, (L.Dense, L.DropConnect)):
            x = self._flat(x)
        rows = weight_rows(layer)
        mixer = self.mixers.get(id(layer))
        if mixer is None:
            reads = ~(np.abs(rows).max(axis=2) <= self.tolerance)
            mixer = Mixer(name, layer, x.channels, self._new(out_shape[0]), reads, [], can_fold)
            self.mixers[id(layer)] = mixer
        else:
            self._join(mixer.inputs, x.channels)
        mixer.constants.append(x.constant)
        mixer.folds &= can_fold
        bias = layer.learned["bias"].value if "bias" in layer.learned else np.zeros(len(rows))
        counted = np.isfinite(x.constant) if can_fold else x.constant == 0
        constant = bias.astype(np.float64)
        if (x.constant[counted] != 0).any():
            constant += rows[:, counted].sum(axis=2, dtype=np.float64) @ x.constant[counted]
        constant[mixer.reads[:, ~counted].any(axis=1)] = np.nan
        self._note_silent(mixer.outputs, constant)
        return Value(out_shape, mixer.outputs, constant)

    def _apart(self, layer: Layer, name: str, x: Value) -> Value:
        out_shape = layer.out_shape(x.shape)
        outputs = np.repeat(x.channels, out_shape[0] // x.shape[0])
        before = self.aparts.get(id(layer))
        if before is None:
            self.aparts[id(layer)] = Apart(name, layer, x.channels, outputs)
        elif per_channel(layer):
            self._join(before.inputs, x.channels)
        return Value(out_shape, outputs, self._constants(layer, x, outputs))

    def _constants(self, layer: Layer, x: Value, outputs: Array) -> Array:
        """Return the constants of the outputs of a layer that keeps channels apart: it is run."""
        repeats = len(outputs) // len(x.channels)
        sample = np.nan_to_num(x.constant, posinf=0, neginf=0)
        certain = np.repeat(np.isfinite(x.constant), repeats)
        alone = silent(layer, self.tolerance)
        if alone is not None:
            certain |= alone
            if isinstance(layer, L.BatchNorm):  # its output is beta there
                sample = np.where(alone, layer.buffered["running_mean"], sample)
        result = np.full(len(outputs), np.nan)
        if not certain.any():
            return result
        image = np.broadcast_to(sample.reshape(-1, *[1] * (len(x.shape) - 1)), x.shape)
        y = np.asarray(layer(image[None]))[0].reshape(len(outputs), -1).astype(np.float64)
        low, high = y.min(axis=1), y.max(axis=1)
        rounding = 8 * np.finfo(layer.built_dtype).eps * np.maximum(np.abs(low), np.abs(high))
        certain &= high - low <= rounding
        result[certain] = low[certain]
        if alone is not None:
            every = np.repeat(alone.reshape(-1, repeats).all(axis=1), repeats)
            self._note_silent(outputs, np.where(every, result, np.nan))
        return result

    def _note_silent(self, channels: Array, constant: Array) -> None:
        self.silent.update(channels[~np.isnan(constant)].tolist())

    # Several inputs

    def _sum(self, values: list[Value], sign: int = 1) -> Value:
        first, *rest = values
        constant = first.constant
        for value in rest:
            self._join(first.channels, value.channels)
            constant = constant + sign * value.constant
        self.added.update(int(c) for value in values for c in value.channels)
        return Value(first.shape, first.channels, constant)

    def _merged(self, layer: Layer, name: str, values: list[Value]) -> Value:
        shapes: Any = tuple(value.shape for value in values)
        out_shape = layer.out_shape(shapes)
        if isinstance(layer, L.Concat):
            if layer.axis % (len(out_shape) + 1) == 1:
                return joined(values)
            made = self._sum(values)  # along another axis: pixels of the same channels
            constants = np.array([value.constant for value in values])
            same = np.where((constants == constants[0]).all(axis=0), constants[0], np.nan)
            return Value(out_shape, made.channels, same)
        if not out_shape or {value.shape[0] for value in values} != {out_shape[0]}:
            return self._whole_merge(name, values, out_shape)  # one channel for all
        if not isinstance(layer, L.Multiply):
            made = self._sum(values, -1 if isinstance(layer, L.Subtract) else 1)
            return Value(out_shape, made.channels, made.constant)
        made = self._sum(values)
        constants = np.array([value.constant for value in values])
        return Value(out_shape, made.channels, np.where((constants == 0).any(axis=0), 0.0,
                                                        constants.prod(axis=0)))  # fmt: skip

    def _whole_merge(self, name: str, values: list[Value], out_shape: Shape) -> Value:
        """Multiply by values that have one channel for all: these stay, the others pass."""
        for value in values:
            if not out_shape or value.shape[0] != out_shape[0]:
                self.fixed.append((value.channels, f"{name} multiplies all channels by it"))
        wide = [value for value in values if out_shape and value.shape[0] == out_shape[0]]
        if not wide:
            return self._unknown(out_shape)
        constants = np.array([value.constant for value in wide])
        channels = self._sum(wide).channels
        zero = (constants == 0).any(axis=0)
        return Value(out_shape, channels, np.where(zero, 0.0, np.nan))


def joined(values: list[Value]) -> Value:
    """Return values concatenated along their channels."""
    channels = np.concatenate([value.channels for value in values])
    constant = np.concatenate([value.constant for value in values])
    return Value((len(channels), *values[0].shape[1:]), channels, constant)


def inner(name: str, part: str) -> str:
    """Return the name of a part, as in names of parameters."""
    return f"{name}.{part}".lstrip(".")


def all_layers(layer: Layer) -> list[Layer]:
    """Return the parts of a layer, and all that they are made of."""
    if not isinstance(layer, Container):
        return []
    parts = list(layer.named_parts().values())
    return [found for part in parts for found in (part, *all_layers(part))]
