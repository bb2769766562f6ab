"""The verdict on a run and on its generator: one word, an exit code, a headline, and what limits trust.

Takes the record of a run and its final threshold results, gives values for the summary. Nothing here looks at a
single sample.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadr.errors import ExitCode
from loadr.plan.model import ConstantVus
from loadr.units import format_short_ns
from loadr.verdict.model import ErrorLine, ThresholdResult, Validity, Verdict
from loadr.verdict.record import AgentRecord, RunRecord

EXIT_CODES: dict[Verdict, ExitCode] = {
    "passed": ExitCode.PASSED,
    "threshold failed": ExitCode.THRESHOLD_FAILED,
    "aborted by threshold": ExitCode.THRESHOLD_FAILED,
    "aborted by test": ExitCode.ABORTED,
    "script exception": ExitCode.SCRIPT_EXCEPTION,
    "interrupted": ExitCode.INTERRUPTED,
    "incomplete": ExitCode.INCOMPLETE,
    "failed": ExitCode.FLEET_COULD_NOT_START,
}

# Beyond these the generator may have bent the numbers (honest-load R6).
CPU_LIMIT_PERCENT = 80.0
LAG_FLOOR_NS = 1_000_000
LAG_PART_OF_P99 = 0.05
STALL_NS = 100_000_000
EXHAUSTED = {  # kinds of failure that are the generator's own
    "no_ports": "an agent ran out of local ports; add agents, or reuse connections",
    "no_descriptors": "an agent ran out of file descriptors; raise its limit (ulimit -n)",
}


def judge(record: RunRecord, thresholds: Sequence[ThresholdResult]) -> Verdict:
    """How the run ended, the gravest first: what a person or the test itself did goes before what is missing
    from the numbers, and that before what the numbers say."""
    if record.stopped_by == "script":
        return "script exception"
    if record.stopped_by == "test":
        return "aborted by test"
    if record.stopped_by == "operator":
        return "interrupted"
    if record.state == "failed" and not record.started_unix_ms:
        return "failed"
    if record.stopped_by == "threshold":
        return "aborted by threshold"
    if (record.state in ("failed", "incomplete") and not record.absorbed) or record.stopped_by == "loss":
        return "incomplete"
    if any(not result.passed for result in thresholds):
        return "threshold failed"
    return "script exception" if record.teardown_fault else "passed"


def headline(
    verdict: Verdict,
    record: RunRecord,
    thresholds: Sequence[ThresholdResult],
    requests: int,
    failed: int,
    errors: Sequence[ErrorLine],
) -> str:
    """One sentence without the verdict's word: why, then how much was done. ``errors``: most frequent first."""
    if verdict == "failed":
        return record.cause or "the fleet could not start the run"
    broken = [result for result in thresholds if not result.passed]
    size = _size(record, requests, failed, errors)
    lost = f"{losses}; " if (losses := _losses_in_short(record)) else ""
    if verdict == "aborted by threshold":
        return f"{lost}{record.aborting_threshold or _names(broken)} did not hold; {size}"
    if verdict in ("threshold failed", "passed"):
        return f"{lost}{_threshold_words(thresholds, broken)}; {size}"
    parts = [record.cause] if record.cause not in ("", verdict) else []
    if verdict == "script exception" and record.teardown_fault:
        parts.append(f"teardown failed {record.teardown_fault}")
    parts += [f"{_names(broken)} did not hold"] if broken else []
    return "; ".join([*parts, size])


def _losses_in_short(record: RunRecord) -> str:
    """What was lost on the way, and what that cost, in one clause: it stands before anything else."""
    agents = list(record.agents.values())
    lost = [agent for agent in agents if agent.lost_at_s is not None]
    missing = [agent.missing_at_most for agent in agents]
    if not lost and all(count == 0 for count in missing):
        return ""
    who = f"{lost[0].name} was lost at {lost[0].lost_at_s:.1f} s" if lost else "a worker was lost"
    who = f"{len(lost)} agents were lost" if len(lost) > 1 else who
    if None in missing:
        return f"{who}, how many requests are missing can not be said"
    total = sum(count for count in missing if count is not None)
    return f"{who}, at most {total:,} requests are missing" if total else f"{who}, no request is missing"


def _threshold_words(thresholds: Sequence[ThresholdResult], broken: Sequence[ThresholdResult]) -> str:
    if broken:
        return f"{_names(broken)} did not hold"
    if not thresholds:
        return "no thresholds set"
    return "the threshold held" if len(thresholds) == 1 else f"all {len(thresholds)} thresholds held"


def _names(results: Sequence[ThresholdResult]) -> str:
    first = results[0].text if results else "a threshold"
    return f"{first} and {len(results) - 1} more" if len(results) > 1 else first


