"""The frozen Plan: what every other room reads.

Takes the plain mapping of a YAML file (or what a script declared) and gives immutable models; the canonical
JSON of a Plan (`Plan.canonical_json`) is what is shipped to agents and hashed, and reads back to an equal Plan.
Durations are integers of nanoseconds inside (``*_ns``), text with a unit outside (``duration: 1m30s``).
Templates (text with ``${…}``) stay text here; `loadr.plan.expressions` checks and parses them.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from loadr.units import format_duration_ns, parse_duration_ns

DurationNs = Annotated[int, BeforeValidator(parse_duration_ns), PlainSerializer(format_duration_ns)]
CorpusName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_-]{0,63})?$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]

CORPORA_FOLDER = "corpora"
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
ArrivalKind = Literal["uniform", "poisson"]
LossPolicy = Literal["redistribute", "continue", "abort"]


class Frozen(BaseModel):
    """Immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# --- steps of a flow -------------------------------------------------------------------------------------


class Extract(Frozen):
    """One value taken from a response body into a variable. Missing means: counted, iteration ends."""

    jsonpath: str


class RequestStep(Frozen):
    """One HTTP request. At most one of ``json``, ``form`` and ``body``; strings may hold ``${…}``.

    ``check`` maps a name to what must hold: ``status: 200`` (or a list of codes), or an expression text.
    """

    method: str  # upper case
    url: str
    name: str = ""  # the tag `name`; "" means the url template itself
    headers: dict[str, str] = {}
    params: dict[str, str | int | float | bool] = {}
    json_body: Any = Field(default=None, alias="json")
    form: dict[str, str | int | float | bool] | None = None
    body: str | None = None
    timeout_ns: DurationNs | None = Field(default=None, alias="timeout")
    extract: dict[Name, Extract] = {}
    check: dict[str, int | list[int] | str | bool] = {}

    @property
    def metric_name(self) -> str:
        """The value of the tag ``name``."""
        return self.name or self.url


class ThinkStep(Frozen):
    """A pause of the VU, uniformly drawn from [low, high] (equal for a constant pause)."""

    low_ns: DurationNs
    high_ns: DurationNs


class RendezvousStep(Frozen):
    """The VU waits until ``users`` of the whole fleet are here; ``timeout`` counts from the first one on. That it
    was too short is a failure of the check ``rendezvous NAME``."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    users: Annotated[int, Field(ge=1, le=1_000_000)]
    timeout_ns: Annotated[DurationNs, Field(gt=0, le=3_600_000_000_000)] = Field(
        default=30_000_000_000, alias="timeout"
    )


class Step(Frozen):
    """Exactly one of the fields is set; the key in YAML names the kind of step."""

    request: RequestStep | None = None
    think: ThinkStep | None = None
    rendezvous: RendezvousStep | None = None


# --- scenarios -------------------------------------------------------------------------------------------


class Stage(Frozen):
    """The rate moves in a straight line to ``target`` within ``duration``."""

    duration_ns: DurationNs = Field(alias="duration")
    target: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)]


class ScenarioBase(Frozen):
    """What every scenario has: a flow of steps, or a function of a script; and how it ends."""

    flow: tuple[Step, ...] | None = None
    script: str | None = None  # path relative to the plan's folder
    function: str | None = None  # the decorated function; None: the script's only scenario
    start_time_ns: DurationNs = Field(default=0, alias="start_time")
    graceful_stop_ns: DurationNs = Field(default=30_000_000_000, alias="graceful_stop")
    uses: tuple[str, ...] = ()  # data sets it reads, in the plan's order; filled in when the plan is loaded


Rate = Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)]
Vus = Annotated[int, Field(ge=1, le=1_000_000)]


class ConstantVus(ScenarioBase):
    """Closed model: ``vus`` users loop for ``duration``."""

    executor: Literal["constant-vus"]
    vus: Vus
    duration_ns: DurationNs = Field(alias="duration")


class ConstantArrivalRate(ScenarioBase):
    """Open model: ``rate`` iterations start per ``time_unit``, whatever the target does."""

    executor: Literal["constant-arrival-rate"]
    rate: Rate
    time_unit_ns: DurationNs = Field(default=1_000_000_000, alias="time_unit")
    duration_ns: DurationNs = Field(alias="duration")
    pre_allocated_vus: Vus | None = None  # None: chosen from the rate, at most max_vus
    max_vus: Vus
    arrivals: ArrivalKind = "uniform"


class RampingArrivalRate(ScenarioBase):
    """Open model: the rate follows ``stages`` from ``start_rate``."""

    executor: Literal["ramping-arrival-rate"]
    start_rate: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)] = 0.0
    time_unit_ns: DurationNs = Field(default=1_000_000_000, alias="time_unit")
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    pre_allocated_vus: Vus | None = None
    max_vus: Vus
    arrivals: ArrivalKind = "uniform"

    @property
    def duration_ns(self) -> int:
        """The sum of the stages."""
        return sum(stage.duration_ns for stage in self.stages)


Scenario = Annotated[
    ConstantVus | ConstantArrivalRate | RampingArrivalRate,
    Field(discriminator="executor"),
]
OpenScenario = ConstantArrivalRate | RampingArrivalRate
EXECUTORS = ("constant-vus", "constant-arrival-rate", "ramping-arrival-rate")


# --- the plan --------------------------------------------------------------------------------------------


class HttpDefaults(Frozen):
    """What every request starts from. ``base_url`` is http:// or https://; ``tls_verify: false`` trusts anybody;
    ``tls_ca`` is a PEM file relative to the plan's folder."""

    base_url: str = ""
    timeout_ns: DurationNs = Field(default=60_000_000_000, alias="timeout")
    headers: dict[str, str] = {}
    tls_verify: bool = True
    tls_ca: str | None = None


