"""Plain-text layout: aligned tables, wrapped lines, colours and an ASCII fallback.

Takes cells of text, gives lines that fit a width. Colour is added after widths are settled, so it never moves
a column; without colour and in ASCII the same layout comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from loadr.report.figures import clip

Tone = Literal["good", "bad", "warn", "dim", "bold", "plain"]
_CODES: dict[str, str] = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "µ": "u", "…": "~", "·": ",", "–": "-", "─": "-", "└": "'", "→": ">", "±": "+", "—": "-"}
)


class Ink:
    """Puts colour on finished text, or leaves it alone."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, tone: Tone, text: str) -> str:
        code = _CODES.get(tone)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code else text


def to_ascii(text: str) -> str:
    """The same width in pure ASCII; what has no counterpart becomes ``?``."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def flow(head: str, pieces: Sequence[str], width: int, gap: str = "  ") -> list[str]:
    """``head`` and as many pieces a line as fit; later lines start under the first piece."""
    indent = " " * len(head)
    lines = [head]
    empty = True
    for piece in pieces:
        joined = lines[-1] + ("" if empty else gap) + piece
        if len(joined) > width and not empty:
            lines.append(indent + piece)
        else:
            lines[-1] = joined
        empty = False
    return [line.rstrip() for line in lines]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, indent: str = "    ") -> list[str]:
    """A header and its rows: the first column left-aligned and clipped to what is left of ``width``, the others
    right-aligned to their longest cell."""
    grid = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[i]) for row in grid) for i in range(len(header))]
    rest = sum(w + 2 for w in widths[1:])
    widths[0] = max(8, min(widths[0], width - len(indent) - rest))
    lines = []
    for row in grid:
        cells = [clip(row[0], widths[0]).ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines
