"""The command line. Thin: it reads flags, calls one shell, prints what comes back."""

from loadr.cli.app import main

__all__ = ["main"]
