"""The contract of `deepfs.optimizers.Optimizer`."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal

from .._arrays import Array
from ..optimizers import Optimizer
from ._compare import any_work_on, assert_equal
from .report import ArrayReport, Report


def check_optimizer(optimizer: Optimizer, seed: int = 0) -> Report:
    """Check that an optimizer keeps the contract of `Optimizer`.

    Parameters
    ----------
    optimizer : Optimizer
        An optimizer before its first step. It is copied, and does not change.
    seed : int
        Seed of weights and gradients.

    Returns
    -------
    Report
        How many weights are close in float32 and float64 after four steps, and the worst error.
        Those where rounding changes the sign of a step count as entries at kinks.

    Raises
    ------
    AssertionError
        If an array of the state has not the shape and dtype of the parameters; if a step changes
        the gradients, or does not change the weights; if the result depends on the number of
        threads, on pickling between steps, or, in `Optimizer.update`, on the layout of the arrays;
        if float32 is not close to float64; if clearing the gradients changes anything else; if an
        empty array fails; or if twenty steps do not decrease a parabola.

    Examples
    --------
    >>> from deepfs.optimizers import Adam
    >>> report = check_optimizer(Adam())
    >>> report.checked, report.at_kinks
    (20003, 0)
    """
    optimizer = copy.deepcopy(optimizer)
    start, *gradients = np.random.default_rng(seed).standard_normal((5, 20_003))
    for dtype in (np.float64, np.float32):
        w, state = _run_optimizer(optimizer, start, gradients, dtype)
        assert (w != start.astype(dtype)).any(), "four steps did not change the weights"
        for n in (1, 2, 3, 4):
            with any_work_on(n):
                again = _run_optimizer(optimizer, start, gradients, dtype)
            assert_equal({"w": again[0], **again[1]}, {"w": w, **state}, f"with {n} threads")
        for origin, again in (
            ("of a pickle", _run_optimizer(optimizer, start, gradients, dtype, pickled=True)),
            ("when gradients are cleared", _run_optimizer(
                optimizer, start, gradients, dtype, clear=True)),
        ):  # fmt: skip
            assert_equal({"w": again[0], **again[1]}, {"w": w, **state}, origin)
        if dtype == np.float64:
            exact = w
    size = max(1.0, float(np.abs(exact - start).max()))
    errors = np.abs(w - exact) / size
    close = errors <= 1e-4
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
    near = int(close.sum())
    compared = ArrayReport(w.size, near, w.size - near, float(errors[close].max()))
    return Report("weights in float32 and float64", {"w": compared})


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

    def like(array: Array, layout: str) -> Array:
        array = array[: 7 * 5 * 3].reshape(shape)
        if layout == "Fortran-ordered":
            return np.asfortranarray(array)
        if layout == "strided":
            return np.repeat(array, 2, axis=2)[..., ::2]
        return array.copy()

    results = {}
    for layout in ("C-ordered", "Fortran-ordered", "strided"):
        copied, w = copy.deepcopy(optimizer), like(start, layout)
        copied.groups = ()
        for gradient in gradients:
            copied.update({"w": w}, {"w": like(gradient, layout)})
        results[layout] = w
    for layout, w in results.items():
        assert_array_equal(w, results["C-ordered"], err_msg=f"for {layout} arrays")
