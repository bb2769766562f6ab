"""Draws depend on the seed and the iteration, and on nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.engine.draws import Draws, draw_below, iteration_key, mix, stream_seed

# The first outputs of SplitMix64 from the seed 1234567, as published with the xoshiro generators.
REFERENCE = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]


def test_the_sequence_is_that_of_splitmix64() -> None:
    draws = Draws(1234567)
    assert [draws.getrandbits(64) for _ in REFERENCE] == REFERENCE


def test_the_same_key_gives_the_same_draws_again_after_others() -> None:
    draws = Draws(5)
    first = [draws.random(), draws.randint(1, 100), draws.gauss(0, 1)]
    draws.gauss(0, 1)  # leaves a second value behind in the standard library
    draws.restart(5)
    assert [draws.random(), draws.randint(1, 100), draws.gauss(0, 1)] == first


def test_a_script_can_not_seed_them() -> None:
    draws = Draws(5)
    expected = Draws(5).random()
    draws.seed(99)
    assert draws.random() == expected


def test_their_state_can_not_be_kept() -> None:
    with pytest.raises(NotImplementedError):
        Draws(1).getstate()
    with pytest.raises(NotImplementedError):
        Draws(1).setstate((3, (), None))


@given(st.integers(0, 200))
def test_any_number_of_bits_fits(bits: int) -> None:
    assert 0 <= Draws(bits).getrandbits(bits) < 2**bits


def test_a_negative_number_of_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        Draws(1).getrandbits(-1)


def test_they_are_spread_evenly() -> None:
    draws, n = Draws(42), 20_000
    values = [draws.random() for _ in range(n)]
    assert abs(sum(values) / n - 0.5) < 4 * math.sqrt(1 / 12 / n)
    cells = [0] * 20
    for value in values:
        cells[int(value * 20)] += 1
    chi_square = sum((cell - n / 20) ** 2 / (n / 20) for cell in cells)
    assert chi_square < 43.8  # 0.1 % of chi² with 19 degrees of freedom


def test_first_draws_of_neighbouring_iterations_are_spread_evenly_too() -> None:
    n = 20_000
    stream = stream_seed(7, "browse")
    cells = [0] * 20
    for iteration in range(n):
        cells[draw_below(iteration_key(stream, 0, iteration), 20)] += 1
    assert sum((cell - n / 20) ** 2 / (n / 20) for cell in cells) < 43.8


@given(st.integers(0, 2**64 - 1), st.integers(1, 10**9))
def test_a_bounded_draw_is_within_its_bound(key: int, bound: int) -> None:
    assert 0 <= draw_below(key, bound) < bound


def test_keys_differ_by_seed_name_vu_and_iteration() -> None:
    keys = {
        iteration_key(stream_seed(seed, name), vu, iteration)
        for seed in (0, 1)
        for name in ("a", "b")
        for vu in range(8)
        for iteration in range(8)
    }
    assert len(keys) == 2 * 2 * 8 * 8
    assert stream_seed(1, "a", "b") != stream_seed(1, "ab")


def test_mix_is_a_bijection_on_a_sample() -> None:
    assert len({mix(value) for value in range(10_000)}) == 10_000
