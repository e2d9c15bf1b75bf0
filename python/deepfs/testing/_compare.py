"""What all checks compare: results of equal numbers on other threads and in other layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from cnn_core import threads as kernel_threads

from .._arrays import Array
from .._trees import Tree
from ..config import threads

# how far away the points are at which a result is looked at before a difference in float32 is
# called wrong: errors of rounding are about 1e-7 at first, and grow from layer to layer
DISTANCES = np.geomspace(1e-7, 2e-5, 16)


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
        assert_same(got[name], wanted[name], f"{name} differs {when}")


def assert_same(got: Array, wanted: Array, what: str) -> None:
    """Check that two arrays have the same numbers; NaN equals NaN. Say where the first differs."""
    assert got.shape == wanted.shape, f"{what}: it has shape {got.shape}, not {wanted.shape}"
    found = different(got, wanted)
    if found.any():
        at = index_of(found)
        count = f" ({found.sum():,} of {found.size:,} entries)" if found.size > 1 else ""
        raise AssertionError(f"{what}: at {at} it is {got[at]:.9g}, not {wanted[at]:.9g}{count}")


def assert_close(
    got: Array, wanted: Array, rtol: float, atol: float, what: str, than: str = "not"
) -> None:
    """Check that two arrays of one shape are close; say where they differ most."""
    assert got.shape == wanted.shape, f"{what} has shape {got.shape}, {than} {wanted.shape}"
    off = np.abs(got - wanted)
    wrong = ~(off <= atol + rtol * np.abs(wanted)) & different(got, wanted)
    if wrong.any():
        at = index_of(np.where(np.isnan(off), np.inf, off) * wrong == np.nanmax(off[wrong]))
        raise AssertionError(
            f"{what} at {at} is {got[at]:.9g}, {than} {wanted[at]:.9g} ({wrong.sum():,} of "
            f"{got.size:,} entries)"
        )


def different(a: Array, b: Array) -> Array:
    """Return which entries differ; NaN equals NaN."""
    return np.asarray((a != b) & ~((a != a) & (b != b)))


def index_of(found: Array) -> tuple[int, ...]:
    """Return the index of the first entry that is True."""
    return tuple(map(int, np.unravel_index(int(found.argmax()), found.shape)))


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


def named(tree: Tree, name: str) -> dict[str, Array]:
    """Return the arrays of a tree by name: ``x``, or ``x[0]`` or ``x['image']`` of several."""
    if isinstance(tree, dict):
        return {f"{name}[{key!r}]": array for key, array in tree.items()}
    if isinstance(tree, (tuple, list)):
        return {f"{name}[{i}]": array for i, array in enumerate(tree)}
    return {name: tree}


def assert_float32(
    got: dict[str, Array],
    wanted: dict[str, Array],
    tolerance: float,
    nearby: Callable[[Callable[[Array], Array]], dict[str, Array]],
    seed: int,
) -> int:
    """Check that results in float32 are close; return how many entries differ because of kinks.

    Rounding may move a number over a kink, as from just below 0 to just above. Then the results in
    float64 are not the same either at points that differ by so little. ``nearby(shake)`` returns
    the result at the point at which ``shake`` has changed all arrays.
    """
    spread: dict[str, Array] | None = None
    at_kinks = 0
    for name, array in got.items():
        size = max(1.0, float(np.abs(wanted[name]).max(initial=0)))
        off = np.abs(array - wanted[name])
        if (off <= tolerance * size).all():
            continue
        if spread is None:
            spread = {key: np.zeros(value.shape) for key, value in wanted.items()}
            for shake in shakes(seed):
                for key, value in nearby(shake).items():
                    spread[key] += np.abs(value - wanted[key])
        at_kinks += int((off > tolerance * size).sum())
        assert_close(
            np.where(off <= tolerance * size + spread[name], wanted[name], array),
            wanted[name], 0, tolerance * size, f"float32: {name}", "and in float64",
        )  # fmt: skip
    return at_kinks


def shakes(seed: int) -> Iterator[Callable[[Array], Array]]:
    """Yield functions that change the numbers of an array by random parts of them."""
    rng = np.random.default_rng(seed)
    for distance in DISTANCES:
        yield lambda a, d=distance: a * (1 + d * rng.uniform(-1, 1, a.shape))  # type: ignore[misc]
