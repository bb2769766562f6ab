"""Room 1: YAML or a Python script → a validated, frozen `Plan`, or all faults with line, path and hint."""
