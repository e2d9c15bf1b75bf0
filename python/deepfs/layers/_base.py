"""What a layer is. Read this file first; then `dense.py`, the simplest layer with weights.

A layer computes y = f(x) for a batch x. In backward, it computes from dy, the gradient of the loss
with respect to y, the gradient dx with respect to x, and adds the gradients of its weights to sums
that are kept beside the weights. Three rules hold for every layer:

- `forward` returns what `backward` needs of it, as a cache. Nothing is kept on the layer.
- The first input decides the shapes and the dtype of the weights: it *builds* the layer.
- The public methods check; the hooks, whose names begin with an underscore, compute.

Where the weights themselves live: `_parameter.py`. How a setting is checked when it is assigned:
``deepfs/_settings.py``. Layers made of layers: `_container.py`.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._arrays import Array, FixedDict, Shape, dtype_of, float_dtype
from .._check import array
from .._trees import is_shape, map_shapes
from . import _parameter, _symbolic
from ._axes import wrong_rank
from ._fusion import PLAIN, Epilogue
from ._state import Budget, Stateful, check_name

_building = threading.RLock()  # one for all layers: a container builds its parts


@dataclass(eq=False)
class Layer(Stateful):
    """Base class of layers: one step of a network, with its derivative.

    A layer is a dataclass whose fields are its settings, checked in ``__post_init__``. Because the
    cache carries what `backward` needs, a layer may be used twice, nested, pickled, and called from
    many threads. Built-in layers are final: combine them, do not inherit from them.

    **Extension points.** A layer defines these hooks; their names are stable, and so are those of
    what they call: `add_parameter`, `add_buffer`, `check_shape`, the functions of `deepfs.layers`.

    ``_out_shape(in_shape)``
        Return the output shape, both without the batch axis; raise ValueError for a wrong one.
    ``_build(in_shape, dtype)``
        Make parameters and buffers with `add_parameter` and `add_buffer`. Default: none.
    ``_forward(x, training)``
        Return the output for ``x``, an array of the layer's dtype, and a cache of any type. Never
        write to ``x``. If ``self.fixed``, keep the buffers as they are.
    ``_backward(dy, cache, need_dx)``
        Add to ``dstorage`` of each parameter. Return dx, a new array, or None if ``need_dx`` is
        False. Never write to ``dy``.

    Then run `deepfs.testing.check_layer`. ``docs/add_a_layer.md`` shows it step by step.

    Parameters
    ----------
    name : str, optional
        Name of the layer in parameter names and messages.
    dtype : {"float32", "float64"}, optional
        dtype of parameters and outputs. By default that of the first input; float32 for integers.

    Attributes
    ----------
    learned : dict of Parameter
        The layer's own parameters by name, without those of its parts. Made by `_build`.
    buffered : dict of array
        The layer's own buffers by name: arrays that are saved, but not learned.
    fixed : bool
        True while the layer is frozen, also by a `deepfs.optimizers.Group`.
    changeable : frozenset of str
        Class attribute: settings that may be assigned after `_build` has made arrays.
    input_rank : tuple of int or None
        Class attribute: numbers of axes that ``x`` may have, the batch included. None: any.
    fuses_forward, fuses_backward : frozenset of str
        Class attributes: fields of `Epilogue` that `_forward` and `_backward` take as ``end``.

    Examples
    --------
    >>> class Scale(Layer):
    ...     def _out_shape(self, in_shape):
    ...         return in_shape
    ...     def _build(self, in_shape, dtype):
    ...         self.add_parameter("factor", (1,), dtype, "ones")
    ...     def _forward(self, x, training):
    ...         return self.learned["factor"].value * x, x
    ...     def _backward(self, dy, cache, need_dx):
    ...         factor = self.learned["factor"]
    ...         factor.dstorage += (dy * cache).sum()
    ...         return factor.value * dy if need_dx else None
    >>> Scale()(np.array([[1.0, 2.0]]))
    array([[1., 2.]])
    """

    name: str | None = field(default=None, kw_only=True)
    dtype: DTypeLike | None = field(default=None, kw_only=True)

    input_rank: ClassVar[tuple[int, ...] | None] = None
    fuses_forward: ClassVar[frozenset[str]] = frozenset()
    fuses_backward: ClassVar[frozenset[str]] = frozenset()
    in_shape: ClassVar[Shape | None] = None  # input shape it was built for, without the batch axis
    _once: ClassVar[bool] = False  # one backward uses the caches of its parts once

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "_backward" in vars(cls):  # it may do otherwise than that of its base
            cls._once = vars(cls).get("_once", False)

    def __call__(self, x: Any) -> Any:
        """Return the output for the batch ``x`` in inference mode; see `Input` for a tensor."""
        if type(x) is not np.ndarray and _symbolic.is_symbolic(x):
            return _symbolic.record(self, x)
        return self._infer(self.prepare(x))

    def forward(self, x: ArrayLike, training: bool = False) -> tuple[Array, Any]:
        """Return the output for the batch ``x``, and the cache that `backward` needs."""
        y, cache = self._forward(self.prepare(x), training)
        return y, (y.shape, cache)

    def backward(self, dy: ArrayLike, cache: Any, need_dx: bool = True) -> Array | None:
        """Add to the gradient of each parameter; return dx, or None if ``need_dx`` is False."""
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
        _parameter.gradients.change()
        return self._backward(dy, inner, need_dx)

    # The hooks: what a layer defines. Layers that fuse take ``end: Epilogue = PLAIN`` as well; to
    # type checkers, ``*end: Any, **more: Any`` admits both signatures.

    @abstractmethod
    def _out_shape(self, in_shape: Shape) -> Shape:
        """Return the output shape, without the batch axis; raise ValueError for a wrong input."""

    def _build(self, in_shape: Shape, dtype: np.dtype[Any]) -> None:
        """Make parameters and buffers with `add_parameter` and `add_buffer`."""

    @abstractmethod
    def _forward(self, x: Array, training: bool, *end: Any, **more: Any) -> tuple[Array, Any]:
        """Return the output for ``x`` of the layer's dtype, and a cache. Never write to ``x``."""

    @abstractmethod
    def _backward(
        self, dy: Array, cache: Any, need_dx: bool, *end: Any, **more: Any
    ) -> Array | None:
        """Add to ``dstorage`` of each parameter; return dx, a new array, or None if not needed."""

    def _infer(self, x: Array, end: Epilogue = PLAIN) -> Array:
        """Return the output alone. A layer that can compute it faster overrides this."""
        if end is PLAIN:
            return self._forward(x, False)[0]
        return self._forward(x, False, end)[0]

    # Building: the first input decides shapes and dtype.

    def prepare(self, x: ArrayLike) -> Array:
        """Return ``x`` as an array of the layer's dtype; build the layer if it is new."""
        if type(x) is np.ndarray and x.dtype is self.built_dtype and x.ndim > 0:
            return x  # the fast path, of all steps but the first
        x = array(x, self.label)
        dtype = dtype_of(x, self.label)
        if x.ndim == 0:
            raise ValueError(f"{self.label} takes a batch, got a single number")
        if self.built_dtype is None:
            with _building:  # the first input may come from several threads at once
                if self.built_dtype is None:
                    self.build(x.shape[1:], dtype)
        return x.astype(self.built_dtype, copy=False)

    def build(
        self, in_shape: Shape, dtype: DTypeLike = np.float32, budget: Budget | None = None
    ) -> None:
        """Make parameters and buffers for inputs of ``in_shape``, without the batch axis.

        `deepfs.load` passes a ``budget``, which limits the memory; parameters then stay blank until
        they are read from the file.
        """
        wanted = float_dtype(dtype if self.dtype is None else self.dtype)
        in_shape = map_shapes(tuple, in_shape)
        self.out_shape(in_shape)
        with self._making_arrays(budget):
            self._build(in_shape, wanted)
        for parameter in self.learned.values():
            parameter._frozen = self._frozen
        vars(self).update(learned=FixedDict(self.learned), buffered=FixedDict(self.buffered))
        vars(self).update(in_shape=in_shape, built_dtype=wanted)
        _parameter.structure.change()

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of the output for an input of ``in_shape``, both without the batch axis.

        Raises
        ------
        ValueError
            If the layer cannot take such an input.
        """
        if not is_shape(in_shape):
            raise ValueError(f"{self.label} takes one input, got {len(in_shape)}: Concat them")
        if self.input_rank is not None and len(in_shape) + 1 not in self.input_rank:
            raise wrong_rank(type(self).__name__, self.label, self.input_rank, in_shape)
        return self._out_shape(in_shape)

    def check_shape(self, x: Array) -> None:
        """Raise ValueError if the layer cannot take ``x``."""
        if x.shape[1:] != self.in_shape:  # the shape it was built for was checked then
            self.out_shape(x.shape[1:])

    def check_training(self, shape: Shape) -> None:
        """Raise ValueError if the layer cannot train on a batch of ``shape``.

        A container asks all its parts before any of them runs, so no buffer changes in vain.
        """

    def algorithm_for(self, in_shape: Shape, pass_name: str = "forward") -> str:
        """Return how a built layer computes a pass, see `Conv2D`; "-" if it has no choice."""
        return "-"

    def multiply_adds(self, in_shape: Shape) -> int:
        """Return the multiply-adds of the forward pass of one sample, as textbooks count them."""
        return 0

    def _check_made(self) -> None:
        check_name(self)
        if self.dtype is not None:
            float_dtype(self.dtype)

    def _check_change(self, name: str) -> None:
        self._refuse_change(name)
        self._check_made()
        if self.in_shape is not None and self.built_dtype is not None:
            if self.learned or self.buffered:
                self.out_shape(self.in_shape)
            else:  # there are no arrays to lose: build again, with all checks
                self.build(self.in_shape, self.built_dtype)

    def _changed(self, name: str) -> None:
        _parameter.structure.change()
