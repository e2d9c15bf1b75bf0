"""Tables for notebooks: plain HTML, without scripts and colours, so that every theme suits it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..layers import Layer
from . import layer_table

if TYPE_CHECKING:
    from .profile import Profile


def network_html(network: Layer) -> str:
    """Return the summary of a built network as a table; of another one, its settings."""
    if network.built_dtype is None:
        return preformatted(repr(network))
    rows = layer_table.rows_of(network)
    cells = [layer_table.cells_of(row) for row in rows]
    faint = [row.shared or row.container for row in rows]
    notes = layer_table.totals(network, rows)
    return table_html(layer_table.HEAD, cells, notes, texts=4, faint=faint)


def profile_html(profile: Profile) -> str:
    """Return a profile as a table."""
    from .profile import HEAD, TITLES, cells_of, decimals, footer

    cells = [cells_of(row, decimals(profile)) for row in profile.rows]
    titles = [("", 2), *((title, of.stop - of.start) for title, of in TITLES.items())]
    return table_html(HEAD, cells, footer(profile), texts=2, titles=titles)


def table_html(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    texts: int = 1,
    titles: Sequence[tuple[str, int]] = (),
    faint: Sequence[bool] = (),
) -> str:
    """Return a table whose first ``texts`` columns are texts, the others numbers.

    ``titles`` are headings over several columns each; rows that are ``faint`` are not emphasised.
    """
    above = "".join(
        f'<th colspan="{columns}" style="text-align: center">{escape(title)}</th>'
        for title, columns in titles
    )
    lines = ["<table>", "<thead>", *([f"<tr>{above}</tr>"] if titles else [])]
    lines += [row_html(head, texts, "th"), "</thead>", "<tbody>"]
    for number, cells in enumerate(rows):
        lines.append(row_html(cells, texts, "td", bool(faint) and faint[number]))
    lines += ["</tbody>", "</table>"]
    return "\n".join([*lines, *(f"<div>{escape(note)}</div>" for note in notes)])


def row_html(cells: Sequence[str], texts: int, tag: str, faint: bool = False) -> str:
    """Return a row of a table."""
    aligned = ["left"] * texts + ["right"] * (len(cells) - texts)
    inside = "".join(
        f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
        for cell, side in zip(cells, aligned, strict=True)
    )
    return f'<tr style="opacity: 0.6">{inside}</tr>' if faint else f"<tr>{inside}</tr>"


def preformatted(text: str) -> str:
    """Return a text as it is."""
    return f"<pre>{escape(text)}</pre>"
