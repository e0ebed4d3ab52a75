"""Funding of one account's perpetuals as it is read: rates, their intervals, and the cash."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

from hedge.errors import Missing, Unreachable
from hedge.model import FundingPayment, FundingRate, RateOrigin
from hedge.model.numbers import MINUTE, MS, ZERO
from hedge.roles import Clock
from hedge.transport import ClockOffset
from hedge_ccxt import parse
from hedge_ccxt.line import Line
from hedge_ccxt.listing import Listing, number

HOUR_S = 3_600
INTERVAL_KEPT = 10 * MINUTE
INTERVAL_MAX_S = 8 * HOUR_S
PAGE = 100
PAGES_MAX = 500


class Rates:
    """Questions about funding; raises as `Line.read` does."""

    def __init__(self, line: Line, clock: Clock, offset: ClockOffset) -> None:
        self._line = line
        self._clock = clock
        self._offset = offset
        self._intervals: dict[str, tuple[int, int]] = {}
        """Symbol -> (seconds, when it was learned)."""

    async def live(self, listing: Listing) -> FundingRate:
        row = await self._line.read("fetch_funding_rate", listing.market)
        seconds = await self._interval_s(listing, row)
        rate = parse.live_rate(row, listing, seconds, self._offset.now())
        if rate is None:
            raise Unreachable(
                f"{self._line.venue}: no funding rate of {listing.symbol} with its interval"
            )
        return rate

    async def all_live(self, listings: tuple[Listing, ...]) -> tuple[FundingRate, ...]:
        """Return the running rate of every perpetual that has one with its interval."""
        by_market = {one.market: one for one in listings}
        rows = await self._line.read("fetch_funding_rates")
        intervals: dict[str, Any] = {}
        if self._line.has("fetchFundingIntervals"):
            intervals = await self._line.read("fetch_funding_intervals")
        found = []
        now = self._offset.now()
        for market, row in rows.items():
            listing = by_market.get(market)
            if listing is None:
                continue
            stated = row.get("interval") or (intervals.get(market) or {}).get("interval")
            seconds = parse.interval_s(stated) or self._usual_s(listing)
            rate = parse.live_rate(row, listing, seconds, now)
            if rate is not None:
                found.append(rate)
        return tuple(found)

    async def _interval_s(self, listing: Listing, row: parse.Row) -> int:
        """Return the interval of the row, or of `fetchFundingInterval`, asked anew now and then.

        ccxt has it in ``fetchFundingRate`` of Bybit, Gate and Hyperliquid; elsewhere apart.
        """
        found = parse.interval_s(row.get("interval"))
        ahead, due = row.get("nextFundingTimestamp"), row.get("fundingTimestamp")
        if not found and ahead and due and ahead > due:
            found = (ahead - due) // 1_000
        if found:
            return self._learned(listing, found)
        if known := self._known_s(listing):
            return known
        if self._line.has("fetchFundingInterval"):
            try:
                answer = await self._line.read("fetch_funding_interval", listing.market)
                found = parse.interval_s(answer.get("interval"))
            except (Unreachable, Missing):
                found = 0  # Binance lists the instruments only whose interval was changed
        return self._learned(listing, found or await self._measured_s(listing))

    def _learned(self, listing: Listing, seconds: int) -> int:
        self._intervals[listing.symbol] = (seconds, self._clock.now())
        return seconds

    def _known_s(self, listing: Listing) -> int:
        """Return what was learned lately; venues shorten intervals when rates run away."""
        seconds, at = self._intervals.get(listing.symbol, (0, 0))
        return seconds if self._clock.now() - at <= INTERVAL_KEPT else 0

    def _usual_s(self, listing: Listing) -> int:
        return self._known_s(listing) or self._line.profile.interval_default_h * HOUR_S

    async def _measured_s(self, listing: Listing) -> int:
        """Return the time between the last two settlements; 0 where there are none."""
        rows = await self._line.read("fetch_funding_rate_history", listing.market, None, 2)
        times = sorted(int(row["timestamp"]) for row in rows if row.get("timestamp"))
        return (times[-1] - times[-2]) // 1_000 if len(times) > 1 else 0

    async def history(self, listing: Listing, since: int, until: int) -> tuple[FundingRate, ...]:
        """Return settled rates; each interval is the time since the settlement before."""
        first, last = -(-since // MS), (until - 1) // MS
        rows: dict[int, parse.Row] = {}
        # A settlement before the first says what the first one's interval is.
        start = first - INTERVAL_MAX_S * 1_000
        for _ in range(PAGES_MAX):
            page = await self._line.read(
                "fetch_funding_rate_history",
                listing.market,
                start,
                PAGE,
                params={"until": last + 1},
            )
            new = {
                int(row["timestamp"]): row
                for row in page
                if row.get("timestamp") and int(row["timestamp"]) not in rows
            }
            rows |= new
            if not new or len(page) < PAGE:
                break
            # A venue that shows the newest of a stretch leaves its beginning out.
            if min(new) > start + INTERVAL_MAX_S * 1_000:
                last = min(new) - 1
            else:
                start = max(rows) + 1
        return self._settled(rows, listing, first, (until - 1) // MS)

    def _settled(
        self, rows: dict[int, parse.Row], listing: Listing, first: int, last: int
    ) -> tuple[FundingRate, ...]:
        times = sorted(rows)
        gaps_s = [(after - before) // 1_000 for before, after in pairwise(times)]
        # The rate settled at a time is the one of the interval before it; a gap that is no whole
        # number of hours, or more than eight, is a row that is missing.
        found = []
        for index, time in enumerate(times):
            gap_s = gaps_s[index - 1] if index else (gaps_s[0] if gaps_s else 0)
            gap_s = round(gap_s / HOUR_S) * HOUR_S
            seconds = gap_s if 0 < gap_s <= INTERVAL_MAX_S else self._usual_s(listing)
            if not first <= time <= last:
                continue
            found.append(
                FundingRate(
                    symbol=listing.symbol,
                    rate=number(rows[time].get("fundingRate")),
                    interval_s=seconds,
                    next_at=(time + seconds * 1_000) * MS,
                    observed_at=time * MS,
                    origin=RateOrigin.SETTLED,
                )
            )
        return tuple(found)

    async def payments(
        self, listing: Listing, since: int, quantity: Decimal = ZERO
    ) -> tuple[FundingPayment, ...]:
        """Return the cash of settlements, oldest first; the rate is that of the venue's history.

        ccxt does not say on what position it was paid: ``quantity`` is what the caller knows.
        """
        rows: dict[str, parse.Row] = {}
        start = since // MS
        for _ in range(PAGES_MAX):
            page = await self._line.read("fetch_funding_history", listing.market, start, PAGE)
            new = {f"{row.get('id')}@{row.get('timestamp')}": row for row in page}
            fresh = new.keys() - rows.keys()
            rows |= new
            if not fresh or len(page) < PAGE:
                break
            start = max(int(row["timestamp"]) for row in new.values())
        paid = [row for row in rows.values() if number(row.get("amount"))]
        if not paid:
            return ()
        rates = await self.history(listing, since - MINUTE, self._offset.now() + 1)
        sign = -1 if self._line.profile.pays_positive else 1
        found = []
        for row in paid:
            at = parse.moment(row.get("timestamp"))
            near = sorted((abs(one.observed_at - at), one.rate, one.interval_s) for one in rates)
            told = near[0][1:] if near and near[0][0] <= MINUTE else (ZERO, 0)
            found.append(parse.payment(row, listing, told, quantity, sign))
        kept = [one for one in found if one.settled_at >= since // MS * MS]
        return tuple(sorted(kept, key=lambda one: one.settled_at))
