"""Where the values of secrets come from: variables LOADR_SECRET_NAME, and a file of lines NAME=VALUE.

Values go from here to the workers in memory only. The variables are taken out of this process's environment, so
that no process that it starts inherits them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loadr.errors import ArgumentInvalid
from loadr.masking import MIN_CHARACTERS, Secrets

if TYPE_CHECKING:
    from loadr.plan.model import Plan

PREFIX = "LOADR_SECRET_"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class FoundSecrets:
    """``asked`` go with the run in any case; ``at_hand`` only if the plan's expressions name them."""

    asked: dict[str, str] = field(repr=False)
    at_hand: dict[str, str] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple({**self.at_hand, **self.asked})

    def given_to(self, plan: Plan) -> Secrets:
        """What this plan gets. Raises `ArgumentInvalid` for a value that can not be kept secret."""
        from loadr.plan.usage import secrets_of

        values = {name: self.at_hand[name] for name in secrets_of(plan) if name in self.at_hand}
        values.update(self.asked)
        for name, value in values.items():
            _check(name, value)
        return Secrets(values)


def find_secrets(names: Iterable[str], file: Path | None) -> FoundSecrets:
    """``names`` as given with --secret, ``file`` with --secret-file. A variable goes before the file."""
    variables = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith(PREFIX)}
    at_hand = {key.removeprefix(PREFIX): value for key, value in variables.items()}
    asked = {} if file is None else _read(file)
    for name in names:
        if name in at_hand:
            asked[name] = at_hand[name]
        elif name not in asked:
            raise ArgumentInvalid(
                f"there is no value for --secret {name[:64]}",
                hint=f"export {PREFIX}{name[:64]}, or put it into a --secret-file",
            )
    return FoundSecrets(asked, at_hand)


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ArgumentInvalid(f"{file} (--secret-file) can not be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ArgumentInvalid(f"{file} (--secret-file) is not UTF-8", hint="write it as UTF-8") from None
    values = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise ArgumentInvalid(
                f"line {number} of {file} (--secret-file) is not of the form NAME=VALUE",
                hint="a name is of letters, digits and _; a line that begins with # is a comment",
            )
        values[name.strip()] = value
    return values


def _check(name: str, value: str) -> None:
    if len(value) < MIN_CHARACTERS:
        raise ArgumentInvalid(
            f"secret.{name} has under {MIN_CHARACTERS} characters: it could not be kept out of texts",
            hint="pass what is no secret with -e KEY=VALUE",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentInvalid(f"the value of secret.{name} is not Unicode", hint="encode it as text") from None
