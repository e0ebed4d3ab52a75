"""The status API: what may be read at the engine's socket, and the commands of a person."""

import asyncio
import inspect
import json
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hedge.decide.events import Verb
from hedge.errors import (
    HedgeError,
    InvariantBroken,
    JournalError,
    NotRunning,
    SafetyRefusal,
    UsageError,
)
from hedge.runtime import api_body, api_server, client
from hedge.runtime.api_metrics import Meters
from hedge.runtime.api_server import Door, Listener, UnixSocket, failure
from hedge.runtime.snapshot import HedgeSnapshot
from hedge.runtime.words import builtins_of, utc

CLIENT_EVENTS_MAX = 1024
Answer = Mapping[str, object]


class EnginePort(Protocol):
    """What the API needs of the engine; nothing else of it is reachable from the socket."""

    def snapshots(self) -> Sequence[HedgeSnapshot]: ...

    def absent(self) -> Mapping[str, str]:
        """Return why each hedge that this engine was told to run does not run."""

    def ask(
        self,
        hedge: str,
        *,
        verb: Verb,
        request_id: str,
        subject: str,
        usd: Decimal | None,
        quantity: Decimal | None,
        by: str,
    ) -> Answer | Awaitable[Answer]:
        """Put `OperatorAsked` to the hedge; return ``accepted`` (bool) and ``text``."""

    def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        """Return what happens from now on; `Feed.subscribe` is one of these."""

    def report(self, hedge: str) -> Answer | Awaitable[Answer]: ...

    def now(self) -> int:
        """Return the engine's time, ns UTC."""


