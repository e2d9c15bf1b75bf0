"""What a layer is. Read this file first.

Images are ``(n, c, h, w)`` wherever a person looks; the memory behind them is channels-last,
``(n, h, w, c)``, because every kernel vectorises over channels. `to_nhwc` and `to_nchw` go from
one to the other, and copy only what is not channels-last yet.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf, prod
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from cnn_core import transpose
from cnn_core.memory import Buffer

from .._check import array
from ..initializers import Initializer
from ..random import Random

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


def to_nhwc(x: Array) -> Array:
    """Return images ``(n, c, h, w)`` as C-contiguous ``(n, h, w, c)``; a copy only if needed."""
    last = x.transpose(0, 2, 3, 1)
    if last.flags.c_contiguous:
        return last
    if not (x.flags.c_contiguous and _typed(x)):
        return np.ascontiguousarray(last)
    n, c, h, w = x.shape
    y = empty((n, h, w, c), x.dtype)
    transpose.transpose(x.reshape(n, c, h * w), y.reshape(n, h * w, c))
    return y


def to_nchw(x: Array) -> Array:
    """Return a view of channels-last images with the axes people read: ``(n, c, h, w)``."""
    return x.transpose(0, 3, 1, 2)


def to_rows(x: Array) -> Array:
    """Return samples as rows ``(n, numbers)`` in the order people read; a copy only if needed."""
    if x.ndim == 2:
        return np.ascontiguousarray(x)
    if x.ndim == 4 and _typed(x) and not x.flags.c_contiguous:
        (n, c, h, w), last = x.shape, x.transpose(0, 2, 3, 1)
        if last.flags.c_contiguous:
            y = empty((n, c * h * w), x.dtype)
            transpose.transpose(last.reshape(n, h * w, c), y.reshape(n, c, h * w))
            return y
    return np.ascontiguousarray(x.reshape(len(x), prod(x.shape[1:])))


def _typed(x: Array) -> bool:
    """Return whether kernels take the numbers of ``x``."""
    return x.dtype.char in "fd" and x.dtype.isnative


def in_memory(x: Array) -> Array:
    """Return ``x`` C-contiguous, images channels-last: what an element-wise kernel runs over."""
    return to_nhwc(x) if x.ndim == 4 else np.ascontiguousarray(x)


def as_seen(x: Array) -> Array:
    """Return the result of a kernel that ran over `in_memory`, with the axes people read."""
    return to_nchw(x) if x.ndim == 4 else x


def empty(shape: Shape, dtype: DTypeLike) -> Array:
    """Return an array of arbitrary content; a large one on memory that an earlier one gave back."""
    count = prod(shape)
    if count < 2**13:
        try:
            return np.empty(shape, dtype)
        except ValueError:  # without entries, but its extents are beyond what NumPy counts in
            raise MemoryError(f"no memory for an array of shape {shape}") from None
    size = count * np.dtype(dtype).itemsize
    if size >= 2**63:
        raise MemoryError(f"no memory for an array of {size} bytes")
    buffer: Any = Buffer(size)
    return np.ndarray(shape, dtype, buffer)


def quiet() -> np.errstate:
    """Let numbers too large become infinite or NaN without a word: the loss will say it."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` if it is float32 or float64."""
    named = isinstance(dtype, str) and dtype in ("float32", "float64")
    try:  # NumPy knows more names, and of some of them it warns
        found = np.dtype(dtype if named or isinstance(dtype, (type, np.dtype)) else object)
    except (TypeError, ValueError):
        found = np.dtype(object)
    if found not in (np.float32, np.float64):
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    return found


def dtype_of(x: Array, who: str) -> np.dtype[Any]:
    """Return the dtype to compute with: float64 for float64, else float32; no numbers, no dtype."""
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{who} takes real numbers, got an array of {x.dtype}")
    return np.dtype(np.float64 if x.dtype.newbyteorder("=") == np.float64 else np.float32)


_building = threading.RLock()


class Changes:
    """Tells whether something has changed: ``last`` is a new object whenever it may have."""

    def __init__(self) -> None:
        self.last = object()


gradient_changes = Changes()
layer_changes = Changes()  # what layers are made of, and where their arrays lie


