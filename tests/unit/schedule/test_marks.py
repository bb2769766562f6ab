"""Marks: counts, reproducibility and the statistics of Poisson arrivals."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.schedule.marks import CHUNK, Marks, PoissonMarks, UniformMarks, natural_log, unit_exponentials


def everything(marks: Marks) -> np.ndarray:
    chunks = [marks.chunk(0)]
    while len(chunks[-1]) == CHUNK:
        chunks.append(marks.chunk(len(chunks)))
    return np.concatenate(chunks)


def poisson(total: float, limit: int | None = None, seed: int = 1, scenario: str = "browse") -> PoissonMarks:
    return PoissonMarks(Fraction(total), limit, seed, scenario)


@given(st.fractions(0, 20_000), st.one_of(st.none(), st.integers(0, 20_000)))
def test_uniform_marks_are_the_whole_numbers_up_to_the_total(total: Fraction, limit: int | None) -> None:
    marks = UniformMarks(total, limit)
    expected = min(math.floor(total), total if limit is None else limit)
    assert marks.count() == int(expected)
    assert everything(marks).tolist() == list(range(1, int(expected) + 1))
    assert len(marks.chunk(10_000)) == 0


@pytest.mark.parametrize("limit", [None, 0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 9999, 10**9])
def test_a_limit_cuts_poisson_marks_and_changes_none(limit: int | None) -> None:
    free = everything(poisson(10_000))
    cut = poisson(10_000, limit)
    assert everything(cut).tolist() == free[:limit].tolist()
    assert cut.count() == len(free[:limit])


def test_chunks_are_the_same_in_any_order() -> None:
    total = 40_000.0
    forward = [poisson(total).chunk(i).tolist() for i in range(12)]
    jumping = poisson(total)
    assert jumping.chunk(7).tolist() == forward[7]
    assert jumping.chunk(11).tolist() == forward[11] == []
    assert [jumping.chunk(i).tolist() for i in range(12)] == forward


def test_poisson_marks_ascend_over_the_seams_of_chunks() -> None:
    marks = everything(poisson(30_000))
    assert np.all(np.diff(marks) > 0)
    assert marks[0] > 0
    assert marks[-1] <= 30_000


@pytest.mark.parametrize("marks", [UniformMarks(Fraction(20_000), None), poisson(20_000)])
def test_a_mark_is_found_in_its_chunk(marks: Marks) -> None:
    all_of_them = everything(marks)
    for mark in [-5.0, 0.0, 1.0, 4095.5, 4096.0, 4096.5, 4097.0, 12_345.6, float(all_of_them[-1])]:
        first = int(np.searchsorted(all_of_them, mark, side="left"))
        assert marks.chunk_at(mark) == first // CHUNK
    assert marks.chunk_at(1e9) == len(all_of_them) // CHUNK


def test_seed_and_scenario_choose_the_sequence() -> None:
    one = poisson(1000).chunk(0).tolist()
    assert poisson(1000).chunk(0).tolist() == one
    assert poisson(1000, seed=2).chunk(0).tolist() != one
    assert poisson(1000, scenario="buy").chunk(0).tolist() != one


def test_a_fixed_seed_gives_these_very_bits() -> None:
    # Pinned: agents of different versions and machines must agree on every bit of the sequence.
    marks = everything(poisson(10_000))
    assert [mark.hex() for mark in marks[:3].tolist()] == [
        "0x1.abde533f7bb05p+0",
        "0x1.f87d334c87945p+0",
        "0x1.0aae01f473039p+1",
    ]
    assert (
        hashlib.sha256(marks.astype("<f8").tobytes()).hexdigest()
        == "83e30a4ade1d5aef0a9b374c8d9f2b2660308660b2c4ddb2f0f4e2020d183f9c"
    )


def test_the_logarithm_is_within_two_ulps() -> None:
    drawn = np.random.Generator(np.random.PCG64(5)).random(20_000)
    edges = [
        2.0**-53,
        1 - 2.0**-53,
        0.5,
        math.sqrt(0.5),
        math.nextafter(math.sqrt(0.5), 0),
        1.0,
        2.0,
        1e300,
        1e-300,
    ]
    x = np.concatenate([drawn, edges])
    exact = np.array([math.log(number) for number in x.tolist()])
    assert np.all(np.abs(natural_log(x) - exact) <= 2 * np.spacing(np.abs(exact)))


def test_gaps_are_exponential() -> None:
    """Kolmogorov-Smirnov, 10⁵ arrivals: the critical value at 1 % is 1.628/√n (Smirnov's limit)."""
    gaps = np.sort(np.diff(everything(poisson(100_500)), prepend=0.0)[:100_000])
    n = len(gaps)
    assert n == 100_000
    steps = np.arange(n + 1) / n
    distribution = -np.expm1(-gaps)
    distance = max(np.max(distribution - steps[:-1]), np.max(steps[1:] - distribution))
    assert distance < 1.628 / math.sqrt(n)


@pytest.mark.parametrize("width", [1.0, 5.0])
def test_counts_over_windows_disperse_as_poissons_do(width: float) -> None:
    """Variance over mean of counts in n windows is 1 ± 3·√(2/n): n = 100,000 and 20,000 windows."""
    marks = everything(poisson(100_000))
    windows = round(100_000 / width)
    counts = np.bincount(np.floor(marks / width).astype(np.int64), minlength=windows)[:windows]
    assert abs(counts.var() / counts.mean() - 1) < 3 * math.sqrt(2 / windows)


def test_neighbouring_gaps_are_independent() -> None:
    gaps = np.diff(everything(poisson(100_500)))
    for lag in (1, 2, CHUNK):
        correlation = float(np.corrcoef(gaps[:-lag], gaps[lag:])[0, 1])
        assert abs(correlation) < 3 / math.sqrt(len(gaps))


def test_chunks_do_not_repeat_each_other() -> None:
    seen = {unit_exponentials(7, chunk)[:4].tobytes() for chunk in range(100)}
    assert len(seen) == 100
