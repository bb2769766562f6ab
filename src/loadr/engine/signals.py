"""What ends an iteration from within: raised in a VU, caught by its dispatcher only.

Takes nothing; gives `IterationAborted`, which is no `Exception`, so that a script's ``except Exception`` can not
swallow it.
"""

from __future__ import annotations


class IterationAborted(BaseException):
    """The iteration must not go on. ``reason`` is one word for the counters: "lease", "extract"; ``detail`` is
    for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
