"""What a `deepfs.History` shows of itself: a table of the epochs, or curves for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, isfinite, log10

from .._html import preformatted
from .._table import clipped

NAME = 40  # widest name in the table
HEAD = ("", "first", "last", "lowest", "in epoch", "highest", "in epoch")
WIDTH, HEIGHT = 340, 220  # of a diagram, in pixels
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 28, 36  # margins of a diagram
COLOURS = ("#1f77b4", "#ff7f0e")  # training, validation: legible on white and on black


def in_words(history: Mapping[str, Sequence[float]], interrupted: bool) -> str:
    """Return a line per name: the values of the first and last epoch, the extremes and where."""
    curves = {name: values for name, values in history.items() if values}
    if not curves:
        return "History of no epoch"
    epochs = max(map(len, curves.values()))
    stopped = ", interrupted in the last" if interrupted else ""
    rows = [HEAD, *(cells_of(name, values) for name, values in curves.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"History of {epochs:,} epoch{'' if epochs == 1 else 's'}{stopped}"]
    for name, *numbers in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([f"{name:<{widths[0]}}", *cells]))
    return "\n".join(lines)


def cells_of(name: str, values: Sequence[float]) -> tuple[str, ...]:
    """Return a row of the table."""
    finite = [value for value in values if isfinite(value)]
    cells = [clipped(name, NAME), number(values[0]), number(values[-1])]
    for extreme in (min, max):
        value = extreme(finite, default=values[0])
        cells += [number(value), str(values.index(value) + 1)] if finite else ["-", "-"]
    return tuple(cells)


def number(value: float) -> str:
    """Return a number with 4 digits."""
    return f"{value:.4g}"


def history_html(history: Mapping[str, Sequence[float]]) -> str:
    """Return a diagram per name, in which training and validation share one, as inline SVG."""
    curves = {name: values for name, values in history.items() if values}
    if not curves:
        return preformatted(in_words(history, False))
    names = [name for name in curves
             if not (name.startswith("val_") and name[4:] in curves)]  # fmt: skip
    diagrams = []
    for name in names:
        lines = {"training": curves[name]}
        if f"val_{name}" in curves:
            lines["validation"] = curves[f"val_{name}"]
        diagrams.append(diagram(name, lines))
    return "<div>\n{}\n</div>".format("\n".join(diagrams))


def diagram(title: str, lines: Mapping[str, Sequence[float]]) -> str:
    """Return the values of lines over their number as an SVG picture."""
    count = max(map(len, lines.values()))
    lines = {name: [shown(value) for value in values] for name, values in lines.items()}
    finite = [v for values in lines.values() for v in values if isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    marks = enclosing(low, high)
    low, high = marks[0], marks[-1]

    def at(epoch: float, value: float) -> tuple[float, float]:
        across = (epoch - 1) / (count - 1) if count > 1 else 0.5
        x = LEFT + across * (WIDTH - LEFT - RIGHT)
        return x, HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)} of each epoch</title>",
        text(LEFT, 16, title, size=13),
    ]
    for value in marks:
        _, y = at(1, value)
        parts += [rule(LEFT, y, WIDTH - RIGHT, y), text(LEFT - 6, y + 4, f"{value:.4g}", "end")]
    every = 1 if count < 9 else round(spacing(1, count))
    for epoch in range(every, count + 1, every):
        x, _ = at(epoch, low)
        parts.append(text(x, HEIGHT - BOTTOM + 15, str(epoch), "middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "epoch", "middle"))
    for place, ((label, values), colour) in enumerate(zip(lines.items(), COLOURS, strict=False)):
        points = [at(epoch, v) for epoch, v in enumerate(values, 1) if isfinite(v)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        if len(points) < 30:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>'
                      for x, y in points]  # fmt: skip
        if len(lines) > 1:
            x = WIDTH - RIGHT - 75 * (len(lines) - place - 1)
            parts.append(text(x, 16, label, "end", colour=colour))
    return "\n".join([*parts, "</svg>"])


def shown(value: float) -> float:
    """Return a value within a range whose ends have a distance that is a float."""
    return min(max(value, -1e307), 1e307) if isfinite(value) else value


def rule(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a faint line."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-opacity="0.2"/>'


def text(
    x: float, y: float, what: str, anchor: str = "start", size: int = 11, colour: str = ""
) -> str:
    """Return a text, in the colour of the page if no other is given."""
    look = f'text-anchor="{anchor}" font-size="{size}" fill="{colour or "currentColor"}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(what)}</text>'


def spacing(low: float, high: float) -> float:
    """Return a round number of which about five fit between two numbers."""
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def enclosing(low: float, high: float) -> list[float]:
    """Return equally spaced round numbers, from one below ``low`` to one above ``high``."""
    step = spacing(low, high)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]
