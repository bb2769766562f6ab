"""gRPC ignores names that it does not know, so each name is looked up in the library itself."""

from __future__ import annotations

from pathlib import Path

import grpc._cython.cygrpc as library
import pytest

from loadr.transport.channel_options import BOTH_ENDS, CLIENT, METHOD, SERVER
from loadr.transport.generated import coordination_pb2 as pb


@pytest.fixture(scope="module")
def library_bytes() -> bytes:
    return Path(library.__file__).read_bytes()


def is_known(name: str, library_bytes: bytes) -> bool:
    return name.encode() + b"\0" in library_bytes


@pytest.mark.parametrize("name", sorted({*BOTH_ENDS, *CLIENT, *SERVER}))
def test_every_argument_is_known_to_grpc(name: str, library_bytes: bytes) -> None:
    assert is_known(name, library_bytes)


def test_a_misspelt_argument_would_be_noticed(library_bytes: bytes) -> None:
    assert not is_known("grpc.keepalive_time", library_bytes)


def test_the_arguments_that_guard_against_known_traps_are_set() -> None:
    assert SERVER["grpc.so_reuseport"] == 0
    assert CLIENT["grpc.enable_http_proxy"] == CLIENT["grpc.enable_retries"] == 0
    assert CLIENT["grpc.use_local_subchannel_pool"] == 1
    keepalive = {name: value for name, value in BOTH_ENDS.items() if "keepalive" in name or "ping" in name}
    assert len(keepalive) == 5
    assert keepalive.items() <= CLIENT.items() & SERVER.items()


def test_the_method_is_the_one_of_the_proto() -> None:
    service = pb.DESCRIPTOR.services_by_name["Coordination"]
    assert f"/{service.full_name}/{service.methods[0].name}" == METHOD
