from __future__ import annotations

import pytest

from loadr.plan.model import ConstantArrivalRate, ConstantVus, RampingArrivalRate

FLOW = "flow: [ { think: 1s } ]"
ALL = "constant-vus, constant-arrival-rate, ramping-arrival-rate"
FAULTS = [
    (f"{{ {FLOW} }}", [f"executor: the key 'executor' is missing -> supported: {ALL}"]),
    (
        f"{{ executor: ramping-vus, stages: [], rat: 3, {FLOW} }}",
        [
            f"executor: executor 'ramping-vus' is not supported yet; supported: {ALL} -> ",
            "rat: unknown key 'rat' -> did you mean 'rate'?",
        ],
    ),
    (
        f"{{ executor: constant-vu, {FLOW} }}",
        ["executor: unknown executor 'constant-vu' -> did you mean 'constant-vus'?"],
    ),
    (f"{{ executor: [], {FLOW} }}", [f"executor: must name an executor, and is a list -> supported: {ALL}"]),
    (
        f"{{ executor: constant-vus, vuss: 1, duration: -1s, {FLOW} }}",
        [
            "vus: the key 'vus' is missing -> ",
            "vuss: unknown key 'vuss' -> did you mean 'vus'?",
            "duration: a duration must not be negative, and -1s is -> ",
        ],
    ),
    (
        f"{{ executor: constant-vus, vus: 0, duration: 0s, max_vus: 3, {FLOW} }}",
        [
            "vus: must be at least 1, and is 0 -> ",
            "max_vus: unknown key 'max_vus' -> max_vus belongs to constant-arrival-rate, ramping-arrival-rate",
        ],
    ),
    (f"{{ executor: constant-vus, vus: 1, duration: 0, {FLOW} }}", ["duration: must be longer than 0s -> "]),
    (
        f"{{ executor: constant-vus, vus: true, duration: 367d, start_time: [], {FLOW} }}",
        [
            "vus: must be a whole number, and is true -> ",
            "duration: 367d is longer than a year -> ",
            "start_time: a duration is expected, such as 300ms, 2s or 1m30s -> ",
        ],
    ),
    (
        f"{{ executor: constant-vus, vus: 1.5, duration: , graceful_stop: 1y, {FLOW} }}",
        [
            "vus: must be a whole number, and is 1.5 -> ",
            "duration: a duration is expected, such as 300ms, 2s or 1m30s -> ",
            "graceful_stop: '1y' is not a duration; write 300ms, 2s, 1m30s, or bare seconds -> ",
        ],
    ),
    (
        f"{{ executor: constant-arrival-rate, rate: 0, max_vus: '20', arrivals: bursty, duration: 1s, {FLOW} }}",
        [
            "rate: must be more than 0, and is 0 -> ",
            "max_vus: must be a whole number, and is the text '20' -> write it without quotes",
            "arrivals: must be one of 'uniform' or 'poisson', and is the text 'bursty' -> ",
        ],
    ),
    (
        f"{{ executor: constant-arrival-rate, rate: .inf, max_vus: 2000000, duration: 1s, {FLOW} }}",
        [
            "rate: must be a finite number, and is inf -> ",
            "max_vus: must be at most 1,000,000, and is 2000000 -> ",
        ],
    ),
    (
        "{ executor: constant-arrival-rate, rate: 1, time_unit: 0, pre_allocated_vus: 50, max_vus: 20, "
        f"duration: 1s, {FLOW} }}",
        [
            "time_unit: must be longer than 0s -> rate is counted per time_unit; leave it out for 1s",
            "max_vus: max_vus (20) is less than pre_allocated_vus (50)"
            " -> raise max_vus or lower pre_allocated_vus",
        ],
    ),
    (
        f"{{ executor: ramping-arrival-rate, stages: [], max_vus: 1, {FLOW} }}",
        ["stages: must not be empty -> write at least one"],
    ),
    (
        f"{{ executor: ramping-arrival-rate, stages: 1m, max_vus: 1, {FLOW} }}",
        ["stages: must be a list, and is the text '1m' -> "],
    ),
    (
        f"{{ executor: ramping-arrival-rate, stages: [ 5, {{ duration: 1s }}, {{ duration: x, target: -1,"
        f" a: 1 }} ], "
        f"max_vus: 0, {FLOW} }}",
        [
            "stages[0]: must be a stage, and is 5 -> write { duration: 1m, target: 500 }",
            "stages[1].target: the key 'target' is missing -> ",
            "stages[2].duration: 'x' is not a duration; write 300ms, 2s, 1m30s, or bare seconds -> ",
            "stages[2].target: must be at least 0, and is -1 -> ",
            "stages[2].a: unknown key 'a' -> known here: duration, target",
            "max_vus: must be at least 1, and is 0 -> ",
        ],
    ),
    (
        f"{{ executor: ramping-arrival-rate, stages: [ {{ duration: 0, target: 5 }} ], max_vus: 1, {FLOW} }}",
        ["stages: all stages together last 0s -> give them a duration"],
    ),
    (
        f"{{ executor: ramping-arrival-rate, stages: [ {{ duration: 1m, target: 0 }} ], max_vus: 1, {FLOW} }}",
        ["stages: the rate is 0 all the time -> give start_rate or a target above 0"],
    ),
    (
        f"{{ executor: constant-vus, vus: 1, duration: 1s, {FLOW}, script: [] }}",
        [
            "script: a scenario has a flow or a script, and this one has both -> remove one of them",
            "script: must be text, and is a list -> ",
        ],
    ),
    (
        "{ executor: constant-vus, vus: 1, duration: 1s }",
        ["a scenario needs a flow or a script -> add flow: with a list of steps"],
    ),
    (
        f"{{ executor: constant-vus, vus: 1, duration: 1s, {FLOW}, script: buy.py }}",
        ["script: a scenario has a flow or a script, and this one has both -> remove one of them"],
    ),
    (
        f"{{ executor: constant-vus, vus: 1, duration: 1s, {FLOW}, function: buy }}",
        [
            "function: function names a function of a script, and there is no script"
            " -> add script: or remove function:"
        ],
    ),
    (
        f"{{ executor: constant-vus, vus: 1, duration: 1s, uses: [ users ], start_time_ns: 5, {FLOW} }}",
        [
            "uses: unknown key 'uses' -> known here: flow, script, function, start_time, graceful_stop,"
            " executor, "
            "vus, duration",
            "start_time_ns: unknown key 'start_time_ns' -> did you mean 'start_time'?",
        ],
    ),
]


