"""Makes what pages of the docs can take from the code, or checks that they hold what it would make.

    python tools/generate_docs.py            writes the generated regions of all pages below docs/
    python tools/generate_docs.py --check    writes nothing; exit code 1 and the reason if one differs

A region lies between two comments, ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``; what stands around it
is written by hand. Words that the code does not hold are in `tools/reference/`, and what has none is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from reference import api, cli, conversation, metrics, plan, protocol, states, vectors

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs"

# The enumeration of states of each total table in the cores (wherever it stands) → its title.
MACHINES = {
    "LinkState": "The agent: its connection",
    "AgentRunState": "The agent: a run",
    "AgentState": "The controller: a session",
    "RunState": "The controller: a run",
}
REGIONS: dict[str, Callable[[], str]] = {
    "states": partial(states.render, MACHINES),
    "cli": cli.render,
    "plan": plan.render,
    "metrics": metrics.render,
    "kinds": metrics.render_kinds,
    "routes": api.render,
    "messages": protocol.render_messages,
    "enums": protocol.render_enums,
    "times": protocol.render_times,
    "limits": protocol.render_limits,
    "channel": protocol.render_channel,
    "slots": vectors.render_slots,
    "poisson": vectors.render_poisson,
    "histograms": vectors.render_histograms,
    "conversation": conversation.render,
    "example-plan": conversation.render_plan,
}
_REGION = re.compile(r"<!-- generated: ([\w-]+) -->\n.*?<!-- end: \1 -->", re.DOTALL)


def generate() -> dict[Path, str]:
    """Page → text, of the pages with regions. Raises `SystemExit` unless each region stands somewhere."""
    made = {}
    used: set[str] = set()
    for page in sorted(PAGES.rglob("*.md")):
        names = re.findall(r"<!-- generated: ([\w-]+) -->", page.read_text())
        unknown = [name for name in names if name not in REGIONS]
        if unknown or len(_REGION.findall(page.read_text())) != len(names):
            raise SystemExit(
                f"{page.relative_to(ROOT)}: a region is not known, or has no end: {', '.join(names)}"
            )
        if names:
            used.update(names)
            made[page] = _REGION.sub(lambda match: _region(match[1]), page.read_text())
    if idle := REGIONS.keys() - used:
        raise SystemExit(f"no page has the generated regions {', '.join(sorted(idle))}")
    return made


def _region(name: str) -> str:
    return f"<!-- generated: {name} -->\n\n{REGIONS[name]()}\n\n<!-- end: {name} -->"


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    drift = {page: text for page, text in generate().items() if page.read_text() != text}
    if not arguments:
        for page, text in drift.items():
            page.write_text(text)
        return 0
    if drift:
        names = ", ".join(str(page.relative_to(ROOT)) for page in drift)
        print(f"{names}: not what the code says; run: python tools/generate_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
