"""Funding of the perpetuals: estimates, settlements and the cash paid, each with its interval.

The interval is never a constant: it is the next settlement's time less the previous one's, and
``fundingInfo`` (absent there means 8 h) only where there is no previous one.
"""

from hedge.errors import Malformed, Missing, VenueError
from hedge.model import FundingPayment, FundingRate, Leg, RateOrigin
from hedge.model.funding import EIGHT_HOURS_S
from hedge.model.numbers import HOUR, MINUTE, MS, SECOND, ZERO
from hedge.roles import MarketSink
from hedge_binance import parse, wire
from hedge_binance.cold import Cold
from hedge_binance.instruments import Listing
from hedge_binance.link import Link, Role
from hedge_binance.market import market_of

LIVE_EVERY = MINUTE
PAGE = 1_000
SETTLED_TRIES = (2 * SECOND, 10 * SECOND, 30 * SECOND, 60 * SECOND)
"""When the settled rate is asked after its time: it appears a moment later."""
BACK = 25 * HOUR
"""How far before a range its previous settlement is looked for (the longest interval is 24 h)."""
HOUR_S = 3_600


class BinanceFundingSource(Role):
    """`hedge.roles.FundingSource`."""

    async def _cold(self) -> Cold:
        return await self.session.cold(Leg.FUTURES)

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        """Tell the last settlement now; then estimates, and each settlement when it is known."""
        listing = await self.session.listing(Leg.FUTURES, symbol)
        book = FundingBook(self.session, await self._cold(), listing, sink)
        for rate in (await book.read_settled())[-1:]:
            book.settle(rate)
        market = await market_of(self.session, Leg.FUTURES)
        await market.listen_marks(listing, book.seen)

    async def read_rate(self, symbol: str) -> FundingRate:
        """Return the running estimate for the next settlement."""
        listing = await self.session.listing(Leg.FUTURES, symbol)
        cold = await self._cold()
        row = await cold.read(
            wire.Premium,
            lambda c: c.futures_mark_price(symbol=listing.native),
            1,
            signed=False,
        )
        if not row.next_funding_time:
            raise Missing(f"binance: {symbol} has no funding")
        interval_s = await self._interval_s(cold, listing, row.next_funding_time)
        rate = _live(listing, row, interval_s)
        if rate is None:
            raise Missing(f"binance: {symbol} has no funding")
        return rate

    async def _interval_s(self, cold: Cold, listing: Listing, next_ms: int) -> int:
        """Return next less previous settlement; both are read once for each settlement."""
        known = self.session.intervals.get(listing.native)
        if known is not None and known[0] == next_ms:
            return known[1]
        interval_s = await read_interval_s(cold, listing, next_ms)
        self.session.intervals[listing.native] = (next_ms, interval_s)
        return interval_s

    async def read_rates(self) -> tuple[FundingRate, ...]:
        """Return the estimate of every perpetual; the interval is ``fundingInfo``'s."""
        found = await self.session.read_listings(Leg.FUTURES)
        cold = await self._cold()
        rows = await cold.read(
            list[wire.Premium], lambda c: c.futures_mark_price(), 10, signed=False
        )
        info = await read_info(cold)
        by_native = {listing.native: listing for listing in found.values()}
        rates = []
        for row in rows:
            listing = by_native.get(row.symbol)
            if listing is not None and row.next_funding_time:
                rates.append(_live(listing, row, info.get(row.symbol, EIGHT_HOURS_S)))
        return tuple(rate for rate in rates if rate is not None)

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        """Return settled rates in ``since <= observed_at < until``, oldest first."""
        listing = await self.session.listing(Leg.FUTURES, symbol)
        return await read_settlements(await self._cold(), listing, since, until)

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        """Return the cash of every settlement at or after ``since``, oldest first."""
        listing = await self.session.listing(Leg.FUTURES, symbol)
        return await read_payments(await self._cold(), listing, since)


