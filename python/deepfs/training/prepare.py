"""What `Model.fit` does with data before the first step: split it, fit the preprocessing."""

from __future__ import annotations

import copy
from typing import Any

from .. import preprocessing
from .._check import checked_names
from .._repr import one_line
from .._warn import warn
from ..data.batches import DataSet, unprepared
from ..data.facts import DataFacts, check_same_names
from ..data.splits import validation_numbers
from ..data.summary import summarize
from ..losses._output_kinds import BINARY_LOGITS
from ..trainer import Trainer
from .class_names import check_names
from .inputs import checked_data, checked_validation, raw_data, ready
from .loaders import check_sizes

FITTED = 256  # samples at a time that a preprocessing is fitted to


def training_data(
    trainer: Trainer,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    validation_data: Any,
    validation_split: Any,
) -> tuple[DataSet, DataSet | None]:
    """Return what to train on and what to validate on, checked and preprocessed.

    A preprocessing that is not fitted yet is fitted to the training part alone. If an error is
    raised, the model is as before.
    """
    if validation_split is not None and validation_data is not None:
        raise ValueError("fit takes validation_data or validation_split, got both")
    facts = trainer.facts
    before = copy.copy(facts)
    data = raw_data(trainer, x, y, sample_weight, class_weight, unfitted=True)
    validation = None
    if validation_split is not None:
        known = facts.class_names or getattr(data, "class_names", None)
        kind = trainer.loss.output_kind
        by_class = not kind.no_classes
        train, rest, lacking = validation_numbers(
            data, validation_split, by_class, known, kind is BINARY_LOGITS
        )
        data, validation = data.subset(train), data.subset(rest)
        if lacking:
            warn(
                f"validation_split={validation_split} leaves {lacking} without validation "
                "samples: a larger share, or validation_data=, has them"
            )
    fitted_here = None
    try:
        take_over(facts, data)
        raw, preprocess = unprepared(data), facts.preprocess
        if preprocess is not None and not preprocess.fitted:
            fitted_here = preprocess
            preprocess.fit(lambda: (batch.x for batch in raw.parts(FITTED)))
        data = ready(trainer, data)
        check_sizes(trainer, data)
        check_names(trainer, facts.class_names)
        if validation is not None:
            validation = ready(trainer, validation)
        elif validation_data is not None:
            validation = checked_validation(trainer, validation_data)
        facts.summary = summarize(lambda part: raw.take(part).x, raw.samples)
    except BaseException:
        if fitted_here is not None:
            fitted_here.reset()
        vars(facts).update(vars(before))
        raise
    return data, validation


def take_over(facts: DataFacts, data: DataSet) -> None:
    """Let a model have the preprocessing and the class names of a loader, if it has none.

    Raises
    ------
    ValueError
        If it has others.
    """
    theirs = preprocessing.get(getattr(data, "preprocess", None))
    if facts.preprocess is None:
        facts.preprocess = theirs
    elif theirs is not None and one_line(theirs) != one_line(facts.preprocess):
        raise ValueError(
            f"the model has preprocess={one_line(facts.preprocess)}, the data set "
            f"{one_line(theirs)}: give it to one of them"
        )
    names = checked_names(getattr(data, "class_names", None))
    if facts.class_names is None:
        facts.class_names = names
    else:
        check_same_names(facts.class_names, data)


def data_of_copy(trainer: Trainer, x: Any, y: Any) -> DataSet:
    """Return what a copy of a model is to be trained on; preprocessings stay as they are.

    If that of the model, or of its data set, is not fitted, a copy of it is.
    """
    facts = trainer.facts
    original = facts.preprocess
    own = preprocessing.get(getattr(x, "preprocess", None)) if original is None else original
    if own is None or own.fitted:
        return checked_data(trainer, x, y)
    facts.preprocess = copy.deepcopy(own)
    try:
        data = raw_data(trainer, x, y, None, None, unfitted=True)
        facts.preprocess.fit(lambda: (batch.x for batch in unprepared(data).parts(FITTED)))
        return ready(trainer, data)
    finally:
        facts.preprocess = original
