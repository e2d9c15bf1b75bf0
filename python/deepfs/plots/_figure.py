"""Axes to draw into, and texts that fit."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from math import ceil
from typing import Any

import numpy as np

from .._check import shown

INCH = 72  # points


def need_matplotlib(who: str) -> None:
    """Raise ImportError with the line to type if Matplotlib is not there."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{who} needs Matplotlib, which is not installed: pip install 'deepfs[plot]'"
        ) from None


def new_figure(width: float, height: float) -> Any:
    """Return a figure of a size in inches.

    Where pyplot is in use, it is one of pyplot's, so that notebooks and ``plt.show()`` show it;
    pyplot is not imported for it, since it would choose a window system.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        return pyplot.figure(figsize=(width, height), layout="constrained")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def one_axes(ax: Any, who: str, width: float = 5.0, height: float = 3.6) -> Any:
    """Return the Axes that is given, or that of a new figure."""
    if ax is None:
        return new_figure(width, height).subplots()
    return checked(ax, who)


def checked(ax: Any, who: str) -> Any:
    """Return an Axes if it is one."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"plots.{who} draws into an Axes of Matplotlib, got ax={shown(ax)}")
    return ax


def grid(
    ax: Any,
    who: str,
    count: int,
    columns: int | None = None,
    panel: tuple[float, float] = (1.3, 1.5),
    ticks: bool = False,
    lines: int = 1,
) -> Any:
    """Return a number of Axes as an array (count,).

    Parameters
    ----------
    ax : Axes, array of Axes, or None
        One Axes is divided, if there is more than one panel; of an array, the first ones are used;
        None makes a figure.
    who : str
        Name of the function, for messages.
    count : int
        Number of panels.
    columns : int, optional
        Panels side by side; by default as many as make a square.
    panel : (float, float)
        Width and height of a panel in a new figure, in inches.
    ticks : bool
        Whether panels of a divided Axes need room for labels of ticks.
    lines : int
        Lines of text above each panel, for which a divided Axes has room.
    """
    columns = min(count, columns or ceil(count**0.5))
    rows = ceil(count / columns)
    if ax is None:
        figure = new_figure(max(columns * panel[0], 2.0), max(rows * panel[1], 1.6))
        made = figure.subplots(rows, columns, squeeze=False).reshape(-1)
        for unused in made[count:]:
            unused.remove()
        return made[:count]
    if isinstance(ax, (np.ndarray, list, tuple)):
        given = [checked(entry, who) for entry in np.asarray(ax, object).reshape(-1)]
        if len(given) < count:
            raise ValueError(f"plots.{who} needs {count} Axes for this, got {len(given)}")
        found = np.empty(count, object)
        found[:] = given[:count]
        return found
    found = np.empty(count, object)
    if count == 1:
        found[0] = checked(ax, who)
        return found
    checked(ax, who).set_axis_off()
    wide, high = 1 / columns, 1 / rows
    width, height = size_of(ax)
    above = min((0.15 * lines + 0.06) / height, 0.5 * high)
    side, under = (0.32 / width, 0.2 / height) if ticks else (0.04 * wide, 0.02 * high)
    side, under = min(side, 0.3 * wide), min(under, 0.2 * high)
    for i in range(count):
        left, below = (i % columns) * wide, 1 - (i // columns + 1) * high
        room = (wide - side - 0.04 * wide, high - under - above)
        found[i] = ax.inset_axes((left + side, below + under, *room))
    return found


def font_for(ax: Any, panels: int, columns: int | None, longest: int, size: float) -> float:
    """Return the size of a font in which a line fits above a panel of a divided Axes."""
    if ax is None or isinstance(ax, (np.ndarray, list, tuple)) or panels == 1:
        return size
    columns = min(panels, columns or ceil(panels**0.5))
    return max(3.5, min(size, size_of(ax)[0] / columns * INCH / (0.62 * max(longest, 1))))


def bare(ax: Any) -> None:
    """Take ticks and their labels away."""
    ax.set_xticks([])
    ax.set_yticks([])


def size_of(ax: Any) -> tuple[float, float]:
    """Return width and height of an Axes in inches."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return box.width / dpi, box.height / dpi


def short(text: Any, width: int) -> str:
    """Return a text of at most this many characters, on one line; dollars are no mathematics.

    Long ones lose their middle: beginning and end tell names apart.
    """
    line = " ".join(str(text).split())
    if len(line) > width:
        tail = width // 3
        head = line[: width - 1 - tail].rstrip()
        line = f"{head}\N{HORIZONTAL ELLIPSIS}{line[-tail:].lstrip()}"
    return line.replace("$", r"\$")


def rounded(value: float) -> str:
    """Return a number with 3 digits."""
    return f"{float(value):.3g}"


def contrast(rgba: Iterable[float]) -> str:
    """Return the colour, black or white, of a text on this colour."""
    red, green, blue = list(rgba)[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"
