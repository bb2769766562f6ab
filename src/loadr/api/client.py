"""The other end of the API: a run of a plan on the agents of a controller, as `loadr run --controller` does it.

`ControllerClient` makes one blocking HTTP request per call; `RemoteRun` uploads, submits, watches and stops.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from loadr.api.facade import MAX_FILE_BYTES
from loadr.errors import ArgumentInvalid, FleetFault, Unreachable
from loadr.masking import NO_SECRETS, Secrets
from loadr.transport.address import parse_address
from loadr.transport.tokens import read_token
from loadr.units import format_bytes

if TYPE_CHECKING:
    from loadr.plan.model import Plan
    from loadr.verdict.model import LiveView, Summary

REQUEST_S = 10.0  # for each wait within one request
VIEW_EVERY_S = 0.5
GONE_AFTER_S = 10.0  # a controller that does not answer for so long is gone

T = TypeVar("T")


class LoadedPlan(Protocol):
    """A plan, and where on this machine each of its files stands, by its path in the plan."""

    @property
    def plan(self) -> Plan: ...

    @property
    def files(self) -> Mapping[str, Path]: ...


class _Submitted(msgspec.Struct):
    run_id: str


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """What the API may ask for. ``ca``: who signed its certificate (None: whom this machine trusts)."""

    ca: Path | None = None
    token_file: Path | None = None


class ControllerClient:
    """``address`` is HOST:PORT of a controller's API. Off loopback, and where a CA is given, TLS is spoken.

    Raises `ArgumentInvalid` when ``address`` is none, or what ``access`` names can not be used.

    Every method blocks, a few times `REQUEST_S` at most. They raise `Unreachable` when nobody, or something else,
    answers, and `FleetFault` or `ArgumentInvalid` with the controller's own words when it says no.
    """

    def __init__(self, address: str, access: ApiAccess | None = None) -> None:
        self._address = parse_address(address)
        access = access or ApiAccess()
        self._token = "" if access.token_file is None else read_token(access.token_file, "--api-token-file")
        self._tls: ssl.SSLContext | None = None
        if access.ca is not None or not self._address.loopback:
            self._tls = _trusting(access.ca)

    @property
    def address(self) -> str:
        return str(self._address)

    def status(self) -> dict[str, Any]:
        """Version, agents, runs."""
        status: dict[str, Any] = self._decode(self._get("/v1/status"), dict)
        return status

    def has_file(self, digest: str) -> bool:
        """Whether the controller keeps this content already."""
        return self._request("HEAD", f"/v1/files/{digest}")[0] == 200

    def put_file(self, name: str, digest: str, path: Path) -> None:
        """Upload one file; ``name`` is for messages."""
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise ArgumentInvalid(
                    f"the plan's file {name!r} is over the limit of {format_bytes(MAX_FILE_BYTES)}",
                    hint="make it smaller, or run without --controller",
                )
            data = path.read_bytes()
        except OSError as error:
            raise ArgumentInvalid(f"the plan's file {name!r} can not be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise ArgumentInvalid(
                f"the plan's file {name!r} changed after the plan was loaded", hint="start it again"
            )
        self._checked("PUT", f"/v1/files/{digest}", data, "application/octet-stream")

    def submit(
        self,
        plan_json: bytes,
        *,
        expect_agents: int = 0,
        labels: Mapping[str, str] | None = None,
        wait_s: float | None = None,
        secrets: Mapping[str, str] = NO_SECRETS,
    ) -> str:
        """Begin a run of a plan whose files are there; its id. ``expect_agents`` 0: as many as there are; only
        those with all of ``labels`` count."""
        wish = {"expect_agents": expect_agents, "labels": labels or {}, "wait_s": wait_s}
        body = msgspec.json.encode({"plan": msgspec.Raw(plan_json), "secrets": dict(secrets), **wish})
        return self._decode(self._checked("POST", "/v1/runs", body)[1], _Submitted).run_id

    def view(self, run_id: str) -> LiveView:
        """The live view of a run."""
        from loadr.verdict.model import LiveView

        return self._decode(self._get(f"/v1/runs/{run_id}"), LiveView)

    def summary(self, run_id: str) -> Summary | None:
        """The summary of a run; None while it is going on."""
        from loadr.verdict.model import Summary

        status, body = self._checked("GET", f"/v1/runs/{run_id}/summary")
        return None if status == 202 else self._decode(body, Summary)

    def stop(self, run_id: str, *, graceful: bool) -> None:
        """Let iterations finish, or interrupt them."""
        self._checked("POST", f"/v1/runs/{run_id}/stop", msgspec.json.encode({"graceful": graceful}))

    def change(self, run_id: str, kind: str, scenario: str = "", value: str = "") -> tuple[float, float]:
        """Change a live run; the instant of effect in seconds of the run, and how far off that is."""
        body = msgspec.json.encode({"kind": kind, "scenario": scenario, "value": value})
        answer = self._decode(self._checked("POST", f"/v1/runs/{run_id}/changes", body)[1], dict)
        return float(answer["at_s"]), float(answer["in_s"])

    def _get(self, path: str) -> bytes:
        return self._checked("GET", path)[1]

    def _checked(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """(status, body) of an answer that is no error."""
        status, answer = self._request(method, path, body, content_type)
        if status < 400:
            return status, answer
        try:
            words = msgspec.json.decode(answer, type=dict[str, Any])
            message, hint = str(words["error"]), str(words.get("hint", ""))
        except (msgspec.DecodeError, KeyError):
            raise self._stranger(f"it answers {method} {path} with {status}") from None
        if status in (400, 413):
            raise ArgumentInvalid(message, hint=hint)
        raise FleetFault(f"the controller at {self._address} says: {message}", hint=hint)

    def _request(
        self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        connection = self._connection()
        headers = {"Host": str(self._address), "Connection": "close"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ssl.SSLError as error:
            raise self._not_trusted(error) from None
        except (http.client.HTTPException, ConnectionResetError) as error:
            raise self._stranger(type(error).__name__) from None
        except TimeoutError:
            raise Unreachable(
                f"no controller answers at {self._address} within {REQUEST_S:.0f} s",
                hint="is the address right? start one with: loadr controller",
            ) from None
        except OSError as error:
            raise Unreachable(
                f"no controller answers at {self._address}: {error.strerror or error}",
                hint="start one with: loadr controller",
            ) from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._address.host, self._address.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=REQUEST_S)
        return http.client.HTTPSConnection(host, port, timeout=REQUEST_S, context=self._tls)

    def _not_trusted(self, error: ssl.SSLError) -> FleetFault:
        if isinstance(error, ssl.SSLCertVerificationError):
            return FleetFault(
                f"the certificate of the API at {self._address} is not to be trusted: {error.verify_message}",
                hint="give --api-ca the authority that signed it, and dial a name that stands in it",
            )
        return Unreachable(
            f"the API at {self._address} does not speak TLS ({error.reason})",
            hint="leave --api-ca out for an API on loopback, or start the controller with --api-tls-cert",
        )

    def _decode(self, body: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise self._stranger(str(error)) from None

    def _stranger(self, detail: str) -> Unreachable:
        return Unreachable(
            f"what answers at {self._address} is not the API of a controller of this version ({detail})",
            hint="give the controller's --api address (not its --bind address), and --api-ca if it speaks TLS;"
            " use one version on both ends",
        )


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        what = "holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else "can not be read"
        raise ArgumentInvalid(f"{ca} (--api-ca) {what}", hint="give the controller's ca.pem") from None


class RemoteRun:
    """One run on the agents of the controller whose API is at ``address``.

    ``on_view`` is called about twice a second with the live view.
    """

    def __init__(
        self,
        loaded: LoadedPlan,
        address: str,
        *,
        access: ApiAccess | None = None,
        secrets: Secrets = NO_SECRETS,
        on_view: Callable[[LiveView], None] = lambda _: None,
        expect_agents: int = 0,
        labels: Mapping[str, str] | None = None,
        wait_s: float | None = None,
    ) -> None:
        self._loaded = loaded
        self._wish: dict[str, Any] = {"expect_agents": expect_agents, "labels": labels, "wait_s": wait_s}
        self._client = ControllerClient(address, access)
        self._secrets = secrets
        self._on_view = on_view
        self._stops = 0
        self._stops_sent = 0
        self._woken = asyncio.Event()

    async def run(self) -> Summary:
        """Upload what the controller lacks, submit, watch to the end; the summary.

        Raises `Unreachable` without a controller, or when it goes away; `FleetFault` and `ArgumentInvalid` with
        the controller's words when it does not take the run.
        """
        await self._upload()
        if self._stops:
            raise FleetFault("stopped before the run began")
        run_id = await asyncio.to_thread(
            self._client.submit, self._loaded.plan.canonical_json(), secrets=self._secrets, **self._wish
        )
        heard_s = self._now_s()
        while True:
            self._woken.clear()
            try:
                summary = await self._look(run_id)
                heard_s = self._now_s()
            except Unreachable as fault:
                if self._now_s() - heard_s > GONE_AFTER_S:
                    raise Unreachable(
                        f"the controller at {self._client.address} went away while run {run_id} was going on",
                        hint="its agents stop by themselves when their lease ends",
                    ) from fault
                summary = None
            if summary is not None:
                return summary
            try:
                await asyncio.wait_for(self._woken.wait(), VIEW_EVERY_S)
            except TimeoutError:
                pass

    def stop(self) -> None:
        """First call: let iterations finish. Second: interrupt them. Call it on the loop that `run` runs on."""
        self._stops += 1
        self._woken.set()

    async def _upload(self) -> None:
        sent: set[str] = set()
        for file in self._loaded.plan.files:
            if self._stops or file.sha256 in sent:
                continue
            sent.add(file.sha256)
            if not await asyncio.to_thread(self._client.has_file, file.sha256):
                path = self._loaded.files[file.path]
                await asyncio.to_thread(self._client.put_file, file.path, file.sha256, path)

    async def _look(self, run_id: str) -> Summary | None:
        stops = self._stops
        if stops > self._stops_sent:
            await asyncio.to_thread(self._client.stop, run_id, graceful=stops == 1)
            self._stops_sent = stops
        self._on_view(await asyncio.to_thread(self._client.view, run_id))
        return await asyncio.to_thread(self._client.summary, run_id)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
