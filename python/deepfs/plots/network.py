"""A diagram of a network."""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

from .._check import shown
from ..layers import Layer
from ._figure import checked, need_matplotlib, new_figure, size_of
from ._network_graph import Box, boxes_of, cuts_of

FONT = 8.0  # points, before scaling
LETTER = 0.069  # width of a letter of that size, in inches
LINE, GAP, SIDE, TRACK = 0.145, 0.22, 0.3, 0.14  # inches
SHAPE = 1.45  # wished width over height
WIDEST = 16.0  # inches of a new figure
ONE_COLUMN = 12  # rows that stay together

# Light, so that black letters can be read; of different lightness, also in grey.
COLOURS = {
    "Conv": "#a6cee3", "Depthwise": "#a6cee3", "Separable": "#a6cee3", "Dense": "#fdbf6f",
    "Max": "#c7e9b4", "Avg": "#c7e9b4", "Global": "#c7e9b4", "Adaptive": "#c7e9b4",
    "Add": "#ffffff", "Concat": "#ffffff", "Multiply": "#ffffff", "Subtract": "#ffffff",
    "Input": "#ffffff",
}  # fmt: skip
OTHER = "#e3e3e3"


class Column(NamedTuple):
    """A part of a diagram: rows from top to bottom, lanes from left to right."""

    first: int  # row
    last: int
    boxes: list[int]
    source: int  # box of the column before, from which it goes on; -1 for none
    lefts: list[float]  # of each lane, in inches from the column's left
    widths: list[float]  # of each lane
    tracks: list[tuple[int, int, int, float]]  # from box, to box, lane to the left of it, offset
    width: float


def network(model: Any, ax: Any = None) -> Any:
    r"""Draw the layers of a network as boxes, from the input to the output.

    Parameters
    ----------
    model : Model or Layer
        A model or a network that is built, by data or by ``summary(in_shape)``.
    ax : Axes, optional
        Where to draw; by default in a new figure of a size that suits.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        If Matplotlib is not installed.
    RuntimeError
        If the network is not built: then shapes are not known.
    TypeError
        If it is no network.

    Notes
    -----
    A box has the kinds of its layers, with the size and stride of windows (``3x3 /2``), and the
    shape of the output of one sample. Activations, norms and dropout are in the box of the layer
    before them. Long networks go on in a next column. What jumps over layers is drawn beside them.

    Examples
    --------
    >>> import deepfs as dfs
    >>> net = dfs.layers.Sequential([dfs.layers.Dense(8), dfs.layers.ReLU(), dfs.layers.Dense(3)])
    >>> _ = net(np.zeros((1, 4)))
    >>> ax = dfs.plots.network(net)
    >>> [text.get_text() for text in ax.texts if text.get_text()]
    ['input\n4', 'Dense, ReLU\n8', 'Dense\n3']
    """
    need_matplotlib("plots.network")
    layer = getattr(model, "network", model)
    if not isinstance(layer, Layer):
        raise TypeError(f"plots.network takes a model or a network, got {shown(model)}")
    if layer.built_dtype is None:
        raise RuntimeError(
            "plots.network needs a built network: call summary(in_shape) of the model before"
        )
    boxes = boxes_of(layer)
    columns, high = columns_of(boxes)
    wide = sum(column.width for column in columns)
    if ax is None:
        scale = min(1.0, WIDEST / wide, WIDEST / high)
        figure = new_figure(wide * scale, high * scale)
        ax = figure.subplots()
    else:
        width, height = size_of(checked(ax, "network"))
        scale = min(width / wide, height / high)
    ax.set_axis_off()
    ax.set_xlim(0, wide)
    ax.set_ylim(high, 0)
    ax.set_aspect("equal")
    Drawing(ax, boxes, columns, scale).draw()
    return ax


def box_height(boxes: list[Box]) -> float:
    """Return the height of all boxes."""
    return max(len(box.lines) for box in boxes) * LINE + 0.1


