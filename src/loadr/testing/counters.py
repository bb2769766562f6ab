"""What the demo target counts: exactly, at arrival, for tests that hold a summary against it.

A request is counted when its head has arrived, under "METHOD /path" and its second of CLOCK_BOOTTIME. Requests to
``/control/`` and the connections that begin with one are not counted.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from loadr.units import NS_PER_S

MAX_PATHS = 10_000
MAX_SECONDS = 100_000
OTHER = "other"


class TargetCounters:
    """Bounded: paths beyond 10,000 are counted as ``other``, seconds beyond the last 100,000 are forgotten.

    ``record_arrivals`` keeps the instants and the paths of the last so many requests.
    """

    def __init__(self, record_arrivals: int = 0) -> None:
        self.arrivals_ns: deque[int] = deque(maxlen=record_arrivals)  # CLOCK_BOOTTIME
        self.arrival_paths: deque[str] = deque(maxlen=record_arrivals)  # "METHOD /path", in the same order
        self.total = 0
        self.by_path: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()  # of answers that were written
        self.per_second: Counter[int] = Counter()  # CLOCK_BOOTTIME second → requests that arrived in it
        self.connections_opened = 0
        self.connections_closed = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.unanswered = 0  # the client left before its answer
        self.malformed = 0  # not HTTP, or a head over the limit: not in ``total``

    def arrived(self, path: str, now_ns: int) -> None:
        """One request more."""
        self.total += 1
        if self.arrivals_ns.maxlen:
            self.arrivals_ns.append(now_ns)
            self.arrival_paths.append(path)
        if path not in self.by_path and len(self.by_path) >= MAX_PATHS:
            path = OTHER
        self.by_path[path] += 1
        second = now_ns // NS_PER_S
        if second not in self.per_second and len(self.per_second) >= MAX_SECONDS:
            del self.per_second[min(self.per_second)]
        self.per_second[second] += 1

    def to_json(self) -> dict[str, Any]:
        """The body of ``GET /control/counters``."""
        return {
            "total": self.total,
            "by_path": dict(self.by_path),
            "by_status": {str(status): count for status, count in sorted(self.by_status.items())},
            "per_second": {str(second): count for second, count in sorted(self.per_second.items())},
            "connections": {"opened": self.connections_opened, "closed": self.connections_closed},
            "bytes": {"received": self.received_bytes, "sent": self.sent_bytes},
            "unanswered": self.unanswered,
            "malformed": self.malformed,
            "arrivals_ns": list(self.arrivals_ns),
            "arrival_paths": list(self.arrival_paths),
        }
