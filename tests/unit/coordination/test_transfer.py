"""Files come in pieces that were asked for, one window at a time, each byte once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadr.coordination.messages import FileChunk, FileRequest, ManifestFile
from loadr.coordination.transfer import MAX_CHUNK_BYTES, WINDOW_BYTES, Transfer


def file(name: str, size: int) -> ManifestFile:
    return ManifestFile(name, size, name * 64)


def chunk(digest: str, offset: int, size: int, run_id: str = "run") -> FileChunk:
    return FileChunk(run_id, digest, offset, bytes(size))


@given(st.lists(st.integers(1, 5 * WINDOW_BYTES), min_size=1, max_size=4))
def test_every_byte_is_asked_for_and_taken_once(sizes: list[int]) -> None:
    files = [file(letter, size) for letter, size in zip("abcd", sizes, strict=False)]
    transfer = Transfer("run", files)
    asked: dict[str, int] = {}
    taken: dict[str, int] = {}
    for one in files:
        while taken.get(one.digest, 0) < one.size_bytes:
            request = transfer.request()
            if request is not None:
                assert request.offset == asked.get(request.digest, 0)
                asked[request.digest] = request.offset + request.length
            under_way = asked[one.digest] - taken.get(one.digest, 0)
            assert 0 < under_way <= WINDOW_BYTES
            size = min(MAX_CHUNK_BYTES, under_way)
            assert transfer.accept(chunk(one.digest, taken.get(one.digest, 0), size))
            taken[one.digest] = taken.get(one.digest, 0) + size
        transfer.complete(one.digest)
    assert transfer.is_complete and asked == taken == {one.digest: one.size_bytes for one in files}


def test_chunks_that_were_not_asked_for_are_not_taken() -> None:
    transfer = Transfer("run", [file("a", 300_000)])
    digest = "a" * 64
    assert not transfer.accept(chunk(digest, 0, 10)), "before any request"
    assert transfer.request() == FileRequest("run", digest, 0, WINDOW_BYTES)
    assert not transfer.accept(chunk("b" * 64, 0, 10)), "another file"
    assert not transfer.accept(chunk(digest, 10, 10)), "a gap"
    assert not transfer.accept(chunk(digest, 0, 0)), "nothing"
    assert not transfer.accept(chunk(digest, 0, MAX_CHUNK_BYTES + 1)), "too much at once"
    assert transfer.accept(chunk(digest, 0, 10))
    assert not transfer.accept(chunk(digest, 0, 10)), "again"


def test_after_a_restart_it_asks_again_for_what_has_not_come() -> None:
    transfer = Transfer("run", [file("a", 300_000)])
    transfer.request()
    transfer.accept(chunk("a" * 64, 0, 1000))
    transfer.restart()
    assert transfer.request() == FileRequest("run", "a" * 64, 1000, WINDOW_BYTES)


def test_files_with_the_same_contents_are_fetched_once() -> None:
    transfer = Transfer("run", [ManifestFile("a", 10, "d" * 64), ManifestFile("b", 10, "d" * 64)])
    transfer.request()
    transfer.accept(chunk("d" * 64, 0, 10))
    transfer.complete("d" * 64)
    assert transfer.is_complete and transfer.request() is None


def test_nothing_missing_is_complete_at_once() -> None:
    assert Transfer("run", ()).is_complete
