from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_PHASE_NONE: _ClassVar[RunPhase]
    RUN_PHASE_PREPARING: _ClassVar[RunPhase]
    RUN_PHASE_READY: _ClassVar[RunPhase]
    RUN_PHASE_ARMED: _ClassVar[RunPhase]
    RUN_PHASE_COMMITTED: _ClassVar[RunPhase]
    RUN_PHASE_RUNNING: _ClassVar[RunPhase]
    RUN_PHASE_PAUSED: _ClassVar[RunPhase]
    RUN_PHASE_STOPPING: _ClassVar[RunPhase]
    RUN_PHASE_FLUSHING: _ClassVar[RunPhase]
    RUN_PHASE_KILLED: _ClassVar[RunPhase]

class FaultKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAULT_KIND_NONE: _ClassVar[FaultKind]
    FAULT_KIND_PLAN: _ClassVar[FaultKind]
    FAULT_KIND_SCRIPT: _ClassVar[FaultKind]
    FAULT_KIND_FILES: _ClassVar[FaultKind]
    FAULT_KIND_DISK: _ClassVar[FaultKind]
    FAULT_KIND_TIMEOUT: _ClassVar[FaultKind]
    FAULT_KIND_WORKER: _ClassVar[FaultKind]
    FAULT_KIND_CLOCK: _ClassVar[FaultKind]
    FAULT_KIND_INTERNAL: _ClassVar[FaultKind]
    FAULT_KIND_CORPUS: _ClassVar[FaultKind]

class RunEventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_EVENT_KIND_UNSPECIFIED: _ClassVar[RunEventKind]
    RUN_EVENT_KIND_STARTED: _ClassVar[RunEventKind]
    RUN_EVENT_KIND_WORKER_LOST: _ClassVar[RunEventKind]
    RUN_EVENT_KIND_SCRIPT_EXCEPTION: _ClassVar[RunEventKind]
    RUN_EVENT_KIND_ABORT_REQUESTED: _ClassVar[RunEventKind]
    RUN_EVENT_KIND_ORPHANED: _ClassVar[RunEventKind]
    RUN_EVENT_KIND_FINISHED: _ClassVar[RunEventKind]

class ClaimKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLAIM_KIND_UNSPECIFIED: _ClassVar[ClaimKind]
    CLAIM_KIND_ONCE: _ClassVar[ClaimKind]
    CLAIM_KIND_RESULT: _ClassVar[ClaimKind]
    CLAIM_KIND_BLOCK: _ClassVar[ClaimKind]
    CLAIM_KIND_BARRIER: _ClassVar[ClaimKind]

class ValueKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VALUE_KIND_UNSPECIFIED: _ClassVar[ValueKind]
    VALUE_KIND_DO: _ClassVar[ValueKind]
    VALUE_KIND_RESULT: _ClassVar[ValueKind]
    VALUE_KIND_FAULT: _ClassVar[ValueKind]
    VALUE_KIND_BLOCK: _ClassVar[ValueKind]
    VALUE_KIND_RELEASED: _ClassVar[ValueKind]
    VALUE_KIND_TIMED_OUT: _ClassVar[ValueKind]
    VALUE_KIND_REFUSED: _ClassVar[ValueKind]

class MetricKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METRIC_KIND_UNSPECIFIED: _ClassVar[MetricKind]
    METRIC_KIND_COUNTER: _ClassVar[MetricKind]
    METRIC_KIND_RATE: _ClassVar[MetricKind]
    METRIC_KIND_TREND: _ClassVar[MetricKind]
    METRIC_KIND_GAUGE: _ClassVar[MetricKind]

class ChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_KIND_UNSPECIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_PAUSE: _ClassVar[ChangeKind]
    CHANGE_KIND_RESUME: _ClassVar[ChangeKind]
    CHANGE_KIND_RATE: _ClassVar[ChangeKind]
    CHANGE_KIND_FACTOR: _ClassVar[ChangeKind]
    CHANGE_KIND_SCALE: _ClassVar[ChangeKind]
