from __future__ import annotations

import pytest

VALID_FLOW = "flow: [ { think: 1s } ]"
FAULTS = [
    # --- the whole ---------------------------------------------------------------------------------------
    ("[]", ["1:1: must be a mapping (key: value), and is a list -> a plan needs at least the key scenarios"]),
    ("name: x", ["1:1: scenarios: the key 'scenarios' is missing -> "]),
    ("scenarios: {}", ["1:12: scenarios: must not be empty -> write at least one"]),
    ("scenarios: 5", ["1:12: scenarios: must be a mapping (key: value), and is 5 -> "]),
    (
        "scenarios: { a: }",
        [
            "1:16: scenarios.a: must be a mapping (key: value), and is empty"
            " -> it needs executor, and flow or script"
        ],
    ),
    (
        f"scenaros: {{}}\nscenarios: {{ a: {{ executor: constant-vus, vus: 1, duration: 1s, {VALID_FLOW} }} }}",
        ["1:1: scenaros: unknown key 'scenaros' -> did you mean 'scenarios'?"],
    ),
    (
        f"scenarios: {{ 'a b': {{ executor: constant-vus, vus: 1, duration: 1s, {VALID_FLOW} }} }}",
        [
            "1:14: scenarios[\"a b\"]: 'a b' can not be the name of a scenario"
            " -> a name is of letters, digits, _ and -, at most 64"
        ],
    ),
    (
        "seed: x\non_agent_loss: explode\nlease: forever\nname: 5\nscenarios: { a: 1 }",
        [
            "1:7: seed: must be a whole number, and is the text 'x' -> ",
            "2:16: on_agent_loss: must be one of 'redistribute', 'continue' or 'abort', and is the text"
            " 'explode' -> ",
            "3:8: lease: 'forever' is not a duration; write 300ms, 2s, 1m30s, or bare seconds -> ",
            '4:7: name: must be text, and is 5 -> put it in quotes: "5"',
            "5:17: scenarios.a: must be a mapping (key: value), and is 1"
            " -> it needs executor, and flow or script",
        ],
    ),
    (
        f"lease: 10ms\nscenarios: {{ a: {{ executor: constant-vus, vus: 1, duration: 1s, {VALID_FLOW} }} }}",
        ["1:8: lease: must be at least 1s -> 10s suits most fleets"],
    ),
    # --- data --------------------------------------------------------------------------------------------
    (
        "data:\n  a: { file: user.csv }\n  b: { file: ../b.csv }\n  c: { file: /etc/passwd }\n  d:"
        " {}\nscenarios: {}",
        [
            "2:14: data.a.file: there is no file user.csv -> did you mean users.csv?",
            "3:14: data.b.file: ../b.csv leaves the folder of the plan"
            " -> put the file beside the plan or below it",
            "4:14: data.c.file: /etc/passwd is an absolute path -> name it relative to the folder of the plan",
            "5:3: data.d.file: the key 'file' is missing -> name a file, or a corpus on the agents' disks",
            "6:12: scenarios: must not be empty -> write at least one",
        ],
    ),
    (
        "data:\n  a: { file: users.csv, mode: per_vu }\n  b: { file: users.csv, mode: shuffled }\n"
        "  c-d: { file: users.csv, rows: 5 }\n  env: 5\nscenarios: {}",
        [
            "2:31: data.a.mode: mode 'per_vu' is not supported yet; supported: unique, random -> ",
            "3:31: data.b.mode: must be one of 'unique' or 'random', and is the text 'shuffled' -> ",
            "4:3: data.c-d: 'c-d' can not be the name of a data set"
            " -> use letters, digits and _, and none of the names that expressions have already",
            "4:27: data.c-d.rows: unknown key 'rows' -> known here: file, mode, on_end",
            "5:3: data.env: 'env' can not be the name of a data set"
            " -> use letters, digits and _, and none of the names that expressions have already",
            "5:8: data.env: must be a mapping (key: value), and is 5 -> write env: { file: env.csv }",
            "6:12: scenarios: must not be empty -> write at least one",
        ],
    ),
    (
        "data: { users: { file: users.csv, mode: unique } }\n"
        "scenarios:\n  a: { executor: constant-vus, vus: 1, duration: 1s, "
        "flow: [ request: { get: 'http://x/${users.name}' } ] }\n"
        "  b: { executor: constant-arrival-rate, rate: 1, max_vus: 1, duration: 1s, "
        "flow: [ request: { get: 'http://x/${users.name}' } ] }",
        [
            "3:18: scenarios.a.executor: a (closed) and b (open) share the unique rows of 'users'"
            " -> give each model a data set of its own: their rows are dealt out in two ways"
        ],
    ),
    (
        "data: { one: { file: one.csv, mode: unique } }\nscenarios:\n"
        + "".join(
            f"  {name}: {{ executor: constant-arrival-rate, rate: 1, duration: 1s, max_vus: 1, "
            "flow: [ request: { get: 'http://x/${one.id}' } ] }\n"
            for name in "ab"
        ),
        [
            "1:14: data.one: one has 1 row for the 2 scenarios that share it"
            " -> add rows: each scenario needs one at least"
        ],
    ),
    # --- thresholds --------------------------------------------------------------------------------------
    (
        "thresholds:\n  http_req_durtion: p(95)<1\n  http_req_failed: [ p(95)<1, 'rate<', { threshhold: x } ]\n"
        "  http_reqs{x}: count>1\n  iterations: 5\n  checks: []\nscenarios: {}",
        [
            "2:3: thresholds.http_req_durtion: unknown metric 'http_req_durtion'"
            " -> did you mean 'http_req_duration'?",
            "3:22: thresholds.http_req_failed[0]: http_req_failed is a rate and has no 'p' -> it has rate",
            "3:31: thresholds.http_req_failed[1]: 'rate<' is not a threshold"
            " -> write for example p(95)<400, rate<0.01, count>100 or avg<200 over 30s",
            "3:40: thresholds.http_req_failed[2].threshold: the key 'threshold' is missing -> ",
            "3:42: thresholds.http_req_failed[2].threshhold: unknown key 'threshhold'"
            " -> did you mean 'threshold'?",
            "4:3: thresholds.http_reqs{x}: 'x' does not select by a tag -> write {name:items,method:GET}",
            "5:15: thresholds.iterations: must be a threshold, and is 5"
            ' -> write "p(95)<400" or { threshold: "p(95)<400" }',
            "6:11: thresholds.checks: the list of thresholds is empty -> write for example [ p(95)<400 ]",
            "7:12: scenarios: must not be empty -> write at least one",
        ],
    ),
    # --- urls --------------------------------------------------------------------------------------------
    (
        "scenarios:\n  a: { executor: constant-vus, vus: 1, duration: 1s, flow: [ request: { get: /x } ] }",
        [
            "2:78: scenarios.a.flow[0].request.get: the url is relative and the plan has no base_url"
            ' -> add defaults: { http: { base_url: "https://shop.example" } }'
        ],
    ),
]


