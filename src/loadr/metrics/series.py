"""Series: one metric under one set of tags.

Gives the identity (`SeriesKey`) under which samples are kept in a worker, sent by an agent and merged by the
controller; the names and kinds of the built-in metrics come from `loadr.plan.metric_names`.
"""

from __future__ import annotations

from dataclasses import dataclass

from loadr.plan.metric_names import BUILT_IN, Kind

__all__ = ["BUILT_IN", "MAX_SERIES_PER_RUN", "Kind", "SeriesKey", "Tags", "series"]

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """``tags`` are sorted by name; build with `series` to be sure of that."""

    metric: str
    kind: Kind
    tags: Tags = ()

    def __str__(self) -> str:
        inner = ",".join(f"{k}:{v}" for k, v in self.tags)
        return f"{self.metric}{{{inner}}}" if inner else self.metric

    def matches(self, metric: str, tags: Tags) -> bool:
        """Whether this series belongs to the sub-metric ``metric{tags}`` (every tag given is present)."""
        return self.metric == metric and set(tags) <= set(self.tags)


def series(metric: str, kind: Kind, **tags: str) -> SeriesKey:
    """A `SeriesKey` with its tags sorted."""
    return SeriesKey(metric, kind, tuple(sorted(tags.items())))


MAX_SERIES_PER_RUN = 10_000
