"""The tape of a market, of which a recording with bars has none.

It is made of the account's own trades and, each time the price is found to have moved, of one lot.
"""

import itertools
from collections import deque
from decimal import Decimal
from typing import Final

import msgspec

from hedge.model import Fill, Side
from hedge.model.numbers import MS, plain
from hedge_sim.dialects.bybit_errors import LINEAR
from hedge_sim.dialects.bybit_listing import Listing
from hedge_sim.dialects.bybit_shapes import Row, side_word, uid
from hedge_sim.dialects.house import House

TAPE_MAX: Final = 1_000


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the tape; ``side`` is the taker's."""

    trade_id: str
    price: Decimal
    quantity: Decimal
    side: Side
    at: int
    seq: int


class Tapes:
    """The tapes of all markets, newest trade last."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._numbers = itertools.count(1)
        self._tapes: dict[tuple[str, str], deque[Trade]] = {}
        self._last: dict[tuple[str, str], Decimal] = {}

    def of(self, listing: Listing) -> deque[Trade]:
        return self._tapes.setdefault((listing.category, listing.symbol), deque(maxlen=TAPE_MAX))

    def look(self, listing: Listing) -> Trade | None:
        """Return a trade of the market if its price has moved since the last look."""
        key = (listing.category, listing.symbol)
        price = listing.wire_price(self._house.last_price(listing.model_symbol))
        before = self._last.get(key)
        if price == before:
            return None
        self._last[key] = price
        side = Side.SELL if before is not None and price < before else Side.BUY
        lot = listing.units(listing.instrument.lot)
        return self._print(listing, price, lot, side, self._house.wall())

    def own(self, listing: Listing, fill: Fill) -> Trade:
        """Put a fill of the account on the tape; a maker's counterparty was the taker."""
        opposite = Side.SELL if fill.side is Side.BUY else Side.BUY
        side = opposite if fill.maker else fill.side
        price, quantity = listing.wire_price(fill.price), listing.units(fill.quantity)
        return self._print(listing, price, quantity, side, fill.filled_at)

    def _print(
        self, listing: Listing, price: Decimal, quantity: Decimal, side: Side, at: int
    ) -> Trade:
        number = next(self._numbers)
        trade = Trade(
            trade_id=uid("tape", listing.category, f"{at}|{number}"),
            price=price, quantity=quantity, side=side, at=at, seq=number,
        )  # fmt: skip
        self.of(listing).append(trade)
        return trade


def trade_row(listing: Listing, trade: Trade) -> Row:
    """Return a trade as ``/v5/market/recent-trade`` shows it."""
    return {
        "execId": trade.trade_id,
        "symbol": listing.symbol,
        "price": plain(trade.price),
        "size": plain(trade.quantity),
        "side": side_word(trade.side),
        "time": str(trade.at // MS),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.seq),
    }


def print_row(listing: Listing, trade: Trade) -> Row:
    """Return a trade as the ``publicTrade`` topic shows it."""
    row: Row = {
        "T": trade.at // MS,
        "s": listing.symbol,
        "S": side_word(trade.side),
        "v": plain(trade.quantity),
        "p": plain(trade.price),
        "i": trade.trade_id,
        "BT": False,
        "RPI": False,
        "seq": trade.seq,
    }
    if listing.category == LINEAR:
        row["L"] = "PlusTick" if trade.side is Side.BUY else "MinusTick"
    return row
