"""What `shrink` has removed: rows for programs, and a table when it is printed."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np

from .._html import table_html
from .._table import LayerRow, rows_of, size_text, with_prefix
from ..layers import Layer
from ._clock import milliseconds
from ._needed import Needed

WIDTH = 100  # of the printed table and of the lines below it
HEAD = ("layer", "kind", "outputs", "parameters", "MACs", "ms")


@dataclass(frozen=True)
class ShrinkRow:
    """A layer, or all of them together, before and after; each pair is (before, after).

    Attributes
    ----------
    name, kind : str
        Its name, as in parameter names, and its class; ``total`` and ``-`` in the last row.
    outputs : (int, int)
        Number of channels or units that it returns.
    parameters : (int, int)
        Number of its learned numbers.
    multiply_adds : (int, int)
        Of the forward pass of one sample.
    ms : (float, float)
        Milliseconds of inference of a batch, see `ShrinkReport.samples`; NaN if it was not
        measured. That of a layer that is used twice stands in its first row.
    """

    name: str
    kind: str
    outputs: tuple[int, int]
    parameters: tuple[int, int]
    multiply_adds: tuple[int, int]
    ms: tuple[float, float]


@dataclass(frozen=True, repr=False)
class ShrinkReport:
    """Result of `shrink`: rows for programs, and a table when it is printed.

    Attributes
    ----------
    rows : list of ShrinkRow
        The layers that have parameters or have changed, in the order of the network; the last row
        is the total. Its time is that of the whole network, and its outputs are 0.
    kept : list of str
        Constant filters and units, such as those of zeros, that stay, and why.
    nbytes : (int, int)
        Bytes of the parameters, before and after.
    samples : int
        Samples of the batch whose time was measured; 0 if none was.
    """

    rows: list[ShrinkRow]
    kept: list[str]
    nbytes: tuple[int, int]
    samples: int

    def __getitem__(self, name: str) -> ShrinkRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"the report has no row {name!r}")

    @property
    def total(self) -> ShrinkRow:
        """The last row."""
        return self.rows[-1]

    def __repr__(self) -> str:
        cells = [HEAD if self.samples else HEAD[:-1], *map(self._cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
        lines = []
        for name, kind, *numbers in cells:
            shown = name if len(name) <= widths[0] else f"..{name[2 - widths[0] :]}"
            padded = zip(numbers, widths[2:], strict=True)
            texts = [f"{number:>{width}}" for number, width in padded]
            lines.append("  ".join([f"{shown:<{widths[0]}}", f"{kind:<{widths[1]}}", *texts]))
        return "\n".join([*lines, *self._footer()])

    def _repr_html_(self) -> str:
        head = HEAD if self.samples else HEAD[:-1]
        return table_html(head, [*map(self._cells, self.rows)], self._footer(), texts=2)

    def _cells(self, row: ShrinkRow) -> tuple[str, ...]:
        cells = (
            row.name,
            row.kind,
            change(row.outputs, str) if any(row.outputs) else "",
            change(row.parameters, lambda number: f"{number:,}" if number else "-"),
            change(row.multiply_adds, lambda number: with_prefix(number) if number else "-"),
        )
        times = change(row.ms, lambda ms: "-" if isnan(ms) else f"{ms:.2f}")
        return (*cells, times) if self.samples else cells

    def _footer(self) -> list[str]:
        total, lines = self.total, []
        size = " -> ".join(map(size_text, self.nbytes))
        line = f"parameters {size}, {share(total.parameters)}; MACs {share(total.multiply_adds)}"
        if self.samples:
            line += f"; time of {self.samples} samples {share(total.ms)}"
        lines.append(line)
        for kept in self.kept:
            lines += textwrap.wrap(kept, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        return lines


def change(pair: tuple[Any, Any], text: Any) -> str:
    """Return ``64 -> 32``, or one number if nothing has changed."""
    before, after = map(text, pair)
    return before if before == after else f"{before} -> {after}"


def share(pair: tuple[float, float]) -> str:
    """Return what is left as ``x 0.52``."""
    return f"x {pair[1] / pair[0]:.2f}" if pair[0] else "x 1"


def report_of(old: Layer, new: Layer, needed: Needed, samples: int) -> ShrinkReport:
    """Compare two networks of the same structure; measure both if there are samples."""
    times = milliseconds([old, new], samples) if samples else [{}, {}]
    before, after = rows_by_name(old), rows_by_name(new)
    rows = []
    for name, (one, outputs) in before.items():
        other, left = after[name]
        if one.parameters or outputs != left:
            rows.append(
                ShrinkRow(
                    name, one.kind, (outputs, left), (one.parameters, other.parameters),
                    (one.multiply_adds, other.multiply_adds),
                    (times[0].get(name, nan), times[1].get(name, nan)),
                )
            )  # fmt: skip
    sums = [(sum(row.parameters for row, _ in side.values()),
             sum(row.multiply_adds for row, _ in side.values()))
            for side in (before, after)]  # fmt: skip
    (p0, m0), (p1, m1) = sums
    ms = times[0].get("", nan), times[1].get("", nan)
    rows.append(ShrinkRow("total", "-", (0, 0), (p0, p1), (m0, m1), ms))
    size = new.built_dtype.itemsize if new.built_dtype else 4
    return ShrinkReport(rows, list(kept_lines(needed)), (p0 * size, p1 * size), samples)


def rows_by_name(network: Layer) -> dict[str, tuple[LayerRow, int]]:
    """Return each layer that is no container, and the number of its outputs; calls are added."""
    found: dict[str, tuple[LayerRow, int]] = {}
    for number, row in enumerate(rows_of(network)):
        if not row.container:
            name = row.name if row.name not in found else f"{row.name} ({number})"
            found[name] = row, outputs_in(row.output)
    return found


def outputs_in(text: str) -> int:
    """Return the channels of a shape in a table, ``(n, 8, 4, 4)``; 0 of several shapes."""
    parts = text.strip("()").split(",")
    return int(parts[1]) if len(parts) > 1 and parts[1].strip().isdigit() else 0


def kept_lines(needed: Needed) -> Iterator[str]:
    """Yield a line per layer and reason: how many constant filters or units stay."""
    trace = needed.trace
    for mixer in trace.mixers.values():
        roots = trace.root[mixer.outputs[needed.of(mixer.outputs)]]
        zero = np.isin(mixer.outputs, [*trace.silent])[needed.of(mixer.outputs)]
        reasons = Counter(needed.why[root] for root in roots[zero].tolist())
        what = "filter" if hasattr(mixer.layer, "filters") else "unit"
        for why, count in reasons.items():
            are = f"{what} stays" if count == 1 else f"{what}s stay"
            yield f"{mixer.name}: {count} constant {are}: {why}"
