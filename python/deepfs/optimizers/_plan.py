"""What a step runs over: groups of parameters with settings of their own, as pieces of an arena."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf, prod, sqrt
from typing import Any, NamedTuple

import numpy as np

from cnn_core import optimizers

from .._arrays import Array, Shape
from .._check import flag, number
from .._settings import Settings as CheckedSettings
from ..regularizers import Regularizer, Terms, terms_of

PAGE = 4096  # bytes
PIECE = 8192  # entries of a unit of work, at most
NO_DECAY = ("bias", "gamma", "beta", "slope")  # last parts of names that are not weights


def zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Return a flat array of zeros; a large one begins a page of memory.

    Then no vector straddles two cache lines, which took a step of SGD a quarter longer; and no
    array begins some bytes after another, whose stores the processor would take for its loads.
    The memory is NumPy's, which asks for huge pages.
    """
    nbytes = size * dtype.itemsize
    if nbytes < 2**14:
        return np.zeros(size, dtype)
    memory = np.zeros(nbytes + PAGE, np.uint8)
    skip = -memory.__array_interface__["data"][0] % PAGE
    return memory[skip : skip + nbytes].view(dtype)


def zeros_like(w: Array) -> Array:
    """Return state for flat parameters: `zeros` of their size and dtype."""
    return zeros(w.size, w.dtype)


