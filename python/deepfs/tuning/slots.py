"""Which trials a study is to have, which of them are done, and who takes the next one.

A slot is the number of a trial among those that were asked for. A trial whose process was killed
leaves its slot to a new trial, so the numbers of the two may differ.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from .methods import pruner_of, sampler_of
from .owners import ALIVE, OWNER, beating, is_alive, owner
from .space import Params, suggest
from .trials import Job, Outcome, run

SLOT, LOG = "slot", "log"  # attributes of a trial
STOPPED = "stopped"  # attribute of a study: the call that was interrupted
GRACE = 10.0  # seconds between taking a trial and noting whose it is


def study_of(job: Job, storage: Any, slot: int = 0) -> optuna.Study:
    """Return the study with the sampler for the trial of a slot."""
    return optuna.Study(
        job.study_name, storage, sampler_of(job.method, job.seed, slot, job.parallel),
        pruner_of(job.pruner),
    )  # fmt: skip


def is_lost(trial: FrozenTrial) -> bool:
    """Return whether a trial was ended because its process had been killed, or interrupted."""
    noted = trial.user_attrs.get(LOG, {}).get("state")
    return trial.state == TrialState.FAIL and noted != TrialState.FAIL.name


def by_slot(trials: Iterable[FrozenTrial]) -> dict[int, FrozenTrial]:
    """Return the trial that counts of each slot: the first that is not lost."""
    found: dict[int, FrozenTrial] = {}
    for trial in sorted(trials, key=lambda each: each.number):
        if SLOT in trial.user_attrs and not is_lost(trial):
            found.setdefault(trial.user_attrs[SLOT], trial)
    return dict(sorted(found.items()))


def fill(study: optuna.Study, slots: Mapping[int, Params | None]) -> None:
    """Add the trials that are missing, with their settings where these are known before.

    Trials whose process is gone are ended first; what they had measured is kept.
    """
    release(study)
    trials = study.get_trials(deepcopy=False)
    have = by_slot(trials)
    begun = {t.user_attrs.get(SLOT): t.params for t in trials if t.params}
    for slot, params in slots.items():
        if slot not in have:
            given = begun.get(slot, {}) if params is None else params
            study.enqueue_trial(given, user_attrs={SLOT: slot})


def release(study: optuna.Study) -> None:
    """End the trials whose process is gone."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if OWNER in trial.user_attrs:
            gone = not is_alive(trial.user_attrs, trial._trial_id)
        else:  # it may be between two lines of `take`
            begin = trial.datetime_start or datetime.datetime.now()
            gone = abs((datetime.datetime.now() - begin).total_seconds()) > GRACE
        if gone:
            end(study, trial.number, trial.user_attrs.get(LOG, {}))


def end(study: optuna.Study, number: int, noted: Mapping[str, Any]) -> None:
    """Tell Optuna how a trial has ended: as was noted, or that it was lost."""
    state = TrialState[noted.get("state", "FAIL")]
    value = noted["value"] if state == TrialState.COMPLETE else None
    with contextlib.suppress(ValueError, RuntimeError):  # another process has just ended it
        study.tell(number, value, state, skip_if_finished=True)


def take(job: Job, storage: Any) -> tuple[optuna.Study, Trial, int] | None:
    """Take the next trial that waits; None if there is none."""
    study = study_of(job, storage)
    if study.user_attrs.get(STOPPED) == job.call:
        return None
    trials = study.get_trials(deepcopy=False)
    valid = {trial.number for trial in by_slot(trials).values()}
    for frozen in trials:
        if frozen.state != TrialState.WAITING:
            continue
        with contextlib.suppress(RuntimeError):  # another process took and ended it
            if not storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING):
                continue
            if frozen.number not in valid:  # two searches began at once
                end(study, frozen.number, {})
                continue
            try:
                storage.set_trial_user_attr(frozen._trial_id, OWNER, owner())
                storage.set_trial_user_attr(frozen._trial_id, ALIVE, time.time())
                slot = frozen.user_attrs[SLOT]
                study = study_of(job, storage, slot)
                return study, Trial(study, frozen._trial_id), slot
            except KeyboardInterrupt:
                end(study, frozen.number, {})
                raise
    return None


def work(job: Job, storage: Any, done: Any = None) -> None:
    """Run trials until none waits; call ``done`` after each.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C. The trial that was running is lost.
    """
    while (found := take(job, storage)) is not None:
        study, trial, slot = found
        try:
            with beating(storage, trial._trial_id):
                outcome = tried(job, trial, slot)
            with contextlib.suppress(RuntimeError):  # it was taken for lost
                trial.set_user_attr(LOG, outcome.as_dict())
        except KeyboardInterrupt:
            end(study, trial.number, {})
            raise
        end(study, trial.number, outcome.as_dict())
        if done is not None:
            done()


def tried(job: Job, trial: Trial, slot: int) -> Outcome:
    """Draw the settings of a trial and run it."""
    params = {name: suggest(trial, name, among) for name, among in job.space.distributions.items()}
    return run(job, trial, slot, job.space.values(params))


def best_first(trials: Sequence[FrozenTrial], direction: str) -> list[FrozenTrial]:
    """Return the complete trials, the best first; of equal ones the first slot."""
    complete = [each for each in trials if each.state == TrialState.COMPLETE]
    sign = 1 if direction == "minimize" else -1
    return sorted(complete, key=lambda each: (sign * float(each.value or 0),
                                              each.user_attrs.get(SLOT, each.number)))  # fmt: skip
