"""Funding of one account's perpetuals as it is read: rates, their intervals, and the cash."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec

from hedge.errors import Unreachable
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
            seconds = parse.interval_s(stated) or self._known_s(listing) or self._default_s
            rate = parse.live_rate(row, listing, seconds, now)
            if rate is not None:
                found.append(rate)
        return tuple(found)

    @property
    def _default_s(self) -> int:
        return self._line.profile.interval_default_h * HOUR_S

    async def _interval_s(self, listing: Listing, row: parse.Row) -> int:
        """Return the interval of the row, or whatever else says it, asked anew now and then.

        ccxt has it in ``fetchFundingRate`` of Bybit, Gate and Hyperliquid; elsewhere apart.
        """
        found = parse.interval_s(row.get("interval"))
        ahead, due = row.get("nextFundingTimestamp"), row.get("fundingTimestamp")
        if not found and ahead and due:
            found = whole_hours_s(ahead - due)
        found = found or self._known_s(listing) or await self._asked_s(listing)
        self._intervals[listing.symbol] = (found, self._clock.now())
        return found

    async def _asked_s(self, listing: Listing) -> int:
        """Return what the venue lists of the instrument, else its usual one, else a measured one.

        Binance lists only the instruments whose interval was changed: an answer without it says
        that it is the usual one, and no answer says nothing.
        """
        stated: Any = None
        if self._line.has("fetchFundingIntervals"):
            rows = await self._line.read("fetch_funding_intervals", [listing.market])
            stated = (rows.get(listing.market) or {}).get("interval")
        elif self._line.has("fetchFundingInterval"):
            stated = (await self._line.read("fetch_funding_interval", listing.market))["interval"]
        return parse.interval_s(stated) or self._default_s or await self._measured_s(listing)

    def _known_s(self, listing: Listing) -> int:
        """Return what was learned lately; venues shorten intervals when rates run away."""
        seconds, at = self._intervals.get(listing.symbol, (0, 0))
        return seconds if self._clock.now() - at <= INTERVAL_KEPT else 0

    async def _measured_s(self, listing: Listing) -> int:
        """Return the time between the last two settlements; 0 where there are none."""
        rows = await self._line.read("fetch_funding_rate_history", listing.market, None, 2)
        times = sorted(int(row["timestamp"]) for row in rows if row.get("timestamp"))
        return whole_hours_s(times[-1] - times[-2]) if len(times) > 1 else 0

    async def history(self, listing: Listing, since: int, until: int) -> tuple[FundingRate, ...]:
        """Return settled rates; each interval is the time since the settlement before."""
        rows = await self._settlements(listing, since, until)
        return await self._settled(rows, listing, since, until)

    async def _settlements(self, listing: Listing, since: int, until: int) -> dict[int, parse.Row]:
        """Return the rows of a stretch by their time (ms), and some from before it."""
        last = (until - 1) // MS
        rows: dict[int, parse.Row] = {}
        # A settlement before the first says what the first one's interval is.
        start = -(-since // MS) - INTERVAL_MAX_S * 1_000
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
        return rows

    async def _settled(
        self, rows: dict[int, parse.Row], listing: Listing, since: int, until: int
    ) -> tuple[FundingRate, ...]:
        """Return the rates of the rows with ``since <= time < until``, oldest first.

        The rate settled at a time is the one of the interval before it; where a row is missing,
        or is the first of all, the interval is the one that the instrument has today.
        """
        times = sorted(rows)
        spans_s = [whole_hours_s(after - before) for before, after in pairwise(times)]
        found = []
        for index, time in enumerate(times):
            if not since <= time * MS < until:
                continue
            seconds = spans_s[index - 1] if index else (spans_s[0] if spans_s else 0)
            seconds = seconds or self._known_s(listing) or (await self.live(listing)).interval_s
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

        ``quantity`` is the position that the caller knows of, for a venue that does not say on
        what it paid, nor a mark to reckon it by.
        """
        paid = [
            row
            for row in await self._paid_rows(listing, since)
            if number(row.get("amount")) and row.get("symbol") in (None, listing.market)
        ]
        if not paid:
            return ()
        begin, end = since - MINUTE, self._offset.now() + 1
        rows = await self._settlements(listing, begin, end)
        rates = {one.observed_at: one for one in await self._settled(rows, listing, begin, end)}
        profile = self._line.profile
        found = []
        for row in paid:
            at = parse.moment(row.get("timestamp"))
            apart, near = min(((abs(time - at), time) for time in rates), default=(0, 0))
            told = rates.get(near) if apart <= MINUTE else None
            mark = parse.settled_mark(rows[near // MS], listing) if told else ZERO
            one = parse.payment(row, listing, told, -1 if profile.pays_positive else 1)
            size = parse.paid_on(row, listing, profile.paid_on, one, mark)
            found.append(msgspec.structs.replace(one, quantity=size or quantity))
        kept = [one for one in found if one.settled_at >= since // MS * MS]
        return tuple(sorted(kept, key=lambda one: one.settled_at))

    async def _paid_rows(self, listing: Listing, since: int) -> list[parse.Row]:
        rows: dict[str, parse.Row] = {}
        start = since // MS
        for _ in range(PAGES_MAX):
            page = await self._line.read("fetch_funding_history", listing.market, start, PAGE)
            new = {parse.payment_id(row): row for row in page}
            fresh = new.keys() - rows.keys()
            rows |= new
            if not fresh or len(page) < PAGE:
                break
            start = max(int(row["timestamp"]) for row in new.values())
        return list(rows.values())


def whole_hours_s(span_ms: int) -> int:
    """Return a span between settlements; 0 for one that no venue has (a row between is missing)."""
    seconds = round(span_ms / HOUR_S / 1_000) * HOUR_S
    return seconds if 0 < seconds <= INTERVAL_MAX_S else 0
