"""The venue's process: the simulated venue in real time behind HTTP, with handles for a test.

``python -m hedge_served_sim.server --folder DIR --life-s 120``; see the README for the files.
A test may hold an order on its arrival or before its answer, cut the streams, refuse the key, or
have an answer that nobody documents. It does so over ``/test/...``, which no plugin knows.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hedge.errors import Limited, Missing, Refused, VenueError
from hedge.model import FundingRate, Leg, Order, StreamDown, StreamKind
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock
from hedge_served_sim import wire
from hedge_sim import gateway as sim
from hedge_sim.config import SimSettings
from hedge_sim.venue import SimVenue

QUEUE_MAX = 2_000
LOOK_EVERY_S = 0.5
HELD_MAX_S = 30.0
Answer = Callable[[Request], Awaitable[Any]]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``venue.json``."""

    settings: dict[str, Any]
    api_key: str
    api_secret: str


class Hold(msgspec.Struct, kw_only=True):
    """One order to be held: the ``after``-th of its leg from now, at a stage."""

    leg: str
    stage: str
    """arrived: before anything is done about it; performed: before it is answered."""
    after: int = 1
    for_s: float = 1.0


class Handles:
    """What a test has asked for, and what it may wait for."""

    def __init__(self) -> None:
        self.hold: Hold | None = None
        self.held = ""
        self.released = asyncio.Event()
        self.changed = asyncio.Event()
        self.answered: list[str] = []
        self.refused = ""
        """Requests whose path begins with this have a key that is not valid; "" for none."""
        self.surprise = ""
        """Requests whose path begins with this get an answer that nobody documents."""

    def arm(self, hold: Hold) -> None:
        self.hold, self.held = hold, ""
        self.released = asyncio.Event()

    def told(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def stop_at(self, stage: str, order: Order) -> None:
        """Hold the order here if it is the one; bounded, and over when the test says so."""
        hold = self.hold
        if hold is None or hold.stage != stage or hold.leg != order.leg.value:
            return
        hold.after -= 1
        if hold.after > 0:
            return
        self.hold, self.held = None, order.client_order_id
        self.told()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.released.wait(), min(hold.for_s, HELD_MAX_S))


