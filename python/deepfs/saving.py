"""Models as files: a description in JSON, and arrays; see `tensorfile`. Nothing is executed."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import initializers, layers, losses, metrics, optimizers, regularizers, schedules
from ._check import whole
from .layers._base import Array, allowed
from .model import Model
from .tensorfile import CheckpointError, TensorFile, write

FORMAT = 1  # version of the layout below
MOST_LAYERS = 10_000  # of a network in a file, each counted wherever it stands
SAME = "same"  # kind of a layer that has been described before


def kind_of(made: type) -> str:
    """Return what files call a class. There is a layer Step, and a schedule."""
    return ("schedules." if issubclass(made, schedules.Schedule) else "") + made.__name__


# Everything that a file may name. Own classes are handed to `load` by the caller.
_KINDS: dict[str, type] = {
    kind_of(getattr(module, name)): getattr(module, name)
    for module in (layers, losses, optimizers, initializers, regularizers, schedules)
    for name in module.__all__
    if isinstance(getattr(module, name), type)
}


def to_config(value: Any, seen: list[layers.Layer] | None = None) -> Any:
    """Return settings as JSON can hold them: a dataclass is its kind and its fields.

    A layer that stands in several places is described once; the others say which one it is, by
    its number among the layers described (``seen``).

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
        names = [field.name for field in dataclasses.fields(value)]
        config: dict[str, Any] = {"kind": kind_of(type(value))}
        for name in names:
            setting = getattr(value, name)
            own = callable(setting) and not dataclasses.is_dataclass(setting)
            if name == "initializer" and own:  # a function: the weights are in the file anyway
                setting = "zeros"
            config[name] = to_config(setting, seen)
        if isinstance(value, layers.Layer):
            seen.append(value)
        return config
    if isinstance(value, (list, tuple)):
        return [to_config(entry, seen) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.dtype, type)):
        return np.dtype(value).name
    raise TypeError(f"{value!r} cannot be saved: a setting must be numbers, text or a layer")


class Maker:
    """Makes again what `to_config` described, of the kinds it is given and of no others.

    A layer that stands in many places takes few bytes of a file, and layers of such layers fewer
    still: what they come to is bounded.
    """

    def __init__(self, kinds: Mapping[str, type]) -> None:
        self.kinds = kinds
        self.layers: list[layers.Layer] = []  # by their number
        self.sizes: dict[int, int] = {}  # of a layer: it and all that stand in it

    def make(self, config: Any) -> Any:
        """Return the setting, layer, loss or optimizer that a part of a description is of."""
        if isinstance(config, list):
            return tuple(self.make(entry) for entry in config)
        if not isinstance(config, dict):
            return config
        settings = dict(config)
        kind = settings.pop("kind", None)
        if kind == SAME:
            return self.layers[whole(settings["number"], "number", 0)]
        if kind not in self.kinds:
            raise CheckpointError(
                f"the file names {kind!r}, which deepfs does not have: load(path, layers=[{kind}])"
            )
        made = {name: self.make(value) for name, value in settings.items()}
        size = 1 + self._size(tuple(made.values()))
        if size > MOST_LAYERS:
            raise CheckpointError(f"the file names more than {MOST_LAYERS} layers")
        value = self.kinds[kind](**made)
        if isinstance(value, layers.Layer):
            self.layers.append(value)
            self.sizes[id(value)] = size
        return value

    def _size(self, value: Any) -> int:
        if isinstance(value, tuple):
            return sum(map(self._size, value))
        return self.sizes.get(id(value), 0)


def describe(model: Model) -> dict[str, Any]:
    """Return what a file says of a model besides its arrays, as JSON will give it back."""
    network = model.network
    if network.built_dtype is None:
        raise RuntimeError("Model.save needs a network that has seen data, got one without weights")
    description = {
        "format": FORMAT,
        "network": to_config(network),
        "loss": to_config(model.loss),
        "optimizer": to_config(model.optimizer),
        "metrics": list(model.metrics),
        "check_finite": model.check_finite,
        "report_penalty": model.report_penalty,
        "in_shape": network.in_shape,
        "dtype": network.built_dtype.name,
        "steps": model.steps,
        "state_since": model.state_since,
        "epochs": model.epochs,
    }
    same: dict[str, Any] = json.loads(json.dumps(description))
    return same


def arrays_of(model: Model) -> dict[str, Array]:
    """Return all arrays of a model that a file holds, by the name they have there."""
    arrays = {f"parameter/{k}": p.value for k, p in model.network.parameters().items()}
    arrays |= {f"buffer/{name}": buffer for name, buffer in model.network.buffers().items()}
    if model.steps:
        arena = model._arena()
        for kind, flat in model.state.items():
            arrays |= {f"state/{kind}/{name}": view for name, view in arena.split(flat).items()}
    return arrays


def save(model: Model, path: str | Path) -> None:
    """Write a model; see `Model.save`."""
    write(path, arrays_of(model), describe(model))


