"""The wire: messages and enumerations from the `.proto` with its comments, constants of time, limits."""

from __future__ import annotations

import tempfile
from dataclasses import fields
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from loadr.coordination.timing import TIMING, Timing
from loadr.transport.channel_options import CLIENT, SERVER
from loadr.units import format_duration_ns
from reference.source import comments_of, constant, table, words_for

PROTO_ROOT = Path(__file__).resolve().parents[2] / "proto"
PROTO = "loadr/coordination/v1/coordination.proto"
_MESSAGE, _ENUM, _FIELD, _VALUE = 4, 5, 2, 2  # numbers of fields in descriptor.proto: parts of a path

EVERYWHERE = {
    "run_id": "the run, 1 to 256 characters",
    "generation": "the epoch of this agent in this run; an older one is never obeyed, nor answered",
    "seq": "see `Metrics.seq`",
    "scenario": "name of the scenario in the plan",
    "series": "`SeriesEntry.id`",
    "detail": "in words, for people",
    "reason": "in words, for people",
    "cause": "in words, for people",
    "digest": "SHA-256 of the file's content",
}
"""What fields of these names mean wherever they have no comment of their own."""

TIMES = {
    "beat_ns": "an agent's beats, or a fifth of the lease if that is shorter",
    "backoff_first_ns": "the first reconnect waits U(0, this), each further one U(0, twice as long) …",
    "backoff_cap_ns": "… up to this; under a lease up to an eighth of what is left of it, at least the first",
    "barrier_loopback_ns": "from the last `Armed` to the start instant, if all agents are on loopback …",
    "barrier_network_ns": "… or if one is not …",
    "barrier_rtts": "… or so many round trips of the slowest agent, if that is longer; at most 30 s",
    "prepare_ns": "from `Assignment` to `Prepared`; more if the plan has a setup",
    "arm_ns": "from `Desired` ARMED to `Armed`",
    "final_flush_ns": "last batches are awaited so long after the engines were killed",
    "strikes": "so many faults of one process …",
    "quarantine_ns": "… and it is refused for so long; also how long a flapping agent gets no share",
}

LIMITS = {
    "MAX_MESSAGE_BYTES": ("bytes", "an encoded message, either way; a larger one ends the stream"),
    "MAX_BATCH_BYTES": ("bytes", "a `Metrics` message; its sender splits what is larger"),
    "MAX_CHUNK_BYTES": ("bytes", "`FileChunk.data`"),
    "MAX_REQUEST_BYTES": ("bytes", "`FileRequest.length`"),
    "WINDOW_BYTES": ("bytes", "our agent asks for so much ahead of what it has"),
    "INLINE_FILE_BYTES": ("bytes", "a file whose bytes ride in the assignment …"),
    "INLINE_BYTES": ("bytes", "… of all such files together"),
    "MAX_PLAN_BYTES": ("bytes", "`Assignment.plan_json`"),
    "MAX_FILES": ("", "files of a plan"),
    "MAX_TOTAL_BYTES": ("bytes", "files of a plan, together"),
    "MAX_PATH_BYTES": ("bytes", "a path; its parts at most 255, 16 folders deep"),
    "MAX_NAME_CHARACTERS": (
        "",
        "characters of a name (`run_id`, `agent_id`, `incarnation`, `scenario`, `metric` …)",
    ),
    "MAX_LABELS": ("", "labels of an agent …"),
    "MAX_LABEL_CHARACTERS": ("", "… and characters of a key or a value"),
    "MAX_CORPORA": ("", "corpora of an agent"),
    "MAX_WORDS_CHARACTERS": (
        "",
        "characters of words for people (`detail`, `cause`); our agent cuts what is longer",
    ),
    "MAX_WEIGHT": ("", "`Register.weight`, at least 1"),
    "MAX_ACTIVE_RUNS": ("", "runs in `Register` and in a beat"),
    "MAX_UNREGISTERED": ("", "streams that have not registered, over all peers"),
    "MAX_SERIES_PER_RUN": ("", "series of a run, and of an agent; further ones fold into `other`"),
    "MAX_SERIES_PER_AGENT": ("", "`SeriesEntry` of one part; more are a bad batch"),
    "MAX_TAGS": ("", "tags of a series …"),
    "MAX_TAG_CHARACTERS": ("", "… and characters of a metric's name, a tag's key or value"),
    "MAX_COUNT": ("", "a counter, or a side of a rate, within one interval"),
    "MAX_TREND_COUNT": ("", "samples of a trend within one interval"),
    "MAX_AHEAD_S": ("s", "how far an interval may reach beyond what has passed of the run"),
    "MAX_CHANGES": ("", "changes of one run"),
    "MAX_OPEN_CLAIMS": ("", "claims of one part that are not answered"),
    "MAX_VALUE_BYTES": ("bytes", "`Claim.payload`"),
    "MAX_ONCE": ("", "keys of what is done once in a run"),
    "MAX_BLOCK_ROWS": ("", "rows of a block"),
    "MAX_GENERATIONS": ("", "generations of one agent in one run"),
}


