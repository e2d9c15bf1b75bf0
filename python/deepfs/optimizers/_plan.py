"""The plan of a step: pieces of flat arrays, and the settings of each."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod, sqrt
from typing import Any

import numpy as np

from .._arrays import Array
from ..regularizers import GroupLasso, Terms, unit_norms, units_of
from ._arena import Span
from ._groups import Group, ParameterSettings, settings_of

MAX_PIECE = 8192  # entries per unit of work


class Plan:
    """The pieces of flat arrays that a step runs over, and the settings of each.

    Parameters
    ----------
    spans : sequence of Span
        The parameters, in the order of the arrays.
    default : Terms
        Regularisation of weights in no group.
    groups : sequence of Group
        Parameters with settings of their own.
    per_array : bool
        Keep the sums of each array apart, as norms of each array need it; otherwise neighbours
        with the same settings form one run.
    made_for : object, optional
        ParameterSettings of the optimizer that this plan is for: tells whether it is out of date.
    frozen : set of str
        Names of parameters that no step changes, besides those that groups freeze.

    Attributes
    ----------
    runs : list of (start, stop, group, array)
        Stretches of entries with one group and, ``per_array``, of one array.
    pieces : array (pieces, 4)
        The runs, cut into units of work.
    groups : array (groups, 5)
        ParameterSettings as the kernel takes them.
    """

    def __init__(
        self,
        spans: Sequence[Span],
        default: Terms,
        groups: Sequence[Group],
        per_array: bool,
        made_for: Any = None,
        frozen: frozenset[str] = frozenset(),
    ) -> None:
        self.made_for, self.per_array = made_for, per_array
        self.settings = {
            span: settings_of(span.name, len(span.shape), default, groups) for span in spans
        }
        for span in spans:
            if span.name in frozen:
                self.settings[span] = self.settings[span]._replace(frozen=True)
        self.limited = [(span, s.terms.limit) for span, s in self.settings.items()
                        if s.terms.limit < inf and not s.frozen]  # fmt: skip
        self.lassos = [(span, s.lr_scale * s.terms.units) for span, s in self.settings.items()
                       if s.terms.units and not s.frozen]  # fmt: skip
        self.frozen = [span for span, s in self.settings.items() if s.frozen]
        self.penalties = [(span, each) for span, s in self.settings.items() if not s.frozen
                          for each in s.penalties]  # fmt: skip
        rows: dict[tuple[float, ...], int] = {}
        runs: list[list[int]] = []
        for span, s in self.settings.items():
            if s.frozen or span.start == span.stop:
                continue
            group = rows.setdefault(s.row(), len(rows))
            if runs and not per_array and runs[-1][1] == span.start and runs[-1][2] == group:
                runs[-1][1] = span.stop
            else:
                runs.append([span.start, span.stop, group, len(runs) if per_array else 0])
        self.runs = runs
        self.pieces = np.array(
            [
                (start, min(start + MAX_PIECE, stop), group, array)
                for first, stop, group, array in runs
                for start in range(first, stop, MAX_PIECE)
            ],
            np.intp,
        ).reshape(-1, 4)
        self.groups = np.array(list(rows) or [ParameterSettings(1.0, False, Terms()).row()])
        self.arrays = len(runs) if per_array else min(len(runs), 1)
        self.sums = np.zeros((len(self.pieces), 2))  # the kernel writes them

    def norms(self) -> tuple[Array, Array]:
        """Return the roots of both columns of sums, added up by array in the order of memory."""
        array = self.pieces[:, 3]
        total = [np.bincount(array, column, self.arrays) for column in self.sums.T]
        return np.sqrt(total[0]), np.sqrt(total[1])

    def penalty(self, w: Array) -> float:
        """Return what regularisation adds to the objective at these weights."""
        total = 0.0
        for span, (_, frozen, terms, _) in self.settings.items():
            if not frozen and terms.penalty(1, 1):
                part = w[span.start : span.stop].astype(np.float64)
                total += terms.penalty(float(np.abs(part).sum()), float(np.square(part).sum()))
            if not frozen and terms.units:
                total += GroupLasso(terms.units).of(span.view(w), span.name)[0]
        return total + sum(each.of(span.view(w), span.name)[0] for span, each in self.penalties)

    def with_penalties(self, w: Array, g: Array) -> Array:
        """Return the gradients with those of penalty functions added: a copy, if there are any."""
        if not self.penalties:
            return g
        g = g.copy()
        for span, each in self.penalties:
            gradient = each.of(span.view(w), span.name)[1]
            if not np.isfinite(gradient).all():
                raise FloatingPointError(
                    f"the regularizer of {span.name!r} returned a gradient that is not finite; "
                    "the weights are those of the step before"
                )
            part = span.view(g)
            part += gradient.astype(g.dtype, copy=False)
        return g

    def shrink_units(self, w: Array, lr: float, done: list[int]) -> None:
        """Take the proximal step of the group lasso; ``done`` numbers the parameters behind it.

        A step that a signal has broken off goes on after those.
        """
        for number in range(len(done), len(self.lassos)):
            span, rate = self.lassos[number]
            view = span.view(w)
            norm = unit_norms(view)
            width = lr * rate * sqrt(prod(view.shape[axis] for axis in units_of(view.ndim)))
            share = np.divide(width, norm, where=~(norm <= width), out=np.ones_like(norm))
            view *= (1 - share).astype(w.dtype)
            done.append(number)

    def limit_norms(self, w: Array) -> None:
        """Scale units down to their largest norm: of columns of a matrix, of filters otherwise."""
        for span, limit in self.limited:
            view = span.view(w)
            norm = unit_norms(view)
            long = norm > limit
            if long.any():
                view *= np.divide(limit, norm, where=long, out=np.ones_like(norm)).astype(w.dtype)
