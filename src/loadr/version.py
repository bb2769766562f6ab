"""The one place that knows the software's version (read by the build too)."""

__version__ = "0.1.0"
