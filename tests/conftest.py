"""What holds for all tests."""

from hypothesis import settings

from support.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

# A busy machine is no fault of an example. Fewer of them than usual each time: they are others every time.
settings.register_profile("loadr", deadline=None, max_examples=50)
settings.load_profile("loadr")
