"""The derivative along one direction that moves all entries, where only a sample is compared.

It costs two runs, whatever the number of entries. If it is wrong, halving the direction leads to
an entry whose gradient is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from .._arrays import Array
from .gradient import compare

LIMIT = 3e-8  # of the derivative, for a sum over all entries; the entry itself decides then
STEPS = (6e-6, 6e-6 / 8, 6e-6 / 64)


class Direction:
    """Signs for all entries of several arrays: the direction in which they move together."""

    def __init__(
        self,
        function: Callable[[Array], float],
        points: dict[str, Array],
        gradients: dict[str, Array],
        seed: int,
        terms: float,
    ) -> None:
        self.function, self.points = function, points
        self.noise = float(np.finfo(np.float64).eps) * max(1.0, terms)  # of the function
        self.starts = np.cumsum([0, *(array.size for array in points.values())])
        self.size = int(self.starts[-1])
        self.signs = np.random.default_rng(seed).choice([-1.0, 1.0], self.size)
        for start, array in zip(self.starts[:-1], points.values(), strict=True):
            self.signs[start : start + array.size] *= np.maximum(1, np.abs(array)).reshape(-1)
        self.gradient = np.concatenate([gradients[name].reshape(-1) for name in points])

    @contextmanager
    def moved(self, by: float, start: int, stop: int) -> Iterator[None]:
        """Move the entries from ``start`` to ``stop`` inside a ``with`` block."""
        kept = {}
        for first, (name, array) in zip(self.starts[:-1], self.points.items(), strict=True):
            low, high = max(start - first, 0), min(stop - first, array.size)
            if low >= high:
                continue
            kept[name] = array.copy()
            move = by * self.signs[first : first + array.size]
            move[:low] = move[high:] = 0
            array += move.reshape(array.shape)
        try:
            yield
        finally:
            for name, before in kept.items():
                self.points[name][...] = before

    def gaps(self, start: int, stop: int, steps: Sequence[float]) -> Iterator[tuple[float, float]]:
        """Yield by how much gradient and differences of a part disagree, and what is little."""
        analytic = float((self.gradient[start:stop] * self.signs[start:stop]).sum())
        for step in steps:
            values = []
            for by in (step, -step):
                with self.moved(by, start, stop):
                    values.append(self.function(self.signs))
            numeric = (values[0] - values[1]) / (2 * step)
            allowed = LIMIT * (0.1 + max(abs(analytic), abs(numeric))) + self.noise / step
            yield analytic - numeric, allowed

    def is_wrong(self) -> bool:
        """Return whether the derivative is wrong by as much at every step: else there are kinks."""
        gaps = self.gaps(0, self.size, STEPS)
        first, little = next(gaps)
        return abs(first) > little and all(
            abs(gap - first) <= abs(first) / 2 + allowed for gap, allowed in gaps
        )

    def worst(self) -> tuple[str, int]:
        """Return array and number of the entry to which the difference can be traced."""
        start, stop = 0, self.size
        while stop - start > 1:
            middle = (start + stop) // 2
            halves = [
                abs(next(self.gaps(*half, STEPS[:1]))[0])
                for half in ((start, middle), (middle, stop))
            ]
            if halves[0] >= halves[1]:
                stop = middle
            else:
                start = middle
        number = int(np.searchsorted(self.starts, start, side="right")) - 1
        return list(self.points)[number], start - int(self.starts[number])


def compare_direction(
    function: Callable[[Array], float],
    points: dict[str, Array],
    gradients: dict[str, Array],
    beside: Callable[[str], Callable[[Array], Array]],
    seed: int,
    terms: float,
) -> None:
    """Compare gradients of many entries with one derivative; ``beside`` is as for `compare`.

    ``terms`` is the sum of the absolute terms of the function, for its errors of rounding.

    Raises
    ------
    AssertionError
        If the derivative is wrong, and the gradient of the entry to which that leads. If the entry
        is right, a kink lies between the points that were compared.
    """
    if not points:
        return
    direction = Direction(function, points, gradients, seed, terms)
    if not direction.is_wrong():
        return
    name, number = direction.worst()
    compare(
        function, points[name], gradients[name], name.strip(), seed, 1, beside(name),
        np.array([number]),
    )  # fmt: skip
