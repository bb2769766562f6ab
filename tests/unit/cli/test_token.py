"""`loadr token create` shows a token once, or writes it to a file for its owner only."""

from __future__ import annotations

from pathlib import Path

from loadr.cli import main
from loadr.clock import unix_ms
from loadr.coordination.admission import find_token
from loadr.transport.tokens import TokenStore, read_token


def test_it_is_printed_alone_on_stdout_and_kept_as_a_hash(capsys, tmp_path: Path) -> None:
    store = tmp_path / "tokens"
    assert main(["token", "create", str(store), "--expires", "2h", "--uses", "3"]) == 0
    said = capsys.readouterr()
    token = find_token(TokenStore(store).read(), said.out.strip())
    assert token is not None and token.uses == 3
    assert 7_000_000 < token.expires_unix_ms - unix_ms() <= 7_200_000
    assert "for 3 agents" in said.err and said.out.strip() not in store.read_text()


def test_it_can_be_written_to_a_file_instead(capsys, tmp_path: Path) -> None:
    store, file = tmp_path / "tokens", tmp_path / "token"
    assert main(["token", "create", str(store), "--write", str(file)]) == 0
    assert capsys.readouterr().out == "" and file.stat().st_mode & 0o777 == 0o600
    assert find_token(TokenStore(store).read(), read_token(file)) is not None
    before = store.read_text()
    assert main(["token", "create", str(store), "--write", str(file)]) == 104
    assert "is there already" in capsys.readouterr().err and store.read_text() == before


def test_a_file_that_is_no_store_is_left_alone(capsys, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("notes\n")
    assert main(["token", "create", str(file)]) == 104
    assert "none of a token store" in capsys.readouterr().err and file.read_text() == "notes\n"
