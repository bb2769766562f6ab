"""Corpora: large data that stands on the agents' disks and never travels.

Takes a plan and what an agent has; says in words which of the plan's corpora it lacks, or has in another version.
Asked by the controller before anything is sent, and by the agent, which looks at its disk, when it prepares.
"""

from __future__ import annotations

from collections.abc import Iterable

from loadr.coordination.messages import Corpus
from loadr.plan.model import Plan


def corpus_faults(plan: Plan, held: Iterable[Corpus], who: str) -> list[str]:
    """A sentence for each corpus of the plan that is not in ``held`` as the plan wants it; ``who``: the agent."""
    digests = {corpus.name: corpus.digest for corpus in held}
    out = []
    for name, wanted in plan.corpora.items():
        has = digests.get(name)
        if has is None:
            out.append(
                f"{who} has no corpus {name!r} (the plan wants sha256 {wanted}): put the file on its machine and "
                f"start it with --corpus {name}=PATH"
            )
        elif has != wanted:
            out.append(
                f"{who} has another corpus {name!r} (sha256 {has}, and the plan wants {wanted}): put the right "
                f"file there and start the agent again, or write into the plan what `loadr corpus` prints"
            )
    return out
