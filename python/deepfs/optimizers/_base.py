"""What an optimizer is. READ FIRST to write one."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, sqrt
from typing import Any, ClassVar

import numpy as np

from .._arrays import Array
from .._check import number, whole
from .._fields import setting_names
from .._settings import Settings
from ..layers._parameter import structure
from ..regularizers import Terms
from ..schedules import Schedule
from ._arena import Span
from ._context import StepContext
from ._groups import Group, check_names, checked_groups
from ._plan import Plan


@dataclass(eq=False)
class Optimizer(Settings):
    r"""Base class of optimizers: rules that turn gradients into better weights.

    An optimizer is a dataclass whose fields are its settings. The base class does clipping,
    regularisation, learning rates that follow a schedule or differ between layers, frozen layers.

    **Extension points.** An optimizer defines two hooks:

    ``init(w)``
        Return the state before the first step, arrays by name, for ``w``, a flat array of
        parameters; `zeros_like` makes them. Never write to ``w``.
    ``_step(context)``
        Change ``context.w`` and ``context.state`` in place by ``context.g``; return nothing. Never
        write to ``context.g``. Go through ``context.parts()``, which leaves frozen parameters out;
        see `StepContext`.

    Then run `deepfs.testing.check_optimizer`.

    Parameters
    ----------
    lr : float or Schedule
        Learning rate, above 0; or a schedule of it, see `deepfs.schedules`.
    weight_decay : float
        Rate of decay of all weights, at least 0. Biases and the parameters of norms do not decay
        (in PyTorch they do). It is `deepfs.regularizers.L2`, and in AdamW, Lion and LAMB
        `deepfs.regularizers.WeightDecay`.
    clip_norm : float, optional
        Largest norm of all gradients together, above 0. Gradients are multiplied by
        min(1, clip_norm / (norm + 1e-6)), as in PyTorch.
    clip_each : float, optional
        Largest norm of the gradient of each array, above 0.
    clip_value : float, optional
        Largest absolute value of an entry of a gradient, above 0.
    groups : sequence of Group
        Parameters with settings of their own: frozen, or with another learning rate or
        regularisation.

    Notes
    -----
    A `deepfs.Model` keeps the state itself, in arrays that lie like the parameters, and calls
    `step`. `update` is for plain arrays; there the optimizer keeps the state, by name.

    Examples
    --------
    >>> from deepfs.optimizers import Optimizer, zeros_like
    >>> class SignMomentum(Optimizer):
    ...     def init(self, w):
    ...         return {"m": zeros_like(w)}
    ...
    ...     def _step(self, context):
    ...         for w, g, state, lr in context.parts():
    ...             state["m"] += 0.1 * (g - state["m"])
    ...             w -= lr * np.sign(state["m"])
    >>> params = {"W": np.array([1.0, -1.0])}
    >>> SignMomentum(0.25).update(params, {"W": np.array([3.0, -0.1])})
    >>> params["W"]
    array([ 0.75, -0.75])
    """

    lr: float | Schedule
    weight_decay: float = field(default=0.0, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)
    clip_each: float | None = field(default=None, kw_only=True)
    clip_value: float | None = field(default=None, kw_only=True)
    groups: Sequence[Group] = field(default=(), kw_only=True)

    state_version: ClassVar[int] = 0  # another number: the state starts anew, see `_set`
    decoupled: ClassVar[bool] = False  # weight_decay changes the weights, not the gradient
    per_array: ClassVar[bool] = False  # the rule needs sums over each array

    def __post_init__(self) -> None:
        if not isinstance(self.lr, Schedule):
            self.lr = number(self.lr, "lr", "(0, inf)")
        self.weight_decay = number(self.weight_decay, "weight_decay", "[0, inf)")
        clips = ("clip_norm", "clip_each", "clip_value")
        given = [name for name in clips if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{type(self).__name__} clips in one way, got {' and '.join(given)}")
        for name in given:
            setattr(self, name, number(getattr(self, name), name, "(0, inf)"))
        self.groups = checked_groups(self.groups)

    def _set(self, name: str, value: Any) -> None:
        """Change a setting; let the state start anew if it no longer belongs to the rule.

        Numbers change in mid-training. A name or a flag chooses another rule, as ``form`` does, and
        RMSProp's ``momentum`` decides whether there is an array for it.
        """
        if name in setting_names(Optimizer):  # they have no state
            return super()._set(name, value)
        w = np.zeros(1, np.float32)
        before, arrays = getattr(self, name), self.init(w).keys()
        super()._set(name, value)
        now = getattr(self, name)
        if (isinstance(now, (str, bool)) and now != before) or self.init(w).keys() != arrays:
            for kept in ("array_states", "updates"):  # by `update`
                vars(self).pop(kept, None)
            vars(self)["state_version"] = self.state_version + 1
            structure.change()
        return None

    @abstractmethod
    def init(self, w: Array) -> dict[str, Array]:
        """Return the state before the first step, by name, for a flat array of parameters."""

    @abstractmethod
    def _step(self, context: StepContext) -> None:
        """Change ``context.w`` and ``context.state`` in place by ``context.g``."""

    def rate(self, t: int, epoch: int = 0) -> float:
        """Return the learning rate of step ``t``, counted from 1, after ``epoch`` whole epochs."""
        if type(self.lr) is float:
            return self.lr
        return self.lr.at(t - 1, epoch) if isinstance(self.lr, Schedule) else self.lr

    def observe(self, logs: Mapping[str, float]) -> None:
        """Tell the schedule the results of an epoch: `deepfs.schedules.Plateau` needs them."""
        if isinstance(self.lr, Schedule):
            self.lr.observe(logs)

    def plan(
        self,
        spans: Sequence[Span],
        known: Plan | None = None,
        frozen: frozenset[str] = frozenset(),
        buffers: Sequence[str] = (),
    ) -> Plan:
        """Return the plan of a step: the known one, unless the settings have changed.

        ``frozen`` are the names of the parameters of frozen layers; ``buffers`` are those of
        buffers, which a `Group` that freezes may name, too.
        """
        plan = self._plan(spans, known, frozen)
        if plan is not known:
            check_names([*(span.name for span in spans), *buffers], self.groups)
        return plan

    def _plan(
        self,
        spans: Sequence[Span],
        known: Plan | None,
        frozen: frozenset[str] = frozenset(),
    ) -> Plan:
        per_array = self.per_array or self.clip_each is not None
        made_for = (self.weight_decay, self.decoupled, per_array, frozen, tuple(self.groups))
        if known is not None and known.made_for == made_for:
            return known
        if self.groups:  # they may change in place
            made_for = (*made_for[:-1], copy.deepcopy(tuple(self.groups)))
        terms = Terms(decay=self.weight_decay) if self.decoupled else Terms(l2=self.weight_decay)
        return Plan(spans, terms, self.groups, per_array, made_for, frozen)

    def step(
        self,
        w: Array,
        g: Array,
        state: dict[str, Array],
        t: int,
        plan: Plan | None = None,
        epoch: int = 0,
        clear: bool = False,
    ) -> float | None:
        """Change flat parameters and their state in place by a gradient.

        Parameters
        ----------
        w, g : array (n,)
            Parameters and gradients.
        state : dict of array (n,)
            What `init` made.
        t : int
            Number of the step, from 1.
        plan : Plan, optional
            Where each parameter lies, made by `plan`. Without it all entries are one weight, called
            ``*``.
        epoch : int
            Whole epochs before this step, for schedules by epoch.
        clear : bool
            Set the gradients to 0 in the same pass.

        Returns
        -------
        float or None
            The norm of all gradients before clipping, if the optimizer clips by norm.

        Raises
        ------
        FloatingPointError
            If that norm is not finite: nothing is changed.
        """
        if plan is None:
            t = whole(t, "t")
            check_flat(type(self).__name__, w, {"g": g, **state})
            plan = self._plan([Span("*", 0, (1, w.size), (0, 1))], None)
        bound = inf if self.clip_value is None else self.clip_value
        cleared = g if clear else None
        context = StepContext(w, g, state, t, self.rate(t, epoch), plan, bound, cleared)
        clips = self.clip_norm is not None or self.clip_each is not None
        norm = self._clip([context], t) if clips else None
        self._step(context)
        context.finish()
        return norm

    def _clip(self, contexts: Sequence[StepContext], t: int) -> float | None:
        """Set the factors that clip gradients by norm; return the norm of all together."""
        if self.clip_norm is None and self.clip_each is None:
            return None
        norms = [context.gradient_norms() for context in contexts]
        norm = sqrt(float(np.square(np.concatenate([*norms, np.zeros(0)])).sum()))
        if not isfinite(norm):
            raise FloatingPointError(
                f"the norm of the gradients at step {t} is {norm}: they cannot be clipped; "
                "the weights are those of the step before"
            )
        for context, own in zip(contexts, norms, strict=True):
            if self.clip_norm is not None:
                context.factors = np.full_like(own, min(1.0, self.clip_norm / (norm + 1e-6)))
            elif self.clip_each is not None:
                context.factors = np.minimum(1.0, self.clip_each / (own + 1e-6))
        return norm

    def update(
        self, params: Mapping[str, Array], grads: Mapping[str, Array], epoch: int = 0
    ) -> float | None:
        """Take a step on plain arrays in place, as in the textbook: ``update(params, grads)``.

        Parameters
        ----------
        params, grads : dict of array
            Weights and their gradients, of the same names, shapes and dtypes, float32 or float64;
            in any layout.
        epoch : int
            Whole epochs before this step, for schedules by epoch.

        Returns
        -------
        float or None
            The norm of all gradients before clipping, if the optimizer clips by norm.

        Raises
        ------
        TypeError, ValueError
            If names, shapes or dtypes differ, from one another or from those of the state.
        FloatingPointError
            If a gradient is not finite. Nothing is changed when anything is raised.

        Examples
        --------
        >>> from deepfs.optimizers import Momentum
        >>> params, optimizer = {"W": np.ones((2, 2)), "b": np.ones(2)}, Momentum(0.1)
        >>> for _ in range(2):
        ...     optimizer.update(params, {"W": np.ones((2, 2)), "b": np.zeros(2)})
        >>> params["W"].round(3)
        array([[0.71, 0.71],
               [0.71, 0.71]])
        """
        states: dict[str, ArrayState] = dict(vars(self).get("array_states", {}))
        updates = vars(self).get("updates", 0) + 1
        check_arrays(type(self).__name__, params, grads, states)
        check_names(params, self.groups)
        lr, bound = self.rate(updates, epoch), inf if self.clip_value is None else self.clip_value
        contexts = []
        for name, w in params.items():
            if name not in states:
                states[name] = ArrayState(w.shape, self.init(np.zeros(w.size, w.dtype)))
            own = states[name]
            own.plan = self._plan([Span(name, 0, w.shape, tuple(range(w.ndim)))], own.plan)
            flat, g = (np.ascontiguousarray(array).reshape(-1) for array in (w, grads[name]))
            contexts.append(StepContext(flat, g, own.state, own.t + 1, lr, own.plan, bound))
        norm = self._clip(contexts, updates)
        for (name, w), context in zip(params.items(), contexts, strict=True):
            self._step(context)
            context.finish()
            if not np.may_share_memory(context.w, w):
                w[...] = context.w.reshape(w.shape)
            states[name].t += 1
        vars(self).update(array_states=states, updates=updates)
        return norm


@dataclass
class ArrayState:
    """What `Optimizer.update` keeps of an array between steps."""

    shape: tuple[int, ...]
    state: dict[str, Array]
    t: int = 0
    plan: Plan | None = None


def check_flat(who: str, w: Array, others: Mapping[str, Array]) -> None:
    """Refuse what `Optimizer.step` cannot take, before anything is changed."""
    for name, array in {"w": w, **others}.items():
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{who} takes arrays, got {name} as {type(array).__name__}")
        if array.dtype not in (np.float32, np.float64):
            raise TypeError(f"{who} takes float32 or float64, got {name} of {array.dtype}")
        if array.ndim != 1 or not array.flags.c_contiguous:
            raise ValueError(f"{who} takes flat arrays without gaps, got {name} {array.shape}")
        if array.shape != w.shape or array.dtype != w.dtype:
            raise ValueError(
                f"{who} takes {name} like w, {w.dtype}{w.shape}, got {array.dtype}{array.shape}"
            )
        if name != "g" and not array.flags.writeable:
            raise ValueError(f"{who} changes arrays in place, got {name} read-only")


def check_arrays(
    who: str,
    params: Mapping[str, Array],
    grads: Mapping[str, Array],
    states: Mapping[str, ArrayState],
) -> None:
    """Refuse what `Optimizer.update` cannot take, before anything is changed."""
    if params.keys() != grads.keys():
        odd = ", ".join(map(repr, sorted(params.keys() ^ grads.keys(), key=str)))
        raise ValueError(f"{who} takes a gradient for each parameter, only one has {odd}")
    for name, w in params.items():
        g = grads[name]
        if not isinstance(w, np.ndarray) or not isinstance(g, np.ndarray):
            kinds = f"{type(w).__name__} and {type(g).__name__}"
            raise TypeError(f"{who} changes arrays in place, got {name!r} as {kinds}")
        if w.dtype not in (np.float32, np.float64):
            raise TypeError(f"{who} takes float32 or float64, got {name!r} of {w.dtype}")
        if not w.flags.writeable:
            raise ValueError(f"{who} changes arrays in place, got {name!r} read-only")
        if g.shape != w.shape or g.dtype != w.dtype:
            raise ValueError(
                f"the gradient of {name!r} must be {w.dtype}{w.shape}, got {g.dtype}{g.shape}"
            )
        if name in states:
            before, dtype = states[name].shape, w.dtype
            dtype = next((array.dtype for array in states[name].state.values()), dtype)
            if before != w.shape or dtype != w.dtype:
                raise ValueError(
                    f"{who} has a state of {dtype}{before} for {name!r}, got {w.dtype}{w.shape}"
                )
        if not np.isfinite(g).all():
            raise FloatingPointError(
                f"the gradient of {name!r} is not finite; nothing has been changed"
            )
