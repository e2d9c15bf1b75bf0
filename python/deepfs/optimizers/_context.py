"""What the rule of an optimizer works on in one step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np

from cnn_core import optimizer_rule, optimizers
from cnn_core.optimizer_rule import Rule

from .._arrays import Array
from ._plan import Plan


class StepContext:
    """One step of an optimizer: what `Optimizer._step` is given.

    A rule in plain NumPy goes through `parts`, or, if it is of whole arrays, through `arrays`; a
    compiled rule is run by `apply`.

    Attributes
    ----------
    w, g : array (n,)
        Parameters and gradients, flat.
    state : dict of array (n,)
        What `Optimizer.init` made.
    t : int
        Number of the step, from 1.
    lr : float
        Learning rate of this step; groups may scale it.

    Examples
    --------
    `Optimizer` shows a rule that uses it.
    """

    __slots__ = (
        "bound", "called", "cleared", "factors", "g", "lr", "passes", "plan", "shrunk", "state",
        "t", "w",
    )  # fmt: skip

    def __init__(
        self,
        w: Array,
        g: Array,
        state: dict[str, Array],
        t: int,
        lr: float,
        plan: Plan,
        bound: float = inf,
        cleared: Array | None = None,
    ) -> None:
        self.w, self.g, self.state = w, g, state
        self.t, self.lr, self.plan = t, lr, plan
        self.factors: Array | None = None  # of the gradient of each array: they clip
        self.bound = bound  # of each entry of the gradient: it clips
        self.cleared = cleared  # the gradients, if the pass is to set them to 0
        self.passes: list[Rule] = []  # compiled rules that have been run
        self.shrunk: list[int] = []  # see `Plan.shrink_units`
        self.called = 0  # calls of `apply`: `again` does not repeat passes

    def parts(self) -> Iterator[tuple[Array, Array, dict[str, Array], float]]:
        """Yield ``w, g, state, lr`` of each run of parameters with one group.

        Yields
        ------
        w : array
            View of the parameters, to be changed in place.
        g : array
            Copy of their gradient: clipped, and with what L1 and L2 regularisation add.
        state : dict of array
            Views of the state, to be changed in place.
        lr : float
            Learning rate of the group.

        Notes
        -----
        The rest of regularisation is done before and after each part.
        """
        for start, stop, group, array in self.plan.runs:
            scale, l2, l1, decay, shrink = self.plan.groups[group].tolist()
            lr, part = self.lr * scale, slice(start, stop)
            w = self.w[part]
            factor = 1.0 if self.factors is None else self.factors[array]
            g = np.clip(self.g[part] * w.dtype.type(factor), -self.bound, self.bound)
            g += l2 * w + l1 * np.sign(w)
            w *= 1 - lr * decay
            yield w, g, {name: values[part] for name, values in self.state.items()}, lr
            w -= np.clip(w, -lr * shrink, lr * shrink)
            if self.cleared is not None:
                self.cleared[part] = 0

    def arrays(self) -> Iterator[tuple[str, Array, Array, dict[str, Array], float]]:
        """Yield ``name, w, g, state, lr`` of each parameter in its own shape, as `parts` does.

        It is for optimizers with ``per_array = True``, whose rule is of whole arrays.

        Yields
        ------
        name : str
            Name of the parameter; ``*`` of flat arrays without a plan.
        w, g, state, lr
            As of `parts`, with logical axes: (in, out) of a dense layer, (co, ci/groups, kh, kw) of
            a convolution. Change ``w`` and ``state`` in place.

        Raises
        ------
        RuntimeError
            If the class has not set ``per_array``.
        """
        if not self.plan.per_array:
            raise RuntimeError("arrays() is for rules of whole arrays: set per_array = True")
        spans = {span.start: span for span in self.plan.settings if span.start < span.stop}
        for (w, g, state, lr), run in zip(self.parts(), self.plan.runs, strict=False):
            span = spans[run[0]]
            shaped = {name: span.shaped(values) for name, values in state.items()}
            yield span.name, span.shaped(w), span.shaped(g), shaped, lr

    def apply(
        self,
        rule: Rule,
        state: Sequence[str] = (),
        factors: Array | None = None,
        sums: Array | None = None,
        /,
        **constants: float,
    ) -> None:
        """Run a compiled rule over everything.

        Parameters
        ----------
        rule : Rule
            One of `cnn_core.optimizers`, such as ``optimizers.adam``.
        state : sequence of str
            Names of the state arrays, in the order of the rule.
        factors : array, optional
            A factor for each array, instead of those that clip.
        sums : array, optional
            ``plan.sums``, if the rule writes sums of each piece.
        **constants : float
            Constants of the rule, by its names and in its order.
        """
        self.called += 1
        if self.called <= len(self.passes):  # before a signal came
            return
        plan, arrays, count = self.plan, self.state, len(state)
        optimizer_rule.step(
            rule, self.w, self.g,
            arrays[state[0]] if count > 0 else None,
            arrays[state[1]] if count > 1 else None,
            arrays[state[2]] if count > 2 else None,
            self.cleared, plan.pieces, plan.groups,
            self.factors if factors is None else factors, sums, self.lr, self.bound,
            tuple(constants.values()), self.passes,
        )  # fmt: skip

    def gradient_norms(self) -> Array:
        """Return the norm of the gradient of each array of the plan, before clipping."""
        self.apply(optimizers.norm, (), None, self.plan.sums)
        self.passes.clear()  # it has changed nothing
        self.called = 0
        return self.plan.norms()[0]

    def finish(self) -> None:
        """Do what follows the rule for units, and clear gradients of frozen parameters."""
        self.plan.shrink_units(self.w, self.lr, self.shrunk)
        self.plan.limit_norms(self.w)
        if self.cleared is not None:
            for span in self.plan.frozen:
                self.cleared[span.start : span.stop] = 0
