"""`use_reference`: run networks through the NumPy references.

Kernels are called by the methods `_forward`, `_infer` and `_backward` of each class of layers.
While a context is open, methods that ask for the context stand in their places; afterwards the
classes are as they were. So a layer without a context pays nothing: not a frame, not a test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ._trees import Tree, map_tree
from ._twins.plain import Twin
from ._twins.table import TWINS
from .layers._base import Layer
from .layers._container import Container, all_parts
from .layers._several import Several
from .layers.graph import Graph, width_of

_active: ContextVar[bool] = ContextVar("deepfs_use_reference", default=False)
_lock = threading.Lock()
_open = 0  # contexts, in all threads
_before: list[tuple[type, str, Any]] = []  # class, name, and what the class itself had there


@contextmanager
def use_reference() -> Iterator[None]:
    """Run networks through their NumPy references inside a ``with`` block, not through kernels.

    A debugger then steps through the formulas of `deepfs.reference`, in the order in which the
    network computes them: forward, backward, all layers and containers of `deepfs.layers`. Losses
    and optimizers keep their kernels; call ``deepfs.reference.cross_entropy`` and its like.

    Raises
    ------
    TypeError
        On the first call of a network inside, before anything runs, if it has a layer of your own,
        or a graph of several outputs inside of another: these have no reference.
    RuntimeError
        If a backward pass is inside and its forward pass outside, or the other way round.

    Notes
    -----
    Parameters, running statistics and random numbers are those of the network: gradients are added
    to the same arrays, and the same masks are drawn. Results agree within rounding errors,
    about 1e-12 in float64 and 1e-5 in float32, but a large network takes minutes instead of
    milliseconds: use few samples. The context counts for the thread (or the asyncio task) that
    opened it; other threads run kernels. Contexts may be nested. Outside of a context, layers are
    as fast as ever.

    Examples
    --------
    >>> import deepfs as dfs
    >>> from deepfs import layers as L
    >>> net = L.Sequential([L.Conv2D(4, 3), L.ReLU(), L.Dense(2)])
    >>> x = np.random.default_rng(0).standard_normal((2, 1, 6, 6))
    >>> kernels = net(x)
    >>> with dfs.use_reference():  # set a breakpoint in deepfs/reference/conv.py
    ...     formulas = net(x)
    >>> bool(np.allclose(kernels, formulas))
    True
    """
    _enter()
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)
        _leave()


def _enter() -> None:
    global _open
    with _lock:
        if _open == 0:
            for kind in (Layer, Several):
                _put(kind, "prepare", _checking(kind.prepare))
            for kind in (Layer, Container, Several):
                _put(kind, "forward", _marking(kind.forward))
            for layer, twin in TWINS.items():
                for name, method in _methods(layer, twin).items():
                    _put(layer, name, method)
        _open += 1


def _leave() -> None:
    global _open
    with _lock:
        _open -= 1
        if _open == 0:
            while _before:
                kind, name, own = _before.pop()
                if own is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, own)


def _put(kind: type, name: str, method: Any) -> None:
    """Put a method into a class; note what was there."""
    _before.append((kind, name, vars(kind).get(name)))
    setattr(kind, name, method)


def _methods(kind: type[Layer], twin: Twin) -> dict[str, Any]:
    """Return methods of a class that run its twin within a context, else what they replace."""
    kernel_forward, kernel_backward, kernel_infer = kind._forward, kind._backward, kind._infer

    def _forward(self: Any, x: Any, training: bool, *end: Any, **more: Any) -> tuple[Any, Any]:
        if not _active.get():
            return kernel_forward(self, x, training, *end, **more)
        _refuse_fusion(self, end, more)
        self.check_shape(x)
        y, kept = twin.forward(self, x, training)
        return _in_dtype(y, self), Kept(kept)

    def _infer(self: Any, x: Any, *end: Any, **more: Any) -> Any:
        if not _active.get():
            return kernel_infer(self, x, *end, **more)
        return self._forward(x, False, *end, **more)[0]

    def _backward(self: Any, dy: Any, cache: Any, need_dx: bool, *end: Any, **more: Any) -> Any:
        if not _active.get():
            return kernel_backward(self, dy, cache, need_dx, *end, **more)
        _refuse_fusion(self, end, more)
        if not isinstance(cache, Kept):
            raise RuntimeError(
                f"{self.label}.backward runs within use_reference(), its forward ran outside: "
                "run both inside of one `with` block"
            )
        dx = twin.backward(self, dy, cache.value, need_dx)
        return None if dx is None else _in_dtype(dx, self)

    return {"_forward": _forward, "_infer": _infer, "_backward": _backward}


def _in_dtype(tree: Tree, layer: Layer) -> Tree:
    """Return results in the layer's dtype: some references compute in float64."""
    return map_tree(lambda array: array.astype(layer.built_dtype, copy=False), tree)


def _refuse_fusion(layer: Layer, end: tuple[Any, ...], more: dict[str, Any]) -> None:
    if end or more:
        raise RuntimeError(
            f"{layer.label} was asked for a fused operation within use_reference(): open the "
            "context before the forward pass of the whole network"
        )


def _checking(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method that every public call begins with, with a check of all parts."""

    def checked(self: Any, x: Any) -> Any:
        if _active.get():
            _check_twins(self)
        return prepare(self, x)

    return checked


def _marking(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return the public `forward`, with a cache that only a context can read."""

    def marked(self: Any, x: Any, training: bool = False) -> tuple[Any, Any]:
        y, cache = forward(self, x, training)
        return y, (Cache(cache) if _active.get() else cache)

    return marked


def _check_twins(network: Layer) -> None:
    """Raise TypeError if a layer of the network has no reference."""
    missing = []
    for layer in all_parts([network]):
        inner = layer.layers if type(layer) is Graph else ()
        missing += [part.label for part in inner if width_of(part) > 1]
        if type(layer) not in TWINS:
            missing.append(layer.label)
    if missing:
        raise TypeError(
            f"use_reference() runs layers through deepfs.reference, which has nothing for "
            f"{', '.join(dict.fromkeys(missing))}: call this network outside of the `with` block"
        )


class Kept:
    """What a twin keeps for backward, in the place of the cache of a kernel."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Cache:
    """What `forward` of a whole network returns within a context: ``shape, cache = ...`` as ever.

    Outside, `Layer.backward` cannot read it.
    """

    __slots__ = ("_pair",)

    def __init__(self, pair: tuple[Any, Any]) -> None:
        self._pair = pair

    def __iter__(self) -> Iterator[Any]:
        if not _active.get():
            raise RuntimeError(
                "this forward pass ran within use_reference(), its backward pass runs outside: "
                "run both inside of one `with` block"
            )
        return iter(self._pair)