def columns_of(boxes: list[Box]) -> tuple[list[Column], float]:
    """Return the columns that give the diagram a good shape, and its height."""
    rows = max(box.row for box in boxes) + 1
    cuts = cuts_of(boxes)
    pitch = box_height(boxes) + GAP
    best: tuple[float, list[Column], float] | None = None
    for limit in [rows] if rows <= ONE_COLUMN else range(6, rows + 1):
        columns = divided(boxes, cuts, rows, limit)
        most = max(column.last - column.first + 1 for column in columns)
        high = most * pitch + (2 * GAP if len(columns) > 1 else 0.0) + 0.1
        wide = sum(column.width for column in columns)
        stumps = sum(part.last - part.first < 2 for part in columns)
        wrong = abs(log(wide / high / SHAPE)) + stumps
        if best is None or wrong < best[0] - 1e-9:
            best = wrong, columns, high
    assert best is not None
    return best[1], best[2]


def divided(boxes: list[Box], cuts: dict[int, int], rows: int, limit: int) -> list[Column]:
    """Return columns of at most so many rows, as far as the diagram can be cut."""
    columns: list[Column] = []
    first, source = 0, -1
    while first < rows:
        ends = [row for row in cuts if first <= row < first + limit]
        last = rows - 1 if rows - first <= limit else max(ends, default=-1)
        if last < 0:  # no cut there: the next one
            last = min((row for row in cuts if row >= first), default=rows - 1)
        columns.append(column(boxes, first, last, source))
        first, source = last + 1, cuts.get(last, -1)
    return columns


def column(boxes: list[Box], first: int, last: int, source: int) -> Column:
    """Return a column, with places for its lanes and for the lines beside them."""
    inside = [i for i, box in enumerate(boxes) if first <= box.row <= last]
    lanes = max(boxes[i].lane for i in inside) + 1
    widths = [0.0] * lanes
    for i in inside:
        longest = max(map(len, boxes[i].lines))
        widths[boxes[i].lane] = max(widths[boxes[i].lane], longest * LETTER + 0.16)
    jumps = []
    for i in inside:
        for j in boxes[i].inputs:
            start = boxes[j].row if j in inside else first - 1
            if boxes[i].row - start > 1 and not straight(boxes, inside, j, i, start):
                between = [boxes[k].lane for k in inside if start <= boxes[k].row <= boxes[i].row]
                jumps.append((start, boxes[i].row, j, i, max(between)))
    tracks, busy = [], list[tuple[int, int, int, int]]()
    for start, end, j, i, lane in sorted(jumps, key=lambda jump: jump[1] - jump[0]):
        number = 1
        while any(at == lane and n == number and s < end and start < e for s, e, at, n in busy):
            number += 1
        busy.append((start, end, lane, number))
        tracks.append((j, i, lane, number * TRACK))
    lefts, x = [], SIDE / 2
    for lane, width in enumerate(widths):
        lefts.append(x)
        x += width + max([offset for _, _, at, offset in tracks if at == lane] or [0.0]) + 0.15
    return Column(first, last, inside, source, lefts, widths, tracks, x - 0.15 + SIDE)


def straight(boxes: list[Box], inside: list[int], j: int, i: int, start: int) -> bool:
    """Return whether a line from box j down its lane, then over to box i, meets no box."""
    if j not in inside:
        return False
    rows = range(start + 1, boxes[i].row)
    return not any(boxes[k].lane == boxes[j].lane and boxes[k].row in rows for k in inside)


