"""A wire simulator: one dialect of the simulated venue, served on one loopback port.

From Python::

    async with WireServer(Options(dialect="bybit")) as server:
        server.url        # http://127.0.0.1:PORT
        server.ws_url     # ws://127.0.0.1:PORT
        server.house      # what the venue knows (`House`)
        server.faults     # its switches (`Faults`)

From a command line: ``hedge sim serve``, which calls `main`. It prints
``listening on http://127.0.0.1:9001`` when it is ready and ends at SIGTERM, SIGINT or after
``--for-s``. Besides the venue's own paths it has, on loopback only:

``GET /sim/truth``
    The account as it is: `truth_of`.
``GET /sim/fault``, ``POST /sim/fault``, ``DELETE /sim/fault``
    The switches that are on and how often each struck; switch one (a `Fault` as JSON, rate 0
    switches off; an action is done at once); all off.
``GET /sim/world``, ``POST /sim/world``
    The clock; ``{"skip_s": 28800}`` jumps ahead, ``{"speed": "20000", "slow": "1"}`` changes pace.
``POST /sim/do``
    ``{"what": "deposit", "asset": "USDT", "quantity": "-100"}``, or ``deleverage`` or
    ``liquidate`` with ``symbol`` (unified) and, to deleverage, ``quantity``; ``mode`` with
    ``mode`` (one_way or hedge).
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from hedge.errors import UsageError, writing
from hedge.model import Leg
from hedge_sim.config import SimSettings
from hedge_sim.dialects.clock import Pace, milli_of
from hedge_sim.dialects.control import Control
from hedge_sim.dialects.faults import ACTIONS, Fault, Faults
from hedge_sim.dialects.house import House
from hedge_sim.dialects.sockets import Connection, Hearer, Socket, bound_to

HOST = "127.0.0.1"
SIM_KEY = "sim-key"
SIM_SECRET = "sim-secret"  # noqa: S105 - no secret: what a simulator answers to
OVER = "the recording is over: there are no more prices; --reset begins it anew"
ACTION_EVERY_S = 1.0
"""How often an action with a rate is drawn."""


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The one key of the account, and what it may do."""

    api_key: str = SIM_KEY
    api_secret: str = SIM_SECRET
    public_key: str = ""
    """PEM of an Ed25519 key; when given, signatures are checked with it."""
    trade: bool = True
    only: Leg | None = None
    """The one leg that it may trade; None: both."""
    withdraw: bool = False
    transfer: bool = False
    """To move coins to another account of the same owner."""
    ip_bound: bool = True
    ends_at: int = 0
    """Unix ns; 0: never."""

    def may_trade(self, leg: Leg) -> bool:
        return self.trade and self.only in {None, leg}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a server can be told."""

    dialect: str
    port: int = 0
    """0: a free one."""
    state_dir: Path | None = None
    """Where the account's truth lives; None keeps it in memory."""
    world_dir: Path | None = None
    """Where the shared clock lives; None: in ``state_dir``, or in memory."""
    account: str = ""
    """Name of the account's file; "": that of the dialect, so that two may share a directory."""
    speed: Decimal | None = None
    """Recorded seconds a second while nobody trades; None: what the world has, or 1."""
    slow: Decimal = Decimal(1)
    """Recorded seconds a second while anybody trades."""
    begin_at: int = 0
    """Where a new world begins, recorded ns; 0: with the recording."""
    waits: bool = False
    """Whether a new world runs like ours until its first order."""
    faults: tuple[Fault, ...] = ()
    keys: Keys = Keys()
    settings: SimSettings = SimSettings()
    padding: int = 0
    """So many further instruments are listed, which never trade."""
    pulse_ms: int = 100
    """How often quotes are pushed."""
    limit_factor: int = 1
    """The venue's rate limits times this; 0 lifts them."""
    for_s: float = 0
    """End by itself after so long; 0: never."""


class Dialect(Hearer, Protocol):
    """A venue's protocol over a `House`; built by `dialect_of`, used by one `WireServer`."""

    def routes(self) -> Sequence[BaseRoute]:
        """Return the REST paths."""
        ...

    def act(self, fault: Fault, sockets: set[Socket]) -> None:
        """Do the dialect's part of an action, before the server does its own to all sockets.

        That is listen_key_expired, and the word that goes before server_shutdown.
        """
        ...


class Desk(msgspec.Struct, frozen=True):
    """What a dialect is built with."""

    house: House
    faults: Faults
    keys: Keys
    limit_factor: int = 1
    """See `Options.limit_factor`."""


def _binance_spot(desk: Desk) -> Dialect:
    from hedge_sim.dialects.binance_dialect import BinanceDialect  # noqa: PLC0415 - only the one served

    return BinanceDialect(desk, Leg.SPOT)


def _binance_usdm(desk: Desk) -> Dialect:
    from hedge_sim.dialects.binance_dialect import BinanceDialect  # noqa: PLC0415 - only the one served

    return BinanceDialect(desk, Leg.FUTURES)


