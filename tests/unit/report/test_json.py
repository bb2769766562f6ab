import json
from hashlib import md5

import msgspec

from loadr.report.json import render_json
from loadr.verdict.model import CheckLine, Summary


def export_of(run) -> dict:
    return json.loads(render_json(run.summary()))


def test_metrics_are_laid_out_as_in_k6s_export(eventful_run) -> None:
    metrics = export_of(eventful_run)["metrics"]
    assert metrics["http_reqs"] == {"count": 240, "rate": 8}
    assert {"passes", "fails", "value"} <= metrics["http_req_failed"].keys()
    assert {"avg", "min", "med", "max", "p(90)", "p(95)", "p(99)"} <= metrics["http_req_duration"].keys()
    assert metrics["vus"] == {"value": 4, "min": 0, "max": 4}
    assert metrics["http_req_duration{expected_response:true}"]["min"] == 10


def test_a_threshold_is_true_when_it_was_crossed_as_in_k6(eventful_run) -> None:
    metrics = export_of(eventful_run)["metrics"]
    assert metrics["http_req_duration"]["thresholds"] == {"p(95)<400": False}
    assert metrics["http_req_duration{name:items}"]["thresholds"] == {"p(95)<20 over 10s": True}


def test_a_threshold_without_data_counts_as_crossed(new_run) -> None:
    metrics = export_of(new_run(thresholds={"checks": ["rate>0.9"]}))["metrics"]
    assert metrics["checks"] == {"thresholds": {"rate>0.9": True}}


def test_counts_are_written_as_integers(eventful_run) -> None:
    assert b'"count": 240,' in render_json(eventful_run.summary())


def test_checks_stand_in_the_root_group_with_k6s_ids(eventful_run) -> None:
    group = export_of(eventful_run)["root_group"]
    assert (group["name"], group["path"], group["groups"]) == ("", "", {})
    assert group["id"] == md5(b"").hexdigest()
    check = group["checks"]["status is 200"]
    assert (check["path"], check["passes"], check["fails"]) == ("::status is 200", 210, 30)
    assert check["id"] == md5(b"::status is 200").hexdigest()


def test_checks_of_one_name_in_two_scenarios_are_summed(eventful_run) -> None:
    lines = [CheckLine(scenario=name, name="ok", passes=2, fails=1) for name in ("a", "b")]
    summary = msgspec.structs.replace(eventful_run.summary(), checks=lines)
    check = json.loads(render_json(summary))["root_group"]["checks"]["ok"]
    assert (check["passes"], check["fails"]) == (4, 2)


def test_our_part_has_the_promised_keys(eventful_run) -> None:
    ours = export_of(eventful_run)["loadr"]
    assert {
        "run_id", "verdict", "validity", "plan_digest", "started_at", "duration_s", "accounting", "thresholds",
        "agents", "series", "timeline",
    } <= ours.keys()  # fmt: skip
    assert {
        "name", "state", "share", "requests", "start_skew_ms", "clock_bound_ms", "cpu", "lag_p99_ms", "lost_at_s",
    } <= ours["agents"][0].keys()  # fmt: skip


def test_a_saved_run_can_be_read_back_complete(eventful_run) -> None:
    assert msgspec.convert(export_of(eventful_run)["loadr"], Summary) == eventful_run.summary()


def test_a_run_that_never_started_can_be_exported(new_run) -> None:
    run = new_run()
    run.record.started_unix_ms = 0
    export = json.loads(render_json(run.summary(0.0, "failed")))
    assert export["metrics"] == {} and export["loadr"]["exit_code"] == 122
