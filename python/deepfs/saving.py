"""Models as safetensors files: a description in JSON, and C-order arrays. Nothing is executed."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from . import initializers, layers, losses, metrics, optimizers, regularizers, schedules
from ._check import whole
from .layers._base import Array
from .model import Model

FORMAT = 1  # version of the layout below
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


class CheckpointError(Exception):
    """A file is not a model that this version of deepfs can read: it says why."""


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


def from_config(config: Any, kinds: dict[str, type], seen: list[layers.Layer]) -> Any:
    """Return what `to_config` described; ``seen`` collects the layers."""
    if isinstance(config, list):
        return tuple(from_config(entry, kinds, seen) for entry in config)
    if not isinstance(config, dict):
        return config
    settings = dict(config)
    kind = settings.pop("kind", None)
    if kind == SAME:
        return seen[settings["number"]]
    if kind not in kinds:
        raise CheckpointError(
            f"the file names {kind!r}, which deepfs does not have: load(path, layers=[{kind}])"
        )
    made = kinds[kind](**{k: from_config(value, kinds, seen) for k, value in settings.items()})
    if isinstance(made, layers.Layer):
        seen.append(made)
    return made


def save(model: Model, path: str | Path) -> None:
    """Write a model; see `Model.save`."""
    from safetensors.numpy import save as to_bytes

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
    tensors = {name: np.asarray(array, order="C") for name, array in _arrays(model).items()}
    _write(Path(path), to_bytes(tensors, {"deepfs": json.dumps(description)}))


def load(path: str | Path, layers: Iterable[type] = ()) -> Model:
    """Read a model that `Model.save` wrote.

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
    description, tensors = _read(Path(path))
    kinds = _KINDS | {kind_of(kind): kind for kind in layers}
    try:
        known = [name for name in description["metrics"] if metrics.known(name)]
        if known != description["metrics"]:
            lost = ", ".join(name for name in description["metrics"] if name not in known)
            warnings.warn(f"{path}: metrics of your own are not in the file: {lost}", stacklevel=2)
        model = Model(
            from_config(description["network"], kinds, []),
            from_config(description["loss"], kinds, []),
            from_config(description["optimizer"], kinds, []),
            known,
            description["check_finite"],
            description.get("report_penalty", False),
        )
        model.network.build(tuple(description["in_shape"]), description["dtype"])
        model.steps = whole(description["steps"], "steps", 0)
        since = whole(description["state_since"], "state_since", 0, model.steps)
        epochs = whole(description.get("epochs", 0), "epochs", 0)
    except CheckpointError:
        raise
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError,
            ValueError) as error:  # fmt: skip
        raise CheckpointError(f"{path} does not describe a model: {error}") from error
    if model.steps:
        model._arena()
        model.state_since, model.epochs = since, epochs
    _fill(_arrays(model), tensors, path)
    return model


def _arrays(model: Model) -> dict[str, Array]:
    """Return all arrays of a model that a file holds, by the name they have there."""
    arrays = {f"parameter/{k}": p.value for k, p in model.network.parameters().items()}
    arrays |= {f"buffer/{name}": buffer for name, buffer in model.network.buffers().items()}
    if model.steps:
        arena = model._arena()
        for kind, flat in model.state.items():
            arrays |= {f"state/{kind}/{name}": view for name, view in arena.split(flat).items()}
    return arrays


def _fill(arrays: dict[str, Array], tensors: dict[str, Array], path: str | Path) -> None:
    """Copy the tensors of a file into the arrays of a model, all of them or none."""
    for name in [*arrays, *tensors]:
        if name not in tensors or name not in arrays:
            where = "lacks" if name not in tensors else "has, and the network lacks,"
            raise CheckpointError(f"{path} {where} the array {name!r}")
        wanted, got = arrays[name], tensors[name]
        if wanted.shape != got.shape or wanted.dtype != got.dtype:
            raise CheckpointError(
                f"{path} has {name!r} as {got.dtype}{got.shape}, "
                f"the network takes {wanted.dtype}{wanted.shape}"
            )
    for name, array in arrays.items():
        array[...] = tensors[name]


def _write(path: Path, content: bytes) -> None:
    """Write a file that is complete or not there: under another name first, then renamed."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes it readable by its owner alone
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return description and arrays of a file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            own = "deepfs" in metadata  # others may hold dtypes that NumPy does not know
            names = file.keys() if own else ()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error
    try:
        description = json.loads(metadata["deepfs"])
        version = int(description["format"])
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is a safetensors file, but not a deepfs model") from error
    if version > FORMAT:
        raise CheckpointError(f"{path} is of format {version}, this deepfs reads up to {FORMAT}")
    return description, tensors
