"""What the ranks of a run settle before its first step: that they are alike, and where to begin."""

from __future__ import annotations

import json
import platform
import re
from typing import TYPE_CHECKING, Any

import numpy as np

import cnn_core

from .. import config, random
from .._fields import is_built_in
from .._version import __version__
from ..distributed.fingerprint import first_difference, of_arrays, of_data
from ..random import Random
from ..saving.model import describe
from ..saving.tensors import TensorFile

if TYPE_CHECKING:
    from .fit import Run

SHOWN = 60  # characters of a value in a message


def begin(run: Run, resume: TensorFile | None) -> None:
    """Compare the ranks of a run, and give all the weights and random numbers of rank 0.

    Raises
    ------
    ValueError
        On all ranks, if they differ in versions, instruction sets, settings or data, or if models
        that have been trained have other weights.
    """
    world, trainer = run.world, run.trainer
    if world.size == 1:
        return
    arena, preprocess = trainer.prepare(), trainer.facts.preprocess
    mine = {
        "deepfs": __version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "instruction set": cnn_core.level,
        "deepfs.config.winograd": config.winograd,
        "model": describe(trainer),
        "fit": json.loads(json.dumps(run._settings())) | {"epochs": run.epochs},
        "callbacks": [in_words(each) for each in run.hooks.callbacks],
        "checkpoint": None if resume is None else resume.path.name,
        "training data": of_data(run.data),
        "validation data": of_data(run.validation_data),
        "preprocessing": None if preprocess is None else of_arrays(preprocess.arrays()),
        "weights of the trained model": of_arrays({"": arena.values}) if trainer.steps else None,
    }
    every = world.share(mine)
    for number, theirs in enumerate(every):
        found = first_difference(every[0], theirs)
        if found is not None:
            world.refuse(ValueError(refusal(found, number)))
    state = [arena.values, *trainer._buffers, *trainer.state.values()]
    order = run.random.seed, run.random.stream
    given, order, streams = world.of_first((state, order, random.get_state()))
    for array, first in zip(state, given, strict=True):
        array[...] = first
    run.random = Random(*order)
    random.set_state(streams)


def refusal(found: tuple[str, Any, Any], number: int) -> str:
    """Return what to say of a difference of rank 0 and another one."""
    name, first, other = found
    ways = {
        "training data": ": all ranks need all data, and take their parts of each batch",
        "checkpoint": ": fit(checkpoint=) must be a folder that all ranks see",
        "instruction set": "; DEEPFS_ISA=v3, say, in the environment of all ranks, sets it",
    }
    values = "" if len(str(first)) == 32 else (
        f": rank 0 has {first!r:.{SHOWN}}, rank {number} has {other!r:.{SHOWN}}"
    )  # fmt: skip
    between = values or f", those of ranks 0 and {number} differ"
    return f"all ranks must have the same {name}{between}{ways.get(name, '')}"


def in_words(callback: Any) -> str:
    """Return a callback with its settings; one of the user's own is known by its class."""
    if not is_built_in(type(callback)):
        return type(callback).__name__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(callback))
