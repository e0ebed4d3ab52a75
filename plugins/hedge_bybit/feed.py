"""`MarketFeed` of one category: instruments, best prices, and a perpetual's marks."""

from hedge.model import Instrument, Leg, Mark
from hedge.roles import Clock, MarketSink, VenueContext
from hedge_bybit.listing import Listing, number
from hedge_bybit.public import Ticker
from hedge_bybit.venue import Role


class Feed(Role):
    """`hedge.roles.MarketFeed` of one leg."""

    def __init__(self, context: VenueContext, leg: Leg) -> None:
        super().__init__(context)
        self._leg = leg

    async def read_instruments(self) -> tuple[Instrument, ...]:
        return tuple(one.instrument for one in await self.session.read_listings(self._leg))

    async def read_instrument(self, symbol: str) -> Instrument:
        return (await self.session.read_listing(self._leg, symbol)).instrument

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        """Subscribe; a perpetual's marks come with its ticker."""
        listing = await self.session.listing(self._leg, symbol)
        stream = self.session.public(self._leg)
        await stream.watch_book(listing, sink, sink)
        if self._leg is Leg.FUTURES:
            await stream.watch_ticker(listing, _Marks(self.session.clock, sink).take)


class _Marks:
    """Tells a mark when mark or index has changed; a ticker changes for many other reasons."""

    def __init__(self, clock: Clock, sink: MarketSink) -> None:
        self._clock = clock
        self._sink = sink
        self._told = ("", "")

    def take(self, listing: Listing, ticker: Ticker) -> None:
        prices = (ticker.mark_price, ticker.index_price)
        if prices == self._told or not ticker.mark_price:
            return
        self._told = prices
        self._sink(
            Mark(
                symbol=listing.symbol,
                mark=listing.price(number(ticker.mark_price)),
                index=listing.price(number(ticker.index_price)),
                seen_at=self._clock.now(),
            )
        )
