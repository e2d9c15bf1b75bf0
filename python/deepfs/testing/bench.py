"""`bench_layer`: the time of a layer, beside a copy of the same bytes and a built-in layer."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.machinery import EXTENSION_SUFFIXES
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from cnn_core import activation, gemm

from .. import layers
from .._arrays import Array
from .._check import number, shown
from ..config import get_num_threads
from ..layers import Layer

SIDE = 384  # of the matrices whose product stands for the peak
LEAST_ROUNDS = 5
NEAR = 0.6  # least likeness of names, see difflib


@dataclass(frozen=True)
class LayerTimes:
    """What `bench_layer` has measured. ``str(times)`` is a table.

    Attributes
    ----------
    forward, backward : float
        Seconds of a pass, the least of all rounds.
    forward_bandwidth, backward_bandwidth : float
        Share of the bandwidth of a copy: the time of a copy that reads and writes as many bytes
        as the pass must, divided by the time of the pass.
    forward_peak, backward_peak : float or None
        Share of the speed of a matrix product; None if the layer counts no `multiply_adds`.
    beside : str or None
        The built-in layer that was timed in the same rounds.
    beside_forward, beside_backward : float or None
        Seconds of its passes.
    vector_bytes : int or None
        Width of the vectors of the narrowest compiled module of the layer's package.
    """

    layer: str
    x: str
    threads: int
    forward: float
    backward: float
    forward_bandwidth: float
    backward_bandwidth: float
    forward_peak: float | None
    backward_peak: float | None
    beside: str | None
    beside_forward: float | None
    beside_backward: float | None
    vector_bytes: int | None

    def __str__(self) -> str:
        """Return a table of a line per pass."""
        vectors = f", vectors of {self.vector_bytes} bytes" if self.vector_bytes else ""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        lines = [f"{self.layer} for x {self.x}, {threads}{vectors}"]
        for name in ("forward", "backward"):
            seconds, peak = getattr(self, name), getattr(self, f"{name}_peak")
            line = f"  {name:<8}  {1e3 * seconds:8.3f} ms"
            line += f"  {getattr(self, f'{name}_bandwidth'):4.0%} of the bandwidth of a copy"
            line += "" if peak is None else f"  {peak:4.0%} of the peak"
            other = getattr(self, f"beside_{name}")
            line += "" if other is None else f"  {seconds / other:.2f} times {self.beside}"
            lines.append(line)
        return "\n".join(lines)


def bench_layer(
    layer: Layer,
    x: Array | Sequence[int],
    *,
    beside: Layer | None = None,
    seconds: float = 1.0,
) -> LayerTimes:
    """Time the passes of a layer, on as many threads as `deepfs.set_num_threads` allows.

    Parameters
    ----------
    layer : Layer
        Built or not; its gradients are changed.
    x : array, or shape
        A batch; for a shape, one of normal numbers in float32.
    beside : Layer, optional
        Another layer to time in the same rounds. By default a built-in one that is near: a base
        class; for a layer without parameters that keeps the shape, one of a similar name, else
        `SiLU`; for one with parameters and outputs (n, units), `Dense`. None if there is none.
    seconds : float
        Time for all, above 0; there are at least 5 rounds.

    Returns
    -------
    LayerTimes

    Raises
    ------
    TypeError
        If ``layer`` or ``beside`` is not a `Layer`.
    ValueError
        If a layer cannot take x.

    Warns
    -----
    RuntimeWarning
        If a compiled module of the layer's package has narrower vectors than the kernels of deepfs
        for this processor: then it was not built by `deepfs.build`, or is used below its level.

    Notes
    -----
    A forward pass must at least read x and the parameters and write y; a backward pass must read x,
    dy and the parameters and write dx and their gradients. Shares of the bandwidth above 1 occur
    where a layer reads less than that, or finds it in a cache.

    Examples
    --------
    >>> from deepfs.layers import Tanh
    >>> from deepfs.testing import bench_layer
    >>> times = bench_layer(Tanh(), (8, 3, 8, 8), seconds=0.01)
    >>> times.beside, times.forward > 0
    ('SiLU', True)
    """
    for given in (layer, beside):
        if not isinstance(given, Layer) and not (given is None and given is not layer):
            raise TypeError(f"bench_layer takes a Layer, such as Swish(), got {shown(given)}")
    seconds = number(seconds, "seconds", "(0, inf)")
    if not isinstance(x, np.ndarray):
        x = np.random.default_rng(0).standard_normal(tuple(x)).astype(np.float32)
    widths = vector_widths(type(layer))
    _warn_of_narrow_vectors(widths)
    own = _Timed(layer, x)
    if beside is None:
        beside = nearest(layer, x)
    other = None if beside is None else _Timed(beside, x)
    copies = [_copy(nbytes) for nbytes in own.nbytes]
    peak = _product(x.dtype) if own.multiply_adds else None
    timed = [own.forward, own.backward, *copies]
    timed += [] if other is None else [other.forward, other.backward]
    timed += [] if peak is None else [peak]
    best = [inf] * len(timed)
    until, rounds = perf_counter() + seconds, 0
    while rounds < LEAST_ROUNDS or perf_counter() < until:
        rounds += 1
        for k, call in enumerate(timed):  # in turns: what disturbs one disturbs all
            start = perf_counter()
            call()
            best[k] = min(best[k], perf_counter() - start)
    shares: list[float | None] = [None, None]
    if peak is not None:
        speed = SIDE**3 / best[-1]
        shares = [
            work / best[k] / speed for k, work in enumerate((own.multiply_adds, own.backward_work))
        ]
    return LayerTimes(
        layer=type(layer).__name__,
        x=f"{x.dtype} {x.shape}",
        threads=get_num_threads(),
        forward=best[0],
        backward=best[1],
        forward_bandwidth=best[2] / best[0],
        backward_bandwidth=best[3] / best[1],
        forward_peak=shares[0],
        backward_peak=shares[1],
        beside=None if beside is None else type(beside).__name__,
        beside_forward=None if other is None else best[4],
        beside_backward=None if other is None else best[5],
        vector_bytes=min(widths.values()) if widths else None,
    )


class _Timed:
    """The passes of a layer over a batch, and what they must read and write."""

    def __init__(self, layer: Layer, x: Array) -> None:
        self.layer, self.x = layer, x
        y, self.cache = layer.forward(x, training=True)
        self.dy = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
        learned = sum(p.storage.nbytes for p in layer.parameters().values())
        self.nbytes = (x.nbytes + y.nbytes + learned, 2 * (x.nbytes + learned) + y.nbytes)
        self.multiply_adds = len(x) * layer.multiply_adds(x.shape[1:])
        self.backward_work = self.multiply_adds * (2 if learned else 1)

    def forward(self) -> None:
        _, self.cache = self.layer.forward(self.x, training=True)

    def backward(self) -> None:
        self.layer.backward(self.dy, self.cache)


def _copy(nbytes: int) -> Callable[[], None]:
    """Return a function that reads half of so many bytes and writes the other half.

    It is the kernel of ReLU, which is as fast as memory and uses the threads of kernels.
    """
    source = np.zeros(max(1, nbytes // 8), np.float32)
    target = np.zeros_like(source)
    return lambda: activation.forward(activation.relu, source, target, None)


def _product(dtype: np.dtype[Any]) -> Callable[[], None]:
    """Return a function that multiplies matrices, which is the fastest that kernels compute."""
    a, b = np.random.default_rng(2).standard_normal((2, SIDE, SIDE)).astype(dtype)
    c = np.empty_like(a)
    return lambda: gemm.gemm(a, b, c)


def nearest(layer: Layer, x: Array) -> Layer | None:
    """Return a built-in layer to compare with, which takes x and returns the same shape."""
    shape = layer.out_shape(x.shape[1:])
    names = [name for name in layers.__all__ if inspect.isclass(getattr(layers, name))]
    kinds = [getattr(layers, name) for name in names]
    candidates: list[Callable[[], Layer]] = []
    for base in type(layer).__mro__[1:]:
        if base in kinds and base is not Layer:
            settings = {name: getattr(layer, name) for name in inspect.signature(base).parameters}
            candidates.append(lambda base=base, settings=settings: base(**settings))  # type: ignore[misc]
    if not layer.parameters() and shape == x.shape[1:]:
        lower = {name.lower(): kind for name, kind in zip(names, kinds, strict=True)}
        own = type(layer).__name__.lower()
        near = [lower[name] for name in get_close_matches(own, lower, 3, NEAR) if name != own]
        candidates += [*near, layers.SiLU]
    elif len(shape) == 1 and x.ndim == 2:
        candidates.append(lambda: layers.Dense(shape[0]))
    for make in candidates:
        try:
            found = make()
            fits = found.out_shape(x.shape[1:]) == shape
        except (TypeError, ValueError):
            continue
        if fits and type(found) is not type(layer) and not isinstance(found, layers.Identity):
            return found
    return None


def vector_widths(kind: type) -> dict[str, int]:
    """Return the bytes of a vector in each compiled module of the package of a class, by its name.

    Modules that use no vectors of `cnn_core` are not among them.
    """
    package = kind.__module__.partition(".")[0]
    modules = {
        name: module
        for name, module in sys.modules.items()
        if package not in ("deepfs", "__main__") and f"{name}.".startswith(f"{package}.")
    }
    for value in vars(sys.modules[kind.__module__]).values():  # by deepfs.build.load
        if inspect.ismodule(value):
            modules.setdefault(value.__name__, value)
    found = {}
    for name, module in modules.items():
        path = getattr(module, "__file__", None) or ""
        if path.endswith(tuple(EXTENSION_SUFFIXES)) and not name.startswith("cnn_core."):
            width = _width_in(Path(path))
            if width is not None:
                found[name] = width
    return found


def _width_in(path: Path) -> int | None:
    """Return the width that ``simd.h`` has left as text in a compiled module."""
    text = re.search(rb"cnn_core vectors of (\d+) bytes", path.read_bytes())
    return int(text[1]) if text else None


def _warn_of_narrow_vectors(widths: dict[str, int]) -> None:
    core = _width_in(Path(activation.__file__)) or 0
    for name, width in widths.items():
        if width < core:
            warnings.warn(
                f"{name} has vectors of {width} bytes, the kernels of deepfs here {core}: build it "
                "with setup(**deepfs.build.setup_arguments(...)), see docs/extending.md",
                RuntimeWarning,
                stacklevel=3,
            )
