"""Binance's public data: books, tickers, trades, klines, mark prices and funding of one leg."""

import re
from collections.abc import Callable
from decimal import Decimal

import msgspec

from hedge.model import FundingRate, Leg
from hedge.model.numbers import MS, ZERO
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects import binance_listing as listing_shapes
from hedge_sim.dialects.binance_limits import Meter
from hedge_sim.dialects.binance_listing import Listing, Listings, fixed
from hedge_sim.dialects.binance_params import Params
from hedge_sim.dialects.binance_shapes import Row, ms
from hedge_sim.dialects.house import Candle, House

Side = dict[str, str]
"""Price text to quantity text."""
HOURS_8 = 8
DAY_MS = 86_400_000
NEVER_MS = 1 << 62
UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
TRADE_EVERY_MS = 1_000
"""The public tape has one trade a second; its id is that second's number."""


class Book(msgspec.Struct):
    """The shown book of one market: a snapshot with its id, and what changed since the last."""

    id: int = 0
    first_id: int = 0
    previous_id: int = 0
    bids: Side = {}
    asks: Side = {}
    changed_bids: Side = {}
    changed_asks: Side = {}

    def show(self, update_id: int, bids: Side, asks: Side) -> bool:
        """Take a new snapshot; return False where it is the old one."""
        if bids == self.bids and asks == self.asks:
            return False
        self.changed_bids = _difference(self.bids, bids)
        self.changed_asks = _difference(self.asks, asks)
        self.bids, self.asks = bids, asks
        self.previous_id, self.first_id = self.id, self.id + 1
        self.id = max(update_id, self.id + 1)
        return True


def _difference(before: Side, now: Side) -> Side:
    gone = {price: "0.00000000" for price in before if price not in now}
    return gone | {price: q for price, q in now.items() if before.get(price) != q}


def pairs(side: Side, limit: int | None = None) -> list[list[str]]:
    """Return the best levels of one side as the wire lists them."""
    return [list(pair) for pair in list(side.items())[:limit]]


class PublicTrade(msgspec.Struct, frozen=True):
    """One trade of the public tape."""

    id: int
    price: Decimal
    quantity: Decimal
    at_ms: int
    buyer_maker: bool


