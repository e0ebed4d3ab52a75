"""One venue process: an exchange with one account, on the compressed clock, in its own words.

A dialect (Binance, Bybit) asks a `House` in the terms of `hedge.model` and hears of everything
that happens through one sink; no word of any wire stands here. All times that leave a house are
WALL time (ns UTC): a fill's ``filled_at``, an order's ``placed_at``, a rate's ``next_at``. Recorded
time stays inside, except in `recorded_now`.
"""

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from hedge.errors import Missing, Refused
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    Leg,
    Order,
    OrderReport,
    Position,
    PositionMode,
    ReportedStatus,
)
from hedge.model.numbers import ZERO
from hedge.roles import VenueContext
from hedge_sim.account import Account, Holding, Placed
from hedge_sim.checks import MarginState
from hedge_sim.config import Fees, SimSettings
from hedge_sim.dialects.clock import WORLD_FILE, Pace, World, WorldClock
from hedge_sim.dialects.house_market import ShownMarkets
from hedge_sim.dialects.house_words import (
    FORCED_WINDOW_MS,
    Candle,
    EventSink,
    FundingPaid,
    FundsChanged,
    HouseEvent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderView,
    forced_view,
)
from hedge_sim.exchange import News
from hedge_sim.venue import SimVenue

__all__ = [
    "GENERATION",
    "Candle",
    "EventSink",
    "FundingPaid",
    "FundsChanged",
    "House",
    "HouseEvent",
    "OrderAccepted",
    "OrderEnded",
    "OrderFilled",
    "OrderView",
]

GENERATION = "#"
"""Separates an id from its repetition number inside; no venue allows it in an id."""


class _Floor(SimVenue):
    """The venue whose news go to the house at once, instead of over a simulated network."""

    def __init__(self, context: VenueContext, on_news: Callable[[list[News]], None]) -> None:
        super().__init__(context)
        self._on_news = on_news

    def drain(self) -> None:
        if self.exchange.news:
            self._on_news(self.exchange.news)
        super().drain()


