"""The contract of `deepfs.losses.Loss`."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from .._arrays import Array
from ..losses import Loss
from ._compare import any_work_on, assert_equal, assert_float32, layouts
from .gradient import DIFFERENCES, SAMPLES, compare
from .report import Report


def check_loss(
    loss: Loss,
    outputs: Any,
    targets: Any,
    sample_weight: Any = None,
    seed: int = 0,
    entries: int = SAMPLES,
) -> Report:
    """Check the gradient of a loss, and that it keeps the contract of `Loss`.

    Parameters
    ----------
    loss : Loss
        A loss with any reduction. It does not change.
    outputs : array (n, ...)
        Outputs of at least one sample, such as random numbers: at a kink or tie there is no
        derivative to compare.
    targets : array (n, ...)
        Targets for these outputs.
    sample_weight : array, optional
        Weights of the samples.
    seed : int
        Seed of the upstream gradient and of samples of entries.
    entries : int
        Number of entries to check, if there are more.

    Returns
    -------
    Report
        How many entries of the gradient were compared, how many lie at kinks, and the worst
        relative error.

    Raises
    ------
    AssertionError
        If the gradient is wrong, or zero although there is no kink; if ``upstream`` does not scale
        it; if the loss or an argument changes; if the result depends on the memory layout of an
        argument, the number of threads, a copy or a pickle of the loss; if float32 is not close to
        float64; or if a batch of no sample or of one fails.

    Warns
    -----
    UserWarning
        If most entries lie at kinks or ties.

    Examples
    --------
    >>> from deepfs.losses import CrossEntropy
    >>> outputs = np.random.default_rng(0).random((3, 4))
    >>> check_loss(CrossEntropy(), outputs, np.array([0, 3, 1])).checked
    12
    """
    x, t = np.array(outputs, np.float64), np.array(targets)
    weight = None if sample_weight is None else np.array(sample_weight, np.float64)
    before = pickle.dumps(loss)
    shape = np.shape(loss(x, t, weight))
    upstream = np.asarray(np.random.default_rng([seed, 1]).uniform(1, 2, shape))

    def both(given: Any, x: Any, t: Any, weight: Any) -> dict[str, Array]:
        value, cache = given.forward(x, t, weight)
        first, again = (given.backward(cache, upstream).copy() for _ in range(2))
        assert_array_equal(first, again, err_msg="the second backward of a cache differs")
        return {"value": np.array(value), "gradient": first}

    result = both(loss, x, t, weight)
    gradient = result["gradient"]
    compared = compare(
        lambda x: float(np.vdot(loss(x, t, weight), upstream)), x, gradient, "outputs", seed,
        entries, lambda x: loss.backward(loss.forward(x, t, weight)[1], upstream),
    )  # fmt: skip
    moves = gradient.any() or compared.at_kinks > 0
    assert moves, "the gradient is zero: no output changes the loss here"
    cache = loss.forward(x, t, weight)[1]
    assert_allclose(loss.backward(cache, 3 * upstream), 3 * gradient, rtol=1e-12,
                    err_msg="upstream does not scale the gradient")  # fmt: skip
    given = [None if a is None else a.copy() for a in (x, t, weight)]
    for array in given:
        if array is not None:
            array.flags.writeable = False
    assert_equal(both(loss, *given), result, "for read-only arrays")
    for array, kept, name in zip(given, (x, t, weight), ("outputs", "targets", "weights"),
                                 strict=True):  # fmt: skip
        assert_array_equal(array, kept, err_msg=f"forward or backward changed the {name}")
    for layout, variant in layouts(x):
        assert_equal(both(loss, variant, t, weight), result, f"for {layout}")
    for layout, variant in layouts(t):
        assert_equal(both(loss, x, variant, weight), result, f"for targets: {layout}")
    for layout, variant in () if weight is None else layouts(weight):
        assert_equal(both(loss, x, t, variant), result, f"for weights: {layout}")
    assert pickle.dumps(loss) == before, "forward or backward changed the loss"
    assert_equal(both(copy.deepcopy(loss), x, t, weight), result, "of a copy")
    assert_equal(both(pickle.loads(before), x, t, weight), result, "of a pickle")
    for n in (1, 2, 3, 4):
        with any_work_on(n):
            assert_equal(both(loss, x, t, weight), result, f"with {n} threads")
    _check_batches(loss, x, t, weight)
    got = both(loss, x.astype(np.float32), t, weight)
    for name, single in got.items():
        if name == "gradient" or shape:
            assert single.dtype == np.float32, f"float32 gave a {name} of {single.dtype}"
    at_kinks = assert_float32(
        got, result, 2e-6, lambda shake: both(loss, shake(x), t, weight), seed
    )
    report = Report(DIFFERENCES, {"outputs": compared}, at_kinks)
    return report.warn("check_loss", nothing_moves=not gradient.any())


def _check_batches(loss: Loss, x: Array, t: Array, weight: Array | None) -> None:
    """Check an empty batch, and that the terms of a sample do not depend on the others."""
    few = [(x[:n], t[:n], None if weight is None else weight[:n]) for n in (0, 1)]
    value, cache = loss.forward(*few[0])
    assert not np.any(value), f"an empty batch gave the loss {value}"
    empty = loss.backward(cache)
    assert empty.shape == x[:0].shape, f"an empty batch gave a gradient of shape {empty.shape}"
    terms, one = loss.terms(x, t, weight)[0], loss.terms(*few[1])[0]
    assert_allclose(one, terms[:1], rtol=1e-9, atol=1e-12, err_msg="a batch of one differs")
