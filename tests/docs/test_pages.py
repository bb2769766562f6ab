"""What the pages say of the tree and of the exit codes is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.markdown import PAGES, ROOT
from loadr.errors import ExitCode

SOURCE = ROOT / "src" / "loadr"
README = (ROOT / "README.md").read_text()
WORDS = {
    ExitCode.PASSED: "passed",
    ExitCode.INTERNAL: "bug",
    ExitCode.THRESHOLD_FAILED: "threshold",
    ExitCode.INVALID: "invalid",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.SCRIPT_EXCEPTION: "setup or teardown",
    ExitCode.ABORTED: "aborted",
    ExitCode.INCOMPLETE: "incomplete",
    ExitCode.FLEET_COULD_NOT_START: "could not start",
}
PLANNED = {ExitCode.GENERATOR_LIMITED}  # no command ends with it yet


def test_the_readme_names_every_exit_code_with_its_meaning() -> None:
    section = README.split("## Exit codes\n")[1].split("\n## ")[0]
    said = {int(number): text for number, text in re.findall(r"(\d+) ([^·]+)", " ".join(section.split()))}
    assert said.keys() == set(ExitCode) - PLANNED == WORDS.keys()
    for code, word in WORDS.items():
        assert word in said[code]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml))`", page.read_text())
    roots = (ROOT, SOURCE, page.parent, ROOT / "proto")
    made = ("demo-out/", ".venv/")
    missing = [
        name for name in named if not name.startswith(made) and not any((root / name).exists() for root in roots)
    ]
    assert missing == [], "examples of a reader's own files belong into fenced blocks"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_of_make_that_are_named_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert set(named) <= set(targets)


def test_what_the_makefile_runs_is_there() -> None:
    runs = re.findall(r"\$\(BIN\)/python ((?:[\w-]+/)+[\w-]+\.py)", (ROOT / "Makefile").read_text())
    assert len(runs) >= 4
    assert [path for path in runs if not (ROOT / path).exists()] == []
