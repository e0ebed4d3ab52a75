"""One execution on the account."""

import enum
from decimal import Decimal

import msgspec

from hedge.model.numbers import ZERO
from hedge.model.order import Leg, Side


class FillKind(enum.StrEnum):
    """Why the venue executed; anything a parser does not know must be UNKNOWN (F26)."""

    TRADE = "trade"
    LIQUIDATION = "liquidation"
    AUTO_DELEVERAGING = "auto_deleveraging"
    SETTLEMENT = "settlement"
    UNKNOWN = "unknown"


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution; ``quantity`` unsigned in base coins, ``fee`` positive when paid.

    ``fee_rate_quote`` is the value of one unit of ``fee_asset`` in quote at the time of the fill,
    needed only for a third coin (BNB); None where fee_asset is base or quote.
    """

    leg: Leg
    symbol: str
    fill_id: str
    client_order_id: str = ""
    venue_order_id: str = ""
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO
    fee_asset: str = ""
    fee_rate_quote: Decimal | None = None
    maker: bool = False
    kind: FillKind = FillKind.TRADE
    filled_at: int = 0

    @property
    def signed_quantity(self) -> Decimal:
        return self.quantity if self.side is Side.BUY else -self.quantity

    @property
    def key(self) -> str:
        """Return what makes the fill unique on its leg (F19, F21)."""
        return f"{self.symbol}|{self.fill_id}|{self.side}"