@dataclass(eq=True)
class Group(CheckedSettings):
    """Settings of some parameters, by their names.

    Parameters
    ----------
    names : str or sequence of str
        Patterns as of a shell: ``"conv2d_1.weight"``, ``"head.*"``, ``"*.weight"``. A parameter of
        a layer used twice goes by its first name.
    lr_scale : float, optional
        What the learning rate is multiplied by, at least 0.
    frozen : bool, optional
        Leave them and their state out of every step. A batch norm whose parameters are all frozen
        uses and keeps its running statistics in training, as after `deepfs.layers.Layer.freeze`;
        one without parameters goes by the names of its buffers, such as ``"*.running_mean"``.
    regularizer : Regularizer or sequence of them, optional
        Instead of the optimizer's ``weight_decay``; ``()`` is none.
    biases : bool
        Regularise what is not a weight too: arrays of one axis, and all that is called ``bias``,
        ``gamma``, ``beta`` or ``slope``.

    Notes
    -----
    Where several groups name a parameter, each setting is that of the last group that gives it.

    Examples
    --------
    >>> from deepfs.regularizers import L1
    >>> groups = [Group("conv2d_*", frozen=True), Group("*.weight", regularizer=L1(1e-5))]
    """

    names: str | Sequence[str]
    lr_scale: float | None = None
    frozen: bool | None = None
    regularizer: Regularizer | Sequence[Regularizer] | None = None
    biases: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.names, str):
            self.names = self.patterns
        if self.lr_scale is not None:
            self.lr_scale = number(self.lr_scale, "lr_scale", "[0, inf)")
        if self.frozen is not None:
            flag(self.frozen, "frozen")
        if isinstance(self.regularizer, list):
            self.regularizer = tuple(self.regularizer)
        for each in self.regularizers or ():
            if not isinstance(each, Regularizer):
                raise TypeError(f"Group takes deepfs regularizers, got {each!r}")
        flag(self.biases, "biases")

    @property
    def patterns(self) -> tuple[str, ...]:
        names = (self.names,) if isinstance(self.names, str) else self.names
        if not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
            raise TypeError(f"Group takes names of parameters, got {self.names!r}")
        return tuple(names)

    @property
    def regularizers(self) -> tuple[Regularizer, ...] | None:
        if isinstance(self.regularizer, Sequence):
            return tuple(self.regularizer)
        return None if self.regularizer is None else (self.regularizer,)

    def matches(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


class Settings(NamedTuple):
    """What the groups come to for one parameter."""

    lr_scale: float
    frozen: bool
    terms: Terms

    def row(self) -> tuple[float, ...]:
        """Return the numbers of a group of the kernel."""
        t = self.terms
        return (self.lr_scale, t.l2, t.l1, t.decay, t.shrink)


def settings_of(name: str, ndim: int, default: Terms, groups: Sequence[Group]) -> Settings:
    """Return the settings of a parameter of this name and number of axes."""
    weight = ndim > 1 and name.rsplit(".", 1)[-1] not in NO_DECAY
    lr_scale, frozen, terms = 1.0, False, default if weight else Terms()
    for group in groups:
        if group.matches(name):
            lr_scale = lr_scale if group.lr_scale is None else group.lr_scale
            frozen = frozen if group.frozen is None else group.frozen
            if group.regularizers is not None and (weight or group.biases):
                terms = terms_of(group.regularizers)
    return Settings(lr_scale, frozen, terms if ndim > 1 else terms._replace(limit=inf))


def check_names(names: Iterable[str], groups: Sequence[Group]) -> None:
    """Refuse a pattern that names nothing: it is a slip of the pen."""
    names = list(names)
    for group in groups:
        for pattern in group.patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                some = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
                raise ValueError(f"no parameter matches {pattern!r} of a Group; there are {some}")


class Span(NamedTuple):
    """Where a parameter lies, and how it is seen: axes as of `layers.Parameter`."""

    name: str
    start: int
    shape: Shape  # in memory
    axes: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.start + prod(self.shape)

    def seen(self, flat: Array) -> Array:
        return flat[self.start : self.stop].reshape(self.shape).transpose(np.argsort(self.axes))


class Plan:
    """The pieces of flat arrays that a step runs over, and the settings of each.

    Parameters
    ----------
    spans : sequence of Span
        The parameters, in the order of the arrays.
    default : Terms
        Of weights in no group.
    groups : sequence of Group
        Settings of their own.
    apart : bool
        Keep the sums of each array apart, as per-array norms need it; otherwise neighbours with
        the same settings go in one piece.
    made_for : object, optional
        What tells whether a plan is out of date.
    """

    def __init__(
        self,
        spans: Sequence[Span],
        default: Terms,
        groups: Sequence[Group],
        apart: bool,
        made_for: Any = None,
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        self.made_for = made_for
        self.settings = {
            span: settings_of(span.name, len(span.shape), default, groups) for span in spans
        }
        for span in spans:
            if span.name in frozen:
                self.settings[span] = self.settings[span]._replace(frozen=True)
        self.limited = [(span, s.terms.limit) for span, s in self.settings.items()
                        if s.terms.limit < inf and not s.frozen]  # fmt: skip
        self.frozen = [span for span, s in self.settings.items() if s.frozen]
        rows: dict[tuple[float, ...], int] = {}
        runs: list[list[int]] = []  # start, stop, group, array
        for span, s in self.settings.items():
            if s.frozen or span.start == span.stop:
                continue
            group = rows.setdefault(s.row(), len(rows))
            if runs and not apart and runs[-1][1] == span.start and runs[-1][2] == group:
                runs[-1][1] = span.stop
            else:
                runs.append([span.start, span.stop, group, len(runs) if apart else 0])
        self.pieces = np.array(
            [
                (start, min(start + PIECE, stop), group, array)
                for first, stop, group, array in runs
                for start in range(first, stop, PIECE)
            ],
            np.intp,
        ).reshape(-1, 4)
        self.groups = np.array(list(rows) or [Settings(1.0, False, Terms()).row()])
        self.arrays = len(runs) if apart else min(len(runs), 1)
        self.ones = np.ones(max(self.arrays, 1))
        self.sums = np.zeros((len(self.pieces), 2))

    def norms(self) -> tuple[Array, Array]:
        """Return the roots of both columns of sums, added up by array in the order of memory."""
        array = self.pieces[:, 3]
        total = [np.bincount(array, column, self.arrays) for column in self.sums.T]
        return np.sqrt(total[0]), np.sqrt(total[1])

    def penalty(self, w: Array) -> float:
        """Return what regularisation adds to the objective at these weights."""
        total = 0.0
        for span, (_, frozen, terms) in self.settings.items():
            if not frozen and terms.penalty(1, 1):
                part = w[span.start : span.stop].astype(np.float64)
                total += terms.penalty(float(np.abs(part).sum()), float(np.square(part).sum()))
        return total

    def limit_norms(self, w: Array) -> None:
        """Scale units down to their largest norm: of columns of a matrix, of filters otherwise."""
        for span, limit in self.limited:
            seen = span.seen(w)
            axes = (0,) if seen.ndim == 2 else tuple(range(1, seen.ndim))
            norm = np.sqrt(np.square(seen, dtype=np.float64).sum(axis=axes, keepdims=True))
            long = norm > limit
            if long.any():
                seen *= np.divide(limit, norm, where=long, out=np.ones_like(norm)).astype(w.dtype)


@dataclass(eq=False, slots=True)
class Pass:
    """One step on its way: what the rule of an optimizer works on.

    Attributes
    ----------
    w, g : array (n,)
        Parameters and gradients, flat.
    state : dict of array (n,)
        What `Optimizer.init` made.
    t : int
        Number of the step, from 1.
    lr : float
        Learning rate of this step.
    """

    w: Array
    g: Array
    state: dict[str, Array]
    t: int
    lr: float
    plan: Plan
    factors: Array  # of the gradient of each array: they clip
    bound: float  # of each entry of the gradient: it clips
    cleared: Array | None = None  # the gradients, to be cleared in the pass

    def norms(self) -> Array:
        """Return the norm of the gradient of each array of the plan."""
        self.call(optimizers.norm, (), (), self.plan.ones, None)
        return self.plan.norms()[0]

    def run(self, kind: int, names: Sequence[str] = (), *numbers: float) -> None:
        """Run a kernel, ``optim.adam`` say, over everything."""
        self.call(kind, names, numbers, self.factors, self.cleared)

    def call(
        self,
        kind: int,
        names: Sequence[str],
        numbers: Sequence[float],
        factors: Array,
        cleared: Array | None,
    ) -> None:
        state = self.state
        a, b, c = (*map(state.__getitem__, names), None, None, None)[:3]
        plan = self.plan
        optimizers.step(
            kind, self.w, self.g, a, b, c, cleared, plan.pieces, plan.groups, factors, plan.sums,
            self.lr, self.bound, *numbers,
        )  # fmt: skip

    def parts(self) -> Iterator[tuple[Array, Array, dict[str, Array], float]]:
        """Yield ``w, g, state, lr`` of each group: for a rule in plain NumPy.

        They are views, but for ``g``, which is a copy: clipped, and with what L1 and L2 add. What
        regularisation does besides is done before and after.
        """
        pieces, plan = self.pieces_joined(), self.plan
        for start, stop, group, array in pieces:
            scale, l2, l1, decay, shrink = plan.groups[group].tolist()
            lr, part = self.lr * scale, slice(start, stop)
            w = self.w[part]
            g = np.clip(self.g[part] * w.dtype.type(self.factors[array]), -self.bound, self.bound)
            g += l2 * w + l1 * np.sign(w)
            w *= 1 - lr * decay
            yield w, g, {name: values[part] for name, values in self.state.items()}, lr
            w -= np.clip(w, -lr * shrink, lr * shrink)
            if self.cleared is not None:
                self.cleared[part] = 0

    def pieces_joined(self) -> list[list[int]]:
        """Return the pieces, those of one run as one."""
        runs: list[list[int]] = []
        for start, stop, group, array in self.plan.pieces.tolist():
            if runs and runs[-1][1:] == [start, group, array]:
                runs[-1][1] = stop
            else:
                runs.append([start, stop, group, array])
        return runs


def global_norm(norms: Array) -> float:
    return sqrt(float(np.square(norms).sum()))
