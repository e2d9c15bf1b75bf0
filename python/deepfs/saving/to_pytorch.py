"""Weights of a network as a PyTorch ``state_dict`` in a safetensors file: the way back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .._arrays import Array
from .._check import shown
from .._names import hint
from .._safetensors import CODES
from ..layers import Layer
from ._match import OPTIONAL, Slot, Target, modules_of, slots_of
from .network import leaves
from .tensors import destination, pieces, remove_orphans, replacing
from .weights import LoadedWeights, WeightNames

Naming: TypeAlias = LoadedWeights | Mapping[str, str] | Sequence[str] | None
Pairs: TypeAlias = list[tuple[Target, str]]


def save_state_dict(network: Layer, path: str | Path, mapping: Naming = None) -> WeightNames:
    """Write the weights of a built network; see `deepfs.Model.save_state_dict`."""
    if network.built_dtype is None:
        raise RuntimeError(
            "save_state_dict needs a network with weights, got one that has seen no data: write "
            "model.network.build((3, 32, 32)) first, with the shape of a sample"
        )
    pairs = named(slots_of(leaves(network), once=True), mapping)
    twice = [name for name, uses in Counter(name for _, name in pairs).items() if uses > 1]
    if twice:
        raise ValueError(f"mapping gives the name {twice[0]!r} to several weights")
    write({name: as_there(target) for target, name in pairs}, path)
    return WeightNames({target.name: name for target, name in pairs})


def as_there(target: Target) -> Array:
    """Return a weight in the layout of PyTorch."""
    array = target.array.T if target.transposed else target.array
    return array.reshape(target.shape)


def named(slots: Sequence[Slot], mapping: Any) -> Pairs:
    """Return the weights of a network with their names in PyTorch."""
    if mapping is None:
        return [(t, f"{s.name}.{key}".lstrip(".")) for s in slots for key, t in s.targets.items()]
    if isinstance(mapping, LoadedWeights):
        return as_read(slots, mapping)
    if isinstance(mapping, Mapping):
        return by_paths(slots, mapping)
    if isinstance(mapping, Sequence) and not isinstance(mapping, str):
        return in_order(slots, mapping)
    raise TypeError(
        "mapping must be None, a dict of names, a list of names, or what load_weights returned, "
        f"got {shown(mapping)}"
    )


def as_read(slots: Sequence[Slot], report: LoadedWeights) -> Pairs:
    """Return the names that the weights had in the file they came from."""
    pairs, missing = [], []
    for slot in slots:
        for key, target in slot.targets.items():
            if target.name in report.loaded:
                pairs.append((target, report.loaded[target.name]))
            elif key != OPTIONAL:
                missing.append(target.name)
    if missing:
        layer = missing[0].rpartition(".")[0]
        raise ValueError(
            f"no weights were loaded into {', '.join(missing[:4])}, so their names are not known: "
            f"write mapping={{'fc': {layer!r}, ...}}, a dict of names there to names here"
        )
    return pairs


def by_paths(slots: Sequence[Slot], mapping: Mapping[str, str]) -> Pairs:
    """Return names whose begins a dict changes, of names there to names here."""
    here: dict[str, str] = {}
    for theirs, ours in mapping.items():
        if not isinstance(theirs, str) or not isinstance(ours, str):
            raise TypeError(f"mapping must have names for names, got {shown({theirs: ours})}")
        if ours in here:
            raise ValueError(f"mapping has {ours!r} twice, as {here[ours]!r} and as {theirs!r}")
        here[ours] = theirs
    pairs, used = [], set()
    for slot in slots:
        parts = slot.name.split(".")
        paths = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
        path = next((p for p in (*paths, "") if p in here), None)
        name = slot.name
        if path is not None:
            used.add(path)
            name = f"{here[path]}.{slot.name[len(path) :].lstrip('.')}".strip(".")
        pairs += [(t, f"{name}.{key}".lstrip(".")) for key, t in slot.targets.items()]
    for path in here:
        if path not in used:
            known = [slot.name for slot in slots]
            raise ValueError(f"mapping names {path!r}, which the network lacks{hint(path, known)}")
    return pairs


def in_order(slots: Sequence[Slot], names: Sequence[str]) -> Pairs:
    """Return names by their order, module by module: that of ``list(module.state_dict())``."""
    modules = modules_of(names)
    if len(modules) != len(slots):
        raise ValueError(
            f"mapping has names of {len(modules)} modules, and the network {len(slots)} layers "
            "with weights"
        )
    pairs = []
    for slot, (module, keys) in zip(slots, modules.items(), strict=True):
        if {*keys} - {OPTIONAL} != slot.targets.keys() - {OPTIONAL}:
            raise ValueError(
                f"mapping has {module!r} with {', '.join(keys)} in the place of {slot.name!r} with "
                f"{', '.join(slot.targets)}: the modules are in another order"
            )
        pairs += [
            (t, f"{module}.{key}".lstrip(".")) for key, t in slot.targets.items() if key in keys
        ]
    return pairs


def write(arrays: Mapping[str, Array], path: str | Path) -> None:
    """Write arrays as ``safetensors.torch.save_file`` does, atomically, as `deepfs.Model.save`."""
    target, earlier = destination(Path(path).expanduser())
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))  # all aligned
    start = 0
    for name in names:
        array = arrays[name]
        header[name] = {
            "dtype": CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    remove_orphans(target.parent)
    with replacing(target, earlier) as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name in names:
            for piece in pieces(np.asarray(arrays[name])):
                file.write(piece)
