"""What holds for all tests."""

from hypothesis import settings

from support.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

settings.register_profile("loadr", deadline=None)  # a busy machine is no fault of an example
settings.load_profile("loadr")
