"""Nodes of computational graphs, and a drawing of them with values and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class MulLayer:
    """A node that multiplies: each input's gradient is that of the output times the other input."""

    def forward(self, a: Any, b: Any) -> Any:
        """Return ``a * b``, and keep both for `backward`."""
        self.a, self.b = a, b
        return a * b

    def backward(self, dy: Any) -> tuple[Any, Any]:
        """Return the gradients of ``a`` and ``b``, from that of the output."""
        return dy * self.b, dy * self.a


class AddLayer:
    """A node that adds: it hands the gradient of its output to both inputs."""

    def forward(self, a: Any, b: Any) -> Any:
        """Return ``a + b``."""
        return a + b

    def backward(self, dy: Any) -> tuple[Any, Any]:
        """Return the gradients of ``a`` and ``b``, from that of the output."""
        return dy, dy


Edge = tuple[str, str, Any, Any]  # from, to, value forward, gradient backward
Places = dict[str, tuple[float, float, str]]  # node: x, y, what to write


def in_a_row(edges: Sequence[Edge]) -> Places:
    """Return places of nodes in a row from the first one on; further inputs stand below it."""
    places: Places = {edges[0][0]: (0.0, 1.0, edges[0][0])}
    for start, end, _, _ in edges:
        if start in places:
            places[end] = (places[start][0] + 1, 1.0, end)
        else:
            places[start] = (places[end][0] - 1, 0.0, start)
    return places


def draw_graph(ax: Any, places: Places, edges: Sequence[Edge], size: int = 10) -> None:
    """Draw nodes at ``places`` and arrows between them.

    Nodes with arrows to and from them are operations, in boxes. Above an arrow stands its value,
    below it, in red, the gradient of the last output with respect to it, unless that is None.
    """
    ends, starts = {edge[1] for edge in edges}, {edge[0] for edge in edges}
    boxes = {}
    for name, (x, y, text) in places.items():
        blue = {"boxstyle": "round,pad=0.4", "fc": "lightblue", "ec": "steelblue"}
        box = blue if name in ends and name in starts else {"fc": "white", "ec": "none"}
        node = ax.text(x, y, text, ha="center", va="center", bbox=box, fontsize=size, zorder=2)
        boxes[name] = node.get_bbox_patch()
    for start, end, value, gradient in edges:
        (x0, y0, _), (x1, y1, _) = places[start], places[end]
        style = {"arrowstyle": "->", "color": "gray", "patchA": boxes[start], "patchB": boxes[end]}
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=style, zorder=3)
        for above, what, color in ((True, value, "black"), (False, gradient, "firebrick")):
            if what is not None:
                ax.annotate(
                    _text(what),
                    ((x0 + x1) / 2, (y0 + y1) / 2),
                    xytext=(0, 3 if above else -3),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if above else "top",
                    color=color,
                    fontsize=size - 1,
                    bbox={"fc": "white", "ec": "none", "pad": 0.5},
                    zorder=4,
                )
    across, up = ([place[axis] for place in places.values()] for axis in (0, 1))
    ax.set_xlim(min(across) - 0.1 * np.ptp(across), max(across) + 0.1 * np.ptp(across))
    ax.set_ylim(min(up) - 0.15 * np.ptp(up) - 0.1, max(up) + 0.15 * np.ptp(up) + 0.1)
    ax.axis("off")


def _text(value: Any) -> str:
    """Return a number in up to four digits, an array in rows."""
    if np.size(value) == 1:
        return f"{np.asarray(value).item():.4g}"
    return np.array2string(np.asarray(value) + 0.0, precision=2, suppress_small=True)