class Parameter:
    """A learned array, and the sum of its gradients since the last optimizer step.

    Parameters
    ----------
    value : array
        The first value.
    axes : tuple of int, optional
        Order of the axes in memory, where it is not the order people read: a convolution's
        ``(co, ci, kh, kw)`` lies as ``(kh, kw, ci, co)``, axes (2, 3, 1, 0).

    Notes
    -----
    ``memory`` and ``dmemory`` are what kernels read and write. A network's parameters share one
    buffer (see `deepfs.optimizers.Arena`), so assigning to ``value`` copies and never rebinds.

    Examples
    --------
    >>> p = Parameter(np.zeros((2, 3)))
    >>> p.value = np.ones((2, 3))
    >>> float(p.memory.sum())
    6.0
    """

    def __init__(self, value: Array, axes: tuple[int, ...] | None = None) -> None:
        self.axes = axes or tuple(range(value.ndim))
        self.memory: Array = np.array(value.transpose(self.axes), order="C")
        self.dmemory: Array = np.zeros_like(self.memory)

    def seen(self, memory: Array) -> Array:
        """Return a view of an array that lies like this parameter, with the axes people read."""
        return memory.transpose(np.argsort(self.axes))

    def move(self, memory: Array, dmemory: Array) -> None:
        """Go on living in these flat arrays, value and gradient kept."""
        layer_changes.last = object()
        np.copyto(memory.reshape(self.memory.shape), self.memory)
        if self.dmemory.any():  # new memory that nobody writes to is not there yet
            dmemory[:] = self.dmemory.reshape(-1)
        self.memory = memory.reshape(self.memory.shape)
        self.dmemory = dmemory.reshape(self.memory.shape)

    @property
    def value(self) -> Array:
        """The array itself, a view."""
        return self.seen(self.memory)

    @value.setter
    def value(self, new: ArrayLike) -> None:
        self._copy(new, self.value)

    @property
    def grad(self) -> Array:
        """The sum of gradients, a view with the axes of ``value``."""
        gradient_changes.last = object()  # who asks may write to it
        return self.seen(self.dmemory)

    @grad.setter
    def grad(self, new: ArrayLike) -> None:
        self._copy(new, self.grad)

    @staticmethod
    def _copy(new: ArrayLike, to: Array) -> None:
        if np.shape(new) != to.shape:
            raise ValueError(f"a parameter of shape {to.shape} cannot take {np.shape(new)}")
        to[...] = new

    def __repr__(self) -> str:
        return f"Parameter{self.value.shape} {self.memory.dtype}"


