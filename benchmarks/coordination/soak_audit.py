"""The audit of a soak: what the target counted against what the summary says, to the unit or within its bounds.

Takes the summary, the plan and the changes as they were made, and the target's record (which iteration arrived
when); gives one `Check` for each promise. The schedule is computed here anew, from plan and changes alone.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadr.plan.model import ConstantVus, Plan
from loadr.schedule.arrivals import Arrivals
from loadr.schedule.change import Change

LATE_S = 0.25
"""What arrives no later than this after its instant counts in the second for which it was planned."""
OVER, UNDER = 1.05, 0.95
THINK_S = 0.15
"""An iteration of the closed scenario takes no less."""
SPARE = 2  # requests of one second, where 5 % are few
IN_FLIGHT = 10  # iterations of a worker that died, of which it is not known how they ended
MOVED_S = 2.5  # after a lease: others have the share
HEARD_S = 3.0  # changes reach who is there within this
ALARMS = re.compile(
    r"Traceback|Task exception|never retrieved|never awaited|Exception ignored|InternalFault|does not add up"
    r"|broke the protocol|Fatal Python|^E\d{4} "
)
"""What no log may say. Lines that begin with E and four digits are errors of gRPC."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise."""

    name: str
    is_kept: bool
    figures: str


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds in which the open scenario had something to do."""

    seconds: int
    over: list[int]
    highest: float  # part of the target, in the worst second
    under: list[int]
    longest_s: int  # stretch under target

    @property
    def under_part(self) -> float:
        return len(self.under) / self.seconds if self.seconds else 0.0


class Audit:
    """``arrivals``: (boottime ns, "GET /open/<iteration>" or "GET /closed/<vu>/<iteration>") of the target;
    ``troubles``: [from, to) in seconds of the run in which an agent was hit; ``lease_s`` of the plan."""

    def __init__(
        self,
        summary: dict[str, Any],
        plan: Plan,
        changes: list[Change],
        arrivals: list[tuple[int, str]],
        troubles: list[tuple[float, float]],
    ) -> None:
        self._loadr = summary["loadr"]
        self._plan = plan
        self._changes = sorted(changes, key=lambda change: change.at_run_ns)
        self._troubles = troubles
        self._lease_s = plan.lease_ns / 1e9
        self._accounts = {one["scenario"]: one for one in self._loadr["accounting"]["scenarios"]}
        self._closed = Counter(path for _, path in arrivals if path.startswith("GET /closed/"))
        opened = [(at_ns, int(path.rpartition("/")[2])) for at_ns, path in arrivals if "/open/" in path]
        self._open = Counter(iteration for _, iteration in opened)
        self._strangers = len(arrivals) - len(opened) - self._closed.total()
        self._planned_ns = self._schedule(self._changes)
        # The instant that fits the most punctual of the first requests, before anything was changed.
        early = opened[:500]
        start_ns = min((at_ns - self._planned(iteration) for at_ns, iteration in early), default=0)
        self._seen = [(at_ns - start_ns, iteration) for at_ns, iteration in opened]
        self.rates = self._rates()

    def checks(self, killed: Counter[str]) -> list[Check]:
        """``killed``: how often each agent, or its worker, was killed."""
        return [
            self._verdict(),
            *(self._books(name) for name in self._accounts),
            self._on_schedule(),
            self._open_total(),
            self._closed_total(),
            self._once(),
            self._unseen(),
            self._named_closely(),
            self._only_killed_lack(killed),
            self._never_over(),
            self._soon_back(),
        ]

    # --- totals ---------------------------------------------------------------------------------------------

    def _verdict(self) -> Check:
        verdict, headline = self._loadr["verdict"], self._loadr["headline"]
        return Check("the run passed", verdict == "passed", verdict if verdict == "passed" else headline)

    def _books(self, scenario: str) -> Check:
        a = self._accounts[scenario]
        ends = a["started"] + a["dropped"] + a["missed"], a["finished"] + a["interrupted"] + a["lost"]
        figures = (
            f"{a['planned']:,} = {a['started']:,} + {a['dropped']:,} dropped + {a['missed']:,} missed; "
            f"{a['started']:,} = {a['finished']:,} + {a['interrupted']:,} interrupted + {a['lost']:,} lost"
        )
        kept = a["balanced"] and ends == (a["planned"], a["started"])
        return Check(f"books of {scenario}", kept, figures)

    def _on_schedule(self) -> Check:
        planned, expected, own = (
            *map(self._accounts["open"].get, ("planned", "expected")),
            len(self._planned_ns),
        )
        return Check(
            "planned as the schedule has it", planned == expected == own, f"{planned:,}, {own:,} by the audit"
        )

    def _reported(self, scenario: str) -> int:
        return sum(int(line["count"]) for line in self._loadr["requests"] if line["scenario"] == scenario)

    def _named(self) -> int:
        """Requests that are missing by the summary's own words, of parts that can say it."""
        return sum(line["missing_at_most"] or 0 for line in self._loadr["agents"])

    def _open_total(self) -> Check:
        reported, counted = self._reported("open"), self._open.total()
        bound = self._accounts["open"]["lost"] + self._named()
        figures = f"{reported:,} reported, {counted:,} counted, {bound:,} may be missing"
        return Check("requests of open", reported <= counted <= reported + bound, figures)

    def _closed_total(self) -> Check:
        """Of a killed agent the summary says that it can not be said; here: all VUs, as fast as they can, from
        its last merged second to the end of its lease."""
        reported, counted = self._reported("closed"), self._closed.total()
        bound = self._named()
        scenario = self._plan.scenarios["closed"]
        assert isinstance(scenario, ConstantVus)
        vus = max([scenario.vus, *(int(c.value) for c in self._changes if c.scenario == "closed")])
        for line in self._loadr["agents"]:
            if line["missing_at_most"] is None:
                bound += round(vus / THINK_S * (line["lost_at_s"] - (line["last_acked_s"] or 0)))
        figures = f"{reported:,} reported, {counted:,} counted, {bound:,} may be missing"
        return Check("requests of closed", reported <= counted <= reported + bound, figures)

    def _once(self) -> Check:
        twice = [str(i) for i, times in self._open.items() if times > 1]
        twice += [path for path, times in self._closed.items() if times > 1]
        figures = f"{len(self._open) + len(self._closed):,} iterations"
        if twice or self._strangers:
            figures += f"; {len(twice)} came twice ({', '.join(twice[:3])}), {self._strangers} are unknown"
        return Check("no iteration came twice", not twice and not self._strangers, figures)

    def _unseen(self) -> Check:
        """What never arrived is dropped, missed, or (no more than that) lost or interrupted."""
        a = self._accounts["open"]
        unseen = a["planned"] - len(self._open)
        least = a["dropped"] + a["missed"]
        most = least + a["lost"] + a["interrupted"]
        return Check("what never came was named", least <= unseen <= most, f"{least:,} <= {unseen:,} <= {most:,}")

    def _named_closely(self) -> Check:
        """A bound that names far too much is none: a killed agent may have begun what was due between its last
        merged second and the end of its lease, of half the load at most (two of three are never away at once)."""
        rate = max(Counter((self._planned_ns // 10**9).tolist()).values(), default=0)
        most = 0
        for line in self._loadr["agents"]:
            if line["missing_at_most"] is None:
                most += round(rate / 2 * (line["lost_at_s"] - (line["last_acked_s"] or 0)))
            else:
                most += line["missing_at_most"] + IN_FLIGHT * (line["missing_at_most"] > 0)
        lost = self._accounts["open"]["lost"]
        return Check("no more was named lost than may be", lost <= most, f"{lost:,} <= {most:,}")

    def _only_killed_lack(self, killed: Counter[str]) -> Check:
        lack = Counter(
            line["name"].partition("#")[0] for line in self._loadr["agents"] if line["missing_at_most"] != 0
        )
        wrong = [name for name, times in lack.items() if times > killed[name]]
        figures = (
            f"{lack.total()} of {len(self._loadr['agents'])} parts lack something, {killed.total()} were killed"
        )
        return Check(
            "only what was killed lacks anything",
            not wrong,
            figures + ("; not " if wrong else "") + ", ".join(wrong),
        )

    # --- rates ----------------------------------------------------------------------------------------------

    def _never_over(self) -> Check:
        rates = self.rates
        figures = f"the highest second had {rates.highest:.1%} of its target"
        if rates.over:
            figures += f"; over in {len(rates.over)}: {', '.join(map(str, rates.over[:8]))}"
        return Check("no second over 105 %", not rates.over, figures)

    def _soon_back(self) -> Check:
        """Each loss costs a lease, a second and the moving of load. Three in a row, which the drawing allows."""
        limit_s = round(3 * (self._lease_s + MOVED_S))
        rates = self.rates
        figures = (
            f"{len(rates.under)} of {rates.seconds} s ({rates.under_part:.1%}) under 95 %, "
            f"the longest stretch {rates.longest_s} s (limit {limit_s} s)"
        )
        return Check("load was soon back", rates.longest_s <= limit_s, figures)

    def _schedule(self, changes: list[Change]) -> np.ndarray:
        """When each iteration of the open scenario is planned, in ns of the run."""
        scenario = self._plan.scenarios["open"]
        assert not isinstance(scenario, ConstantVus)
        arrivals = Arrivals("open", scenario, self._plan.seed, changes=changes)
        chunks = []
        while len(chunk := arrivals.chunk(len(chunks))[1]):
            chunks.append(chunk)
        return np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int64)

    def _planned(self, iteration: int) -> int:
        return int(self._planned_ns[iteration]) if iteration < len(self._planned_ns) else 2**62

    def _rates(self) -> Rates:
        late_ns = LATE_S * 1e9
        in_second: Counter[int] = Counter()
        for at_ns, iteration in self._seen:
            planned_ns = self._planned(iteration)
            in_second[(planned_ns if 0 <= at_ns - planned_ns <= late_ns else at_ns) // 10**9] += 1
        planned = Counter((self._planned_ns // 10**9).tolist())
        allowed = self._allowed(planned)
        last_s = max(planned, default=0)
        over = [s for s in range(max(in_second, default=0) + 1) if in_second[s] > OVER * allowed[s] + SPARE]
        busy = [s for s in range(last_s) if planned[s] >= 10]
        under = [s for s in busy if in_second[s] < UNDER * planned[s]]
        is_under = set(under)
        longest = stretch = 0
        for second in range(last_s):
            stretch = stretch + 1 if second in is_under else 0
            longest = max(longest, stretch)
        highest = max((in_second[s] / allowed[s] for s in busy if allowed[s]), default=0.0)
        return Rates(len(busy), over, highest, under, longest)

    def _allowed(self, planned: Counter[int]) -> Counter[int]:
        """An agent that is cut off when the run is changed goes on as before until its lease ends. So in those
        seconds the schedule before the change is allowed, too."""
        out = Counter(planned)
        for number, change in enumerate(self._changes):
            at_s = change.at_run_ns / 1e9
            until_s = at_s + self._lease_s + HEARD_S
            if not any(from_s < until_s and to_s > at_s - HEARD_S for from_s, to_s in self._troubles):
                continue
            before = Counter((self._schedule(self._changes[:number]) // 10**9).tolist())
            for second in range(int(at_s), int(until_s) + 1):
                out[second] = max(out[second], before[second])
        return out


def alarms_in(text: str) -> list[str]:
    """Lines that no log may have."""
    return [line[:200] for line in text.splitlines() if ALARMS.search(line)]
