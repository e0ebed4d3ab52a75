"""The public side of REST, ``/v5/market/*``: parameters in, ``result`` out."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hedge.model.numbers import MS, plain
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT, Rejection, bad_param
from hedge_sim.dialects.bybit_listing import LEVERAGE_MAX, Listing
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_pages import page
from hedge_sim.dialects.bybit_params import Params, category_of, limit_of, text_of, whole_of
from hedge_sim.dialects.bybit_shapes import Row, cents
from hedge_sim.dialects.bybit_tape import trade_row
from hedge_sim.dialects.house import House

MINUTE_MS: Final = 60_000
_INTERVALS: Final = {"D": 1_440, "W": 10_080}
_BOOK_DEPTHS: Final = {SPOT: (1, 200), LINEAR: (25, 500)}


class MarketReads:
    """``/v5/market/*``."""

    def __init__(self, house: House, markets: Markets, now_ms: Callable[[], int]) -> None:
        self._house = house
        self._markets = markets
        self._now_ms = now_ms

    def table(self) -> dict[str, Callable[[Params], Row]]:
        return {
            "/v5/market/time": self.time,
            "/v5/market/instruments-info": self.instruments,
            "/v5/market/tickers": self.tickers,
            "/v5/market/orderbook": self.orderbook,
            "/v5/market/kline": self.kline,
            "/v5/market/mark-price-kline": self.mark_kline,
            "/v5/market/index-price-kline": self.mark_kline,
            "/v5/market/funding/history": self.funding_history,
            "/v5/market/recent-trade": self.recent_trades,
            "/v5/market/open-interest": self.open_interest,
            "/v5/market/risk-limit": self.risk_limit,
        }

    def time(self, _: Params) -> Row:
        now = self._now_ms()
        return {"timeSecond": str(now // 1_000), "timeNano": str(now * 1_000_000)}

    def _one(self, params: Params, category: str) -> Listing:
        return self._markets.listing(category, text_of(params, "symbol"))

    def instruments(self, params: Params) -> Row:
        category, symbol = category_of(params), text_of(params, "symbol")
        status, base = text_of(params, "status"), text_of(params, "baseCoin")
        found = self._markets.listings(category)
        if symbol:
            found = [one for one in found if one.symbol == symbol]
            if not found:
                raise bad_param(f"symbol invalid {symbol}")
        if status not in {"", "Trading"}:
            found = []
        found = [one for one in found if base in {"", one.base_coin}]
        if category == SPOT:  # never paged (docs/v5/market/instrument)
            return {"category": category, "list": [self._markets.listing_row(o) for o in found]}
        rows, cursor = page(list(reversed(found)), params, 500, 1_000)
        return {
            "category": category,
            "list": [self._markets.listing_row(one) for one in rows],
            "nextPageCursor": cursor,
        }

    def tickers(self, params: Params) -> Row:
        category = category_of(params)
        if text_of(params, "symbol"):
            found = [self._one(params, category)]
        else:
            found = self._markets.traded(category)
        return {"category": category, "list": [self._markets.ticker(one) for one in found]}

    def orderbook(self, params: Params) -> Row:
        category = category_of(params)
        listing = self._one(params, category)
        depth = limit_of(params, *_BOOK_DEPTHS.get(category, (25, 500)))
        now = self._now_ms()
        return {
            "s": listing.symbol,
            "b": self._markets.book(listing, depth, asks=False),
            "a": self._markets.book(listing, depth, asks=True),
            "ts": now,
            "u": now,
            "seq": now,
            "cts": now,
        }

    def kline(self, params: Params) -> Row:
        return self._klines(params, whole=True)

    def mark_kline(self, params: Params) -> Row:
        return self._klines(params, whole=False)

    def _klines(self, params: Params, *, whole: bool) -> Row:
        """Return candles newest first; only a whole one has volume and turnover."""
        category = category_of(params)
        listing = self._one(params, category)
        word = text_of(params, "interval")
        minutes = _INTERVALS.get(word) or (int(word) if word.isdigit() else 0)
        if not minutes:
            raise bad_param("interval invalid")
        length, limit = minutes * MINUTE_MS, limit_of(params, 200, 1_000)
        end = whole_of(params, "end", 0) or self._now_ms()
        start = max(whole_of(params, "start", 0), end - length * limit)
        rows = []
        first = -(-start // length) * length
        for at in range(first, end + 1, length):
            row = self._candle(listing, at, length)
            if row:
                rows.append(row if whole else row[:5])
        return {"category": category, "symbol": listing.symbol, "list": rows[::-1][:limit]}

    def _candle(self, listing: Listing, at: int, length: int) -> list[str]:
        found = self._house.candle(listing.model_symbol, at * MS, (at + length) * MS)
        if found is None:
            return []
        prices = (found.open, found.high, found.low, found.close)
        volume = listing.units(found.volume)
        turnover = found.volume * found.close
        return [
            str(at),
            *(plain(listing.wire_price(price)) for price in prices),
            cents(volume),
            cents(turnover),
        ]

    def funding_history(self, params: Params) -> Row:
        """Return settled rates newest first; a start without an end is refused, as documented."""
        category = category_of(params)
        if category == SPOT:
            raise Rejection(10001, "Illegal category")
        listing = self._one(params, category)
        start, end = whole_of(params, "startTime", 0), whole_of(params, "endTime", 0)
        if start and not end:
            raise Rejection(10001, "Time Is Invalid")
        until = (end or self._now_ms()) * MS
        found = self._house.funding_history(listing.model_symbol, start * MS, until)
        rows = [
            {
                "symbol": listing.symbol,
                "fundingRate": plain(rate.rate),
                "fundingRateTimestamp": str(rate.observed_at // MS),
            }
            for rate in reversed(found)
        ]
        return {"category": category, "list": rows[: limit_of(params, 200, 200)]}

    def recent_trades(self, params: Params) -> Row:
        category = category_of(params)
        listing = self._one(params, category)
        limit = limit_of(params, *((60, 60) if category == SPOT else (500, 1_000)))
        rows = [trade_row(listing, one) for one in reversed(self._markets.tapes.of(listing))]
        return {"category": category, "list": rows[:limit]}

    def open_interest(self, params: Params) -> Row:
        category = category_of(params)
        listing = self._one(params, category)
        row = self._markets.ticker(listing)
        point = {"openInterest": row.get("openInterest", "0"), "timestamp": str(self._now_ms())}
        return {
            "symbol": listing.symbol,
            "category": category,
            "list": [point],
            "nextPageCursor": "",
        }

    def risk_limit(self, params: Params) -> Row:
        category = category_of(params)
        symbol = text_of(params, "symbol")
        listings = self._markets.traded(category) if category == LINEAR else []
        rate = self._house.settings.maintenance_margin
        rows = [
            {
                "id": number,
                "symbol": one.symbol,
                "riskLimitValue": "2000000",
                "maintenanceMargin": plain(rate),
                "initialMargin": plain(Decimal(1) / LEVERAGE_MAX),
                "isLowestRisk": 1,
                "maxLeverage": f"{LEVERAGE_MAX}.00",
                "mmDeduction": "",
            }
            for number, one in enumerate(listings, 1)
            if symbol in {"", one.symbol}
        ]
        return {"category": category, "list": rows, "nextPageCursor": ""}