class FundingBook:
    """What one listener is told of one perpetual."""

    def __init__(self, link: Link, cold: Cold, listing: Listing, sink: MarketSink) -> None:
        self.link = link
        self.cold = cold
        self.listing = listing
        self._sink = sink
        self._next_ms = 0
        self._interval_s = EIGHT_HOURS_S
        self._told_at = 0
        self._settled_at = 0

    async def read_settled(self) -> tuple[FundingRate, ...]:
        """Return the settlements of the last day, oldest first; none of what is listed since."""
        now = self.cold.offset.now()
        return await read_settlements(self.cold, self.listing, now - BACK, now + MINUTE)

    def settle(self, rate: FundingRate) -> None:
        """Tell a settlement, unless it or a later one has been told."""
        if rate.observed_at > self._settled_at:
            self._settled_at = rate.observed_at
            self._sink(rate)

    def seen(self, news: wire.MarkPrice) -> None:
        """Take a mark: a later time of the next settlement says that one has been."""
        rate = parse.number(news.rate)
        if rate is None or not news.next_at:
            return
        if news.next_at != self._next_ms:
            self._turn(news.next_at)
        now = self.link.clock.now()
        if now - self._told_at < LIVE_EVERY:
            return
        self._told_at = now
        self._sink(
            FundingRate(
                symbol=self.listing.symbol,
                rate=rate,
                interval_s=self._interval_s,
                next_at=news.next_at * MS,
                observed_at=news.at * MS,
                origin=RateOrigin.LIVE,
            )
        )

    def _turn(self, next_ms: int) -> None:
        """Begin another interval, or the same with another end (8 h may become 4 h at any time)."""
        before, self._next_ms, self._told_at = self._next_ms, next_ms, 0
        if before and next_ms > before:
            self._interval_s = _whole_hours((next_ms - before) * MS)
            self.link.start(self._tell_settled(self._settled_at))
            return
        span = next_ms * MS - self._settled_at
        if self._settled_at and 0 < span <= BACK:
            self._interval_s = _whole_hours(span)

    async def _tell_settled(self, last: int) -> None:
        """Tell what was settled after ``last`` once the venue shows it."""
        for pause in SETTLED_TRIES:
            await self.link.clock.sleep_until(self.link.clock.now() + pause)
            try:
                rates = await self.read_settled()
            except (VenueError, Malformed):
                continue
            for rate in rates:
                self.settle(rate)
            if self._settled_at > last:
                return


def _live(listing: Listing, row: wire.Premium, interval_s: int) -> FundingRate | None:
    rate = parse.number(row.last_funding_rate)
    if rate is None:
        return None
    return FundingRate(
        symbol=listing.symbol,
        rate=rate,
        interval_s=interval_s,
        next_at=row.next_funding_time * MS,
        observed_at=row.time * MS,
        origin=RateOrigin.LIVE,
    )


