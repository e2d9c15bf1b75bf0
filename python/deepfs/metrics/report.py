"""Reports: precision, recall and F1 score of each class, in the form of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._check import array
from .._html import table_html
from .._repr import one_line
from ._base import Array
from .calibration import Calibration
from .confusion import averaged, matrix_of

HEAD = ("precision", "recall", "f1-score", "support")
SCORES = ("precision_score", "recall_score", "f1_score")


class Report(Mapping[str, Any]):
    """Base of reports: a mapping from names to numbers, or rows of them.

    Attributes
    ----------
    logs : dict of float
        Loss and metrics, as `Model.evaluate` returns them.
    """

    def __init__(self, logs: Mapping[str, float] | None = None) -> None:
        self.logs = dict(logs or {})

    def as_dict(self) -> dict[str, Any]:
        """Return everything as a dict, of numbers and dicts of numbers."""
        return dict(self.logs)

    def __getitem__(self, name: Any) -> Any:
        found = self.as_dict()
        if name not in found:
            raise KeyError(f"{name!r}: the report has {', '.join(map(str, found))}")
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())


class ClassificationReport(Report):
    """Scores of each class and over all classes, given counts.

    ``report["cat"]["recall"]``, ``report[3]``, ``report["macro avg"]``, ``report["accuracy"]``,
    ``report["loss"]``: names are those of scikit-learn's ``classification_report`` as a dict.

    Attributes
    ----------
    class_names : tuple of str
        Names of the rows; numbers as text where there are no names.
    confusion_matrix : array (classes, classes) of int
        Entry i, j: samples of class i that were predicted as j. Of labels that do not exclude each
        other ``(labels, 2, 2)``, one for each.
    calibration : Calibration or None
        Bins of confidences; None without probabilities.
    ranks : array (classes,) of int or None
        How often the right class was the most probable one, the second, ...
    """

    def __init__(
        self,
        matrix: Array,
        names: Sequence[str] | None = None,
        logs: Mapping[str, float] | None = None,
        ranks: Array | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(logs)
        self.confusion_matrix, self.ranks, self.calibration = matrix, ranks, calibration
        self.class_names = tuple(names or map(str, range(len(matrix))))
        self.exclusive = matrix.ndim == 2
        if self.exclusive:
            self._counts = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
        else:
            self._counts = matrix[:, 1, 1], matrix[:, :, 1].sum(axis=1), matrix[:, 1].sum(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of right predictions; of labels that do not exclude each other, of all labels."""
        if self.exclusive:
            right = np.trace(self.confusion_matrix)
        else:
            right = np.trace(self.confusion_matrix, axis1=1, axis2=2).sum()
        return float(right / max(self.confusion_matrix.sum(), 1))

    @property
    def calibration_error(self) -> float | None:
        """Expected calibration error, or None without probabilities."""
        return None if self.calibration is None else self.calibration.error

    def top_k_accuracy(self, k: int = 5) -> float:
        """Return how often the right class is among the k most probable ones."""
        if self.ranks is None:
            raise ValueError("top-k accuracy needs outputs for more than 2 classes")
        return float(self.ranks[:k].sum() / max(self.ranks.sum(), 1))

    def most_confused(self, limit: int = 10) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes: right class, predicted class, number of samples."""
        if not self.exclusive:
            raise ValueError("labels that do not exclude each other are not confused")
        wrong = self.confusion_matrix.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
        pairs = [(int(at) // len(wrong), int(at) % len(wrong)) for at in order]
        names = self.class_names
        return [(names[i], names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]

    def _rows(self) -> dict[str, list[Any]]:
        """Return the scores of each class."""
        columns = [averaged(score, *self._counts, None, 0.0) for score in SCORES]
        numbers = zip(*columns, self._counts[2], strict=True)
        return {
            name: [*map(float, row[:3]), int(row[3])]
            for name, row in zip(self.class_names, numbers, strict=True)
        }

    def _averages(self) -> dict[str, list[Any]]:
        """Return the means over classes."""
        kinds = ("macro", "weighted") if self.exclusive else ("micro", "macro", "weighted")
        support = int(self._counts[2].sum())
        return {
            f"{kind} avg": [*(averaged(s, *self._counts, kind, 0.0) for s in SCORES), support]
            for kind in kinds
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as a dict, of numbers and dicts of numbers."""
        rows = self._rows() | self._averages()
        found: dict[str, Any] = {n: dict(zip(HEAD, row, strict=True)) for n, row in rows.items()}
        found["accuracy"] = self.accuracy
        if self.ranks is not None and len(self.ranks) > 5:
            found["top_5_accuracy"] = self.top_k_accuracy(5)
        if self.calibration is not None:
            found["calibration_error"] = self.calibration.error
        return found | self.logs

    def __getitem__(self, name: Any) -> Any:
        if isinstance(name, (int, np.integer)) and not isinstance(name, bool):
            if not 0 <= name < len(self.class_names):
                raise KeyError(f"{name}: the report has {len(self.class_names)} classes")
            return dict(zip(HEAD, list(self._rows().values())[name], strict=True))
        return super().__getitem__(name)

    def _notes(self) -> str:
        """Return the numbers that have no row of their own."""
        rows = {*self._rows(), *self._averages(), "accuracy"}
        rest = {name: value for name, value in self.as_dict().items() if name not in rows}
        return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in rest.items())

    def _cells(self) -> list[tuple[str, ...]]:
        """Return the table as text; empty rows divide classes from means."""

        def cells(name: str, row: list[Any]) -> tuple[str, ...]:
            return (name, *(f"{value:.3f}" for value in row[:3]), str(row[3]))

        table = [cells(name, row) for name, row in self._rows().items()]
        table.append(("",) * 5)
        total = str(int(self.confusion_matrix.sum()))
        if self.exclusive:
            table.append(("accuracy", "", "", f"{self.accuracy:.3f}", total))
        return table + [cells(name, row) for name, row in self._averages().items()]

    def __repr__(self) -> str:
        table = [("", *HEAD), ("",) * 5, *self._cells()]
        width = max(len(row[0]) for row in table)
        lines = [
            (row[0].rjust(width) + "".join(cell.rjust(11) for cell in row[1:])).rstrip()
            for row in table
        ]
        notes = self._notes()
        return "\n".join([*lines, *(["", notes] if notes else [])])

    def _repr_html_(self) -> str:
        rows = [row for row in self._cells() if row[0]]
        notes = self._notes()
        return table_html(("class", *HEAD), rows, [notes] if notes else [])