def _bybit(desk: Desk) -> Dialect:
    from hedge_sim.dialects.bybit_dialect import BybitDialect  # noqa: PLC0415 - only the one served

    return BybitDialect(desk)


DIALECTS: dict[str, Callable[[Desk], Dialect]] = {
    "binance-spot": _binance_spot,
    "binance-usdm": _binance_usdm,
    "bybit": _bybit,
}
REUSES_IDS = frozenset({"binance-spot", "binance-usdm"})


class WireServer:
    """One dialect on one port; opened and closed with ``async with``, on the running loop."""

    def __init__(self, options: Options) -> None:
        if options.dialect not in DIALECTS:
            raise UsageError(f"no dialect {options.dialect!r}: known are {', '.join(DIALECTS)}")
        self.options = options
        self.faults = Faults(options.settings.seed)
        for fault in options.faults:
            self.faults.set(fault)
        self.house = House(
            options.settings,
            state_dir=_made(options.state_dir),
            world_dir=_made(options.world_dir) or options.state_dir,
            account=options.account or options.dialect,
            pace=_pace(options),
            reuse_ids=options.dialect in REUSES_IDS,
            padding=options.padding,
            pulse_ms=options.pulse_ms,
        )
        self.dialect = DIALECTS[options.dialect](
            Desk(self.house, self.faults, options.keys, options.limit_factor)
        )
        self._socket_class = bound_to(self.dialect)
        self._stack = contextlib.AsyncExitStack()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{HOST}:{self.port}"

    @property
    def sockets(self) -> set[Socket]:
        """Return the WebSockets that are open."""
        return self._socket_class.sockets

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            # The protocol by name, or asyncio leaves Nagle's algorithm on: 40 ms a request.
            listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            stack.callback(listening.close)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((HOST, self.options.port))
            except OSError as error:
                raise UsageError(f"port {self.options.port}: {error.strerror}") from error
            self.port = listening.getsockname()[1]
            await stack.enter_async_context(self.house)
            await stack.enter_async_context(_Serving(self._uvicorn(), listening))
            acting = asyncio.create_task(self._draw_actions())
            stack.push_async_callback(_ended, acting)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self._stack.aclose()

    def _uvicorn(self) -> uvicorn.Server:
        app = Starlette(
            routes=[*self.dialect.routes(), *Control(self.house, self.faults, self.act).routes()]
        )
        config = uvicorn.Config(
            app, http=Connection, ws=self._socket_class, lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False,
            timeout_graceful_shutdown=1, timeout_keep_alive=120,
        )  # fmt: skip
        return uvicorn.Server(config)

    async def _draw_actions(self) -> None:
        while True:
            await asyncio.sleep(ACTION_EVERY_S)
            for name in sorted(ACTIONS):
                fault = self.faults.hit(name)
                if fault is not None:
                    self.act(fault)

    def act(self, fault: Fault) -> None:
        """Do one of `ACTIONS` now."""
        sockets = set(self.sockets)
        self.dialect.act(fault, sockets)
        loop = asyncio.get_running_loop()
        for one in sockets:
            match fault.name:
                case "server_shutdown":
                    loop.call_later(fault.duration_ms / 1_000, one.close, 1001, "going away")
                case "day_close":
                    one.close(1008, "disconnected after 24 hours")
                case "half_open":
                    one.freeze()
                case "cut":
                    one.abort()
                case _:
                    continue


class _Serving:
    """A running uvicorn server, without its own signal handling."""

    def __init__(self, server: uvicorn.Server, listening: socket.socket) -> None:
        self._server = server
        self._listening = listening

    async def __aenter__(self) -> None:
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._listening])
        self._ticking = asyncio.create_task(self._server.main_loop())

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await _ended(self._ticking)
        await self._server.shutdown(sockets=[self._listening])


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _made(folder: Path | None) -> Path | None:
    if folder is not None:
        with writing(f"cannot make {folder}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _pace(options: Options) -> Pace | None:
    if options.speed is None:
        return None
    return Pace(
        fast_milli=milli_of(options.speed),
        slow_milli=milli_of(options.slow),
        begin_at=options.begin_at,
        waits=options.waits,
    )


# The process


async def serve(options: Options) -> None:
    """Serve until SIGTERM, SIGINT or ``for_s``."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with WireServer(options) as server:
        print(f"listening on {server.url}", flush=True)  # noqa: T201 - a starter waits for it
        until = loop.time() + options.for_s if options.for_s else None
        was_over = False
        while not stop.is_set() and (until is None or loop.time() < until):
            server.house.check()
            if server.house.is_over and not was_over:
                was_over = True
                print(OVER, file=sys.stderr, flush=True)  # noqa: T201 - a person waits for prices
            left = ACTION_EVERY_S if until is None else min(until - loop.time(), ACTION_EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(left, 0))


def main(options: Options) -> None:
    """Run `serve`; for the ``hedge sim serve`` command."""
    asyncio.run(serve(options))