@cache
def _file() -> descriptor_pb2.FileDescriptorProto:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set")
        flags = [f"--proto_path={PROTO_ROOT}", f"--descriptor_set_out={out}", "--include_source_info"]
        if protoc.main(["protoc", *flags, PROTO]):
            raise SystemExit(f"{PROTO} does not compile (see above)")
        return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]


@cache
def _comments() -> dict[tuple[int, ...], str]:
    return {
        tuple(place.path): " ".join((place.leading_comments + place.trailing_comments).split())
        for place in _file().source_code_info.location
    }


def render_messages() -> str:
    """Every message in the order of the file, each with where it goes and a table of its fields."""
    file = _file()
    senders = {}
    for envelope, way in (("AgentMessage", "agent → controller"), ("ControllerMessage", "controller → agent")):
        for field in next(m for m in file.message_type if m.name == envelope).field:
            senders[field.type_name.rpartition(".")[2]] = way[0].upper() + way[1:]
    parts = []
    for index, message in enumerate(file.message_type):
        parts.append(f"### {message.name}")
        way = f"*{senders[message.name]}.* " if message.name in senders else ""
        said = _comments().get((_MESSAGE, index), "")
        if way or said:
            parts.append(way + _sentence(said))
        maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
        rows = [
            (field.number, f"`{field.name}`", _type(field, maps), _words(message.name, index, at))
            for at, field in enumerate(message.field)
        ]
        parts.append(table(("No.", "Field", "Type", "Meaning"), rows))
    return "\n\n".join(parts)


def render_enums() -> str:
    parts = []
    for index, enum in enumerate(_file().enum_type):
        parts.append(f"### {enum.name}")
        if said := _comments().get((_ENUM, index)):
            parts.append(_sentence(said))
        rows = [
            (value.number, f"`{value.name}`", _comments().get((_ENUM, index, _VALUE, at), ""))
            for at, value in enumerate(enum.value)
        ]
        parts.append(table(("No.", "Value", "Meaning"), rows))
    return "\n\n".join(parts)


def _words(message: str, index: int, at: int) -> str:
    field = _file().message_type[index].field[at]
    if field.HasField("oneof_index") and not field.proto3_optional:
        return "one of the bodies"
    said = _comments().get((_MESSAGE, index, _FIELD, at)) or EVERYWHERE.get(field.name, "")
    if not said:
        raise SystemExit(f"{message}.{field.name} has no comment in {PROTO}, and a reader needs one")
    return said


def _type(field: descriptor_pb2.FieldDescriptorProto, maps: dict[str, descriptor_pb2.DescriptorProto]) -> str:
    name = field.type_name.rpartition(".")[2]
    if name in maps:
        key, value = maps[name].field
        return f"map of {_type(key, {})} to {_type(value, {})}"
    kind = descriptor_pb2.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    word = f"[{name}](#{name.lower()})" if name else kind
    if field.label == field.LABEL_REPEATED:
        return f"list of {word}"
    return f"optional {word}" if field.proto3_optional else word


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def render_times() -> str:
    """Every constant of `Timing`."""
    comments = comments_of(Timing)
    words_for("times", {field.name for field in fields(Timing)} - comments.keys(), TIMES)
    rows = []
    for field in fields(Timing):
        value = getattr(TIMING, field.name)
        text = format_duration_ns(value) if field.name.endswith("_ns") else str(value)
        words = (comments.get(field.name) or TIMES[field.name]).replace("_ns`", "`")
        rows.append((f"`{field.name.removesuffix('_ns')}`", text, words))
    return table(("Name", "Value", "Meaning"), rows)


def render_limits() -> str:
    rows = []
    for name, (unit, words) in LIMITS.items():
        value = constant(name)
        rows.append((words, _quantity(value, unit)))
    return table(("Of what", "At most"), rows)


def _quantity(value: int, unit: str) -> str:
    if unit == "bytes":
        size, word = next(((s, w) for s, w in ((2**20, "MiB"), (2**10, "KiB")) if value % s == 0), (1, "bytes"))
        return f"{value // size} {word}"
    return f"{value:,} {unit}".rstrip() if value < 2**40 else f"2^{value.bit_length() - 1}"


def render_channel() -> str:
    """gRPC's channel arguments of both ends."""
    rows = [
        (f"`{name}`", CLIENT.get(name, ""), SERVER.get(name, "")) for name in dict.fromkeys((*CLIENT, *SERVER))
    ]
    return table(("Argument", "Agent", "Controller"), rows)
