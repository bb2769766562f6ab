"""loadr: a distributed load tester. Scenario scripts import their names from here."""
