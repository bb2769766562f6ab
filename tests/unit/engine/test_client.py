"""`Http` against real sockets: what a VU gets, what is counted, and what reaches the target."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from loadr.clock import boottime_ns
from loadr.engine.checks import check
from loadr.engine.client import Http, HttpWorker
from loadr.engine.page import LEASE_END, REQUESTS_FINISHED, REQUESTS_STARTED, new_words
from loadr.engine.recorder import Recorder
from loadr.engine.requests import prepare
from loadr.engine.response import Response
from loadr.engine.signals import IterationAborted
from loadr.engine.sparse import histogram_of
from loadr.errors import ArgumentInvalid
from loadr.metrics.histogram import Histogram
from loadr.plan.model import HttpDefaults
from loadr.units import NS_PER_MS, NS_PER_S
from support.certificates import write_certificates
from support.scripted import Peer, Scripted, answer, run, until


class Bench:
    """A worker with one scenario, and sums of what it recorded."""

    def __init__(
        self, url: str = "", *, clock: Callable[[], int] = boottime_ns, files_dir: str = ".", **defaults: object
    ) -> None:
        self.words = new_words()
        self.words[LEASE_END] = 2**62
        self.start_at = clock()
        self.clock = clock
        self.recorder = Recorder(["browse"])
        self.scenario = self.recorder.scenario("browse")
        self.worker = HttpWorker(
            asyncio.get_running_loop(), self.recorder, self.words, clock, files_dir=files_dir
        )
        self.defaults = HttpDefaults.model_validate({"base_url": url, "timeout": "5s", **defaults})
        self.http = self.worker.http(self.scenario, self.defaults)
        self.counters: dict[str, int] = {}
        self.failed = [0, 0]
        self.trends: dict[str, Histogram] = {}
        self.checks: dict[str, tuple[int, int]] = {}

    async def __aenter__(self) -> Bench:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.worker.close()

    def http_of_another_vu(self) -> Http:
        return self.worker.http(self.scenario, self.defaults)

    def take(self) -> None:
        """Sum up; an error's counter is "errors:<kind>", a request's "reqs:<status>"."""
        new_series, slices = self.recorder.take(self.start_at, self.clock(), whole=False)
        names = {new.id: (new.metric, dict(new.tags)) for new in new_series}
        for slice_ in slices:
            for number, total in slice_.counters:
                metric, tags = names[number]
                key = {
                    "http_req_errors": f"errors:{tags.get('error')}",
                    "http_reqs": f"reqs:{tags.get('status')}",
                }
                self.counters[key.get(metric, metric)] = self.counters.get(key.get(metric, metric), 0) + total
            for number, passes, fails in slice_.rates:
                metric, tags = names[number]
                if metric == "http_req_failed":
                    self.failed = [self.failed[0] + passes, self.failed[1] + fails]
                else:
                    self.checks[tags["check"]] = (passes, fails)
            for trend in slice_.trends:
                self.trends.setdefault(names[trend.series][0], Histogram()).merge(histogram_of(trend))

    def finished(self) -> tuple[int, int]:
        counts = self.scenario.counts
        return counts[REQUESTS_STARTED], counts[REQUESTS_FINISHED]


def dead_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def silent(peer: Peer) -> None:
    """Takes requests and never answers."""
    while await peer.request():
        pass


def test_a_request_is_answered_counted_and_leaves_its_connection_for_the_next() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer(b'{"id": 7}')) as target, Bench(target.url) as bench:
            for _ in range(3):
                page = await bench.http.get("/items", name="items")
                assert (page.status, page.json(), page.error, page.url) == (
                    200,
                    {"id": 7},
                    "",
                    f"{target.url}/items",
                )
                assert page.duration_ms > 0
                assert check(page, "found", page.ok)
            bench.take()
            assert target.connections == 1
            assert len(target.requests) == 3
            assert bench.counters["reqs:200"] == bench.scenario.counts[REQUESTS_STARTED] == 3
            assert bench.finished() == (3, 3)
            assert bench.failed == [0, 3]
            assert bench.checks == {"found": (3, 0)}
            assert bench.trends["http_req_duration"].count == bench.trends["http_req_blocked"].count == 3
            assert bench.trends["http_req_connecting"].sum_ns > 0
            opened = bench.trends["http_req_blocked"].sum_ns
            assert opened >= bench.trends["http_req_connecting"].sum_ns
            assert bench.trends["http_req_total"].sum_ns == bench.trends["http_req_duration"].sum_ns + opened
            phases = sum(
                bench.trends[f"http_req_{phase}"].sum_ns for phase in ("sending", "waiting", "receiving")
            )
            assert phases == bench.trends["http_req_duration"].sum_ns
            assert bench.counters["data_sent"] == sum(map(len, target.requests))
            assert bench.counters["data_received"] == 3 * len(answer(b'{"id": 7}'))

    run(scenario())


def test_methods_headers_params_and_bodies_reach_the_target_as_written() -> None:
    async def scenario() -> None:
        async with (
            Scripted.answering(answer()) as target,
            Bench(f"{target.url}/v1", headers={"accept": "application/json", "x-run": "1"}) as bench,
        ):
            http = bench.http
            await http.get("/items", params={"q": "a b"})
            await http.post("/cart", json={"id": 1}, headers={"X-Run": "2"})
            await http.put("/cart", form={"a": "x y"})
            await http.patch("/cart", body="text", headers={"content-type": "text/plain"})
            await http.delete("/cart", timeout="3s")
            await http.options("/cart", timeout=2)
            heads, bodies = zip(*(request.split(b"\r\n\r\n", 1) for request in target.requests), strict=True)
            heads = tuple(head + b"\r\n" for head in heads)
            assert [head.split(b" HTTP")[0] for head in heads] == [
                b"GET /v1/items?q=a%20b",
                *(method + b" /v1/cart" for method in (b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")),
            ]
            assert list(bodies) == [b"", b'{"id":1}', b"a=x%20y", b"text", b"", b""]
            assert b"\r\nx-run: 1\r\n" in heads[0]
            assert b"\r\nx-run: 2\r\n" in heads[1]
            assert b"\r\ncontent-type: application/json\r\n" in heads[1]
            assert b"\r\ncontent-length: 8\r\n" in heads[1]
            assert b"\r\ncontent-type: application/x-www-form-urlencoded" in heads[2]
            assert b"\r\ncontent-type: text/plain" in heads[3]
            assert all(b"\r\naccept: application/json" in head for head in heads)
            assert heads[4].count(b"\r\n") == 5

    run(scenario())


def test_a_head_request_is_answered_without_a_body() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer(b"hello")[:-5]) as target, Bench(target.url) as bench:
            for _ in range(2):
                page = await bench.http.head("/")
                assert (page.status, page.body, page.headers["content-length"]) == (200, b"", "5")
            assert target.connections == 1

    run(scenario())


def test_what_a_script_can_not_send_raises_where_it_is_written_and_counts_nothing() -> None:
    async def scenario() -> None:
        async with Bench() as bench:
            with pytest.raises(ValueError, match="base_url"):
                bench.http.get("/items")
            with pytest.raises(ValueError, match="line break"):
                bench.http.get("http://a/", headers={"x": "a\r\nb: c"})
            assert bench.scenario.counts[REQUESTS_STARTED] == 0

    run(scenario())


def test_a_header_that_a_script_changes_between_two_calls_is_sent_as_it_is_then() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer()) as target, Bench(target.url) as bench:
            headers = {"x": "1"}
            await bench.http.get("/", headers=headers)
            headers["x"] = "2"
            await bench.http.get("/", headers=headers)
            assert [b"\r\nx: 2\r\n" in request for request in target.requests] == [False, True]

    run(scenario())


def test_urls_that_never_come_again_do_not_fill_the_memory() -> None:
    async def scenario() -> None:
        async with Bench("http://127.0.0.1:9") as bench:
            for number in range(5_000):
                bench.http.get(f"/{number}").close()
            assert len(bench.http._ready) <= 1_024

    run(scenario())


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ((), "closed_early"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",), "closed_early"),
        ((b"SSH-2.0-x\r\n",), "protocol_error"),
    ],
)
def test_a_broken_answer_is_one_counted_failure_with_its_own_duration(
    chunks: tuple[bytes, ...], kind: str
) -> None:
    async def scenario() -> None:
        async def handle(peer: Peer) -> None:
            await peer.request()
            await peer.send(*chunks)

        async with Scripted(handle) as target, Bench(target.url) as bench:
            page = await bench.http.get("/")
            assert (page.status, page.error, page.body, page.ok) == (0, kind, b"", False)
            assert page.error_detail
            bench.take()
            assert (bench.counters[f"errors:{kind}"], bench.counters["reqs:0"]) == (1, 1)
            assert bench.failed == [1, 0]
            assert bench.finished() == (1, 1)
            assert bench.trends["http_req_duration"].count == 1
            assert "http_req_waiting" not in bench.trends

    run(scenario())


def test_a_reset_is_told_from_a_plain_end() -> None:
    async def scenario() -> None:
        async def handle(peer: Peer) -> None:
            await peer.request()
            sock = peer.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.reset()

        async with Scripted(handle) as target, Bench(target.url) as bench:
            assert (await bench.http.get("/")).error == "reset"

    run(scenario())


def test_a_refused_connection_has_a_total_and_no_duration() -> None:
    async def scenario() -> None:
        async with Bench(dead_url()) as bench:
            page = await bench.http.get("/")
            assert (page.status, page.error) == (0, "connect_refused")
            bench.take()
            assert (bench.counters["errors:connect_refused"], bench.counters["reqs:0"]) == (1, 1)
            assert bench.failed == [1, 0]
            assert bench.scenario.counts[REQUESTS_STARTED] == 1
            assert bench.finished() == (1, 1)
            assert bench.trends["http_req_total"].count == 1
            assert "http_req_duration" not in bench.trends

    run(scenario())


def test_a_failure_that_costs_no_time_lets_others_run() -> None:
    async def scenario() -> None:
        async with Bench("http://nowhere.example") as bench:
            bench.worker.opener._addresses["nowhere.example", 80] = []  # fails without waiting for anything
            turns = 0

            async def fail() -> None:
                for _ in range(20):
                    await bench.http.get("/")

            failing = asyncio.create_task(fail())
            while not failing.done():
                turns += 1
                await asyncio.sleep(0)
            assert turns >= 20

    run(scenario())


def test_a_request_that_is_not_answered_in_time_is_a_timeout_of_at_least_that_time() -> None:
    async def scenario() -> None:
        async with Scripted(silent) as target, Bench(target.url) as bench:
            page = await bench.http.get("/", timeout=0.1)
            assert (page.status, page.error) == (0, "timeout")
            assert page.duration_ms >= 90  # the timeout covers the connection too
            assert bench.worker._sweep_ns == 5 * NS_PER_MS
            bench.take()
            assert bench.counters["errors:timeout"] == 1
            assert bench.trends["http_req_duration"].min_ns >= 100 * NS_PER_MS * 0.9  # without the connection
            assert bench.finished() == (1, 1)

    run(scenario())


def test_a_response_that_trickles_does_not_outlive_the_timeout() -> None:
    async def scenario() -> None:
        async def trickle(peer: Peer) -> None:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                await peer.send(b"1\r\nx\r\n")
                await asyncio.sleep(0.005)

        async with Scripted(trickle) as target, Bench(target.url, timeout="100ms") as bench:
            assert (await bench.http.get("/")).error == "timeout"

    run(scenario())


def test_a_connection_that_the_target_closed_while_it_was_idle_is_nobodys_failure() -> None:
    async def scenario() -> None:
        closed = asyncio.Event()

        async def one_each(peer: Peer) -> None:
            await peer.request()
            await peer.send(answer())
            peer.close()
            await peer.writer.wait_closed()
            closed.set()

        async with Scripted(one_each) as target, Bench(target.url) as bench:
            for number in range(3):
                assert (await bench.http.get("/")).status == 200
                await closed.wait()
                closed.clear()
                if number:  # in one round the end of the connection is not noticed before the next request
                    await until(lambda: not bench.worker.opener.connections)
            bench.take()
            assert target.connections == 3
            assert bench.failed == [0, 3]

    run(scenario())


def test_bytes_that_nobody_asked_for_are_counted_once_and_the_next_request_is_fine() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer() + b"surprise") as target, Bench(target.url) as bench:
            assert [(await bench.http.get("/")).status for _ in range(2)] == [200, 200]
            bench.take()
            assert bench.counters["errors:protocol_error"] == 2
            assert bench.failed == [0, 2]
            assert target.connections == 2

    run(scenario())


def test_bytes_on_an_idle_connection_are_counted_with_the_next_request() -> None:
    async def scenario() -> None:
        async def talkative(peer: Peer) -> None:
            while await peer.request():
                await peer.send(answer())
                if peer.number == 0:
                    await peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

        async with Scripted(talkative) as target, Bench(target.url) as bench:
            await bench.http.get("/")
            await until(lambda: not bench.worker.opener.connections)
            assert (await bench.http.get("/")).status == 200
            bench.take()
            assert bench.counters.get("errors:protocol_error") == 1
            assert bench.counters["reqs:200"] == 2

    run(scenario())


def test_nothing_is_dispatched_at_the_end_of_the_lease() -> None:
    async def scenario() -> None:
        now = NS_PER_S
        async with Scripted.answering(answer()) as target, Bench(target.url, clock=lambda: now) as bench:
            bench.words[LEASE_END] = now + 1
            assert (await bench.http.get("/")).status == 200
            now += 1
            with pytest.raises(IterationAborted) as caught:
                await bench.http.get("/")
            assert caught.value.reason == "lease"
            bench.words[LEASE_END] = 0
            with pytest.raises(IterationAborted):
                await bench.http_of_another_vu().get("/")
            assert len(target.requests) == target.connections == 1
            assert bench.scenario.counts[REQUESTS_STARTED] == 1

    run(scenario())


def test_a_lease_that_ends_while_the_connection_opens_stops_the_request_too() -> None:
    async def scenario() -> None:
        readings = iter(range(1, 1_000))
        async with (
            Scripted.answering(answer()) as target,
            Bench(target.url, clock=lambda: next(readings)) as bench,
        ):
            bench.words[LEASE_END] = next(readings) + 3
            with pytest.raises(IterationAborted):
                await bench.http.get("/")
            assert bench.scenario.counts[REQUESTS_STARTED] == 0
            assert target.requests == []
            bench.words[LEASE_END] = 2**62
            assert (await bench.http.get("/")).status == 200
            assert target.connections == 1  # the connection was kept

    run(scenario())


def test_a_request_that_is_cancelled_after_its_write_counts_as_interrupted() -> None:
    async def scenario() -> None:
        written = asyncio.Event()

        async def handle(peer: Peer) -> None:
            await peer.request()
            written.set()
            await peer.request()

        async with Scripted(handle) as target, Bench(target.url, timeout="60s") as bench:
            task = asyncio.ensure_future(bench.http.get("/"))
            await written.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: not bench.worker.opener.connections)
            bench.take()
            assert (bench.counters["reqs:0"], bench.counters["errors:interrupted"]) == (1, 1)
            assert bench.failed == [0, 0]
            assert "http_req_duration" not in bench.trends
            assert bench.finished() == (1, 1)
            assert (await asyncio.wait_for(bench.http.get("/", timeout=0.05), 5)).error == "timeout"
            assert target.connections == 2

    run(scenario())


def test_a_request_that_is_cancelled_before_its_write_counts_nothing() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer()) as target, Bench(target.url) as bench:
            task = asyncio.ensure_future(bench.http.get("/"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            bench.take()
            assert bench.scenario.counts[REQUESTS_STARTED] == 0
            assert bench.counters == {}
            assert (await bench.http.get("/")).status == 200

    run(scenario())


def test_abort_ends_requests_of_the_same_vu_as_interrupted_and_no_others() -> None:
    async def scenario() -> None:
        asked = asyncio.Semaphore(0)

        async def handle(peer: Peer) -> None:
            await peer.request()
            asked.release()
            await peer.request()

        async with Scripted(handle) as target, Bench(target.url) as bench:
            other_http = bench.http_of_another_vu()
            mine = [asyncio.ensure_future(bench.http.get("/")) for _ in range(2)]
            other = asyncio.ensure_future(other_http.get("/"))
            for _ in range(3):
                await asked.acquire()
            bench.http.abort()
            pages: list[Response] = await asyncio.gather(*mine)
            assert [page.error for page in pages] == ["interrupted", "interrupted"]
            assert not other.done()
            await bench.worker.close()
            assert (await other).error == "interrupted"
            bench.take()
            assert bench.counters["errors:interrupted"] == bench.counters["reqs:0"] == 3
            assert bench.failed == [0, 0]

    run(scenario())


def test_requests_at_once_of_one_vu_have_a_connection_each_and_share_them_later() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer()) as target, Bench(target.url) as bench:
            for _ in range(3):
                pages = await asyncio.gather(*(bench.http.get("/") for _ in range(4)))
                assert [page.status for page in pages] == [200] * 4
            assert target.connections == 4

    run(scenario())


def test_only_the_first_request_of_an_open_iteration_has_a_response_time() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer()) as target, Bench(target.url) as bench:
            bench.http.first_intended_ns = boottime_ns() - NS_PER_S
            for _ in range(3):
                await bench.http.get("/")
            bench.take()
            assert bench.trends["http_req_response_time"].count == 1
            assert bench.trends["http_req_response_time"].min_ns >= NS_PER_S
            assert bench.http.first_intended_ns == 0

    run(scenario())


def test_a_failed_first_request_has_its_response_time_too() -> None:
    async def scenario() -> None:
        async with Bench(dead_url()) as bench:
            bench.http.first_intended_ns = boottime_ns() - NS_PER_S
            await bench.http.get("/")
            bench.take()
            assert bench.trends["http_req_response_time"].min_ns >= NS_PER_S

    run(scenario())


def test_the_seam_of_flows_splices_a_body_behind_a_prepared_head() -> None:
    async def scenario() -> None:
        async with Scripted.answering(answer()) as target, Bench(target.url) as bench:
            prepared = prepare("POST", "/cart", base_url=target.url)
            series = bench.scenario.request("POST", "cart")
            for body in (b"one", b"x" * 3_000_000):
                page = await bench.http.send(series, prepared.target, prepared.head(len(body)), body)
                assert page.status == 200
            assert [request.partition(b"\r\n\r\n")[2] for request in target.requests] == [
                b"one",
                b"x" * 3_000_000,
            ]
            assert target.connections == 1

    run(scenario())


def test_tls_is_spoken_with_the_plans_authority_and_kept_alive(tmp_path: Path) -> None:
    certificates = write_certificates(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificates.controller_cert, certificates.controller_key)

    async def scenario() -> None:
        large = answer(b"y" * 200_000)
        async with (
            Scripted.answering(answer(), large, tls=served) as target,
            Bench(target.url, files_dir=str(tmp_path), tls_ca="ca.pem") as bench,
        ):
            assert (await bench.http.get("/")).status == 200
            assert (await bench.http.get("/")).size == 200_000
            page = await bench.http.post("/", body="z" * 300_000)
            assert page.status == 200
            bench.take()
            assert target.connections == 1
            assert bench.trends["http_req_tls_handshaking"].sum_ns > 0
        async with Scripted.answering(answer(), tls=served) as target, Bench(target.url) as bench:
            assert (await bench.http.get("/")).error == "tls_certificate"
        async with (
            Scripted.answering(answer(), tls=served) as target,
            Bench(target.url, tls_verify=False) as bench,
        ):
            assert (await bench.http.get("/")).status == 200

    run(scenario())


def test_a_ca_file_that_is_not_there_is_a_fault_of_the_plan_and_not_of_every_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(ArgumentInvalid, match="absent"):
            Bench("https://a", files_dir=str(tmp_path), tls_ca="absent.pem")

    run(scenario())


def test_heads_that_never_come_again_are_forgotten() -> None:
    async def scenario() -> None:
        async def unique(peer: Peer) -> None:
            number = 0
            while await peer.request():
                number += 1
                await peer.send(answer(b"ok", "200 OK", f"x-id: {number}"))

        async with Scripted(unique) as target, Bench(target.url) as bench:
            known = bench.worker.opener.known_heads
            for _ in range(1_100):
                assert (await bench.http.get("/")).status == 200
                assert len(known) <= 1_024
            bench.worker._forget_at = 0
            bench.worker._sweep()
            assert len(known) <= 76

    run(scenario())
