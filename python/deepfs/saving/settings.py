"""Settings as JSON and back. Names in a file are never imported or executed."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import layers
from .._check import shown, whole
from .._fields import is_built_in, setting_names
from ..layers._symbolic import Tensor
from .own_classes import check_class
from .tensors import CheckpointError

MAX_LAYERS = 10_000  # of a network in a file; a layer that occurs twice counts twice
SAME = "same"  # kind of a layer that was described before
DICT = "dict"  # kind of a dict, whose entries are settings
INITIALIZERS = "initializer", "rest"  # settings that are initializers
FUNCTION = "function"  # setting of a loss that is a function of one's own
INPUT = "Input"  # kind of an input of a Graph
PREFIXED = {"schedules": "Schedule", "preprocessing": "Preprocess"}  # their classes have a prefix


def kind_of(made: type) -> str:
    """Return the name of a class in files. The prefix tells the schedule Step from the layer."""
    for folder, base in PREFIXED.items():
        module = sys.modules.get(f"deepfs.{folder}")  # if it is not imported, it has no such class
        if module is not None and issubclass(made, getattr(module, base)):
            return f"{folder}.{made.__name__}"
    return made.__name__


def kinds_of(modules: Iterable[ModuleType]) -> dict[str, type]:
    """Return the classes of these modules that a file may name."""
    return {
        kind_of(getattr(module, name)): getattr(module, name)
        for module in modules
        for name in module.__all__
        if isinstance(getattr(module, name), type)
        and dataclasses.is_dataclass(getattr(module, name))
    }


@cache
def all_kinds() -> dict[str, type]:
    """Return the classes that a file may name. The caller of `load` passes classes of their own."""
    from .. import initializers, losses, optimizers, preprocessing, regularizers, schedules

    return kinds_of(
        (layers, losses, optimizers, initializers, regularizers, schedules, preprocessing)
    )


def to_config(value: Any, seen: list[layers.Layer] | None = None) -> Any:
    """Return settings in a form for JSON: a dataclass is its kind and its fields.

    A layer that occurs several times is described once; later ones refer to it by its number among
    the layers described (``seen``). A setting that a class got later is left out where it has the
    value that was there before, the ``omitted`` of its field: files stay equal to older ones.

    Examples
    --------
    >>> to_config(layers.ReLU(name="a"))
    {'kind': 'ReLU', 'name': 'a', 'dtype': None}
    """
    seen = [] if seen is None else seen
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for number, layer in enumerate(seen):
            if layer is value:
                return {"kind": SAME, "number": number}
        check_class(type(value))
        config: dict[str, Any] = {"kind": kind_of(type(value))}
        omitted = {f.name: f.metadata["omitted"] for f in dataclasses.fields(value)
                   if "omitted" in f.metadata}  # fmt: skip
        for name in setting_names(type(value)):
            setting = getattr(value, name)
            if name in omitted and setting == omitted[name]:
                continue
            own = callable(setting) and not dataclasses.is_dataclass(setting)
            if name in INITIALIZERS and own:  # a function: the weights are in the file anyway
                setting = "zeros"
            elif name == FUNCTION and own:  # of a FunctionLoss: `load` asks for it by its label
                setting = getattr(value, "label", None)  # of a schedule, regularizer: when used
            config[name] = to_config(setting, seen)
        if isinstance(value, layers.Layer):
            seen.append(value)
        return config
    if isinstance(value, (list, tuple)):
        return [to_config(entry, seen) for entry in value]
    if isinstance(value, dict):
        return {"kind": DICT, "entries": {k: to_config(entry, seen) for k, entry in value.items()}}
    if isinstance(value, Tensor):
        return {"kind": INPUT, "shape": list(value.shape), "name": value.name}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.dtype, type)):
        return np.dtype(value).name
    raise TypeError(f"{value!r} cannot be saved: a setting must be numbers, text or a layer")


def own_classes(value: Any) -> dict[str, type]:
    """Return the classes of the user's that a setting is made of, by their names in files."""
    if isinstance(value, (list, tuple)):
        return {kind: cls for entry in value for kind, cls in own_classes(entry).items()}
    if isinstance(value, dict):
        return own_classes(tuple(value.values()))
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return {}
    found = own_classes(tuple(getattr(value, name) for name in setting_names(type(value))))
    return found if is_built_in(type(value)) else found | {kind_of(type(value)): type(value)}


def kinds_in(config: Any) -> list[str]:
    """Return the names of all classes that the output of `to_config` has, each once."""
    if isinstance(config, list):
        return list(dict.fromkeys(kind for entry in config for kind in kinds_in(entry)))
    if not isinstance(config, dict):
        return []
    kind: Any = config.get("kind")
    if kind == DICT:
        entries = config.get("entries")
        return kinds_in(list(entries.values())) if isinstance(entries, dict) else []
    inner = kinds_in([entry for key, entry in config.items() if key != "kind"])
    named = isinstance(kind, str) and kind not in (SAME, INPUT) and kind not in inner
    return [kind, *inner] if named else inner


