"""One trial: a model of its settings is trained, measured, and looked at by the doctor."""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any, Literal

import numpy as np
from optuna.trial import Trial, TrialState

from .._names import hint
from ..callbacks import Callback, EarlyStopping
from ..cross_validation import folds_of, fresh, part, samples_of
from ..inspection.diagnose import diagnose
from ..model import Model
from ..random import Streams, using
from .given_data import data_of
from .methods import WEIGHTS, seed_of
from .space import Params, Space

SAMPLES, STEPS = 256, 10  # that the doctor looks at
RISE = 1.1  # of val_loss over its least value, from which a trial counts as overfitted
FALL = 0.98  # of val_loss in the last epoch, below which more epochs may help


@dataclass
class Job:
    """What all trials of a search have in common; it travels to other processes."""

    build: Callable[[Params], Model]
    space: Space
    data: tuple[Any, Any] | Callable[[Params], Any]
    fit: dict[str, Any]  # arguments of `Model.fit`
    metric: str
    direction: Literal["minimize", "maximize"]
    cv: int | None
    method: str
    seed: int
    pruner: Any
    doctor: bool
    study_name: str
    storage: Any
    parallel: bool
    call: str  # which call of `search` the trials are run for

    def data_of(self, params: Params) -> tuple[Any, Any]:
        """Return inputs and targets, or a data set and None, for some settings."""
        return data_of(self.data(copy.deepcopy(params))) if callable(self.data) else self.data

    def fit_of(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of `fit` for some settings: `batch_size` may be one of them."""
        searched = {name: params[name] for name in ("batch_size", "epochs") if name in params}
        return {**self.fit, **searched, "callbacks": copy.deepcopy(self.fit.get("callbacks", ()))}


class Pruned(Exception):  # noqa: N818
    """The pruner has stopped a trial."""


@dataclass(eq=False)
class Report(Callback):
    """Report the number of each epoch to Optuna; end the training where its pruner says so."""

    trial: Trial
    metric: str
    first: int = 0  # number of its first epoch, among those of all folds
    pruned: bool = field(default=False, init=False)

    def check_logs(self, names: Sequence[str]) -> None:
        if self.metric not in names:
            raise ValueError(
                f"search has metric={self.metric!r}, but an epoch has {', '.join(names)}"
                f"{hint(self.metric, names)}"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.trial.report(float(logs[self.metric]), self.first + epoch)
        if self.trial.should_prune():
            self.pruned = self.model.stop_training = True


@dataclass
class Outcome:
    """What is noted of a trial."""

    state: TrialState
    value: float | None = None
    curve: dict[str, list[float]] = field(default_factory=dict)
    folds: list[float] = field(default_factory=list)
    verdict: str = ""
    seconds: float = 0.0
    traceback: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what Optuna keeps as an attribute: text and finite numbers."""
        finite = {n: [v if np.isfinite(v) else str(v) for v in each]
                  for n, each in self.curve.items()}  # fmt: skip
        return {
            "state": self.state.name, "value": self.value, "curve": finite, "folds": self.folds,
            "verdict": self.verdict, "seconds": round(self.seconds, 3),
            "traceback": self.traceback,
        }  # fmt: skip


def run(job: Job, trial: Trial, slot: int, params: Params) -> Outcome:
    """Train and measure the model of a trial; errors of its settings are an outcome, too.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, also if it came during `fit`.
    """
    begin = time.monotonic()
    training = Training(job, trial, slot, params)
    try:
        training.run()
        outcome = Outcome(TrialState.COMPLETE, fmean(training.values), folds=training.values)
    except Pruned:
        outcome = Outcome(TrialState.PRUNED)
        outcome.verdict = f"stopped by the pruner after epoch {training.epochs()}"
    except FloatingPointError as error:
        outcome = Outcome(TrialState.PRUNED, verdict=f"diverged: {one_line(error)}")
    except Exception as error:  # whatever the user's function raises belongs to this trial
        outcome = failed(error)
    outcome.curve = training.curve()
    if outcome.state != TrialState.FAIL:
        words = [outcome.verdict, of_curve(outcome.curve), training.diagnosed()]
        outcome.verdict = "; ".join(filter(None, words)) or "healthy"
        if outcome.value is not None and not np.isfinite(outcome.value):
            outcome.state, outcome.value = TrialState.PRUNED, None
            outcome.verdict = f"diverged: {job.metric} is not finite; {outcome.verdict}"
    outcome.seconds = time.monotonic() - begin
    return outcome


def failed(error: BaseException) -> Outcome:
    """Return the outcome of a trial in which an error was raised."""
    text = "".join(traceback.format_exception(error))
    return Outcome(TrialState.FAIL, verdict=one_line(error), traceback=text)


def one_line(error: BaseException) -> str:
    """Return an error as a line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class Training:
    """The training of a trial, or its k trainings."""

    def __init__(self, job: Job, trial: Trial, slot: int, params: Params) -> None:
        self.job, self.trial, self.params = job, trial, params
        self.seed = seed_of(job.seed, slot, WEIGHTS)
        self.values: list[float] = []
        self.models: list[Model] = []

    def run(self) -> None:
        """Train, and keep the number that counts, of each fold."""
        job, seen = self.job, list[Model]()
        streams, build = Streams(self.seed), partial(job.build, self.params)
        with using(streams):
            self.models.append(fresh(build, seen))
            self.data = job.data_of(self.params)
            if job.cv is None:
                self._fit(self.data, job.fit_of(self.params))
                return
            settings = job.fit_of(self.params)
            data = samples_of(self.models[0], *self.data, settings)
            for number, (train, test) in enumerate(
                folds_of(self.models[0], data, job.cv, None, True, job.seed)
            ):
                if number:
                    self.models.append(fresh(build, seen))
                settings = job.fit_of(self.params)
                settings.pop("sample_weight", None)
                weight: dict[str, Any] = {}
                held = (*part(data, test, weight), *weight.values())
                settings["validation_data"] = held[0] if len(held) == 1 else held
                self._fit(part(data, train, settings), settings)

    def _fit(self, data: tuple[Any, ...], settings: dict[str, Any]) -> None:
        job = self.job
        first = len(self.values) * int(settings.get("epochs", 1))
        report = Report(self.trial, job.metric, first)
        given = settings["callbacks"]
        settings["callbacks"] = [*given, report]
        history = self.models[-1].fit(*data, **settings)
        if history.interrupted:
            raise KeyboardInterrupt
        if report.pruned:
            raise Pruned
        self.values.append(kept(history[job.metric], given))

    def curve(self) -> dict[str, list[float]]:
        """Return the numbers of the epochs, means over the folds."""
        histories = [dict(model.history.items()) for model in self.models]
        if not histories or not histories[0]:
            return {}
        return {
            name: [fmean(each) for each in zip(*(h[name] for h in histories if name in h),
                                               strict=False)]
            for name in histories[0]
        }  # fmt: skip

    def epochs(self) -> int:
        """Return how many epochs there were, of all folds."""
        return sum(model.epochs for model in self.models)

    def diagnosed(self) -> str:
        """Return the findings of the doctor on the last model, as one line."""
        if not self.job.doctor or not self.models:
            return ""
        try:
            size = self.job.fit_of(self.params).get("batch_size") or 32
            found = diagnose(
                self.models[-1], *self.data, samples=SAMPLES, steps=STEPS, batch_size=size
            )
        except Exception as error:  # a verdict less, but the trial stands
            return f"not diagnosed: {one_line(error)}"
        return "; ".join(f"{each.what}. {each.remedy}" for each in found.findings)


def kept(values: Sequence[float], callbacks: Sequence[Callback]) -> float:
    """Return the number of the epoch whose weights the model has."""
    for each in callbacks:
        if isinstance(each, EarlyStopping) and each.best_epoch is not None:
            return float(values[each.best_epoch if each.restore_best_weights else -1])
    return float(values[-1])


def of_curve(curve: Mapping[str, Sequence[float]]) -> str:
    """Return what the losses of the epochs say, in words; "" if nothing."""
    loss, held = curve.get("loss", ()), curve.get("val_loss", ())
    if len(loss) < 2:
        return ""
    words = []
    if not loss[-1] < loss[0]:
        words.append(f"does not learn: loss {loss[0]:.3g} before, {loss[-1]:.3g} in the end")
    elif len(held) > 1:
        least = min(held)
        if held[-1] > RISE * least and least > 0:
            words.append(
                f"overfits: val_loss {least:.3g} in epoch {held.index(least) + 1}, then "
                f"{held[-1]:.3g}"
            )
        elif held[-1] == least and held[-1] < FALL * held[-2]:
            words.append("still improves: more epochs may help")
    return "; ".join(words)
