"""What an optimizer is. READ FIRST to write one."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, sqrt
from typing import Any, ClassVar, overload

import numpy as np

from .._arrays import Array
from .._check import number, shown, whole
from .._elsewhere import OPTIMIZER_WAYS
from .._fields import setting_names
from .._names import elsewhere
from .._settings import Settings
from ..layers import Layer
from ..layers._parameter import structure
from ..regularizers import Terms
from ..schedules import Constant, Schedule
from ..schedules.function import Rate, from_function
from ._arena import Span
from ._context import StepContext
from ._dicts import update
from ._groups import Group, check_names, checked_groups
from ._networks import step_networks
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
    lr : float, Schedule or function
        Learning rate, above 0; or a schedule of it, see `deepfs.schedules`; or a function that
        returns it, ``lambda step: ...`` of the steps taken so far, from 0, or ``lambda epoch: ...``
        of the epochs: see `deepfs.schedules.Function`.
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
    `step` with them. For training loops of your own there are ``step(network)`` and, for plain
    arrays, `update`; there the optimizer keeps the state, apart from that of a model. `end_epoch`
    ends an epoch of such a loop.

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

    lr: Rate
    weight_decay: float = field(default=0.0, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)
    clip_each: float | None = field(default=None, kw_only=True)
    clip_value: float | None = field(default=None, kw_only=True)
    groups: Sequence[Group] = field(default=(), kw_only=True)

    epochs: ClassVar[int] = 0  # ended by `end_epoch`, which counts them on the optimizer
    state_version: ClassVar[int] = 0  # another number: the state starts anew, see `_set`
    decoupled: ClassVar[bool] = False  # weight_decay changes the weights, not the gradient
    per_array: ClassVar[bool] = False  # the rule needs sums over each array

    def __post_init__(self) -> None:
        if isinstance(self.lr, (Layer, Mapping, Generator)):
            who = type(self).__name__
            raise TypeError(
                f"{who} takes a learning rate, got {shown(self.lr)}: parameters come with "
                "optimizer.step(network), or by Model"
            )
        self.lr = from_function(self.lr, "lr")
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
        if isinstance(self.lr, Schedule):
            return self.lr.at(t - 1, epoch)
        return float(self.lr)  # type: ignore[arg-type]

    def observe(self, logs: Mapping[str, float]) -> None:
        """Tell the schedule the results of an epoch: `deepfs.schedules.Plateau` needs them."""
        if isinstance(self.lr, Schedule):
            self.lr.observe(logs)

    def check_logs(self, names: Iterable[str]) -> None:
        """Raise ValueError if the schedule needs a number that is not among these names."""
        if isinstance(self.lr, Schedule):
            self.lr.check_logs(names)

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """End an epoch of a training loop of one's own: schedules by epoch move.

        `deepfs.Model.fit` does it itself; for `train_on_batch` there is `Model.end_epoch`.

        Parameters
        ----------
        logs : dict of float, optional
            Numbers of the epoch, such as ``{"loss": 0.3, "val_loss": 0.4}``.
            `deepfs.schedules.Plateau` needs the one that it monitors.

        Raises
        ------
        TypeError
            If ``logs`` is not a dict.
        ValueError
            If the schedule needs a number that is not there. Then the epoch has not ended.

        Examples
        --------
        >>> from deepfs.optimizers import SGD
        >>> from deepfs.schedules import Step
        >>> optimizer = SGD(Step(1.0, every=1, factor=0.5, by="epoch"))
        >>> params = {"w": 4.0}
        >>> for epoch in range(3):
        ...     optimizer.update(params, {"w": 1.0})
        ...     optimizer.end_epoch()
        >>> params["w"]
        2.25
        """
        if logs is not None and not isinstance(logs, Mapping):
            raise TypeError(f"end_epoch takes numbers by name, {{'loss': 0.3}}, got {shown(logs)}")
        logs = {} if logs is None else logs
        self.check_logs(logs)
        self.observe(logs)
        vars(self)["epochs"] = self.epochs + 1

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

    @overload
    def step(
        self,
        w: Layer | Sequence[Layer] | Mapping[str, Layer],
        *,
        clear: bool = False,
    ) -> float | None: ...

    @overload
    def step(
        self,
        w: Array,
        g: Array,
        state: dict[str, Array],
        t: int,
        plan: Plan | None = None,
        epoch: int = 0,
        clear: bool = False,
        done: list[int] | None = None,
    ) -> float | None: ...

    def step(
        self,
        w: Any = None,
        g: Any = None,
        state: Any = None,
        t: Any = None,
        plan: Plan | None = None,
        epoch: int = 0,
        clear: bool = False,
        done: list[int] | None = None,
    ) -> float | None:
        """Take a step on a network, ``step(network)``; or on flat arrays, ``step(w, g, state, t)``.

        ``step(network)`` applies the gradients that `Layer.backward` has added up, as
        `deepfs.Model` does, with the same bits. The optimizer keeps the state of the network, by
        parameter; it starts anew if a layer is exchanged. Gradients stay, see ``zero_grad()``.

        Parameters
        ----------
        w : Layer, or a list or dict of them; or array (n,)
            A network that has computed gradients, or several, whose parameters are one step: they
            are clipped together, and groups know them by names as ``0.dense_1.weight`` or, in a
            dict, ``encoder.dense_1.weight``. Or flat parameters; then g, state and t are needed.
        g : array (n,)
            Gradients.
        state : dict of array (n,)
            What `init` made.
        t : int
            Number of the step, from 1. The optimizer counts those of a network itself.
        plan : Plan, optional
            Where each parameter lies, made by `plan`. Without it all entries are one weight, called
            ``*``.
        epoch : int
            Whole epochs before this step, for schedules; for networks `end_epoch` counts.
        clear : bool
            Set the gradients to 0 in the same pass.
        done : list, optional
            Gets ``t`` once the step on flat arrays is taken, also if a signal then raises.

        Returns
        -------
        float or None
            The norm of all gradients before clipping, if the optimizer clips by norm.

        Raises
        ------
        TypeError
            If it is no network.
        RuntimeError
            If a network is not built yet.
        ValueError
            If the optimizer keeps the state of some of the parameters with other networks; if a
            `Group` freezes a layer whose running statistics move, which only `Layer.freeze` stops
            in a loop of your own.
        FloatingPointError
            If a gradient of a network is not finite, or the norm of flat ones to be clipped. When
            anything is raised, parameters and state are those of the step before.

        Examples
        --------
        >>> from deepfs import layers as L, losses
        >>> from deepfs.optimizers import Adam
        >>> net, loss, optimizer = L.Dense(1), losses.MeanSquaredError(), Adam(0.1)
        >>> x, y = np.eye(2), np.array([[1.0], [2.0]])
        >>> values = []
        >>> for _ in range(5):
        ...     outputs, cache = net.forward(x, training=True)
        ...     value, loss_cache = loss.forward(outputs, y)
        ...     net.zero_grad()
        ...     dx = net.backward(loss.backward(loss_cache), cache, need_dx=False)
        ...     optimizer.step(net)
        ...     values.append(value)
        >>> values == sorted(values, reverse=True)
        True
        """
        if g is None and not isinstance(w, np.ndarray):
            return step_networks(self, w, clear)
        if plan is None:
            t = whole(t, "t")
            check_flat(type(self).__name__, w, {"g": g, **state})
            plan = self._plan([Span("*", 0, (1, w.size), (0, 1))], None)
        bound = inf if self.clip_value is None else self.clip_value
        cleared = g if clear else None
        g = plan.with_penalties(w, g) if plan.penalties else g
        context = StepContext(w, g, state, t, self.rate(t, epoch), plan, bound, cleared)
        norm = self._clip([context], t) if self.clip_norm or self.clip_each else None
        try:
            self._step(context)
            context.finish()
        except BaseException:
            if context.passes:  # a signal: the rest of the step is taken before it goes on
                context.called = 0
                self._step(context)
                context.finish()
                if done is not None:
                    done.append(t)
            raise
        if done is not None:
            done.append(t)
        return norm

    def _keeps(self) -> str:
        """Return what belongs to the parameters of one network: "" if nothing."""
        if self.init(np.zeros(1)):
            return "the state"
        counts = isinstance(self.lr, Schedule) and not isinstance(self.lr, Constant)
        return "the count of steps" if counts else ""

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
        self, params: Mapping[str, Any], grads: Mapping[str, Any], epoch: int | None = None
    ) -> float | None:
        """Take a step on plain arrays in place, as in the textbook: ``update(params, grads)``.

        Parameters
        ----------
        params, grads : dict of array or number
            Weights and their gradients, of the same names, shapes and dtypes, float32 or float64;
            in any layout. Numbers, of Python or NumPy, are replaced in the dict. An array with two
            names is stepped once, under the first, by the sum of its gradients; if these are one
            array, too, by that.
        epoch : int, optional
            Whole epochs before this step, for schedules by epoch. By default, those ended by
            `end_epoch`.

        Returns
        -------
        float or None
            The norm of all gradients before clipping, if the optimizer clips by norm.

        Raises
        ------
        TypeError, ValueError
            If names, shapes or dtypes differ, from one another or from those of the state; if
            arrays overlap; if the state is that of another array, which still exists: an optimizer
            that keeps a state, or counts steps for a schedule, serves one network.
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
        return update(self, params, grads, epoch)


for _name, _way in OPTIMIZER_WAYS.items():
    elsewhere(Optimizer, _name, _way)


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
