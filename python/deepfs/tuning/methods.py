"""The methods of a search: what a trial of a number tries."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler

from .._warn import warn
from .space import Space, grid_values

METHODS = ("grid", "random", "tpe", "gp", "cmaes", "coarse_to_fine")
FIXED = ("grid", "random", "coarse_to_fine")  # settings follow from the number of the trial
PRUNERS = ("median", "hyperband", "successive_halving")
LARGEST = 1_000_000  # number of combinations of a grid
SHRINK = 3.0  # the ranges of a round are so many times narrower than those of the one before
BEST = 1 / 3  # share of the trials whose values of a list are tried again
LEAST = 3  # number of these trials
ORDER, SETTINGS, WEIGHTS = range(3)  # what random numbers are for


def seed_of(seed: int, slot: int, purpose: int) -> int:
    """Return the seed of a trial: it depends on nothing but these numbers."""
    words = np.random.SeedSequence([seed, slot, purpose]).generate_state(2)
    return int(words[0] if purpose != WEIGHTS else int(words[0]) << 31 ^ int(words[1]) >> 1)


def grid(space: Space, n_trials: int | None, seed: int) -> list[dict[str, Any]]:
    """Return all combinations, in the order of nested loops; or so many of them at random."""
    names = list(space.distributions)
    values = [grid_values(name, each) for name, each in space.distributions.items()]
    size = math.prod(map(len, values))
    if size > LARGEST:
        raise ValueError(
            f'method="grid" has {size:,} combinations, at most {LARGEST:,} are possible: use '
            'method="random"'
        )
    if n_trials is None or n_trials >= size:
        numbers: Any = range(size)
    else:
        numbers = np.random.default_rng(seed_of(seed, 0, ORDER)).permutation(size)[:n_trials]
    shape = [*map(len, values)]
    places = (np.unravel_index(int(number), shape) for number in numbers)
    return [
        {name: among[int(k)] for name, among, k in zip(names, values, place, strict=True)}
        for place in places
    ]


def draw(among: Mapping[str, BaseDistribution], seed: int, slot: int) -> dict[str, Any]:
    """Return random settings, by Optuna's sampler."""
    sampler = RandomSampler(seed_of(seed, slot, SETTINGS))
    nothing: Any = None  # this sampler reads neither study nor trial
    return {
        name: sampler.sample_independent(nothing, nothing, name, each)
        for name, each in among.items()
    }


def sampler_of(method: str, seed: int, slot: int, parallel: bool) -> BaseSampler:
    """Return the sampler of a trial. It starts anew in each, so that a search can go on."""
    own = seed_of(seed, slot, SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if method == "gp":
            return optuna.samplers.GPSampler(seed=own)
        if method == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=own, warn_independent_sampling=False)
        if method == "tpe":
            return optuna.samplers.TPESampler(seed=own, constant_liar=parallel)
    return RandomSampler(own)


def available(method: str, space: Space) -> str:
    """Return the method, or what takes its place where a package is missing."""
    if method == "gp" and (missing := lacking("torch", "scipy")):
        warn(
            f'method="gp" needs {missing}, not installed here: it goes on as method="tpe", which '
            f"is Bayesian optimisation, too; pip install {missing.replace(' and', '')}"
        )
        return "tpe"
    if method == "cmaes":
        if missing := lacking("cmaes"):
            raise ImportError(
                f'method="cmaes" needs {missing}, which is not installed: pip install cmaes'
            )
        if len(space.ranges()) < 2:
            raise ValueError(
                f'method="cmaes" needs at least 2 ranges of numbers, got {space.ranges() or "none"}'
                ': use method="tpe"'
            )
    return method


def lacking(*packages: str) -> str:
    """Return the names of the packages that are not installed."""
    return " and ".join(name for name in packages if find_spec(name) is None)


def pruner_of(given: Any) -> Any:
    """Return a pruner of Optuna, by its name or as it is."""
    pruners = optuna.pruners
    if given is None:
        return pruners.NopPruner()
    if isinstance(given, pruners.BasePruner):
        return given
    named: dict[str, Any] = {
        "median": pruners.MedianPruner,
        "hyperband": pruners.HyperbandPruner,
        "successive_halving": pruners.SuccessiveHalvingPruner,
    }
    return named[given]()


def narrowed(
    space: Space, tried: Sequence[Mapping[str, Any]], number: int
) -> dict[str, BaseDistribution]:
    """Return the ranges of a round of coarse to fine.

    Parameters
    ----------
    space : Space
        The ranges of the first round; no later one goes beyond.
    tried : sequence of dict
        Settings of the trials before, the best first.
    number : int
        Of the round, from 0.
    """
    if number == 0 or not tried:
        return dict(space.distributions)
    found: dict[str, BaseDistribution] = {}
    good = tried[: max(LEAST, round(len(tried) * BEST))]
    for name, each in space.distributions.items():
        if isinstance(each, CategoricalDistribution):
            kept = {repr(params[name]) for params in good}
            found[name] = CategoricalDistribution([c for c in each.choices if repr(c) in kept])
        else:
            found[name] = around(each, tried[0][name], SHRINK**number)
    return found


def around(whole: BaseDistribution, best: float, narrower: float) -> BaseDistribution:
    """Return a range around a value that is so many times narrower, inside of the whole."""
    assert isinstance(whole, (FloatDistribution, IntDistribution))
    scale, back = (math.log, math.exp) if whole.log else (float, float)
    low, high, middle = scale(whole.low), scale(whole.high), scale(best)
    half = (high - low) / narrower / 2
    start, end = back(max(low, middle - half)), back(min(high, middle + half))
    if isinstance(whole, IntDistribution):
        first = whole.low + math.floor((start - whole.low) / whole.step) * whole.step
        last = whole.low + math.ceil((end - whole.low) / whole.step) * whole.step
        return IntDistribution(
            max(first, whole.low), min(last, whole.high), log=whole.log, step=whole.step
        )
    start, end = max(start, whole.low), min(end, whole.high)  # rounding
    step = whole.step
    if step is not None:
        start = whole.low + math.floor((start - whole.low) / step) * step
    return FloatDistribution(start, end, log=whole.log, step=step)


def as_range(each: BaseDistribution) -> Any:
    """Return a distribution as it is written in a space."""
    if isinstance(each, CategoricalDistribution):
        return list(each.choices)
    assert isinstance(each, (FloatDistribution, IntDistribution))
    if each.log:
        return ("log", each.low, each.high)
    return (each.low, each.high)
