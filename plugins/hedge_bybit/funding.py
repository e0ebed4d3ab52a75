"""`FundingSource`: settled and running rates with their interval, and the cash that was settled."""

import asyncio
from itertools import pairwise

from hedge.errors import Malformed, Missing, VenueError
from hedge.model import FundingPayment, FundingRate, Leg, RateOrigin
from hedge.model.numbers import HOUR, MINUTE, MS, SECOND
from hedge.roles import MarketSink, VenueContext
from hedge_bybit import parse
from hedge_bybit.listing import Listing, number
from hedge_bybit.public import Ticker
from hedge_bybit.reads import SettledRow, TickerRow
from hedge_bybit.venue import Role

LIVE_EVERY = MINUTE
HOUR_S = 3_600
PAGE = 200
INTERVAL_MAX_S = 8 * HOUR_S
"""Bybit's are 1, 2, 4 and 8 h."""
LOOK_BACK = 24 * HOUR
"""The last settlement lies within."""
SETTLED_TRIES = 20
SETTLED_EVERY = 3 * SECOND
"""How often, and how many times, a settlement's rate is asked for until the history has it."""


class Funding(Role):
    """`hedge.roles.FundingSource`."""

    def __init__(self, context: VenueContext) -> None:
        super().__init__(context)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.session.close()

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        """Push the last settled rate now, each new one, and the running one once a minute."""
        listing = await self.session.listing(Leg.FUTURES, symbol)
        now = self.session.offset.now()
        settled = await self.read_history(symbol, now - LOOK_BACK, now + 1)
        rates = _Rates(self, listing, sink)
        rates.settle(settled[-1:])
        await self.session.public(Leg.FUTURES).watch_ticker(listing, rates.take)

    def follow(self, rates: "_Rates") -> None:
        """Have a new settlement told as soon as the venue's history has it."""
        task = asyncio.get_running_loop().create_task(self._follow(rates))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, rates: "_Rates") -> None:
        clock, offset = self.session.clock, self.session.offset
        symbol, told_at = rates.listing.symbol, rates.settled_at
        for _ in range(SETTLED_TRIES):
            try:
                found = await self.read_history(symbol, told_at + 1, offset.now() + 1)
            except (VenueError, Malformed):
                found = ()
            if found:
                rates.settle(found)
                return
            await clock.sleep_until(clock.now() + SETTLED_EVERY)
        rates.settle(())

    async def read_rate(self, symbol: str) -> FundingRate:
        listing = await self.session.listing(Leg.FUTURES, symbol)
        row = await self.session.reads.ticker(Leg.FUTURES, listing.venue_symbol)
        if row is None:
            raise Missing(f"bybit has no ticker of {listing.venue_symbol}")
        return _running(row, listing, self.session.offset.now())

    async def read_rates(self) -> tuple[FundingRate, ...]:
        """Return the running rate of every perpetual that has one."""
        listings = await self.session.read_listings(Leg.FUTURES)
        by_name = {listing.venue_symbol: listing for listing in listings}
        rows = await self.session.reads.tickers(Leg.FUTURES)
        now = self.session.offset.now()
        return tuple(
            _running(row, by_name[row.symbol], now)
            for row in rows
            if row.symbol in by_name and row.funding_rate
        )

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        """Return settled rates; each interval is the time since the settlement before.

        Bybit gives the newest 200 of a stretch: pages go backwards. The oldest rate asked for
        takes its interval from the next one, or from the instrument.
        """
        listing = await self.session.listing(Leg.FUTURES, symbol)
        first, last = -(-since // MS), (until - 1) // MS
        rows: dict[int, SettledRow] = {}
        end = last + 1  # a venue that compares in finer units leaves its last millisecond out
        while end >= first:
            page = await self.session.reads.settled_rates(listing.venue_symbol, first, end)
            new = {int(row.funding_rate_timestamp): row for row in page}
            rows |= new
            if len(page) < PAGE:
                break
            end = min(new) - 1
        return _settled(rows, listing, first, last)

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        listing = await self.session.listing(Leg.FUTURES, symbol)
        reads, at = self.session.reads, since // MS * MS
        if parse.pays_by_execution(listing):
            found = await reads.executions(Leg.FUTURES, listing.venue_symbol, at, parse.FUNDING)
            return tuple(
                parse.executed_payment(row, listing)
                for row in found
                if row.exec_type == parse.FUNDING
            )
        rows = await reads.settlements(listing.instrument.settle, at)
        return tuple(
            parse.logged_payment(row, listing)
            for row in rows
            if row.symbol == listing.venue_symbol and number(row.funding)
        )


def _settled(
    rows: dict[int, SettledRow], listing: Listing, first: int, last: int
) -> tuple[FundingRate, ...]:
    times = sorted(rows)
    if not times:
        return ()
    gaps_s = [(after - before) // 1_000 for before, after in pairwise(times)]
    # The rate settled at a time is the one of the interval before it.
    before_s = [gaps_s[0] if gaps_s else 0, *gaps_s]
    # A gap that is no whole number of hours is none of Bybit's intervals: a row is missing.
    stated_s = listing.funding_interval_s
    intervals_s = [
        gap_s if 0 < gap_s <= INTERVAL_MAX_S and not gap_s % HOUR_S else stated_s
        for gap_s in before_s
    ]
    return tuple(
        FundingRate(
            symbol=listing.symbol,
            rate=number(rows[time].funding_rate),
            interval_s=interval_s,
            next_at=(time + interval_s * 1_000) * MS,
            observed_at=time * MS,
            origin=RateOrigin.SETTLED,
        )
        for time, interval_s in zip(times, intervals_s, strict=True)
        if first <= time <= last
    )


def _interval_s(hours: str, listing: Listing) -> int:
    """Return the ticker's word, which changes first, or the instrument's."""
    return int(number(hours) * HOUR_S) or listing.funding_interval_s


def _running(row: TickerRow | Ticker, listing: Listing, at: int) -> FundingRate:
    return FundingRate(
        symbol=listing.symbol,
        rate=number(row.funding_rate),
        interval_s=_interval_s(row.funding_interval_hour, listing),
        next_at=parse.moment(row.next_funding_time or 0),
        observed_at=at,
        origin=RateOrigin.LIVE,
    )


class _Rates:
    """Follows one perpetual's ticker for one listener."""

    def __init__(self, source: Funding, listing: Listing, sink: MarketSink) -> None:
        self.listing = listing
        self.settled_at = source.session.offset.now()
        """When the last rate that was told was settled; at first, when somebody began to ask."""
        self._source = source
        self._sink = sink
        self._next_at = ""
        self._told_at = 0
        self._following = False

    def settle(self, rates: tuple[FundingRate, ...]) -> None:
        """Tell what was settled."""
        self._following = False
        for rate in rates:
            self.settled_at = rate.observed_at
            self._sink(rate)

    def take(self, _: Listing, ticker: Ticker) -> None:
        """Tell the running rate at most once a minute; a new next time means a settlement."""
        if not ticker.funding_rate or not ticker.next_funding_time:
            return
        if ticker.next_funding_time != self._next_at:
            known, self._next_at = self._next_at, ticker.next_funding_time
            if known and not self._following:
                self._following = True
                self._source.follow(self)
        now = self._source.session.offset.now()
        if now - self._told_at >= LIVE_EVERY:
            self._told_at = now
            self._sink(_running(ticker, self.listing, now))
