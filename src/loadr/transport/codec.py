"""Messages ⇄ bytes: the classes of `loadr.coordination.messages` to and from `loadr.coordination.v1`.

The `.proto` mirrors the classes field by field, so the codec is not written out: for each class one table of
fields is made, once, from its type hints, and encoding and decoding walk that table.

Bytes from a peer are not trusted. Malformed ones raise `PeerFault`: what does not parse, numbers out of range,
NaN, a missing name or digest. What is merely *unknown*, as a later version may send it, is no fault: a message
or enum value that this version does not know makes `decode_agent` and `decode_controller` return None; within a
list only that entry is left out. Both are counted where the caller wants to know (`Unknown`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from loadr.coordination import messages as m
from loadr.errors import InternalFault, PeerFault
from loadr.masking import Secrets
from loadr.schedule.change import Change
from loadr.transport.generated import coordination_pb2 as pb

MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # gRPC's own default; both ends are also told so
MAX_CHUNK_BYTES = 64 * 1024
MAX_REGISTER_BYTES = 256 * 1024  # what somebody may send whom nobody knows yet
MAX_PACKED = 16  # messages in one
MAX_INTEGER = 2**63 - 1
MAX_NAME_CHARACTERS = 256

_ALSO_TAG = bytes([pb.AgentMessage.DESCRIPTOR.fields_by_name["also"].number << 3 | 2])
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,12})?")
_NAMES = {"run_id", "agent_id", "incarnation", "controller_id", "session_id", "scenario", "metric", "key"}
_COUNTED_FROM_ONE = {
    (m.Metrics, "seq"),
    (m.RunEvent, "seq"),
    (m.AgentBeat, "number"),
    (m.ControllerBeat, "number"),
    (m.Claim, "number"),
    (m.Value, "number"),
}


class MessageTooLarge(InternalFault):
    """A message over `MAX_MESSAGE_BYTES` was about to be sent: the sender must split it."""


@dataclass(slots=True)
class Unknown:
    """How much was ignored because this version does not know it."""

    count: int = 0


class _Ignored(Exception):
    """What is being decoded is of a later version."""


Encode = Callable[[Any], Any]  # our value → the value for the protobuf field
Decode = Callable[[Any, Unknown], Any]  # the protobuf field's value → ours; raises PeerFault, _Ignored


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field crosses. ``optional``: absent on the wire means None."""

    name: str
    encode: Encode
    decode: Decode
    optional: bool


def encode_agent(message: m.AgentMessage) -> bytes:
    """Bytes of an `AgentMessage`. Raises `MessageTooLarge`; `InternalFault` on a value that does not fit."""
    return _encode_envelope(pb.AgentMessage, message)


def encode_controller(message: m.ControllerMessage) -> bytes:
    """Bytes of a `ControllerMessage`. Raises as `encode_agent` does."""
    return _encode_envelope(pb.ControllerMessage, message)


def decode_agent(data: bytes, unknown: Unknown | None = None) -> m.AgentMessage | None:
    """The message that an agent sent; None when this version does not know it. Raises `PeerFault`."""
    message = _decode_envelope(pb.AgentMessage, m.AgentMessage, data, unknown or Unknown())
    return cast("m.AgentMessage | None", message)


def decode_controller(data: bytes, unknown: Unknown | None = None) -> m.ControllerMessage | None:
    """The message that a controller sent; None when this version does not know it. Raises `PeerFault`."""
    message = _decode_envelope(pb.ControllerMessage, m.ControllerMessage, data, unknown or Unknown())
    return cast("m.ControllerMessage | None", message)


def pack_agent(encoded: Sequence[bytes]) -> bytes:
    """One `AgentMessage` that carries several, at most `MAX_PACKED`, as `encode_agent` made them."""
    first, *others = encoded
    return first + b"".join(_ALSO_TAG + varint(len(other)) + other for other in others)


def unpack_agent(data: bytes, unknown: Unknown) -> list[m.AgentMessage]:
    """All messages that one from an agent carries, in order; unknown ones are left out. Raises `PeerFault`."""
    wire = _parse(pb.AgentMessage, data)
    if len(wire.also) >= MAX_PACKED or any(len(each.also) for each in wire.also):
        raise PeerFault(f"a message carries more than {MAX_PACKED - 1} others, or others that carry others")
    return list(_decode_list(lambda each, u: _decode_body(m.AgentMessage, each, u), [wire, *wire.also], unknown))


