"""What histograms cost: recording, the wire form and merging. Prints a table; needs no network and about 5 s.

    .venv/bin/python benchmarks/throughput/histogram.py

Samples are log-normal around 5 ms, as service times are. Each figure is the best of five rounds, so that the
neighbours of a shared machine disturb it least. To compare with, the goal for the controller:
at 1 Hz, 1,000 agents with 5 trends of 1,000 samples and 5 of 100 make 10,000 payloads a second, which are to be
decoded and merged on less than one core: 100 µs each.
"""

from __future__ import annotations

from collections.abc import Callable
from timeit import repeat

import numpy as np

from loadr.metrics.hdr import decode_trend, encode
from loadr.metrics.histogram import Histogram


def best_us(action: Callable[[], object], times: int) -> float:
    """Microseconds of one call."""
    return min(repeat(action, number=times, repeat=5)) / times * 1e6


def samples(count: int, spread: float = 0.6) -> np.ndarray:
    return np.random.default_rng(count).lognormal(np.log(5e6), spread, count).astype(np.int64)


def distinct(buckets: int) -> Histogram:
    """A histogram of so many samples, each in a bucket of its own."""
    indices = np.sort(np.random.default_rng(buckets).choice(np.arange(1_000, 8_000), buckets, replace=False))
    shift = np.maximum((indices >> 10) - 1, 0)
    return Histogram.of(((indices - (shift << 10)) << shift) * 1_000)


def main() -> None:
    print(f"{'recording one batch':<24}{'ns/sample':>12}{'µs/batch':>12}")
    for count in (1, 10, 100, 1_000, 10_000, 100_000):
        batch, total = samples(count), Histogram.of(samples(100_000))
        us = best_us(lambda batch=batch, total=total: total.record(batch), max(20, 200_000 // (count + 100)))
        print(f"{f'{count:,} samples':<24}{us * 1000 / count:>12.1f}{us:>12.1f}")

    columns = ("bytes", "encode µs", "decode µs", "merge µs", "deflated", "encode µs", "decode µs")
    print(f"\n{'payload':<24}" + "".join(f"{column:>12}" for column in columns))
    total = Histogram.of(samples(100_000, spread=0.9))
    for buckets in (100, 1_000):
        sent = distinct(buckets)
        exact = (sent.count, sent.sum_ns, sent.min_ns, sent.max_ns, sent.clipped)
        row: list[float] = []
        for deflate in (False, True):
            payload = encode(sent, deflate)
            row.append(len(payload))
            row.append(best_us(lambda sent=sent, deflate=deflate: encode(sent, deflate), 1_000))
            row.append(best_us(lambda payload=payload, exact=exact: decode_trend(payload, *exact), 1_000))
            if not deflate:
                received = decode_trend(payload, *exact)
                row.append(best_us(lambda received=received: total.merge(received), 1_000))
        cells = "".join(f"{value:>12,.0f}" if value == int(value) else f"{value:>12.1f}" for value in row)
        print(f"{f'{buckets:,} distinct samples':<24}{cells}")

    us = best_us(lambda: total.quantiles_ns((0.5, 0.9, 0.95, 0.99)), 200)
    print(f"\nfour quantiles of {total.count:,} samples: {us:.0f} µs")


if __name__ == "__main__":
    main()