class Venue:
    """One account at the simulated venue, asked over HTTP."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.handles = Handles()
        clock = RealClock()
        context = VenueContext(
            settings=SimSettings.model_validate(plan.settings),
            clock=clock,
            environment="local",
            state_dir=str(folder),
        )
        self.clock = clock
        self.sim = SimVenue(context)
        self.feeds = {leg: sim.SimFeed(self.sim, leg) for leg in Leg}
        self.spot = sim.SimSpotGateway(self.sim)
        self.futures = sim.SimFuturesGateway(self.sim)
        self.funding = sim.SimFundingSource(self.sim)
        self.check = sim.SimAccountCheck(self.sim)
        self._seen = os.open(
            folder / "orders.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self.down: set[StreamKind] = set()

    async def listen(self) -> None:
        """Hear everything the venue says, once; the connections come and go."""
        for leg in Leg:
            for symbol in [one.symbol for one in await self.feeds[leg].read_instruments()]:
                await self.feeds[leg].listen(symbol, self._sink(wire.MARKET, leg, symbol))
                gateway = self.gateway(leg)
                await gateway.listen(symbol, self._sink(wire.ACCOUNT, leg, symbol))
                if leg is Leg.FUTURES:
                    await self.funding.listen(symbol, self._sink(wire.FUNDING, leg, symbol))

    def gateway(self, leg: Leg) -> sim.SimGateway:
        return self.spot if leg is Leg.SPOT else self.futures

    def _sink(self, channel: str, leg: Leg, symbol: str) -> Callable[[Any], None]:
        def sink(news: Any) -> None:
            if isinstance(news, StreamDown) and news.why == "DISCONNECTED":
                self.down.add(news.kind)
                self.cut()
                return
            if type(news).__name__ == "StreamUp":
                self.down.discard(news.kind)
                return
            line = wire.Line(
                channel=channel, leg=leg, symbol=symbol, kind=type(news).__name__,
                news=msgspec.Raw(msgspec.json.encode(news)),
            )  # fmt: skip
            data = msgspec.json.encode(line) + b"\n"
            for queue in list(self._queues):
                if queue.qsize() >= QUEUE_MAX:
                    self._queues.discard(queue)  # too slow a reader loses its stream, not a line
                    queue.put_nowait(None)
                else:
                    queue.put_nowait(data)

        return sink

    def cut(self) -> None:
        """End every stream: the readers notice, and connect again."""
        for queue in self._queues:
            queue.put_nowait(None)
        self._queues.clear()

    async def lines(self) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._queues.add(queue)
        self.sim.stay_awake()
        self.sim.show(again=True)
        self.sim.arm()
        try:
            while (data := await queue.get()) is not None:
                yield data
        finally:
            self._queues.discard(queue)

    def saw(self, order: Order) -> None:
        """Write down that this order came, before anything is done about it."""
        row = {
            "id": order.client_order_id, "leg": order.leg.value, "side": order.side.value,
            "signed_at": order.signed_at, "arrived_at": self.clock.now(),
        }  # fmt: skip
        os.write(self._seen, json.dumps(row).encode() + b"\n")


class Desk:
    """The paths of the venue; each returns what is sent as JSON, or raises a `VenueError`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Answer]] = [
            ("POST", "/orders", self.place),
            ("DELETE", "/orders", self.cancel),
            ("GET", "/order", self.order),
            ("GET", "/open", self.open_orders),
            ("GET", "/fills", self.fills),
            ("GET", "/balances", lambda request: self._gateway(request).read_balances()),
            ("GET", "/clock", lambda request: self._gateway(request).read_clock()),
            ("POST", "/prepare", self.prepare),
            ("GET", "/position", lambda r: self.venue.futures.read_position(_symbol(r))),
            ("GET", "/mode", lambda _: self.venue.futures.read_position_mode()),
            ("GET", "/margin", lambda r: self.venue.futures.read_margin(_symbol(r))),
            ("GET", "/instruments", self.instruments),
            ("GET", "/instrument", self.instrument),
            ("GET", "/rate", self.rate),
            ("GET", "/rates", lambda _: self.venue.funding.read_rates()),
            ("GET", "/history", self.history),
            ("GET", "/payments", self.payments),
            ("GET", "/fees", lambda r: self.venue.check.read_fees(_symbol(r))),
            ("GET", "/key", lambda _: self.venue.check.read_key_rights()),
        ]
        tests: list[tuple[str, str, Answer]] = [
            ("POST", "/test/hold", self.hold),
            ("POST", "/test/release", self.release),
            ("GET", "/test/held", self.held),
            ("GET", "/test/answered", self.answered),
            ("POST", "/test/cut", self.cut),
            ("POST", "/test/key", self.key),
            ("POST", "/test/surprise", self.surprise),
        ]
        return [
            *(Route(path, self._signed(answer), methods=[verb]) for verb, path, answer in table),
            *(Route(path, self._plain(answer), methods=[verb]) for verb, path, answer in tests),
            Route("/stream", self._stream, methods=["GET"]),
        ]

    # -- how every request is met ----------------------------------------------------------------

    async def _key_problem(self, request: Request) -> Response | None:
        """Refuse a key with its echo in the body, as some venues do."""
        plan = self.venue.plan
        key = request.headers.get(wire.KEY_HEADER, "")
        sign = request.headers.get(wire.SIGN_HEADER, "")
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        right = wire.signature(plan.api_secret, request.method, target, await request.body())
        refused = self.venue.handles.refused
        if (key, sign) == (plan.api_key, right) and not (
            refused and request.url.path.startswith(refused)
        ):
            return None
        text = f"API key {key} is not valid (signature {sign})"
        return _problem(401, wire.Problem(code="BAD_KEY", message=text))

    def _signed(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        plain = self._plain(answer)

        async def respond(request: Request) -> Response:
            refusal = await self._key_problem(request)
            if refusal is not None:
                return refusal
            handles = self.venue.handles
            if handles.surprise and request.url.path.startswith(handles.surprise):
                plan = self.venue.plan
                text = f"I'm a teapot; you said {plan.api_key} and I know {plan.api_secret}"
                return Response(text, status_code=418)
            return await plain(request)

        return respond

    def _plain(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            try:
                found = await answer(request)
            except Limited as error:
                problem = wire.Problem(
                    code=wire.LIMITED, message=str(error), retry_after_s=error.retry_after_s
                )
                return _problem(429, problem)
            except Refused as error:
                return _problem(400, wire.Problem(code=error.code, message=str(error)))
            except Missing as error:
                return _problem(404, wire.Problem(code=wire.MISSING, message=str(error)))
            except VenueError as error:
                return _problem(503, wire.Problem(code="UNKNOWN", message=str(error)))
            task = None
            if request.url.path == "/orders":
                task = BackgroundTask(self._answered, getattr(found, "client_order_id", ""))
            return _json(found, task)

        return respond

    async def _answered(self, client_order_id: str) -> None:
        self.venue.handles.answered.append(client_order_id)
        self.venue.handles.told()

    async def _stream(self, request: Request) -> Response:
        refusal = await self._key_problem(request)
        if refusal is not None:
            return refusal
        if self.venue.down:
            return _problem(503, wire.Problem(code="DOWN", message="the streams are down"))
        return StreamingResponse(self.venue.lines(), media_type="application/x-ndjson")

    def _gateway(self, request: Request) -> sim.SimGateway:
        return self.venue.gateway(Leg(request.query_params["leg"]))

    # -- the account -----------------------------------------------------------------------------

    async def place(self, request: Request) -> Any:
        order = msgspec.json.decode(await request.body(), type=Order)
        venue = self.venue
        venue.saw(order)
        await venue.handles.stop_at("arrived", order)
        report = await venue.gateway(order.leg).place_order(order)
        await venue.handles.stop_at("performed", order)
        return report

    async def cancel(self, request: Request) -> Any:
        name = request.query_params["id"]
        return await self._gateway(request).cancel_order(_symbol(request), name)

    async def order(self, request: Request) -> Any:
        name = request.query_params["id"]
        return await self._gateway(request).read_order(_symbol(request), name)

    async def open_orders(self, request: Request) -> Any:
        return await self._gateway(request).read_open_orders(_symbol(request))

    async def fills(self, request: Request) -> Any:
        since = int(request.query_params["since"])
        return await self._gateway(request).read_fills(_symbol(request), since)

    async def prepare(self, request: Request) -> Any:
        futures, symbol = self.venue.futures, _symbol(request)
        await futures.prepare(symbol, int(request.query_params["leverage"]))
        return wire.Prepared(
            margin=await futures.read_margin(symbol), mode=await futures.read_position_mode()
        )

    # -- the market ------------------------------------------------------------------------------

    async def instruments(self, request: Request) -> Any:
        found = await self.venue.feeds[Leg(request.query_params["leg"])].read_instruments()
        return tuple(msgspec.structs.replace(one, venue="served") for one in found)

    async def instrument(self, request: Request) -> Any:
        feed = self.venue.feeds[Leg(request.query_params["leg"])]
        return msgspec.structs.replace(await feed.read_instrument(_symbol(request)), venue="served")

    async def rate(self, request: Request) -> Any:
        if request.query_params.get("origin") != "settled":
            return await self.venue.funding.read_rate(_symbol(request))
        found: FundingRate = self.venue.sim.funding.settled_at(
            _symbol(request), self.venue.sim.at()
        )
        return found

    async def history(self, request: Request) -> Any:
        since, until = (int(request.query_params[name]) for name in ("since", "until"))
        return await self.venue.funding.read_history(_symbol(request), since, until)

    async def payments(self, request: Request) -> Any:
        since = int(request.query_params["since"])
        return await self.venue.funding.read_payments(_symbol(request), since)

    # -- the test's handles ----------------------------------------------------------------------

    async def hold(self, request: Request) -> Any:
        self.venue.handles.arm(msgspec.json.decode(await request.body(), type=Hold))
        return {}

    async def release(self, _: Request) -> Any:
        self.venue.handles.released.set()
        return {}

    async def held(self, request: Request) -> Any:
        """Answer with the id of the held order, or "" after a while."""
        handles = self.venue.handles
        return await self._when(request, lambda: handles.held)

    async def answered(self, request: Request) -> Any:
        handles, name = self.venue.handles, request.query_params["id"]
        return await self._when(request, lambda: name if name in handles.answered else "")

    async def _when(self, request: Request, ready: Callable[[], str]) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(float(request.query_params["for_s"]), HELD_MAX_S)):
                while not ready():
                    await self.venue.handles.changed.wait()
        return ready()

    async def cut(self, _: Request) -> Any:
        self.venue.cut()
        return {}

    async def key(self, request: Request) -> Any:
        self.venue.handles.refused = request.query_params["path"]
        if self.venue.handles.refused:
            self.venue.cut()
        return {}

    async def surprise(self, request: Request) -> Any:
        self.venue.handles.surprise = request.query_params["path"]
        return {}


def _symbol(request: Request) -> str:
    return request.query_params["symbol"]


def _json(found: Any, task: BackgroundTask | None = None) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json", background=task)


def _problem(status: int, problem: wire.Problem) -> Response:
    return Response(msgspec.json.encode(problem), status_code=status, media_type="application/json")


async def serve(folder: Path, life_s: float) -> None:
    """Serve until the life is over or whoever started us is gone."""
    plan = msgspec.json.decode((folder / "venue.json").read_bytes(), type=Plan)
    venue = Venue(folder, plan)
    parent = os.getppid()
    sock = socket.socket()
    sock.bind((wire.HOST, 0))
    sock.listen(128)
    app = Starlette(routes=Desk(venue).routes())
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
        timeout_graceful_shutdown=0,
    )  # fmt: skip
    server = uvicorn.Server(config)
    async with venue.spot:
        await venue.listen()
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        until = asyncio.get_running_loop().time() + life_s
        ready = folder / "port.new"
        ready.write_text(str(sock.getsockname()[1]))
        ready.rename(folder / "port")
        while asyncio.get_running_loop().time() < until and os.getppid() == parent:
            done, _ = await asyncio.wait({serving}, timeout=LOOK_EVERY_S)
            if done:
                break
        venue.cut()
        server.should_exit = True
        await serving


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--life-s", type=float, default=120.0)
    given = parser.parse_args()
    asyncio.run(serve(given.folder, given.life_s))


if __name__ == "__main__":
    main()
