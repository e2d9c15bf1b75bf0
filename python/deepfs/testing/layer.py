"""The contract of `deepfs.layers.Layer`."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from .._arrays import Array
from .._trees import Tree, leaves, map_tree
from ..layers import Layer
from ._compare import any_work_on, assert_equal, assert_float32, layouts, named
from .gradient import DIFFERENCES, SAMPLES, compare
from .report import ArrayReport, Report


def check_layer(
    layer: Layer, x: Any, training: bool = True, seed: int = 0, entries: int = SAMPLES
) -> Report:
    """Check gradients of a layer, and that it keeps the contract of `Layer`, at ``x``.

    Parameters
    ----------
    layer : Layer
        The layer. It is copied, and does not change.
    x : array (n, ...), or tuple or dict of arrays
        An input with at least two samples, such as random numbers: at a kink or tie there is no
        derivative to compare.
    training : bool
        Check training mode or inference mode.
    seed : int
        Seed of the output gradient and of samples of entries.
    entries : int
        Number of entries to check of an array that has more. Fewer take less time.

    Returns
    -------
    Report
        For ``x`` and each parameter, how many entries of the gradient were compared, how many lie
        at kinks, and the worst relative error.

    Raises
    ------
    AssertionError
        If a gradient is wrong, or all are zero although there is no kink; if forward or backward
        change their arguments, or anything of the layer except gradients and buffers; if the result
        depends on the memory layout of the input, the number of threads, a copy or a pickle of the
        layer; if float32 is not close to float64; or if a batch of no sample or of one fails.

    Warns
    -----
    UserWarning
        If most entries of an array lie at kinks or ties.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> report = check_layer(L.Dense(3), np.random.default_rng(0).standard_normal((4, 5)))
    >>> report.checked, report.at_kinks
    (38, 0)
    >>> report.arrays["weight"].checked
    15
    """
    several = isinstance(x, (dict, tuple))
    x = map_tree(lambda a: np.array(a, np.float64), x) if several else np.array(x, np.float64)
    in_shape = map_tree(lambda a: a.shape[1:], x)
    fresh = copy.deepcopy(layer)
    vars(fresh)["dtype"] = None
    fresh.build(in_shape, np.float64)
    run = _Run(fresh, training)
    y, _ = run.forward(x)
    rng = np.random.default_rng(seed)
    dy = map_tree(lambda a: rng.standard_normal(a.shape), y)
    result = run.both(x, dy)
    arrays = _check_gradients(run, x, dy, result, seed, entries)
    _check_arguments(run, x, dy, result)
    _check_copies(run, x, dy, result)
    for n in (1, 2, 3, 4):
        with any_work_on(n):
            assert_equal(run.both(x, dy), result, f"with {n} threads")
    _check_batches(run, x)
    single = copy.deepcopy(layer)
    vars(single)["dtype"] = None
    single.build(in_shape, np.float32)
    for name, parameter in single.parameters().items():
        parameter.value = fresh.parameters()[name].value
    for name, buffer in single.buffers().items():
        buffer[...] = run.buffers[name]
    got = _Run(single, training).both(map_tree(lambda a: a.astype(np.float32), x), dy)
    got = {name: array for name, array in got.items() if not name.startswith("buffer")}
    for name, array in got.items():
        assert array.dtype == np.float32, f"float32 gave {name} of {array.dtype}"
    at_kinks = assert_float32(got, result, 2e-5, lambda shake: run.nearby(x, dy, shake), seed)
    zero = not any(array.any() for name, array in result.items() if name[0] == "d")
    return Report(DIFFERENCES, arrays, at_kinks).warn("check_layer", nothing_moves=zero)


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
        out = {name: array.copy() for name, array in named(y, "y").items()}
        if dx is not None:
            out |= {name: array.copy() for name, array in named(dx, "dx").items()}
        out |= {f"d {name}": p.grad.copy() for name, p in self.layer.parameters().items()}
        for name, buffer in self.layer.buffers().items():
            out[f"buffer {name}"] = buffer.copy()
            if not self.training:
                assert_array_equal(
                    buffer, self.buffers[name], err_msg=f"inference changed the buffer {name}"
                )
        return out

    def nearby(self, x: Tree, dy: Tree, shake: Callable[[Array], Array]) -> dict[str, Array]:
        """Return the result at another point: that of changed inputs and parameters."""
        parameters = self.layer.parameters().values()
        before = [parameter.value.copy() for parameter in parameters]
        for parameter, value in zip(parameters, before, strict=True):
            parameter.value = shake(value)
        try:
            return self.both(map_tree(shake, x), dy)
        finally:
            for parameter, value in zip(parameters, before, strict=True):
                parameter.value = value


def _check_gradients(
    run: _Run, x: Tree, dy: Tree, result: dict[str, Array], seed: int, entries: int
) -> dict[str, ArrayReport]:
    def objective(_: Array) -> float:
        y = run.forward(x)[0]
        return float(sum(map(np.vdot, leaves(y), leaves(dy))))

    def beside(name: str) -> Callable[[Array], Array]:
        return lambda _: run.both(x, dy)[f"d{name}"]

    gradients = {name: gradient for name, gradient in result.items() if name[0] == "d"}
    points = named(x, "x")
    wanted = {f"d{name}" for name in points} | {f"d {name}" for name in run.layer.parameters()}
    assert gradients.keys() == wanted, f"backward gave {sorted(gradients)}, not {sorted(wanted)}"
    for name, array in points.items():
        shape = gradients[f"d{name}"].shape
        assert shape == array.shape, f"d{name} has shape {shape}, {name} {array.shape}"
    points |= {f" {name}": p.value for name, p in run.layer.parameters().items()}
    arrays = {
        name.strip(): compare(
            objective, array, gradients[f"d{name}"], name.strip(), seed, entries, beside(name)
        )
        for name, array in points.items()
    }
    moves = any(gradient.any() for gradient in gradients.values())
    assert moves or any(array.at_kinks for array in arrays.values()), (
        "all gradients are zero: nothing of the layer depends on its input here"
    )
    return arrays


def _check_arguments(run: _Run, x: Tree, dy: Tree, result: dict[str, Array]) -> None:
    """Check that inputs of every layout give the same bits, and do not change."""
    given_x, given_dy = (map_tree(np.copy, tree) for tree in (x, dy))
    for array in (*leaves(given_x), *leaves(given_dy)):
        array.flags.writeable = False
    assert_equal(run.both(given_x, given_dy), result, "for read-only arrays")
    for given, kept, name in ((given_x, x, "x"), (given_dy, dy, "dy")):
        for key, array in named(given, name).items():
            assert_array_equal(
                array, named(kept, name)[key], err_msg=f"forward or backward changed {key}"
            )
    for array in leaves(x):
        for layout, variant in layouts(array):
            other = map_tree(lambda a, array=array, v=variant: v if a is array else a, x)
            assert_equal(run.both(other, dy), result, f"for {layout}")


def _check_copies(run: _Run, x: Tree, dy: Tree, result: dict[str, Array]) -> None:
    before = _state(run.layer)
    run.both(map_tree(lambda a: a / 2, x), dy)
    assert _state(run.layer) == before, "forward or backward changed the layer beyond buffers()"
    for origin, copied in (
        ("of a copy", copy.deepcopy(run.layer)),
        ("of a pickle", pickle.loads(pickle.dumps(run.layer))),
    ):
        again = _Run(copied, run.training)
        again.buffers = run.buffers
        assert_equal(again.both(x, dy), result, origin)
    without = run.both(x, dy, need_dx=False)
    # a layer may compute it all the same
    rest = {k: v for k, v in result.items() if not k.startswith("dx")}
    assert_equal({k: v for k, v in without.items() if k in rest}, rest, "without dx")
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


def _check_batches(run: _Run, x: Tree) -> None:
    none, one = (map_tree(lambda a, n=n: a[:n], x) for n in (0, 1))
    y, cache = run.forward(none)
    empty = run.layer.backward(map_tree(lambda a: np.zeros(a.shape), y), cache)
    assert empty is not None, "an empty batch gave no dx"
    for name, dx in named(empty, "x").items():
        shape = named(none, "x")[name].shape
        assert dx.shape == shape, f"an empty batch gave d{name} of shape {dx.shape}"
    whole = named(run.layer(x), "y")
    for name, y in named(run.layer(one), "y").items():
        assert_allclose(y, whole[name][:1], rtol=1e-9, atol=1e-12,
                        err_msg="a batch of one differs in inference")  # fmt: skip
