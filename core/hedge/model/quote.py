"""What the market shows: best bid and ask with depth, and the mark."""

from decimal import Decimal

import msgspec

from hedge.model.numbers import ZERO


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Best bid and ask in quote; depths are base coins summed over the top five levels."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_depth: Decimal = ZERO
    ask_depth: Decimal = ZERO
    bridged: bool = False
    """Made up across a hole in a recording; good for staying alive, not for history."""
    seen_at: int = 0

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    @property
    def usable(self) -> bool:
        """Return False for a crossed, empty, negative or non-finite book (I16)."""
        return (
            self.bid.is_finite()
            and self.ask.is_finite()
            and ZERO < self.bid < self.ask
        )  # fmt: skip


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Mark and index price of a perpetual, in quote."""

    symbol: str
    mark: Decimal
    index: Decimal
    seen_at: int = 0
