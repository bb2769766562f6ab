"""Series: one metric under one set of tags.

Gives the identity (`SeriesKey`) under which samples are kept in a worker, sent by an agent and merged by the
controller; the names and kinds of the built-in metrics come from `loadr.plan.metric_names`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loadr.plan.metric_names import BUILT_IN, Kind

__all__ = ["BUILT_IN", "MAX_SERIES_PER_RUN", "MAX_TAG_CHARACTERS", "Kind", "SeriesKey", "Tags", "series"]

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """``tags`` are sorted by name; build with `series` to be sure of that.

    A key is looked up many times for each delta, so its hash is made once. It holds within one process only.
    """

    metric: str
    kind: Kind
    tags: Tags = ()
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.metric, self.tags)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[SeriesKey], tuple[str, Kind, Tags]]:
        return SeriesKey, (self.metric, self.kind, self.tags)

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
MAX_TAG_CHARACTERS = 256  # of a name or a value; longer ones are cut where they are recorded
