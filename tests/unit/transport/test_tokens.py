"""Token stores and token files: hashes at rest, appended to, and faults told in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadr.coordination.admission import digest_of, find_token
from loadr.errors import ArgumentInvalid
from loadr.transport.tokens import TokenReader, TokenStore, read_token, write_token


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "tokens")


def test_a_token_is_shown_once_and_only_its_hash_is_kept(store: TokenStore) -> None:
    made = store.create(expires_unix_ms=5, uses=None)
    text = store.path.read_text()
    assert made not in text and made.partition(".")[2] not in text and digest_of(made) in text
    assert store.path.stat().st_mode & 0o777 == 0o600
    (token,) = store.read()
    assert (token.token_id, token.expires_unix_ms, token.uses) == (made.partition(".")[0], 5, None)
    assert find_token(store.read(), made) == token and len(made) > 50


def test_further_tokens_and_uses_are_appended(store: TokenStore) -> None:
    first, second = (store.create(expires_unix_ms=5, uses=uses) for uses in (2, None))
    store.record_use(first.partition(".")[0], "a", "a/1")
    store.record_use(first.partition(".")[0], "a", "a/1")
    store.record_use("unknown", "a", "a/2")
    tokens = store.read()
    assert [token.used_by for token in tokens] == [frozenset({"a/1"}), frozenset()]
    assert find_token(tokens, second) is tokens[1]


def test_a_reader_sees_changes_and_keeps_the_last_good_state(store: TokenStore) -> None:
    store.create(expires_unix_ms=5, uses=None)
    reader = TokenReader(store)
    assert len(reader.tokens) == 1 and not reader.look()
    store.create(expires_unix_ms=5, uses=None)
    assert reader.look() and len(reader.tokens) == 2
    store.path.write_text("rubbish")
    assert not reader.look() and len(reader.tokens) == 2
    store.path.unlink()
    assert not reader.look() and len(reader.tokens) == 2


def test_a_store_that_is_none_is_named_and_never_shown(store: TokenStore) -> None:
    with pytest.raises(ArgumentInvalid, match=r"tokens \(--token-file\) can not be read") as caught:
        TokenReader(store)
    assert "loadr token create" in caught.value.hint
    store.path.write_text("id.key-of-an-agent\n")
    for use in (store.read, lambda: store.create(expires_unix_ms=5, uses=None)):
        with pytest.raises(ArgumentInvalid, match=r"line 1 of .* is none of a token store") as caught:
            use()
        assert "key-of-an-agent" not in caught.value.message
    assert store.path.read_text() == "id.key-of-an-agent\n"


def test_a_store_that_others_can_write_is_refused(store: TokenStore) -> None:
    store.create(expires_unix_ms=5, uses=None)
    store.path.chmod(0o666)
    with pytest.raises(ArgumentInvalid, match="can be written by others"):
        store.read()


def test_a_store_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentInvalid, match="can not be written"):
        TokenStore(tmp_path / "no" / "tokens").create(expires_unix_ms=5, uses=None)


def test_a_token_file_holds_the_one_line(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_token(path, "id.key")
    assert read_token(path) == "id.key" and path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ArgumentInvalid, match="is there already"):
        write_token(path, "id.other")


@pytest.mark.parametrize("content", [b"", b"  \n", b"two words", b"x" * 300, b'{"what":"token"}', b"a\nb"])
def test_what_holds_no_token_is_named_and_never_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ArgumentInvalid, match="holds no token") as caught:
        read_token(path)
    assert "xxx" not in caught.value.message and "words" not in caught.value.message
    with pytest.raises(ArgumentInvalid, match="can not be read"):
        read_token(tmp_path / "nothing")