RUN_PHASE_NONE: RunPhase
RUN_PHASE_PREPARING: RunPhase
RUN_PHASE_READY: RunPhase
RUN_PHASE_ARMED: RunPhase
RUN_PHASE_COMMITTED: RunPhase
RUN_PHASE_RUNNING: RunPhase
RUN_PHASE_PAUSED: RunPhase
RUN_PHASE_STOPPING: RunPhase
RUN_PHASE_FLUSHING: RunPhase
RUN_PHASE_KILLED: RunPhase
FAULT_KIND_NONE: FaultKind
FAULT_KIND_PLAN: FaultKind
FAULT_KIND_SCRIPT: FaultKind
FAULT_KIND_FILES: FaultKind
FAULT_KIND_DISK: FaultKind
FAULT_KIND_TIMEOUT: FaultKind
FAULT_KIND_WORKER: FaultKind
FAULT_KIND_CLOCK: FaultKind
FAULT_KIND_INTERNAL: FaultKind
FAULT_KIND_CORPUS: FaultKind
RUN_EVENT_KIND_UNSPECIFIED: RunEventKind
RUN_EVENT_KIND_STARTED: RunEventKind
RUN_EVENT_KIND_WORKER_LOST: RunEventKind
RUN_EVENT_KIND_SCRIPT_EXCEPTION: RunEventKind
RUN_EVENT_KIND_ABORT_REQUESTED: RunEventKind
RUN_EVENT_KIND_ORPHANED: RunEventKind
RUN_EVENT_KIND_FINISHED: RunEventKind
CLAIM_KIND_UNSPECIFIED: ClaimKind
CLAIM_KIND_ONCE: ClaimKind
CLAIM_KIND_RESULT: ClaimKind
CLAIM_KIND_BLOCK: ClaimKind
CLAIM_KIND_BARRIER: ClaimKind
VALUE_KIND_UNSPECIFIED: ValueKind
VALUE_KIND_DO: ValueKind
VALUE_KIND_RESULT: ValueKind
VALUE_KIND_FAULT: ValueKind
VALUE_KIND_BLOCK: ValueKind
VALUE_KIND_RELEASED: ValueKind
VALUE_KIND_TIMED_OUT: ValueKind
VALUE_KIND_REFUSED: ValueKind
METRIC_KIND_UNSPECIFIED: MetricKind
METRIC_KIND_COUNTER: MetricKind
METRIC_KIND_RATE: MetricKind
METRIC_KIND_TREND: MetricKind
METRIC_KIND_GAUGE: MetricKind
CHANGE_KIND_UNSPECIFIED: ChangeKind
CHANGE_KIND_PAUSE: ChangeKind
CHANGE_KIND_RESUME: ChangeKind
CHANGE_KIND_RATE: ChangeKind
CHANGE_KIND_FACTOR: ChangeKind
CHANGE_KIND_SCALE: ChangeKind

