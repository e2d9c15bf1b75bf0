"""A smaller network made of some channels of another; arrays and state of an optimizer cut."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._arrays import Array, FixedDict
from .._fields import setting_names
from ..layers import Container, Layer
from ..optimizers import Arena
from ..optimizers._arena import zeros
from ..random import Streams, using
from ._kinds import axes_of, per_channel, weight_rows, width_setting
from ._needed import Needed
from ._trace import Apart, Mixer

Masks = Mapping[int, Array]  # by axis, what is kept


class Cut:
    """A copy of a network without the channels that need not stay.

    Attributes
    ----------
    network : Layer
        The new network, built.
    """

    def __init__(self, needed: Needed) -> None:
        self.needed, self.trace = needed, needed.trace
        self._memo: dict[int, Any] = {}  # of layers: by the id of the old one, the new one
        self._made: list[tuple[Layer, Layer]] = []  # old and new, without those copied whole
        self._folded = {n: self._fold(mixer) for n, mixer in self.trace.mixers.items()}
        layers: list[Mixer | Apart] = [*self.trace.mixers.values(), *self.trace.aparts.values()]
        self.masks = {
            id(array): masks for each in layers for array, masks in self._masks(each.layer)
        }
        old = self.trace.network
        self.network: Layer = self._made_again(old)
        if self.network.built_dtype is None:  # otherwise it is a copy
            with using(Streams(0)):  # values are overwritten: draw none of the user's numbers
                self.network.build(old.in_shape, old.built_dtype)
        for before, after in self._made:
            self._fill(before, after)

    # Arrays

    def _masks(self, layer: Layer) -> list[tuple[Any, Masks]]:
        """Return each array of a layer that has channels, and what is kept of its axes."""
        arrays = {**layer.learned, **layer.buffered}
        mixer, apart = self.trace.mixers.get(id(layer)), self.trace.aparts.get(id(layer))
        if mixer is not None:
            kept = self.needed.of(mixer.inputs), self.needed.of(mixer.outputs)
            return [(arrays[name], masks) for name, masks in axes_of(layer, *kept).items()]
        if apart is None:
            return []
        outputs = self.needed.of(apart.outputs)
        return [(arrays[name], {0: outputs}) for name in per_channel(layer)]

    def cut(self, array: Array, owner: Any) -> Array:
        """Return what is kept of an array that has the axes of another, ``owner``."""
        for axis, mask in self.masks.get(id(owner), {}).items():
            array = np.compress(mask, array, axis)
        return array

    def _fold(self, mixer: Mixer) -> Array:
        """Return what the inputs of a layer that go add to its outputs that stay."""
        gone = ~self.needed.of(mixer.inputs)
        constant = np.nan_to_num(mixer.constants[0][gone], posinf=0, neginf=0)
        rows = weight_rows(mixer.layer)[self.needed.of(mixer.outputs)][:, gone]
        total: Array = rows.sum(axis=2, dtype=np.float64) @ constant
        return total

    def _fill(self, before: Layer, after: Layer) -> None:
        """Give a new layer the arrays of the old one."""
        for name, parameter in before.learned.items():
            after.learned[name].value = self.cut(parameter.value, parameter)
        for name, buffer in before.buffered.items():
            after.buffered[name][...] = self.cut(buffer, buffer)
        more = self._folded.get(id(before))
        if more is not None and more.any():
            bias = after.learned["bias"]
            bias.value = (bias.value + more).astype(bias.storage.dtype)
        after._freeze(before._frozen)

    # Layers

    def _made_again(self, value: Any) -> Any:
        """Return a layer with its parts, or a setting, of the new network."""
        if isinstance(value, dict):
            return {name: self._made_again(entry) for name, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._made_again(entry) for entry in value)
        if not isinstance(value, Layer):
            return value
        if id(value) in self._memo:
            return self._memo[id(value)]
        if id(value) in self.trace.whole or isinstance(value, self.trace.own):
            return copy.deepcopy(value, self._memo)
        settings = {name: getattr(value, name) for name in setting_names(type(value))}
        mixer = self.trace.mixers.get(id(value))
        if mixer is not None:
            settings[width_setting(value)] = int(self.needed.of(mixer.outputs).sum())
            settings["bias"] = settings["bias"] or bool(self._folded[id(value)].any())
        made: Layer = type(value)(**self._made_again(settings))
        self._memo[id(value)] = made
        if not isinstance(value, Container):
            self._made.append((value, made))
        return made

    # State of an optimizer

    def arena(self, old: Arena) -> Arena:
        """Return the arena of the new network."""
        made = Arena(self.network.parameters())
        gradients = made.split(made.grads)
        for name, gradient in old.split(old.grads).items():
            gradients[name][...] = self.cut(gradient, old.parameters[name])
        return made

    def state(self, state: Mapping[str, Array], old: Arena, new: Arena) -> dict[str, Array]:
        """Return the state of an optimizer for the new arena; 0 for a bias that is new."""
        cut: dict[str, Array] = {}
        for kind, flat in state.items():
            cut[kind] = zeros(new.values.size, flat.dtype)
            there = new.split(cut[kind])
            for name, part in old.split(flat).items():
                there[name][...] = self.cut(part, old.parameters[name])
        return FixedDict(cut)