@pytest.mark.parametrize(("scenario", "expected"), FAULTS, ids=[scenario[:60] for scenario, _ in FAULTS])
def test_each_fault_of_a_scenario_is_told(desk, scenario, expected):
    faults = desk.faults(f"scenarios: {{ a: {scenario} }}")
    told = [fault.partition(" scenarios.a")[2].lstrip(".").removeprefix(": ") for fault in faults]
    assert told == expected


def test_a_closed_scenario_is_read_with_its_defaults(desk):
    loaded = desk.load(f"scenarios: {{ a: {{ executor: constant-vus, vus: 20, duration: 1m30s, {FLOW} }} }}")
    scenario = loaded.plan.scenarios["a"]
    assert isinstance(scenario, ConstantVus)
    assert (scenario.vus, scenario.duration_ns, scenario.graceful_stop_ns) == (20, 90_000_000_000, 30_000_000_000)


def test_open_scenarios_are_read(desk):
    loaded = desk.load(
        "scenarios:\n"
        f"  a: {{ executor: constant-arrival-rate, rate: 0.5, time_unit: 1m, duration: 90, max_vus: 3,"
        f" {FLOW} }}\n"
        "  b:\n    executor: ramping-arrival-rate\n    arrivals: poisson\n    start_rate: 10\n"
        f"    stages: [ {{ duration: 1m, target: 500 }}, {{ duration: 0s, target: 0 }} ]\n    max_vus:"
        f" 9\n    {FLOW}\n"
    )
    constant, ramping = loaded.plan.scenarios.values()
    assert isinstance(constant, ConstantArrivalRate)
    assert (constant.rate, constant.time_unit_ns, constant.duration_ns) == (0.5, 60_000_000_000, 90_000_000_000)
    assert isinstance(ramping, RampingArrivalRate)
    assert (ramping.arrivals, ramping.start_rate, ramping.duration_ns) == ("poisson", 10.0, 60_000_000_000)
    assert [(stage.duration_ns, stage.target) for stage in ramping.stages] == [(60_000_000_000, 500.0), (0, 0.0)]


def test_data_sets_that_a_flow_reads_are_noted_in_the_order_of_the_plan(desk):
    desk.write("items.csv", "sku\nx\n")
    loaded = desk.load(
        "defaults: { http: { base_url: http://x } }\n"
        "data: { items: { file: items.csv }, unused: { file: items.csv }, users: { file: users.csv } }\n"
        "scenarios: { a: { executor: constant-vus, vus: 1, duration: 1s, flow: [\n"
        '  request: { get: "/${users.id}", headers: { x-sku: "${items[\'sku\']}" } } ] } }'
    )
    assert loaded.plan.scenarios["a"].uses == ("items", "users")
