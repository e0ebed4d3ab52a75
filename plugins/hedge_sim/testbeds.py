"""The testbeds of the bundled venues: the simulated venue in process, and behind its dialects."""

import asyncio
import contextlib
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Self

from hedge.model import Leg, Order, PositionMode, Side, TimeInForce
from hedge.model.numbers import HOUR, SECOND
from hedge.testing import AHEAD_MS, KitClock, Switch, TrueOrder, Truth
from hedge_sim.config import Disconnect, Faults, SimSettings
from hedge_sim.dialects.faults import Fault
from hedge_sim.dialects.house import House
from hedge_sim.dialects.server import SIM_KEY, SIM_SECRET, Keys, Options, WireServer
from hedge_sim.venue import SimVenue

SPOT, FUTURES = "BTC/USDT", "BTC/USDT:USDT"
DATA = "bundled:btc-8h-binance"
ACK_MS = 1_000
CCXT_ACK_MS = 2_500
"""It computes so much that several cards side by side keep each other waiting for a second."""
SILENCE_MS = 1_000
MANY = 130
D = Decimal
RICH = {"USDT": "100000", "BTC": "1", "BNB": "10"}
FOREIGN = {Switch.FOREIGN_SPOT: Leg.SPOT, Switch.FOREIGN_FUTURES: Leg.FUTURES}


def foreign_order(leg: Leg, number: int, price: Decimal, now: int) -> Order:
    """Return an order of somebody else on the account, that takes."""
    return Order(
        client_order_id=f"foreign{number}", leg=leg, symbol=SPOT if leg is Leg.SPOT else FUTURES,
        side=Side.SELL, quantity=D("0.001"), limit_price=price, time_in_force=TimeInForce.IOC,
        signed_at=now, recv_window_ms=60_000,
    )  # fmt: skip


def settings_of(standing: frozenset[Switch], **more: Any) -> SimSettings:
    fees = {"fee_mode": "coin"} if Switch.FEE_COIN in standing else {}
    return SimSettings.model_validate({"data": DATA, "balances": RICH, "fees": fees, **more})


class Sim:
    """The simulated venue in this process: no wire, so no sockets to break."""

    spot, futures = SPOT, FUTURES
    secrets: Mapping[str, str] = MappingProxyType({})
    NO_WIRE = "there is no wire between the plugin and its venue"
    NO_KEYS = "the simulated venue takes any key"
    lacks: Mapping[Switch, str] = {
        Switch.REPLY_GARBLED: NO_WIRE,
        Switch.NONSENSE: NO_WIRE,
        Switch.CLOSE: NO_WIRE,
        Switch.EVENT_FIRST: "whether an event or an answer comes first is drawn each time",
        Switch.REPLY_LATE: "an answer that is late is a lost one here",
        Switch.MANY_FILLS: "read_fills has no pages here",
        Switch.TAKEN: "resting orders are taken by the recorded market only",
        Switch.KEY_WITHDRAWS: NO_KEYS,
        Switch.KEY_READS_ONLY: NO_KEYS,
    }
    CHANCES: Mapping[Switch, tuple[str, ...]] = {
        Switch.REPLY_LOST: ("reply_lost",),
        Switch.CANCEL_REPLY_LOST: ("reply_lost",),
        Switch.REQUEST_LOST: ("request_lost",),
        Switch.ERROR_PERFORMED: ("error_accepted",),
        Switch.ERROR_REFUSED: ("error_refused",),
        Switch.READS_FAIL: ("read_error",),
        Switch.RATE_LIMIT: ("rate_limit",),
        Switch.PARTIAL: ("partial_ioc",),
        Switch.DUPLICATE: ("duplicate_message",),
        Switch.REORDER: ("reorder_message",),
    }

    def __init__(self, standing: frozenset[Switch], clock: KitClock) -> None:
        self.clock = clock
        self.shared: dict[str, Any] = {}
        faults: dict[str, Any] = {"reorder_max_ms": 30, "rate_limit_retry_s": 2}
        if Switch.CLOCK_AHEAD in standing:
            faults["clock_offset_ms"] = AHEAD_MS
        if Switch.HEDGE_MODE in standing:
            faults["mode_flips"] = [{"at_s": "0.001"}]
        self.calm = faults
        self.settings = {
            "data": DATA, "balances": RICH, "latency_ms": 1, "step_ms": 20, "heartbeat_s": 1,
            "ack_timeout_ms": ACK_MS, "faults": faults,
            "fees": {"fee_mode": "coin"} if Switch.FEE_COIN in standing else {},
        }  # fmt: skip
        self.numbers = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    @property
    def venue(self) -> SimVenue:
        found = self.shared["sim"]
        assert isinstance(found, SimVenue)
        return found

    def change(self, **faults: Any) -> None:
        self.venue.plan.faults = Faults.model_validate({**self.calm, **faults})

    async def strike(self, switch: Switch) -> None:
        venue, exchange = self.venue, self.venue.exchange
        at = venue.at()
        venue.advance(self.clock.now())
        if switch in self.CHANCES:
            self.change(**dict.fromkeys(self.CHANCES[switch], 1))
        elif switch in FOREIGN:
            self.foreign(FOREIGN[switch])
        match switch:
            case Switch.CUT | Switch.HALF_OPEN:
                silent = switch is Switch.HALF_OPEN
                venue.disconnect(Disconnect(at_s=D(0), down_ms=150, silent=silent))
            case Switch.GONE:
                venue.unreachable_until = self.clock.now() + HOUR
            case Switch.VENUE_CANCELS:
                for order_id, placed in list(exchange.account.open.items()):
                    exchange.cancel(placed.order.symbol, order_id, at)
            case Switch.DEPOSIT:
                exchange.deposit("USDT", D(100), "external", at)
            case Switch.DELEVERAGE:
                held = abs(exchange.account.holding(FUTURES).quantity)
                exchange.force_adl(FUTURES, held / 2, at)
            case Switch.LIQUIDATE:
                exchange.force_liquidation(FUTURES, at)
            case Switch.SETTLE:
                due = venue.funding.next_after(at)
                assert due is not None
                self.clock.push(due - at + SECOND)
                await asyncio.sleep(0)
            case Switch.HALT:
                windows = [{"market": m, "at_s": 0, "for_s": 10**9} for m in ("spot", "futures")]
                self.change(halts=windows)
        venue.advance(self.clock.now())
        venue.drain()
        venue.arm()

    def foreign(self, leg: Leg) -> None:
        venue = self.venue
        self.numbers += 1
        market = venue.exchange.markets[SPOT if leg is Leg.SPOT else FUTURES]
        quote = market.quote(venue.at(), self.clock.now())
        assert quote is not None
        price = quote.bid * D("0.99") // market.instrument.tick * market.instrument.tick
        now = venue.exchange.stamp(venue.at())
        order = foreign_order(leg, self.numbers, price, now)
        venue.exchange.place(order, venue.at(), now, None)

    async def clear(self) -> None:
        self.change()
        self.clock.push(3 * SECOND)  # a rate limit is over

    def truth(self) -> Truth:
        exchange, at = self.venue.exchange, self.venue.at()
        totals = {one.asset: one.total for one in exchange.balances(at)}
        return Truth(
            orders=tuple(
                TrueOrder(
                    client_order_id=order_id,
                    leg=placed.order.leg,
                    filled=placed.order.quantity - placed.remaining,
                    working=order_id in exchange.account.open,
                )
                for order_id, placed in exchange.account.orders.items()
            ),
            position=exchange.position(FUTURES, at).quantity,
            balances=dict.fromkeys(Leg, totals),
            leverage=int(exchange.margin(FUTURES, at).leverage or 0),
        )


