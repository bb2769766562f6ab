"""Reports: a `loadr.verdict.summary.Summary` becomes text, JSON or HTML, and nothing else is looked at."""
