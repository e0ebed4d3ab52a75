"""Many fills as one message: how much on which leg, at which average price, for which fees."""

from collections import defaultdict
from decimal import Decimal

import msgspec

from hedge.model import Fill
from hedge.model.numbers import SECOND, ZERO, plain

PRICE_DIGITS = 8
"""Significant digits of an average price in a message; the journal has every one."""


class _Sum(msgspec.Struct):
    count: int = 0
    quantity: Decimal = ZERO
    value: Decimal = ZERO


class Digest:
    """The fills of one hedge from the first one on, for ``window_s``."""

    def __init__(self, window_s: int, now: int) -> None:
        self.due_at = now + window_s * SECOND
        self.at = now
        self._sums: defaultdict[tuple[str, str], _Sum] = defaultdict(_Sum)
        self._fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._alone = ""

    def add(self, fill: Fill, text: str, at: int) -> None:
        """Take one fill in; ``text`` is what it would be called on its own."""
        self.at = at
        one = self._sums[fill.leg.value, fill.side.value]
        one.count += 1
        one.quantity += fill.quantity
        one.value += fill.quantity * fill.price
        if fill.fee:
            self._fees[fill.fee_asset] += fill.fee
        self._alone = text

    def text(self) -> str:
        """Return the sentence; a fill that stayed alone keeps its own."""
        count = sum(one.count for one in self._sums.values())
        if count == 1:
            return self._alone
        parts = [
            f"{leg} {side} {plain(one.quantity)} at {_price(one)}"
            for (leg, side), one in self._sums.items()
        ]
        if self._fees:
            paid = ", ".join(f"{plain(fee)} {asset}" for asset, fee in self._fees.items())
            parts.append(f"fees {paid}")
        return f"{count} fills: {'; '.join(parts)}"


def _price(one: _Sum) -> str:
    if not one.quantity:
        return "0"
    price = one.value / one.quantity
    return plain(price.quantize(Decimal(1).scaleb(price.adjusted() - PRICE_DIGITS + 1)))
