"""Cap on series: how many a run may have before further ones fold into `other`.

Takes series keys and gives the key under which to keep their deltas: the same one, or that of the metric's series
``{other:true}`` once the cap is reached. Folding loses tags, never samples: a metric's total stays exact. Who is
first is kept, so that a series never changes its key in mid-run. A tag's value that is too long for a message is
cut, which may fold, too.
"""

from __future__ import annotations

from collections import Counter

from loadr.metrics.delta import IntervalDelta, merge_delta
from loadr.metrics.series import MAX_SERIES_PER_RUN, MAX_TAG_CHARACTERS, SeriesKey, Tags

OTHER: Tags = (("other", "true"),)


class SeriesCap:
    """Remembers at most ``limit`` series, whatever is asked; for an agent or for a run.

    ``folded`` counts, per metric, the deltas that went into `other`. A metric first seen after the cap was
    reached has no series of its own at all: it goes into ``other_counter``, ``other_rate``, ``other_trend`` or
    ``other_gauge``, so that invented metrics can not grow the number of series either.
    """

    __slots__ = ("_known", "_metrics", "folded", "limit")

    def __init__(self, limit: int = MAX_SERIES_PER_RUN) -> None:
        self.limit = limit
        self.folded: Counter[str] = Counter()
        self._known: set[SeriesKey] = set()
        self._metrics: set[str] = set()

    def admit(self, key: SeriesKey) -> SeriesKey:
        """The key to keep a delta of this series under."""
        if key in self._known:
            return key
        if any(len(value) > MAX_TAG_CHARACTERS for _, value in key.tags):
            return self.admit(SeriesKey(key.metric, key.kind, tuple((tag, _cut(text)) for tag, text in key.tags)))
        if len(self._known) < self.limit:
            self._known.add(key)
            self._metrics.add(key.metric)
            return key
        metric = key.metric if key.metric in self._metrics else f"other_{key.kind.name.lower()}"
        self.folded[metric] += 1
        return SeriesKey(metric, key.kind, OTHER)

    def fold(self, interval: IntervalDelta) -> IntervalDelta:
        """The interval under admitted keys; the very same object if nothing had to be folded."""
        if self._known.issuperset(interval.values):
            return interval
        keys = {key: self.admit(key) for key in interval.values}
        if all(key == kept for key, kept in keys.items()):
            return interval
        out = IntervalDelta(interval.t0_s, interval.t1_s)
        for key, delta in interval.values.items():
            mine = out.values.get(keys[key])
            if mine is None:
                out.values[keys[key]] = delta.copy()
            else:
                merge_delta(mine, delta, over_time=False)
        return out


def _cut(value: str) -> str:
    return value if len(value) <= MAX_TAG_CHARACTERS else value[: MAX_TAG_CHARACTERS - 1] + "…"