def unpack_controller(data: bytes, unknown: Unknown) -> list[m.ControllerMessage]:
    """As `unpack_agent`; a controller sends one by one."""
    message = decode_controller(data, unknown)
    return [] if message is None else [message]


def varint(number: int) -> bytes:
    """A length as protobuf writes it."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _encode_envelope(envelope: Any, message: Any) -> bytes:
    try:
        data: bytes = envelope(**_encode_body(message)).SerializeToString(deterministic=True)
    except (ValueError, TypeError, AttributeError) as error:
        raise InternalFault(f"{type(message).__name__} can not be encoded: {error}") from error
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(
            f"a {type(message).__name__} of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}"
        )
    return data


def _decode_envelope(envelope: Any, union: UnionType, data: bytes, unknown: Unknown) -> Any:
    try:
        return _decode_body(union, _parse(envelope, data), unknown)
    except _Ignored:
        unknown.count += 1
        return None


def _parse(envelope: Any, data: bytes) -> Any:
    if len(data) > MAX_MESSAGE_BYTES:
        raise PeerFault(f"a message of {len(data)} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    try:
        wire = envelope.FromString(data)
    except DecodeError as error:
        raise PeerFault(f"what the peer sent is no message of loadr.coordination.v1: {error}") from error
    if len(data) > MAX_REGISTER_BYTES and wire.WhichOneof("body") == "register":
        raise PeerFault(f"a registration of {len(data)} bytes is over the limit of {MAX_REGISTER_BYTES}")
    return wire


def _encode_message(message: Any) -> Any:
    """The protobuf message of the same name and fields."""
    cls: Any = type(message)
    values = {}
    for field in _fields(cls):
        value = getattr(message, field.name)
        if not (field.optional and value is None):
            values[field.name] = field.encode(value)
    return getattr(pb, cls.__name__)(**values)


def _decode_message(cls: type, wire: Any, unknown: Unknown) -> Any:
    shape = _shape(cls)
    values = list(shape.read(wire))
    for at, field in shape.checked:
        if field.optional and not wire.HasField(field.name):
            values[at] = None
            continue
        try:
            values[at] = field.decode(values[at], unknown)
        except ValueError as error:
            raise PeerFault(f"{cls.__name__}.{field.name} {error}") from None
    return cls(*values)


def _encode_body(message: Any) -> dict[str, Any]:
    cls: Any = type(message)
    return {_body_name(cls): _encode_message(message)}


def _decode_body(union: UnionType, wire: Any, unknown: Unknown) -> Any:
    name = wire.WhichOneof("body")
    if name is None:
        raise _Ignored
    return _decode_message(_bodies(union)[name], getattr(wire, name), unknown)


def _decode_list(decode: Decode, wires: Any, unknown: Unknown) -> tuple[Any, ...]:
    out = []
    for wire in wires:
        try:
            out.append(decode(wire, unknown))
        except _Ignored:
            unknown.count += 1
    return tuple(out)


# --- the tables, made once from the type hints ---------------------------------------------------------------


@cache
def _body_name(cls: type) -> str:
    """The field of the envelope that carries ``cls``: `FileRequest` → ``file_request``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()


@cache
def _bodies(union: UnionType) -> Mapping[str, type]:
    return {_body_name(cls): cls for cls in get_args(union)}


@cache
def _fields(cls: type) -> tuple[_Field, ...]:
    hints = get_type_hints(cls)
    return tuple(_field(cls, field.name, hints[field.name]) for field in fields(cls))


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a message is read: all fields in one go, and then the ``checked`` ones, by position, are decoded. Of
    the rest protobuf's own type says all that there is to say."""

    read: Callable[[Any], tuple[Any, ...]]
    checked: tuple[tuple[int, _Field], ...]


@cache
def _shape(cls: type) -> _Shape:
    table = _fields(cls)
    names = [field.name for field in table]
    read = cast(Callable[[Any], tuple[Any, ...]], attrgetter(*names) if len(names) > 1 else _tuple_of(*names))
    wire_fields = getattr(pb, cls.__name__).DESCRIPTOR.fields_by_name
    return _Shape(
        read,
        tuple(
            (at, field)
            for at, field in enumerate(table)
            if field.optional or not _is_plain(field, wire_fields[field.name])
        ),
    )