def _size(record: RunRecord, requests: int, failed: int, errors: Sequence[ErrorLine]) -> str:
    if not requests:
        return f"no request was made in {_time(record)}"
    what = f"{requests:,} request{'s' if requests != 1 else ''} in {_time(record)}"
    if failed == requests:
        return f"{what}, every one failed" + (f" ({errors[0].kind.replace('_', ' ')})" if errors else "")
    return f"{what}, {failed:,} failed" if failed else f"{what}, none failed"


def _time(record: RunRecord) -> str:
    return format_short_ns((record.duration_s or record.elapsed_s) * 1e9)


def judge_generator(record: RunRecord, p99_ns: int, lag_p99_ns: int, errors: Sequence[ErrorLine]) -> Validity:
    """Signs that loadr, and not the target, shaped the numbers (R6): CPU, late starts, dropped iterations, ports
    or descriptors that ran out.

    ``p99_ns`` is the merged p99 of `http_req_duration`, ``lag_p99_ns`` that of `iteration_lag`; 0 without any.
    The lag of all iterations is held against the limit, because p99 of a second with ten starts is its slowest;
    a single second counts only if it was a stall.
    """
    reasons = [
        f"{agent.name} used up to {agent.cpu_max_percent:.0f}% of its CPU (limit {CPU_LIMIT_PERCENT:.0f}%): "
        "add agents or workers"
        for agent in record.agents.values()
        if agent.cpu_max_percent > CPU_LIMIT_PERCENT
    ]
    limit_ns = max(LAG_FLOOR_NS, LAG_PART_OF_P99 * p99_ns)
    if lag_p99_ns > limit_ns:
        reasons.append(
            f"iterations started late: p99 of iteration_lag is {format_short_ns(lag_p99_ns)} "
            f"(limit {format_short_ns(limit_ns)})"
        )
    reasons += [
        f"{agent.name} stalled: in its worst second iterations started {format_short_ns(agent.lag_p99_ns)} late"
        for agent in record.agents.values()
        if agent.lag_p99_ns > max(STALL_NS, limit_ns)
    ]
    for account in record.accounts.values():
        if account.dropped:
            part = account.dropped / account.planned * 100 if account.planned else 0.0
            reasons.append(
                f"{account.scenario} dropped {account.dropped:,} of {account.planned:,} iterations "
                f"({part:.1f}%), because all its VUs were busy: raise max_vus, or the target is too slow"
            )
    reasons += [
        f"{line.count:,} requests failed: {EXHAUSTED[line.kind]}" for line in errors if line.kind in EXHAUSTED
    ]
    return Validity(generator_limited=bool(reasons), reasons=reasons)


def limits_of_trust(record: RunRecord, merged_requests: int, ledger_requests: int | None) -> list[str]:
    """What else stands between the numbers and the truth: losses first, then the record's own notes, then books
    that do not balance, then what a closed model cannot tell."""
    notes = [_loss_words(agent) for agent in record.agents.values() if agent.lost_at_s is not None]
    notes += record.notes
    named = [agent.missing_at_most for agent in record.agents.values()]
    bound = None if None in named else sum(count for count in named if count is not None)
    gap = (ledger_requests or 0) - merged_requests
    if ledger_requests is not None and gap and (bound is None or not 0 <= gap <= bound):
        notes.append(
            f"the agents' ledgers count {ledger_requests:,} requests, the merged metrics {merged_requests:,}"
        )
    notes += [
        f"the books of {account.scenario} do not balance"
        for account in record.accounts.values()
        if not account.balanced
    ]
    notes += [
        f"{account.scenario}: the schedule has {account.expected:,} iterations, the agents planned "
        f"{account.planned:,}"
        for account in record.accounts.values()
        if account.expected is not None and account.expected != account.planned
    ]
    closed = [name for name, s in record.plan.scenarios.items() if isinstance(s, ConstantVus)]
    if closed and record.started_unix_ms:
        notes.append(
            f"{', '.join(closed)}: closed model, a slow target is asked less often, so its latency looks better"
        )
    return notes


def _loss_words(agent: AgentRecord) -> str:
    seen = (
        f"; its metrics are complete up to second {agent.last_acked_s}" if agent.last_acked_s is not None else ""
    )
    missing = agent.missing_at_most
    bound = "an unknown number of" if missing is None else "no" if missing == 0 else f"at most {missing:,}"
    why = f" ({agent.lost_because})" if agent.lost_because else ""
    share = f"; load was {agent.share * 100:.0f}% below target "
    if agent.covered_at_s is not None:
        share += f"until others took its share at {agent.covered_at_s:.1f} s"
    else:
        share += "from then on"
    return (
        f"{agent.name} was lost at {agent.lost_at_s:.1f} s{why}{seen}; {bound} requests are missing from the "
        f"totals{share if agent.share else ''}"
    )
