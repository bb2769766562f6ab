"""Plan and files on their way down: small ones inline, large ones on request, too much is refused at once."""

from __future__ import annotations

import pytest

from loadr.coordination.controller_io import RunRequest
from loadr.coordination.downlink import INLINE_BYTES, INLINE_FILE_BYTES, Downlink
from loadr.coordination.messages import FileRequest, ManifestFile
from loadr.masking import Secrets
from loadr.plan.files import MAX_FILES
from loadr.plan.model import Plan
from support.conversation import plan


def file(name: str, size: int, *, inline: bool = True) -> ManifestFile:
    return ManifestFile(name, size, name.encode().hex().zfill(64), bytes(size) if inline else None)


def downlink(*files: ManifestFile) -> Downlink:
    return Downlink(RunRequest("run", plan(), files))


def test_an_assignment_carries_the_canonical_plan_and_its_digest() -> None:
    sent = downlink().assignment(4, 99)
    assert Plan.from_json(sent.plan_json) == plan()
    assert (sent.plan_digest, sent.generation, sent.prepare_timeout_ns) == (plan().digest, 4, 99)


def test_small_files_stay_inline_and_large_ones_do_not() -> None:
    files = (
        downlink(file("a", 10), file("b", INLINE_FILE_BYTES + 1), file("c", 10, inline=False))
        .assignment(1, 1)
        .files
    )
    assert [each.inline is not None for each in files] == [True, False, False]


def test_many_small_files_are_inline_only_as_far_as_one_message_goes() -> None:
    count = INLINE_BYTES // INLINE_FILE_BYTES + 5
    files = downlink(*(file(f"f{n}", INLINE_FILE_BYTES) for n in range(count))).assignment(1, 1).files
    assert sum(len(each.inline or b"") for each in files) == INLINE_BYTES


def test_an_empty_file_is_always_inline_since_nobody_can_ask_for_its_bytes() -> None:
    (empty,) = downlink(file("empty", 0, inline=False)).assignment(1, 1).files
    assert empty.inline == b""


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (tuple(file(f"f{n}", 1) for n in range(MAX_FILES + 1)), "1001 files; at most 1000"),
        ((ManifestFile("huge", 2**30, "d" * 64),), "1.07 GB; at most 64 MiB"),
    ],
)
def test_too_much_is_refused_with_the_quota(files: tuple[ManifestFile, ...], words: str) -> None:
    assert words in downlink(*files).fault


def test_a_plan_as_long_as_a_book_is_refused() -> None:
    long = plan(env={"BOOK": "x" * 2**20})
    assert "at most 1 MiB" in Downlink(RunRequest("run", long)).fault


def test_pieces_of_its_files_may_be_asked_for_and_nothing_else() -> None:
    big = ManifestFile("big", 1000, "d" * 64)
    link = downlink(big)
    assert link.fault == "" and link.refusal(FileRequest("run", "d" * 64, 0, 1000)) == ""
    assert "does not belong" in link.refusal(FileRequest("run", "e" * 64, 0, 1))
    for offset, length in ((-1, 5), (0, 0), (0, -5), (0, 2**40)):
        assert "can not be asked for" in link.refusal(FileRequest("run", "d" * 64, offset, length))
    assert "has 1000 bytes, not 1001" in link.refusal(FileRequest("run", "d" * 64, 999, 2))


def test_what_an_agent_had_before_does_not_come_inline_again() -> None:
    old, new, empty = file("old", 10), file("new", 10), file("empty", 0)
    link = downlink(old, new, empty)
    assert link.digests == {old.digest, new.digest, empty.digest}
    files = link.assignment(1, 1, held={old.digest, empty.digest}).files
    assert [each.inline is not None for each in files] == [False, True, True]
    assert all(each.inline is not None for each in link.assignment(1, 1).files)


def test_secrets_go_with_the_assignment_until_the_run_is_over() -> None:
    downlink = Downlink(RunRequest("run", plan(), secrets=Secrets({"KEY": "hunter2"})))
    assert downlink.assignment(1, 5).secrets == {"KEY": "hunter2"} and not downlink.fault
    downlink.forget_secrets()
    assert not downlink.assignment(1, 5).secrets


def test_secrets_have_a_limit() -> None:
    downlink = Downlink(RunRequest("run", plan(), secrets=Secrets({"KEY": "x" * 65_536})))
    assert downlink.fault == "the secrets have more than 64 KiB in all"
