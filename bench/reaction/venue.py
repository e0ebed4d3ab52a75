"""Two wire simulators that stamp when a fill leaves the one and when an order reaches the other.

All of it is one process with one clock. The simulators are those of the tests, account and all; a
fill is written as one piece, after everything about it has been worked out, and what is only asked
meanwhile is answered later, so that between the two stamps the venue does nothing but wait.
"""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, ClassVar, Self

from hedge.model import Leg, Order, Side, TimeInForce
from hedge.model.numbers import ceil_to, floor_to
from hedge_sim.config import Fees, MarketRules, SimSettings
from hedge_sim.dialects import server as serving
from hedge_sim.dialects.server import Options, WireServer
from hedge_sim.dialects.sockets import Connection, Socket

SPOT, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"
WEALTH = Decimal(100_000_000)
DEPTH = Decimal(100_000_000_000)
PULSE_MS = 500
PACE = Decimal(1)
"""The recorded market goes on as it did, so that prices stay fresh; it fills nothing of ours."""
FEE = Decimal("0.001")
OVER = Decimal("1.1")
"""A fill is a tenth larger than what its hedge needs: what the fee takes leaves whole lots."""
HEDGE_MIN = Decimal(110)
"""Quote: above the least order of every venue."""


class Stamps:
    """What has arrived at a venue, and when."""

    def __init__(self, course: "Course") -> None:
        self.course = course
        self.now = 0
        """When the bytes came that are being looked at."""
        self.posts: deque[int] = deque(maxlen=1_000)
        """When each HTTP request came whose order has not been seen yet."""
        self.under_way: set[asyncio.Task[None]] = set()
        """The HTTP requests that are being answered."""


class TimedSocket(Socket):
    """A socket whose arrivals are stamped, and whose news can be held back to go out as one."""

    stamps: ClassVar[Stamps]
    held: ClassVar[list[Socket] | None] = None

    def connection_made(self, transport: Any) -> None:
        # As the base class does, which insists on a transport of asyncio's own.
        self._transport = transport
        self._state.connections.add(self)  # type: ignore[arg-type] # uvicorn names its own classes

    def data_received(self, data: bytes) -> None:
        self.stamps.now = time.perf_counter_ns()
        super().data_received(data)
        self.stamps.now = 0

    def _write(self) -> None:
        if self.held is None:
            super()._write()
        elif self not in self.held:
            self.held.append(self)

    @property
    def unsent(self) -> bool:
        """Whether something written in this turn of the loop has not left yet."""
        return bool(self._transport.get_write_buffer_size())

    def let_go(self) -> Callable[[], None]:
        """Return what writes it now: a transport would do so when the loop has its turn again."""
        assert not self.unsent, "an earlier message is still waiting"
        data = b"".join(self._conn.data_to_send())
        fd = self._transport.get_extra_info("socket").fileno()

        def write() -> None:
            assert os.write(fd, data) == len(data)

        return write


class TimedConnection(Connection):
    """An HTTP connection that stamps what posts, and lets what only asks wait for a hedge.

    A page of thousands of fills takes the venue tens of ms, and an order that comes meanwhile would
    be charged for it.
    """

    stamps: ClassVar[Stamps]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        super().connection_made(transport)
        self.stamps.under_way = self.tasks

    def data_received(self, data: bytes) -> None:
        stamps = self.stamps
        if data.startswith(b"POST"):
            stamps.posts.append(time.perf_counter_ns())
        elif stamps.course.pending and data.startswith(b"GET"):
            stamps.course.later.append(lambda: super(TimedConnection, self).data_received(data))
            return
        super().data_received(data)


def timed(dialect: str, stamps: Stamps) -> WireServer:
    """Return a server, not yet open, that stamps."""
    settings = SimSettings(
        data="bundled:btc-8h-binance",
        balances={"USDT": WEALTH},
        fees=Fees(spot_maker=FEE, spot_taker=FEE),
        spot=MarketRules(depth_quote=DEPTH, volume_share=Decimal(0), quantity_max=Decimal(9_000)),
        futures=MarketRules(depth_quote=DEPTH, quantity_max=Decimal(1_000)),
    )
    server = WireServer(
        Options(
            dialect=dialect, settings=settings, pulse_ms=PULSE_MS, limit_factor=1_000,
            speed=PACE, slow=PACE,
        )
    )  # fmt: skip
    inner: Any = server
    if dialect == "bybit":
        inner.dialect.limits.scale = Decimal(1_000)
    own = {"stamps": stamps, "sockets": set(), "hearer": server.dialect}
    inner._socket_class = type("Timed", (TimedSocket,), own)  # noqa: SLF001 - no other way in
    # The class of HTTP connections is looked up when the server opens; see `Course._open`.
    return server


