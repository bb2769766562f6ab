"""Histogram: durations in nanoseconds, in the buckets of HdrHistogram, with exact count, sum, min and max.

Takes int64 arrays of nanoseconds (or sparse buckets from the wire), gives merged buckets and quantiles. The
geometry is fixed, so that any two histograms merge by adding counts: lowest 1 µs, highest 24 h, 3 significant
digits. Buckets are those of every HdrHistogram implementation (http://hdrhistogram.org): with 2048 sub-buckets,
values below 2048 µs have a bucket each; above, each power of two is cut into 1024 buckets, so that a bucket is
never wider than 1/1024 of its values.

A sample goes into the bucket of ``ns // 1000`` µs. Floor and not rounding, because then a bucket is exactly the
samples in [low µs, high µs + 999 ns]: its upper end is never below a sample in it, and any other HDR recorder
that is fed with whole microseconds elapsed fills the same buckets.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil

import numpy as np
import numpy.typing as npt

from loadr.units import NS_PER_US

LOWEST_US = 1
HIGHEST_US = 86_400_000_000
SIGNIFICANT_DIGITS = 3
HIGHEST_NS = HIGHEST_US * NS_PER_US
MAX_COUNT = 2**63 - 1

_HALF_BITS = 10  # 2048 sub-buckets, of which the upper 1024 are used in all but the first bucket
_GRAIN = 256  # windows start and end at its multiples: at most 110 moves in a histogram's life, 2 KiB at least

# A double's bits, shifted right by 42, are its exponent and the first 10 bits of its mantissa: the bucket's
# index of values >= 1024 but for a constant. Exact, since all values are below 2**53.
_MANTISSA_SHIFT = 52 - _HALF_BITS
_EXPONENT_OFFSET = (1023 + _HALF_BITS - 1) << _HALF_BITS

_Narrow = npt.NDArray[np.integer]

Indices = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

_NO_INDICES: Indices = np.empty(0, np.int32)
_NO_COUNTS: Counts = np.empty(0, np.int64)


def index_of_ns(value_ns: int) -> int:
    """The bucket of a value in [0, HIGHEST_NS]."""
    us = value_ns // NS_PER_US
    shift = max(us.bit_length() - _HALF_BITS - 1, 0)
    return (shift << _HALF_BITS) + (us >> shift)


def lowest_ns(index: int) -> int:
    """The smallest value in a bucket."""
    shift = max((index >> _HALF_BITS) - 1, 0)
    return ((index - (shift << _HALF_BITS)) << shift) * NS_PER_US


def highest_ns(index: int) -> int:
    """The largest value in a bucket: the last nanosecond of its last microsecond."""
    return lowest_ns(index + 1) - 1


BUCKETS = index_of_ns(HIGHEST_NS) + 1  # 27,912: indices that can hold a count


def _indices_of_ns(samples_ns: Counts) -> Counts:
    """`index_of_ns` of an array of values in [0, HIGHEST_NS]."""
    us = samples_ns // NS_PER_US
    indices = us.astype(np.float64).view(np.int64)
    indices >>= _MANTISSA_SHIFT
    indices -= _EXPONENT_OFFSET
    return np.where(us < 1 << _HALF_BITS, us, indices)


def _exact_sum(values: Counts, largest: int) -> int:
    """The sum of values in [0, largest] without overflow, for less than 2**31 of them."""
    if largest * len(values) <= MAX_COUNT:
        return int(values.sum())
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


class Histogram:
    """Mutable. ``count``, ``sum_ns``, ``min_ns`` and ``max_ns`` are exact; an empty one has zeros.

    ``clipped`` counts samples that were out of range: below 0 they count as 0, above 24 h as 24 h, in the exact
    fields too.

    Counters are either sparse (as decoded, or after `compact`) or a dense window over the buckets in use; what is
    recorded or merged into a sparse one opens the window. Both behave alike and compare equal.
    """

    __slots__ = ("_counts", "_indices", "_low", "clipped", "count", "max_ns", "min_ns", "sum_ns")

    def __init__(self) -> None:
        self.count = 0
        self.sum_ns = 0
        self.min_ns = 0
        self.max_ns = 0
        self.clipped = 0
        self._low = 0  # bucket of _counts[0], if dense
        self._indices: _Narrow | None = _NO_INDICES  # None: dense
        self._counts: _Narrow = _NO_COUNTS

    @classmethod
    def of(cls, samples_ns: npt.NDArray[np.integer]) -> Histogram:
        """A histogram of these samples; see `record`."""
        histogram = cls()
        histogram.record(samples_ns)
        return histogram

    @classmethod
    def from_sparse(
        cls, indices: Indices, counts: Counts, sum_ns: int, min_ns: int, max_ns: int, clipped: int
    ) -> Histogram:
        """The inverse of `nonzero` and the exact fields. The arrays are kept, not copied: do not change them.

        Raises `ValueError` unless indices ascend within [0, BUCKETS), counts are positive and their sum fits
        int64, ``min_ns`` lies in the first bucket and ``max_ns`` in the last, and a sum of that many samples
        between these two, both included, is possible.
        """
        if len(indices) != len(counts):
            raise ValueError(f"{len(indices)} indices for {len(counts)} counts")
        if not len(indices):
            if sum_ns or min_ns or max_ns or clipped:
                raise ValueError("an empty histogram has no sum, min, max or clipped samples")
            return cls()
        first, last = int(indices[0]), int(indices[-1])
        if first < 0 or last >= BUCKETS or not (indices[1:] > indices[:-1]).all():
            raise ValueError(f"indices must ascend within 0 to {BUCKETS - 1}")
        if int(counts.min()) <= 0:
            raise ValueError("counts must be positive")
        count = _exact_sum(counts, int(counts.max()))
        if count > MAX_COUNT:
            raise ValueError(f"{count} samples are more than int64 can count")
        return cls.from_counted(indices, counts, count, sum_ns, min_ns, max_ns, clipped)

    @classmethod
    def from_counted(
        cls,
        indices: Indices,
        counts: Counts,
        count: int,
        sum_ns: int,
        min_ns: int,
        max_ns: int,
        clipped: int,
    ) -> Histogram:
        """`from_sparse` of buckets that are known to be sound, and not none, and to sum to ``count``."""
        if not 0 <= min_ns <= max_ns <= HIGHEST_NS:
            raise ValueError(f"min {min_ns} ns and max {max_ns} ns must ascend within 0 to 24 h")
        if index_of_ns(min_ns) != indices[0] or index_of_ns(max_ns) != indices[-1]:
            raise ValueError(f"min {min_ns} ns or max {max_ns} ns is outside of the first or last bucket")
        if not (count - 1) * min_ns + max_ns <= sum_ns <= min_ns + (count - 1) * max_ns:
            raise ValueError(f"{count} samples from {min_ns} to {max_ns} ns can not have the sum of {sum_ns} ns")
        if not 0 <= clipped <= count or (clipped and min_ns > 0 and max_ns < HIGHEST_NS):
            raise ValueError(f"{clipped} clipped samples do not fit the rest")
        histogram = cls()
        histogram._indices, histogram._counts = indices, counts
        histogram._account(count, sum_ns, min_ns, max_ns, clipped)
        return histogram

    def record(self, samples_ns: npt.NDArray[np.integer]) -> None:
        """Add a batch: one-dimensional, any integer type that fits int64 (`TypeError` on floats), any length."""
        count = len(samples_ns)
        if not count:
            return
        samples = samples_ns.astype(np.int64, casting="safe", copy=False)
        low, high = int(samples.min()), int(samples.max())
        clipped = 0
        if low < 0 or high > HIGHEST_NS:
            clipped = int(np.count_nonzero((samples < 0) | (samples > HIGHEST_NS)))
            samples = samples.clip(0, HIGHEST_NS)
            low, high = int(samples.min()), int(samples.max())
        first, last = index_of_ns(low), index_of_ns(high)
        self._cover(first, last)
        indices = _indices_of_ns(samples)
        indices -= first
        self._counts[first - self._low : last + 1 - self._low] += np.bincount(indices)
        self._account(count, _exact_sum(samples, high), low, high, clipped)

    def record_many(self, value_ns: int, times: int) -> None:
        """Add one value ``times`` times, without an array: the zeros of phases that kept-alive requests skip."""
        if times <= 0:
            return
        value = min(max(value_ns, 0), HIGHEST_NS)
        index = index_of_ns(value)
        self._check_room(times)
        self._cover(index, index)
        self._counts[index - self._low] += times
        self._account(times, value * times, value, value, times if value != value_ns else 0)

    def merge(self, other: Histogram) -> None:
        """Add all samples of another. Associative and commutative, to the bit.

        Raises `OverflowError`, and changes nothing, if more than 2**63 - 1 samples would come together.
        """
        if not other.count:
            return
        self._check_room(other.count)
        if other._indices is not None:
            indices, counts = other.nonzero()
            self._cover(int(indices[0]), int(indices[-1]))
            np.add.at(self._counts, indices - self._low, counts)
        else:
            self._cover(other._low, other._low + len(other._counts) - 1)
            offset = other._low - self._low
            self._counts[offset : offset + len(other._counts)] += other._counts
        self._account(other.count, other.sum_ns, other.min_ns, other.max_ns, other.clipped)

    def copy(self) -> Histogram:
        """An independent histogram of the same samples."""
        twin = Histogram()
        twin._low, twin._indices = self._low, self._indices
        # Sparse counters are never changed in place, only replaced: they can be shared.
        twin._counts = self._counts.copy() if self._indices is None else self._counts
        twin._account(self.count, self.sum_ns, self.min_ns, self.max_ns, self.clipped)
        return twin

    def compact(self) -> None:
        """Keep only buckets with samples, in the narrowest integers (4 bytes for each while no bucket holds more
        than 65,535), until the next `record` or `merge`."""
        indices, counts = self.nonzero()
        # Always copies: decoded ones are parts of longer arrays, which would stay as long as these do.
        self._indices = indices.astype(np.uint16)
        self._counts = counts.astype(np.min_scalar_type(counts.max(initial=0)))

    def nonzero(self) -> tuple[Indices, Counts]:
        """The buckets with samples, ascending, and their counts. Read only: they may be the histogram's own."""
        if self._indices is not None:
            return self._indices.astype(np.int32, copy=False), self._counts.astype(np.int64, copy=False)
        at = self._counts.nonzero()[0]
        return (at + self._low).astype(np.int32), self._counts[at].astype(np.int64, copy=False)

    def quantile_ns(self, q: float) -> int:
        """The value that ``q`` (0 to 1) of the samples do not exceed; see `quantiles_ns`."""
        return self.quantiles_ns((q,))[0]

    def quantiles_ns(self, qs: Iterable[float]) -> list[int]:
        """For each q in [0, 1] the HDR quantile; 0 if there are no samples. `ValueError` outside of [0, 1].

        The last nanosecond of the bucket that holds the sample of rank ceil(q · count), counted from 1 (rank 1
        for q = 0), but never more than ``max_ns``. So at least q of the samples are ≤ the result; the result is
        at most 1/1024 above that sample (1 µs below 2 ms); and ``result // 1000`` is what other HDR
        implementations give in microseconds for that rank, cut at the exact maximum. q counts as the decimal
        number it prints as: 0.07 of 100 samples are 7, not ceil(7.000000000000001).
        """
        shares = [Fraction(str(q)) for q in qs]
        if any(not 0 <= share <= 1 for share in shares):
            raise ValueError("a quantile must lie between 0 and 1")
        if not self.count:
            return [0] * len(shares)
        indices, counts = self.nonzero()
        ranks = [max(ceil(share * self.count), 1) for share in shares]
        at = np.searchsorted(np.cumsum(counts), ranks)
        return [min(highest_ns(index), self.max_ns) for index in indices[at].tolist()]

    def mean_ns(self) -> float:
        """The exact mean; 0.0 if there are no samples."""
        return self.sum_ns / self.count if self.count else 0.0

    def count_at_or_below_ns(self, value_ns: int) -> int:
        """Samples in buckets up to and including that of ``value_ns``: exact but for those of that bucket."""
        if value_ns >= self.max_ns:
            return self.count
        if value_ns < self.min_ns:
            return 0
        indices, counts = self.nonzero()
        return int(counts[: np.searchsorted(indices, index_of_ns(value_ns), side="right")].sum())

    def __eq__(self, other: object) -> bool:
        """Whether all buckets and all exact fields are the same."""
        if not isinstance(other, Histogram):
            return NotImplemented
        if self._exact() != other._exact():
            return False
        (indices, counts), (other_indices, other_counts) = self.nonzero(), other.nonzero()
        return np.array_equal(indices, other_indices) and np.array_equal(counts, other_counts)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        count, sum_ns, min_ns, max_ns, clipped = self._exact()
        return f"Histogram({count=}, {sum_ns=}, {min_ns=}, {max_ns=}, {clipped=})"

    def _exact(self) -> tuple[int, int, int, int, int]:
        return self.count, self.sum_ns, self.min_ns, self.max_ns, self.clipped

    def _account(self, count: int, sum_ns: int, min_ns: int, max_ns: int, clipped: int) -> None:
        """Add ``count`` samples to the exact fields."""
        if not count:
            return
        self.min_ns = min(self.min_ns, min_ns) if self.count else min_ns
        self.max_ns = max(self.max_ns, max_ns)
        self.count += count
        self.sum_ns += sum_ns
        self.clipped += clipped

    def _check_room(self, count: int) -> None:
        """No bucket holds more than ``count``, so it is enough to keep the count within int64."""
        if self.count + count > MAX_COUNT:
            raise OverflowError(f"{self.count} and {count} samples are more than int64 can count")

    def _cover(self, first: int, last: int) -> None:
        """Make the counters a dense window over [first, last], and over what is in use already."""
        indices, low, high = self._indices, first, last + 1
        if indices is None:
            low, high = self._low, self._low + len(self._counts)
            if low <= first and last < high:
                return
        elif len(indices):
            low, high = int(indices[0]), int(indices[-1]) + 1
        new_low = min(low, first) // _GRAIN * _GRAIN
        new_high = -(-max(high, last + 1) // _GRAIN) * _GRAIN
        window: Counts = np.zeros(new_high - new_low, np.int64)
        if indices is None:
            window[low - new_low : high - new_low] = self._counts
        else:
            window[indices - new_low] = self._counts
        self._low, self._indices, self._counts = new_low, None, window
