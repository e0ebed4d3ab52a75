"""The driver of the Bybit plugin: its roles over a wire simulator on the running loop."""

import asyncio

from desks import PERP, SPOT, D, Desk
from servers import in_process

from hedge.model import Fill, Leg, OrderReport, Quote, ReportedStatus, Side, StreamUp, TimeInForce
from hedge_bybit import plugin
from hedge_bybit.config import BybitSettings
from hedge_sim.dialects.faults import Fault

WAIT_S = 8


class BybitDesk(Desk):
    """All roles of one account, opened, and all that they were told."""

    def __init__(self, server, *, secrets=None, **settings):
        self.server = server
        found = {"environment": "local", "rest_url": server.url, "stream_url": server.ws_url}
        super().__init__(
            "bybit", plugin, BybitSettings(**found | settings), secrets=secrets, account="main"
        )
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
        await self.funding_source.listen(PERP, self.sink("funding"))
        for name in ("spot", "futures"):
            await self.until(name, StreamUp)
        for name in ("spot market", "futures market"):
            await self.until(name, Quote)
        trade = self.spot_gateway.session.open_entry.socket
        if trade is not None:
            await trade.wait_ready(timeout_ms=WAIT_S * 1_000)

    def told(self, name, kind):
        return [news for told, news in self.news if told == name and isinstance(news, kind)]

    async def until(self, name, kind, wanted=lambda _: True):
        """Return the first news of a kind that is wanted, as soon as it has come."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self._told.clear()
                for news in self.told(name, kind):
                    if wanted(news):
                        return news
                await self._told.wait()

    async def more(self):
        """Return when anything more is told."""
        self._told.clear()
        await self._told.wait()

    def quote(self, leg):
        return self.told("spot market" if leg is Leg.SPOT else "futures market", Quote)[-1]

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
        await self.gateway(leg).place_order(order)
        name = leg.value
        ours = order.client_order_id
        end = await self.until(
            name,
            OrderReport,
            lambda r: r.client_order_id == ours and r.status is not ReportedStatus.WORKING,
        )

        def filled(_):
            fills = [f for f in self.told(name, Fill) if f.client_order_id == ours]
            return sum((f.quantity for f in fills), D(0)) >= end.filled

        await self.until(name, Fill, filled)
        return end, [f for f in self.told(name, Fill) if f.client_order_id == ours]

    def strike(self, name, **fields):
        self.server.faults.set(Fault(name=name, **{"times": 1} | fields))

    def struck(self, name):
        return self.server.faults.struck.get(name, 0)


def run(scenario, *, faults=(), desk=None, **server):
    """Serve, open the roles, and play one scenario."""

    async def main():
        async with (
            in_process("bybit", faults=faults, **server) as serving,
            BybitDesk(serving, **(desk or {})) as opened,
        ):
            await scenario(opened)

    asyncio.run(main())
