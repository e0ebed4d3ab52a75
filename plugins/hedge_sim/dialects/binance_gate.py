"""How every Binance request is met: limits, key, signature, time, and the faults on its way."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hedge.errors import Missing
from hedge.model.numbers import MS
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects.binance_auth import SIGNATURE, Guard, Security, payload_of, signed_of
from hedge_sim.dialects.binance_errors import BinanceError
from hedge_sim.dialects.binance_limits import Meter
from hedge_sim.dialects.binance_params import Params, from_json
from hedge_sim.dialects.binance_shapes import Row
from hedge_sim.dialects.control import JSON
from hedge_sim.dialects.faults import Fault, Faults
from hedge_sim.dialects.house import House
from hedge_sim.dialects.sockets import ENCODER, Socket, reset

BAD_GATEWAY = 502
HTML = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
KEY_HEADER = "x-mbx-apikey"
OK = 200


class Operation(msgspec.Struct, frozen=True):
    """One thing that can be asked, by REST or on the WebSocket API."""

    run: Callable[[Params], object]
    security: Security = Security.NONE
    weight: int = 1
    orders: int = 0
    """How many orders it counts for."""
    mutates: bool = False
    """An order, a cancel or a change: what the faults of orders are drawn for."""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What an order request meets."""

    drop_before: bool = False
    refused: bool = False
    late_error: Fault | None = None
    null_error: bool = False
    performed: bool = False
    drop: bool = False
    late: Fault | None = None
    event_first: bool = False

    @property
    def undone(self) -> bool:
        """Return True where nothing is performed."""
        return self.drop_before or self.refused or self.null_error or self.late_error is not None


