"""`MarketFeed` of one leg: instruments, best prices, and a perpetual's marks."""

from hedge.model import Instrument
from hedge.roles import MarketSink
from hedge_ccxt.venue import Role


class Feed(Role):
    """`hedge.roles.MarketFeed`."""

    async def read_instruments(self) -> tuple[Instrument, ...]:
        return tuple(one.instrument for one in await self.session.read_listings(self.leg))

    async def read_instrument(self, symbol: str) -> Instrument:
        return (await self.session.read_listing(self.leg, symbol)).instrument

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        self.session.market(await self.session.listing(self.leg, symbol)).listen(sink)
