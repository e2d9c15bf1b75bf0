"""Class labels: their check, for losses and metrics, and their names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def known_labels(
    labels: NDArray[Any], classes: int, who: str, ignore_index: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """Return labels as C-contiguous int64, ignored ones as 0, and a mask of the others.

    The mask is None if no label is ignored.

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If a label is neither a class nor ignored. The message names the first such label.
    """
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{who} takes integer labels, got an array of {labels.dtype}")
    if ignore_index is None:
        found = np.ascontiguousarray(labels, np.int64)
        if not labels.size or found.view(np.uint64).max() < classes:  # negative ones become huge
            return found, None
    keep = None if ignore_index is None else labels != ignore_index
    wrong = (labels < 0) | (labels >= classes)
    if keep is not None:
        wrong &= keep
    if wrong.any():
        at = tuple(map(int, np.unravel_index(wrong.argmax(), labels.shape)))
        index = at[0] if len(at) == 1 else at
        raise ValueError(
            f"{who} takes labels from 0 to {classes - 1}, got {labels[at]} at index {index}"
        ) from None  # a kernel may have refused them before, with less to say
    if keep is not None:
        labels = np.where(keep, labels, 0)
    return np.ascontiguousarray(labels, np.int64), keep


def labels_of(names: tuple[str, ...], classes: NDArray[Any], per_output: bool) -> Any:
    """Return classes by name: an array; for yes or no of several labels, a list of those of yes."""
    if per_output:
        return [[names[i] for i in np.flatnonzero(row)] for row in classes]
    return np.asarray(names)[classes]