def _whole_hours(span: int) -> int:
    """Return a span (ns) as whole hours in seconds: settlements are stamped a few ms late."""
    return max((span + HOUR // 2) // HOUR, 1) * HOUR_S


async def read_info(cold: Cold) -> dict[str, int]:
    """Return the interval (s) of every symbol whose interval or cap was ever adjusted."""
    rows = await cold.read(
        list[wire.FundingInfo], lambda c: c.futures_v1_get_funding_info(), 1, signed=False
    )
    return {row.symbol: row.funding_interval_hours * HOUR_S for row in rows}


async def read_interval_s(cold: Cold, listing: Listing, next_ms: int) -> int:
    """Return the length of the interval that ends at ``next_ms``."""
    rows = await _settled_rows(cold, listing, next_ms - BACK // MS, next_ms - 1)
    if rows:
        return _whole_hours((next_ms - rows[-1].funding_time) * MS)
    return (await read_info(cold)).get(listing.native, EIGHT_HOURS_S)


async def _settled_rows(
    cold: Cold, listing: Listing, start_ms: int, end_ms: int
) -> list[wire.SettledRate]:
    """Return the settlements in both ends inclusive, oldest first, all pages."""
    found: list[wire.SettledRate] = []
    while start_ms <= end_ms:
        start = start_ms
        rows = await cold.read(
            list[wire.SettledRate],
            lambda c: c.futures_funding_rate(
                symbol=listing.native,
                startTime=start,  # noqa: B023 - awaited in this turn of the loop
                endTime=end_ms,
                limit=PAGE,
            ),
            1,
            signed=False,
        )
        found.extend(rows)
        if len(rows) < PAGE:
            break
        start_ms = rows[-1].funding_time + 1
    return found


async def read_settlements(
    cold: Cold, listing: Listing, since: int, until: int
) -> tuple[FundingRate, ...]:
    """Return the settlements in ``since <= at < until`` (ns), each with its own interval."""
    rows = await _settled_rows(cold, listing, (since - BACK) // MS, (until - 1) // MS)
    return settled_rates(rows, listing, since)


def settled_rates(
    rows: list[wire.SettledRate], listing: Listing, since: int
) -> tuple[FundingRate, ...]:
    """Return the rows at or after ``since`` (ns); the earlier ones only say how long it was."""
    found = []
    for number, row in enumerate(rows):
        at = row.funding_time * MS
        if at < since:
            continue
        interval_s = _interval_before(rows, number)
        following = rows[number + 1].funding_time * MS if number + 1 < len(rows) else 0
        found.append(
            FundingRate(
                symbol=listing.symbol,
                rate=row.funding_rate,
                interval_s=interval_s,
                next_at=following or at + interval_s * SECOND,
                observed_at=at,
                origin=RateOrigin.SETTLED,
            )
        )
    return tuple(found)


def _interval_before(rows: list[wire.SettledRate], number: int) -> int:
    """Return the interval (s) that a settlement ended: it began at the one before it.

    The first that is known has only the interval after it to go by.
    """
    pair = rows[number - 1 : number + 1] if number else rows[:2]
    span = (pair[-1].funding_time - pair[0].funding_time) * MS if len(pair) > 1 else 0
    return _whole_hours(span) if 0 < span <= BACK else EIGHT_HOURS_S


async def read_payments(cold: Cold, listing: Listing, since: int) -> tuple[FundingPayment, ...]:
    """Return the funding cash of one perpetual at or after ``since`` (ns), oldest first.

    The venue's books say the cash; rate and interval come from its settlements, and the position
    is what both and the mark of that moment leave: cash = -position x mark x rate.
    """
    rows = await _income_rows(cold, listing, since // MS)
    if not rows:
        return ()
    first, last = rows[0].time * MS - HOUR, rows[-1].time * MS + HOUR
    settled = await _settled_rows(cold, listing, (first - BACK) // MS, last // MS)
    return tuple(payment_of(row, settled, listing) for row in rows)


async def _income_rows(cold: Cold, listing: Listing, start_ms: int) -> list[wire.Income]:
    found: dict[str, wire.Income] = {}
    while True:
        start = start_ms
        rows = await cold.read(
            list[wire.Income],
            lambda c: c.futures_income_history(
                symbol=listing.native,
                incomeType="FUNDING_FEE",
                startTime=start,  # noqa: B023 - awaited in this turn of the loop
                limit=PAGE,
            ),
            30,
        )
        fresh = [row for row in rows if str(row.tran_id) not in found]
        found.update((str(row.tran_id), row) for row in fresh)
        if len(rows) < PAGE or not fresh:
            mine = (row for row in found.values() if row.symbol == listing.native)
            return sorted(mine, key=lambda row: (row.time, str(row.tran_id)))
        start_ms = rows[-1].time


def payment_of(
    row: wire.Income, settled: list[wire.SettledRate], listing: Listing
) -> FundingPayment:
    """Return one row of the venue's books with the settlement (oldest first) that it is of."""
    parse.finite(row.income)
    at = row.time + MINUTE // MS
    number = sum(one.funding_time <= at for one in settled) - 1
    near = settled[number] if number >= 0 else None
    rate = near.funding_rate if near else ZERO
    mark = parse.number(near.mark_price) if near else None
    quantity = ZERO
    if rate and mark:
        lot = listing.instrument.lot
        exact = listing.coins(-row.income / (rate * mark))
        quantity = (exact / lot).to_integral_value() * lot
    return FundingPayment(
        payment_id=f"{row.tran_id}",
        symbol=listing.symbol,
        rate=rate,
        interval_s=_interval_before(settled, number) if near else EIGHT_HOURS_S,
        quantity=quantity,
        cash=row.income,
        asset=row.asset,
        settled_at=row.time * MS,
    )
