"""The codec: every message crosses unchanged, and nothing that a peer may send gets past it unchecked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadr.coordination import messages as m
from loadr.errors import InternalFault, PeerFault
from loadr.masking import Secrets
from loadr.metrics.series import Kind
from loadr.schedule.change import Change
from loadr.schedule.share import ScenarioShare
from loadr.transport import codec
from loadr.transport.codec import (
    MAX_MESSAGE_BYTES,
    MAX_PACKED,
    MessageTooLarge,
    Unknown,
    decode_agent,
    decode_controller,
    encode_agent,
    encode_controller,
    pack_agent,
    unpack_agent,
)
from loadr.transport.generated import coordination_pb2 as pb

DIGEST = "ab" * 32
SIGNED = {
    "lease_left_ns", "clock_offset_ns", "start_error_ns", "last", "min", "max", "total",
}  # fmt: skip


def values_of(cls: type, name: str, hint: Any) -> st.SearchStrategy[Any]:
    """Every value that the field ``name`` of ``cls`` may hold."""
    if name in codec._NAMES:
        return st.text(min_size=1, max_size=8)
    if cls is Change and name == "value":
        return st.sampled_from(["", "0", "150", "0.5", "12.25"])
    if name == "digest":
        return st.binary(min_size=32, max_size=32).map(bytes.hex)
    if (cls, name) in codec._COUNTED_FROM_ONE:
        return st.integers(1, 2**63 - 1)
    if (cls, name) == (m.SeriesEntry, "kind"):
        return st.sampled_from(Kind).map(int)
    if hint is int:
        wire = pb.DESCRIPTOR.message_types_by_name[cls.__name__].fields_by_name[name]
        top = 2**32 - 1 if wire.type == wire.TYPE_UINT32 else 2**63 - 1
        return st.integers(-(2**63) if name in SIGNED else 0, top)
    return values_of_type(hint)


def values_of_type(hint: Any) -> st.SearchStrategy[Any]:
    if hint is Secrets:
        return st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3).map(Secrets)
    if is_dataclass(hint):
        return messages(hint)
    if isinstance(hint, UnionType):
        return st.one_of(st.none() if h is NoneType else values_of_type(h) for h in get_args(hint))
    if get_origin(hint) is Mapping:
        return st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
    if hint == tuple[str, str]:
        return st.tuples(st.text(max_size=5), st.text(max_size=5))
    if get_origin(hint) is tuple:
        return st.lists(values_of_type(get_args(hint)[0]), max_size=2).map(tuple)
    if issubclass(hint, IntEnum):
        return st.sampled_from(hint)
    return {
        str: st.text(max_size=8),
        bytes: st.binary(max_size=8),
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
    }[hint]


def messages(cls: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: values_of(cls, f.name, hints[f.name]) for f in fields(cls)})


@pytest.mark.parametrize("cls", get_args(m.AgentMessage), ids=lambda cls: cls.__name__)
def test_every_message_of_an_agent_crosses_unchanged(cls: type) -> None:
    @settings(max_examples=40, deadline=None)
    @given(messages(cls))
    def crosses(message: Any) -> None:
        assert decode_agent(encode_agent(message)) == message

    crosses()


@pytest.mark.parametrize("cls", get_args(m.ControllerMessage), ids=lambda cls: cls.__name__)
def test_every_message_of_the_controller_crosses_unchanged(cls: type) -> None:
    @settings(max_examples=40, deadline=None)
    @given(messages(cls))
    def crosses(message: Any) -> None:
        assert decode_controller(encode_controller(message)) == message

    crosses()


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_give_a_message_or_none_or_a_fault_of_the_peer(data: bytes) -> None:
    for decode, union in ((decode_agent, m.AgentMessage), (decode_controller, m.ControllerMessage)):
        try:
            message = decode(data)
        except PeerFault as fault:
            assert fault.message
        else:
            assert message is None or isinstance(message, get_args(union))


def mirrored_classes() -> list[type]:
    found: list[type] = []
    waiting: list[Any] = [m.AgentMessage, m.ControllerMessage]
    while waiting:
        hint = waiting.pop()
        if is_dataclass(hint) and hint not in found:
            found.append(hint)
            waiting += get_type_hints(hint).values()
        waiting += [h for h in get_args(hint) if h is not Ellipsis]
    return found


def test_the_proto_has_the_same_messages_and_fields_as_the_classes() -> None:
    classes = {cls.__name__: [f.name for f in fields(cls)] for cls in mirrored_classes()}
    wire = {
        name: [f.name for f in descriptor.fields]
        for name, descriptor in pb.DESCRIPTOR.message_types_by_name.items()
        if name not in ("AgentMessage", "ControllerMessage", "WireDelta", "Tag")
    }
    assert wire == classes
    assert ScenarioShare.__name__ in wire


@pytest.mark.parametrize("envelope", ["AgentMessage", "ControllerMessage", "WireDelta"])
def test_an_envelope_carries_exactly_the_classes_of_its_union(envelope: str) -> None:
    (oneof,) = pb.DESCRIPTOR.message_types_by_name[envelope].oneofs
    bodies = {f.message_type.name for f in oneof.fields}
    assert bodies == {cls.__name__ for cls in get_args(getattr(m, envelope))}


@pytest.mark.parametrize(
    ("wire", "cls"),
    [
        ("RunPhase", m.RunPhase),
        ("FaultKind", m.FaultKind),
        ("RunEventKind", m.RunEventKind),
        ("MetricKind", Kind),
    ],
)
def test_enum_values_on_the_wire_are_those_of_the_classes(wire: str, cls: type[IntEnum]) -> None:
    numbers = {v.name: v.number for v in pb.DESCRIPTOR.enum_types_by_name[wire].values}
    prefix = {"RunPhase": "RUN_PHASE", "FaultKind": "FAULT_KIND", "RunEventKind": "RUN_EVENT_KIND"}
    stem = prefix.get(wire, "METRIC_KIND")
    numbers.pop(f"{stem}_UNSPECIFIED", None)
    assert numbers == {f"{stem}_{member.name}": member.value for member in cls}


def test_an_empty_and_an_absent_inline_file_are_told_apart() -> None:
    files = (m.ManifestFile("a", 0, DIGEST, b""), m.ManifestFile("b", 9, DIGEST, None))
    sent = m.Assignment("r", 1, b"{}", "", files, 1)
    got = decode_controller(encode_controller(sent))
    assert isinstance(got, m.Assignment)
    assert [f.inline for f in got.files] == [b"", None]


def test_a_message_of_a_later_version_is_counted_and_ignored() -> None:
    unknown = Unknown()
    field_99 = b"\x9a\x06\x02hi"
    assert decode_agent(field_99, unknown) is None
    assert decode_controller(b"", unknown) is None
    assert unknown.count == 2


def test_a_message_with_an_enum_value_of_a_later_version_is_counted_and_ignored() -> None:
    unknown = Unknown()
    wire = pb.ControllerMessage(desired=pb.Desired(run_id="r", phase=42))
    assert decode_controller(wire.SerializeToString(), unknown) is None
    assert unknown.count == 1


def test_only_the_entry_of_a_list_that_is_of_a_later_version_is_left_out() -> None:
    unknown = Unknown()
    beat = pb.AgentBeat(number=1, runs=[pb.RunHealth(run_id="r", phase=42), pb.RunHealth(run_id="s")])
    got = decode_agent(pb.AgentMessage(agent_beat=beat).SerializeToString(), unknown)
    assert isinstance(got, m.AgentBeat)
    assert [run.run_id for run in got.runs] == ["s"]
    assert unknown.count == 1


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (pb.AgentMessage(metrics=pb.Metrics(run_id="r", seq=2**63)), "Metrics.seq is 9223372036854775808"),
        (pb.AgentMessage(metrics=pb.Metrics(run_id="r")), "Metrics.seq is missing"),
        (pb.AgentMessage(metrics=pb.Metrics(seq=1)), "Metrics.run_id has 0 characters"),
        (pb.AgentMessage(prepared=pb.Prepared(run_id="r" * 257)), "Prepared.run_id has 257 characters"),
        (
            pb.AgentMessage(agent_beat=pb.AgentBeat(number=1, cpu_percent=math.nan)),
            "AgentBeat.cpu_percent is not",
        ),
        (pb.AgentMessage(register=pb.Register(agent_id="a")), "Register.incarnation has 0 characters"),
        (
            pb.AgentMessage(file_request=pb.FileRequest(run_id="r", digest="../../etc/passwd")),
            "FileRequest.digest is not a SHA-256",
        ),
    ],
)
def test_a_malformed_message_is_a_fault_of_the_peer_that_names_the_field(wire: Any, words: str) -> None:
    with pytest.raises(PeerFault, match=words):
        decode_agent(wire.SerializeToString())


BEAT, BATCH = m.AgentBeat(1, 5), m.Metrics("r", 1, 1, (), ())


def test_messages_that_are_packed_into_one_come_out_in_order() -> None:
    for several in ([BEAT], [BEAT, BATCH], [BEAT, BATCH, m.Goodbye("x" * 300, True)]):
        assert unpack_agent(pack_agent([encode_agent(each) for each in several]), Unknown()) == several


def test_what_is_unknown_among_packed_messages_is_counted_and_left_out() -> None:
    field_99 = b"\x9a\x06\x00"
    unknown = Unknown()
    assert unpack_agent(pack_agent([field_99, encode_agent(BATCH), field_99]), unknown) == [BATCH]
    assert unknown.count == 2


def test_a_fault_in_any_of_the_packed_messages_is_a_fault_of_the_peer() -> None:
    bad = pb.AgentMessage(prepared=pb.Prepared()).SerializeToString()
    with pytest.raises(PeerFault, match=r"Prepared\.run_id"):
        unpack_agent(pack_agent([encode_agent(BEAT), bad]), Unknown())


def test_neither_too_many_messages_in_one_nor_nested_ones_are_taken() -> None:
    beat = encode_agent(BEAT)
    assert len(unpack_agent(pack_agent([beat] * MAX_PACKED), Unknown())) == MAX_PACKED
    for wrong in ([beat] * (MAX_PACKED + 1), [beat, pack_agent([beat, beat])]):
        with pytest.raises(PeerFault, match="carries more than 15 others, or others that carry others"):
            unpack_agent(pack_agent(wrong), Unknown())


def test_a_chunk_over_64_kib_is_a_fault_of_the_peer() -> None:
    wire = pb.ControllerMessage(file_chunk=pb.FileChunk(run_id="r", digest=DIGEST, data=bytes(65537)))
    with pytest.raises(PeerFault, match=r"FileChunk.data has 65537 bytes"):
        decode_controller(wire.SerializeToString())


def test_a_message_over_the_limit_is_refused_before_it_is_sent() -> None:
    with pytest.raises(MessageTooLarge, match=r"a Assignment of .* is over the limit of 4194304"):
        encode_controller(m.Assignment("r", 1, bytes(MAX_MESSAGE_BYTES), "", (), 1))


def test_a_message_over_the_limit_is_refused_when_it_comes() -> None:
    with pytest.raises(PeerFault, match="over the limit"):
        decode_agent(bytes(MAX_MESSAGE_BYTES + 1))


@pytest.mark.parametrize(
    "message",
    [m.Goodbye(reason="x", drained="no"), m.Prepared("r", -1), m.Registered],
)
def test_a_value_that_does_not_fit_the_wire_is_our_own_fault(message: Any) -> None:
    with pytest.raises(InternalFault, match="can not be encoded"):
        encode_agent(message)


def test_a_registration_as_long_as_a_book_is_refused_before_it_is_looked_into() -> None:
    register = m.Register(1, 1, "a", "a", "a/1", "1.0", 1, 1, 1, labels={"k": "v" * codec.MAX_REGISTER_BYTES})
    with pytest.raises(PeerFault, match="over the limit of 262144"):
        decode_agent(encode_agent(register))