def number_of_layers(value: Any) -> int:
    """Return the number of layers that a setting describes, as `SettingsReader` counts them."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (list, tuple)):
        return sum(map(number_of_layers, value))
    if not isinstance(value, layers.Layer):
        return 0
    number = 1 + sum(number_of_layers(getattr(value, name)) for name in setting_names(type(value)))
    if isinstance(value, layers.Graph):
        number += sum(number_of_layers(value.layers[part]) for part, _ in value.calls)
    return number


def _missing(kinds: list[Any]) -> str:
    """Return what to say of classes that a file names and `load` was not given."""
    names = ", ".join(map(shown, kinds[:20]))
    classes = ", ".join(str(kind).rpartition(".")[2] for kind in kinds[:20])
    return f"the file names {names}, which deepfs does not have: load(path, layers=[{classes}])"


class SettingsReader:
    """Makes objects from the output of `to_config`, of the given kinds only.

    A few bytes of a file can describe a huge number of layers, each containing the one before it
    twice, so their number is limited.
    """

    def __init__(self, kinds: Mapping[str, type]) -> None:
        self.kinds = kinds
        self.layers: list[layers.Layer] = []  # by their number
        self.sizes: dict[int, int] = {}  # of a layer: it and all that stand in it

    def check_kinds(self, configs: list[Any]) -> None:
        """Raise CheckpointError if descriptions name classes that are not here: one for all."""
        missing = [kind for kind in kinds_in(configs) if kind not in self.kinds]
        if missing:
            raise CheckpointError(_missing(missing))

    def make(self, config: Any) -> Any:
        """Return the setting, layer, loss or optimizer that is described."""
        if isinstance(config, list):
            return tuple(self.make(entry) for entry in config)
        if not isinstance(config, dict):
            return config
        settings = dict(config)
        kind = settings.pop("kind", None)
        if kind == SAME:
            return self.layers[whole(settings["number"], "number", 0)]
        if kind == DICT:
            return {name: self.make(entry) for name, entry in settings["entries"].items()}
        if kind == INPUT:
            return layers.Input(**settings)
        if settings.get(FUNCTION) is not None:  # None: a schedule or regularizer
            raise CheckpointError(
                f"the loss contains a function of your own, {settings[FUNCTION]}, which is not in "
                f"the file: load(path, loss={settings[FUNCTION]}), or the tuple or dict of losses"
            )
        if kind not in self.kinds:
            raise CheckpointError(_missing([kind]))
        made = {name: self.make(value) for name, value in settings.items()}
        size = 1 + self._size(tuple(made.values())) + self._calls(made)
        if size > MAX_LAYERS:
            raise CheckpointError(f"the file names more than {MAX_LAYERS} layers")
        value = self.kinds[kind](**made)
        if isinstance(value, layers.Layer):
            self.layers.append(value)
            self.sizes[id(value)] = size
        return value

    def _calls(self, made: dict[str, Any]) -> int:
        """Return the size of what the calls of a Graph run."""
        calls, parts = made.get("calls"), made.get("layers")
        if not isinstance(calls, tuple) or not isinstance(parts, tuple):
            return 0
        numbers = [call[0] for call in calls if isinstance(call, tuple) and call]
        known = [n for n in numbers if isinstance(n, int) and 0 <= n < len(parts)]
        return sum(self._size(parts[n]) for n in known)

    def _size(self, value: Any) -> int:
        if isinstance(value, dict):
            value = tuple(value.values())
        if isinstance(value, tuple):
            return sum(map(self._size, value))
        return self.sizes.get(id(value), 0)


def restore_moving_fields(value: Any, config: Any) -> None:
    """Restore the fields that change during training, such as the position of a `Plateau`."""
    if dataclasses.is_dataclass(value) and isinstance(config, dict):
        for field in dataclasses.fields(value):
            if field.metadata.get("moves"):
                setattr(value, field.name, config[field.name])
            else:
                restore_moving_fields(getattr(value, field.name), config.get(field.name))


def check_same(name: str, mine: Any, theirs: Any, path: Path) -> None:
    """Raise CheckpointError if two descriptions differ; name the first difference."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.keys() == theirs.keys():
        for key in ("kind", *mine) if "kind" in mine else mine:
            check_same(f"{name}.{key}", mine[key], theirs[key], path)
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            check_same(f"{name}[{number}]", a, b, path)
    elif mine != theirs and not (mine != mine and theirs != theirs):  # NaN is the same as NaN
        raise CheckpointError(f"{path} is of another model: {name} is {in_short(theirs)} in it, "
                              f"{in_short(mine)} here")  # fmt: skip


def in_short(config: Any) -> str:
    """Return a part of a description for a message: a layer by its kind, a list by its length."""
    if isinstance(config, dict):
        return str(config.get("kind"))
    return f"{len(config)} of them" if isinstance(config, list) else repr(config)
