"""Which array of a PyTorch `state_dict` belongs to which weight of a network: by order and shapes.

safetensors sorts the arrays of a file by name, so the order in which PyTorch made them is lost.
Layers of one kind and shape are told apart by what cannot be mistaken: by numbers in their names
(``layer1.0.conv2`` comes before ``layer1.1.conv1``), or, of norms, by the convolution they follow.
Anything else is refused, and the caller gives the order or the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .._arrays import Array, Shape
from ..layers import Dense, DropConnect, Layer, SeparableConv2D

THEIRS = {"gamma": "weight", "beta": "bias", "slope": "weight", "batches": "num_batches_tracked"}
OPTIONAL = "num_batches_tracked"  # PyTorch before 0.4.1 had none


@dataclass
class Target:
    """A weight of the network: its name, the array to write into, and if PyTorch transposes it."""

    name: str
    array: Array
    transposed: bool = False

    @property
    def shape(self) -> Shape:
        """Its shape in PyTorch."""
        if self.name.endswith(".batches") or self.name == "batches":
            return ()
        return self.array.shape[::-1] if self.transposed else self.array.shape


@dataclass
class Slot:
    """Weights of the network that are one module of PyTorch, by their names there."""

    name: str
    targets: dict[str, Target] = field(default_factory=dict)


def slots_of(layers: Iterable[tuple[str, Layer]], once: bool) -> list[Slot]:
    """Return the modules that a network is made of, in its order.

    A layer in several places has a name for each. PyTorch saves it ``once``, deepfs by every name.
    """
    found: list[Slot] = []
    seen: set[int] = set()
    for name, layer in layers:
        weights = layer._weights() if id(layer) not in seen or not once else {}
        seen.add(id(layer))
        parts: dict[str, Slot] = {}
        for key, array in weights.items():
            part, theirs = "", THEIRS.get(key, key)
            if isinstance(layer, SeparableConv2D):  # two modules there
                part = "depthwise" if key == "depthwise_weight" else "pointwise"
                theirs = "bias" if key == "bias" else "weight"
            turned = isinstance(layer, (Dense, DropConnect)) and key == "weight"
            slot = parts.setdefault(part, Slot(".".join(filter(None, (name, part)))))
            slot.targets[theirs] = Target(f"{name}.{key}".lstrip("."), array, turned)
        found += parts.values()
    return found


def modules_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the last parts of names by what stands before them."""
    modules: dict[str, list[str]] = {}
    for name in names:
        module, _, key = name.rpartition(".")
        modules.setdefault(module, []).append(key)
    return modules


def match(
    slots: Sequence[Slot], shapes: Mapping[str, Shape], order: Sequence[str] | None = None
) -> dict[str, str]:
    """Return pairs of names, of the network's to the file's, for modules of equal shapes.

    Parameters
    ----------
    slots : sequence of Slot
        Modules of the network.
    shapes : dict of shape
        Shapes of the arrays in the file by name.
    order : sequence of str, optional
        Names of the file in the order of the network; by default it is worked out.

    Raises
    ------
    ValueError
        If the order of modules with equal shapes cannot be told from their names.
    """
    modules = modules_of(shapes if order is None else order)
    theirs: dict[Any, list[str]] = {}
    for module, keys in modules.items():
        kind = {(key, shapes[f"{module}.{key}".lstrip(".")]) for key in keys if key != OPTIONAL}
        theirs.setdefault(frozenset(kind), []).append(module)
    ours: dict[Any, list[int]] = {}
    for number, slot in enumerate(slots):
        kind = {(key, t.shape) for key, t in slot.targets.items() if key != OPTIONAL}
        ours.setdefault(frozenset(kind), []).append(number)
    left = {kind: (numbers, theirs[kind]) for kind, numbers in ours.items()
            if kind and len(theirs.get(kind, ())) == len(numbers)}  # fmt: skip
    placed: dict[str, int] = {}
    while left:
        before = len(left)
        for kind, (numbers, names) in list(left.items()):
            ordered = names if order is not None else by_number(names)
            if ordered is None:
                ordered = by_partner(names, numbers, placed, modules)
            if ordered is not None:
                placed |= zip(ordered, numbers, strict=True)
                del left[kind]
        if len(left) == before:
            names = next(names for _, names in left.values())
            raise ValueError(
                f"the file does not tell the order of {', '.join(map(repr, names[:4]))}"
                f"{' ...' if len(names) > 4 else ''}, which have equal shapes: give mapping="
                "list(module.state_dict()), their order in PyTorch, or a dict of names there to "
                "names here"
            )
    return {
        target.name: f"{module}.{key}".lstrip(".")
        for module, number in placed.items()
        for key, target in slots[number].targets.items()
        if key in modules[module]
    }


def by_number(names: Sequence[str]) -> list[str] | None:
    """Return names in the order of the first number in which they differ; None if it is no number.

    Examples
    --------
    >>> by_number(["layer1.10.conv1", "layer1.9.conv2", "layer1.9.conv1"])
    ['layer1.9.conv1', 'layer1.9.conv2', 'layer1.10.conv1']
    >>> by_number(["body.0", "head.0"])
    """
    pieces = {name: re.split(r"(\d+)", name) for name in names}  # texts and numbers in turn
    keys = {n: [int(p) if i % 2 else p for i, p in enumerate(ps)] for n, ps in pieces.items()}
    ordered = sorted(names, key=keys.__getitem__)
    for a, b in pairwise(ordered):
        differing = [i for i, (x, y) in enumerate(zip(keys[a], keys[b], strict=False)) if x != y]
        if not differing or differing[0] % 2 == 0:
            return None
    return ordered


def by_partner(
    names: Sequence[str], numbers: Sequence[int], placed: Mapping[str, int],
    modules: Mapping[str, Sequence[str]],
) -> list[str] | None:  # fmt: skip
    """Return norms in the order of the convolutions they follow; None if one follows none.

    ``bn2`` belongs to ``conv2`` beside it, ``downsample.1`` to ``downsample.0``. Each norm must
    come out at another place of the network, and each place must be taken.
    """
    after: dict[int, str] = {}
    for name in names:
        holder, dot, last = name.rpartition(".")
        partner = re.sub(r"^(bn|norm)(?=\d*$)", "conv", last)
        if last.isdigit():
            partner = str(int(last) - 1)
        elif partner == last:
            return None
        place = placed.get(f"{holder}{dot}{partner}")
        if place is None or "running_mean" not in modules[name]:
            return None
        after[place + 1] = name
    return [after[number] for number in numbers] if after.keys() == set(numbers) else None
