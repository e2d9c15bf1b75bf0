"""The contract of `deepfs.layers.Layer`."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from .._arrays import Array
from ..layers import Layer
from ._compare import any_work_on, assert_equal, layouts
from .gradient import check_gradient


def check_layer(layer: Layer, x: Any, training: bool = True, seed: int = 0) -> None:
    """Check gradients of a layer, and that it keeps the contract of `Layer`, at ``x``.

    Parameters
    ----------
    layer : Layer
        The layer. It is copied, and does not change.
    x : array (n, ...)
        An input with at least two samples, away from kinks.
    training : bool
        Check training mode or inference mode.
    seed : int
        Seed of the output gradient and of samples of entries.

    Raises
    ------
    AssertionError
        If a gradient is wrong or all are zero; if forward or backward change their arguments, or
        anything of the layer except gradients and buffers; if the result depends on the memory
        layout of the input, the number of threads, a copy or a pickle of the layer; if float32 is
        not close to float64; or if a batch of no sample or of one fails.

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
            assert_equal(run.both(x, dy), result, f"with {n} threads")
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


class _Run:
    """A layer whose buffers are restored before every forward, so that all runs are equal."""

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
    """Check that inputs of every layout give the same bits, and do not change."""
    given_x, given_dy = x.copy(), dy.copy()
    given_x.flags.writeable = given_dy.flags.writeable = False
    assert_equal(run.both(given_x, given_dy), result, "for read-only arrays")
    assert_array_equal(given_x, x, err_msg="forward or backward changed x")
    assert_array_equal(given_dy, dy, err_msg="forward or backward changed dy")
    for layout, variant in layouts(x):
        assert_equal(run.both(variant, dy), result, f"for {layout}")


def _check_copies(run: _Run, x: Array, dy: Array, result: dict[str, Array]) -> None:
    before = _state(run.layer)
    run.both(x / 2, dy)
    assert _state(run.layer) == before, "forward or backward changed the layer beyond buffers()"
    for origin, copied in (
        ("of a copy", copy.deepcopy(run.layer)),
        ("of a pickle", pickle.loads(pickle.dumps(run.layer))),
    ):
        again = _Run(copied, run.training)
        again.buffers = run.buffers
        assert_equal(again.both(x, dy), result, origin)
    without = run.both(x, dy, need_dx=False)
    without.pop("dx", None)  # a layer may compute it all the same
    assert_equal(without, {k: v for k, v in result.items() if k != "dx"}, "without dx")
    if run.layer.parameters():
        run.layer.backward(dy, run.forward(x)[1])
        for name, parameter in run.layer.parameters().items():
            twice = 2 * result[f"d {name}"]
            assert_allclose(parameter.grad, twice, rtol=1e-9, atol=1e-12,
                            err_msg=f"the gradient of {name} is not added up")  # fmt: skip


def _state(layer: Layer) -> bytes:
    """Return the state of a layer without gradients and buffers, in a form to compare."""
    copied = copy.deepcopy(layer)
    for parameter in copied.parameters().values():
        parameter.grad = np.zeros(parameter.value.shape)
    for buffer in copied.buffers().values():
        buffer[...] = 0
    return pickle.dumps(copied)


def _check_batches(run: _Run, x: Array) -> None:
    y, cache = run.forward(x[:0])
    empty = run.layer.backward(np.zeros(y.shape), cache)
    assert empty is not None, "an empty batch gave no dx"
    assert empty.shape == x[:0].shape, f"an empty batch gave dx of shape {empty.shape}"
    one = run.layer(x[:1])
    assert_allclose(
        one, run.layer(x)[:1], rtol=1e-9, atol=1e-12, err_msg="a batch of one differs in inference"
    )
