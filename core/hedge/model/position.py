"""What the futures account holds."""

import enum
from decimal import Decimal

import msgspec

from hedge.model.numbers import ZERO


class PositionMode(enum.StrEnum):
    ONE_WAY = "one_way"
    HEDGE = "hedge"


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The whole position in one perpetual; ``quantity`` signed, in base coins.

    ``entry_notional`` is the signed cost of what is open (sum of signed quantity x price), so that
    unrealised profit at a price p is ``quantity * p - entry_notional``. ``liquidation_price`` and
    ``margin_ratio`` (maintenance margin / margin balance, 1 = liquidated) are None where unknown.
    """

    symbol: str
    quantity: Decimal
    entry_notional: Decimal = ZERO
    liquidation_price: Decimal | None = None
    margin_ratio: Decimal | None = None
    adl_rank: int | None = None
    """0 (last in the queue) to 4 (first to be deleveraged)."""
    updated_at: int = 0