class Gate:
    """The way in, shared by REST and WebSocket API."""

    def __init__(
        self, house: House, faults: Faults, guard: Guard, meter: Meter, *, futures: bool
    ) -> None:
        self.house = house
        self.faults = faults
        self.guard = guard
        self.meter = meter
        self.futures = futures

    def now_ms(self) -> int:
        """Return what the venue's clock says."""
        fault = self.faults.on("clock_offset")
        return self.house.wall() // MS + (fault.duration_ms if fault else 0)

    def time(self, _: Params) -> Row:
        return {"serverTime": self.now_ms()}

    # What is common

    def _enter(self, operation: Operation, name: str) -> None:
        """Raise for a request that is one too many."""
        ban = self.faults.hit("ban", name)
        if ban is not None:
            raise says.banned(ban.duration_ms // 1_000, self.now_ms() + ban.duration_ms)
        limit = self.faults.hit("rate_limit", name)
        if limit is not None:
            raise says.limited(max(limit.duration_ms // 1_000, 1))
        self.meter.spend(operation.weight, operation.orders, self.now_ms())

    def _check_time(self, params: Params, name: str) -> None:
        if self.faults.hit("bad_timestamp", name) is not None:
            raise says.late_timestamp()
        self.guard.check_time(params, self.now_ms())

    def _fate(self, name: str) -> Fate:
        hit = self.faults.hit
        return Fate(
            drop_before=hit("drop_before", name) is not None,
            refused=hit("unknown_refused", name) is not None,
            late_error=hit("late_error", name),
            null_error=hit("null_error", name) is not None,
            performed=hit("unknown_performed", name) is not None,
            drop=hit("drop_in_flight", name) is not None,
            late=hit("late_answer", name),
            event_first=hit("event_first", name) is not None,
        )

    def _perform(self, operation: Operation, params: Params) -> object:
        try:
            return operation.run(params)
        except Missing as error:
            raise says.bad_symbol() from error

    def _unknown(self) -> BinanceError:
        return says.status_unknown(futures=self.futures)

    # REST

    def endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers a REST path."""

        async def respond(request: Request) -> Response:
            try:
                return await self._answer(operation, request)
            except BinanceError as error:
                found = self._json(error.body, error.status)
                if error.retry_after_s:
                    found.headers["Retry-After"] = str(error.retry_after_s)
                return found

        return respond

    def _json(self, body: object, status: int = OK) -> Response:
        headers = self.meter.headers(self.now_ms())
        return Response(ENCODER.encode(body), status, headers, JSON)

    async def _answer(self, operation: Operation, request: Request) -> Response:
        name, query = request.url.path, request.url.query
        body = (await request.body()).decode("utf-8", "replace")
        self._enter(operation, name)
        pairs = [*parse_qsl(query, keep_blank_values=True), *parse_qsl(body)]
        params = Params(pairs)
        self.guard.check_key(request.headers.get(KEY_HEADER, ""), operation.security)
        if operation.security in (Security.SIGNED, Security.TRADE):
            signed = signed_of(query, body)
            self.guard.check_signature(signed.payload, signed.signature)
            self._check_time(params, name)
        if operation.mutates:
            return await self._mutate(operation, request, params)
        if self.faults.hit("busy_server", name) is not None:
            return Response(HTML, BAD_GATEWAY, media_type="text/html")
        return self._json(self._perform(operation, params))

    async def _mutate(self, operation: Operation, request: Request, params: Params) -> Response:
        fate = self._fate(request.url.path)
        if fate.undone:
            if fate.drop_before:
                reset(request)
            if fate.late_error is not None:
                await asyncio.sleep(fate.late_error.duration_ms / 1_000)
            raise self._unknown()
        result = self._perform(operation, params)
        if fate.event_first:
            self.house.flush()
        if fate.drop:
            reset(request)
        if fate.late is not None:
            await asyncio.sleep(fate.late.duration_ms / 1_000)
        if fate.performed or fate.drop:
            raise self._unknown()
        return self._json(result)

    # WebSocket API

    def ask(
        self, socket: Socket, operation: Operation, message: Row, *, trusted: bool,
        run: Callable[[Params], object] | None = None,
    ) -> None:  # fmt: skip
        """Answer one WebSocket request; ``trusted``: the session has logged on.

        ``run`` replaces the operation's own where it needs the socket.
        """
        number, name = message.get("id"), str(message.get("method", ""))
        chosen = operation if run is None else msgspec.structs.replace(operation, run=run)
        try:
            params = from_json(message.get("params"))
            self._enter(chosen, name)
            self._check(params, chosen, name, trusted=trusted)
            if chosen.mutates:
                self._mutate_socket(socket, chosen, number, name, params)
                return
            result = self._perform(chosen, params)
        except BinanceError as error:
            self.refuse(socket, number, error)
            return
        self.answer(socket, number, result)

    def _check(self, params: Params, operation: Operation, name: str, *, trusted: bool) -> None:
        if operation.security is Security.NONE:
            return
        if not trusted and not params.get("apiKey"):
            raise says.no_api_key(futures=self.futures)
        if "apiKey" in params:
            self.guard.check_key(params["apiKey"], operation.security)
        elif operation.security is Security.TRADE and not self.guard.may_trade:
            raise says.bad_key()
        if operation.security is Security.KEY:
            return
        if not trusted or SIGNATURE in params:
            self.guard.check_signature(payload_of(params), params.text(SIGNATURE))
        self._check_time(params, name)

    def _mutate_socket(
        self, socket: Socket, operation: Operation, number: object, name: str, params: Params
    ) -> None:
        fate = self._fate(name)
        loop = asyncio.get_running_loop()
        if fate.undone:
            if fate.drop_before:
                socket.abort()
            elif fate.late_error is not None:
                delay = fate.late_error.duration_ms / 1_000
                loop.call_later(delay, self.refuse, socket, number, self._unknown())
            else:
                self.refuse(socket, None if fate.null_error else number, self._unknown())
            return
        try:
            result = self._perform(operation, params)
        except BinanceError as error:
            self.refuse(socket, number, error)
            return
        if fate.event_first:
            self.house.flush()
        if fate.drop:
            socket.abort()
        elif fate.performed:
            self.refuse(socket, number, self._unknown())
        elif fate.late is not None:
            loop.call_later(fate.late.duration_ms / 1_000, self.answer, socket, number, result)
        else:
            self.answer(socket, number, result)

    def answer(self, socket: Socket, number: object, result: object) -> None:
        rows = self.meter.rows(self.now_ms())
        socket.send({"id": number, "status": OK, "result": result, "rateLimits": rows})

    def refuse(self, socket: Socket, number: object, error: BinanceError) -> None:
        body = error.body
        if error.retry_after_s:
            now = self.now_ms()
            body |= {"data": {"serverTime": now, "retryAfter": now + error.retry_after_s * 1_000}}
        rows = self.meter.rows(self.now_ms())
        socket.send({"id": number, "status": error.status, "error": body, "rateLimits": rows})


def decoded(data: bytes) -> Row | None:
    """Read one message; numbers keep the text they were signed with. None: no JSON object."""
    with contextlib.suppress(msgspec.MsgspecError):
        found = _DECODER.decode(data)
        if isinstance(found, dict):
            return found
    return None


_DECODER = msgspec.json.Decoder(float_hook=str)