@dataclass(eq=False)
class Layer(ABC):
    """One step of a network, with its derivative.

    A layer is a dataclass whose fields are its settings, checked in ``__post_init__``. `_build`
    puts what it learns into ``self.learned`` and what it keeps besides into ``self.kept``. What
    `backward` needs of `forward` travels in the cache between them, so a layer may be used twice,
    nested, pickled, and called from many threads. Layers are final: combine them, do not inherit
    from them.

    Write one with `_out_shape`, `_forward`, `_backward`, and `_build` if it learns; prove it with
    `deepfs.testing.check_layer`.

    Parameters
    ----------
    name : str, optional
        What the layer is called in parameter names and messages.
    dtype : {"float32", "float64"}, optional
        Of parameters and results. By default that of the first input; float32 for integers.
    """

    name: str | None = field(default=None, kw_only=True)
    dtype: DTypeLike | None = field(default=None, kw_only=True)

    input_rank: ClassVar[tuple[int, ...] | None] = None  # axes of x, the batch included; None: any
    in_shape: ClassVar[Shape | None] = None  # it was built for, without the batch axis
    built_dtype: ClassVar[np.dtype[Any] | None] = None
    given_name: ClassVar[str | None] = None  # by its container
    # What a container may leave to a layer, so that it takes no pass of its own. At the end of
    # `_forward` and `_infer`: plus=array is added to y, then relu=True makes it max(y, 0). At the
    # end of `_backward`: plus=array is added to dx, then gate=True makes it 0 where x is not > 0.
    forward_ends: ClassVar[frozenset[str]] = frozenset()
    backward_ends: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        layer_changes.last = object()
        super().__setattr__(name, value)

    def __call__(self, x: ArrayLike) -> Array:
        """Return the output for the batch ``x``, as in inference."""
        return self._infer(self.prepare(x))

    def forward(self, x: ArrayLike, training: bool = False) -> tuple[Array, Any]:
        """Return the output for the batch ``x`` and the cache that `backward` will need."""
        y, cache = self._forward(self.prepare(x), training)
        return y, (y.shape, cache)

    def backward(self, dy: ArrayLike, cache: Any, need_dx: bool = True) -> Array | None:
        """Add to the gradient of each parameter; return the gradient of ``x`` if it is needed."""
        if self.built_dtype is None:
            raise RuntimeError(f"{self.label}.backward needs the cache of a forward, got none yet")
        shape, inner = cache
        if type(dy) is not np.ndarray or dy.dtype is not self.built_dtype:
            dy = array(dy, f"{self.label}.backward")
            dtype_of(dy, f"{self.label}.backward")
            dy = dy.astype(self.built_dtype, copy=False)
        if dy.shape != shape:
            raise ValueError(
                f"{self.label}.backward takes the gradient of an output {shape}, got {dy.shape}"
            )
        gradient_changes.last = object()
        return self._backward(dy, inner, need_dx)

    def prepare(self, x: ArrayLike) -> Array:
        """Return ``x`` as an array of the layer's dtype; build the layer if it is new."""
        if type(x) is np.ndarray and x.dtype is self.built_dtype and x.ndim > 0:
            return x  # as in every step but the first, so without a look at what else may come
        x = array(x, self.label)
        dtype = dtype_of(x, self.label)
        if x.ndim == 0:
            raise ValueError(f"{self.label} takes a batch, got a single number")
        if self.built_dtype is None:
            with _building:  # the first input may come from several threads at once
                if self.built_dtype is None:
                    self.build(x.shape[1:], dtype)
        return x.astype(self.built_dtype, copy=False)

    def build(self, in_shape: Shape, dtype: DTypeLike = np.float32) -> None:
        """Make the parameters for inputs of ``in_shape``, the batch axis left out."""
        wanted = float_dtype(dtype if self.dtype is None else self.dtype)
        check_name(self)
        self.out_shape(tuple(in_shape))
        self.learned: dict[str, Parameter] = {}
        self.kept: dict[str, Array] = {}
        try:
            self._build(tuple(in_shape), wanted)
        except MemoryError as error:
            raise MemoryError(f"{self.label}: {error}") from None
        vars(self).update(in_shape=tuple(in_shape), built_dtype=wanted)

    @property
    def label(self) -> str:
        """How messages call this layer: its kind, and its name if it has one."""
        name = self.name if isinstance(self.name, str) and self.name else self.given_name
        return f'{type(self).__name__} "{name}"' if name else type(self).__name__

    def parameters(self) -> dict[str, Parameter]:
        """Return what this layer learns, by name."""
        return {} if self.built_dtype is None else dict(self.learned)

    def buffers(self) -> dict[str, Array]:
        """Return what this layer keeps and saves but does not learn: training forwards move it."""
        return {} if self.built_dtype is None else dict(self.kept)

    def algorithm_for(self, in_shape: Shape) -> str:
        """Return how a built layer computes where there is a choice, for the eye; else "-"."""
        return "-"

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of the output for an input of ``in_shape``, both without the batch axis.

        Raises
        ------
        ValueError
            If the layer cannot take such an input.
        """
        if self.input_rank is not None and len(in_shape) + 1 not in self.input_rank:
            ranks = " or ".join(map(str, self.input_rank))
            got = ", ".join(map(str, ("n", *in_shape)))
            raise ValueError(f"{self.label} takes {ranks} dimensional input, got shape ({got})")
        return self._out_shape(in_shape)

    def check_shape(self, x: Array) -> None:
        """Raise ValueError if the layer cannot take ``x``; what it was built for it can."""
        if x.shape[1:] != self.in_shape:
            self.out_shape(x.shape[1:])

    def check_training(self, shape: Shape) -> None:  # noqa: B027
        """Raise ValueError if the layer takes a batch of ``shape``, but not in training.

        A container asks its parts, so that all refuse before the buffers of one have moved.
        """

    @abstractmethod
    def _out_shape(self, in_shape: Shape) -> Shape:
        """Do the work of `out_shape`; the rank has been checked."""

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:  # noqa: B027
        """Do the work of `build`; a layer that learns nothing leaves it as it is."""

    @abstractmethod
    def _forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        """Do the work of `forward` on an ``x`` of the right dtype; check its shape."""

    @abstractmethod
    def _backward(self, dy: Array, cache: Any, need_dx: bool) -> Array | None:
        """Do the work of `backward`."""

    def _infer(self, x: Array) -> Array:
        """Return the output alone, where that can be had for less."""
        return self._forward(x, False)[0]


class Allowance(threading.local):
    """How many bytes layers may take for what they learn and keep; inf but in `allowed`."""

    left = inf

    def take(self, shape: Shape, dtype: DTypeLike) -> None:
        """Count an array that is about to be made.

        Raises
        ------
        ValueError
            If it is larger than what is left.
        """
        nbytes = prod(shape) * np.dtype(dtype).itemsize
        if nbytes > self.left:
            raise ValueError(f"the layers take arrays of {shape} and more, there are no such data")
        self.left -= nbytes


allowance = Allowance()


@contextmanager
def allowed(nbytes: int) -> Iterator[None]:
    """Build layers for values that are at hand, so many bytes; an `Arena` must then hold them."""
    allowance.left = nbytes
    try:
        yield
    finally:
        allowance.left = inf


def constant(value: float, shape: Shape, dtype: DTypeLike) -> Array:
    """Return a new array for a layer to learn or to keep."""
    allowance.take(shape, dtype)
    return np.full(shape, value, dtype)


def check_name(layer: Layer) -> None:
    """Raise TypeError if a layer has a name that is no string."""
    if not isinstance(layer.name, str | None):
        raise TypeError(f"the name of a layer must be a str, got {layer.name!r}")


def new_parameter(
    initializer: Initializer,
    shape: Shape,
    dtype: np.dtype[Any],
    axes: tuple[int, ...] | None = None,
) -> Parameter:
    """Return a parameter with its first value, drawn from a new random stream."""
    allowance.take(shape, dtype)
    if allowance.left < inf:
        parameter = Parameter(np.zeros((0,) * len(shape), dtype), axes)
        lies = [shape[axis] for axis in parameter.axes]  # one 0 seen everywhere, until it moves
        parameter.memory = parameter.dmemory = np.broadcast_to(np.zeros((), dtype), lies)
        return parameter
    value = np.asarray(initializer(shape, Random()))
    if value.shape != shape:
        raise ValueError(f"{initializer} must return an array of shape {shape}, got {value.shape}")
    return Parameter(value.astype(dtype), axes)
