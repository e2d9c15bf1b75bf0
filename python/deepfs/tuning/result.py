"""What a search returns: a study of Optuna with the best model and a log in words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from .._table import WIDTH
from ..model import Model
from .methods import as_range
from .slots import LOG, SLOT, best_first, by_slot
from .space import Params, Space

EDGE = 0.05  # share of a range that counts as its end
STATES = {
    TrialState.COMPLETE: "", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A trial in the log of a search.

    Attributes
    ----------
    number : int
        Of the trial, from 0, among those that were asked for.
    params : dict
        Its settings.
    state : str
        "" if it was completed; "stopped" by the pruner or because the loss was not finite;
        "failed" by an error; "running" or "waiting" after an interrupted search.
    value : float or None
        The metric, of a complete trial.
    curve : dict of list of float
        Loss and metrics of each epoch, as of `History`; with ``cv``, means over the folds.
    verdict : str
        What the curve and `deepfs.diagnose` say; or the error.
    seconds : float
        Time that the trial took.
    folds : list of float
        The metric of each fold.
    traceback : str
        Of the error of a failed trial.
    """

    number: int
    params: Params
    state: str = ""
    value: float | None = None
    curve: Mapping[str, list[float]] = field(default_factory=dict)
    verdict: str = ""
    seconds: float = 0.0
    folds: Sequence[float] = ()
    traceback: str = ""

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={short(value)}" for name, value in self.params.items())
        found = self.state if self.value is None else f"{self.value:.4g}"
        return f"trial {self.number}: {settings}: {found}"


class Log(list[Entry]):
    """The trials of a search in words, in the order of their numbers: print it."""

    def __repr__(self) -> str:
        return "\n".join(map(lines_of, self)) or "no trials"


def lines_of(entry: Entry) -> str:
    """Return a trial as lines: settings and value, curve, verdict."""
    curve = next((entry.curve[n] for n in ("val_loss", "loss") if entry.curve.get(n)), [])
    lines = [str(entry)]
    if len(curve) > 1:
        name = "val_loss" if "val_loss" in entry.curve else "loss"
        lines.append(f"    {name} {' '.join(f'{float(v):.3g}' for v in thinned(curve))}")
    if entry.verdict:
        lines.append(textwrap.fill(entry.verdict, WIDTH, initial_indent="    ",
                                   subsequent_indent="    ", break_on_hyphens=False))  # fmt: skip
    return "\n".join(lines)


def thinned(curve: Sequence[Any], most: int = 10) -> list[Any]:
    """Return at most so many numbers of a curve, the first and the last among them."""
    if len(curve) <= most:
        return list(curve)
    return [curve[round(k * (len(curve) - 1) / (most - 1))] for k in range(most)]


def short(value: Any) -> str:
    """Return a value of a setting for a line."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class Search(optuna.Study):
    """What `deepfs.search` returns: a `Study` of Optuna, all of whose methods it has.

    Attributes
    ----------
    best_model : Model or None
        The model of the best settings, trained on all samples; None with ``refit=False`` or after
        an interrupted search.
    log : Log
        An entry for each trial: settings, curve, verdict. Print it.
    rounds : list of dict
        Ranges of each round of ``method="coarse_to_fine"``, as in a space.
    interrupted : bool
        True if Ctrl-C ended the search.
    """

    best_model: Model | None = None
    interrupted: bool = False
    rounds: list[dict[str, Any]]

    def __init__(self, study_name: str, storage: Any, space: Space, direction: str) -> None:
        super().__init__(study_name, storage)
        self._space, self._direction, self.rounds = space, direction, []

    @property
    def best_trial(self) -> FrozenTrial:
        """The best of the complete trials; of equal ones, that with the least number."""
        found = best_first(self.get_trials(), self._direction)
        if not found:
            raise ValueError("no trial of this search is complete")
        return found[0]

    @property
    def best_settings(self) -> Params:
        """Settings of the best trial as ``build`` gets them; ``best_params`` is what is stored."""
        return self._space.values(self.best_trial.params)

    @property
    def log(self) -> Log:
        """The trials in words."""
        trials = by_slot(self.get_trials(deepcopy=False))
        return Log(entry_of(slot, trial, self._space) for slot, trial in trials.items())

    def advice(self) -> str:
        """Return which of the best settings lie at the end of their range, in words; or ""."""
        best, words = self.best_trial.params, []
        for name, each in self._space.distributions.items():
            end = at_end(each, best[name])
            if end:
                words.append(f"{name}={short(best[name])} is at the {end} end of its range, "
                             f"{as_range(each)}: a wider one may hold a better value")  # fmt: skip
        return "; ".join(words)

    def __repr__(self) -> str:
        entries = self.log
        counts = [f"{len(entries)} trials"]
        counts += [f"{count} {state}" for state in [*STATES.values()][1:]
                   if (count := sum(each.state == state for each in entries))]  # fmt: skip
        lines = [f"Search of {', '.join(counts)}"]
        try:
            best = self.best_trial
        except ValueError as error:
            return f"{lines[0]}: {error}"
        metric = self.user_attrs.get("search", {}).get("metric", "value")
        settings = ", ".join(f"{n}={short(v)}" for n, v in self.best_settings.items())
        slot = best.user_attrs[SLOT]
        lines.append(f"best: {metric} {best.value:.4g} of trial {slot}, {settings}")
        lines += [each for each in [self.advice()] if each]
        for number, ranges in enumerate(self.rounds):
            shown = ", ".join(f"{name} {range_in_words(each)}" for name, each in ranges.items())
            lines.append(f"round {number + 1}: {shown}")
        return "\n".join(
            textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
            for line in lines
        )


def range_in_words(given: Any) -> str:
    """Return a range for the report of a round."""
    if isinstance(given, tuple):
        low, high = given[-2:]
        return f"{short(low)} to {short(high)}"
    return f"of {given}"


def entry_of(slot: int, trial: FrozenTrial, space: Space) -> Entry:
    """Return the entry of a trial."""
    noted = trial.user_attrs.get(LOG, {})
    complete = space.distributions.keys() <= trial.params.keys()
    return Entry(
        slot, space.values(trial.params) if complete else dict(trial.params), STATES[trial.state],
        trial.value if trial.state == TrialState.COMPLETE else None,
        {name: [float(v) for v in values] for name, values in noted.get("curve", {}).items()},
        noted.get("verdict", ""), noted.get("seconds", 0.0), noted.get("folds", ()),
        noted.get("traceback", ""),
    )  # fmt: skip


def at_end(among: Any, value: Any) -> str:
    """Return "lower" or "upper" if a value lies at that end of its range, or ""."""
    if isinstance(among, CategoricalDistribution):
        return ""
    low, high, log = among.low, among.high, among.log
    scale = math.log if log else float
    place = (scale(value) - scale(low)) / (scale(high) - scale(low)) if high > low else 0.5
    return "lower" if place <= EDGE else "upper" if place >= 1 - EDGE else ""


def why_none(entries: Sequence[Entry]) -> str:
    """Return in words why a search has no complete trial."""
    first = entries[0]
    shown = ", ".join(f"{name}={short(value)}" for name, value in first.params.items())
    return (
        f"search: none of the {len(entries)} trials is complete; the first, with {shown}, "
        f"{first.state}: {first.verdict}"
    )
