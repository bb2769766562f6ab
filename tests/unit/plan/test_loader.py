from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadr.errors import PlanInvalid
from loadr.plan import loader
from loadr.plan.loader import load_plan
from loadr.plan.model import Plan

SHOP = """\
name: checkout
defaults:
  http: { base_url: "https://shop.example", timeout: 10s, headers: { accept: application/json } }
data:
  users: { file: users.csv, mode: unique, on_end: stop }
scenarios:
  browse:
    executor: ramping-arrival-rate
    arrivals: poisson
    start_rate: 10
    stages: [ { duration: 1m, target: 500 }, { duration: 5m, target: 500 } ]
    pre_allocated_vus: 50
    max_vus: 2000
    flow:
      - request: { get: "/items?page=${random.randint(1, 20)}", name: items,
                   extract: { item: { jsonpath: "$.items[0].id" } },
                   check: { status: 200, "under 300 ms": "${response.duration_ms < 300}" } }
      - think: { uniform: [1s, 3s] }
      - request: { post: /cart, json: { user: "${users.name}", item: "${item}" }, check: { status: 201 } }
  buy:
    script: buy.py
    executor: constant-vus
    vus: 20
    duration: 6m
thresholds:
  http_req_duration: [ "p(95)<400", { threshold: "p(99)<800", abort_on_fail: true, delay_abort_eval: 10s } ]
  "http_req_duration{name:items}": [ "p(95)<250 over 30s" ]
  http_req_failed: [ "rate<0.01" ]
on_agent_loss: redistribute
"""
BUY = "from loadr import scenario\n@scenario\nasync def buy(vu): ...\n"
SMALL = "scenarios: { a: { executor: constant-vus, vus: 1, duration: 1s, flow: [ think: 1s ] } }"


def test_the_plan_of_the_manual_is_loaded_and_survives_a_round_trip(desk):
    desk.write("buy.py", BUY)
    loaded = desk.load(SHOP, env={"TOKEN": "x"}, tags={"build": "7"})
    plan = loaded.plan
    assert Plan.from_json(plan.canonical_json()) == plan
    assert Plan.from_json(plan.canonical_json()).digest == plan.digest
    assert plan.duration_ns == 360_000_000_000
    assert plan.scenarios["browse"].uses == ("users",)
    assert plan.scenarios["buy"].function == "buy"
    assert (plan.env, plan.tags) == ({"TOKEN": "x"}, {"build": "7"})
    assert loaded.folder == desk.folder
    assert loaded.files == {name: desk.folder / name for name in ("buy.py", "users.csv")}


def test_a_plan_may_be_written_as_json(desk):
    tree = {"scenarios": {"a": {"executor": "constant-vus", "vus": 1, "duration": 1, "flow": [{"think": "1s"}]}}}
    assert desk.load(json.dumps(tree), "plan.json").plan.scenarios["a"].duration_ns == 1_000_000_000


def test_a_plan_without_a_name_has_that_of_its_file(desk):
    assert desk.load(SMALL, "smoke.yaml").plan.name == "smoke"
    assert desk.load(f"name: mine\n{SMALL}").plan.name == "mine"


def test_the_seed_is_the_one_asked_for_or_the_plans_or_drawn(desk):
    with_seed = f"seed: 5\n{SMALL}"
    assert desk.load(with_seed).plan.seed == 5
    assert desk.load(with_seed, seed=7).plan.seed == 7
    assert desk.load(SMALL, seed=7).plan.seed == 7
    drawn = {desk.load(SMALL).plan.seed for _ in range(5)}
    assert len(drawn) == 5
    assert all(0 <= seed < 2**63 for seed in drawn)
    assert desk.faults(SMALL, seed=-1) == ["1:1: seed: must be at least 0, and is -1 -> "]


def test_the_same_plan_and_seed_have_the_same_digest(desk):
    assert desk.load(SMALL, seed=1).plan.digest == desk.load(SMALL, seed=1).plan.digest
    assert desk.load(SMALL, seed=1).plan.digest != desk.load(SMALL, seed=2).plan.digest