class Wire:
    """A venue's own protocol over the simulated venue, on real sockets."""

    spot, futures = SPOT, FUTURES
    secrets: Mapping[str, str] = MappingProxyType({"api_key": SIM_KEY, "api_secret": SIM_SECRET})
    COMMON: Mapping[Switch, str] = {
        Switch.REPLY_GARBLED: "the dialect has no such fault",
        Switch.NONSENSE: "the dialect has no such fault",
        Switch.GONE: "the wire simulator keeps its port",
        Switch.TAKEN: "resting orders are taken by the recorded market only",
        Switch.HALT: "the dialect's instruments never halt",
    }
    ONCE: Mapping[Switch, dict[str, Any]] = {
        Switch.REPLY_LOST: {"name": "drop_in_flight"},
        Switch.CANCEL_REPLY_LOST: {"name": "drop_in_flight"},
        Switch.REQUEST_LOST: {"name": "drop_before"},
        Switch.ERROR_PERFORMED: {"name": "unknown_performed"},
        Switch.ERROR_REFUSED: {"name": "unknown_refused"},
        Switch.REPLY_LATE: {"name": "late_answer"},
        Switch.RATE_LIMIT: {"name": "rate_limit", "ms": 2_000, "match": "order"},
        Switch.PARTIAL: {"name": "partial_then_reject"},
    }
    ALWAYS: Mapping[Switch, str] = {
        Switch.READS_FAIL: "busy_server",
        Switch.DUPLICATE: "duplicate",
        Switch.REORDER: "reorder",
        Switch.EVENT_FIRST: "event_first",
    }
    ACTS: Mapping[Switch, str] = {
        Switch.CUT: "cut",
        Switch.HALF_OPEN: "half_open",
        Switch.CLOSE: "day_close",
    }

    def __init__(self, venue: str, standing: frozenset[Switch]) -> None:
        self.over_ccxt = venue.startswith("ccxt:")
        self.ack_ms = CCXT_ACK_MS if self.over_ccxt else ACK_MS
        self.venue = venue.removeprefix("ccxt:")
        self.shared: dict[str, Any] = {}
        self.standing = standing
        self.numbers = 0
        dialects = ("bybit",) if self.venue == "bybit" else ("binance-spot", "binance-usdm")
        ahead = (Fault(name="clock_offset", ms=AHEAD_MS),)
        keys = Keys(
            withdraw=Switch.KEY_WITHDRAWS in standing,
            trade=Switch.KEY_READS_ONLY not in standing,
        )
        self.servers = [
            WireServer(
                Options(
                    dialect=dialect,
                    settings=settings_of(standing),
                    faults=ahead if Switch.CLOCK_AHEAD in standing else (),
                    keys=keys,
                    pulse_ms=150 if self.over_ccxt else 50,
                )
            )
            for dialect in dialects
        ]
        self.stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        for server in self.servers:
            await self.stack.enter_async_context(server)
        if Switch.HEDGE_MODE in self.standing:
            self.house(Leg.FUTURES).set_mode(PositionMode.HEDGE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    def house(self, leg: Leg) -> House:
        return self.servers[0 if leg is Leg.SPOT else -1].house

    @property
    def settings(self) -> dict[str, Any]:
        first, last = self.servers[0], self.servers[-1]
        if self.over_ccxt:
            return {
                "environment": "local", "spot_url": first.url, "futures_url": last.url,
                "requests_per_second": 200, "sweep_ms": 600, "payments_ms": 400,
                "ping_ms": SILENCE_MS, "ack_timeout_ms": self.ack_ms, "read_timeout_ms": 5_000,
            }  # fmt: skip
        if self.venue == "bybit":
            return {
                "environment": "local", "rest_url": first.url, "stream_url": first.ws_url,
                "ack_timeout_ms": self.ack_ms, "ping_s": 1, "read_timeout_ms": 3_000,
            }  # fmt: skip
        return {
            "environment": "local", "spot_url": first.url, "futures_url": last.url,
            "heartbeat_ms": 250, "silence_ms": SILENCE_MS, "ack_timeout_ms": self.ack_ms,
            "read_timeout_ms": 3_000,
        }  # fmt: skip

    @property
    def lacks(self) -> dict[Switch, str]:
        if self.venue == "bybit":
            return {**self.COMMON, Switch.FEE_COIN: "this venue takes no fee in a third coin"}
        return {
            **self.COMMON,
            Switch.MANY_FILLS: "a page holds a thousand fills here",
            Switch.FEE_COIN: "the wire simulator has no market of the fee coin to price it",
        }

    async def strike(self, switch: Switch) -> None:
        for server in self.servers:
            if switch in self.ONCE:
                late = {"ms": 2 * self.ack_ms} if switch is Switch.REPLY_LATE else {}
                server.faults.set(Fault(**{"times": 1} | self.ONCE[switch] | late))
            elif switch in self.ALWAYS:
                server.faults.set(Fault(name=self.ALWAYS[switch]))
            elif switch in self.ACTS:
                server.act(Fault(name=self.ACTS[switch]))
        futures = self.house(Leg.FUTURES)
        match switch:
            case Switch.FOREIGN_SPOT | Switch.FOREIGN_FUTURES:
                self.foreign(FOREIGN[switch])
            case Switch.MANY_FILLS:
                for _ in range(MANY):
                    self.foreign(Leg.SPOT)
            case Switch.VENUE_CANCELS:
                for leg in Leg:
                    house = self.house(leg)
                    for view in house.open_orders(leg):
                        house.cancel(view.order.symbol, view.client_order_id)
            case Switch.DEPOSIT:
                self.house(Leg.SPOT).deposit("USDT", D(100))
            case Switch.DELEVERAGE:
                futures.deleverage(FUTURES, abs(futures.position(FUTURES).quantity) / 2)
            case Switch.LIQUIDATE:
                futures.liquidate(FUTURES)
            case Switch.SETTLE:
                futures.skip(8 * HOUR + SECOND)

    def foreign(self, leg: Leg) -> None:
        house = self.house(leg)
        symbol = SPOT if leg is Leg.SPOT else FUTURES
        quote, tick = house.quote(symbol), house.instrument(symbol).tick
        assert quote is not None, "the recording begins with a price"
        self.numbers += 1
        price = quote.bid * D("0.99") // tick * tick
        house.place(foreign_order(leg, self.numbers, price, house.wall()))

    async def clear(self) -> None:
        for server in self.servers:
            server.faults.clear()
            if Switch.CLOCK_AHEAD in self.standing:
                server.faults.set(Fault(name="clock_offset", ms=AHEAD_MS))

    def truth(self) -> Truth:
        orders = []
        for leg in Leg:
            house = self.house(leg)
            orders += [
                TrueOrder(
                    client_order_id=view.client_order_id,
                    leg=leg,
                    filled=view.filled,
                    working=view.status.value == "working",
                )
                for view in house.orders(leg)
            ]
        futures = self.house(Leg.FUTURES)
        return Truth(
            orders=tuple(orders),
            position=futures.position(FUTURES).quantity,
            balances={
                leg: {one.asset: one.total for one in self.house(leg).balances()} for leg in Leg
            },
            leverage=futures.leverage(FUTURES),
        )


def sim(_venue: str, standing: frozenset[Switch], clock: KitClock) -> Sim:
    """Return the simulated venue's testbed."""
    return Sim(standing, clock)


def wire(venue: str, standing: frozenset[Switch], _clock: KitClock) -> Wire:
    """Return the testbed of a venue whose protocol is served: itself, or over ccxt."""
    return Wire(venue, standing)
