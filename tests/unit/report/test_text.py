import re

import msgspec
import pytest

from loadr.report.text import render_text
from loadr.verdict.model import Spread


def test_the_verdict_comes_first_and_then_what_limits_trust(eventful_run) -> None:
    text = render_text(eventful_run.summary())
    order = ["THRESHOLD FAILED", "limits of trust", "thresholds", "checks", "metrics", "requests", "errors"]
    order += ["iterations  planned", "agents"]
    places = [text.index(f"  {word}") for word in order]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [40, 80, 100, 132])
def test_no_line_is_wider_than_the_terminal_or_80_columns(eventful_run, width: int) -> None:
    text = render_text(eventful_run.summary(), width=width)
    assert max(map(len, text.splitlines())) <= max(width, 80)


def test_long_names_do_not_widen_it(new_run) -> None:
    run = new_run(thresholds={"http_req_duration{name:" + "n" * 90 + "}": ["p(95)<400"]})
    run.second(0, [5.0], failed_ms=[1.0], name="n" * 90, agent="agent-" + "x" * 60)
    run.agent("agent-" + "x" * 60, share=0.5)
    run.record.notes = ["w" * 200, "many words " * 30]
    text = render_text(run.summary())
    assert max(len(line) for line in text.splitlines() if "w" * 70 not in line) <= 80


def test_a_wide_terminal_shows_a_trend_in_one_line_as_k6_does(eventful_run) -> None:
    text = render_text(eventful_run.summary(), width=132)
    pattern = r"http_req_duration\.+: avg=\S+ +min=\S+ +med=\S+ +max=\S+ +p\(90\)=\S+ +p\(95\)=\S+ +p\(99\)=\S+"
    assert re.search(pattern, text)


def test_k6s_metrics_stand_under_k6s_names(eventful_run) -> None:
    text = render_text(eventful_run.summary())
    assert re.search(r"http_reqs\.+: 240  8\.00/s", text)
    assert re.search(r"http_req_failed\.+: 12\.50%  30 out of 240", text)
    assert re.search(r"  \{name:items\}\.+: avg=", text)
    assert "{expected_response:true}" in text


def test_it_says_what_each_duration_measures_and_only_of_those_that_are_there(eventful_run, new_run) -> None:
    text = render_text(eventful_run.summary())
    assert "http_req_duration: from sending to the last byte" in text and "http_req_total: http" not in text
    assert "from sending" not in render_text(new_run().summary(1.0))


def test_thresholds_show_what_was_observed(eventful_run) -> None:
    lines = render_text(eventful_run.summary()).splitlines()
    assert any(
        line.startswith("    ✓ http_req_duration: p(95)<400") and line.endswith("40.0ms") for line in lines
    )
    assert any(line.startswith("    ✗ http_req_duration{name:items}: p(95)<20 over 10s") for line in lines)


def test_failures_have_a_row_of_their_own(eventful_run) -> None:
    text = render_text(eventful_run.summary())
    assert re.search(r"GET items +240 +8\.00/s +30 ", text)
    assert re.search(r"└ failed ones +1\.50ms", text)


def test_a_percentile_of_few_samples_is_marked_and_explained(eventful_run) -> None:
    text = render_text(eventful_run.summary())
    assert "p(99)=~40.0ms" in text
    assert "~ too few samples to bound this percentile" in text


def test_nothing_is_explained_that_is_not_there(eventful_run) -> None:
    summary = eventful_run.summary()
    solid = [
        msgspec.structs.replace(line, ok=msgspec.structs.replace(line.ok, weak=[]), bad=Spread(count=0))
        for line in summary.requests
    ]
    assert "too few samples" not in render_text(msgspec.structs.replace(summary, requests=solid))


def test_errors_name_their_kind_and_where(eventful_run) -> None:
    text = render_text(eventful_run.summary())
    assert re.search(r"status 503 +30 +GET items \(browse\)", text)
    assert re.search(r"timeout +1 +items \(browse\)", text)


def test_agents_show_share_skew_bound_cpu_and_lag(eventful_run) -> None:
    text = render_text(eventful_run.summary())
    assert re.search(r"a1 +finished +50\.0% +120 +120µs +400µs +0% +0s", text)
    assert re.search(r"a2 +finished +50\.0% +120 +- +- +55% +300µs", text)


def test_a_scenario_whose_books_do_not_balance_is_marked(eventful_run) -> None:
    eventful_run.record.accounts["browse"].started += 1
    text = render_text(eventful_run.summary())
    assert "browse ✗" in text and "the books do not balance" in text


def test_without_colour_there_is_no_escape_and_with_it_the_text_is_the_same(eventful_run) -> None:
    summary = eventful_run.summary()
    plain, coloured = render_text(summary), render_text(summary, colour=True)
    assert "\x1b" not in plain and "\x1b[31mTHRESHOLD FAILED" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_ascii_is_pure(eventful_run) -> None:
    text = render_text(eventful_run.summary(), ascii_only=True)
    assert text.isascii() and "x http_req_duration{name:items}" in text


def test_names_can_not_move_the_cursor(new_run) -> None:
    run = new_run()
    run.second(0, [5.0], name="evil\x1b[2J\nname")
    run.record.notes = ["note\x1b]0;title\x07"]
    assert "\x1b" not in render_text(run.summary())


def test_what_happened_stands_apart_from_what_limits_trust(new_run) -> None:
    run = new_run()
    run.second(0, [5.0])
    run.record.notes, run.record.events = ["a batch was rejected"], ["agent c joined 5.00s after the start"]
    text = render_text(run.summary())
    trust, events = text.index("a batch was rejected"), text.index("agent c joined")
    assert text.lower().index("limits of trust") < trust < text.lower().index("what happened") < events
    assert "what happened" not in render_text(new_run().summary()).lower()


def test_a_run_that_never_started_is_two_lines(new_run) -> None:
    run = new_run()
    run.record.started_unix_ms, run.record.cause = 0, "no agent joined within 30 s"
    lines = render_text(run.summary(0.0, "failed")).split("\n")
    assert lines == ["", "  FAILED  no agent joined within 30 s", "  plan checkout · seed 7 · run r-1", ""]


def test_a_run_without_requests_is_shown(new_run) -> None:
    text = render_text(new_run(thresholds={"http_req_duration": ["p(95)<1"]}).summary(3.0))
    assert "no request was made in 3.00s" in " ".join(text.split())
    assert re.search(r"http_req_duration\.+: no data", text)


def test_tags_of_the_run_are_shown(eventful_run) -> None:
    summary = msgspec.structs.replace(eventful_run.summary(), tags={"build": "42"})
    assert "build=42" in render_text(summary)