class House(ShownMarkets):
    """The exchange, its one account, and its clock; opened with ``async with``.

    ``reuse_ids``: a client order id may be used again once its order has ended (Binance), rather
    than never (Bybit).
    """

    def __init__(
        self, settings: SimSettings, *,
        state_dir: Path | None = None, world_dir: Path | None = None, account: str = "",
        pace: Pace | None = None, reuse_ids: bool = False, padding: int = 0, pulse_ms: int = 100,
    ) -> None:  # fmt: skip
        self.settings = settings.model_copy(
            update={"heartbeat_s": 3_600, "step_ms": min(settings.step_ms, 100), "latency_ms": 0}
        )
        self.padding = padding
        self._pace = pace
        self.world = World(world_dir / WORLD_FILE if world_dir else None)
        self.clock = WorldClock(self.world, pace or Pace())
        self._pulse_s = pulse_ms / 1_000
        self._reuse_ids = reuse_ids
        context = VenueContext(
            settings=self.settings,
            clock=self.clock,
            environment="local",
            account=account,
            state_dir=str(state_dir) if state_dir else "",
        )
        self._floor: _Floor = _Floor(context, self._take_news)
        self._sinks: list[EventSink] = []
        self._pulses: list[Callable[[], None]] = []
        self._events: list[HouseEvent] = []
        self._flushing = False
        self._pulsing: asyncio.Task[None] | None = None
        self._by_number: dict[str, str] = {}
        self._by_client_id: dict[str, str] = {}
        self._fills_of: dict[str, list[Fill]] = {}
        self._sums: dict[str, tuple[Decimal, Decimal]] = {}
        self._told: dict[str, tuple[Decimal, Decimal]] = {}
        self._realised: dict[str, Decimal] = {}
        self._holdings: dict[str, Holding] = {}

    # Opening and closing

    async def __aenter__(self) -> Self:
        self.world.open()
        self.world.wake(self.wall())
        try:
            await self._floor.open()
        except BaseException:
            self.world.close()
            raise
        if (pace := self._pace) is not None:
            self.world.set_pace(pace.fast_milli, pace.slow_milli, waits=pace.waits)
        account = self._floor.exchange.account
        for key, placed in account.orders.items():
            self._by_number[placed.venue_order_id] = key
            self._by_client_id[_client_id(key)] = key
        for fill in account.fills:
            self._index(self._walled(fill))
        self._told = {b.asset: (b.free, b.locked) for b in self.balances()}
        self._pulsing = asyncio.create_task(self._pulse())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        if self._pulsing is not None:
            self._pulsing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pulsing
        await self._floor.close()
        self.clock.stop()
        self.world.close()

    # Time

    def skip(self, by: int) -> None:
        """Jump ``by`` ns of recorded time ahead: to a settlement, say. All servers jump with us."""
        self.world.skip(by, self.wall())

    def check(self) -> None:
        """Raise what ended the house's own work, if anything did."""
        if self._pulsing is not None and self._pulsing.done():
            self._pulsing.result()

    async def _pulse(self) -> None:
        while True:
            self.bring_up()
            for callback in list(self._pulses):
                callback()
            await asyncio.sleep(self._pulse_s)

    def bring_up(self) -> None:
        """Bring matching, settlements and planned faults to the present."""
        busy = bool(self._floor.exchange.account.open)
        self.world.beat(self.wall(), busy=busy)
        self._floor.advance(self.clock.now())

    # Who hears

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """Hear every event in the order it happened; return what ends it.

        Events are delivered from the event loop's next turn on, so that an answer that is sent
        within the same turn precedes them; `flush` delivers them at once.
        """
        self._sinks.append(sink)
        return lambda: self._sinks.remove(sink)

    def on_pulse(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Be called each ``pulse_ms`` of wall time: when to push quotes. Return what ends it."""
        self._pulses.append(callback)
        return lambda: self._pulses.remove(callback)

    def flush(self) -> None:
        """Deliver what has happened so far, now."""
        self._flushing = False
        events, self._events = self._events, []
        for event in events:
            for sink in list(self._sinks):
                sink(event)

    def _emit(self, event: HouseEvent) -> None:
        self._events.append(event)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _take_news(self, news: list[News]) -> None:
        balances: dict[str, Balance] = {}
        positions: dict[str, Position] = {}
        cause = "deposit"
        for _, _, item in news:
            match item:
                case Fill():
                    cause = "order"
                    fill = self._walled(item)
                    self._index(fill)
                    self._emit(self._filled(fill))
                case OrderReport():
                    cause = "order"
                    if item.status is ReportedStatus.CANCELLED:
                        self._emit(OrderEnded(view=self._view(item.client_order_id)))
                case FundingPayment():
                    self._tell_funds(cause, balances, positions)
                    cause = "funding"
                    self._emit(FundingPaid(payment=self._paid(item)))
                case Balance():
                    balances[item.asset] = item
                case Position():
                    positions[item.symbol] = item
                case _:
                    continue
        self._tell_funds(cause, balances, positions)

    def _filled(self, fill: Fill) -> OrderFilled:
        realised = self.realised_of(fill)
        placed = self._floor.exchange.account.orders.get(fill.client_order_id)
        if placed is None:
            return OrderFilled(fill=fill, view=forced_view(fill), realised=realised)
        filled, notional = self._sums[fill.client_order_id]
        done = filled >= placed.order.quantity
        view = self._made(
            placed,
            status=ReportedStatus.FILLED if done else ReportedStatus.WORKING,
            why="filled" if done else "",
            sums=(filled, notional),
            updated_at=fill.filled_at,
        )
        return OrderFilled(fill=fill, view=view, realised=realised)

    def _tell_funds(
        self, cause: str, balances: dict[str, Balance], positions: dict[str, Position]
    ) -> None:
        changed, deltas = [], {}
        for balance in balances.values():
            before = self._told.get(balance.asset, (ZERO, ZERO))
            if (balance.free, balance.locked) != before:
                self._told[balance.asset] = (balance.free, balance.locked)
                changed.append(msgspec.structs.replace(balance, updated_at=self.wall()))
                deltas[balance.asset] = balance.total - before[0] - before[1]
        moved = tuple(
            msgspec.structs.replace(position, updated_at=self.wall())
            for position in positions.values()
        )
        balances.clear()
        positions.clear()
        if changed or moved:
            self._emit(
                FundsChanged(cause=cause, balances=tuple(changed), deltas=deltas, positions=moved)
            )

    def _index(self, fill: Fill) -> None:
        key = fill.client_order_id
        self._fills_of.setdefault(key, []).append(fill)
        filled, notional = self._sums.get(key, (ZERO, ZERO))
        self._sums[key] = filled + fill.quantity, notional + fill.quantity * fill.price
        if fill.leg is Leg.FUTURES:
            holding = self._holdings.setdefault(fill.symbol, Holding())
            self._realised[fill.fill_id] = holding.trade(fill.signed_quantity, fill.price)

    # Orders

    def place(self, order: Order, *, ioc_share: Decimal | None = None) -> OrderView:
        """Perform an order; raise `Refused` with a code of `hedge_sim.checks`.

        The dialect has checked signature and time window. ``signed_at`` and ``recv_window_ms`` are
        overwritten. ``ioc_share`` (0 to 1) cuts what a taking order gets: the fault
        ``partial_then_reject``.
        """
        exchange = self._floor.exchange
        self.world.beat(self.wall(), busy=True)
        self._floor.advance(self.clock.now())
        key, now = self._key_for(order.client_order_id), self.clock.now()
        order = msgspec.structs.replace(
            order, client_order_id=key, signed_at=now, recv_window_ms=FORCED_WINDOW_MS
        )
        exchange.place(order, min(now, self._floor.recording.end), now, ioc_share)
        placed = exchange.account.orders[key]
        self._by_number[placed.venue_order_id] = key
        self._by_client_id[_client_id(key)] = key
        at = self.clock.wall_of(placed.at)
        self._emit(
            OrderAccepted(
                view=self._made(placed, ReportedStatus.WORKING, "", (ZERO, ZERO), updated_at=at)
            )
        )
        self._settled()
        return self._view(key)

    def cancel(self, symbol: str, client_order_id: str) -> OrderView:
        """End a working order; raise `Refused` UNKNOWN_ORDER where it is not open."""
        exchange = self._floor.exchange
        self._floor.advance(self.clock.now())
        key = self._by_client_id.get(client_order_id, client_order_id)
        exchange.cancel(symbol, key, self.clock.now())
        self._settled()
        return self._view(key)

    def _settled(self) -> None:
        """Hand on what an order did, and let the clock of the venue know."""
        self._floor.stay_awake()
        self._floor.drain()
        self._floor.arm()

    def _key_for(self, client_order_id: str) -> str:
        account = self._floor.exchange.account
        known = self._by_client_id.get(client_order_id)
        if known is None:
            return client_order_id
        if not self._reuse_ids or known in account.open:
            raise Refused(f"{client_order_id} was used before", code="DUPLICATE_ID")
        number = int(known.partition(GENERATION)[2] or 1) + 1
        return f"{client_order_id}{GENERATION}{number}"

    def order(self, symbol: str, client_order_id: str) -> OrderView:
        """Return the newest order with this id; raise `Missing`."""
        key = self._by_client_id.get(client_order_id, "")
        placed = self._floor.exchange.account.orders.get(key)
        if placed is None or placed.order.symbol != symbol:
            raise Missing(f"no order {client_order_id}")
        return self._view(key)

    def order_by_number(self, symbol: str, venue_order_id: str) -> OrderView:
        """Return the order with this id of the venue's; raise `Missing`."""
        key = self._by_number.get(venue_order_id, "")
        placed = self._floor.exchange.account.orders.get(key)
        if placed is None or placed.order.symbol != symbol:
            raise Missing(f"no order {venue_order_id}")
        return self._view(key)

    def orders(self, leg: Leg, symbol: str = "") -> tuple[OrderView, ...]:
        """Return every order ever, oldest first; of one symbol, or of the leg."""
        return tuple(
            self._view(key)
            for key, placed in self._floor.exchange.account.orders.items()
            if placed.order.leg is leg and symbol in ("", placed.order.symbol)
        )

    def open_orders(self, leg: Leg, symbol: str = "") -> tuple[OrderView, ...]:
        self.bring_up()
        return tuple(
            self._view(key)
            for key, placed in self._floor.exchange.account.open.items()
            if placed.order.leg is leg and symbol in ("", placed.order.symbol)
        )

    def _view(self, key: str) -> OrderView:
        placed = self._floor.exchange.account.orders[key]
        return self._made(
            placed,
            placed.status,
            placed.why,
            self._sums.get(key, (ZERO, ZERO)),
            updated_at=self.clock.wall_of(placed.history[-1][0]),
        )

    def _made(
        self, placed: Placed, status: ReportedStatus, why: str,
        sums: tuple[Decimal, Decimal], *, updated_at: int,
    ) -> OrderView:  # fmt: skip
        return OrderView(
            order=placed.order,
            client_order_id=_client_id(placed.order.client_order_id),
            venue_order_id=placed.venue_order_id,
            status=status,
            why=why,
            filled=sums[0],
            filled_notional=sums[1],
            placed_at=self.clock.wall_of(placed.history[0][0]),
            updated_at=updated_at,
        )

    # What has been: fills and payments

    def fills(self, leg: Leg, symbol: str = "") -> tuple[Fill, ...]:
        """Return every fill, oldest first, forced ones included; client ids as they were given."""
        return tuple(
            msgspec.structs.replace(
                self._walled(fill), client_order_id=_client_id(fill.client_order_id)
            )
            for fill in self._floor.exchange.account.fills
            if fill.leg is leg and symbol in ("", fill.symbol)
        )

    def fills_of(self, view: OrderView) -> tuple[Fill, ...]:
        return tuple(self._fills_of.get(view.order.client_order_id, ()))

    def realised_of(self, fill: Fill) -> Decimal:
        """Return the profit a fill realised, in settle asset; 0 on spot."""
        return self._realised.get(fill.fill_id, ZERO)

    def payments(self, symbol: str = "") -> tuple[FundingPayment, ...]:
        """Return the cash of every settlement, oldest first."""
        self.bring_up()
        found = self._floor.exchange.account.payments
        return tuple(self._paid(p) for p in found if symbol in ("", p.symbol))

    def _walled(self, fill: Fill) -> Fill:
        return msgspec.structs.replace(fill, filled_at=self.clock.wall_of(fill.filled_at))

    def _paid(self, payment: FundingPayment) -> FundingPayment:
        return msgspec.structs.replace(payment, settled_at=self.clock.wall_of(payment.settled_at))

    # The account

    @property
    def account(self) -> Account:
        """Return the exchange's own books, to read: exact sums, but recorded times."""
        return self._floor.exchange.account

    @property
    def fees(self) -> Fees:
        return self.settings.fees

    def balances(self) -> tuple[Balance, ...]:
        """Return every asset the account has or ever had."""
        now = self.wall()
        found = self._floor.exchange.balances(self._floor.at())
        return tuple(msgspec.structs.replace(b, updated_at=now) for b in found)

    def position(self, symbol: str) -> Position:
        """Return the position; flat is a quantity of zero."""
        found = self._floor.exchange.position(symbol, self._floor.at())
        return msgspec.structs.replace(found, updated_at=self.wall())

    def margin(self, settle: str = "USDT") -> MarginState:
        """Return wallet, initial and maintenance margin, profit and free cash of the account."""
        exchange = self._floor.exchange
        return exchange.rules.margin(exchange.account, settle, exchange.marks(self._floor.at()))

    def leverage(self, symbol: str) -> int:
        exchange = self._floor.exchange
        return exchange.rules.leverage_of(exchange.account, symbol)

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set it; raise `Refused` LEVERAGE outside 1 to 125."""
        self._floor.exchange.set_leverage(symbol, leverage, self.clock.now())

    @property
    def mode(self) -> PositionMode:
        return self._floor.exchange.account.mode

    def set_mode(self, mode: PositionMode) -> None:
        self._floor.exchange.set_mode(mode, self.clock.now())

    # What a test does to the account

    def deposit(self, asset: str, quantity: Decimal) -> None:
        """Add money from outside; a negative quantity takes it away."""
        self._floor.exchange.deposit(asset, quantity, "external", self.clock.now())
        self._settled()

    def deleverage(self, symbol: str, quantity: Decimal | None = None) -> bool:
        """Close a part of the position (None: all) as auto-deleveraging; False where it is flat."""
        done = self._floor.exchange.force_adl(symbol, quantity, self.clock.now())
        self._settled()
        return done

    def liquidate(self, symbol: str) -> bool:
        """Liquidate the position; False where it is flat."""
        done = self._floor.exchange.force_liquidation(symbol, self.clock.now())
        self._settled()
        return done


def _client_id(key: str) -> str:
    return key.partition(GENERATION)[0]
