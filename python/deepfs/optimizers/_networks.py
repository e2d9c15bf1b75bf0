"""Networks in a training loop of one's own: what `Optimizer.step` keeps of them."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import Array, FixedDict
from .._check import shown
from ..layers import Container, Layer, Parameter
from ..layers._parameter import structure
from ..layers._random import RandomLayer
from ..schedules import Schedule
from ._arena import Arena
from ._plan import Plan

if TYPE_CHECKING:
    from ._base import Optimizer

MANY = 10_000  # steps; on a CPU, few epochs are as long
Networks = Mapping[str, Layer]  # by the first part of the names of their parameters


class NetworkState:
    """The parameters of a network, or of several that are stepped together, and their state.

    It is known by its parameters, so a container may be made anew around them. A copy of the
    optimizer keeps the state without parameters: the first network whose parameters have the same
    names and shapes takes it over.

    Attributes
    ----------
    shapes : list of (name, shape, dtype)
        The parameters, in the order of the arena.
    state : dict of array
        What `Optimizer.init` made, in the layout of the arena.
    t, since : int
        Steps taken; epochs that the optimizer had ended before the first of them.
    """

    def __init__(self, shapes: list[Any]) -> None:
        self.shapes = shapes
        self.arena: Arena | None = None
        self.state: dict[str, Array] = {}
        self.t = self.since = 0
        self.plan: Plan | None = None
        self.frozen: frozenset[str] = frozenset()
        self.buffers: list[str] = []  # their names
        self._state_version = -1
        self._seen = -1  # version of the structure that the arena and the plan belong to
        self._networks: dict[str, weakref.ref[Layer]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy, which serves other networks."""
        return vars(self) | {"arena": None, "plan": None, "_seen": -1, "_networks": {}}

    def is_of(self, networks: Networks) -> bool:
        """Return whether these networks took the last step, whatever their parameters are now."""
        known = self._networks
        return known.keys() == networks.keys() and all(
            known[name]() is network for name, network in networks.items()
        )

    def is_lost(self) -> bool:
        """Return whether its networks are gone."""
        return self.arena is not None and any(ref() is None for ref in self._networks.values())

    def is_ready(self, networks: Networks) -> bool:
        """Return whether nothing has changed since the last step, but for settings."""
        return self._seen == structure.number and self.is_of(networks)

    def has(self, parameters: dict[str, Parameter]) -> bool:
        """Return whether these are its parameters."""
        return self.arena is not None and self.arena.has(parameters)

    def shares(self, parameters: dict[str, Parameter]) -> list[str]:
        """Return the names of the parameters that are among its own."""
        own = {id(p) for p in self.arena.parameters.values()} if self.arena else set()
        return [name for name, parameter in parameters.items() if id(parameter) in own]

    def take(self, networks: Networks, parameters: dict[str, Parameter]) -> None:
        """Take these parameters; keep the state of those that are the same ones as before."""
        before, state = self.arena, self.state
        same = self.has(parameters)
        if before is not None and not same:
            self._state_version = -1  # a layer was exchanged: as in a Model, all starts anew
        if before is None or not same or shapes_of(parameters) != self.shapes:
            self.arena = Arena(parameters)
            self.shapes = shapes_of(parameters)
            if before is not None and same:
                self.state = rearranged(state, before, self.arena)
        elif not before.holds(parameters):
            self.arena = Arena(parameters)
        self.frozen = frozenset(name for name, p in parameters.items() if p.frozen)
        self.buffers = [name for name, _ in named(networks, "buffers")]
        self._networks = {name: weakref.ref(network) for name, network in networks.items()}
        self.plan, self._seen = None, structure.number

    def step(self, optimizer: Optimizer, networks: Networks, clear: bool) -> float | None:
        """Take a step by the gradients of the parameters."""
        assert self.arena is not None
        if self._state_version != optimizer.state_version:
            self.state = FixedDict(optimizer.init(self.arena.values))
            self.t, self.since = 0, optimizer.epochs
            self._state_version = optimizer.state_version
        plan = optimizer.plan(self.arena.spans, self.plan, self.frozen, self.buffers)
        if plan is not self.plan:
            check_held(optimizer, networks, {span.name for span in plan.frozen})
            self.plan = plan
        check_gradients(self.arena, plan)
        epoch = optimizer.epochs - self.since
        norm = optimizer.step(
            self.arena.values, self.arena.grads, self.state, self.t + 1, plan, epoch, clear
        )
        self.t += 1
        if isinstance(optimizer.lr, Schedule):
            warn_of_no_epoch(optimizer.lr, self.t, epoch)
        return norm


def step_networks(optimizer: Optimizer, given: Any, clear: bool) -> float | None:
    """Take a step on networks; see `Optimizer.step`."""
    who = type(optimizer).__name__
    networks = checked_networks(who, given)
    states: list[NetworkState] = vars(optimizer).get("networks", [])
    found = next((kept for kept in states if kept.is_ready(networks)), None)
    if found is None:
        parameters = dict(named(networks, "parameters"))
        states = [kept for kept in states if not kept.is_lost() or kept.has(parameters)]
        found = state_for(who, states, networks, parameters)
        others = [kept for kept in states if kept is not found]
        if optimizer._keeps():
            for name in (name for kept in others for name in kept.shares(parameters)):
                raise ValueError(
                    f"{who} keeps {optimizer._keeps()} of {name!r} with other parameters: step "
                    f"the same networks together, or make an optimizer for each"
                )
        found.take(networks, parameters)
        vars(optimizer)["networks"] = [*others, found]
    return found.step(optimizer, networks, clear)


