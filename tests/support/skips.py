"""Where `LOADR_NOTHING_SKIPPED` is set, a test that is skipped is a test that failed: nothing passes unseen.

Only what a machine refuses (`support.privileges`) stays skipped: no package could mend it.

Hooks of pytest; `tests/conftest.py` puts them in force for every test.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from support.privileges import NOT_ALLOWED

VARIABLE = "LOADR_NOTHING_SKIPPED"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test; an expected failure is none."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips itself as a whole."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get(VARIABLE):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if NOT_ALLOWED in str(reason):
            return
        report.outcome = "failed"
        report.longrepr = f"{reason}: but {VARIABLE} is set, and nothing may be skipped"
