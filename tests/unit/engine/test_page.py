"""The page, as both of its sides read it."""

from __future__ import annotations

import os

import pytest

from loadr.engine.page import (
    FINISHED,
    LEASE_END,
    MAX_SCENARIOS,
    Page,
    block_of,
    new_words,
)


def test_what_one_side_writes_the_other_side_reads() -> None:
    agents = Page.create()
    workers = Page(os.dup(agents.fd))
    agents.words[LEASE_END] = 2**62
    block_of(workers.words, 999)[FINISHED] += 3
    assert workers.words[LEASE_END] == 2**62
    assert block_of(agents.words, 999).tolist() == [0, 0, 3, 0, 0, 0, 0, 0]
    for page in (agents, workers):
        page.close()
        page.close()


def test_blocks_of_scenarios_share_no_word_with_each_other_or_with_the_header() -> None:
    words = new_words()
    for index in range(MAX_SCENARIOS):
        block = block_of(words, index)
        assert len(block) == 8
        for word in range(8):
            block[word] += 1
    assert set(words[:16]) == {0}
    assert set(words[16:]) == {1}


def test_a_plan_of_too_many_scenarios_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="more than 1000 scenarios"):
        block_of(new_words(), MAX_SCENARIOS)