def _is_plain(field: _Field, wire_field: FieldDescriptor) -> bool:
    """Whether whatever protobuf gives is a value of ours."""
    is_small = field.decode is _decode_integer and wire_field.cpp_type in _BELOW_2_63
    return is_small or field.decode is _keep


_BELOW_2_63 = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_INT64)


def _tuple_of(name: str) -> Callable[[Any], tuple[Any]]:
    return lambda wire: (getattr(wire, name),)


def _field(cls: type, name: str, hint: Any) -> _Field:
    optional = NoneType in get_args(hint)
    if optional:
        (hint,) = (present for present in get_args(hint) if present is not NoneType)
    encode, decode = _crossing(hint)
    return _Field(name, encode, _strict(cls, name) or decode, optional)


def _strict(cls: type, name: str) -> Decode | None:
    """What is asked of this field beyond its type; None for nothing."""
    if cls is Change:
        return {"scenario": _decode_scope, "value": _decode_decimal}.get(name)
    if name in _NAMES:
        return _decode_name
    if name == "digest":
        return _decode_digest
    if (cls, name) in _COUNTED_FROM_ONE:
        return _decode_number_from_one
    if (cls, name) in ((m.FileChunk, "data"), (m.Claim, "payload"), (m.Value, "payload")):
        return _decode_chunk
    return None


def _crossing(hint: Any) -> tuple[Encode, Decode]:
    """How a value of type ``hint`` crosses, either way."""
    if get_origin(hint) is tuple and get_args(hint) == (str, str):
        return (lambda pair: pb.Tag(key=pair[0], value=pair[1])), (lambda tag, _: (tag.key, tag.value))
    if get_origin(hint) is tuple:
        encode, decode = _crossing(get_args(hint)[0])
        return (lambda values: [encode(v) for v in values]), (lambda wires, u: _decode_list(decode, wires, u))
    if hint is Secrets:
        return dict, (lambda wires, _: Secrets(wires))
    if get_origin(hint) is Mapping:
        return dict, (lambda wires, _: dict(wires))
    if isinstance(hint, UnionType):  # the only nested one: `WireDelta`
        return (lambda v: pb.WireDelta(**_encode_body(v))), (lambda wire, u: _decode_body(hint, wire, u))
    if is_dataclass(hint):
        cls = cast(type, hint)
        return _encode_message, (lambda wire, u: _decode_message(cls, wire, u))
    if issubclass(hint, IntEnum):
        return int, (lambda number, _: _decode_enum(hint, number))
    decode = {int: _decode_integer, float: _decode_float}.get(hint, _keep)
    return (lambda value: value), decode


# --- values from the wire; a `ValueError` here becomes a `PeerFault` that names the field --------------------


def _keep(value: Any, _: Unknown) -> Any:
    return value


def _decode_integer(number: int, _: Unknown) -> int:
    if number > MAX_INTEGER:
        raise ValueError(f"is {number}, which is not below 2^63")
    return number


def _decode_number_from_one(number: int, unknown: Unknown) -> int:
    if number < 1:
        raise ValueError("is missing; it counts from 1")
    return _decode_integer(number, unknown)


def _decode_float(number: float, _: Unknown) -> float:
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _decode_enum(cls: type[IntEnum], number: int) -> IntEnum:
    try:
        return cls(number)
    except ValueError:
        raise _Ignored from None


def _decode_name(name: str, _: Unknown) -> str:
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise ValueError(f"has {len(name)} characters; 1 to {MAX_NAME_CHARACTERS} are expected")
    return name


def _decode_scope(scenario: str, unknown: Unknown) -> str:
    """A scenario, or "" for all of them."""
    return _decode_name(scenario, unknown) if scenario else ""


def _decode_decimal(text: str, _: Unknown) -> str:
    if text and not _DECIMAL.fullmatch(text):
        raise ValueError(f"is {text[:40]!r}, and not a decimal number")
    return text


def _decode_digest(digest: str, _: Unknown) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError("is not a SHA-256 in lower-case hex")
    return digest


def _decode_chunk(data: bytes, _: Unknown) -> bytes:
    if len(data) > MAX_CHUNK_BYTES:
        raise ValueError(f"has {len(data)} bytes; at most {MAX_CHUNK_BYTES} are allowed")
    return data