class RegressionReport(Report):
    """Errors of a network whose outputs are numbers: ``mae``, ``rmse``, ``r2``, and the loss."""

    def __repr__(self) -> str:
        width = max(map(len, self.logs))
        return "\n".join(f"{name.rjust(width)}  {value:.6g}" for name, value in self.logs.items())


def classification_report(
    y_true: ArrayLike, y_pred: ArrayLike, class_names: Sequence[str] | None = None
) -> ClassificationReport:
    """Report of precision, recall and F1 score of each class, and their means.

    Parameters
    ----------
    y_true, y_pred : array
        Right classes, and outputs or predicted classes: see `confusion_matrix`.
    class_names : sequence of str, optional
        A name for each class; by default its number.

    Returns
    -------
    ClassificationReport
        Print it for the table of scikit-learn; ``report["cat"]["recall"]`` is a number,
        ``report.confusion_matrix`` the counts. A class that is never predicted has precision 0. The
        macro mean is over the classes that occur among targets or predictions.

    Raises
    ------
    ValueError, TypeError
        As `confusion_matrix`, and if there is not a name for each class.

    References
    ----------
    ``sklearn.metrics.classification_report``; ``class_names`` is its ``target_names``.

    Examples
    --------
    >>> report = classification_report([0, 1, 2, 2], [0, 1, 1, 2], ["cat", "dog", "emu"])
    >>> report
                  precision     recall   f1-score    support
    <BLANKLINE>
             cat      1.000      1.000      1.000          1
             dog      0.500      1.000      0.667          1
             emu      1.000      0.500      0.667          2
    <BLANKLINE>
        accuracy                            0.750          4
       macro avg      0.833      0.833      0.778          4
    weighted avg      0.875      0.750      0.750          4
    >>> report["emu"]["recall"]
    0.5
    """
    names = None if class_names is None else [*class_names]
    who = "classification_report"
    y_true, y_pred = array(y_true, who), array(y_pred, who)
    labels = y_pred.shape == y_true.shape and y_pred.dtype.kind in "iu"
    classes = len(names) if names is not None and labels else None
    matrix = matrix_of(y_true, y_pred, classes, who).astype(np.int64)
    if names is not None and len(names) != len(matrix):
        raise ValueError(
            f"{who} of {len(matrix)} classes needs as many names, got "
            f"{len(names)}: {one_line(names)}"
        )
    return ClassificationReport(matrix, names)
