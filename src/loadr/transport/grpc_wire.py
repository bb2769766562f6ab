"""What both ends of gRPC share: its many ways to say that a stream is over, told as one `WireEnd`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from loadr.transport.channel_options import METHOD
from loadr.transport.stream_link import WireEnd

import grpc  # isort: skip  (after channel_options, which settles how it logs)
import grpc.aio  # isort: skip

SERVICE, _, METHOD_NAME = METHOD.strip("/").partition("/")
CLOSED = "the peer closed the session"
ENDED = "the stream ended"  # on the server gRPC tells a half-close and a broken connection alike
LOST = "the connection was lost"


@contextmanager
def stream_errors() -> Iterator[None]:
    """Around a read or a write: whatever gRPC raises becomes `WireEnd`; a cancellation of ours stays one."""
    try:
        yield
    except asyncio.CancelledError:
        # gRPC raises it for a stream that broke, too, although nobody cancelled this task.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise WireEnd(LOST, clean=False) from None
    except grpc.aio.AioRpcError as error:
        raise WireEnd(_tell(error), clean=False) from None
    except (grpc.RpcError, grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError):
        raise WireEnd(LOST, clean=False) from None


def _tell(error: grpc.aio.AioRpcError) -> str:
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.ABORTED:
        return f"the controller ended the session: {details}"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "what answers there is no loadr controller"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return f"the controller takes no more sessions ({details})"
    return f"{LOST} ({details})" if details else LOST
