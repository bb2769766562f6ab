"""Generated regions of the pages: they are what the code says, and a change of either is noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.markdown import ROOT

TOOL = "tools/generate_docs.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the tool reads, to be spoiled."""
    for folder in ("docs", "proto", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests" / "support", tmp_path / "tests" / "support")
    return tmp_path


def check(folder: Path) -> tuple[int, str]:
    command = [sys.executable, TOOL, "--check"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def spoil(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_all_pages_hold_what_the_code_says() -> None:
    assert check(ROOT) == (0, "")


def test_a_region_that_was_changed_by_hand_is_named_and_written_again(checkout: Path) -> None:
    page = checkout / "docs" / "reference" / "metrics.md"
    before = page.read_text()
    spoil(page, "| `http_reqs` | counter |", "| `http_reqs` | gauge |")
    code, said = check(checkout)
    assert code == 1
    assert said == f"docs/reference/metrics.md: not what the code says; run: python {TOOL}\n"
    subprocess.run([sys.executable, TOOL], cwd=checkout, timeout=60, check=True)
    assert page.read_text() == before


def test_another_comment_in_the_proto_is_another_page(checkout: Path) -> None:
    spoil(checkout / "proto/loadr/coordination/v1/coordination.proto", "random per process", "drawn anew")
    code, said = check(checkout)
    assert (code, said.split(":")[0]) == (1, "docs/reference/protocol.md")


def test_a_field_without_words_is_an_error(checkout: Path) -> None:
    spoil(checkout / "proto/loadr/coordination/v1/coordination.proto", "  // random per process", "")
    code, said = check(checkout)
    assert code == 1
    assert said.startswith("Register.incarnation has no comment in ")


def test_a_metric_without_words_is_an_error(checkout: Path) -> None:
    spoil(checkout / "tools/reference/metrics.py", '    "http_reqs": ', '    "http_requests": ')
    code, said = check(checkout)
    assert code == 1
    assert "metrics" in said and "missing http_reqs; of nothing any more http_requests" in said


def test_a_table_of_states_that_no_page_shows_is_an_error(checkout: Path) -> None:
    spoil(checkout / TOOL, '    "LinkState": "The agent: its connection",\n', "")
    code, said = check(checkout)
    assert code == 1
    assert "see MACHINES" in said


def test_a_region_without_an_end_is_an_error(checkout: Path) -> None:
    spoil(checkout / "docs/reference/cli.md", "<!-- end: cli -->", "")
    code, said = check(checkout)
    assert code == 1
    assert said.startswith("docs/reference/cli.md: a region is not known, or has no end")
