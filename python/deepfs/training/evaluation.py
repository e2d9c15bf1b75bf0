"""Evaluation with a report: one pass over a data set, which keeps counts alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._arrays import Array
from ..augment import Views
from ..data.batches import DataSet, ended
from ..losses import OutputKind
from ..losses._output_kinds import BINARY_LOGITS, NUMBERS, SeveralOutputs
from ..means import Means, loss_ignores
from ..metrics import _named, without_ignored
from ..metrics._base import right_classes
from ..metrics.calibration import Calibration
from ..metrics.report import ClassificationReport, RegressionReport, Report
from ..trainer import Trainer
from .class_names import check_names, name_of

WHO = "evaluate(report=True)"


def check_report(trainer: Trainer) -> None:
    """Raise ValueError if the outputs mean nothing that a report could be of."""
    kind = trainer.loss.output_kind
    if isinstance(kind, SeveralOutputs):
        raise ValueError(
            f"{WHO} is of one output, got a loss of {list(kind.kinds)}: metrics of each output, or "
            "deepfs.metrics.classification_report on what predict returns"
        )
    if kind.no_classes and kind is not NUMBERS:
        raise ValueError(f"{WHO} needs to know what outputs mean: {name_of(trainer.loss)}: "
                         f"{kind.no_classes}")  # fmt: skip


def evaluation_report(
    trainer: Trainer, data: DataSet, batch_size: int, views: Views | None = None
) -> Report:
    """Return loss, metrics and scores of each class over a data set, in inference mode."""
    check_names(trainer, trainer.facts.class_names)
    means = Means(trainer.loss, trainer.metrics)
    loss, kind = trainer.loss, trainer.loss.output_kind
    counts: Errors | Exclusive | YesOrNo
    if kind is NUMBERS:
        counts = Errors()
    elif kind is BINARY_LOGITS:
        counts = YesOrNo(kind.in_network(trainer.network))
    else:
        counts = Exclusive(kind.in_network(trainer.network))
    with ended(data.parts(batch_size)) as parts:
        for batch in parts:
            network = trainer.network
            outputs = network(batch.x) if views is None else views(network, batch.x)
            means.add(loss.forward(outputs, batch.y, batch.weight)[1], outputs, batch.y)
            counts.add(*without_ignored(outputs, batch.y, loss_ignores(loss)))
    return counts.report(means.values(), trainer.facts.class_names)


class Exclusive:
    """Counts of classes that exclude each other."""

    def __init__(self, kind: OutputKind) -> None:
        self.kind = kind
        self.matrix: Any = 0
        self.ranks: Any = 0
        self.calibration = None if kind.no_probabilities else Calibration()

    def add(self, outputs: Array, targets: Array) -> None:
        """Add a batch."""
        classes = outputs.shape[1]
        right = right_classes(outputs, targets, WHO).reshape(-1)
        rows = np.moveaxis(outputs, 1, -1).reshape(-1, classes)
        found = rows.argmax(axis=1)
        pairs = (classes * right + found).astype(np.intp)
        pairs = np.bincount(pairs, minlength=classes * classes)
        self.matrix = self.matrix + pairs.reshape(classes, classes)
        score = rows[np.arange(len(rows)), right][:, None]
        before = (rows > score) | ((rows == score) & (np.arange(classes) < right[:, None]))
        self.ranks = self.ranks + np.bincount(before.sum(axis=1), minlength=classes)
        if self.calibration is not None:
            confidence = self.kind.probabilities(rows).max(axis=1)
            self.calibration.add(confidence, found == right)

    def report(self, logs: dict[str, float], names: Any) -> Report:
        """Return the report."""
        ranks = self.ranks if len(self.matrix) > 2 else None
        return ClassificationReport(self.matrix, names, logs, ranks, self.calibration)


class YesOrNo:
    """Counts of yes and no: of one output, or of labels that do not exclude each other."""

    def __init__(self, kind: OutputKind) -> None:
        self.kind, self.matrix = kind, np.zeros((1, 2, 2), np.int64)
        self.calibration = Calibration()

    def add(self, outputs: Array, targets: Array) -> None:
        """Add a batch."""
        p = columns(self.kind.probabilities(outputs))
        classes = np.asarray(self.kind.classes(outputs)).reshape(outputs.shape)
        said, so = columns(classes), columns(np.asarray(targets) > 0.5)
        codes = 2 * so.astype(np.intp) + said
        found = [np.bincount(column, minlength=4).reshape(2, 2) for column in codes.T]
        self.matrix = self.matrix + np.stack(found)
        self.calibration.add(np.maximum(p, 1 - p).reshape(-1), (said == so).reshape(-1))

    def report(self, logs: dict[str, float], names: Any) -> Report:
        """Return the report: of no and yes, or of each label."""
        matrix = self.matrix[0] if len(self.matrix) == 1 else self.matrix
        names = names or (("no", "yes") if matrix.ndim == 2 else None)
        return ClassificationReport(matrix, names, logs, None, self.calibration)


def columns(values: Array) -> Array:
    """Return values (n, labels, ...) with a row for each sample, or pixel."""
    if values.ndim < 2:
        return values.reshape(-1, 1)
    return np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])


class Errors:
    """Errors of outputs that are numbers."""

    def __init__(self) -> None:
        self.found = {name: _named.accumulator(_named.get(name)[1]) for name in NAMES}

    def add(self, outputs: Array, targets: Array) -> None:
        """Add a batch."""
        for accumulator in self.found.values():
            accumulator.add(outputs, targets)

    def report(self, logs: dict[str, float], names: Any) -> Report:
        """Return the report."""
        return RegressionReport(logs | {name: a.value() for name, a in self.found.items()})


NAMES = ("mae", "rmse", "r2")
