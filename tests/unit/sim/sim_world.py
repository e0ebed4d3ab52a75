"""One venue with all its roles for these tests, and what arrived at each sink."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from sim_clock import JumpClock

from hedge.model import Fill, Leg, Order, Quote, Side, TimeInForce
from hedge.roles import VenueContext
from hedge_sim import plugin
from hedge_sim.config import SimSettings

SPOT = "BTC/USDT"
PERP = "BTC/USDT:USDT"
SECOND = 1_000_000_000
D = Decimal


class World:
    """Opens every role through the hooks, listens to everything."""

    def __init__(
        self, state_dir: Path | str = "", *, clock: JumpClock | None = None, account: str = "",
        shared: dict[str, Any] | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.clock = clock or JumpClock()
        self.context = VenueContext(
            settings=SimSettings(**settings),
            clock=self.clock,
            account=account,
            state_dir=str(state_dir),
            shared={} if shared is None else shared,
        )
        self.spot_feed: Any = plugin.hedge_spot_feed("sim", self.context)
        self.perp_feed: Any = plugin.hedge_futures_feed("sim", self.context)
        self.spot: Any = plugin.hedge_spot_gateway("sim", self.context)
        self.perp: Any = plugin.hedge_futures_gateway("sim", self.context)
        self.funding: Any = plugin.hedge_funding_source("sim", self.context)
        self.check: Any = plugin.hedge_account_check("sim", self.context)
        self.venue = self.spot.venue
        self.market_news: list[Any] = []
        self.account_news: list[Any] = []
        self.funding_news: list[Any] = []
        self.quotes: dict[str, Quote] = {}
        self._stack = AsyncExitStack()
        self._ids = 0

    async def __aenter__(self) -> Self:
        for role in (
            self.spot_feed, self.perp_feed, self.spot, self.perp, self.funding, self.check,
        ):  # fmt: skip
            await self._stack.enter_async_context(role)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def _market(self, news: Any) -> None:
        self.market_news.append(news)
        if isinstance(news, Quote):
            self.quotes[news.symbol] = news

    async def listen(self) -> None:
        await self.spot_feed.listen(SPOT, self._market)
        await self.perp_feed.listen(PERP, self._market)
        await self.spot.listen(SPOT, self.account_news.append)
        await self.perp.listen(PERP, self.account_news.append)
        await self.funding.listen(PERP, self.funding_news.append)

    def got(self, kind: type) -> list[Any]:
        return [n for n in (*self.market_news, *self.account_news) if isinstance(n, kind)]

    def order(
        self, side: Side, quantity: str | Decimal, price: str | Decimal, *, leg: Leg = Leg.SPOT,
        tif: TimeInForce = TimeInForce.POST_ONLY, reduce_only: bool = False, name: str = "",
        signed_at: int | None = None,
    ) -> Order:  # fmt: skip
        self._ids += 1
        return Order(
            client_order_id=name or f"id-{self.clock.now()}-{self._ids}",
            leg=leg,
            symbol=SPOT if leg is Leg.SPOT else PERP,
            side=side,
            quantity=D(quantity),
            limit_price=D(price),
            time_in_force=tif,
            reduce_only=reduce_only,
            signed_at=self.clock.now() if signed_at is None else signed_at,
            recv_window_ms=2000,
        )

    async def take(self, side: Side, quantity: str, *, leg: Leg, reduce_only: bool = False) -> Any:
        """Send an IOC half a per cent through the touch."""
        quote = self.quotes[SPOT if leg is Leg.SPOT else PERP]
        price = (quote.ask * D("1.005") if side is Side.BUY else quote.bid * D("0.995")).quantize(
            D("0.1")
        )
        order = self.order(
            side, quantity, price, leg=leg, tif=TimeInForce.IOC, reduce_only=reduce_only
        )
        return await (self.spot if leg is Leg.SPOT else self.perp).place_order(order)

    def fills(self) -> list[Fill]:
        return self.venue.exchange.account.fills


def run_with(
    main: Callable[[World], Awaitable[None]],
    *,
    listen: bool = True,
    then: Callable[[World], Awaitable[None]] | None = None,
    **settings: Any,
) -> World:
    """Open a world, listen, run ``main`` in it, close it."""
    world = World(**settings)

    async def whole() -> None:
        async with world:
            if listen:
                await world.listen()
            await main(world)
            if then is not None:
                await then(world)

    world.clock.run(whole())
    return world