@pytest.mark.parametrize(("plan", "expected"), FAULTS, ids=[plan[:40].replace("\n", " ") for plan, _ in FAULTS])
def test_each_fault_is_told_with_its_place_its_path_and_a_hint(desk, plan, expected):
    desk.write("one.csv", "id\n1\n")
    assert desk.faults(plan) == expected


def test_every_fault_of_a_plan_is_told_at_once_from_top_to_bottom(desk):
    desk.write("ragged.csv", "a,b\n1\n")
    faults = desk.faults(
        "nme: shop\n"
        "defaults: { http: { base_url: shop.example } }\n"
        "data: { rows: { file: ragged.csv }, users: { file: users.csv } }\n"
        "scenarios:\n"
        "  browse:\n"
        "    executor: constant-arrival-rate\n"
        "    rate: 0\n"
        "    duration: 1 fortnight\n"
        "    flow:\n"
        "      - request: { get: '/${usrs.name}', chek: { status: 200 } }\n"
        "      - think: [ 1s ]\n"
        "  buy: { executor: constant-vus, vuss: 20, duration: 1m, flow: [] }\n"
        "thresholds: { http_reqs: med<3 }\n"
    )
    assert [fault.split(" -> ")[0] for fault in faults] == [
        "1:1: nme: unknown key 'nme'",
        "2:31: defaults.http.base_url: 'shop.example' has no scheme",
        "5:3: scenarios.browse.max_vus: the key 'max_vus' is missing",
        "7:11: scenarios.browse.rate: must be more than 0, and is 0",
        "8:15: scenarios.browse.duration: '1 fortnight' is not a duration; write 300ms, 2s, 1m30s, or"
        " bare seconds",
        "10:25: scenarios.browse.flow[0].request.get: unknown name 'usrs'",
        "10:42: scenarios.browse.flow[0].request.chek: unknown key 'chek'",
        "11:16: scenarios.browse.flow[1].think: a duration is expected, such as 300ms, 2s or 1m30s",
        "12:3: scenarios.buy.vus: the key 'vus' is missing",
        "12:34: scenarios.buy.vuss: unknown key 'vuss'",
        "12:64: scenarios.buy.flow: the flow is empty",
        "13:26: thresholds.http_reqs: http_reqs is a counter and has no 'med'",
        "ragged.csv:2:1: data.rows.file: this line has 1 field, the header has 2",
    ]


