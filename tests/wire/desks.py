"""What the drivers of the venues' plugins have in common: all roles of one account, and orders."""

import asyncio
import contextlib
import itertools
from decimal import Decimal

from hedge.model import (
    Fill,
    Leg,
    Order,
    OrderReport,
    Quote,
    ReportedStatus,
    Side,
    StreamUp,
    TimeInForce,
)
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock
from hedge_sim.dialects.server import SIM_KEY, SIM_SECRET

D = Decimal
SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
SYMBOLS = {Leg.SPOT: SPOT, Leg.FUTURES: PERP}
WAIT_S = 8
ROLES = (
    "spot_feed",
    "futures_feed",
    "spot_gateway",
    "futures_gateway",
    "funding_source",
    "account_check",
)


class Desk:
    """The roles of one account, opened by the plugin's own hooks; closed with the block."""

    roles = ROLES

    def __init__(self, venue, plugin, settings, *, secrets=None, account=""):
        self.clock = RealClock()
        self.context = VenueContext(
            settings=settings,
            clock=self.clock,
            environment="local",
            account=account,
            secrets=secrets or {"api_key": SIM_KEY, "api_secret": SIM_SECRET},
            shared={},
        )
        self._venue, self._plugin = venue, plugin
        self._numbers = itertools.count(1)

    async def __aenter__(self):
        self.stack = contextlib.AsyncExitStack()
        for name in self.roles:
            role = getattr(self._plugin, f"hedge_{name}")(self._venue, self.context)
            setattr(self, name, await self.stack.enter_async_context(role))
        return self

    async def __aexit__(self, *_):
        await self.stack.aclose()

    async def reopen(self):
        """Close all roles and open new ones of the account, as a start that is tried again does."""
        await self.__aexit__()
        await self.__aenter__()

    def gateway(self, leg):
        return self.spot_gateway if leg is Leg.SPOT else self.futures_gateway

    def new_order(self, leg, side, quantity, price, **changes):
        """Return a taking order with the next id, changed as asked."""
        found = {
            "client_order_id": f"HA1B2C0001{leg.value[0].upper()}{next(self._numbers):06X}",
            "leg": leg,
            "symbol": SYMBOLS[leg],
            "side": side,
            "quantity": D(quantity),
            "limit_price": price,
            "time_in_force": TimeInForce.IOC,
            "signed_at": self.clock.now(),
            "recv_window_ms": 2_000,
        }
        return Order(**found | changes)


class ListeningDesk(Desk):
    """A desk that keeps all that it was told; orders go by the best prices that it heard."""

    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        self.news: list[tuple[str, object]] = []
        self._told = asyncio.Event()

    def sink(self, name):
        def take(news):
            self.news.append((name, news))
            self._told.set()

        return take

    async def listen(self):
        await self.spot_feed.listen(SPOT, self.sink("spot market"))
        await self.futures_feed.listen(PERP, self.sink("futures market"))
        await self.spot_gateway.listen(SPOT, self.sink("spot"))
        await self.futures_gateway.listen(PERP, self.sink("futures"))
        for name in ("spot", "futures"):
            await self.until(name, StreamUp)
        for name in ("spot market", "futures market"):
            await self.until(name, Quote)

    def told(self, name, kind):
        return [news for told, news in self.news if told == name and isinstance(news, kind)]

    async def until(self, name, kind, wanted=lambda _: True, since=0):
        """Return the first news of a kind that is wanted, as soon as it has come."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self._told.clear()
                for news in self.told(name, kind)[since:]:
                    if wanted(news):
                        return news
                await self._told.wait()

    async def more(self):
        """Return when anything more is told."""
        self._told.clear()
        await self._told.wait()

    def quote(self, leg):
        return self.told(f"{leg.value} market", Quote)[-1]

    def order(self, leg, side, quantity, *, by="0", how=TimeInForce.IOC, **more):
        """Return an order ``by`` (a fraction) through the touch; negative stays away from it."""
        quote = self.quote(leg)
        touch = quote.ask if side is Side.BUY else quote.bid
        price = touch * (1 + D(by) * side.sign)
        tick = D("0.01") if leg is Leg.SPOT else D("0.1")
        return self.new_order(
            leg, side, quantity, price // tick * tick, **{"time_in_force": how} | more
        )

    async def trade(self, leg, side, quantity, *, by="0.002", **more):
        """Place a taking order, and return its end and its fills once all of them came."""
        order = self.order(leg, side, quantity, by=by, **more)
        name, ours = leg.value, order.client_order_id
        end = await self.gateway(leg).place_order(order)
        if end.status is ReportedStatus.WORKING:
            end = await self.until(
                name,
                OrderReport,
                lambda r: r.client_order_id == ours and r.status is not ReportedStatus.WORKING,
            )

        def mine():
            return [f for f in self.told(name, Fill) if f.client_order_id == ours]

        await self.until(name, Fill, lambda _: sum(f.quantity for f in mine()) >= end.filled)
        return end, mine()


async def heard_again(desk):
    """Play the scenario of an account that is closed, opened again, and trades."""
    await desk.listen()
    await desk.reopen()
    desk.news.clear()
    await desk.listen()
    _, fills = await desk.trade(Leg.FUTURES, Side.SELL, "0.01")
    assert len(desk.told("futures", Fill)) == len(fills), "each is told once"
