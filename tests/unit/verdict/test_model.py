import msgspec

from loadr.verdict.live import live_view
from loadr.verdict.model import LiveView, Summary, ThresholdResult


def test_a_threshold_is_told_as_the_plan_wrote_it() -> None:
    result = ThresholdResult(
        metric="http_reqs{name:a}", expression="count>1", passed=True, observed=2.0, aborts=False
    )
    assert result.text == "http_reqs{name:a}: count>1"


def test_a_summary_survives_json(eventful_run) -> None:
    summary = eventful_run.summary()
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary


def test_a_live_view_survives_json(eventful_run) -> None:
    view = live_view(eventful_run.record, eventful_run.evaluate(12.0))
    assert msgspec.json.decode(msgspec.json.encode(view), type=LiveView) == view


def test_a_metric_is_found_by_its_name(eventful_run) -> None:
    summary = eventful_run.summary()
    line = summary.metric("http_reqs")
    assert line is not None and line.values["count"] == 240
    assert summary.metric("nothing") is None
