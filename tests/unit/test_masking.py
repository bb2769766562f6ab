"""Secrets are used by name, and masked wherever their value would show."""

from __future__ import annotations

import json
import sys
from urllib.parse import quote

import pytest

from loadr.masking import NO_SECRETS, Secrets, mask_output

VALUE = 'p/ss wörd"1'


def test_it_is_a_mapping_whose_repr_holds_names_only() -> None:
    secrets = Secrets({"PASSWORD": VALUE})
    assert secrets["PASSWORD"] == VALUE and list(secrets) == ["PASSWORD"] and len(secrets) == 1
    assert repr(secrets) == "Secrets(PASSWORD)" == str(secrets) == f"{secrets}"
    assert secrets == Secrets({"PASSWORD": VALUE}) and hash(secrets) == hash(Secrets({"PASSWORD": VALUE}))


@pytest.mark.parametrize("written", [VALUE, quote(VALUE), quote(VALUE, safe=""), json.dumps(VALUE), repr(VALUE)])
def test_a_value_is_masked_however_it_is_written(written: str) -> None:
    masked = Secrets({"PASSWORD": VALUE}).mask(f"before {written} after")
    assert "***" in masked and "ss" not in masked and masked.startswith("before") and masked.endswith("after")


def test_a_value_within_another_leaves_no_rest() -> None:
    assert Secrets({"A": "hunter", "B": "hunter2000"}).mask("hunter2000 hunter") == "*** ***"


def test_without_secrets_texts_stay_as_they_are() -> None:
    assert NO_SECRETS.mask("as it is") == "as it is"
    assert Secrets({"EMPTY": "", "SHORT": "it"}).mask("as it is") == "as it is"


def test_each_line_of_a_value_is_masked() -> None:
    assert Secrets({"PEM": "BEGIN\nabcdef\n--"}).mask("BEGIN | abcdef | --") == "*** | *** | --"


def test_what_a_process_prints_is_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # put back afterwards
    mask_output(NO_SECRETS)
    print("hunter2")
    mask_output(Secrets({"KEY": "hunter2"}))
    print("a", "hunter2")
    sys.stderr.writelines(["b hunter2", "\n"])
    sys.stdout.flush()
    assert capsys.readouterr() == ("hunter2\na ***\n", "b ***\n")