class Feed:
    """One publisher, many bounded subscribers; one that falls behind is ended, never waited for."""

    def __init__(self, events_max: int = CLIENT_EVENTS_MAX) -> None:
        self._events_max = events_max
        self._queues: list[asyncio.Queue[dict[str, Any] | None]] = []

    def publish(self, item: dict[str, Any]) -> None:
        """Hand an item to everybody; never blocks."""
        for queue in list(self._queues):
            if queue.qsize() >= self._events_max:
                self._queues.remove(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(item)

    def subscribe(self) -> AsyncIterator[dict[str, Any]]:
        """Return what is published from this call on."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._queues.append(queue)
        return self._drain(queue)

    async def _drain(
        self, queue: asyncio.Queue[dict[str, Any] | None]
    ) -> AsyncIterator[dict[str, Any]]:
        try:
            while (item := await queue.get()) is not None:
                yield item
        finally:
            if queue in self._queues:
                self._queues.remove(queue)


def snapshot_preview(shot: HedgeSnapshot) -> Answer:
    """Return what a liquidation would start from; ``notional`` is both legs together, in quote.

    ``slip_bps`` is the expected slippage (`hedge.runtime.slip`), None while it cannot be told.
    """
    legs = ((shot.inventory, shot.spot_mid), (shot.position, shot.futures_mid))
    values = [abs(q) * p for q, p in legs if q is not None and p is not None]
    return {
        "hedge": shot.name,
        "mode": shot.mode,
        "inventory": shot.inventory,
        "position": shot.position,
        "notional": sum(values, Decimal(0)) if len(values) == len(legs) else None,
        "basis_bps": shot.basis_bps,
        "orders": len(shot.orders),
        "slip_bps": shot.unwind_slip_bps,
    } | ({"beyond_depth": shot.unwind_beyond_depth} if shot.unwind_beyond_depth else {})


class StatusApi:
    """Serves one engine's hedges at ``socket_path`` from `start` to `close`.

    ``index_dirs`` are where clients look (`client.index_directories`).
    """

    def __init__(
        self,
        port: EnginePort,
        *,
        hedges: Sequence[str],
        runtime_dir: Path,
        index_dirs: Sequence[Path],
        metrics_listen: str = "",
        new_code: Callable[[], str] | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        events_max: int = CLIENT_EVENTS_MAX,
    ) -> None:
        self._port = port
        self._hedges = list(hedges)
        self._runtime_dir = runtime_dir
        self._index_dirs = tuple(index_dirs)
        self._metrics_listen = metrics_listen
        self.meters = Meters(port.snapshots)
        for hedge in hedges:
            self.meters.begin(hedge)
        self._codes = api_body.Confirmations(monotonic_ns, new_code)
        self._events_max = events_max
        self._started_at = 0
        self._tcp: socket.socket | None = None
        self._unix: UnixSocket | None = None
        self._listeners: list[Listener] = []
        self._tails: set[asyncio.Task[None]] = set()
        self._bug: asyncio.Future[None] | None = None
        self.metrics_port: int | None = None

    @property
    def socket_path(self) -> Path | None:
        return self._unix.path if self._unix else None

    def bind(self) -> None:
        """Take the places to listen at, and answer nobody yet; `start` does so where it was not."""
        if self._metrics_listen:
            self._tcp = api_server.loopback_socket(self._metrics_listen)
            self.metrics_port = self._tcp.getsockname()[1]
        self._unix = UnixSocket(self._runtime_dir)

    async def start(self) -> None:
        """Bind, serve, and write the index, once; a `ConfigError` leaves nothing behind."""
        if self._bug is not None:
            return
        self._bug = asyncio.get_running_loop().create_future()
        self._started_at = self._port.now()
        try:
            if self._unix is None:
                self.bind()
            assert self._unix is not None
            if self._tcp is not None:
                await self._listen(self._public_app(), self._tcp, f"127.0.0.1:{self.metrics_port}")
            await self._listen(self._app(), self._unix.sock, client.HOST)
            for hedge in self._hedges:
                self._list(hedge, self._unix.path)
        except BaseException:
            await self.close()
            raise

    async def serve(self) -> None:
        """Run until cancelled or closed; raise what a command broke in the engine."""
        if self._bug is None:
            await self.start()
        try:
            assert self._bug is not None
            await self._bug
        finally:
            await self.close()

    async def close(self) -> None:
        """Take the index away first, then stop answering; may be called twice."""
        for hedge in self._hedges:
            self._unlist(hedge)
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.close()
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = None
        if self._unix is not None:
            self._unix.close()
            self._unix = None
        tails = list(self._tails)
        for tail in tails:
            tail.cancel()
        await asyncio.gather(*tails, return_exceptions=True)
        if self._bug is not None:
            if not self._bug.done():
                self._bug.set_result(None)
            if not self._bug.cancelled():
                self._bug.exception()

    def add(self, hedge: str) -> None:
        """Put a hedge into the index: from now on it is this engine's, and no other's."""
        if hedge not in self._hedges:
            self._hedges.append(hedge)
            self.meters.begin(hedge)
        if self._listeners and self._unix is not None:
            self._list(hedge, self._unix.path)

    def _list(self, hedge: str, path: Path) -> None:
        entry = client.Entry(hedge, os.getpid(), str(path), self._started_at)
        for directory in self._index_dirs:
            client.write_index(directory, entry)

    def _unlist(self, hedge: str) -> None:
        for directory in self._index_dirs:
            client.remove_index(directory, hedge, os.getpid())

    async def _listen(self, app: Starlette, sock: Any, host: str) -> None:
        listener = Listener(Door(app, frozenset({host})))
        try:
            await listener.start(sock)
        except BaseException:
            sock.close()
            raise
        self._listeners.append(listener)

    def _app(self) -> Starlette:
        verbs = [Route(f"/v1/{verb.value}", self._command, methods=["POST"]) for verb in Verb]
        reads = [
            Route("/v1/status", self._status),
            Route("/v1/events", self._events),
            Route("/v1/report", self._report),
        ]
        return Starlette(routes=[*reads, *verbs, *self._open()], exception_handlers=self._errors())

    def _public_app(self) -> Starlette:
        return Starlette(routes=self._open(), exception_handlers=self._errors())

    def _open(self) -> list[Route]:
        return [Route("/metrics", self._metrics), Route("/healthz", self._health)]

    def _errors(self) -> dict[Any, Any]:
        return {
            HTTPException: self._http_error,
            HedgeError: self._hedge_error,
            Exception: self._bug_found,
        }

    # -- reading ---------------------------------------------------------------------------------

    def _envelope(self, kind: str, data: object) -> JSONResponse:
        at = utc(self._port.now())
        return JSONResponse({"schema": f"hedge.{kind}/1", "at": at, "data": builtins_of(data)})

    async def _status(self, request: Request) -> Response:
        wanted = request.query_params.get("hedge", "")
        absent = self._port.absent()
        if wanted:
            absent = {name: why for name, why in absent.items() if name == wanted}
        shots = self._port.snapshots() if not wanted else [] if absent else [self._shot(wanted)]
        data = {
            "hedges": list(shots),
            "absent": absent,
            "pid": os.getpid(),
            "started_at": self._started_at,
        }
        return self._envelope("status", data)

    async def _report(self, request: Request) -> Response:
        name = self._shot(request.query_params.get("hedge", "")).name
        report = await _settled(self._port.report(name))
        self.meters.reported(name, report)
        return self._envelope("report", report)

    async def _metrics(self, _request: Request) -> Response:
        return Response(self.meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _health(self, _request: Request) -> Response:
        shots = [builtins_of(shot) for shot in self._port.snapshots()]
        found = {shot["name"]: client.worries(shot) for shot in shots}
        found |= {name: [why] for name, why in self._port.absent().items()}
        worst = "degraded" if any(found.values()) else "ok"
        return JSONResponse({"status": worst, "worries": {k: v for k, v in found.items() if v}})

    async def _events(self, request: Request) -> Response:
        wanted = request.query_params.get("hedge", "")
        if wanted:
            self._shot(wanted)
        stream = self._lines(wanted, request.state.drop)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _lines(self, wanted: str, drop: Callable[[], None]) -> AsyncIterator[str]:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        source = self._port.subscribe()

        async def fill() -> None:
            try:
                async for item in source:
                    if wanted and item.get("hedge", wanted) != wanted:
                        continue
                    if queue.qsize() >= self._events_max:
                        drop()
                        break
                    queue.put_nowait(item)
            finally:
                queue.put_nowait(None)
                if (aclose := getattr(source, "aclose", None)) is not None:
                    await aclose()

        filling = asyncio.create_task(fill())
        self._tails.add(filling)
        filling.add_done_callback(self._tails.discard)
        try:
            yield ": from here on\n\n"
            while (item := await queue.get()) is not None:
                yield f"data: {json.dumps(builtins_of(item), ensure_ascii=False)}\n\n"
        finally:
            filling.cancel()

    # -- commands --------------------------------------------------------------------------------

    async def _command(self, request: Request) -> Response:
        verb = Verb(request.url.path.rpartition("/")[2])
        ask = api_body.parse(verb, await _body(request))
        shot = self._shot(ask.hedge)
        if verb is Verb.LIQUIDATE and (preview := self._unconfirmed(shot, ask)) is not None:
            return preview
        request_id = ask.request_id or secrets.token_hex(8)
        answer = await _settled(
            self._port.ask(
                shot.name,
                verb=verb,
                request_id=request_id,
                subject=ask.subject,
                usd=ask.usd,
                quantity=ask.quantity,
                by=request.state.by,
            )
        )
        text = str(answer.get("text", ""))
        said = {"hedge": shot.name, "request_id": request_id}
        if not answer.get("accepted"):
            return failure(text or "refused", SafetyRefusal.exit_code, 409, accepted=False, **said)
        return JSONResponse({"accepted": True, "text": text, **said})

    def _unconfirmed(self, shot: HedgeSnapshot, ask: api_body.Ask) -> Response | None:
        preview = builtins_of(snapshot_preview(shot))
        if ask.max_slip_bps is not None:
            slip = preview.get("slip_bps")
            if slip is None:
                why = "a holding is unknown, or a price is missing or old"
                raise SafetyRefusal(
                    f"the slippage cannot be estimated now: {why}; nothing was done"
                )
            if Decimal(slip) > ask.max_slip_bps:
                raise SafetyRefusal(f"SLIP_ABOVE_MAX: slip_bps={slip} max={ask.max_slip_bps}")
        if ask.confirm:
            self._codes.check(shot.name, ask.confirm)
            return None
        code = self._codes.issue(shot.name)
        text = f"liquidating {shot.name} needs the code {code} within {api_body.CONFIRM_S} s"
        return failure(text, SafetyRefusal.exit_code, 409, preview=preview, code=code)

    def _shot(self, hedge: str) -> HedgeSnapshot:
        shots = {shot.name: shot for shot in self._port.snapshots()}
        if hedge in shots:
            return shots[hedge]
        if why := self._port.absent().get(hedge):
            raise NotRunning(f"{hedge}: {why}")
        if hedge:
            near = client.nearest(hedge, list(shots))
            hint = f"; did you mean {near!r}?" if near else ""
            raise HTTPException(404, f"this engine does not run {hedge!r}{hint}")
        if len(shots) != 1:
            raise UsageError(f"name the hedge, one of: {', '.join(shots)}")
        return next(iter(shots.values()))

    # -- errors ----------------------------------------------------------------------------------

    async def _http_error(self, _request: Request, error: HTTPException) -> Response:
        text = error.detail or HTTPStatus(error.status_code).phrase
        return failure(text, UsageError.exit_code, error.status_code)

    async def _hedge_error(self, request: Request, error: HedgeError) -> Response:
        if request.method == "POST" and isinstance(error, JournalError | InvariantBroken):
            self._fail(error)
        status = 400 if isinstance(error, UsageError) else 409
        return failure(str(error), error.exit_code, status)

    async def _bug_found(self, request: Request, error: Exception) -> Response:
        """End the engine for a command that broke it (`serve`); a view breaks only itself."""
        if request.method == "POST":
            self._fail(error)
        return failure("internal error; see the engine's log", HedgeError.exit_code, 500)

    def _fail(self, error: Exception) -> None:
        if self._bug is not None and not self._bug.done():
            self._bug.set_exception(error)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > api_body.BODY_BYTES_MAX:
                raise HTTPException(413, f"the body is longer than {api_body.BODY_BYTES_MAX} bytes")
    except ClientDisconnect:
        raise HTTPException(400, "hung up in the middle of the body") from None
    return bytes(body)


async def _settled(answer: Answer | Awaitable[Answer]) -> Answer:
    return await answer if inspect.isawaitable(answer) else answer
