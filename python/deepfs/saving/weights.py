"""Weights from files into a network that exists: of deepfs, or of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .._arrays import Array, Shape
from .._check import shown
from .._names import hint
from .._warn import warn
from ..layers import Layer
from ._match import OPTIONAL, Slot, Target, match, slots_of
from .network import leaves
from .state_dict import StateDictFile, open_weights
from .tensors import CheckpointError, TensorFile

Renaming: TypeAlias = Mapping[str, str | None] | Callable[[str], str | None] | Sequence[str] | None
LISTED = 6  # names that a message lists


class WeightNames(dict[str, str]):
    """Names of weights in a file by their names in the network; printed, a line for each."""

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{ours:<{width}}  {theirs}" for ours, theirs in self.items())


class LoadedWeights(NamedTuple):
    """What `deepfs.Model.load_weights` did. The names of the lists are those of PyTorch.

    ``loaded`` has the name in the file of each weight of the network that was read, and printed it
    is a table;
    ``missing_keys`` the weights of the network that were not; ``unexpected_keys`` the arrays of the
    file that were not used; ``mismatched_keys`` pairs of both whose names match and shapes do not.
    """

    loaded: dict[str, str]
    missing_keys: list[str]
    unexpected_keys: list[str]
    mismatched_keys: list[tuple[str, str]]

    def __str__(self) -> str:
        return "\n".join([f"{len(self.loaded)} weights loaded", *self._problems()])

    def _problems(self, most: int | None = None) -> list[str]:
        """Return a line for each kind of what did not match."""
        kinds = {
            "not in the file": self.missing_keys,
            "not in the network": self.unexpected_keys,
            "of another shape": [ours if ours == theirs else f"{ours} (there {theirs})"
                                 for ours, theirs in self.mismatched_keys],
        }  # fmt: skip
        return [f"{kind}: {listed(names, most)}" for kind, names in kinds.items() if names]


def listed(names: Sequence[str], most: int | None = None) -> str:
    """Return names with commas between, of many the first."""
    more = f" and {len(names) - most} more" if most is not None and len(names) > most else ""
    return ", ".join(names[:most]) + more


def load_weights(
    network: Layer,
    path: str | Path,
    mapping: Renaming = None,
    strict: bool = True,
    preprocess: Any = None,
) -> LoadedWeights:
    """Read weights from a file into a built network; see `deepfs.Model.load_weights`.

    ``preprocess`` is what the model does to inputs: a warning says where the file's model did more.
    """
    if network.built_dtype is None:
        raise RuntimeError(
            "load_weights needs a network with weights, got one that has seen no data: write "
            "model.network.build((3, 32, 32)) first, with the shape of a sample"
        )
    if isinstance(mapping, str) or not (
        mapping is None or callable(mapping) or isinstance(mapping, (Mapping, Sequence))
    ):
        raise TypeError(
            f"mapping must be None, a dict or function of names, or a list, got {shown(mapping)}"
        )
    with open_weights(path) as file:
        slots = slots_of(leaves(network), once=isinstance(file, StateDictFile))
        if isinstance(file, StateDictFile):
            pairs, names = of_pytorch(file, slots, mapping)
        else:
            pairs, names = of_deepfs(file, slots, mapping)
        targets = {t.name: t for slot in slots for t in slot.targets.values()}
        report = compared(file, pairs, names, targets)
        problems = report._problems(LISTED)
        if problems and (strict or not report.loaded):
            raise ValueError(
                f"{path} does not fit the network, nothing was loaded; {'; '.join(problems)}"
                + advice(file, report, targets, strict)
            )
        values = [read(file, names[name], targets[ours]) for ours, name in report.loaded.items()]
        theirs = None
        if not isinstance(file, StateDictFile):
            theirs = file.description.get("preprocess")
    for ours, value in zip(report.loaded, values, strict=True):
        targets[ours].array[...] = value
    if theirs is not None and (preprocess is None or not preprocess.fitted):
        warn(
            f"the weights of {path} were trained on preprocessed inputs, and load_weights reads no "
            "preprocessing: write model.preprocess = deepfs.load(path).preprocess"
        )
    return report


def advice(
    file: TensorFile, report: LoadedWeights, targets: Mapping[str, Target], strict: bool
) -> str:
    """Return the end of the message about a file that does not fit."""
    for ours, name in report.mismatched_keys:
        if isinstance(file, StateDictFile) and file.shape(name) == targets[ours].array.shape:
            return (
                f". PyTorch has {ours!r} as {targets[ours].shape}; arrays in the layout of deepfs "
                "are for model.set_weights"
            )
    if strict and report.loaded:
        return ". strict=False loads the rest, mapping={name there: name here} tells what is what"
    return ". mapping={name there: name here} tells what is what"


def of_deepfs(
    file: TensorFile, slots: Sequence[Slot], mapping: Renaming
) -> tuple[dict[str, str], dict[str, str]]:
    """Return pairs of names, ours to those in a file of deepfs, and the arrays of these there."""
    names = {}
    for name in file.entries:
        kind, _, key = name.partition("/")
        random = kind == "buffer" and key.rpartition(".")[2] in ("key", "calls")
        if kind in ("parameter", "buffer") and not (random and file.dtype(name) == np.int64):
            names[key] = name
    if not names:
        raise CheckpointError(f"{file.path} has no weights")
    if isinstance(mapping, Sequence):
        raise TypeError("a list as mapping is for files of PyTorch: deepfs's have names to match")
    chosen = renamed(names, mapping, lambda name: name)
    known = {target.name: target.name for slot in slots for target in slot.targets.values()}
    return paired(chosen, known, mapping), names


def of_pytorch(
    file: StateDictFile, slots: Sequence[Slot], mapping: Renaming
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the same for a file of PyTorch."""
    names = {name: name for name in file.entries}
    shapes = {name: file.shape(name) for name in names}
    if isinstance(mapping, Sequence):
        for name in mapping:
            if name not in names:
                raise ValueError(f"mapping names {name!r}, which is not in {file.path}"
                                 f"{hint(str(name), names)}")  # fmt: skip
        return match(slots, shapes, list(dict.fromkeys(mapping))), names
    if mapping is None:
        return match(slots, shapes), names
    known = {
        alias: target.name
        for slot in slots
        for key, target in slot.targets.items()
        for alias in (f"{slot.name}.{key}".lstrip("."), target.name)
    }
    chosen = renamed(names, mapping, lambda name: None)
    pairs = paired(chosen, known, mapping)
    if callable(mapping):
        return pairs, names
    covered = {name for name in names if covering(name, mapping) is not None}
    rest = [s for s in slots if not any(t.name in pairs for t in s.targets.values())]
    others = {name: shape for name, shape in shapes.items() if name not in covered}
    return pairs | match(rest, others), names