def test_overrides_of_the_command_line_are_put_over_the_plan(desk):
    plan = desk.load(SMALL, vus=5, duration_ns=9_000_000_000).plan
    assert (plan.scenarios["a"].vus, plan.scenarios["a"].duration_ns) == (5, 9_000_000_000)


def test_a_plan_elsewhere_names_its_files_as_the_user_would(desk):
    desk.write("plans/bad.py", "def f(:\n")
    desk.write("plans/rows.csv", "a\n")
    plan = desk.write(
        "plans/p.yaml",
        "data: { rows: { file: rows.csv } }\nscenarios: { a: { script: bad.py }, b: { script: good.py } }",
    )
    desk.write("plans/good.py", "from loadr import scenario\n@scenario(start_time=-1)\nasync def b(vu): ...\n")
    for given_path, shown in ((Path("plans/p.yaml"), "plans"), (plan, str(desk.folder / "plans"))):
        with pytest.raises(PlanInvalid) as caught:
            load_plan(given_path)
        assert {f"{fault.file}:{fault.line}" for fault in caught.value.faults} == {
            *(f"{shown}/bad.py:1", f"{shown}/rows.csv:1", f"{shown}/p.yaml:2"),
        }


def test_a_plan_that_is_not_there_is_told_with_the_nearest_name(desk):
    desk.write("plan.yaml", SMALL)
    for name in ("plam.yaml", "none.py"):
        with pytest.raises(PlanInvalid) as caught:
            load_plan(Path(name))
        (fault,) = caught.value.faults
        assert str(fault) == f"{name}: there is no such file"
    with pytest.raises(PlanInvalid) as caught:
        load_plan(Path("plam.yaml"))
    assert caught.value.faults[0].hint == "did you mean plan.yaml?"


def test_a_folder_a_large_file_and_a_broken_name_are_refused(desk, monkeypatch):
    monkeypatch.setattr(loader, "MAX_PLAN_BYTES", 1024 * 1024)
    desk.write("large.yaml", b"# \n" * 400_000)
    for name, message in {
        ".": "this is a folder",
        "large.yaml": "the plan is 1,200,000 bytes long; the limit is 1 MiB",
        "a\0.yaml": "the file can not be read: embedded null byte",
    }.items():
        with pytest.raises(PlanInvalid) as caught:
            load_plan(Path(name))
        assert caught.value.faults[0].message == message


def test_bytes_of_the_command_line_that_are_not_unicode_are_refused(desk):
    broken = os.fsdecode(b"\xff")
    for options in ({"env": {"A": broken}}, {"tags": {broken: "x"}}):
        assert desk.faults(SMALL, **options) == [
            "command line: some text holds characters that are not Unicode -> write it as UTF-8"
        ]


def test_a_file_name_that_is_not_unicode_is_no_reason_to_fail(desk):
    plan = desk.folder / os.fsdecode(b"p\xff.yaml")
    plan.write_text(SMALL)
    assert load_plan(plan).plan.name == "p?"


# --- whatever is in the file, there are faults in words, or a plan that survives a round trip -----------------

