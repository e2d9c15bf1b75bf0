"""The space of a search: by each name a range, or values to choose from."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from .._check import shown

KINDS = ("log", "uniform", "int")
PLAIN = (bool, int, float, str, type(None))  # what every storage of Optuna keeps as it is
Params = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """Distributions of Optuna by name, and what stands behind labels of values it cannot store."""

    distributions: dict[str, BaseDistribution]
    labelled: dict[str, dict[Any, Any]]

    def values(self, params: Mapping[str, Any]) -> Params:
        """Return settings as the user gave them, of parameters as Optuna stores them."""
        found = {}
        for name in self.distributions:  # in the order of the space
            label = params[name]
            found[name] = copy.deepcopy(self.labelled.get(name, {}).get(label, label))
        return found

    def as_json(self) -> dict[str, str]:
        """Return the space as text, to compare it with that of another search."""
        return {name: distribution_to_json(each) for name, each in self.distributions.items()}

    def ranges(self) -> list[str]:
        """Return the names that are ranges of numbers."""
        return [name for name, each in self.distributions.items()
                if not isinstance(each, CategoricalDistribution)]  # fmt: skip


def space_of(given: Any) -> Space:
    """Return a space by value as distributions; raise an error that names the entry.

    Raises
    ------
    TypeError, ValueError
        If an entry is none of the forms, or empty.
    """
    if not isinstance(given, Mapping) or not given:
        raise TypeError(
            'space must be a dict with an entry for each setting, such as {"lr": ("log", 1e-4, '
            f"1e-1)}}, got {shown(given)}"
        )
    distributions: dict[str, BaseDistribution] = {}
    labelled: dict[str, dict[Any, Any]] = {}
    for name, entry in given.items():
        if not isinstance(name, str):
            raise TypeError(f"names of space must be text, got {shown(name)}")
        who = f"space[{name!r}]"
        if isinstance(entry, BaseDistribution):
            distributions[name] = entry
        elif isinstance(entry, tuple):
            distributions[name] = interval(entry, who)
        elif isinstance(entry, range):
            distributions[name] = steps(entry, who)
        else:
            by_label = labels(entry, who)
            distributions[name] = CategoricalDistribution(list(by_label))
            if any(not isinstance(value, PLAIN) for value in by_label.values()):
                labelled[name] = by_label
    return Space(distributions, labelled)


def interval(entry: tuple[Any, ...], who: str) -> BaseDistribution:
    """Return the range of ``(kind, low, high)`` or ``(low, high)``."""
    kind, ends = ("", entry)
    if entry and isinstance(entry[0], str):
        kind, ends = entry[0], entry[1:]
        if kind not in KINDS:
            near = get_close_matches(kind.lower(), KINDS, 1, 0.5)
            meant = f": did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"{who}: a range is {' or '.join(KINDS)}, got {kind!r}{meant}")
    numbers = all(isinstance(end, (int, float, np.integer, np.floating))
                  and not isinstance(end, bool) for end in ends)  # fmt: skip
    if len(ends) != 2 or not numbers:
        raise ValueError(
            f'{who} must be a range such as (low, high) or ("log", low, high) of two numbers, or '
            f"a list of values, got {shown(entry)}: write {[*entry]} to choose from these"
        )
    low, high = (end.item() if isinstance(end, np.generic) else end for end in ends)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{who} must have finite ends, got {shown(entry)}")
    if low >= high:
        what = "one value: write it alone" if low == high else "an empty range: low is above high"
        raise ValueError(f"{who} is {what}, got {shown(entry)}")
    if kind == "log" and low <= 0:
        raise ValueError(f"{who} must be above 0 for a logarithmic scale, got {shown(entry)}")
    whole = isinstance(low, int) and isinstance(high, int)
    if kind == "int" and not whole:
        raise ValueError(f"{who} must have ends that are ints, got {shown(entry)}")
    if whole and kind != "uniform":
        return IntDistribution(low, high, log=kind == "log")
    return FloatDistribution(low, high, log=kind == "log")


def steps(entry: range, who: str) -> BaseDistribution:
    """Return the ints of a range of Python."""
    if len(entry) == 0:
        raise ValueError(f"{who} is an empty range, got {entry}")
    low, high = sorted((entry[0], entry[-1]))
    return IntDistribution(low, high, step=abs(entry.step))


def labels(entry: Any, who: str) -> dict[Any, Any]:
    """Return the values of a list, or a single value, by what Optuna stores for each."""
    if isinstance(entry, np.ndarray) and entry.ndim == 1:
        entry = entry.tolist()
    if isinstance(entry, (Mapping, set, frozenset, np.ndarray)):
        raise TypeError(f"{who} must be a list of values or a range, got {shown(entry)}")
    several = isinstance(entry, Sequence) and not isinstance(entry, (str, bytes))
    values = list(entry) if several else [entry]
    if not values:
        raise ValueError(f"{who} is an empty list: give at least one value")
    if isinstance(values[0], str) and values[0] in KINDS:
        raise ValueError(
            f'{who}: a range is written in parentheses: ("{values[0]}", low, high), got '
            f"{shown(entry)}"
        )
    found: dict[Any, Any] = {}
    for value in values:
        value = value.item() if isinstance(value, np.generic) else value
        label = value if isinstance(value, PLAIN) else repr(value)
        if label in found:
            raise ValueError(f"{who} has {shown(value)} twice")
        found[label] = value
    return found


def suggest(trial: Any, name: str, among: BaseDistribution) -> Any:
    """Draw a parameter of a trial of Optuna."""
    if isinstance(among, CategoricalDistribution):
        return trial.suggest_categorical(name, among.choices)
    if isinstance(among, IntDistribution):
        return trial.suggest_int(name, among.low, among.high, step=among.step, log=among.log)
    if not isinstance(among, FloatDistribution):
        raise TypeError(f"space[{name!r}] must be a distribution of Optuna 4, got {among!r}")
    return trial.suggest_float(name, among.low, among.high, step=among.step, log=among.log)


def grid_values(name: str, among: Any) -> list[Any]:
    """Return all values of an entry; a range of floats has none."""
    if isinstance(among, CategoricalDistribution):
        return list(among.choices)
    if isinstance(among, IntDistribution) and not among.log:
        return list(range(among.low, among.high + 1, among.step))
    low, high = among.low, among.high
    way = f"numpy.geomspace({low:g}, {high:g}, 4)"
    if not getattr(among, "log", False):
        way = f"numpy.linspace({low:g}, {high:g}, 4)"
    raise ValueError(
        f'method="grid" needs the values of space[{name!r}], got a range: write "{name}": {way}'
    )
