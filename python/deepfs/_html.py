"""Tables for notebooks: plain HTML, without scripts and colours, so that every theme suits it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


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
