"""Who is let in: join tokens, and how much a peer may say.

Takes what the operator's token file holds (hashes only) and the token of a `Register`; gives a reason to refuse
it, or None. A token is ``ID.KEY``; the key has 256 random bits, so that a plain SHA-256 keeps it safe at rest. An
agent process (an incarnation) uses a token up once, however often its stream breaks.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from loadr.units import NS_PER_S

MAX_TOKEN_CHARACTERS = 256
MAX_ADMITTED = 20_000
MESSAGES_PER_S = 2_000
LINES_ABOUT_STRANGERS = 20  # in each stretch of time of
LINES_STRETCH_NS = 10 * NS_PER_S
BURST_MESSAGES = 10_000  # an agent that comes back replays what was not acknowledged


@dataclass(frozen=True, slots=True)
class JoinToken:
    """As the controller knows it. ``uses`` None: any number. ``used_by``: incarnations that it let in."""

    token_id: str
    digest: str = field(repr=False)  # SHA-256 of the whole token, in hex
    expires_unix_ms: int
    uses: int | None = None
    used_by: frozenset[str] = field(default=frozenset(), repr=False)


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return sha256(token.encode()).hexdigest()


def find_token(tokens: Iterable[JoinToken], presented: str) -> JoinToken | None:
    """The token that was presented, whether or not it still holds; the comparison takes the same time for any."""
    if not 0 < len(presented) <= MAX_TOKEN_CHARACTERS:
        return None
    digest = digest_of(presented)
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


class Admission:
    """Without `load` ever called, no token is asked for."""

    def __init__(self) -> None:
        self._tokens: dict[str, JoinToken] | None = None
        self._admitted: dict[str, str] = {}  # incarnation → token id

    def load(self, tokens: Iterable[JoinToken]) -> None:
        """The operator's tokens, as they are now; those that are not among them let nobody in any more."""
        self._tokens = {token.token_id: token for token in tokens}

    def refusal(self, presented: str, incarnation: str, wall_unix_ms: int | None) -> tuple[str, str] | None:
        """(reason, hint) why this token does not let this process in; None if it does, or if none is needed."""
        if self._tokens is None:
            return None
        if not presented:
            return "it showed no join token", "give the agent one with --token-file"
        token = find_token(self._tokens.values(), presented)
        if token is None:
            return "its join token is not known here", "make one: loadr token create FILE"
        if self._knows(token, incarnation):
            return None
        if wall_unix_ms is None or wall_unix_ms >= token.expires_unix_ms:
            return f"its join token {token.token_id} has expired", "make a new one: loadr token create FILE"
        if token.uses is not None and self._count(token) >= token.uses:
            plural = "s" if token.uses != 1 else ""
            return (
                f"its join token {token.token_id} was used {token.uses} time{plural}, which is all it allows",
                "make a new one: loadr token create FILE --uses N",
            )
        return None

    def admit(self, presented: str, incarnation: str) -> str | None:
        """Use the token up for this process. Its id, if its uses are counted and this is a new one; else None."""
        token = find_token((self._tokens or {}).values(), presented)
        if token is None or self._knows(token, incarnation):
            return None
        while len(self._admitted) >= MAX_ADMITTED:
            del self._admitted[next(iter(self._admitted))]
        self._admitted[incarnation] = token.token_id
        return token.token_id if token.uses is not None else None

    def _knows(self, token: JoinToken, incarnation: str) -> bool:
        return incarnation in token.used_by or self._admitted.get(incarnation) == token.token_id

    def _count(self, token: JoinToken) -> int:
        here = {one for one, token_id in self._admitted.items() if token_id == token.token_id}
        return len(here | token.used_by)


class Allowance:
    """Of one stream: so many messages a second, and a burst of them."""

    __slots__ = ("_credit", "_since_ns")

    def __init__(self, now_ns: int) -> None:
        self._credit = float(BURST_MESSAGES)
        self._since_ns = now_ns

    def take(self, now_ns: int) -> bool:
        """Whether one more message is within it."""
        earned = (now_ns - self._since_ns) * MESSAGES_PER_S / NS_PER_S
        self._credit = min(float(BURST_MESSAGES), self._credit + earned)
        self._since_ns = now_ns
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True


class StrangerLog:
    """What is said of those that are not let in: they must not be able to fill a disk with it."""

    __slots__ = ("_kept_back", "_lines", "_since_ns")

    def __init__(self) -> None:
        self._since_ns = 0
        self._lines = 0
        self._kept_back = 0

    def line(self, text: str, now_ns: int) -> str | None:
        """``text``, with how many were kept back before it; None if it is kept back itself."""
        if now_ns - self._since_ns >= LINES_STRETCH_NS:
            self._since_ns, self._lines = now_ns, 0
        if self._lines >= LINES_ABOUT_STRANGERS:
            self._kept_back += 1
            return None
        self._lines += 1
        more, self._kept_back = self._kept_back, 0
        return f"{text} ({more} more such lines were left out before)" if more else text