def state_for(
    who: str, states: list[NetworkState], networks: Networks, parameters: dict[str, Parameter]
) -> NetworkState:
    """Return what is kept of these parameters, or of these networks; else a new state."""
    for kept in states:
        if kept.has(parameters):
            return kept
    for kept in states:
        if kept.is_of(networks):
            return kept
    shapes = shapes_of(parameters)
    free = [kept for kept in states if kept.arena is None and kept.shapes == shapes]
    if len(free) > 1:
        raise ValueError(
            f"{who} was copied with the states of {len(free)} networks of the same parameters, "
            "and cannot know which is this one's: make a new optimizer"
        )
    return free[0] if free else NetworkState(shapes)


def checked_networks(who: str, given: Any) -> Networks:
    """Return networks by the first part of the names of their parameters: "" for a single one."""
    if isinstance(given, Layer):
        networks: dict[str, Layer] = {"": given}
    elif isinstance(given, Mapping):
        networks = {f"{name}.": network for name, network in given.items()}
    elif isinstance(given, Sequence) and not isinstance(given, str):
        networks = {f"{number}.": network for number, network in enumerate(given)}
    else:
        raise TypeError(f"{who}.step takes {wanted(given)}")
    for network in networks.values():
        if not isinstance(network, Layer):
            raise TypeError(f"{who}.step takes {wanted(network)}")
        if network.built_dtype is None:
            raise RuntimeError(
                f"{who}.step needs the gradients of {network.label}, which has no weights yet: "
                "call its forward and backward first"
            )
    return networks


def wanted(given: Any) -> str:
    """Return the end of a message about what is no network."""
    if given is None:
        return "the network whose gradients it applies: optimizer.step(network)"
    if isinstance(given, Parameter):
        return "the network itself, not its parameters: optimizer.step(network)"
    if hasattr(given, "train_on_batch"):
        return "a network; a Model takes its own steps: model.train_on_batch(x, y)"
    return f"a network, or a list or dict of them, got {shown(given)}"


def named(networks: Networks, what: str) -> Iterator[tuple[str, Any]]:
    """Yield the parameters or buffers of networks with their names."""
    for prefix, network in networks.items():
        for name, value in getattr(network, what)().items():
            yield prefix + name, value


def shapes_of(parameters: dict[str, Parameter]) -> list[Any]:
    """Return name, shape and dtype of all parameters, each once."""
    seen: dict[int, Any] = {}
    for name, p in parameters.items():
        seen.setdefault(id(p), (name, p.storage.shape, p.storage.dtype))
    return list(seen.values())


def rearranged(state: dict[str, Array], before: Arena, after: Arena) -> dict[str, Array]:
    """Return the state in the layout of another arena of the same parameters."""
    places = {id(p): span for p, span in zip(before.parameters.values(), before.spans, strict=True)}
    new = {name: np.zeros_like(flat) for name, flat in state.items()}
    for p, span in zip(after.parameters.values(), after.spans, strict=True):
        old = places[id(p)]
        for name, flat in state.items():
            new[name][span.start : span.stop] = flat[old.start : old.stop]
    return FixedDict(new)


def check_held(optimizer: Optimizer, networks: Networks, frozen: set[str]) -> None:
    """Refuse a group that freezes a layer with statistics: its forward does not know of it."""
    for prefix, network in networks.items():
        for name, layer in leaves(prefix, network):
            own = {f"{name}.{key}".lstrip(".") for key in layer.parameters()}
            held = own <= frozen if own else any(
                group.frozen and group.matches(f"{name}.{key}".lstrip("."))
                for group in optimizer.groups for key in layer.buffers()
            )  # fmt: skip
            fixed = layer.fixed or not layer.buffers() or isinstance(layer, RandomLayer)
            if held and not fixed:
                raise ValueError(
                    f"a Group freezes {layer.label}, but in a loop of your own its forward does "
                    "not know it, and would move its statistics: call freeze() of the layer"
                )


def leaves(prefix: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
    """Yield the layers that are no containers, with their names."""
    if not isinstance(layer, Container):
        yield prefix.removesuffix("."), layer
        return
    for name, part in layer.named_parts().items():
        yield from leaves(f"{prefix}{name}.", part)


def check_gradients(arena: Arena, plan: Plan) -> None:
    """Raise FloatingPointError if a gradient of a parameter that learns is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.add.reduce(arena.grads)):  # one pass, without a temporary array
            return
    frozen = {span.name for span in plan.frozen}
    for span in arena.spans:
        part = arena.grads[span.start : span.stop]
        if span.name not in frozen and not np.isfinite(part).all():
            raise FloatingPointError(
                f"the gradient of {span.name!r} is not finite; nothing has been changed"
            )


def warn_of_no_epoch(schedule: Schedule, steps: int, epochs: int, stacklevel: int = 5) -> None:
    """Warn once if a schedule waits for the end of an epoch, and many steps have seen none.

    Whether an epoch is long or its end was forgotten cannot be known, so the number is high.
    """
    if steps == MANY and epochs == 0 and schedule.counts_epochs:
        warnings.warn(
            f"{steps} steps and no end of an epoch: {type(schedule).__name__} moves only when "
            "end_epoch() of the model or optimizer is called after each epoch",
            stacklevel=stacklevel,
        )
