"""Dicts of arrays and numbers: what `Optimizer.update` takes, and the state that it keeps."""

from __future__ import annotations

import weakref
from bisect import bisect_left
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from .._arrays import Array
from .._check import shown
from ..layers import Parameter
from ._arena import Span, owner
from ._context import StepContext
from ._groups import check_names
from ._plan import Plan

if TYPE_CHECKING:
    from ._base import Optimizer

MAX_WORK = 10**5  # of NumPy's search for an entry that two arrays share
FLOATS = (np.float32, np.float64)


@dataclass
class ArrayState:
    """What `Optimizer.update` keeps of an array between steps."""

    shape: tuple[int, ...]
    state: dict[str, Array]
    t: int = 0
    plan: Plan | None = None
    address: int = 0  # of the first entry
    memory: Any = field(default=None, compare=False)  # weak reference to what owns it

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy, which serves other arrays, or copies of these."""
        return vars(self) | {"address": 0, "memory": None}

    def belongs_to_another(self, w: Array) -> bool:
        """Return whether this is the state of another array, which is still there."""
        alive = self.memory is not None and self.memory() is not None
        return alive and self.address != address_of(w)

    def remember(self, w: Array) -> None:
        """Note that this is the state of an array."""
        self.address = address_of(w)
        try:
            self.memory = weakref.ref(owner(w))
        except TypeError:  # memory of another library
            self.memory = None


def address_of(w: Array) -> int:
    address: int = w.__array_interface__["data"][0]
    return address


@dataclass
class Entry:
    """A parameter and its gradient in a step.

    Attributes
    ----------
    w : array
        The parameter itself; for a number, an array that takes its place in the step.
    g : array
        Its gradient: of an array with several names, the sum of their gradients.
    number : type or None
        Type of the number that the dict holds; None if it holds an array.
    """

    name: str
    w: Array
    g: Array
    number: type | None = None

    def store(self, new: Array, params: Mapping[str, Any]) -> None:
        """Write what a step has made of the parameter to where it came from."""
        if self.number is not None:
            assert isinstance(params, MutableMapping)
            params[self.name] = self.number(new.reshape(())[()])
        elif not np.may_share_memory(new, self.w):
            self.w[...] = new.reshape(self.w.shape)


def entries_of(
    who: str,
    params: Mapping[str, Any],
    grads: Mapping[str, Any],
    states: Mapping[str, ArrayState],
    keeps: str,
) -> list[Entry]:
    """Return the parameters of a step, or refuse what it cannot take; nothing is changed.

    ``keeps`` says what the optimizer keeps of each array; "" if nothing.
    """
    for what, given in (("params", params), ("grads", grads)):
        if not isinstance(given, Mapping):
            kind = type(given).__name__
            raise TypeError(f"{who}.update takes dicts of arrays, got {what} as {kind}")
    if params.keys() != grads.keys():
        odd = ", ".join(map(repr, sorted(params.keys() ^ grads.keys(), key=str)))
        raise ValueError(f"{who} takes a gradient for each parameter, only one has {odd}")
    entries = [checked_entry(who, name, params, grads[name]) for name in params]
    for entry in entries:
        check_state(who, entry, states, keeps)
        if not np.isfinite(entry.g).all():
            raise FloatingPointError(
                f"the gradient of {entry.name!r} is not finite; nothing has been changed"
            )
    return merged(who, entries)


def checked_entry(who: str, name: str, params: Mapping[str, Any], g: Any) -> Entry:
    """Return a parameter and its gradient, both as arrays."""
    w = params[name]
    if is_number(w):
        if not isinstance(params, MutableMapping):
            raise TypeError(f"{who} replaces numbers in a dict, got a {type(params).__name__}")
        if not is_number(g) and not (isinstance(g, np.ndarray) and g.shape == ()):
            raise TypeError(f"the gradient of the number {name!r} must be a number, got {shown(g)}")
        number = float if type(w) is int else type(w)
        made = np.array(w, w.dtype if isinstance(w, np.generic) else np.float64)
        return Entry(name, made, np.array(g, made.dtype), number)
    if isinstance(w, np.ndarray) and w.ndim == 0 and is_number(g):  # as NumPy's sums are
        g = np.array(g, None if isinstance(g, np.generic) else w.dtype)
    if not isinstance(w, np.ndarray) or not isinstance(g, np.ndarray):
        kinds = f"{type(w).__name__} and {type(g).__name__}"
        way = ": call step(network), or give parameter.value" if isinstance(w, Parameter) else ""
        raise TypeError(f"{who} changes arrays in place, got {name!r} as {kinds}{way}")
    if w.dtype not in FLOATS:
        raise TypeError(f"{who} takes float32 or float64, got {name!r} of {w.dtype}")
    if not w.flags.writeable:
        raise ValueError(f"{who} changes arrays in place, got {name!r} read-only")
    if g.shape != w.shape or g.dtype != w.dtype:
        raise ValueError(
            f"the gradient of {name!r} must be {w.dtype}{w.shape}, got {g.dtype}{g.shape}"
        )
    return Entry(name, w, g)


def is_number(value: Any) -> bool:
    """Return whether a value is a Python number, or a NumPy scalar of a dtype that is taken."""
    if isinstance(value, np.generic):
        return value.dtype in FLOATS
    return type(value) in (int, float)


def check_state(who: str, entry: Entry, states: Mapping[str, ArrayState], keeps: str) -> None:
    """Refuse an array that the state of its name does not belong to."""
    known, name, w = states.get(entry.name), entry.name, entry.w
    if known is None or not keeps:
        return
    dtype = next((array.dtype for array in known.state.values()), w.dtype)
    if known.state and (known.shape != w.shape or dtype != w.dtype):
        raise ValueError(
            f"{who} has a state of {dtype}{known.shape} for {name!r}, got {w.dtype}{w.shape}"
        )
    if entry.number is None and known.belongs_to_another(w):
        raise ValueError(
            f"{who} keeps {keeps} of another array called {name!r}: make an optimizer for each "
            f"network, or write into the array, params[{name!r}][...] = new"
        )


def merged(who: str, entries: list[Entry]) -> list[Entry]:
    """Join the names of one array, and refuse arrays that overlap in any other way.

    A gradient that lies in the memory of a parameter is copied, because the step writes there.
    """
    arrays = sorted(((*byte_bounds(e.w), i) for i, e in enumerate(entries) if e.w.size))
    same: dict[int, int] = {}  # number of an entry: the first one with the same array
    reach: list[tuple[int, int]] = []  # those before, as end and number
    for low, high, i in arrays:
        reach = [(end, j) for end, j in reach if end > low]
        for _, j in reach:
            first, second = entries[min(i, j)], entries[max(i, j)]
            if is_same(first.w, second.w):
                same[max(i, j)] = min(same.get(min(i, j), min(i, j)), same.get(i, i))
            elif overlap(first.w, second.w):
                raise ValueError(
                    f"{who} needs arrays that do not overlap, got {first.name!r} and "
                    f"{second.name!r} in the same memory: give copies, or the whole array once"
                )
        reach.append((high, i))
    kept = []
    for i, entry in enumerate(entries):
        entry.g = apart(entry.g, arrays)
        if i not in same:
            kept.append(entry)
            continue
        first = entries[same[i]]
        if not is_same(entry.g, first.g):
            first.g = first.g + entry.g
    return kept


def is_same(a: Array, b: Array) -> bool:
    """Return whether two arrays are the same entries of the same memory, in the same order."""
    return address_of(a) == address_of(b) and a.shape == b.shape and a.strides == b.strides


def overlap(a: Array, b: Array) -> bool:
    """Return whether two arrays share an entry, or may and it would take long to find out."""
    try:
        return bool(np.shares_memory(a, b, max_work=MAX_WORK))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def apart(g: Array, arrays: list[tuple[int, int, int]]) -> Array:
    """Return a gradient, or a copy of it if it may lie in the memory of these arrays."""
    if not g.size or not arrays:
        return g
    low, high = byte_bounds(g)
    before = bisect_left(arrays, (high,))  # those that begin before it ends
    return g.copy() if any(end > low for _, end, _ in arrays[:before]) else g


def update(
    optimizer: Optimizer, params: Mapping[str, Any], grads: Mapping[str, Any], epoch: int | None
) -> float | None:
    """Take a step on dicts; see `Optimizer.update`."""
    states: dict[str, ArrayState] = dict(vars(optimizer).get("array_states", {}))
    updates = vars(optimizer).get("updates", 0) + 1
    entries = entries_of(type(optimizer).__name__, params, grads, states, optimizer._keeps())
    check_names(params, optimizer.groups)
    lr = optimizer.rate(updates, optimizer.epochs if epoch is None else epoch)
    bound = inf if optimizer.clip_value is None else optimizer.clip_value
    contexts = []
    for entry in entries:
        name, w = entry.name, entry.w
        if name not in states or states[name].shape != w.shape:
            states[name] = ArrayState(w.shape, optimizer.init(np.zeros(w.size, w.dtype)))
        own = states[name]
        own.plan = optimizer._plan([Span(name, 0, w.shape, tuple(range(w.ndim)))], own.plan)
        flat, g = (np.ascontiguousarray(array).reshape(-1) for array in (w, entry.g))
        g = own.plan.with_penalties(flat, g)
        contexts.append(StepContext(flat, g, own.state, own.t + 1, lr, own.plan, bound))
    norm = optimizer._clip(contexts, updates)
    for entry, context in zip(entries, contexts, strict=True):
        optimizer._step(context)
        context.finish()
        entry.store(context.w, params)
        states[entry.name].t += 1
        if entry.number is None:
            states[entry.name].remember(entry.w)
    vars(optimizer).update(array_states=states, updates=updates)
    return norm
