"""Room 6: thresholds, validity, the summary."""
