"""Tokens at rest: the store of a controller (hashes only), and the file in which an agent or a person keeps one.

A store is a text file of JSON lines that are only ever appended: one for each token made, one for each process
that a token with a limited number of uses let in. So a controller can use it while `loadr token create` adds
to it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from loadr.coordination.admission import MAX_TOKEN_CHARACTERS, JoinToken, digest_of
from loadr.errors import ArgumentInvalid

MAX_STORE_BYTES = 16 * 1024 * 1024
Stamp = tuple[int, int, int]  # mtime_ns, inode, size


class _Made(msgspec.Struct, tag_field="what", tag="token", frozen=True):
    token_id: str
    sha256: str
    expires_unix_ms: int
    uses: int | None


class _Used(msgspec.Struct, tag_field="what", tag="use", frozen=True):
    token_id: str
    agent_id: str
    incarnation: str


_line = msgspec.json.Decoder(_Made | _Used)


@dataclass(frozen=True, slots=True)
class TokenStore:
    """``flag`` is the option that named the file, for messages. Raises `ArgumentInvalid` for what is wrong."""

    path: Path
    flag: str = "--token-file"

    def read(self) -> tuple[JoinToken, ...]:
        """Every token that was made, with the processes that it let in."""
        try:
            status = self.path.stat()
            if status.st_mode & 0o022:
                raise ArgumentInvalid(
                    f"{self.path} ({self.flag}) can be written by others, who could let anybody in",
                    hint=f"chmod 600 {self.path}",
                )
            if status.st_size > MAX_STORE_BYTES:
                raise ArgumentInvalid(f"{self.path} ({self.flag}) is over 16 MiB", hint="begin a new one")
            data = self.path.read_bytes()
        except OSError as error:
            raise ArgumentInvalid(
                f"{self.path} ({self.flag}) can not be read: {error.strerror}",
                hint=f"make it: loadr token create {self.path}",
            ) from None
        tokens: dict[str, JoinToken] = {}
        for number, line in enumerate(data.splitlines(), 1):
            try:
                entry = _line.decode(line)
            except msgspec.DecodeError:
                raise ArgumentInvalid(
                    f"line {number} of {self.path} ({self.flag}) is none of a token store",
                    hint="give the file that `loadr token create` took as FILE; what it printed is for agents",
                ) from None
            if isinstance(entry, _Made):
                tokens[entry.token_id] = JoinToken(
                    entry.token_id, entry.sha256, entry.expires_unix_ms, entry.uses
                )
            elif (token := tokens.get(entry.token_id)) is not None:
                used_by = token.used_by | {entry.incarnation}
                tokens[entry.token_id] = replace(token, used_by=used_by)
        return tuple(tokens.values())

    def stamp(self) -> Stamp | None:
        """Changes when the file does; None while there is none."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def create(self, *, expires_unix_ms: int, uses: int | None) -> str:
        """A new token, which is kept nowhere; the store, made if need be, gets its hash."""
        token_id = secrets.token_hex(4)
        token = f"{token_id}.{secrets.token_urlsafe(32)}"
        if self.path.exists():
            self.read()  # so that nothing is appended to a file that is something else
        self._append(_Made(token_id, digest_of(token), expires_unix_ms, uses))
        return token

    def record_use(self, token_id: str, agent_id: str, incarnation: str) -> None:
        """Keep that a process joined by this token."""
        self._append(_Used(token_id, agent_id, incarnation))

    def _append(self, entry: _Made | _Used) -> None:
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, msgspec.json.encode(entry) + b"\n")
            finally:
                os.close(handle)
        except OSError as error:
            raise ArgumentInvalid(
                f"{self.path} ({self.flag}) can not be written: {error.strerror}",
                hint="check the path and its permissions",
            ) from None


class TokenReader:
    """The tokens of a store as it is now. Raises `ArgumentInvalid` when it can not be read to begin with; later a
    store that can not be read leaves the tokens that were."""

    def __init__(self, store: TokenStore) -> None:
        self.store = store
        self._stamp = store.stamp()
        self._tokens = store.read()

    @property
    def tokens(self) -> tuple[JoinToken, ...]:
        self.look()
        return self._tokens

    def look(self) -> bool:
        """Whether the store has changed since it was last looked at."""
        stamp = self.store.stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self._tokens = self.store.read()
        except ArgumentInvalid:
            return False
        return True


def read_token(path: Path, flag: str = "--token-file") -> str:
    """The token in a file that holds nothing else. Raises `ArgumentInvalid`, which never holds what was read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TOKEN_CHARACTERS + 3)
    except OSError as error:
        raise ArgumentInvalid(
            f"{path} ({flag}) can not be read: {error.strerror}", hint="check the path and its permissions"
        ) from None
    token = data.decode("ascii", "replace").strip()
    if not token or len(token) > MAX_TOKEN_CHARACTERS or not token.isprintable() or " " in token or "{" in token:
        raise ArgumentInvalid(
            f"{path} ({flag}) holds no token",
            hint="it should hold the one line that `loadr token create` printed",
        )
    return token


def write_token(path: Path, token: str) -> None:
    """A new file that only its owner can read. Raises `ArgumentInvalid`, also when there is one already."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(token + "\n")
    except FileExistsError:
        raise ArgumentInvalid(f"{path} is there already", hint="give --write another name") from None
    except OSError as error:
        raise ArgumentInvalid(f"{path} can not be written: {error.strerror}") from None
