"""Checks that any layer, loss or optimizer must pass. Run them on your own.

Gradients are compared with central differences in float64, h = 6e-6 max(1, abs(x)), along every
entry or a seeded sample of them: they must agree to 1e-7 + 1e-6 max(abs(analytic), abs(numeric)),
and may not all be zero. Inputs are yours: keep them away from kinks, such as ties under a maximum.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from cnn_core import threads as kernel_threads

from ._arrays import Array
from .config import threads
from .layers import Layer
from .losses import Loss
from .optimizers import Optimizer

__all__ = ["check_gradient", "check_layer", "check_loss", "check_optimizer"]

SAMPLES = 100  # entries of an array that are moved, where it has more


def check_gradient(
    function: Callable[[Array], float],
    x: Array,
    gradient: Array,
    name: str = "x",
    seed: int = 0,
) -> None:
    """Compare a gradient with central differences.

    Parameters
    ----------
    function : callable
        Of an array like ``x``, to one number.
    x : array of float64
        Where. It is moved in place, entry by entry, and restored.
    gradient : array like x
        What is checked.
    name : str
        What messages call the array.
    seed : int
        Of the sample of entries, where there are more than 100.

    Raises
    ------
    AssertionError
        If an entry differs; the message names array, index and both numbers.

    Examples
    --------
    >>> x = np.array([1.0, 2.0])
    >>> check_gradient(lambda a: float((a**2).sum()), x, 2 * x)
    """
    assert x.dtype == np.float64, f"{name} must be float64 to be checked, got {x.dtype}"
    assert gradient.shape == x.shape, f"the gradient of {name} has shape {gradient.shape}"
    picked = np.arange(x.size)
    if x.size > SAMPLES:
        picked = np.sort(np.random.default_rng(seed).choice(x.size, SAMPLES, replace=False))
    for i in picked:
        at = np.unravel_index(i, x.shape)
        before = x[at]
        h = 6e-6 * max(1.0, abs(before))
        x[at] = before + h
        up = function(x)
        x[at] = before - h
        down = function(x)
        x[at] = before
        numeric, analytic = (up - down) / (2 * h), float(gradient[at])
        allowed = 1e-7 + 1e-6 * max(abs(analytic), abs(numeric))
        index = tuple(map(int, at))
        assert abs(analytic - numeric) <= allowed, (
            f"the gradient of {name} at {index} is {analytic:.9g}, by differences {numeric:.9g}"
        )


def check_layer(layer: Layer, x: Any, training: bool = True, seed: int = 0) -> None:
    """Check that a layer keeps the contract of `Layer` at ``x``.

    Parameters
    ----------
    layer : Layer
        It is copied, and stays as it is.
    x : array (n, ...)
        An input with at least two samples, away from kinks.
    training : bool
        Check the forward of training, or that of inference.
    seed : int
        Of the output gradient, and of samples of entries.

    Raises
    ------
    AssertionError
        If a gradient is wrong; if all are zero; if forward or backward change their arguments, or
        anything of the layer but gradients and `Layer.buffers`; if the result depends on the
        memory layout of the input, the number of threads, a copy or a pickle of the layer; if
        float32 is not close to float64; if a batch of none or one fails.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> check_layer(L.Dense(3), np.random.default_rng(0).standard_normal((4, 5)))
    """
    x = np.array(x, np.float64)
    fresh = copy.deepcopy(layer)
    vars(fresh)["dtype"] = None
    fresh.build(x.shape[1:], np.float64)
    run = _Run(fresh, training)
    y, _ = run.forward(x)
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    result = run.both(x, dy)
    _check_gradients(run, x, dy, result, seed)
    _check_arguments(run, x, dy, result)
    _check_copies(run, x, dy, result)
    for n in (1, 2, 3, 4):
        with any_work_on(n):
            _equal(run.both(x, dy), result, f"with {n} threads")
    _check_batches(run, x)
    single = copy.deepcopy(layer)
    vars(single)["dtype"] = None
    single.build(x.shape[1:], np.float32)
    for name, parameter in single.parameters().items():
        parameter.value = fresh.parameters()[name].value
    for name, buffer in single.buffers().items():
        buffer[...] = run.buffers[name]
    for name, got in _Run(single, training).both(x.astype(np.float32), dy).items():
        if name.startswith("buffer"):
            continue
        assert got.dtype == np.float32, f"float32 gave {name} of {got.dtype}"
        size = max(1.0, float(np.abs(result[name]).max(initial=0)))
        assert_allclose(got, result[name], rtol=0, atol=2e-5 * size, err_msg=f"float32: {name}")


@contextmanager
def any_work_on(n: int) -> Iterator[None]:
    """Use ``n`` threads inside a ``with`` block, for arrays of any size."""
    before = kernel_threads.get_break_even()
    kernel_threads.set_break_even(0.0)
    try:
        with threads(n):
            yield
    finally:
        kernel_threads.set_break_even(before)


class _Run:
    """A layer whose buffers are put back before every forward, so that each run is the same."""

    def __init__(self, layer: Layer, training: bool) -> None:
        self.layer, self.training = layer, training
        self.buffers = {name: buffer.copy() for name, buffer in layer.buffers().items()}

    def forward(self, x: Any) -> tuple[Array, Any]:
        for name, buffer in self.layer.buffers().items():
            buffer[...] = self.buffers[name]
        return self.layer.forward(x, training=self.training)

    def both(self, x: Any, dy: Any, need_dx: bool = True) -> dict[str, Array]:
        """Return output, gradients and buffers of one forward and backward."""
        for parameter in self.layer.parameters().values():
            parameter.grad = np.zeros(parameter.value.shape)
        y, cache = self.forward(x)
        dx = self.layer.backward(dy, cache, need_dx=need_dx)
        out = {"y": y.copy()}
        if dx is not None:
            out["dx"] = dx.copy()
        out |= {f"d {name}": p.grad.copy() for name, p in self.layer.parameters().items()}
        for name, buffer in self.layer.buffers().items():
            out[f"buffer {name}"] = buffer.copy()
            if not self.training:
                assert_array_equal(
                    buffer, self.buffers[name], err_msg=f"inference changed the buffer {name}"
                )
        return out


def _equal(got: dict[str, Array], wanted: dict[str, Array], when: str) -> None:
    assert got.keys() == wanted.keys(), f"{when} there are {sorted(got)}, not {sorted(wanted)}"
    for name in wanted:
        assert_array_equal(got[name], wanted[name], err_msg=f"{name} differs {when}")


def _check_gradients(run: _Run, x: Array, dy: Array, result: dict[str, Array], seed: int) -> None:
    def objective(_: Array) -> float:
        return float(np.vdot(run.forward(x)[0], dy))

    assert result["dx"].shape == x.shape, f"dx has shape {result['dx'].shape}, x {x.shape}"
    gradients = {name: g for name, g in result.items() if name[0] == "d"}
    assert any(g.any() for g in gradients.values()), "all gradients are zero"
    check_gradient(objective, x, result["dx"], "x", seed)
    for name, parameter in run.layer.parameters().items():
        check_gradient(objective, parameter.value, result[f"d {name}"], name, seed)


def _check_arguments(run: _Run, x: Array, dy: Array, result: dict[str, Array]) -> None:
    """Check that inputs of every layout give the same bits, and are left as they are."""
    given_x, given_dy = x.copy(), dy.copy()
    given_x.flags.writeable = given_dy.flags.writeable = False
    _equal(run.both(given_x, given_dy), result, "for read-only arrays")
    assert_array_equal(given_x, x, err_msg="forward or backward changed x")
    assert_array_equal(given_dy, dy, err_msg="forward or backward changed dy")
    for how, variant in _layouts(x):
        _equal(run.both(variant, dy), result, f"for {how}")


def _layouts(x: Array) -> Iterator[tuple[str, Array]]:
    """Yield the numbers of ``x`` as they may lie in memory, and how that is called."""
    strided = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]
    strided[...] = x
    yield "an input with gaps", strided
    reverse = (slice(None, None, -1),) * x.ndim
    yield "negative strides", x[reverse].copy()[reverse]
    yield "the other byte order", x.astype(x.dtype.newbyteorder())
    if x.ndim == 4:
        yield "a channels-last input", np.ascontiguousarray(
            x.transpose(0, 2, 3, 1)
        ).transpose(0, 3, 1, 2)  # fmt: skip


def _check_copies(run: _Run, x: Array, dy: Array, result: dict[str, Array]) -> None:
    before = _state(run.layer)
    run.both(x / 2, dy)
    assert _state(run.layer) == before, "forward or backward changed the layer beyond buffers()"
    for how, twin in (
        ("of a copy", copy.deepcopy(run.layer)),
        ("of a pickle", pickle.loads(pickle.dumps(run.layer))),
    ):
        again = _Run(twin, run.training)
        again.buffers = run.buffers
        _equal(again.both(x, dy), result, how)
    without = run.both(x, dy, need_dx=False)
    without.pop("dx", None)  # a layer may compute it all the same
    _equal(without, {k: v for k, v in result.items() if k != "dx"}, "without dx")
    if run.layer.parameters():
        run.layer.backward(dy, run.forward(x)[1])
        for name, parameter in run.layer.parameters().items():
            twice = 2 * result[f"d {name}"]
            assert_allclose(parameter.grad, twice, rtol=1e-9, atol=1e-12,
                            err_msg=f"the gradient of {name} is not added up")  # fmt: skip


def _state(layer: Layer) -> bytes:
    """Return everything a layer is, gradients and buffers left out, in a form to compare."""
    twin = copy.deepcopy(layer)
    for parameter in twin.parameters().values():
        parameter.grad = np.zeros(parameter.value.shape)
    for buffer in twin.buffers().values():
        buffer[...] = 0
    return pickle.dumps(twin)


def _check_batches(run: _Run, x: Array) -> None:
    y, cache = run.forward(x[:0])
    empty = run.layer.backward(np.zeros(y.shape), cache)
    assert empty is not None, "an empty batch gave no dx"
    assert empty.shape == x[:0].shape, f"an empty batch gave dx of shape {empty.shape}"
    one = run.layer(x[:1])
    assert_allclose(
        one, run.layer(x)[:1], rtol=1e-9, atol=1e-12, err_msg="a batch of one differs in inference"
    )


def check_loss(
    loss: Loss, outputs: Any, targets: Any, sample_weight: Any = None, seed: int = 0
) -> None:
    """Check that a loss keeps the contract of `Loss` at ``outputs`` and ``targets``.

    Parameters
    ----------
    loss : Loss
        With any reduction; it stays as it is.
    outputs : array (n, ...)
        Of at least one sample, away from kinks.
    targets : array (n, ...)
        What the loss takes for them.
    sample_weight : array, optional
        Weights of the samples.
    seed : int
        Of the upstream gradient, and of samples of entries.

    Raises
    ------
    AssertionError
        If the gradient is wrong or zero; if ``upstream`` does not scale it; if the loss or an
        argument changes; if the result depends on the memory layout of an argument, the number of
        threads, a copy or a pickle of the loss; if float32 is not close to float64; if a batch of
        none or one fails.

    Examples
    --------
    >>> from deepfs.losses import CrossEntropy
    >>> check_loss(CrossEntropy(), np.random.default_rng(0).random((3, 4)), np.array([0, 3, 1]))
    """
    x, t = np.array(outputs, np.float64), np.array(targets)
    weight = None if sample_weight is None else np.array(sample_weight, np.float64)
    before = pickle.dumps(loss)
    shape = np.shape(loss(x, t, weight))
    upstream = np.asarray(np.random.default_rng(seed).uniform(1, 2, shape))

    def both(given: Any, x: Any, t: Any, weight: Any) -> dict[str, Array]:
        value, cache = given.forward(x, t, weight)
        first, again = (given.backward(cache, upstream).copy() for _ in range(2))
        assert_array_equal(first, again, err_msg="the second backward of a cache differs")
        return {"value": np.array(value), "gradient": first}

    result = both(loss, x, t, weight)
    gradient = result["gradient"]
    assert gradient.any(), "the gradient is zero"
    check_gradient(lambda x: float(np.vdot(loss(x, t, weight), upstream)), x, gradient, "outputs",
                   seed)  # fmt: skip
    cache = loss.forward(x, t, weight)[1]
    assert_allclose(loss.backward(cache, 3 * upstream), 3 * gradient, rtol=1e-12,
                    err_msg="upstream does not scale the gradient")  # fmt: skip
    given = [None if a is None else a.copy() for a in (x, t, weight)]
    for array in given:
        if array is not None:
            array.flags.writeable = False
    _equal(both(loss, *given), result, "for read-only arrays")
    for array, kept, name in zip(given, (x, t, weight), ("outputs", "targets", "weights"),
                                 strict=True):  # fmt: skip
        assert_array_equal(array, kept, err_msg=f"forward or backward changed the {name}")
    for how, variant in _layouts(x):
        _equal(both(loss, variant, t, weight), result, f"for {how}")
    for how, variant in _layouts(t):
        _equal(both(loss, x, variant, weight), result, f"for targets: {how}")
    for how, variant in () if weight is None else _layouts(weight):
        _equal(both(loss, x, t, variant), result, f"for weights: {how}")
    assert pickle.dumps(loss) == before, "forward or backward changed the loss"
    _equal(both(copy.deepcopy(loss), x, t, weight), result, "of a copy")
    _equal(both(pickle.loads(before), x, t, weight), result, "of a pickle")
    for n in (1, 2, 3, 4):
        with any_work_on(n):
            _equal(both(loss, x, t, weight), result, f"with {n} threads")
    _check_loss_batches(loss, x, t, weight)
    for name, got in both(loss, x.astype(np.float32), t, weight).items():
        if name == "gradient" or shape:
            assert got.dtype == np.float32, f"float32 gave a {name} of {got.dtype}"
        size = max(1.0, float(np.abs(result[name]).max(initial=0)))
        assert_allclose(got, result[name], rtol=0, atol=2e-6 * size, err_msg=f"float32: {name}")


def _check_loss_batches(loss: Loss, x: Array, t: Array, weight: Array | None) -> None:
    """Check a batch of none, and that the terms of a sample do not depend on the others."""
    few = [(x[:n], t[:n], None if weight is None else weight[:n]) for n in (0, 1)]
    value, cache = loss.forward(*few[0])
    assert not np.any(value), f"an empty batch gave the loss {value}"
    empty = loss.backward(cache)
    assert empty.shape == x[:0].shape, f"an empty batch gave a gradient of shape {empty.shape}"
    terms, one = loss.terms(x, t, weight)[0], loss.terms(*few[1])[0]
    assert_allclose(one, terms[:1], rtol=1e-9, atol=1e-12, err_msg="a batch of one differs")


def check_optimizer(optimizer: Optimizer, seed: int = 0) -> None:
    """Check that an optimizer keeps the contract of `Optimizer`.

    Parameters
    ----------
    optimizer : Optimizer
        At its first step. It is copied, and stays as it is.
    seed : int
        Of weights and gradients.

    Raises
    ------
    AssertionError
        If the state is not like the parameters; if a step changes the gradients, or leaves the
        weights; if the result depends on the number of threads, on how often a copy or a pickle
        took over, or, in `Optimizer.update`, on the layout of the arrays; if float32 is not close
        to float64; if clearing gradients on the way changes anything else; if an empty array
        fails; if twenty steps down a parabola lead up.

    Examples
    --------
    >>> from deepfs.optimizers import Adam
    >>> check_optimizer(Adam())
    """
    optimizer = copy.deepcopy(optimizer)
    start, *gradients = np.random.default_rng(seed).standard_normal((5, 20_003))
    for dtype in (np.float64, np.float32):
        w, state = _run_optimizer(optimizer, start, gradients, dtype)
        assert (w != start.astype(dtype)).any(), "four steps did not change the weights"
        for n in (1, 2, 3, 4):
            with any_work_on(n):
                again = _run_optimizer(optimizer, start, gradients, dtype)
            _equal({"w": again[0], **again[1]}, {"w": w, **state}, f"with {n} threads")
        for how, again in (
            ("of a pickle", _run_optimizer(optimizer, start, gradients, dtype, pickled=True)),
            ("when gradients are cleared", _run_optimizer(
                optimizer, start, gradients, dtype, clear=True)),
        ):  # fmt: skip
            _equal({"w": again[0], **again[1]}, {"w": w, **state}, how)
        if dtype == np.float64:
            exact = w
    size = max(1.0, float(np.abs(exact - start).max()))
    close = np.abs(w - exact) <= 1e-4 * size
    assert close.mean() > 0.999, "float32 is not close to float64"  # a sign may flip near 0
    empty = np.zeros(0)
    optimizer.step(empty, empty, optimizer.init(empty), 1)
    _check_layouts(optimizer, start, gradients)
    x = np.linspace(1, 2, 10)
    state = optimizer.init(x)
    before = float(np.square(x).sum())
    for t in range(1, 21):
        optimizer.step(x, 2 * x, state, t)
    assert float(np.square(x).sum()) < before, "twenty steps down a parabola lead up"


def _run_optimizer(
    optimizer: Optimizer,
    start: Array,
    gradients: list[Array],
    dtype: Any,
    clear: bool = False,
    pickled: bool = False,
) -> tuple[Array, dict[str, Array]]:
    """Return weights and state after a step by each gradient."""
    w = start.astype(dtype)
    state = optimizer.init(w)
    for name, array in state.items():
        assert (array.shape, array.dtype) == (w.shape, w.dtype), f"the state {name} is not like w"
    for t, gradient in enumerate(gradients, 1):
        g = gradient.astype(dtype)
        g.flags.writeable = clear
        optimizer.step(w, g, state, t, clear=clear)
        assert_array_equal(g, 0 * g if clear else gradient.astype(dtype), err_msg="the gradient")
        if pickled:
            optimizer, state = pickle.loads(pickle.dumps((optimizer, state)))
    return w, state


def _check_layouts(optimizer: Optimizer, start: Array, gradients: list[Array]) -> None:
    """Check that `Optimizer.update` gives the same bits for arrays of every layout."""
    shape = (7, 5, 3)

    def like(array: Array, how: str) -> Array:
        array = array[: 7 * 5 * 3].reshape(shape)
        if how == "Fortran-ordered":
            return np.asfortranarray(array)
        if how == "strided":
            return np.repeat(array, 2, axis=2)[..., ::2]
        return array.copy()

    results = {}
    for how in ("C-ordered", "Fortran-ordered", "strided"):
        twin, w = copy.deepcopy(optimizer), like(start, how)
        twin.groups = ()
        for gradient in gradients:
            twin.update({"w": w}, {"w": like(gradient, how)})
        results[how] = w
    for how, w in results.items():
        assert_array_equal(w, results["C-ordered"], err_msg=f"for {how} arrays")
