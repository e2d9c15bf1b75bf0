"""The course of a search: trials in turn or beside each other, rounds, the best model."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from .._check import shown
from .._names import hint
from .._version import __version__
from ..config import get_num_threads
from ..cross_validation import fresh
from ..model import Model
from ..random import Streams, using
from .methods import (
    FIXED,
    METHODS,
    WEIGHTS,
    as_range,
    available,
    draw,
    grid,
    narrowed,
    seed_of,
)
from .processes import Processes, on_cluster
from .result import Search, range_in_words, why_none
from .slots import SLOT, best_first, by_slot, fill, study_of, work
from .space import Params, Space
from .storage import in_words, name_of, open_storage
from .trials import Job

ABOUT = "search"  # attribute of a study: which search it is
WATCH = 1.0  # seconds between two looks at trials of other machines
WAITS = ("running", "waiting")  # states of a trial that has not ended
LINE = 200  # letters of the line of a trial


@dataclass
class Plan:
    """Which trials a search is to have."""

    method: str
    space: Space
    n_trials: int | None
    seed: int
    rounds: int

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise ValueError(
                f"method must be one of {', '.join(METHODS)}, got {shown(self.method)}"
                f"{hint(str(self.method), METHODS)}"
            )
        self.sampler = available(self.method, self.space)
        if self.method == "grid":
            self.fixed = grid(self.space, self.n_trials, self.seed)
            self.n_trials = len(self.fixed)
        if self.n_trials is None:
            raise ValueError(
                f'method="{self.method}" needs the number of trials, such as n_trials=20'
            )
        if self.method != "coarse_to_fine":
            self.rounds = 1
        elif self.n_trials < self.rounds:
            raise ValueError(
                f"coarse_to_fine of {self.rounds} rounds needs at least as many trials, got "
                f"n_trials={self.n_trials}"
            )

    def numbers(self, number: int) -> range:
        """Return the slots of a round."""
        count = self.n_trials or 0
        return range(number * count // self.rounds, (number + 1) * count // self.rounds)

    def settings(self, number: int, among: Mapping[str, Any]) -> dict[int, Params | None]:
        """Return the settings of each slot of a round; None where they follow from others."""
        if self.method == "grid":
            return dict(enumerate(self.fixed))
        if self.method not in FIXED:
            return dict.fromkeys(self.numbers(number))
        return {slot: draw(among, self.seed, slot) for slot in self.numbers(number)}


class Run:
    """A call of `search`."""

    def __init__(
        self, job: Job, plan: Plan, storage: tuple[Any, bool], jobs: int, client: Any, verbose: bool
    ) -> None:
        self.job, self.plan, self.jobs = job, plan, jobs
        self.storage, self.temporary = storage
        self.client, self.verbose = client, verbose
        self.search = self._open()
        self.told = {entry.number for entry in self.search.log if entry.state not in WAITS}

    def _open(self) -> Search:
        """Return the study, which is new or is that of the same search."""
        job = self.job
        with in_words(name_of(job.storage)):
            study = optuna.create_study(
                study_name=job.study_name, storage=self.storage, direction=job.direction,
                load_if_exists=True,
            )  # fmt: skip
            about, there = described(job, self.plan), study.user_attrs.get(ABOUT)
            if there is None and not study.get_trials(deepcopy=False):
                study.set_user_attr(ABOUT, about | {"deepfs": __version__})
            elif there is None:
                raise ValueError(
                    f"storage {name_of(job.storage)!r} has a study {job.study_name!r} that is not "
                    "of deepfs.search: give another study_name="
                )
            else:
                check_same(about, there, job)
            self.storage = study._storage  # with what it remembers of trials
            return Search(job.study_name, self.storage, job.space, job.direction)

    def run(self, refit: bool) -> Search:
        """Run all trials, then train the best model."""
        job, search = self.job, self.search
        try:
            for number in range(self.plan.rounds):
                before = self._trials(range(self.plan.numbers(number).start))
                tried = [trial.params for trial in best_first(before, job.direction)]
                among = narrowed(job.space, tried, number)
                if self.plan.rounds > 1:
                    search.rounds.append({name: as_range(each) for name, each in among.items()})
                    self._say(round_in_words(number, search.rounds[-1]))
                self._round(self.plan.settings(number, among))
        except KeyboardInterrupt:
            search.interrupted = True
        if self.temporary:
            search = self._in_memory()
        if search.interrupted:
            return search
        entries = search.log
        if not any(entry.value is not None for entry in entries):
            raise RuntimeError(why_none(entries))
        if refit:
            search.best_model = self._refit(search)
        return search

    def _trials(self, slots: range) -> list[Any]:
        found = by_slot(self.search.get_trials(deepcopy=False))
        return [trial for slot, trial in found.items() if slot in slots]

    def _round(self, slots: Mapping[int, Params | None]) -> None:
        """Run trials until each slot has one that is finished, here or elsewhere."""
        while True:
            fill(study_of(self.job, self.storage), slots)
            trials = self._trials(range(max(slots) + 1))
            states = {trial.state for trial in trials}
            if TrialState.WAITING in states:
                self._work(sum(trial.state == TrialState.WAITING for trial in trials))
            elif TrialState.RUNNING in states:
                time.sleep(WATCH)
            else:
                break
        self._tell()

    def _work(self, waiting: int) -> None:
        jobs = min(self.jobs, waiting)
        if self.client is not None:
            on_cluster(self.client, self.job, self.storage, self._tell)
        elif self.jobs == 1:
            work(self.job, self.storage, self._tell)
        else:
            threads = max(1, get_num_threads() // jobs)
            Processes(self.job, self.storage, jobs, threads).run(self._tell)

    def _tell(self) -> None:
        """Print the trials that have ended since the last call."""
        if not self.verbose:
            return
        for entry in self.search.log:
            if entry.number not in self.told and entry.state not in WAITS:
                self.told.add(entry.number)
                verdict = "" if entry.verdict == "healthy" else f"; {entry.verdict}"
                line = f"{entry}{verdict}"
                print(line if len(line) <= LINE else f"{line[: LINE - 3]}...", flush=True)

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text, flush=True)

    def _in_memory(self) -> Search:
        """Return the study, copied from the file that the processes shared."""
        memory = InMemoryStorage()
        optuna.copy_study(
            from_study_name=self.job.study_name, from_storage=self.storage, to_storage=memory
        )
        found = Search(self.job.study_name, memory, self.job.space, self.job.direction)
        found.rounds, found.interrupted = self.search.rounds, self.search.interrupted
        return found

    def _refit(self, search: Search) -> Model | None:
        """Train the model of the best settings on all samples."""
        job, settings = self.job, search.best_settings
        fit = job.fit_of(settings)
        if not any(str(getattr(each, "monitor", "")).startswith("val_")
                   for each in fit["callbacks"]):  # fmt: skip
            fit.pop("validation_split", None)
        elif job.cv is not None:
            fit["validation_split"] = 1 / job.cv
        slot = search.best_trial.user_attrs[SLOT]
        with using(Streams(seed_of(job.seed, slot, WEIGHTS))):
            model = fresh(partial(job.build, settings), [])
            history = model.fit(*job.data_of(settings), **fit)
        search.interrupted = history.interrupted
        return model


def described(job: Job, plan: Plan) -> dict[str, Any]:
    """Return what makes two searches the same, to be kept with the study."""
    fit = {name: shown(value) for name, value in sorted(job.fit.items())
           if isinstance(value, (int, float, str, bool))}  # fmt: skip
    samples: Any = "of a function"
    if not callable(job.data):
        samples = job.data[0].samples if job.data[1] is None else len(job.data[1])
    count = plan.n_trials if plan.method in ("grid", "coarse_to_fine") else "any"
    return {
        "method": plan.method, "space": job.space.as_json(), "metric": job.metric,
        "direction": job.direction, "cv": job.cv, "seed": job.seed, "n_trials": count,
        "rounds": plan.rounds, "samples": samples, "pruner": type(job.pruner).__name__
        if not isinstance(job.pruner, str | None) else job.pruner, "fit": fit,
    }  # fmt: skip


def check_same(about: Mapping[str, Any], there: Mapping[str, Any], job: Job) -> None:
    """Raise ValueError if a study is that of another search."""
    for name, value in about.items():
        if there.get(name) != value:
            raise ValueError(
                f"storage {name_of(job.storage)!r} has a search {job.study_name!r} with another "
                f"{name}, {shown(there.get(name))}, here it is {shown(value)}: give another "
                "study_name=, or the same arguments to go on with it"
            )


def round_in_words(number: int, ranges: Mapping[str, Any]) -> str:
    """Return the ranges of a round as a line."""
    words = (f"{name} {range_in_words(each)}" for name, each in ranges.items())
    return f"round {number + 1}: {', '.join(words)}"


@contextlib.contextmanager
def storage_of(job: Job) -> Iterator[tuple[Any, bool]]:
    """Open the storage of a search, and say whether it is only there for a while.

    Processes need one that they can share, also where none is given.
    """
    if job.storage is not None or not job.parallel:
        if job.parallel and isinstance(job.storage, InMemoryStorage):
            raise ValueError(
                "processes cannot share an InMemoryStorage: give no storage, or a file"
            )
        yield open_storage(job.storage), False
        return
    with tempfile.TemporaryDirectory(prefix="deepfs-search-") as folder:
        job.storage = str(Path(folder) / "search.log")
        try:
            yield open_storage(job.storage), True
        finally:
            job.storage = None


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """Let Optuna report warnings only: each trial has its own line here."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