class MarketData:
    """Everything that needs no key."""

    def __init__(self, house: House, listings: Listings, leg: Leg, meter: Meter) -> None:
        self.house = house
        self.listings = listings
        self._futures = leg is Leg.FUTURES
        self._meter = meter
        self._books: dict[str, Book] = {}

    # Books

    def refresh(self, listing: Listing) -> bool:
        """Show the book as it is now; return whether it changed."""
        book = self._books.setdefault(listing.symbol, Book())
        bids, asks = (
            {
                listing.price_text(level.price): listing.quantity_text(level.quantity)
                for level in self.house.levels(listing.symbol, asks=asks)
            }
            for asks in (False, True)
        )
        return book.show(self.house.wall() // MS, bids, asks)

    def book(self, listing: Listing) -> Book:
        """Return the book as it was last shown; a stream's next difference follows on it."""
        if listing.symbol not in self._books and listing.trades:
            self.refresh(listing)
        return self._books.setdefault(listing.symbol, Book())

    def depth(self, params: Params) -> Row:
        listing = self.listings.of_wire(params.text("symbol"))
        book = self.book(listing)
        limit = params.limit(500 if self._futures else 100, 5_000)
        found: Row = {"lastUpdateId": book.id}
        if self._futures:
            found |= {"E": self.house.wall() // MS, "T": self.house.wall() // MS}
        return found | {"bids": pairs(book.bids, limit), "asks": pairs(book.asks, limit)}

    def book_ticker(self, params: Params) -> object:
        return self._one_or_all(params, self.book_ticker_row)

    def book_ticker_row(self, listing: Listing) -> Row:
        """Return best prices; the quantities are those of the first level."""
        book = self.book(listing)
        nothing = (fixed(ZERO, listing.price_digits), fixed(ZERO, listing.quantity_digits))
        bid = next(iter(book.bids.items()), nothing)
        ask = next(iter(book.asks.items()), nothing)
        row: Row = {"symbol": listing.wire, "bidPrice": bid[0], "bidQty": bid[1]}
        row |= {"askPrice": ask[0], "askQty": ask[1]}
        if self._futures:
            row |= {"time": self.house.wall() // MS, "lastUpdateId": book.id}
        return row

    def _one_or_all(self, params: Params, row: Callable[[Listing], Row]) -> object:
        wire = params.get("symbol", "")
        if wire:
            return row(self.listings.of_wire(wire))
        return [row(listing) for listing in self.listings.trading]

    # Prices

    def price(self, params: Params) -> object:
        return self._one_or_all(params, self._price_row)

    def _price_row(self, listing: Listing) -> Row:
        price = listing.price_text(self.house.last_price(listing.symbol))
        row: Row = {"symbol": listing.wire, "price": price}
        return row | {"time": self.house.wall() // MS} if self._futures else row

    def average_price(self, params: Params) -> Row:
        listing = self.listings.of_wire(params.text("symbol"))
        price = listing.price_text(self.house.last_price(listing.symbol))
        return {"mins": 5, "price": price, "closeTime": self.house.wall() // MS}

    def ticker(self, params: Params) -> object:
        return self._one_or_all(params, self.ticker_row)

    def ticker_row(self, listing: Listing) -> Row:
        """Return the statistics of the last 24 hours of wall time."""
        now = self.house.wall() // MS
        candle = self._candle(listing, now - DAY_MS, now)
        change = candle.close - candle.open
        share = fixed((change / candle.open * 100).quantize(Decimal("0.001")), 3)
        row: Row = {
            "symbol": listing.wire,
            "priceChange": listing.price_text(change),
            "priceChangePercent": share,
            "weightedAvgPrice": listing.price_text(candle.close),
            "prevClosePrice": listing.price_text(candle.open),
            "lastPrice": listing.price_text(candle.close),
            "lastQty": listing.quantity_text(listing.instrument.lot),
        }
        best = self.book_ticker_row(listing)
        row |= {name: best[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")}
        row |= {
            "openPrice": listing.price_text(candle.open),
            "highPrice": listing.price_text(candle.high),
            "lowPrice": listing.price_text(candle.low),
            "volume": _volume(listing, candle.volume),
            "quoteVolume": _cash(candle.volume * candle.close),
            "openTime": now - DAY_MS,
            "closeTime": now,
            "firstId": (now - DAY_MS) // TRADE_EVERY_MS,
            "lastId": now // TRADE_EVERY_MS,
            "count": DAY_MS // TRADE_EVERY_MS,
        }
        return row

    def _candle(self, listing: Listing, since_ms: int, until_ms: int) -> Candle:
        """Return what happened; before the recording begins, nothing did."""
        found = self.house.candle(listing.symbol, since_ms * MS, until_ms * MS)
        if found is not None:
            return found
        price = self.house.last_price(listing.symbol)
        return Candle(open=price, high=price, low=price, close=price, volume=ZERO)

    # Klines

    def klines(self, params: Params) -> list[list[object]]:
        """Return candles of wall time, oldest first, the running one included."""
        listing = self.listings.of_wire(params.text("symbol"))
        length = interval_ms(params.text("interval"))
        limit = params.limit(500, 1_500 if self._futures else 1_000)
        now = self.house.wall() // MS
        last = min(params.integer("endTime", now), now) // length * length
        first = max(params.integer("startTime", 0), last - (limit - 1) * length)
        first = -(-first // length) * length
        rows = [self.kline(listing, at, length) for at in range(first, last + 1, length)]
        return [row for row in rows if row is not None][:limit]

    def kline(self, listing: Listing, at: int, length: int) -> list[object] | None:
        """Return one candle, None where nothing is recorded."""
        until = min(at + length, self.house.wall() // MS)
        candle = self.house.candle(listing.symbol, at * MS, until * MS)
        if candle is None:
            return None
        volume, cash = candle.volume, candle.volume * candle.close
        return [
            at,
            listing.price_text(candle.open),
            listing.price_text(candle.high),
            listing.price_text(candle.low),
            listing.price_text(candle.close),
            _volume(listing, volume),
            at + length - 1,
            _cash(cash),
            length // TRADE_EVERY_MS,
            _volume(listing, volume / 2),
            _cash(cash / 2),
            "0",
        ]

    # The tape

    def trade(self, listing: Listing, at_ms: int) -> PublicTrade | None:
        """Return the trade of a second: the price it ended with."""
        second = at_ms // TRADE_EVERY_MS
        until = (second + 1) * TRADE_EVERY_MS * MS
        candle = self.house.candle(listing.symbol, until - TRADE_EVERY_MS * MS, until)
        if candle is None:
            return None
        quantity = max(listing.instrument.round_quantity(candle.volume), listing.instrument.lot)
        return PublicTrade(
            id=second,
            price=candle.close,
            quantity=quantity,
            at_ms=second * TRADE_EVERY_MS,
            buyer_maker=bool(second % 2),
        )

    def _tape(self, params: Params, least: str) -> tuple[Listing, list[PublicTrade]]:
        listing = self.listings.of_wire(params.text("symbol"))
        limit = params.limit(500, 1_000)
        now = self.house.wall() // MS // TRADE_EVERY_MS
        begin = params.integer("startTime", 0) // TRADE_EVERY_MS
        end = min(params.integer("endTime", NEVER_MS) // TRADE_EVERY_MS, now - 1)
        begin = params.integer(least, begin)
        first = begin or end - limit + 1
        seconds = range(max(first, 0), min(end, max(first, 0) + limit - 1) + 1)
        trades = (self.trade(listing, second * TRADE_EVERY_MS) for second in seconds)
        return listing, [trade for trade in trades if trade is not None]

    def trades(self, params: Params) -> list[Row]:
        listing, trades = self._tape(params, "fromId")
        return [
            {
                "id": trade.id,
                "price": listing.price_text(trade.price),
                "qty": listing.quantity_text(trade.quantity),
                "quoteQty": _cash(trade.price * trade.quantity),
                "time": trade.at_ms,
                "isBuyerMaker": trade.buyer_maker,
                "isBestMatch": True,
            }
            for trade in trades
        ]

    def agg_trades(self, params: Params) -> list[Row]:
        listing, trades = self._tape(params, "fromId")
        return [agg_trade(listing, trade) for trade in trades]

    # Exchange information

    def exchange_info(self, params: Params) -> Row:
        """Return the instruments with all their filters; of one symbol, some, or all."""
        wanted = [params["symbol"]] if params.get("symbol") else _symbols(params)
        chosen = [self.listings.of_wire(wire) for wire in wanted] or self.listings.all
        entry = listing_shapes.usdm_entry if self._futures else listing_shapes.spot_entry
        found: Row = {
            "timezone": "UTC",
            "serverTime": self.house.wall() // MS,
            "rateLimits": [limit.row() for limit in self._meter.limits],
            "exchangeFilters": [],
        }
        if self._futures:
            found["futuresType"] = "U_MARGINED"
            found["assets"] = [
                {"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}
            ]
        status = self.house.status
        found["symbols"] = [
            entry(listing, status(listing.symbol) if listing.trades else listing.instrument.status)
            for listing in chosen
        ]
        return found

    # Perpetuals

    def premium_index(self, params: Params) -> object:
        return self._one_or_all(params, self.premium_row)

    def premium_row(self, listing: Listing) -> Row:
        mark, rate = self.house.mark(listing.symbol), self.house.rate(listing.symbol)
        return {
            "symbol": listing.wire,
            "markPrice": fixed(mark.mark * listing.scale),
            "indexPrice": fixed(mark.index * listing.scale),
            "estimatedSettlePrice": fixed(mark.index * listing.scale),
            "lastFundingRate": fixed(rate.rate),
            "interestRate": "0.00010000",
            "nextFundingTime": ms(rate.next_at),
            "time": self.house.wall() // MS,
        }

    def funding_info(self, _: Params) -> list[Row]:
        """Return the intervals of adjusted symbols only: one of 8 hours is absent."""
        rates = [(one, self.house.rate(one.symbol)) for one in self.listings.trading]
        return [
            {
                "symbol": listing.wire,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": rate.interval_s // 3_600,
                "disclaimer": False,
                "updateTime": self.house.wall() // MS,
            }
            for listing, rate in rates
            if rate.interval_s != HOURS_8 * 3_600
        ]

    def funding_rates(self, params: Params) -> list[Row]:
        """Return settled rates, oldest first; without times: the last ones."""
        wire = params.get("symbol", "")
        chosen = [self.listings.of_wire(wire)] if wire else list(self.listings.trading)
        begin, end = params.integer("startTime", 0), params.integer("endTime", NEVER_MS)
        now = self.house.wall()
        rates: list[tuple[Listing, FundingRate, Decimal]] = [
            (listing, rate, mark)
            for listing in chosen
            for rate, mark in self.house.settlements(
                listing.symbol, begin * MS, min((end + 1) * MS - 1, now)
            )
        ]
        rates.sort(key=lambda row: row[1].observed_at)
        limit = params.limit(100, 1_000)
        rates = rates[:limit] if begin else rates[-limit:]
        return [
            {
                "symbol": listing.wire,
                "fundingTime": ms(rate.observed_at),
                "fundingRate": fixed(rate.rate),
                "markPrice": fixed(mark * listing.scale),
            }
            for listing, rate, mark in rates
        ]


def agg_trade(listing: Listing, trade: PublicTrade) -> Row:
    """Return one aggregate trade, as REST lists it."""
    return {
        "a": trade.id,
        "p": listing.price_text(trade.price),
        "q": listing.quantity_text(trade.quantity),
        "f": trade.id,
        "l": trade.id,
        "T": trade.at_ms,
        "m": trade.buyer_maker,
        "M": True,
    }


def interval_ms(word: str) -> int:
    """Return the length of ``1m``, ``4h``, ``1d``...; raise -1120."""
    found = re.fullmatch(r"([1-9][0-9]?)([smhdw])", word, re.ASCII)
    if found is None:
        raise says.BinanceError(-1120, "Invalid interval.")
    return int(found[1]) * UNITS_MS[found[2]]


def _symbols(params: Params) -> list[str]:
    text = params.get("symbols", "")
    if not text:
        return []
    try:
        return msgspec.json.decode(text, type=list[str])
    except msgspec.MsgspecError as error:
        raise says.illegal("symbols", '["BTCUSDT","BNBUSDT"]') from error


def _volume(listing: Listing, volume: Decimal) -> str:
    return listing.quantity_text(listing.instrument.round_quantity(volume))


def _cash(value: Decimal) -> str:
    return fixed(value.quantize(Decimal("1e-8")))
