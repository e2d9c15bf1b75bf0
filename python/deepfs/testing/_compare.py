"""What all checks compare: results of equal numbers on other threads and in other layouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.testing import assert_array_equal

from cnn_core import threads as kernel_threads

from .._arrays import Array
from ..config import threads


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


def assert_equal(got: dict[str, Array], wanted: dict[str, Array], when: str) -> None:
    assert got.keys() == wanted.keys(), f"{when} there are {sorted(got)}, not {sorted(wanted)}"
    for name in wanted:
        assert_array_equal(got[name], wanted[name], err_msg=f"{name} differs {when}")


def layouts(x: Array) -> Iterator[tuple[str, Array]]:
    """Yield names of memory layouts, and ``x`` in each."""
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
