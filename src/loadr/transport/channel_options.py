"""gRPC's channel arguments, in one place: gRPC ignores a misspelt name without a word, so a test pins them.

Importing this module also settles how gRPC logs, so it comes before any import of grpc: its C core writes to
stderr by itself, unfiltered and without limit (a line for each port scan); what matters is said in our words.
"""

from __future__ import annotations

import os

from loadr.transport.codec import MAX_MESSAGE_BYTES

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

METHOD = "/loadr.coordination.v1.Coordination/Session"

BOTH_ENDS: dict[str, int] = {
    # Pings are answered by C threads while Python is stuck: they prove the host, beats prove the program.
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
    "grpc.http2.min_ping_interval_without_data_ms": 5_000,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
}

CLIENT: dict[str, int] = {
    **BOTH_ENDS,
    "grpc.enable_http_proxy": 0,  # on by default; a test machine's http_proxy must not see this traffic
    "grpc.enable_retries": 0,  # when to try again is decided by the agent's core
    "grpc.use_local_subchannel_pool": 1,  # a new dial must not inherit an old one's backoff
    "grpc.service_config_disable_resolution": 1,  # no DNS TXT look-ups
}

SERVER: dict[str, int] = {
    **BOTH_ENDS,
    "grpc.so_reuseport": 0,  # on by default: two controllers would share a port without a word
    "grpc.server_handshake_timeout_ms": 10_000,
    "grpc.max_connection_idle_ms": 5_000,  # a connection without a session is of no use
    "grpc.max_allowed_incoming_connections": 5_000,  # a few more than there may be sessions
    "grpc.max_concurrent_streams": 4,  # per connection; an agent has one, two while it changes streams
}
