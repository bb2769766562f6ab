"""HTML and SVG by construction: an element escapes every text that is not markup already.

Takes tag names, attributes and children; gives `Markup`. There is no other way into a page, so nothing that a
plan, a script or a target says can become markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = ("path", "line", "rect", "circle", "br")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Iterable["Child"]


def element(tag: str, *children: Child, **attributes: str | float) -> Markup:
    """``element("td", "a < b", class_="num")``. A trailing ``_`` of an attribute's name falls away, other ``_``
    become ``-``."""
    names = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    head = "".join(f' {name}="{escape(str(value))}"' for name, value in names.items())
    if tag in _VOID and not children:
        return Markup(f"<{tag}{head}/>")
    return Markup(f"<{tag}{head}>{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Markup:
    """Children one after the other, each escaped unless it is markup."""
    out: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            out.append(child)
        elif isinstance(child, str):
            out.append(escape(child))
        else:
            out.append(join(child))
    return Markup("".join(out))
