"""An agent by somebody else: written from docs/reference/protocol.md and the `.proto`, without any code of loadr.

It can do what one plan of the test needs: one open scenario with Poisson arrivals at a constant rate and one GET,
one iteration at a time. It runs in a thread of the test and ends when its one run is over.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import math
import queue
import threading
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc

from loadr.transport.generated import coordination_pb2 as pb  # what protoc makes of the .proto

METHOD = "/loadr.coordination.v1.Coordination/Session"
S = 1_000_000_000
WORD = (1 << 64) - 1
LATEST_NS = 250_000_000

# --- "Who owns iteration k" ----------------------------------------------------------------------------------


def slot_offset(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"loadr slots {seed} {name}".encode()).digest()[:4], "little")


def is_owned(bitmap: bytes, k: int, offset: int) -> bool:
    slot = (k + offset) % (8 * len(bitmap))
    return bool(bitmap[slot // 8] >> slot % 8 & 1)


# --- "When iteration k happens" ------------------------------------------------------------------------------


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> list[int]:
    """Philox 4×64 with ten rounds, as its paper has it."""
    c, k = list(counter), list(key)
    for i in range(10):
        if i:
            k = [(k[0] + 0x9E3779B97F4A7C15) & WORD, (k[1] + 0xBB67AE8584CAA73B) & WORD]
        first, second = c[0] * 0xD2E7470EE14C6C93, c[2] * 0xCA5A826395121157
        c = [second >> 64 ^ c[1] ^ k[0], second & WORD, first >> 64 ^ c[3] ^ k[1], first & WORD]
    return c


def natural_log(u: float) -> float:
    m, e = math.frexp(u)
    if m < math.sqrt(0.5):
        m, e = m * 2.0, e - 1
    f = (m - 1.0) / (m + 1.0)
    s, p = f * f, 1.0 / 23
    for denominator in range(21, 0, -2):
        p = p * s + 1.0 / denominator
    return e * 0.693145751953125 + (e * 1.42860682030941723212e-6 + 2.0 * f * p)


def poisson_marks(seed: int, name: str, end: float) -> Iterator[float]:
    digest = hashlib.sha256(f"loadr arrivals {seed} {name}".encode()).digest()
    key = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")
    before, chunk = 0.0, 0
    while True:
        total = 0.0
        for block in range(1, 1025):
            for word in philox((block, 0, 0, chunk), key):
                total += -natural_log(((word >> 12) + 0.5) * 2.0**-52)
                if before + total > end:
                    return
                yield before + total
        before, chunk = before + total, chunk + 1


# --- "Histograms" --------------------------------------------------------------------------------------------


def hdr(samples_ns: list[int]) -> bytes:
    counts: Counter[int] = Counter()
    for ns in samples_ns:
        us = ns // 1000
        shift = max(us.bit_length() - 11, 0)
        counts[(shift << 10) + (us >> shift)] += 1
    numbers, next_bucket = [], 0
    for bucket, count in sorted(counts.items()):
        if bucket > next_bucket:
            numbers.append(2 * (bucket - next_bucket) - 1)  # ZigZag of minus so many zeros
        numbers.append(2 * count)
        next_bucket = bucket + 1
    body = b"".join(leb128(number) for number in numbers)
    header = (0x1C849313, 4), (len(body), 4), (0, 4), (3, 4), (1, 8), (86_400_000_000, 8), (0x3FF0 << 48, 8)
    return b"".join(value.to_bytes(size, "big") for value, size in header) + body


def leb128(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


# --- the agent -----------------------------------------------------------------------------------------------


class Stranger:
    """``failure`` says why it ended early; None if it said goodbye."""

    def __init__(self, address: str, name: str) -> None:
        self.failure: BaseException | None = None
        self._address = address
        self._name = name
        self._out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._in: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._beat, self._sent, self._echo = 0, {}, (0, 0, 0)
        self._beat_due_ns = 2**63
        self._exchanges: list[tuple[int, int]] = []  # round trip, offset
        self._run: Run | None = None

    def start(self) -> None:
        self._thread.start()

    def join(self, limit_s: float) -> None:
        self._thread.join(limit_s)
        assert not self._thread.is_alive(), "it has not ended"

    def _live(self) -> None:
        try:
            with grpc.insecure_channel(self._address) as channel:
                session = channel.stream_stream(
                    METHOD, pb.AgentMessage.SerializeToString, pb.ControllerMessage.FromString
                )(iter(self._out.get, None))
                threading.Thread(target=self._read, args=(session,), daemon=True).start()
                self._say(register=pb.Register(
                    protocol_min=1, protocol_max=1, agent_id=self._name, incarnation=uuid.uuid4().hex, weight=1
                ))  # fmt: skip
                while self._turn():
                    pass
                while self._in.get(timeout=10)[1] is not None:
                    pass  # until the controller has ended the stream, too
        except BaseException as failure:  # noqa: BLE001 - told by the test
            self.failure = failure

    def _read(self, session: Any) -> None:
        with contextlib.suppress(grpc.RpcError):
            for message in session:
                self._in.put((time.clock_gettime_ns(time.CLOCK_BOOTTIME), message))
        self._in.put((0, None))

    def _say(self, **body: Any) -> None:
        self._out.put(pb.AgentMessage(**body))

    def _turn(self) -> bool:
        """Wait for what comes first; False when the run is over and goodbye was said."""
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        due_ns = min(self._beat_due_ns, self._run.due_ns() if self._run else 2**63)
        try:
            came_ns, message = self._in.get(timeout=min(max(due_ns - now_ns, 0) / S, 30))
        except queue.Empty:
            now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            if now_ns >= self._beat_due_ns:
                self._send_beat()
            for said in self._run.turn(now_ns) if self._run else ():
                self._say(**said)
            return True
        if message is None:
            raise ConnectionError("the stream ended")
        return self._obey(message, came_ns)

    def _send_beat(self) -> None:
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._beat += 1
        self._sent[self._beat] = now_ns
        self._beat_due_ns = now_ns + self._beat_ns
        number, sent_ns, received_ns = self._echo
        beat = pb.AgentBeat(number=self._beat, sent_mono_ns=now_ns, echo_number=number)
        beat.echo_sent_mono_ns, beat.echo_received_mono_ns = sent_ns, received_ns
        if self._run:
            beat.runs.append(self._run.health())
        self._say(agent_beat=beat)

    def _obey(self, message: Any, came_ns: int) -> bool:
        kind = message.WhichOneof("body")
        body = getattr(message, kind)
        if kind == "refused":
            raise ConnectionError(f"{body.reason} ({body.hint})")
        if kind == "registered":
            self._beat_ns = body.beat_ns
            self._send_beat()
        elif kind == "controller_beat":
            t0, t1, t2 = self._sent.pop(body.echo_number), body.echo_received_mono_ns, body.sent_mono_ns
            self._echo = body.number, t2, came_ns
            self._exchanges.append(((came_ns - t0) - (t2 - t1), ((t1 - t0) + (t2 - came_ns)) // 2))
            for grant in body.grants:
                if self._run:
                    self._run.lease_end_ns = t0 + grant.lease_ns
                self._beat_ns = min(self._beat_ns, grant.lease_ns // 5)
            if self._beat < 8:
                self._send_beat()
        elif kind == "assignment":
            assert hashlib.sha256(body.plan_json).hexdigest() == body.plan_digest
            self._run = Run(body)
            self._say(prepared=pb.Prepared(run_id=body.run_id, generation=body.generation))
            self._send_beat()
        elif kind == "desired" and self._run and body.revision > self._run.revision:
            return self._want(self._run, body)
        return True

    def _want(self, run: Run, desired: Any) -> bool:
        run.revision = desired.revision
        rtt_ns, offset_ns = min(self._exchanges[-8:])
        if desired.phase == pb.RUN_PHASE_ARMED:
            run.own(desired.shares)
            armed = pb.Armed(run_id=run.run_id, generation=run.generation, clock_bound_ns=rtt_ns // 2 + 1)
            self._say(armed=armed)
        elif desired.phase == pb.RUN_PHASE_RUNNING:
            run.own(desired.shares)
            run.start_ns = desired.start_controller_ns - offset_ns
        elif desired.phase == pb.RUN_PHASE_NONE:
            self._say(goodbye=pb.Goodbye(reason="the run is over", drained=True))
            self._out.put(None)
            return False
        else:
            raise NotImplementedError("the test stops nothing")
        run.phase = desired.phase
        self._send_beat()
        return True


class Run:
    """One scenario: seconds are told when they are over, the rest when it has ended."""

    def __init__(self, assignment: Any) -> None:
        self.run_id, self.generation = assignment.run_id, assignment.generation
        self.revision, self.phase = 0, pb.RUN_PHASE_READY
        self.lease_end_ns, self.start_ns = 0, 0
        plan = json.loads(assignment.plan_json)
        ((self._name, scenario),) = plan["scenarios"].items()
        assert (scenario["executor"], scenario["time_unit"]) == ("constant-arrival-rate", "1s")
        self._length_s = int(scenario["duration"].removesuffix("s"))
        self._url = urllib.parse.urlsplit(
            plan["defaults"]["http"]["base_url"] + scenario["flow"][0]["request"]["url"]
        )
        rate = scenario["rate"]
        marks = poisson_marks(plan["seed"], self._name, rate * self._length_s)
        self._planned = [round(mark / rate * S) for mark in marks]
        self._offset = slot_offset(plan["seed"], self._name)
        self._shares: list[tuple[int, bytes]] = []
        self._next = self._seq = 0
        self._second, self._durations, self._dropped = 0, list[int](), 0
        self._ledger = Counter[str]()
        self._ended = False
        self._connection = http.client.HTTPConnection(self._url.netloc, timeout=5)

    def own(self, shares: Any) -> None:
        for share in shares:
            self._shares = [one for one in self._shares if one[0] < share.from_run_ns]
            self._shares.append((share.from_run_ns, share.slots))

    def health(self) -> Any:
        return pb.RunHealth(
            run_id=self.run_id, generation=self.generation, phase=self.phase, revision=self.revision, vus=1
        )

    def due_ns(self) -> int:
        if not self.start_ns or self._ended:
            return 2**63
        if not self._seq:
            return self.start_ns
        arrival_ns = self._planned[self._next] if self._next < len(self._planned) else 2**62
        return self.start_ns + min(arrival_ns, (self._second + 1) * S)

    def turn(self, now_ns: int) -> Iterator[dict[str, Any]]:
        """What is to be said now."""
        if not self.start_ns or self._ended or now_ns < self.start_ns:
            return
        if not self._seq:
            started = {"start_mono_ns": self.start_ns, "start_error_ns": now_ns - self.start_ns}
            yield {"run_event": self._event(pb.RUN_EVENT_KIND_STARTED, **started)}
        while self._next < len(self._planned) and self.start_ns + self._planned[self._next] <= now_ns:
            self._arrive(self._next)
            self._next += 1
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if now_ns >= self.start_ns + (self._second + 1) * S:
            if self._durations or self._dropped:
                yield {"metrics": self._metrics()}
            self._second = (now_ns - self.start_ns) // S
            if self._second >= self._length_s:
                self._ended = True
                ledger = pb.Ledger(scenario=self._name, **self._ledger)
                yield {"run_event": self._event(pb.RUN_EVENT_KIND_FINISHED, ledgers=[ledger])}

    def _arrive(self, k: int) -> None:
        planned_ns = self._planned[k]
        slots = next(slots for from_ns, slots in reversed(self._shares) if from_ns <= planned_ns)
        if not is_owned(slots, k, self._offset):
            return
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        assert now_ns < self.lease_end_ns, "the test lets no lease end"
        self._ledger["planned"] += 1
        if now_ns > self.start_ns + planned_ns + LATEST_NS:
            self._ledger["dropped"] += 1
            self._dropped += 1
            return
        self._ledger.update(("started", "requests"))
        self._connection.request("GET", f"{self._url.path}?{self._url.query}")
        self._connection.getresponse().read()
        self._durations.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now_ns)
        self._ledger["finished"] += 1

    def _event(self, kind: int, **fields: Any) -> Any:
        self._seq += 1
        return pb.RunEvent(run_id=self.run_id, generation=self.generation, seq=self._seq, kind=kind, **fields)

    def _metrics(self) -> Any:
        """Everything since the last one is filed under one interval that reaches to now."""
        self._seq += 1
        batch = pb.Metrics(run_id=self.run_id, generation=self.generation, seq=self._seq)
        kinds = {"http_reqs": 1, "iterations": 1, "dropped_iterations": 1, "http_req_duration": 3}
        if self._seq == 2:
            tags = [pb.Tag(key="scenario", value=self._name)]
            for number, (metric, kind) in enumerate(kinds.items(), 1):
                batch.new_series.append(pb.SeriesEntry(id=number, metric=metric, kind=kind, tags=tags))
        samples, self._durations = self._durations, []
        interval = batch.intervals.add(t0_s=self._second, t1_s=self._second + 1)
        for series, total in ((1, len(samples)), (2, len(samples)), (3, self._dropped)):
            interval.deltas.add(wire_counter=pb.WireCounter(series=series, total=total))
        self._dropped = 0
        if samples:
            exact = {"sum_ns": sum(samples), "min_ns": min(samples), "max_ns": max(samples)}
            trend = pb.WireTrend(series=4, hdr=hdr(samples), count=len(samples), **exact)
            interval.deltas.add(wire_trend=trend)
        return batch