def test_a_wrong_mode_does_not_hide_a_file_that_is_not_there(desk):
    data = "data: { users: { file: nobody.csv, mode: uniqe } }\n"
    faults = desk.faults(
        f"{data}scenarios: {{ a: {{ executor: constant-vus, vus: 1, duration: 1s, {VALID_FLOW} }} }}\n"
    )
    assert len(faults) == 2
    assert any("data.users.mode" in fault and "uniqe" in fault for fault in faults)
    assert any("data.users.file: there is no file nobody.csv" in fault for fault in faults)


def test_a_wrong_base_url_is_told_once_and_not_for_each_relative_url(desk):
    faults = desk.faults(
        "defaults: { http: { base_url: '' } }\n"
        "scenarios:\n  a: { executor: constant-vus, vus: 1, duration: 1s,\n"
        "       flow: [ request: { get: /x }, request: { get: /y } ] }"
    )
    assert faults == ["1:31: defaults.http.base_url: '' has no scheme -> begin it with http:// or https://"]


def test_data_that_nobody_uses_is_fine_and_travels_all_the_same(desk):
    loaded = desk.load(
        f"data: {{ users: {{ file: ./users.csv }} }}\n"
        f"scenarios: {{ a: {{ executor: constant-vus, vus: 1, duration: 1s, {VALID_FLOW} }} }}"
    )
    assert loaded.plan.data["users"].file == "users.csv"
    assert loaded.plan.data["users"].rows == 3
    assert loaded.plan.data["users"].columns == ("id", "name", "age")
    assert loaded.plan.scenarios["a"].uses == ()
    assert [file.path for file in loaded.plan.files] == ["users.csv"]


def test_thresholds_may_be_one_text_one_mapping_or_a_list_of_both(desk):
    loaded = desk.load(
        "thresholds:\n"
        "  http_req_failed: rate<0.01\n"
        "  http_reqs: { threshold: count>5, abort_on_fail: true, delay_abort_eval: 10s }\n"
        "  'http_req_duration{name:items}': [ p(95)<250 over 30s, { threshold: med<100 } ]\n"
        f"scenarios: {{ a: {{ executor: constant-vus, vus: 1, duration: 1s, {VALID_FLOW} }} }}"
    )
    rules = {metric: [rule.threshold for rule in listed] for metric, listed in loaded.plan.thresholds.items()}
    assert rules == {
        "http_req_failed": ["rate<0.01"],
        "http_reqs": ["count>5"],
        "http_req_duration{name:items}": ["p(95)<250 over 30s", "med<100"],
    }
    assert loaded.plan.thresholds["http_reqs"][0].abort_on_fail
    assert loaded.plan.thresholds["http_reqs"][0].delay_abort_eval_ns == 10_000_000_000
