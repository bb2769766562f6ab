"""The project's pages, and what stands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text.splitlines()[0]}"


def blocks(language: str | None = None) -> list[Block]:
    """Those of a language, or all."""
    found = [Block(page, *match.groups()) for page in PAGES for match in _FENCE.finditer(page.read_text())]
    return [block for block in found if language is None or block.language == language]


def plans() -> list[Block]:
    """Blocks of YAML that are whole plans."""
    return [block for block in blocks("yaml") if re.search(r"^scenarios:", block.text, re.MULTILINE)]


def scripts() -> list[Block]:
    """Blocks of Python that declare scenarios."""
    return [block for block in blocks("python") if "@scenario(" in block.text]


def commands() -> list[tuple[str, ...]]:
    """The arguments of every `loadr …` in a block without a language, in order; shell comments are left out."""
    out = []
    for block in blocks(""):
        for line in block.text.splitlines():
            match = re.match(r"(?:\.venv/bin/)?loadr (.*)", line)
            if match and line.count("loadr ") == 1:  # a picture has several side by side
                words = shlex.split(match[1], comments=True)
                out.append(tuple(word for word in words if word != "&"))
    return out
