"""Corpora: what an agent lacks is said in words that name agent, corpus, both digests and the cure."""

from __future__ import annotations

from loadr.coordination.corpora import corpus_faults
from loadr.coordination.messages import Corpus
from loadr.plan.model import DataSet, Plan
from support.conversation import plan

WANTED, OTHER = "a" * 64, "b" * 64


def corpus_plan(**digests: str) -> Plan:
    data = {name: DataSet(corpus=name, sha256=digest, columns=("id",)) for name, digest in digests.items()}
    return plan(data={**data, "small": DataSet(file="users.csv", rows=1, columns=("id",))})


def test_an_agent_that_has_what_the_plan_wants_has_no_fault() -> None:
    held = [Corpus("big", 5, WANTED), Corpus("more", 5, OTHER)]
    assert corpus_faults(corpus_plan(big=WANTED), held, "it") == []
    assert corpus_faults(plan(), [], "it") == []


def test_each_missing_and_each_other_corpus_is_told() -> None:
    missing, other = corpus_faults(corpus_plan(a=WANTED, b=WANTED), [Corpus("b", 5, OTHER)], "agent one")
    assert missing == (
        f"agent one has no corpus 'a' (the plan wants sha256 {WANTED}): put the file on its machine and start it "
        "with --corpus a=PATH"
    )
    assert other.startswith(
        f"agent one has another corpus 'b' (sha256 {OTHER}, and the plan wants {WANTED}): put the"
    )