class Course:
    """One way from a spot venue to a futures venue, with its own accounts; ``async with``."""

    def __init__(self, name: str, spot: str, futures: str, *, coalesces: bool) -> None:
        self.name = name
        self.coalesces = coalesces
        """Whether what counts is the sum of the orders, rather than an order for each fill."""
        self.took: list[int] = []
        """Of each fill, ns until it was hedged."""
        self.orders = 0
        self.later: list[Callable[[], None]] = []
        """What was asked while a fill was not hedged."""
        self._stamps = Stamps(self)
        self._spot_stamps = Stamps(self)
        self.spot = timed(spot, self._spot_stamps)
        self.futures = timed(futures, self._stamps)
        self._stack = contextlib.AsyncExitStack()
        self._waiting: deque[tuple[int, Decimal]] = deque()
        """When each fill left, and the sum of orders from which on it is hedged."""
        self._filled = Decimal(0)
        self._ordered = Decimal(0)

    async def __aenter__(self) -> Self:
        await self._open(self.spot, self._spot_stamps)
        await self._open(self.futures, self._stamps)
        instrument = self.futures.house.instrument(PERPETUAL)
        self.price = self.spot.house.last_price(SPOT)
        self.lot = instrument.lot
        self.hedge = ceil_to(HEDGE_MIN / self.price, self.lot)
        """What one fill is hedged with."""
        step = self.spot.house.instrument(SPOT).lot
        self.part = floor_to(self.hedge * OVER, step)
        """What one fill brings."""
        self._place = self.futures.house.place
        house: Any = self.futures.house  # its method is exchanged, which a type does not have
        house.place = self._timed_place
        return self

    async def _open(self, server: WireServer, stamps: Stamps) -> None:
        module: Any = serving
        plain = module.Connection
        try:
            module.Connection = type("Timed", (TimedConnection,), {"stamps": stamps})
            await self._stack.enter_async_context(server)
        finally:
            module.Connection = plain

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def pending(self) -> int:
        """Return how many fills are not hedged."""
        return len(self._waiting)

    @property
    def answering(self) -> bool:
        """Return whether a request is being answered."""
        return bool(self._stamps.under_way or self._spot_stamps.under_way)

    @property
    def rests(self) -> bool:
        """Return whether an order waits to be filled."""
        return bool(self.spot.house.account.resting())

    def rest_an_order(self) -> None:
        """Have a spot order rest at the venue, for a peer that places none itself."""
        instrument = self.spot.house.instrument(SPOT)
        order = Order(
            client_order_id="REST1",
            leg=Leg.SPOT,
            symbol=SPOT,
            side=Side.BUY,
            quantity=Decimal(1_000),
            limit_price=instrument.round_price_down(self.price * Decimal("0.999")),
            time_in_force=TimeInForce.GTC,
            signed_at=0,
            recv_window_ms=0,
        )
        self.spot.house.place(order)

    @property
    def unsent(self) -> bool:
        """Whether news from before a fill would have to leave with it."""
        return any(socket.unsent for socket in self.spot.sockets)

    def begin(self) -> None:
        """Forget what was measured; the accounts go on."""
        self.took = []
        self.orders = 0
        self._stamps.posts.clear()

    def fill(self, count: int = 1) -> None:
        """Fill ``count`` parts of the order that rests, and write all the news of it in one go."""
        house = self.spot.house
        floor: Any = house._floor  # noqa: SLF001 - a simulator is told by its recording what trades
        exchange = floor.exchange
        (placed,) = exchange.account.resting()
        at = house.recorded_now
        kind: Any = type(next(iter(self.spot.sockets)))
        held: list[Any] = []
        kind.held = held
        goals = []
        for _ in range(count):
            exchange._fill(placed, self.part, placed.order.limit_price, at, maker=True)  # noqa: SLF001 - as said
            exchange._tell_order(placed, at)  # noqa: SLF001 - as said
            exchange._tell_funds(Leg.SPOT, SPOT, at)  # noqa: SLF001 - as said
            floor.drain()
            house.flush()
            self._filled += self.part
            goals.append(self._goal())
        kind.held = None
        writes = [socket.let_go() for socket in held]
        began = time.perf_counter_ns()
        for write in writes:
            write()
        self._waiting.extend((began, goal) for goal in goals)

    def _goal(self) -> Decimal:
        if self.coalesces:
            return floor_to(self._filled * (1 - FEE), self.lot)
        return self.hedge * (int(self._filled / self.part))

    def _timed_place(self, order: Order, *, ioc_share: Decimal | None = None) -> Any:
        stamps = self._stamps
        at = stamps.now or stamps.posts.popleft()
        view = self._place(order, ioc_share=ioc_share)
        self.orders += 1
        self._ordered += view.filled
        while self._waiting and self._ordered >= self._waiting[0][1]:
            self.took.append(at - self._waiting.popleft()[0])
        if not self._waiting:
            self._answer_later()
        return view

    def _answer_later(self) -> None:
        loop = asyncio.get_running_loop()
        for answer in self.later:
            loop.call_soon(answer)
        self.later.clear()

    def forgive(self) -> None:
        """Take what has been ordered and filled so far for even: before the first round."""
        self._waiting.clear()
        self._answer_later()
        self._filled = self._ordered = Decimal(0)

    @property
    def gap(self) -> Decimal:
        """Return what is held on spot and not sold as a perpetual."""
        held = self.spot.house.account.balance("BTC")
        return held + self.futures.house.account.holding(PERPETUAL).quantity
