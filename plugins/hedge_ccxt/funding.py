"""`FundingSource`: settled and running rates with their interval, and the cash that was settled."""

import asyncio

from hedge.errors import Malformed, VenueError
from hedge.model import FundingPayment, FundingRate, Leg
from hedge.model.numbers import HOUR, MINUTE, SECOND
from hedge.roles import MarketSink, VenueContext
from hedge_ccxt.listing import Listing
from hedge_ccxt.sdk import FAULTS
from hedge_ccxt.venue import Role

LIVE_EVERY = MINUTE
LOOK_BACK = 24 * HOUR
POLL = 5 * SECOND
"""How often the running rate is asked for: a new settlement shows in it first."""


class Funding(Role):
    """`hedge.roles.FundingSource`."""

    def __init__(self, name: str, context: VenueContext) -> None:
        super().__init__(name, context, Leg.FUTURES)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.session.close()

    async def _listing(self, symbol: str) -> Listing:
        return await self.session.listing(self.leg, symbol)

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        """Push the last settled rate now, each new one, and the running one once a minute."""
        now = self.session.offset.now()
        settled = await self.read_history(symbol, now - LOOK_BACK, now + 1)
        for rate in settled[-1:]:
            sink(rate)
        told_at = settled[-1].observed_at if settled else now
        task = asyncio.get_running_loop().create_task(self._follow(symbol, sink, told_at))
        self._tasks.add(task)

    async def _follow(self, symbol: str, sink: MarketSink, settled_at: int) -> None:
        clock, offset = self.session.clock, self.session.offset
        live_at, next_at = 0, 0
        while True:
            try:
                rate = await self.read_rate(symbol)
                if rate.observed_at - live_at >= LIVE_EVERY:
                    live_at = rate.observed_at
                    sink(rate)
                if next_at and rate.next_at != next_at:
                    for one in await self.read_history(symbol, settled_at + 1, offset.now() + 1):
                        settled_at, next_at = one.observed_at, 0
                        sink(one)
                next_at = next_at or rate.next_at
            except (VenueError, Malformed, *FAULTS):
                pass  # the next turn asks again; an old rate goes stale in the core
            await clock.sleep_until(clock.now() + POLL)

    async def read_rate(self, symbol: str) -> FundingRate:
        return await self.session.rates.live(await self._listing(symbol))

    async def read_rates(self) -> tuple[FundingRate, ...]:
        return await self.session.rates.all_live(await self.session.read_listings(self.leg))

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        return await self.session.rates.history(await self._listing(symbol), since, until)

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        return await self.session.rates.payments(await self._listing(symbol), since)
