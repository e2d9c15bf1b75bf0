"""What an optimizer is, and the one buffer it works on. READ FIRST to write one."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, ClassVar

import numpy as np

from .._arrays import Array
from .._check import number, whole
from .._settings import Settings, setting_names
from ..layers._parameter import Parameter, structure
from ..regularizers import L2, WeightDecay
from ..schedules import Schedule
from ._plan import Group, Pass, Plan, Span, check_names, global_norm, zeros, zeros_like


class Arena:
    """All parameters of a network in one buffer, their gradients in a second.

    So an optimizer step is one kernel call, and clearing the gradients one pass. Parameters become
    views into the buffers; values and gradients are kept.

    Parameters
    ----------
    parameters : dict of Parameter
        By name. One that stands under several names, of a layer used twice, is taken once.

    Raises
    ------
    ValueError
        If the parameters have different dtypes.
    """

    def __init__(self, parameters: dict[str, Parameter]) -> None:
        self.parameters: dict[str, Parameter] = {}
        for name, parameter in parameters.items():
            if not any(parameter is known for known in self.parameters.values()):
                self.parameters[name] = parameter
        dtypes = {p.storage.dtype for p in self.parameters.values()}
        if len(dtypes) > 1:
            raise ValueError(f"a network must have one dtype, got {sorted(map(str, dtypes))}")
        size = sum(p.storage.size for p in self.parameters.values())
        self.values = zeros(size, dtypes.pop() if dtypes else np.dtype(np.float32))
        self.grads = zeros_like(self.values)
        self.spans: list[Span] = []  # where each lies
        start = 0
        for name, p in self.parameters.items():
            span = Span(name, start, p.storage.shape, p.axes)
            p.move_to(self.values[start : span.stop], self.grads[start : span.stop])
            self.spans.append(span)
            start = span.stop

    def has(self, parameters: dict[str, Parameter]) -> bool:
        """Return whether these are the parameters that this arena was made of."""
        return {id(p) for p in parameters.values()} == {id(p) for p in self.parameters.values()}

    def holds(self, parameters: dict[str, Parameter]) -> bool:
        """Return whether these parameters lie here: a copy or another arena moves them."""
        values, grads = owner(self.values), owner(self.grads)
        return self.has(parameters) and all(
            p.storage.base is values and p.dstorage.base is grads for p in self.parameters.values()
        )

    def split(self, flat: Array) -> dict[str, Array]:
        """Return views into an array that lies like the arena, by parameter, as people read it."""
        return {span.name: span.seen(flat) for span in self.spans}


def owner(array: Array) -> Array:
    """Return the array whose memory this is: what NumPy makes the base of all its views."""
    return array if array.base is None else array.base


@dataclass(eq=False)
class Optimizer(Settings):
    r"""A rule that turns gradients into better weights.

    An optimizer is a dataclass whose fields are its settings. Write one with two functions: `init`
    makes the state of a flat array of parameters, `_step` changes both by a gradient. What all
    have in common is done around or inside its pass: clipping, regularisation, learning rates that
    follow a schedule or differ between layers, frozen layers.

    Parameters
    ----------
    lr : float or Schedule
        Step size, above 0; or what gives it, see `deepfs.schedules`.
    weight_decay : float
        Rate of decay of all weights, at least 0; biases and the parameters of norms are left out
        (PyTorch decays them too). It is `deepfs.regularizers.L2`, and in AdamW, Lion and LAMB
        `deepfs.regularizers.WeightDecay`.
    clip_norm : float, optional
        Largest norm of all gradients together, above 0: they are multiplied by
        min(1, clip_norm / (norm + 1e-6)), as in PyTorch.
    clip_each : float, optional
        The same for the gradient of each array on its own.
    clip_value : float, optional
        Largest absolute value of an entry of a gradient, above 0.
    groups : sequence of Group
        Parameters with settings of their own: frozen, slower, regularised otherwise.

    Notes
    -----
    In a `deepfs.Model` the state lives with the model, in arrays that lie like the parameters.
    `update` is for plain arrays; there the optimizer keeps it, by name.

    Examples
    --------
    >>> class SignDescent(Optimizer):
    ...     def init(self, w):
    ...         return {}
    ...
    ...     def _step(self, this):
    ...         for w, g, state, lr in this.parts():
    ...             w -= lr * np.sign(g)
    >>> params = {"W": np.array([1.0, -1.0])}
    >>> SignDescent(0.25).update(params, {"W": np.array([3.0, -0.1])})
    >>> params["W"]
    array([ 0.75, -0.75])
    """

    lr: float | Schedule
    weight_decay: float = field(default=0.0, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)
    clip_each: float | None = field(default=None, kw_only=True)
    clip_value: float | None = field(default=None, kw_only=True)
    groups: Sequence[Group] = field(default=(), kw_only=True)

    state_version: ClassVar[int] = 0  # another number: the state starts anew, see `_changed`
    decoupled: ClassVar[bool] = False  # weight_decay goes past the gradient
    apart: ClassVar[bool] = False  # the rule needs sums over each array

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
        groups: Any = self.groups
        self.groups = tuple(groups) if isinstance(groups, (list, tuple)) else (groups,)
        for group in self.groups:
            if not isinstance(group, Group):
                raise TypeError(f"groups must be deepfs Groups, got {group!r}")

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
            for kept in ("kept", "updates"):  # by `update`
                vars(self).pop(kept, None)
            vars(self)["state_version"] = self.state_version + 1
            structure.change()
        return None

    @abstractmethod
    def init(self, w: Array) -> dict[str, Array]:
        """Return the state before the first step, by name, for a flat array of parameters."""

    @abstractmethod
    def _step(self, this: Pass) -> None:
        """Change ``this.w`` and ``this.state`` in place by ``this.g``: see `Pass`."""

    def rate(self, t: int, epoch: int = 0) -> float:
        """Return the learning rate of step ``t``, counted from 1, after ``epoch`` whole epochs."""
        if type(self.lr) is float:
            return self.lr
        return self.lr.at(t - 1, epoch) if isinstance(self.lr, Schedule) else self.lr

    def observe(self, logs: Mapping[str, float]) -> None:
        """Let the schedule know what an epoch came to; `deepfs.schedules.Plateau` asks for it."""
        if isinstance(self.lr, Schedule):
            self.lr.observe(logs)

    def plan(
        self,
        spans: Sequence[Span],
        known: Plan | None = None,
        frozen: frozenset[str] = frozenset(),
        buffers: Sequence[str] = (),
    ) -> Plan:
        """Return what a step runs over; the plan that is known, if the settings are still its.

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
        apart = self.apart or self.clip_each is not None
        made_for = (self.weight_decay, self.decoupled, apart, frozen, tuple(self.groups))
        if known is not None and known.made_for == made_for:
            return known
        decay = WeightDecay if self.decoupled else L2
        made_for = (*made_for[:-1], copy.deepcopy(self.groups))  # they may change in place
        return Plan(spans, decay(self.weight_decay).terms(), self.groups, apart, made_for, frozen)

    def _pass(
        self, w: Array, g: Array, state: dict[str, Array], t: int, lr: float, plan: Plan
    ) -> Pass:
        bound = inf if self.clip_value is None else self.clip_value
        return Pass(w, g, state, t, lr, plan, plan.ones, bound)

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
            Which entries are whose. Without it they are one weight, called ``*``.
        epoch : int
            Whole epochs before this step, for schedules by epoch.
        clear : bool
            Set the gradients to 0 on the way.

        Returns
        -------
        float or None
            The norm of all gradients before clipping, where it is by norm.

        Raises
        ------
        FloatingPointError
            If that norm is not finite: nothing is changed.
        """
        if plan is None:
            t = whole(t, "t")
            check_flat(type(self).__name__, w, {"g": g, **state})
            plan = self._plan([Span("*", 0, (1, w.size), (0, 1))], None)
        this = self._pass(w, g, state, t, self.rate(t, epoch), plan)
        this.cleared = g if clear else None
        norm = None
        if self.clip_norm is not None or self.clip_each is not None:
            norms = this.norms()
            norm = global_norm(norms)
            this.factors = self._factors(norms, norm, t)
        self._take(this)
        return norm

    def _factors(self, norms: Array, norm: float, t: int) -> Array:
        """Return what the gradient of each array is to be multiplied by."""
        if not isfinite(norm):
            raise FloatingPointError(
                f"the norm of the gradients at step {t} is {norm}: they cannot be clipped; "
                "the weights are those of the step before"
            )
        if self.clip_each is not None:
            return np.minimum(1.0, self.clip_each / (norms + 1e-6))
        assert self.clip_norm is not None
        return np.full_like(norms, min(1.0, self.clip_norm / (norm + 1e-6)))

    def _take(self, this: Pass) -> None:
        self._step(this)
        this.plan.limit_norms(this.w)
        if this.cleared is not None:
            for span in this.plan.frozen:
                this.cleared[span.start : span.stop] = 0

    def update(
        self, params: Mapping[str, Array], grads: Mapping[str, Array], epoch: int = 0
    ) -> float | None:
        """Take a step on plain arrays, in place, as the textbook writes it.

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
            The norm of all gradients before clipping, where it is by norm.

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
        who = type(self).__name__
        kept: dict[str, Kept] = vars(self).get("kept", {})
        check_arrays(who, params, grads, kept)
        check_names(params, self.groups)
        updates = vars(self).get("updates", 0) + 1
        lr = self.rate(updates, epoch)
        passes = []
        for name, w in params.items():
            mine = kept.get(name) or Kept(w.shape, self.init(np.zeros(w.size, w.dtype)))
            kept = kept | {name: mine}
            span = Span(name, 0, w.shape, tuple(range(w.ndim)))
            mine.plan = self._plan([span], mine.plan)
            flat, g = (np.ascontiguousarray(array).reshape(-1) for array in (w, grads[name]))
            passes.append(self._pass(flat, g, mine.state, mine.t + 1, lr, mine.plan))
        norm = None
        if self.clip_norm is not None or self.clip_each is not None:
            norms = [this.norms() for this in passes]
            norm = global_norm(np.concatenate([*norms, np.zeros(0)]))
            for this, own in zip(passes, norms, strict=True):
                this.factors = self._factors(own, norm, updates)
        for (name, w), this in zip(params.items(), passes, strict=True):
            self._take(this)
            if not np.may_share_memory(this.w, w):
                w[...] = this.w.reshape(w.shape)
            kept[name].t += 1
        vars(self).update(kept=kept, updates=updates)
        return norm


@dataclass
class Kept:
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
    who: str, params: Mapping[str, Array], grads: Mapping[str, Array], kept: Mapping[str, Kept]
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
        if name in kept:
            before, dtype = kept[name].shape, w.dtype
            dtype = next((array.dtype for array in kept[name].state.values()), dtype)
            if before != w.shape or dtype != w.dtype:
                raise ValueError(
                    f"{who} has a state of {dtype}{before} for {name!r}, got {w.dtype}{w.shape}"
                )
        if not np.isfinite(g).all():
            raise FloatingPointError(
                f"the gradient of {name!r} is not finite; nothing has been changed"
            )