class AgentMessage(_message.Message):
    __slots__ = ("register", "agent_beat", "metrics", "run_event", "prepared", "armed", "file_request", "goodbye", "claim", "also")
    REGISTER_FIELD_NUMBER: _ClassVar[int]
    AGENT_BEAT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    RUN_EVENT_FIELD_NUMBER: _ClassVar[int]
    PREPARED_FIELD_NUMBER: _ClassVar[int]
    ARMED_FIELD_NUMBER: _ClassVar[int]
    FILE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    ALSO_FIELD_NUMBER: _ClassVar[int]
    register: Register
    agent_beat: AgentBeat
    metrics: Metrics
    run_event: RunEvent
    prepared: Prepared
    armed: Armed
    file_request: FileRequest
    goodbye: Goodbye
    claim: Claim
    also: _containers.RepeatedCompositeFieldContainer[AgentMessage]
    def __init__(self, register: _Optional[_Union[Register, _Mapping]] = ..., agent_beat: _Optional[_Union[AgentBeat, _Mapping]] = ..., metrics: _Optional[_Union[Metrics, _Mapping]] = ..., run_event: _Optional[_Union[RunEvent, _Mapping]] = ..., prepared: _Optional[_Union[Prepared, _Mapping]] = ..., armed: _Optional[_Union[Armed, _Mapping]] = ..., file_request: _Optional[_Union[FileRequest, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., claim: _Optional[_Union[Claim, _Mapping]] = ..., also: _Optional[_Iterable[_Union[AgentMessage, _Mapping]]] = ...) -> None: ...

class ControllerMessage(_message.Message):
    __slots__ = ("registered", "refused", "controller_beat", "desired", "assignment", "file_chunk", "drain", "value")
    REGISTERED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_BEAT_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENT_FIELD_NUMBER: _ClassVar[int]
    FILE_CHUNK_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    registered: Registered
    refused: Refused
    controller_beat: ControllerBeat
    desired: Desired
    assignment: Assignment
    file_chunk: FileChunk
    drain: Drain
    value: Value
    def __init__(self, registered: _Optional[_Union[Registered, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., controller_beat: _Optional[_Union[ControllerBeat, _Mapping]] = ..., desired: _Optional[_Union[Desired, _Mapping]] = ..., assignment: _Optional[_Union[Assignment, _Mapping]] = ..., file_chunk: _Optional[_Union[FileChunk, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...

class Register(_message.Message):
    __slots__ = ("protocol_min", "protocol_max", "agent_id", "agent_name", "incarnation", "software_version", "cores", "memory_bytes", "weight", "labels", "features", "active_runs", "last_controller", "wall_unix_ms", "token", "corpora")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROTOCOL_MIN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAX_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_NAME_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RUNS_FIELD_NUMBER: _ClassVar[int]
    LAST_CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    WALL_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CORPORA_FIELD_NUMBER: _ClassVar[int]
    protocol_min: int
    protocol_max: int
    agent_id: str
    agent_name: str
    incarnation: str
    software_version: str
    cores: int
    memory_bytes: int
    weight: int
    labels: _containers.ScalarMap[str, str]
    features: _containers.RepeatedScalarFieldContainer[str]
    active_runs: _containers.RepeatedCompositeFieldContainer[ActiveRun]
    last_controller: str
    wall_unix_ms: int
    token: str
    corpora: _containers.RepeatedCompositeFieldContainer[Corpus]
    def __init__(self, protocol_min: _Optional[int] = ..., protocol_max: _Optional[int] = ..., agent_id: _Optional[str] = ..., agent_name: _Optional[str] = ..., incarnation: _Optional[str] = ..., software_version: _Optional[str] = ..., cores: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., weight: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., features: _Optional[_Iterable[str]] = ..., active_runs: _Optional[_Iterable[_Union[ActiveRun, _Mapping]]] = ..., last_controller: _Optional[str] = ..., wall_unix_ms: _Optional[int] = ..., token: _Optional[str] = ..., corpora: _Optional[_Iterable[_Union[Corpus, _Mapping]]] = ...) -> None: ...

class Corpus(_message.Message):
    __slots__ = ("name", "size_bytes", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    size_bytes: int
    digest: str
    def __init__(self, name: _Optional[str] = ..., size_bytes: _Optional[int] = ..., digest: _Optional[str] = ...) -> None: ...

class ActiveRun(_message.Message):
    __slots__ = ("run_id", "generation", "phase", "next_seq", "lease_left_ns")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQ_FIELD_NUMBER: _ClassVar[int]
    LEASE_LEFT_NS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    phase: RunPhase
    next_seq: int
    lease_left_ns: int
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., phase: _Optional[_Union[RunPhase, str]] = ..., next_seq: _Optional[int] = ..., lease_left_ns: _Optional[int] = ...) -> None: ...

class AgentBeat(_message.Message):
    __slots__ = ("number", "sent_mono_ns", "echo_number", "echo_sent_mono_ns", "echo_received_mono_ns", "runs", "cpu_percent", "memory_bytes", "loop_lag_ns", "dispatch_lag_p99_ns", "queue_depth", "rtt_ns", "clock_offset_ns", "clock_bound_ns", "wall_unix_ms", "draining")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SENT_MONO_NS_FIELD_NUMBER: _ClassVar[int]
    ECHO_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ECHO_SENT_MONO_NS_FIELD_NUMBER: _ClassVar[int]
    ECHO_RECEIVED_MONO_NS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOOP_LAG_NS_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_LAG_P99_NS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    RTT_NS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_OFFSET_NS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_BOUND_NS_FIELD_NUMBER: _ClassVar[int]
    WALL_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    number: int
    sent_mono_ns: int
    echo_number: int
    echo_sent_mono_ns: int
    echo_received_mono_ns: int
    runs: _containers.RepeatedCompositeFieldContainer[RunHealth]
    cpu_percent: float
    memory_bytes: int
    loop_lag_ns: int
    dispatch_lag_p99_ns: int
    queue_depth: int
    rtt_ns: int
    clock_offset_ns: int
    clock_bound_ns: int
    wall_unix_ms: int
    draining: bool
    def __init__(self, number: _Optional[int] = ..., sent_mono_ns: _Optional[int] = ..., echo_number: _Optional[int] = ..., echo_sent_mono_ns: _Optional[int] = ..., echo_received_mono_ns: _Optional[int] = ..., runs: _Optional[_Iterable[_Union[RunHealth, _Mapping]]] = ..., cpu_percent: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., loop_lag_ns: _Optional[int] = ..., dispatch_lag_p99_ns: _Optional[int] = ..., queue_depth: _Optional[int] = ..., rtt_ns: _Optional[int] = ..., clock_offset_ns: _Optional[int] = ..., clock_bound_ns: _Optional[int] = ..., wall_unix_ms: _Optional[int] = ..., draining: _Optional[bool] = ...) -> None: ...

class RunHealth(_message.Message):
    __slots__ = ("run_id", "generation", "phase", "revision", "vus")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    VUS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    phase: RunPhase
    revision: int
    vus: int
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., phase: _Optional[_Union[RunPhase, str]] = ..., revision: _Optional[int] = ..., vus: _Optional[int] = ...) -> None: ...

class FileRequest(_message.Message):
    __slots__ = ("run_id", "digest", "offset", "length")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    digest: str
    offset: int
    length: int
    def __init__(self, run_id: _Optional[str] = ..., digest: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class Prepared(_message.Message):
    __slots__ = ("run_id", "generation", "fault", "detail")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    fault: FaultKind
    detail: str
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., fault: _Optional[_Union[FaultKind, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Armed(_message.Message):
    __slots__ = ("run_id", "generation", "clock_bound_ns", "fault", "detail")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CLOCK_BOUND_NS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    clock_bound_ns: int
    fault: FaultKind
    detail: str
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., clock_bound_ns: _Optional[int] = ..., fault: _Optional[_Union[FaultKind, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Metrics(_message.Message):
    __slots__ = ("run_id", "generation", "seq", "new_series", "intervals")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    NEW_SERIES_FIELD_NUMBER: _ClassVar[int]
    INTERVALS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    seq: int
    new_series: _containers.RepeatedCompositeFieldContainer[SeriesEntry]
    intervals: _containers.RepeatedCompositeFieldContainer[WireInterval]
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., seq: _Optional[int] = ..., new_series: _Optional[_Iterable[_Union[SeriesEntry, _Mapping]]] = ..., intervals: _Optional[_Iterable[_Union[WireInterval, _Mapping]]] = ...) -> None: ...

class SeriesEntry(_message.Message):
    __slots__ = ("id", "metric", "kind", "tags")
    ID_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    id: int
    metric: str
    kind: MetricKind
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    def __init__(self, id: _Optional[int] = ..., metric: _Optional[str] = ..., kind: _Optional[_Union[MetricKind, str]] = ..., tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ...) -> None: ...

class Tag(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class WireInterval(_message.Message):
    __slots__ = ("t0_s", "t1_s", "deltas")
    T0_S_FIELD_NUMBER: _ClassVar[int]
    T1_S_FIELD_NUMBER: _ClassVar[int]
    DELTAS_FIELD_NUMBER: _ClassVar[int]
    t0_s: int
    t1_s: int
    deltas: _containers.RepeatedCompositeFieldContainer[WireDelta]
    def __init__(self, t0_s: _Optional[int] = ..., t1_s: _Optional[int] = ..., deltas: _Optional[_Iterable[_Union[WireDelta, _Mapping]]] = ...) -> None: ...

class WireDelta(_message.Message):
    __slots__ = ("wire_counter", "wire_rate", "wire_trend", "wire_gauge")
    WIRE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    WIRE_RATE_FIELD_NUMBER: _ClassVar[int]
    WIRE_TREND_FIELD_NUMBER: _ClassVar[int]
    WIRE_GAUGE_FIELD_NUMBER: _ClassVar[int]
    wire_counter: WireCounter
    wire_rate: WireRate
    wire_trend: WireTrend
    wire_gauge: WireGauge
    def __init__(self, wire_counter: _Optional[_Union[WireCounter, _Mapping]] = ..., wire_rate: _Optional[_Union[WireRate, _Mapping]] = ..., wire_trend: _Optional[_Union[WireTrend, _Mapping]] = ..., wire_gauge: _Optional[_Union[WireGauge, _Mapping]] = ...) -> None: ...

class WireCounter(_message.Message):
    __slots__ = ("series", "total")
    SERIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    series: int
    total: int
    def __init__(self, series: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class WireRate(_message.Message):
    __slots__ = ("series", "passes", "fails")
    SERIES_FIELD_NUMBER: _ClassVar[int]
    PASSES_FIELD_NUMBER: _ClassVar[int]
    FAILS_FIELD_NUMBER: _ClassVar[int]
    series: int
    passes: int
    fails: int
    def __init__(self, series: _Optional[int] = ..., passes: _Optional[int] = ..., fails: _Optional[int] = ...) -> None: ...

class WireGauge(_message.Message):
    __slots__ = ("series", "last", "min", "max")
    SERIES_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    series: int
    last: int
    min: int
    max: int
    def __init__(self, series: _Optional[int] = ..., last: _Optional[int] = ..., min: _Optional[int] = ..., max: _Optional[int] = ...) -> None: ...

class WireTrend(_message.Message):
    __slots__ = ("series", "hdr", "count", "sum_ns", "min_ns", "max_ns", "clipped")
    SERIES_FIELD_NUMBER: _ClassVar[int]
    HDR_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SUM_NS_FIELD_NUMBER: _ClassVar[int]
    MIN_NS_FIELD_NUMBER: _ClassVar[int]
    MAX_NS_FIELD_NUMBER: _ClassVar[int]
    CLIPPED_FIELD_NUMBER: _ClassVar[int]
    series: int
    hdr: bytes
    count: int
    sum_ns: int
    min_ns: int
    max_ns: int
    clipped: int
    def __init__(self, series: _Optional[int] = ..., hdr: _Optional[bytes] = ..., count: _Optional[int] = ..., sum_ns: _Optional[int] = ..., min_ns: _Optional[int] = ..., max_ns: _Optional[int] = ..., clipped: _Optional[int] = ...) -> None: ...

class RunEvent(_message.Message):
    __slots__ = ("run_id", "generation", "seq", "kind", "cause", "start_mono_ns", "start_error_ns", "ledgers", "clock_bound_ns", "unreported")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    START_MONO_NS_FIELD_NUMBER: _ClassVar[int]
    START_ERROR_NS_FIELD_NUMBER: _ClassVar[int]
    LEDGERS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_BOUND_NS_FIELD_NUMBER: _ClassVar[int]
    UNREPORTED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    seq: int
    kind: RunEventKind
    cause: str
    start_mono_ns: int
    start_error_ns: int
    ledgers: _containers.RepeatedCompositeFieldContainer[Ledger]
    clock_bound_ns: int
    unreported: _containers.RepeatedCompositeFieldContainer[Ledger]
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., seq: _Optional[int] = ..., kind: _Optional[_Union[RunEventKind, str]] = ..., cause: _Optional[str] = ..., start_mono_ns: _Optional[int] = ..., start_error_ns: _Optional[int] = ..., ledgers: _Optional[_Iterable[_Union[Ledger, _Mapping]]] = ..., clock_bound_ns: _Optional[int] = ..., unreported: _Optional[_Iterable[_Union[Ledger, _Mapping]]] = ...) -> None: ...

class Ledger(_message.Message):
    __slots__ = ("scenario", "planned", "started", "finished", "interrupted", "dropped", "missed", "requests", "lost")
    SCENARIO_FIELD_NUMBER: _ClassVar[int]
    PLANNED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    scenario: str
    planned: int
    started: int
    finished: int
    interrupted: int
    dropped: int
    missed: int
    requests: int
    lost: int
    def __init__(self, scenario: _Optional[str] = ..., planned: _Optional[int] = ..., started: _Optional[int] = ..., finished: _Optional[int] = ..., interrupted: _Optional[int] = ..., dropped: _Optional[int] = ..., missed: _Optional[int] = ..., requests: _Optional[int] = ..., lost: _Optional[int] = ...) -> None: ...

class Claim(_message.Message):
    __slots__ = ("run_id", "generation", "number", "settled", "kind", "key", "count", "used", "users", "timeout_ns", "payload", "fault", "detail", "replaces")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    number: int
    settled: int
    kind: ClaimKind
    key: str
    count: int
    used: int
    users: int
    timeout_ns: int
    payload: bytes
    fault: FaultKind
    detail: str
    replaces: int
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., number: _Optional[int] = ..., settled: _Optional[int] = ..., kind: _Optional[_Union[ClaimKind, str]] = ..., key: _Optional[str] = ..., count: _Optional[int] = ..., used: _Optional[int] = ..., users: _Optional[int] = ..., timeout_ns: _Optional[int] = ..., payload: _Optional[bytes] = ..., fault: _Optional[_Union[FaultKind, str]] = ..., detail: _Optional[str] = ..., replaces: _Optional[int] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "drained")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    reason: str
    drained: bool
    def __init__(self, reason: _Optional[str] = ..., drained: _Optional[bool] = ...) -> None: ...

class Registered(_message.Message):
    __slots__ = ("controller_id", "epoch", "session_id", "protocol", "features", "beat_ns", "lease_ns", "flush_spread_ns", "runs")
    CONTROLLER_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    BEAT_NS_FIELD_NUMBER: _ClassVar[int]
    LEASE_NS_FIELD_NUMBER: _ClassVar[int]
    FLUSH_SPREAD_NS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    controller_id: str
    epoch: int
    session_id: str
    protocol: int
    features: _containers.RepeatedScalarFieldContainer[str]
    beat_ns: int
    lease_ns: int
    flush_spread_ns: int
    runs: _containers.RepeatedCompositeFieldContainer[Resume]
    def __init__(self, controller_id: _Optional[str] = ..., epoch: _Optional[int] = ..., session_id: _Optional[str] = ..., protocol: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., beat_ns: _Optional[int] = ..., lease_ns: _Optional[int] = ..., flush_spread_ns: _Optional[int] = ..., runs: _Optional[_Iterable[_Union[Resume, _Mapping]]] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("run_id", "abandon", "resume_seq", "generation")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ABANDON_FIELD_NUMBER: _ClassVar[int]
    RESUME_SEQ_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    abandon: bool
    resume_seq: int
    generation: int
    def __init__(self, run_id: _Optional[str] = ..., abandon: _Optional[bool] = ..., resume_seq: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("reason", "hint", "retry", "protocol_min", "protocol_max")
    REASON_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MIN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_MAX_FIELD_NUMBER: _ClassVar[int]
    reason: str
    hint: str
    retry: bool
    protocol_min: int
    protocol_max: int
    def __init__(self, reason: _Optional[str] = ..., hint: _Optional[str] = ..., retry: _Optional[bool] = ..., protocol_min: _Optional[int] = ..., protocol_max: _Optional[int] = ...) -> None: ...

class ControllerBeat(_message.Message):
    __slots__ = ("number", "sent_mono_ns", "echo_number", "echo_received_mono_ns", "grants", "acks")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SENT_MONO_NS_FIELD_NUMBER: _ClassVar[int]
    ECHO_NUMBER_FIELD_NUMBER: _ClassVar[int]
    ECHO_RECEIVED_MONO_NS_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    ACKS_FIELD_NUMBER: _ClassVar[int]
    number: int
    sent_mono_ns: int
    echo_number: int
    echo_received_mono_ns: int
    grants: _containers.RepeatedCompositeFieldContainer[LeaseGrant]
    acks: _containers.RepeatedCompositeFieldContainer[Ack]
    def __init__(self, number: _Optional[int] = ..., sent_mono_ns: _Optional[int] = ..., echo_number: _Optional[int] = ..., echo_received_mono_ns: _Optional[int] = ..., grants: _Optional[_Iterable[_Union[LeaseGrant, _Mapping]]] = ..., acks: _Optional[_Iterable[_Union[Ack, _Mapping]]] = ...) -> None: ...

class LeaseGrant(_message.Message):
    __slots__ = ("run_id", "generation", "lease_ns")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LEASE_NS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    lease_ns: int
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., lease_ns: _Optional[int] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("run_id", "seq", "generation")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    seq: int
    generation: int
    def __init__(self, run_id: _Optional[str] = ..., seq: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("run_id", "generation", "plan_json", "plan_digest", "files", "prepare_timeout_ns", "secrets")
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PLAN_JSON_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    PREPARE_TIMEOUT_NS_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    plan_json: bytes
    plan_digest: str
    files: _containers.RepeatedCompositeFieldContainer[ManifestFile]
    prepare_timeout_ns: int
    secrets: _containers.ScalarMap[str, str]
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., plan_json: _Optional[bytes] = ..., plan_digest: _Optional[str] = ..., files: _Optional[_Iterable[_Union[ManifestFile, _Mapping]]] = ..., prepare_timeout_ns: _Optional[int] = ..., secrets: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ManifestFile(_message.Message):
    __slots__ = ("path", "size_bytes", "digest", "inline")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: int
    digest: str
    inline: bytes
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[int] = ..., digest: _Optional[str] = ..., inline: _Optional[bytes] = ...) -> None: ...

class FileChunk(_message.Message):
    __slots__ = ("run_id", "digest", "offset", "data")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    digest: str
    offset: int
    data: bytes
    def __init__(self, run_id: _Optional[str] = ..., digest: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Desired(_message.Message):
    __slots__ = ("run_id", "generation", "revision", "phase", "start_unix_ms", "start_controller_ns", "effect_controller_ns", "shares", "cause", "changes")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    START_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    START_CONTROLLER_NS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_CONTROLLER_NS_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    revision: int
    phase: RunPhase
    start_unix_ms: int
    start_controller_ns: int
    effect_controller_ns: int
    shares: _containers.RepeatedCompositeFieldContainer[ScenarioShare]
    cause: str
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., revision: _Optional[int] = ..., phase: _Optional[_Union[RunPhase, str]] = ..., start_unix_ms: _Optional[int] = ..., start_controller_ns: _Optional[int] = ..., effect_controller_ns: _Optional[int] = ..., shares: _Optional[_Iterable[_Union[ScenarioShare, _Mapping]]] = ..., cause: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("at_run_ns", "kind", "scenario", "value")
    AT_RUN_NS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SCENARIO_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    at_run_ns: int
    kind: ChangeKind
    scenario: str
    value: str
    def __init__(self, at_run_ns: _Optional[int] = ..., kind: _Optional[_Union[ChangeKind, str]] = ..., scenario: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class ScenarioShare(_message.Message):
    __slots__ = ("scenario", "from_run_ns", "slots", "vu_slots", "from_iteration")
    SCENARIO_FIELD_NUMBER: _ClassVar[int]
    FROM_RUN_NS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    VU_SLOTS_FIELD_NUMBER: _ClassVar[int]
    FROM_ITERATION_FIELD_NUMBER: _ClassVar[int]
    scenario: str
    from_run_ns: int
    slots: bytes
    vu_slots: bytes
    from_iteration: int
    def __init__(self, scenario: _Optional[str] = ..., from_run_ns: _Optional[int] = ..., slots: _Optional[bytes] = ..., vu_slots: _Optional[bytes] = ..., from_iteration: _Optional[int] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ("run_id", "generation", "number", "kind", "payload", "fault", "detail", "first", "end", "count")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    generation: int
    number: int
    kind: ValueKind
    payload: bytes
    fault: FaultKind
    detail: str
    first: int
    end: int
    count: int
    def __init__(self, run_id: _Optional[str] = ..., generation: _Optional[int] = ..., number: _Optional[int] = ..., kind: _Optional[_Union[ValueKind, str]] = ..., payload: _Optional[bytes] = ..., fault: _Optional[_Union[FaultKind, str]] = ..., detail: _Optional[str] = ..., first: _Optional[int] = ..., end: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("deadline_ns", "come_back_ns", "reason")
    DEADLINE_NS_FIELD_NUMBER: _ClassVar[int]
    COME_BACK_NS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    deadline_ns: int
    come_back_ns: int
    reason: str
    def __init__(self, deadline_ns: _Optional[int] = ..., come_back_ns: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
