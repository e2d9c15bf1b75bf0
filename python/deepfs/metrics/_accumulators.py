"""Accumulators: what a metric keeps of batches, so that it is that of the whole set.

A mean over samples keeps a sum and the sum of the weights. Scores of counts keep the counts. The
area under the ROC curve, and functions that return one number, keep outputs and targets: nothing
smaller is exact. All are independent of how the set is divided into batches, but for the rounding
of sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .._arrays import ignore_overflow
from .._check import shown
from .._trees import Tree, leaves, map_tree
from ._base import Array
from .binary import binary_average, counts_of
from .confusion import matrix_of, score_of
from .ranking import areas_of
from .regression import numbers_of, r2_of, rows


class Accumulator(ABC):
    """The value of a metric over all batches that were added.

    Attributes
    ----------
    whole : bool
        The metric is no mean over samples: its value of one batch is a rough guide at best, and may
        take long to compute.
    """

    whole = True

    @abstractmethod
    def add(self, outputs: Tree, targets: Tree, sample_weight: Array | None = None) -> None:
        """Add a batch; without samples, nothing changes."""

    @abstractmethod
    def value(self) -> float:
        """Return the metric over all batches; of nothing 0, where it is not defined NaN."""

    def of_batch(self) -> float:
        """Return the value where there may be none of so few samples: then NaN."""
        try:
            return self.value()
        except ValueError:
            return float("nan")

    @abstractmethod
    def state(self) -> dict[str, Array]:
        """Return what was added, as arrays by name, for a checkpoint."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Array]) -> None:
        """Go on from what `state` returned."""