class Drawing:
    """Draws boxes and lines; coordinates are inches from the top left."""

    def __init__(self, ax: Any, boxes: list[Box], columns: list[Column], scale: float) -> None:
        from matplotlib import rcParams

        self.ax, self.boxes, self.columns, self.scale = ax, boxes, columns, scale
        self.colour = rcParams["axes.edgecolor"]
        self.height = box_height(boxes)
        self.pitch = self.height + GAP
        self.top = GAP + 0.05 if len(columns) > 1 else 0.05

    def draw(self) -> None:
        """Draw all."""
        places: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)] * len(self.boxes)
        left = 0.0
        for part in self.columns:
            for i in part.boxes:
                box = self.boxes[i]
                x, width = left + part.lefts[box.lane], part.widths[box.lane]
                places[i] = x, self.top + (box.row - part.first) * self.pitch, width
            left += part.width
        left = 0.0
        for number, part in enumerate(self.columns):
            ghost = self.entry(places, left, part, number)
            self.lines(places, left, part, ghost)
            left += part.width
        for box, place in zip(self.boxes, places, strict=True):
            self.box(box, *place)

    def box(self, box: Box, x: float, y: float, width: float) -> None:
        """Draw a box with its text."""
        from matplotlib.patches import FancyBboxPatch

        names = [colour for start, colour in COLOURS.items() if box.group.startswith(start)]
        patch = FancyBboxPatch(
            (x, y), width, self.height, boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=names[0] if names else OTHER, edgecolor=self.colour,
            linewidth=0.8 * self.scale, zorder=2,
        )  # fmt: skip
        self.ax.add_patch(patch)
        self.ax.text(
            x + width / 2, y + self.height / 2, "\n".join(box.lines).replace("$", r"\$"),
            ha="center", va="center_baseline", fontsize=FONT * self.scale, color="black", zorder=3,
            linespacing=1.15,
        )  # fmt: skip

    def entry(
        self, places: list[Any], left: float, part: Column, number: int
    ) -> tuple[float, float]:
        """Draw the line from the column before; return the point where it ends."""
        if part.source < 0:
            return 0.0, 0.0
        x, y, width = places[part.source]
        before = self.columns[number - 1]
        firsts = [i for i in part.boxes if self.boxes[i].row == part.first]
        target = places[firsts[0]]
        end = target[0] + target[2] / 2, target[1] - GAP * 0.75
        bottom = self.top + (before.last - before.first + 1) * self.pitch - GAP / 2
        middle = left - SIDE / 4
        self.line(
            [(x + width / 2, y + self.height), (x + width / 2, bottom), (middle, bottom),
             (middle, end[1]), end],
            arrow=False,
        )  # fmt: skip
        return end

    def lines(
        self, places: list[Any], left: float, part: Column, ghost: tuple[float, float]
    ) -> None:
        """Draw the lines inside a column."""
        beside = {(j, i): (lane, offset) for j, i, lane, offset in part.tracks}
        for i in part.boxes:
            x, y, width = places[i]
            for j in self.boxes[i].inputs:
                inside = j in part.boxes
                fx, fy, fwidth = places[j]
                start = (fx + fwidth / 2, fy + self.height) if inside else ghost
                end = x + width / 2, y
                if (j, i) in beside:
                    lane, offset = beside[j, i]
                    track = left + part.lefts[lane] + part.widths[lane] + offset
                    # out below the middle, in above it: two lines in a row stay apart
                    side = (fx + fwidth, fy + self.height * 0.7) if inside else ghost
                    goal = y + self.height * 0.3
                    self.line([side, (track, side[1]), (track, goal), (x + width, goal)])
                elif start[0] == end[0]:
                    self.line([start, end])
                elif inside and self.boxes[i].row - self.boxes[j].row > 1:
                    self.line([start, (start[0], y - GAP / 2), (end[0], y - GAP / 2), end])
                else:
                    turn = start[1] + (GAP / 2 if inside else 0.0)
                    self.line([start, (start[0], turn), (end[0], turn), end])

    def line(self, points: list[tuple[float, float]], arrow: bool = True) -> None:
        """Draw a line through points, perhaps with an arrow at its end."""
        xs, ys = zip(*points, strict=True)
        self.ax.plot(xs, ys, color=self.colour, linewidth=self.scale, zorder=1,
                     solid_joinstyle="round", marker="")  # fmt: skip
        if arrow:
            self.ax.annotate(
                "", points[-1], points[-2], zorder=1,
                arrowprops={
                    "arrowstyle": "-|>", "color": self.colour, "linewidth": self.scale,
                    "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7 * self.scale,
                },
            )  # fmt: skip
