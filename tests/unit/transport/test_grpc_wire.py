"""Every way in which gRPC says that a stream is over becomes one `WireEnd` in words."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest

from loadr.transport.grpc_wire import METHOD_NAME, SERVICE, stream_errors
from loadr.transport.stream_link import WireEnd


def failure(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (failure(grpc.StatusCode.ABORTED, "fenced"), "the controller ended the session: fenced"),
        (failure(grpc.StatusCode.UNIMPLEMENTED, "x"), "what answers there is no loadr controller"),
        (failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full"), "the controller takes no more sessions (full)"),
        (failure(grpc.StatusCode.UNAVAILABLE, "Socket closed"), "the connection was lost (Socket closed)"),
        (failure(grpc.StatusCode.CANCELLED, ""), "the connection was lost"),
        (asyncio.InvalidStateError("RPC already finished."), "the connection was lost"),
        (asyncio.CancelledError(), "the connection was lost"),
    ],
)
def test_an_error_of_grpc_is_an_end_that_is_not_clean(error: BaseException, reason: str) -> None:
    async def main() -> None:
        with pytest.raises(WireEnd) as caught, stream_errors():
            raise error
        assert (caught.value.reason, caught.value.clean) == (reason, False)

    asyncio.run(main())


def test_a_cancellation_of_ours_stays_one() -> None:
    async def wait() -> None:
        with stream_errors():
            await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        assert task.cancelled()

    asyncio.run(main())


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), stream_errors():
        raise KeyError("ours")


def test_the_method_is_split_as_grpc_wants_it() -> None:
    assert (SERVICE, METHOD_NAME) == ("loadr.coordination.v1.Coordination", "Session")
