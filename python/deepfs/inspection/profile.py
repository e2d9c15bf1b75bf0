"""The profile of a training step: time, GFLOP/s and GB/s of each layer. See `Model.profile`.

A copy of the model takes the steps, so the model itself cannot change. The first step counts the
work of each layer, the others are timed, by wrappers around the layers of the copy (`meters.py`).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from cnn_core import gemm

from .._html import table_html
from ..config import get_num_threads
from ..data.batches import Batch
from ..trainer import Trainer
from .meters import Meter, Stopwatch, probes_of

WIDTH = 100  # largest width of a printed table


@dataclass(frozen=True)
class Pass:
    """The forward or backward pass of a layer in one step.

    Attributes
    ----------
    ms : float
        Milliseconds, the median over the repeats.
    multiply_adds : int
        Multiply-adds as textbooks count them, whatever algorithm runs; see `Layer.multiply_adds`.
        Backward counts the gradient of the weights and, if it is needed, that of the input.
    nbytes : int
        Bytes of the arrays that must be read or written, each counted once. Forward: input, output,
        parameters. Backward: both gradients; for a layer with parameters also their gradients, the
        input and, if the gradient of the input is needed, the parameters.
    gflops, peak_share : float or None
        GFLOP/s, at 2 operations per multiply-add, and its share of the peak. None if there are
        none.
    gbs, copy_share : float or None
        GB/s, and its share of the speed of a copy, which is above 1 if caches hold the arrays. None
        if no bytes move, for instance for a layer that returns a view.
    """

    ms: float
    multiply_adds: int
    nbytes: int
    gflops: float | None
    peak_share: float | None
    gbs: float | None
    copy_share: float | None


@dataclass(frozen=True)
class Row:
    """A row of the profile: a layer, or another part of a step.

    Attributes
    ----------
    name, kind : str
        See `Model.summary`. After the layers come ``loss``, ``optimizer``, ``rest`` (metrics,
        checks, zeroing gradients, calls between layers) and ``step``, the whole step.
    algorithm, backward_algorithm : str
        Algorithms of the passes of a convolution, see `Conv2D.algorithm_for`; else "-". Backward
        may use two, for the gradients of the weights and of the input. The table shows those that
        differ from the forward one behind a slash.
    calls : int
        Number of forward passes in a step: 2 for a layer that occurs twice, whose row has the sums;
        0 for a layer that is fused into the layer before it, whose row includes its time.
    ms, share : float
        Milliseconds of forward and backward, and their share of the step. Medians do not add up
        exactly to the median of the step. Times of a container exclude its parts.
    forward, backward : Pass or None
        None if the step has no such pass: there is no backward before the first layer that learns.
    """

    name: str
    kind: str
    algorithm: str
    calls: int
    ms: float
    share: float
    forward: Pass | None
    backward: Pass | None
    backward_algorithm: str = "-"


@dataclass(frozen=True, repr=False)
class Profile:
    """Result of `Model.profile`: rows for programs, and a table when it is printed.

    Attributes
    ----------
    rows : list of Row
        In the order of the network.
    samples, repeats, threads : int
        Samples of the batch; number of timed steps; number of threads that kernels could use.
    dtype : str
        dtype of the network.
    peak_gflops : float
        GFLOP/s of the fastest of several matrix products of 512x512x512 in that dtype.
    copy_gbs : float
        GB/s of the fastest of several copies of 64 MB, bytes read plus bytes written.
    """

    rows: list[Row]
    samples: int
    repeats: int
    threads: int
    dtype: str
    peak_gflops: float
    copy_gbs: float

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"the profile has no row {name!r}")

    def as_dict(self) -> dict[str, Any]:
        """Return everything as dicts, lists and numbers, for instance for JSON."""
        return dataclasses.asdict(self)

    def __repr__(self) -> str:
        return table(self)

    def _repr_html_(self) -> str:
        cells = [cells_of(row, decimals(self)) for row in self.rows]
        titles = [("", 2), *((title, of.stop - of.start) for title, of in TITLES.items())]
        return table_html(HEAD, cells, footer(self), texts=2, titles=titles)


@dataclass
class Part:
    """The meters of a row of the profile."""

    name: str
    kind: str
    forward: Sequence[Meter] = ()
    backward: Sequence[Meter] = ()
    other: Sequence[Meter] = ()
    algorithm: str = "-"
    backward_algorithm: str = "-"

    def row(self, step_ms: float, peak: float, speed: float) -> Row:
        """Return the row, for a step of ``step_ms`` on a machine of this peak and copy speed."""
        there, back = (pass_of(meters, peak, speed) for meters in (self.forward, self.backward))
        if self.other:
            calls, ms = 1, milliseconds([*self.forward, *self.backward, *self.other])
        else:
            calls, ms = self.forward[0].steps[0][0], sum(way.ms for way in (there, back) if way)
        share, algorithm = ms / step_ms, self.backward_algorithm
        return Row(self.name, self.kind, self.algorithm, calls, ms, share, there, back, algorithm)


def profile(trainer: Trainer, batch: Batch, repeats: int) -> Profile:
    """Measure steps of a built model; see `Model.profile`."""
    copied = copy.deepcopy(trainer)
    dtype = np.dtype(copied.network.built_dtype)
    arena = copied.prepare()
    start = arena.values.copy()
    probes = probes_of(copied.network)
    for probe in probes:
        probe.count()
    copied.step([batch])

    watch, loss, dloss, optimizer, rest = Stopwatch(), Meter(), Meter(), Meter(), Meter()
    for probe in probes:
        probe.time(watch)
    vars(copied.loss).update(
        forward=watch.timed(copied.loss.forward, loss),
        backward=watch.timed(copied.loss.backward, dloss),
    )
    vars(copied.optimizer).update(step=watch.timed(copied.optimizer.step, optimizer))
    step = watch.timed(copied.step, rest)
    forward = [*(probe.forward for probe in probes), loss]
    backward = [*(probe.backward for probe in probes), dloss]
    every = [*forward, *backward, optimizer, rest]
    peak = peak_gflops(dtype)
    for _ in range(repeats):
        arena.values[...] = start  # the same step again: many on one batch might diverge
        step([batch])
        for meter in every:
            meter.end_step()
    peak, speed = max(peak, peak_gflops(dtype)), copy_gbs()

    parts = [
        Part(
            p.name,
            type(p.layer).__name__,
            [p.forward],
            [p.backward],
            (),
            p.algorithm,
            p.backward_algorithm,
        )
        for p in probes
    ]
    parts += [
        Part("loss", type(trainer.loss).__name__, [loss], [dloss]),
        Part("optimizer", type(trainer.optimizer).__name__, other=[optimizer]),
        Part("rest", "-", other=[rest]),
        Part("step", "-", forward, backward, [optimizer, rest]),
    ]
    step_ms = milliseconds(every)
    rows = [part.row(step_ms, peak, speed) for part in parts]
    return Profile(rows, len(batch), repeats, get_num_threads(), dtype.name, peak, speed)


def milliseconds(meters: Sequence[Meter]) -> float:
    """Return the median over steps of the total time of functions."""
    steps = zip(*(meter.steps for meter in meters), strict=True)
    return 1e3 * median(sum(seconds for _, seconds in step) for step in steps)


def pass_of(meters: Sequence[Meter], peak: float, speed: float) -> Pass | None:
    """Return the total of functions; None if they were not called."""
    if not any(meter.steps[0][0] for meter in meters):
        return None
    ms = milliseconds(meters)
    work = sum(meter.multiply_adds for meter in meters)
    nbytes = sum(meter.nbytes for meter in meters)
    gflops = 2e-6 * work / ms if work and ms else None
    gbs = 1e-6 * nbytes / ms if nbytes and ms else None
    peak_share = None if gflops is None else gflops / peak
    copy_share = None if gbs is None else gbs / speed
    return Pass(ms, work, nbytes, gflops, peak_share, gbs, copy_share)


def peak_gflops(dtype: np.dtype[Any]) -> float:
    """Return the speed of the best of several matrix products of 512x512x512."""
    a, b, c = np.ones((3, 512, 512), dtype)
    return 2e-9 * 512**3 / best_seconds(lambda: gemm.gemm(a, b, c))


def copy_gbs() -> float:
    """Return the speed of the best of several copies of 64 MB, on as many threads as kernels."""
    n = get_num_threads()
    a, b = np.ones((2, 2**26), np.uint8)
    pieces = list(zip(np.array_split(a, n), np.array_split(b, n), strict=True))
    if n == 1:  # without a thread of its own: a browser can start none
        return 2e-9 * a.nbytes / best_seconds(lambda: np.copyto(a, b))
    with ThreadPoolExecutor(n) as pool:
        seconds = best_seconds(lambda: list(pool.map(lambda piece: np.copyto(*piece), pieces)))
    return 2e-9 * a.nbytes / seconds


def best_seconds(call: Callable[[], object]) -> float:
    """Return the seconds of the fastest of 8 calls."""
    best = inf
    for _ in range(8):
        start = perf_counter()
        call()
        best = min(best, perf_counter() - start)
    return best


HEAD = ("layer", "algorithm", "fwd", "bwd", "both", "%", *2 * ("fwd", "%", "bwd", "%"))
GAPS: tuple[int, ...] = (0, 2, 2, 1, 1, 1, *2 * (2, 1, 2, 1))  # spaces before each column
TITLES = {"ms": slice(2, 6), "GFLOP/s": slice(6, 10), "GB/s": slice(10, 14)}  # above columns


def table(profile: Profile) -> str:
    """Return the table: two header lines, the rows, and two lines on the measurement."""
    rows = [HEAD, *(cells_of(row, decimals(profile)) for row in profile.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - sum(GAPS))
    above = " " * (sum(widths[:2]) + GAPS[1])
    for title, of in TITLES.items():
        gap, *inside = GAPS[of]
        above += " " * gap + f" {title} ".center(sum(inside) + sum(widths[of]), "-")
    lines = [above]
    for name, algorithm, *numbers in rows:
        shown = name if len(name) <= widths[0] else f"..{name[2 - widths[0] :]}"
        line = f"{shown:<{widths[0]}}  {algorithm:<{widths[1]}}"
        for number, gap, width in zip(numbers, GAPS[2:], widths[2:], strict=True):
            line += " " * gap + f"{number:>{width}}"
        lines.append(line)
    return "\n".join([*lines, *footer(profile)])


def decimals(profile: Profile) -> int:
    """Return the number of decimals of milliseconds."""
    step_ms = profile.rows[-1].ms
    return 1 if step_ms >= 100 else 2 if step_ms >= 10 else 3


def footer(profile: Profile) -> list[str]:
    """Return the lines below the table: how it was measured, and what explains its numbers."""
    return [
        f"{profile.dtype}, batch {profile.samples}, threads {profile.threads}, "
        f"medians of {profile.repeats} steps",
        f"% of the step; of {profile.peak_gflops:.0f} GFLOP/s, the best 512x512x512 product; "
        f"of {profile.copy_gbs:.1f} GB/s, the best 64 MB copy",
        *notes(profile),
    ]


def notes(profile: Profile) -> list[str]:
    """Return what explains numbers above 100 %, if there are any."""
    passes = [way for row in profile.rows for way in (row.forward, row.backward) if way]
    lines = []
    if any(way.peak_share and way.peak_share > 1 for way in passes):
        used = " ".join(f"{row.algorithm} {row.backward_algorithm}" for row in profile.rows)
        why = "these products are faster than one of 512x512x512"
        if "winograd" in used:
            why = "Winograd's algorithm multiplies less often than textbooks count"
        lines.append(f"above 100 % of GFLOP/s: {why}")
    if any(way.copy_share and way.copy_share > 1 for way in passes):
        lines.append(
            "above 100 % of GB/s: the arrays are in a cache; the copy of 64 MB goes to the memory"
        )
    return lines


def cells_of(row: Row, digits: int) -> tuple[str, ...]:
    """Return the cells of a row, with ``digits`` decimals of milliseconds."""
    name = row.name or row.kind  # a network of one layer has no name
    if row.calls > 1:
        name += f" x{row.calls}"
    times, speeds, rates = [], [], []
    for way in (row.forward, row.backward):
        times.append("-" if way is None else f"{way.ms:.{digits}f}")
        speeds += ["-", "-"] if way is None else [figures(way.gflops), percent(way.peak_share)]
        rates += ["-", "-"] if way is None else [figures(way.gbs), percent(way.copy_share)]
    whole = [f"{row.ms:.{digits}f}", percent(row.share)]
    if row.calls == 0:
        times[0], whole = "fused", ["-", "-"] if row.backward is None else whole
    others = [other for other in row.backward_algorithm.split(", ") if other != row.algorithm]
    algorithm = " / ".join([row.algorithm, *(others if row.backward else ())])
    return (name, algorithm, *times, *whole, *speeds, *rates)


def percent(share: float | None) -> str:
    """Return a share in %, or "-" for None."""
    return figures(None if share is None else 100 * share)


def figures(value: float | None) -> str:
    """Return a number, with one decimal if it is below 10, or "-" for None."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