def covering(name: str, mapping: Mapping[str, str | None]) -> str | None:
    """Return the longest key of a mapping that is a name, or the begin of its path."""
    parts = name.split(".")
    paths = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((path for path in paths if path in mapping), None)


def renamed(
    names: Mapping[str, str], mapping: Any, default: Callable[[str], str | None]
) -> dict[str, str | None]:
    """Return the name here of each name in a file; None for what is left out."""
    if mapping is None:
        return {name: default(name) for name in names}
    if callable(mapping):
        made = {name: mapping(name) for name in names}
    else:
        used, made = set(), {}
        for name in names:
            key = covering(name, mapping)
            if key is None:
                made[name] = default(name)
                continue
            used.add(key)
            to = mapping[key]
            made[name] = f"{to}{name[len(key) :]}".lstrip(".") if isinstance(to, str) else to
        for key in mapping:
            if key not in used:
                raise ValueError(f"mapping names {key!r}, which is not in the file"
                                 f"{hint(str(key), names)}")  # fmt: skip
    for name, to in made.items():
        if to is not None and not isinstance(to, str):
            raise TypeError(f"mapping must give a name or None for {name!r}, got {shown(to)}")
    return made


def paired(
    chosen: Mapping[str, str | None], known: Mapping[str, str], mapping: Any
) -> dict[str, str]:
    """Return pairs of our names and theirs; refuse names that a mapping gives and nobody has."""
    pairs: dict[str, str] = {}
    for name, to in chosen.items():
        if to is None:
            continue
        if to not in known:
            if mapping is None or to == name or to.endswith(OPTIONAL):
                continue
            raise ValueError(f"mapping gives {to!r} for {name!r}, which the network lacks"
                             f"{hint(to, known)}")  # fmt: skip
        if known[to] in pairs:
            raise ValueError(f"mapping gives {to!r} for {name!r}, and for another name")
        pairs[known[to]] = name
    return pairs


def compared(
    file: TensorFile, pairs: Mapping[str, str], names: Mapping[str, str],
    targets: Mapping[str, Target],
) -> LoadedWeights:  # fmt: skip
    """Return what would be loaded, and what does not match, shapes considered."""
    foreign = isinstance(file, StateDictFile)
    loaded = WeightNames()
    wrong: list[tuple[str, str]] = []
    for ours, target in targets.items():
        if ours not in pairs:
            continue
        name = pairs[ours]
        wanted: Shape = target.shape if foreign else target.array.shape
        if file.shape(names[name]) == wanted:
            loaded[ours] = name
        else:
            wrong.append((ours, name))
    used = set(pairs.values())
    missing = [name for name, target in targets.items()
               if name not in pairs and not (foreign and target.shape == ())]  # fmt: skip
    unexpected = [name for name in names if name not in used
                  and not (foreign and name.endswith(OPTIONAL))]  # fmt: skip
    return LoadedWeights(loaded, missing, unexpected, wrong)


def read(file: TensorFile, name: str, target: Target) -> Array:
    """Return an array of a file as the network has it."""
    value, dtype = file.read(name), target.array.dtype
    if value.dtype.kind != dtype.kind:
        raise ValueError(f"{file.path} has {name!r} as {value.dtype}, {target.name!r} is {dtype}")
    if value.dtype.kind == "f":
        with np.errstate(over="ignore"):
            value = value.astype(dtype, copy=False)
        if not np.isfinite(value).all():
            raise ValueError(f"{file.path} has numbers in {name!r} that are not finite in {dtype}")
    if isinstance(file, StateDictFile):
        value = value.T if target.transposed else value
    return value.reshape(target.array.shape)