WORDS = st.sampled_from(
    [
        *("name", "seed", "defaults", "http", "base_url", "data", "users", "file", "mode", "unique", "scenarios"),
        *("executor", "constant-vus", "constant-arrival-rate", "vus", "rate", "duration", "max_vus", "stages"),
        *("target", "flow", "request", "think", "get", "post", "json", "headers", "params", "form", "body"),
        *("check", "status", "extract", "jsonpath", "uniform", "constant", "script", "function", "thresholds"),
        *("http_reqs", "http_req_duration", "count>1", "p(95)<1", "threshold", "lease", "on_agent_loss"),
        *(
            "timeout",
            "tls_ca",
            "1s",
            "users.csv",
            "/x",
            "http://x",
            "${users.name}",
            "${",
            "${env.X}",
            "$.a",
            "~",
        ),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | WORDS
    | st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=5)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
SCENARIOS = st.fixed_dictionaries(
    {"executor": st.sampled_from(["constant-vus", "constant-arrival-rate", "ramping-arrival-rate"]) | TREES},
    optional={
        "vus": st.integers(0, 3) | TREES,
        "rate": st.floats(0, 3) | TREES,
        "max_vus": st.integers(0, 3) | TREES,
        "duration": st.sampled_from(["1s", "0s", 5]) | TREES,
        "stages": st.lists(st.fixed_dictionaries({"duration": TREES, "target": st.integers(-1, 3) | TREES}))
        | TREES,
        "flow": st.lists(
            st.fixed_dictionaries({"think": st.just("1s") | TREES})
            | st.fixed_dictionaries(
                {
                    "request": st.fixed_dictionaries(
                        {"get": st.sampled_from(["http://x/", "/x", "http://x/${users.name}"]) | TREES},
                        optional={
                            key: TREES
                            for key in (
                                "json",
                                "headers",
                                "params",
                                "form",
                                "body",
                                "timeout",
                                "check",
                                "extract",
                                "name",
                            )
                        },
                    )
                }
            ),
            max_size=3,
        )
        | TREES,
        "start_time": TREES,
        "script": TREES,
        "function": TREES,
    },
)
PLANS = st.fixed_dictionaries(
    {"scenarios": st.dictionaries(st.sampled_from(["a", "b", "c d"]), SCENARIOS, max_size=2) | TREES},
    optional={
        "data": st.dictionaries(st.sampled_from(["users", "vu"]), TREES, max_size=2)
        | st.just({"users": {"file": "users.csv"}})
        | TREES,
        "thresholds": st.dictionaries(WORDS, TREES, max_size=3) | TREES,
        "defaults": st.fixed_dictionaries({"http": TREES}) | TREES,
        **{key: TREES for key in ("name", "seed", "lease", "on_agent_loss", "env")},
    },
)
FUZZ = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def load_or_refuse(desk, content: bytes) -> None:
    try:
        plan = desk.load(content, seed=1).plan
    except PlanInvalid as error:
        assert error.faults
        for fault in error.faults:
            assert fault.message
            assert "Input should" not in fault.message
            assert (fault.line > 0) == (fault.column > 0)
    else:
        again = Plan.from_json(plan.canonical_json())
        assert again == plan
        assert again.digest == plan.digest


@FUZZ
@given(PLANS | TREES)
def test_any_tree_is_a_plan_or_faults_in_words(desk, tree):
    load_or_refuse(desk, json.dumps(tree, ensure_ascii=False).encode())


@FUZZ
@given(
    st.integers(0, len(SHOP) - 1),
    st.integers(0, 8),
    st.text(max_size=4).map(lambda t: t.encode("utf-8", "ignore")),
)
def test_a_damaged_plan_is_a_plan_or_faults_in_words(desk, at, length, insert):
    desk.write("buy.py", BUY)
    content = SHOP.replace("    script: buy.py\n", "    flow: [ think: 1s ]\n").encode()
    load_or_refuse(desk, content[:at] + insert + content[at + length :])


SECRET = """
defaults: { http: { base_url: "http://x/", headers: { a: "${secret.TOKEN}" } } }
scenarios:
  a:
    executor: constant-vus
    vus: 1
    duration: 1s
    flow: [ { request: { get: "/${secret.KEY}" } } ]
"""


def test_secrets_stay_references_in_the_plan_and_must_be_at_hand_if_anybody_knows(desk):
    plan = desk.load(SECRET).plan
    assert b"${secret.KEY}" in plan.canonical_json()
    assert desk.load(SECRET, secrets=("KEY", "TOKEN")).plan.scenarios == plan.scenarios
    with pytest.raises(PlanInvalid) as caught:
        desk.load(SECRET, secrets=("KEI",))
    told = {(fault.line, fault.message): fault.hint for fault in caught.value.faults}
    assert set(told) == {(2, "secret.TOKEN was not given"), (8, "secret.KEY was not given")}
    assert "did you mean secret.KEI?" in told[8, "secret.KEY was not given"]


def test_a_base_url_can_not_be_secret(desk):
    with pytest.raises(PlanInvalid) as caught:
        desk.load(SECRET.replace("http://x/", "http://${secret.HOST}/"))
    assert "base_url is the same for all" in caught.value.faults[0].message
