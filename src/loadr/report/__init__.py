"""Reports: a finished run's `Summary` becomes text, JSON or HTML, and nothing else is looked at; a plan's preview
becomes text."""
