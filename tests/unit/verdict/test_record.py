import pytest

from loadr.verdict.record import ScenarioAccount


def test_books_balance_when_every_planned_iteration_has_one_fate() -> None:
    account = ScenarioAccount("a", planned=10, started=7, finished=4, interrupted=2, lost=1, dropped=2, missed=1)
    assert account.balanced


@pytest.mark.parametrize("field", ["planned", "started", "finished", "interrupted", "dropped", "missed", "lost"])
def test_one_iteration_too_many_anywhere_unbalances_the_books(field: str) -> None:
    account = ScenarioAccount("a", planned=10, started=7, finished=4, interrupted=2, lost=1, dropped=2, missed=1)
    setattr(account, field, getattr(account, field) + 1)
    assert not account.balanced
