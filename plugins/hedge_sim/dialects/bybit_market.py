"""What Bybit v5 shows of its markets: listings, books, tickers.

Field names follow docs/v5/market/* and docs/v5/websocket/public/*.
"""

from decimal import Decimal
from typing import Final

from hedge.errors import Missing
from hedge.model.numbers import MS, SECOND, ZERO, plain
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT, unknown_symbol
from hedge_sim.dialects.bybit_listing import LEGS, Listing, linear_row, listing_of, spot_row
from hedge_sim.dialects.bybit_shapes import Row, cents
from hedge_sim.dialects.bybit_tape import Tapes
from hedge_sim.dialects.house import Candle, House
from hedge_sim.market import Level

DAY: Final = 24 * 3600 * SECOND
HOUR: Final = 3600 * SECOND
PADDED_INTERVAL_S: Final = 8 * 3600


class Markets:
    """The markets of one house under their names on the wire."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tapes = Tapes(house)
        self._traded: dict[str, dict[str, Listing]] = {}
        self._by_model: dict[str, Listing] = {}
        self._days: dict[str, tuple[int, Row]] = {}

    # Listings

    def listings(self, category: str) -> list[Listing]:
        """Return what is listed in a category, in the order of the symbols; [] for others."""
        leg = LEGS.get(category)
        if leg is None:
            return []
        return sorted(map(listing_of, self.house.instruments(leg)), key=lambda one: one.symbol)

    def listing(self, category: str, symbol: str) -> Listing:
        """Return a listing that trades; raise the category's "unknown symbol"."""
        found = self._known(category).get(symbol)
        if found is None:
            raise unknown_symbol(category, symbol)
        return found

    def by_model(self, symbol: str) -> Listing:
        found = self._by_model.get(symbol)
        if found is None:
            found = self._by_model[symbol] = listing_of(self.house.instrument(symbol))
        return found

    def traded(self, category: str) -> list[Listing]:
        """Return what trades, its status left aside: padding is listed and never does."""
        return list(self._known(category).values())

    def _known(self, category: str) -> dict[str, Listing]:
        known = self._traded.get(category)
        if known is None:
            found = (one for one in self.listings(category) if self._trades(one))
            known = self._traded[category] = {one.symbol: one for one in found}
        return known

    def _trades(self, listing: Listing) -> bool:
        try:
            self.house.instrument(listing.model_symbol)
        except Missing:
            return False
        return True

    def listing_row(self, listing: Listing) -> Row:
        """Return a row of ``/v5/market/instruments-info``."""
        collar = self.collar(listing)
        if listing.category == SPOT:
            return spot_row(listing, collar)
        if not self._trades(listing):
            return linear_row(listing, collar, PADDED_INTERVAL_S)
        return linear_row(listing, collar, self.house.rate(listing.model_symbol).interval_s)

    def collar(self, listing: Listing) -> Decimal:
        settings = self.house.settings
        return (settings.spot if listing.category == SPOT else settings.futures).collar

    # Books and tickers

    def book(self, listing: Listing, depth: int, *, asks: bool) -> list[tuple[str, str]]:
        """Return one side of the book as texts, best first."""
        levels = self.house.levels(listing.model_symbol, asks=asks)[:depth]
        return [self._level(listing, level) for level in levels]

    def _level(self, listing: Listing, level: Level) -> tuple[str, str]:
        price, quantity = listing.wire_price(level.price), listing.units(level.quantity)
        return plain(price), plain(quantity)

    def ticker(self, listing: Listing) -> Row:
        """Return a row of ``/v5/market/tickers``."""
        last = listing.wire_price(self.house.last_price(listing.model_symbol))
        row = self._day(listing) | {"lastPrice": plain(last)}
        bids, asks = (self.book(listing, 1, asks=side) for side in (False, True))
        row |= _touch("bid1", bids) | _touch("ask1", asks)
        if listing.category == SPOT:
            row["usdIndexPrice"] = row["lastPrice"]
            return row
        return row | self._perpetual(listing)

    def _day(self, listing: Listing) -> Row:
        """Return the figures of the last 24 hours, which are worked out once a second."""
        now = self.house.wall()
        at, row = self._days.get(listing.model_symbol, (0, {}))
        if now - at >= SECOND:
            row = self._count_day(listing, now)
            self._days[listing.model_symbol] = (now, row)
        return row

    def _count_day(self, listing: Listing, now: int) -> Row:
        symbol = listing.model_symbol
        last = self.house.last_price(symbol)
        flat = Candle(open=last, high=last, low=last, close=last, volume=ZERO)
        day = self.house.candle(symbol, now - DAY, now) or flat
        change = (last - day.open) / day.open
        row = {
            "symbol": listing.symbol,
            "lastPrice": "",
            "prevPrice24h": plain(listing.wire_price(day.open)),
            "price24hPcnt": plain(change.quantize(Decimal("0.000001"))),
            "highPrice24h": plain(listing.wire_price(day.high)),
            "lowPrice24h": plain(listing.wire_price(day.low)),
            "turnover24h": cents(day.volume * last),
            "volume24h": cents(listing.units(day.volume)),
        }
        if listing.category == LINEAR:
            hour = self.house.candle(symbol, now - HOUR, now) or flat
            row["prevPrice1h"] = plain(listing.wire_price(hour.open))
        return row

    def _perpetual(self, listing: Listing) -> Row:
        house = self.house
        mark = house.mark(listing.model_symbol)
        rate = house.rate(listing.model_symbol)
        held = abs(listing.units(house.position(listing.model_symbol).quantity))
        marked = listing.wire_price(mark.mark)
        return {
            "markPrice": plain(marked),
            "indexPrice": plain(listing.wire_price(mark.index)),
            "openInterest": plain(held),
            "openInterestValue": cents(held * marked),
            "fundingRate": plain(rate.rate),
            "nextFundingTime": str(rate.next_at // MS),
            "fundingIntervalHour": plain(Decimal(rate.interval_s) / 3600),
            "fundingCap": "0.00375",
            "predictedDeliveryPrice": "",
            "basisRate": "",
            "basisRateYear": "",
            "basis": "",
            "deliveryFeeRate": "",
            "deliveryTime": "0",
            "preOpenPrice": "",
            "preQty": "",
            "curPreListingPhase": "",
        }


def _touch(name: str, side: list[tuple[str, str]]) -> Row:
    price, size = side[0] if side else ("", "")
    return {f"{name}Price": price, f"{name}Size": size}
