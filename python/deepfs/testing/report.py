"""What a check has found: a row per array."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

HEAD = ("array", "entries", "checked", "at kinks", "worst error")


@dataclass(frozen=True)
class ArrayReport:
    """What was compared of one array.

    Attributes
    ----------
    entries : int
        Number of entries of the array.
    checked : int
        Number of entries that were compared, and agree.
    at_kinks : int
        Number of entries that were looked at, but lie at a kink, a tie or a jump, where a layer has
        no derivative. The gradient is right on both sides of these.
    worst : float
        Largest ``abs(a - b) / (0.1 + max(abs(a), abs(b)))`` of the entries that were compared.
    """

    entries: int
    checked: int
    at_kinks: int
    worst: float

    @property
    def hardly_checked(self) -> bool:
        """Whether most of the entries that were looked at lie at kinks."""
        return self.at_kinks > self.checked


@dataclass(frozen=True, repr=False)
class Report:
    """Result of a check that has passed; printed, it is a table.

    Attributes
    ----------
    compared : str
        What was compared.
    arrays : dict of ArrayReport
        By name: ``x``, the parameters of a layer, the ``outputs`` that a loss takes.
    float32_at_kinks : int
        Number of entries that differ in float32, because rounding moves them over a kink.
    checks : tuple of str
        What was checked of a layer.
    conditions : str
        With which inputs, dtypes, threads and instruction-set level.

    Examples
    --------
    >>> from deepfs import layers as L
    >>> from deepfs.testing import check_layer
    >>> report = check_layer(L.ReLU(), [[-1.0, 2.0, 0.0], [3.0, -4.0, 5.0]])
    >>> report.checked, report.at_kinks, report.worst < 1e-6
    (5, 1, True)
    """

    compared: str
    arrays: Mapping[str, ArrayReport] = field(default_factory=dict)
    float32_at_kinks: int = 0
    checks: tuple[str, ...] = ()
    conditions: str = ""

    @property
    def checked(self) -> int:
        """Number of entries of all arrays that were compared."""
        return sum(array.checked for array in self.arrays.values())

    @property
    def at_kinks(self) -> int:
        """Number of entries of all arrays that lie at kinks."""
        return sum(array.at_kinks for array in self.arrays.values())

    @property
    def worst(self) -> float:
        """Largest relative error of all arrays."""
        return max((array.worst for array in self.arrays.values()), default=0.0)

    def __repr__(self) -> str:
        rows = [HEAD, *(cells_of(name, array) for name, array in self.arrays.items())]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.compared} agree in {self.checked:,} entries"]
        for first, *cells in rows:
            padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)]
            lines.append("  ".join([f"{first:<{widths[0]}}", *padded]))
        lines += [advice(name, array) for name, array in self.arrays.items()
                  if array.hardly_checked]  # fmt: skip
        if self.float32_at_kinks:
            lines.append(f"{self.float32_at_kinks:,} entries differ in float32, at kinks")
        if self.checks:
            lines.append(f"checked: {len(self.checks)} properties of {self.conditions}")
        return "\n".join(lines)

    def warn(self, who: str, nothing_moves: bool = False) -> Report:
        """Warn if the point was a bad choice, so that little was checked; return the report."""
        poor = [advice(name, array) for name, array in self.arrays.items() if array.hardly_checked]
        if nothing_moves and not poor:
            poor = [f"all gradients are zero, and {self.at_kinks} entries lie at kinks or ties"]
        if poor:
            warnings.warn(
                f"{who}: {'; '.join(poor)}. Check at another point, such as random numbers",
                stacklevel=3,
            )
        return self


def cells_of(name: str, array: ArrayReport) -> tuple[str, ...]:
    """Return a row of the table."""
    counts = (array.entries, array.checked, array.at_kinks)
    return (name, *(f"{count:,}" for count in counts), f"{array.worst:.1e}")


def advice(name: str, array: ArrayReport) -> str:
    """Return what to say of an array of which most entries lie at kinks."""
    looked = array.checked + array.at_kinks
    return (
        f"{array.at_kinks} of {looked} entries of {name} lie at kinks or ties, "
        "where there is no derivative to compare"
    )