class Sums(Accumulator):
    """Base of accumulators that keep arrays whose sums over batches say everything."""

    def __init__(self) -> None:
        self.sums: dict[str, Array] = {}

    def _more(self, **arrays: Array) -> None:
        for name, more in arrays.items():
            self.sums[name] = self.sums[name] + more if name in self.sums else more

    def state(self) -> dict[str, Array]:
        return {name: np.array(sum_) for name, sum_ in self.sums.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.sums = {name: np.array(array) for name, array in state.items()}


def total_of(values: Array) -> float:
    """Return the sum, in float64."""
    if values.ndim == 1 and values.dtype == np.float64:  # as accuracy has it, in every step
        return float(np.add.reduce(values))
    return float(np.add.reduce(values, axis=None, dtype=np.float64))


class PerSample(Accumulator):
    """The weighted mean of a number per sample."""

    whole = False

    def __init__(self, metric: Callable[[Any, Any], Any], finish: Any = float) -> None:
        self.metric, self.finish = metric, finish
        self.total = self.weight = 0.0

    def add(self, outputs: Tree, targets: Tree, sample_weight: Array | None = None) -> None:
        self.add_values(self.metric(outputs, targets), sample_weight)

    def add_values(self, values: Array, sample_weight: Array | None = None) -> None:
        """Add a number per sample."""
        if sample_weight is None:
            self.total += total_of(values)
            self.weight += values.size
        else:
            self.total += float(np.where(sample_weight == 0, 0, values * sample_weight).sum())
            self.weight += float(np.sum(sample_weight))

    def value(self) -> float:
        return float(self.finish(self.total / self.weight)) if self.weight else 0.0

    def state(self) -> dict[str, Array]:
        return {"total": np.array(self.total), "weight": np.array(self.weight, np.float64)}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.total, self.weight = float(state["total"]), float(state["weight"])


class OfMatrix(Sums):
    """A score of a confusion matrix."""

    def __init__(self, score: str, average: str, zero_division: float) -> None:
        super().__init__()
        self.score, self.average, self.zero_division = score, average, zero_division

    def add(self, outputs: Tree, targets: Tree, sample_weight: Array | None = None) -> None:
        if len(outputs):
            matrix = matrix_of(targets, outputs, None, self.score, sample_weight)
            self._more(matrix=matrix.astype(np.float64))

    def value(self) -> float:
        if "matrix" not in self.sums:
            return 0.0
        return float(score_of(self.score, self.sums["matrix"], self.average, self.zero_division))


class OfCounts(Sums):
    """A score of labels that do not exclude each other."""

    def __init__(self, score: str, average: str, zero_division: float, threshold: float) -> None:
        super().__init__()
        self.score, self.average, self.zero_division = score, average, zero_division
        self.threshold = threshold

    def add(self, outputs: Tree, targets: Tree, sample_weight: Array | None = None) -> None:
        if len(outputs):
            who = f"binary_{self.score.removesuffix('_score')}"
            self._more(counts=counts_of(outputs, targets, self.threshold, who, sample_weight))

    def value(self) -> float:
        if "counts" not in self.sums:
            return 0.0
        counts = self.sums["counts"]
        return float(binary_average(self.score, counts, self.average, self.zero_division))


class R2(Sums):
    """R2: sums of squares about the outputs and, joined as Chan does, about the mean."""

    def add(self, outputs: Tree, targets: Tree, sample_weight: Array | None = None) -> None:
        t, y = numbers_of(outputs, targets, "r2_score")
        if not t.size:
            return
        t, y = rows(t), rows(y)
        given = np.ones(len(t)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        used = given > 0
        t, y, w = t[used], y[used], given[used, None]
        if not len(t):
            return
        with ignore_overflow():
            self._join(w.sum(), (w * t).sum(axis=0) / w.sum(), t, y, w)

    def _join(self, weight: Any, mean: Array, t: Array, y: Array, w: Array) -> None:
        """Join a batch of this weight and mean with those before it."""
        spread = (w * np.square(t - mean)).sum(axis=0)
        if self.sums:
            before = self.sums["weight"]
            weight = before + weight
            apart = mean - self.sums["mean"]
            spread = spread + np.square(apart) * (before * (weight - before) / weight)
            mean = self.sums["mean"] + apart * ((weight - before) / weight)
            spread = spread + self.sums["spread"]
        self._more(residual=(w * np.square(t - y)).sum(axis=0), samples=np.array(float(len(t))))
        self.sums |= {"weight": np.array(weight), "mean": mean, "spread": spread}

    def value(self) -> float:
        if not self.sums:
            return 0.0
        if self.sums["samples"] < 2:
            return float("nan")
        return float(r2_of(self.sums["residual"], self.sums["spread"]).mean())


class Kept(Accumulator):
    """Base of accumulators that keep outputs and targets, in the order in which they came."""

    def __init__(self) -> None:
        self.batches: list[tuple[Tree, Tree, Array | None]] = []

    def keep(self, outputs: Tree, targets: Tree, sample_weight: Array | None) -> None:
        """Keep copies of a batch."""
        weight = None if sample_weight is None else np.array(sample_weight)
        if self.batches and (weight is None) != (self.batches[0][2] is None):
            raise ValueError("sample weights must be given for all batches, or for none")
        self.batches.append((map_tree(np.array, outputs), map_tree(np.array, targets), weight))

    def joined(self) -> tuple[Tree, Tree, Array | None]:
        """Return all outputs, targets and weights; keep them as one batch from now on."""
        if len(self.batches) > 1:
            outputs, targets, weights = zip(*self.batches, strict=True)
            weight = None if weights[0] is None else np.concatenate(weights)
            self.batches = [(joined(outputs), joined(targets), weight)]
        return self.batches[0]

    def state(self) -> dict[str, Array]:
        if not self.batches:
            return {}
        outputs, targets, weight = self.joined()
        state = {f"outputs{at}": leaf for at, leaf in named_leaves(outputs)}
        state |= {f"targets{at}": leaf for at, leaf in named_leaves(targets)}
        return state if weight is None else state | {"weight": weight}

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.batches = []
        if state:
            self.batches = [(tree_of(state, "outputs"), tree_of(state, "targets"),
                             state.get("weight"))]  # fmt: skip


class RocAuc(Kept):
    """The area under the ROC curve; NaN if a class has no positives or no negatives."""

    def add(self, outputs: Tree, targets: Tree, sample_weight: Array | None = None) -> None:
        if len(outputs):
            areas_of(targets[:1], outputs[:1])  # refuses shapes and kinds now, not at the end
            self.keep(outputs, targets, sample_weight)

    def value(self) -> float:
        if not self.batches:
            return 0.0
        outputs, targets, weight = self.joined()
        return float(areas_of(targets, outputs, weight)[0].mean())


class OfFunction(Kept):
    """A function of one's own: a number per sample, or one number of the whole set.

    Which of them it is, the first batch shows; if the function refuses that by a ValueError, as an
    area under a curve does a batch of one class, the whole set.
    """

    def __init__(self, name: str, metric: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.name, self.metric = name, metric
        self.mean: PerSample | None = None
        self._value: float | None = None  # that of the batches so far

    @property
    def whole(self) -> bool:  # type: ignore[override]
        """Whether it returned one number."""
        return self.mean is None

    def add(self, outputs: Tree, targets: Tree, sample_weight: Array | None = None) -> None:
        n = len(next(leaves(outputs)))
        if not n:
            return
        if self.batches:
            self.keep(outputs, targets, sample_weight)
            self._value = None
            return
        try:
            returned = self.metric(outputs, targets)
        except ValueError:
            if self.mean is not None:
                raise
            self.keep(outputs, targets, sample_weight)
            return
        values = self._checked(returned, n)
        if values.ndim:
            self.mean = self.mean or PerSample(self.metric)
            self.mean.add_values(values, sample_weight)
        elif self.mean is not None:
            raise ValueError(f"metric {self.name} returned a number per sample, and now only one")
        else:
            self._refuse(sample_weight, n)
            self.keep(outputs, targets, None)
            self._value = float(values)

    def _checked(self, returned: Any, n: int) -> Array:
        values = np.asarray(returned)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"metric {self.name} must return real numbers, got {shown(values)}")
        if values.shape not in ((), (n,)):
            raise ValueError(
                f"metric {self.name} must return one number per sample, ({n},), or one number for "
                f"all of them, got {values.shape}"
            )
        return values

    def value(self) -> float:
        if self.mean is not None:
            return self.mean.value()
        if not self.batches:
            return 0.0
        if self._value is None:
            outputs, targets, weight = self.joined()
            n = len(next(leaves(outputs)))
            values = self._checked(self.metric(outputs, targets), n)
            if values.ndim:
                mean = PerSample(self.metric)
                mean.add_values(values, weight)
                return mean.value()
            self._refuse(weight, n)
            self._value = float(values)
        return self._value

    def _refuse(self, weight: Array | None, n: int) -> None:
        """Raise ValueError for weights that cannot enter one number."""
        if weight is not None:
            raise ValueError(
                f"metric {self.name} returns one number, which sample weights cannot enter: let it "
                f"return one per sample, ({n},), or measure without weights"
            )

    def state(self) -> dict[str, Array]:
        return super().state() if self.mean is None else self.mean.state()

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.mean, self._value = None, None
        if "total" in state:
            self.mean = PerSample(self.metric)
            self.mean.load_state(state)
            state = {}
        super().load_state(state)


class OfPart(Accumulator):
    """A metric of one of several outputs."""

    def __init__(self, key: Any, inner: Accumulator) -> None:
        self.key, self.inner = key, inner

    @property
    def whole(self) -> bool:  # type: ignore[override]
        """That of the metric."""
        return self.inner.whole

    def add(self, outputs: Tree, targets: Tree, sample_weight: Any = None) -> None:
        several = isinstance(sample_weight, (Mapping, tuple, list))
        weight = sample_weight[self.key] if several else sample_weight
        self.inner.add(outputs[self.key], targets[self.key], weight)

    def value(self) -> float:
        return self.inner.value()

    def state(self) -> dict[str, Array]:
        return self.inner.state()

    def load_state(self, state: Mapping[str, Array]) -> None:
        self.inner.load_state(state)


def joined(trees: tuple[Tree, ...]) -> Tree:
    """Return the arrays of several trees of the same form, each concatenated."""
    return map_tree(lambda *parts: np.concatenate(parts), *trees)


def named_leaves(tree: Tree) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of a tree, with names that `tree_of` understands."""
    if isinstance(tree, Mapping):
        yield from ((f"/{name}", leaf) for name, leaf in tree.items())
    elif isinstance(tree, tuple):
        yield from ((f"[{number}]", leaf) for number, leaf in enumerate(tree))
    else:
        yield "", tree


def tree_of(state: Mapping[str, Array], name: str) -> Tree:
    """Return a tree, given its arrays by the names of `named_leaves`."""
    if name in state:
        return state[name]
    parts = {at.removeprefix(name): leaf for at, leaf in state.items() if at.startswith(name)}
    if f"{name}[0]" in state:
        return tuple(parts[f"[{number}]"] for number in range(len(parts)))
    return {at[1:]: leaf for at, leaf in parts.items()}