def load(path: str | Path, layers: Iterable[type] = ()) -> Model:
    """Read a model that `Model.save` wrote, or `Model.fit` as a checkpoint.

    Every byte of the file is checked before it is used. It takes no more memory than the file and
    64 MB, and gradients, which are none before the first step.

    Parameters
    ----------
    path : str or Path
        Of the file.
    layers : iterable of classes
        Layers, losses, optimizers and schedules of your own that the file may name. Nothing else
        that it names is looked up or imported.

    Returns
    -------
    Model
        As it was saved, the optimizer's state included.

    Raises
    ------
    CheckpointError
        If the file is not a model, is damaged, or is of a newer version.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
    >>> x = np.ones((1, 1, 28, 28), np.float32)
    >>> y = model.predict(x)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/m.safetensors")
    ...     twin = dfs.load(f"{folder}/m.safetensors")
    >>> bool((twin.predict(x) == y).all())
    True
    """
    maker = Maker(_KINDS | {kind_of(kind): kind for kind in layers})
    with TensorFile(path) as file:
        description = description_in(file)
        try:
            known = [name for name in description["metrics"] if metrics.known(name)]
            if known != description["metrics"]:
                lost = ", ".join(name for name in description["metrics"] if name not in known)
                warnings.warn(f"{path}: metrics of your own are not in the file: {lost}",
                              stacklevel=2)  # fmt: skip
            model = Model(
                maker.make(description["network"]),
                maker.make(description["loss"]),
                maker.make(description["optimizer"]),
                known,
                description["check_finite"],
                description.get("report_penalty", False),
            )
            build(model, description, file)
            count(model, description)
        except CheckpointError:
            raise
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError,
                TypeError, ValueError) as error:  # fmt: skip
            raise CheckpointError(f"{path} does not describe a model: {error}") from error
        fill(model, file)
    return model


def restore(model: Model, file: TensorFile) -> None:
    """Bring a built model to where one like it was when a file was written.

    Raises
    ------
    CheckpointError
        If the file is of another network, loss or optimizer. Then nothing has changed.
    """
    theirs = description_in(file)
    twin = copy.deepcopy(model.optimizer)
    try:
        move(twin, theirs["optimizer"])
        for name, mine in {
            "network": to_config(model.network),
            "loss": to_config(model.loss),
            "optimizer": to_config(twin),
            "metrics": list(model.metrics),
        }.items():
            check_same(name, json.loads(json.dumps(mine)), theirs[name], file.path)
        for name in ("in_shape", "dtype"):
            check_same(name, describe(model)[name], theirs[name], file.path)
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file.path} does not describe a model: {error}") from error
    before = model.steps, model.state_since, model.epochs
    try:
        count(model, theirs)
        fill(model, file)
    except BaseException:
        model.steps, model.state_since, model.epochs = before
        raise
    move(model.optimizer, theirs["optimizer"])


def move(value: Any, config: Any) -> None:
    """Set what training moves in a setting, as where a `Plateau` stands, to what a file says."""
    if dataclasses.is_dataclass(value) and isinstance(config, dict):
        for field in dataclasses.fields(value):
            if field.metadata.get("moves"):
                setattr(value, field.name, config[field.name])
            else:
                move(getattr(value, field.name), config.get(field.name))


def check_same(name: str, mine: Any, theirs: Any, path: Path) -> None:
    """Refuse a file that says something else of a model; say where and what."""
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


def build(model: Model, description: Mapping[str, Any], file: TensorFile) -> None:
    """Make the arrays of a model for those in a file, no larger than they are there."""
    with allowed(2 * file.nbytes):  # a layer may make an array in two forms, none of them filled
        model.network.build(tuple(description["in_shape"]), description["dtype"])


def count(model: Model, description: Mapping[str, Any]) -> None:
    """Bring a model to the step of a description, its state to the layout of the parameters."""
    steps = whole(description["steps"], "steps", 0)
    since = whole(description["state_since"], "state_since", 0, steps)
    epochs = whole(description.get("epochs", 0), "epochs", 0)
    model.steps = steps
    model._arena()
    model.state_since, model.epochs = since, epochs


def fill(model: Model, file: TensorFile, beside: str = "run/") -> None:
    """Read the arrays of a model from a file: all of them, or none if one is not as it must be."""
    arrays = arrays_of(model)
    names = [name for name in file.entries if not name.startswith(beside)]
    for name in [*arrays, *names]:
        if name not in file.entries or name not in arrays:
            where = "lacks" if name not in file.entries else "has, and the network lacks,"
            raise CheckpointError(f"{file.path} {where} the array {name!r}")
        wanted, shape, dtype = arrays[name], file.shape(name), file.dtype(name)
        if wanted.shape != shape or wanted.dtype != dtype:
            raise CheckpointError(
                f"{file.path} has {name!r} as {dtype}{shape}, "
                f"the network takes {wanted.dtype}{wanted.shape}"
            )
    for name, array in arrays.items():
        file.read(name, array)


def description_in(file: TensorFile) -> dict[str, Any]:
    """Return what a file says of a model; refuse one of a newer version."""
    try:
        version = whole(file.description["format"], "format")
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{file.path} is a safetensors file, but not a deepfs model"
        ) from error
    if version > FORMAT:
        raise CheckpointError(
            f"{file.path} is of format {version}, this deepfs reads up to {FORMAT}"
        )
    description: dict[str, Any] = file.description
    return description
