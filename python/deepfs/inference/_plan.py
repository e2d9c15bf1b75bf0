"""Plans: how a network runs on small batches of one shape, with all memory made before.

For one image, the Python around the kernels takes longer than many kernels: layers check shapes,
make arrays and work out windows. A plan does that once, for one shape of the inputs. It is a list
of kernels with their arguments, arrays that each call uses again; the weights of Winograd's
convolutions are transformed once for all plans. The kernels and their arguments are those of the
layers' own `_infer`, so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from cnn_core import add, batch_norm, conv, dense, pool, transpose

from .. import config
from .._arrays import Array, Shape, channels_first, empty, logical
from ..layers import (
    BatchNorm,
    Checkpoint,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    MaxPool2D,
    Residual,
    Sequential,
)
from ..layers._container import Container
from ..layers._fusion import PLAIN, Epilogue
from ..layers.pool import max_window

AT_ONCE = 256  # samples of arrays, here and in `Model.predict`: the bits depend on it
MOST_BYTES = 2**22  # of the arrays of a plan: beyond, kernels take all the time
MOST_SHAPES = 16  # with plans: each keeps its memory
PLANNED = Sequential._infer  # another function while `deepfs.use_reference` is open

Step = tuple[Callable[..., Any], tuple[Any, ...]]  # a function and its arguments


class NoPlanError(Exception):
    """Raised for a network or a shape that gets no plan."""


class Plan:
    """The kernels of a network for inputs of one shape; one thread at a time runs it."""

    __slots__ = ("finite", "flat", "output", "steps", "x")

    def __init__(self, network: Sequential, shape: Shape, transformed: dict[int, Array]) -> None:
        planner = Planner(np.dtype(network.built_dtype), transformed)
        self.x = planner.array(shape)
        self.flat = self.x.reshape(-1)
        self.finite = np.empty(self.flat.shape, np.bool_)
        self.output = planner.plan(network, self.x, PLAIN)
        self.steps: list[Step] = planner.steps

    def run(self, x: Array) -> Array | None:
        """Return the outputs, a new array; None if an input is not finite."""
        np.copyto(self.x, x)
        np.isfinite(self.flat, self.finite)
        if np.count_nonzero(self.finite) < self.finite.size:  # faster than `all`
            return None
        for kernel, arguments in self.steps:
            kernel(*arguments)
        return self.output.copy()


class Plans:
    """The plans of a network, by the shape of the inputs; for any number of threads."""

    __slots__ = ("_dtype", "_idle", "_network", "_transformed", "_winograd")

    def __init__(self, network: Layer) -> None:
        self._network, self._dtype = network, network.built_dtype
        self._clear()

    def _clear(self) -> None:
        self._winograd = config.winograd
        self._transformed: dict[int, Array] = {}  # weights of convolutions by id
        self._idle: dict[Shape, list[Plan] | None] = {}  # None: a shape without a plan

    def run(self, x: Array) -> Array | None:
        """Return the outputs; None if there is no plan, or ``x`` is not finite."""
        if x.dtype is not self._dtype or Sequential._infer is not PLANNED:
            return None
        if config.winograd is not self._winograd:
            self._clear()
        idle = self._idle.get(x.shape)
        if idle is None:
            idle = self._first(x.shape)
            if idle is None:
                return None
        try:
            plan = idle.pop()  # another thread may have taken the last one
        except IndexError:
            plan = None  # made below: an error there is no consequence of this one
        if plan is None:
            plan = self._made(x.shape)
        y = plan.run(x)
        idle.append(plan)
        return y

    def _first(self, shape: Shape) -> list[Plan] | None:
        """Return the plans of a new shape; None if it gets none."""
        if (
            shape in self._idle
            or type(self._network) is not Sequential
            or shape[1:] != self._network.in_shape
            or not 1 <= shape[0] <= AT_ONCE
            or len(self._idle) >= MOST_SHAPES
        ):
            return None
        try:
            found: list[Plan] | None = [self._made(shape)]
        except NoPlanError:
            found = None
        return self._idle.setdefault(shape, found)

    def _made(self, shape: Shape) -> Plan:
        return Plan(self._network, shape, self._transformed)  # type: ignore[arg-type]


class Planner:
    """Makes the steps of a plan. Its methods return the logical output of a layer."""

    def __init__(self, dtype: np.dtype[Any], transformed: dict[int, Array]) -> None:
        self.dtype, self.transformed = dtype, transformed
        self.steps: list[Step] = []
        self.left = MOST_BYTES

    def array(self, shape: Shape) -> Array:
        """Return an array that stays; raise NoPlanError if they take too much memory."""
        self.left -= prod(shape) * self.dtype.itemsize
        if self.left < 0:
            raise NoPlanError
        return empty(shape, self.dtype)

    def add(self, kernel: Callable[..., Any], *arguments: Any) -> None:
        """Add a step. A kernel for both dtypes is one for this dtype from now on."""
        kinds = getattr(kernel, "__signatures__", None)
        if kinds is not None:
            kernel = kinds["float" if self.dtype == np.float32 else "double"]
        self.steps.append((kernel, arguments))

    def plan(self, part: Layer, x: Array, end: Epilogue) -> Array:
        """Plan a layer with what it does at its end; return its output."""
        known = PLANS.get(type(part))
        if known is not None:
            return known(self, part, x, end)
        if isinstance(part, Container):  # what its parts do would be copied once more
            raise NoPlanError
        return self.unplanned(part, x, end)

    def unplanned(self, part: Layer, x: Array, end: Epilogue) -> Array:
        """Run a layer as it is, and copy its output to where the next one expects it."""
        y = self.array((len(x), *part.out_shape(x.shape[1:])))
        self.add(infer_into, part, x, end, y)
        return y

    def last(self, x: Array) -> Array:
        """Return ``x`` channels-last, as `channels_last` does."""
        made = x.transpose(0, 2, 3, 1)
        if not made.flags.c_contiguous:
            made, (n, c, h, w) = self.array(made.shape), x.shape
            self.add(transpose.transpose, x.reshape(n, c, h * w), made.reshape(n, h * w, c))
        return made

    def physical(self, x: Array) -> Array:
        """Return ``x`` C-contiguous, images channels-last, as `physical` of ``_arrays`` does."""
        if x.ndim == 4:
            return self.last(x)
        if not x.flags.c_contiguous:  # a copy made now would not change with ``x``
            raise NoPlanError
        return x

    def rows(self, x: Array) -> Array:
        """Return samples as rows, as `flat_rows` does."""
        if x.flags.c_contiguous:
            return x.reshape(len(x), -1)
        if x.ndim != 4:
            raise NoPlanError
        n, c, h, w = x.shape
        y = self.array((n, c * h * w))
        self.add(transpose.transpose, x.transpose(0, 2, 3, 1).reshape(n, h * w, c),
                 y.reshape(n, c, h * w))  # fmt: skip
        return y


def infer_into(part: Layer, x: Array, end: Epilogue, y: Array) -> None:
    """Write the output of a layer to ``y``."""
    np.copyto(y, part._infer(x) if end is PLAIN else part._infer(x, end))


def plan_sequential(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    *steps, last = part._planned().inference
    for step in steps:
        x = planner.plan(step.part, x, step.end)
    return planner.plan(last.part, x, last.end if last.end is not PLAIN else end)


def plan_dense(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    rows, y = planner.rows(x), planner.array((len(x), part.units))
    bias = part.learned["bias"].storage if part.bias else None
    planner.add(dense.dense_forward, rows, part.learned["weight"].storage, bias, y, end.relu)
    return y


def plan_conv(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    place = part._place(*x.shape[2:])
    last, weight = planner.last(x), part.learned["weight"].storage
    y = planner.array((len(x), place.oh, place.ow, part.filters))
    bias = part.learned["bias"].storage if part.bias else None
    if part.algorithm_for(x.shape[1:]) == "winograd":
        known = planner.transformed.get(id(weight))
        if known is None:
            known = np.empty(conv.transformed_length(*weight.shape[2:]), np.float32)
            conv.transform_weight(weight, known)
            planner.transformed[id(weight)] = known
        planner.add(conv.conv2d_transformed, last, known, bias, y, place.top, place.left, end.relu)
    else:
        planner.add(conv.conv2d_forward, last, weight, bias, y, *part._window(place), end.relu)
    return channels_first(y)


def plan_max_pool(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    place, last = part._place(*x.shape[2:]), planner.last(x)
    y = planner.array((len(x), place.oh, place.ow, x.shape[1]))
    planner.add(pool.max_pool2d_forward, last, y, None, *max_window(place))
    return channels_first(y)


def plan_residual(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    past = x if part.shortcut is None else planner.plan(part.shortcut, x, PLAIN)
    if "residual" in part.body.fuses_forward:
        return planner.plan(part.body, x, end._replace(residual=past))
    a, b = planner.physical(planner.plan(part.body, x, PLAIN)), planner.physical(past)
    y = planner.array(a.shape)
    planner.add(add.add, a.reshape(-1), b.reshape(-1), y.reshape(-1), end.relu)
    return logical(y)


def plan_checkpoint(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    return planner.plan(part.body, x, end)


def plan_batch_norm(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    if x.ndim == 3:
        return planner.unplanned(part, x, end)
    last, c = planner.physical(x), x.shape[1]
    past = None if end.residual is None else planner.physical(end.residual).reshape(-1, c)
    y = planner.array(last.shape)
    planner.add(batch_norm.batch_norm_forward, last.reshape(-1, c), *part._running_statistics(),
                *part._affine(planner.dtype), y.reshape(-1, c), end.relu, past)  # fmt: skip
    return logical(y)


def plan_flatten(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    return planner.rows(x)


def plan_nothing(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    return x


def plan_dropout(planner: Planner, part: Any, x: Array, end: Epilogue) -> Array:
    if part.scaling == "train":
        return x
    return planner.unplanned(part, x, end)


PLANS: dict[type[Layer], Callable[[Planner, Any, Array, Epilogue], Array]] = {
    BatchNorm: plan_batch_norm,
    Checkpoint: plan_checkpoint,
    Conv2D: plan_conv,
    Dense: plan_dense,
    Dropout: plan_dropout,
    Flatten: plan_flatten,
    Identity: plan_nothing,
    MaxPool2D: plan_max_pool,
    Residual: plan_residual,
    Sequential: plan_sequential,
}
