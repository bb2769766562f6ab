from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadr.units import (
    MAX_DURATION_NS,
    format_bytes,
    format_duration_ns,
    format_short_ns,
    parse_bytes,
    parse_duration_ns,
)


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("300ms", 300_000_000),
        ("2s", 2_000_000_000),
        ("1m30s", 90_000_000_000),
        (" 1h 2m 3.5s ", 3_723_500_000_000),
        ("1d", 86_400_000_000_000),
        ("5us", 5_000),
        ("5µs", 5_000),
        ("7ns", 7),
        (".5s", 500_000_000),
        ("1.5", 1_500_000_000),
        (3, 3_000_000_000),
        (0.1, 100_000_000),
        (0, 0),
        ("0s", 0),
        ("366d", MAX_DURATION_NS),
    ],
)
def test_durations_are_read(text, expected_ns):
    assert parse_duration_ns(text) == expected_ns


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "'' is not a duration; write 300ms, 2s, 1m30s, or bare seconds"),
        ("soon", "'soon' is not a duration"),
        ("1 fortnight", "'1 fortnight' is not a duration"),
        ("5S", "'5S' is not a duration"),
        ("1e3s", "'1e3s' is not a duration"),
        ("-1s", "a duration must not be negative, and -1s is"),
        (-1, "a duration must not be negative, and -1 is"),
        ("367d", "367d is longer than a year"),
        ("9" * 64, "longer than a year"),
        ("9" * 65, "this text is too long for a duration"),
        (40_000_000, "4e+07 is longer than a year"),
        (10**400, "a duration must be a finite number of seconds, less than a year"),
        (float("inf"), "a duration must be a finite number of seconds, less than a year"),
        (float("nan"), "a duration must be a finite number of seconds, less than a year"),
        (True, "a duration is expected, such as 300ms, 2s or 1m30s"),
        (None, "a duration is expected, such as 300ms, 2s or 1m30s"),
        ([1], "a duration is expected, such as 300ms, 2s or 1m30s"),
    ],
)
def test_what_is_no_duration_is_refused_in_words(value, message):
    with pytest.raises(ValueError) as caught:
        parse_duration_ns(value)
    assert message in str(caught.value)


@given(st.integers(0, MAX_DURATION_NS))
def test_every_duration_survives_a_round_trip_to_the_last_nanosecond(duration_ns):
    assert parse_duration_ns(format_duration_ns(duration_ns)) == duration_ns


@given(st.text(max_size=70) | st.floats() | st.integers() | st.none() | st.lists(st.integers(), max_size=1))
def test_anything_is_a_duration_or_refused_in_words(value):
    try:
        duration_ns = parse_duration_ns(value)
    except ValueError as error:
        assert "duration" in str(error) or "year" in str(error)
    else:
        assert 0 <= duration_ns <= MAX_DURATION_NS


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5us"),
        (1_500_000, "1.5ms"),
        (90_000_000_000, "1m30s"),
        (60_000_000_001, "1m0.000000001s"),
        (3_600_000_000_000, "1h"),
    ],
)
def test_durations_are_written_short_and_exact(duration_ns, text):
    assert format_duration_ns(duration_ns) == text


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (812, "812ns"),
        (812_000, "812µs"),
        (999_600, "1.00ms"),
        (12_340_000, "12.3ms"),
        (4_560_000_000, "4.56s"),
        (-4_560_000_000, "-4.56s"),
        (125_000_000_000, "2m05s"),
        (3_725_000_000_000, "1h02m05s"),
    ],
)
def test_durations_for_the_eye_have_about_three_digits(duration_ns, text):
    assert format_short_ns(duration_ns) == text


@pytest.mark.parametrize(
    ("value", "size"),
    [(4096, 4096), ("4096", 4096), ("64KiB", 65536), ("1.5MB", 1_500_000), ("2 g", 2_000_000_000), ("7b", 7)],
)
def test_sizes_are_read(value, size):
    assert parse_bytes(value) == size


@pytest.mark.parametrize("value", ["", "x", "-1", "1TB", -1])
def test_what_is_no_size_is_refused(value):
    with pytest.raises(ValueError, match="size"):
        parse_bytes(value)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (812, "812 B"), (999.9, "1 kB"), (1_210_000, "1.21 MB"), (5e12, "5e+03 GB")]
)
def test_sizes_are_written_with_three_digits(size, text):
    assert format_bytes(size) == text
