"""The desk of one card: every role of the venue, opened, and everything they were told."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from hedge.errors import HedgeError
from hedge.model import (
    Fill,
    Instrument,
    Leg,
    Order,
    OrderReport,
    Quote,
    ReportedStatus,
    Side,
    StreamKind,
    StreamUp,
    TimeInForce,
)
from hedge.model.numbers import ceil_to
from hedge.plugins import PluginHost
from hedge.roles import LegKind, VenueContext
from hedge.testing.cards import Failed, expect
from hedge.testing.clock import KitClock
from hedge.testing.testbed import Switch, Testbed, Truth

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)
WAIT_S = 8.0
"""How long a card waits for what must be told, unless its `Stand` says otherwise."""
REACH = Decimal("0.002")
"""How far through the touch a taking order is priced."""
AWAY = Decimal("0.02")
"""How far from the touch a resting order is priced."""
WINDOW_MS = 2_000
SIZE = 4
"""Taking orders are so many times the smallest order, so that a part of one is possible."""
ENDED = (ReportedStatus.FILLED, ReportedStatus.CANCELLED)
LEG_KINDS = {Leg.SPOT: LegKind.SPOT, Leg.FUTURES: LegKind.FUTURES}


class Desk:
    """All roles of one venue for one card; ``async with``."""

    def __init__(
        self,
        host: PluginHost,
        context: VenueContext,
        testbed: Testbed | None,
        *,
        venue: str,
        clock: KitClock,
        symbols: dict[Leg, str],
        trades: bool = True,
        patience_s: float = WAIT_S,
    ) -> None:
        self.host = host
        self.venue = venue
        self.context = context
        self.spec = host.spec(venue)
        self.symbols = symbols
        self.clock = clock
        self.news: list[tuple[str, Any]] = []
        self._testbed = testbed
        self._trades = trades
        self._patience_s = patience_s
        self._told = asyncio.Event()
        self._numbers = 0
        self._stack = contextlib.AsyncExitStack()
        self._instruments: dict[Leg, Instrument] = {}

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            for name, role in self._unopened().items():
                setattr(self, name, await stack.enter_async_context(role))
            self._stack = stack.pop_all()
        return self

    def _unopened(self) -> dict[str, Any]:
        hooks: list[str] = []
        if LegKind.SPOT in self.spec.legs:
            hooks += ["spot_feed", *(["spot_gateway"] if self._trades else [])]
        if LegKind.FUTURES in self.spec.legs:
            hooks += ["futures_feed", *(["futures_gateway"] if self._trades else [])]
            hooks.append("funding_source")
        if self._trades:
            hooks.append("account_check")
        return {hook: getattr(self.host, hook)(self.venue, self.context)[0] for hook in hooks}

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self._stack.aclose()

    async def close(self) -> None:
        """Close the roles before the card is over."""
        await self._stack.aclose()

    def __getattr__(self, name: str) -> Any:
        raise Failed(f"{self.venue} has no {name}; the hook hedge_{name} must return one")

    # -- the venue ---------------------------------------------------------------------------

    @property
    def legs(self) -> tuple[Leg, ...]:
        return tuple(leg for leg, kind in LEG_KINDS.items() if kind in self.spec.legs)

    def feed(self, leg: Leg) -> Any:
        return self.spot_feed if leg is Leg.SPOT else self.futures_feed

    def gateway(self, leg: Leg) -> Any:
        return self.spot_gateway if leg is Leg.SPOT else self.futures_gateway

    async def instrument(self, leg: Leg) -> Instrument:
        if leg not in self._instruments:
            self._instruments[leg] = await self.feed(leg).read_instrument(self.symbols[leg])
        return self._instruments[leg]

    @property
    def testbed(self) -> Testbed:
        assert self._testbed is not None, "a card that asks for the testbed names its switches"
        return self._testbed

    def truth(self) -> Truth | None:
        """Return what the venue knows; None where it is a real one."""
        return None if self._testbed is None else self._testbed.truth()

    async def strike(self, switch: Switch) -> None:
        await self.testbed.strike(switch)

    # -- what is told ------------------------------------------------------------------------

    def sink(self, name: str) -> Callable[[Any], None]:
        def take(news: Any) -> None:
            self.news.append((name, news))
            self._told.set()

        return take

    def told(self, name: str, kind: type[T], *, after: int = 0) -> list[T]:
        return [n for told, n in self.news[after:] if told == name and isinstance(n, kind)]

    async def until(
        self, name: str, kind: type[T], wanted: Callable[[T], object] = lambda _: True,
        *, what: str = "", after: int = 0,
    ) -> T:  # fmt: skip
        """Return the first news of a kind that is wanted, as soon as it is told."""
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    self._told.clear()
                    for news in self.told(name, kind, after=after):
                        if wanted(news):
                            return news
                    await self._told.wait()
        except TimeoutError:
            text = f"{name}: {what or kind.__name__} was not told within {self._patience_s:g} s"
        raise Failed(text)

    async def hear_market(self, leg: Leg) -> Quote:
        """Listen to the leg's prices; return the first usable quote."""
        name = f"{leg.value} market"
        await self.feed(leg).listen(self.symbols[leg], self.sink(name))
        return await self.until(name, Quote, lambda q: q.usable, what="a usable quote")

    async def hear(self, *legs: Leg) -> None:
        """Listen to prices and account of the legs, and wait until the streams stand."""
        for leg in legs or self.legs:
            await self.hear_market(leg)
            await self.gateway(leg).listen(self.symbols[leg], self.sink(leg.value))
            await self.until(leg.value, StreamUp, lambda u: u.kind is StreamKind.ACCOUNT)

    # -- orders ------------------------------------------------------------------------------

    async def quote(self, leg: Leg) -> Quote:
        name = f"{leg.value} market"
        found = [quote for quote in self.told(name, Quote) if quote.usable]
        return found[-1] if found else await self.hear_market(leg)

    async def order(
        self, leg: Leg, side: Side = Side.BUY, *, times: int = SIZE,
        by: Decimal = REACH, how: TimeInForce = TimeInForce.IOC, **more: Any,
    ) -> Order:  # fmt: skip
        """Return a lawful order, ``by`` (a fraction) through the touch; negative stays away."""
        instrument, quote = await self.instrument(leg), await self.quote(leg)
        touch = quote.ask if side is Side.BUY else quote.bid
        price = instrument.round_price_down(touch * (1 + by * side.sign))
        least = instrument.smallest_order(price * (1 - AWAY))
        self._numbers += 1
        offset = more.pop("ahead_ns", 0)
        found: dict[str, Any] = {
            "client_order_id": f"HK{self.clock.now() // 1_000 % 16**8:08X}"
            f"{leg.value[0].upper()}{self._numbers:06X}",
            "leg": leg,
            "symbol": self.symbols[leg],
            "side": side,
            "quantity": ceil_to(least * times, instrument.lot),
            "limit_price": price,
            "time_in_force": how,
            "signed_at": self.clock.now() + offset,
            "recv_window_ms": WINDOW_MS,
        }
        return Order(**found | more)

    async def resting(self, leg: Leg, side: Side = Side.BUY, **more: Any) -> Order:
        """Return an order that rests away from the market."""
        return await self.order(leg, side, by=-AWAY, how=TimeInForce.POST_ONLY, **more)

    async def off_the_lot(self, leg: Leg) -> Order:
        """Return an order of half a lot too much."""
        lot = (await self.instrument(leg)).lot
        order = await self.order(leg)
        return await self.order(leg, quantity=order.quantity + lot / 2)

    async def place(self, order: Order) -> OrderReport:
        """Place it; the report must be of this very order."""
        report: OrderReport = await self.gateway(order.leg).place_order(order)
        expect(isinstance(report, OrderReport), "place_order must return an OrderReport")
        expect(
            report.client_order_id == order.client_order_id,
            f"place_order answered for {report.client_order_id!a}, not {order.client_order_id!a}",
        )
        return report

    def send(self, order: Order) -> Awaitable[OrderReport]:
        """Return the call that places it, for who expects an error."""
        sent: Awaitable[OrderReport] = self.gateway(order.leg).place_order(order)
        return sent

    def cancel(self, order: Order) -> Awaitable[OrderReport]:
        """Return the call that cancels it."""
        gateway, ours = self.gateway(order.leg), order.client_order_id
        sent: Awaitable[OrderReport] = gateway.cancel_order(order.symbol, ours)
        return sent

    async def read(self, order: Order) -> OrderReport:
        report: OrderReport = await self.gateway(order.leg).read_order(
            order.symbol, order.client_order_id
        )
        return report

    async def end_of(self, order: Order) -> OrderReport:
        """Return the order's end, as reads tell it."""

        async def look() -> OrderReport | None:
            report = await self.read(order)
            return report if report.status in ENDED else None

        return await self.eventually(look, f"{order.client_order_id} to end")

    async def trade(self, leg: Leg, side: Side = Side.BUY, **more: Any) -> tuple[Order, list[Fill]]:
        """Place a taking order, and return it with its fills as they are read."""
        order = await self.order(leg, side, **more)
        await self.place(order)
        end = await self.end_of(order)
        return order, await self.fills_of(order, end.filled)

    async def fills_of(self, order: Order, filled: Decimal) -> list[Fill]:
        """Return an order's fills as they are read, once they sum up to ``filled``."""

        async def look() -> list[Fill] | None:
            found = [
                fill
                for fill in await self.read_fills(order.leg)
                if fill.client_order_id == order.client_order_id
            ]
            return found if sum(fill.quantity for fill in found) >= filled else None

        return await self.eventually(look, f"read_fills to add up to {filled}")

    async def read_fills(self, leg: Leg, since_ns: int = 3_600_000_000_000) -> tuple[Fill, ...]:
        found: tuple[Fill, ...] = await self.gateway(leg).read_fills(
            self.symbols[leg], self.clock.now() - since_ns
        )
        return found

    async def eventually(
        self, look: Callable[[], Awaitable[T | None]], what: str, for_s: float = 0
    ) -> T:
        """Look until there is something, empty or not; None is nothing."""
        for_s = for_s or self._patience_s
        try:
            async with asyncio.timeout(for_s):
                while True:
                    found = await look()
                    if found is not None:
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            text = f"waited {for_s:g} s for {what}"
        raise Failed(text)

    async def settled(self, met: Callable[[], object], what: str) -> None:
        """Wait until something holds."""

        async def look() -> bool | None:
            return True if met() else None

        await self.eventually(look, what)


async def raises(awaited: Awaitable[Any], *kinds: type[E], what: str) -> E:
    """Return the error of one of the kinds; `Failed` for an answer or for another error of ours."""
    names = " or ".join(kind.__name__ for kind in kinds)
    try:
        answer = await awaited
    except kinds as error:
        return error
    except HedgeError as error:
        text = f"{what} must raise {names}, and raised {type(error).__name__}: {error}"
    else:
        text = f"{what} must raise {names}, and returned {brief(answer)}"
    raise Failed(text)


def brief(answer: object) -> str:
    """Return an answer in at most one short line."""
    return " ".join(str(answer).split())[:120]


def where(error: BaseException) -> str:
    """Return the file and line of a plugin that an error came from: the innermost one."""
    found, trace = "", error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if not re.search(r"/(asyncio|hedge/(testing|transport|plugins))/", path.as_posix()):
            found = f"{path.parent.name}/{path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