class Defaults(Frozen):
    http: HttpDefaults = HttpDefaults()


class DataSet(Frozen):
    """A CSV file with a header line: one that travels (``file``), or a corpus on every agent's disk.

    ``rows`` and ``columns`` of a file are filled in when the plan is loaded; of a corpus, which need not be here,
    the plan says them (``rows`` 0: not said).

    ``unique``: no row is used twice in the fleet. In open models iteration k of the scenario takes row k·m+i,
    where the scenario is the i-th of the m that use this data set; in closed ones the controller grants blocks
    of rows. ``on_end`` says what happens when rows run out: the scenario stops (its schedule is cut there, its
    VUs end), or starts again (``recycle``).
    ``random``: drawn per iteration, the same draw on any number of agents.
    """

    file: str = ""
    corpus: CorpusName = ""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""  # of the corpus
    format: Literal["csv"] = "csv"
    mode: Literal["unique", "random"] = "random"
    on_end: Literal["stop", "recycle"] = "stop"
    rows: Annotated[int, Field(ge=0, le=2**48)] = 0
    columns: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where it stands in the folder of a run."""
        return f"{CORPORA_FOLDER}/{self.corpus}" if self.corpus else self.file


class Threshold(Frozen):
    """k6's syntax: ``p(95)<400``, ``rate<0.01``, ``count>100``; ours: ``… over 30s`` (the last 30 seconds)."""

    threshold: str
    abort_on_fail: bool = False
    delay_abort_eval_ns: DurationNs = Field(default=0, alias="delay_abort_eval")


class AllowedLoss(Frozen):
    """How many requests may be missing after losses: so many, or a part of all."""

    text: Annotated[str, Field(pattern=r"^\d{1,9}$|^\d{1,2}(\.\d{1,6})?%$")]

    def of(self, requests: int) -> int:
        """The number, of a run with so many requests."""
        if self.text.endswith("%"):
            return math.floor(Fraction(self.text[:-1]) / 100 * requests)
        return int(self.text)

    def __str__(self) -> str:
        return self.text


def _allowed_loss(value: object) -> object:
    return {"text": str(value)} if isinstance(value, str | int) and not isinstance(value, bool) else value


class Around(Frozen):
    """What is done once for the whole fleet, before the load (setup) or after it (teardown): a flow of steps, or
    a function of a script. ``extracts``: what the flow extracts, filled in when the plan is loaded."""

    flow: tuple[Step, ...] | None = None
    script: str | None = None
    function: str | None = None
    timeout_ns: Annotated[DurationNs, Field(gt=0, le=3_600_000_000_000)] = Field(
        default=60_000_000_000, alias="timeout"
    )
    extracts: tuple[Name, ...] = ()


class PlanFile(Frozen):
    """A file that travels with the plan. ``path`` is relative, with forward slashes."""

    path: str
    size_bytes: int
    sha256: str


class Plan(Frozen):
    """One load test, complete: nothing outside it and its files changes what the fleet does."""

    name: str = "plan"
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    defaults: Defaults = Defaults()
    data: dict[Name, DataSet] = {}
    setup: Around | None = None
    teardown: Around | None = None
    scenarios: Annotated[dict[Name, Scenario], Field(min_length=1)]
    thresholds: dict[str, tuple[Threshold, ...]] = {}
    on_agent_loss: LossPolicy = "redistribute"
    allowed_loss: Annotated[AllowedLoss, BeforeValidator(_allowed_loss), PlainSerializer(str)] | None = None
    lease_ns: DurationNs = Field(default=10_000_000_000, alias="lease")
    env: dict[str, str] = {}  # from -e KEY=VALUE
    tags: dict[str, str] = {}  # from --tag K=V: on the summary, not on series
    include: tuple[str, ...] = ()  # patterns of extra files, as they were written
    files: tuple[PlanFile, ...] = ()

    def canonical_json(self) -> bytes:
        """The one JSON text of this plan (keys in model order, durations as exact text)."""
        return self.model_dump_json(by_alias=True).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of `canonical_json`, in hex."""
        return hashlib.sha256(self.canonical_json()).hexdigest()

    @property
    def corpora(self) -> dict[str, str]:
        """The corpora that agents must have: name → SHA-256."""
        return {data.corpus: data.sha256 for data in self.data.values() if data.corpus}

    @property
    def duration_ns(self) -> int:
        """The planned length: the latest end of a scenario, without graceful stops."""
        return max(s.start_time_ns + s.duration_ns for s in self.scenarios.values())

    @classmethod
    def from_json(cls, text: bytes) -> Plan:
        """The plan of a canonical JSON text. Raises `pydantic.ValidationError`."""
        return cls.model_validate_json(text)
