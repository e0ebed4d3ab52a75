"""What the spot account holds."""

from decimal import Decimal

import msgspec

from hedge.model.numbers import ZERO


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of one account, in units of that asset.

    ``rate_quote`` is the value of one unit in quote where the venue says it (a fee coin); None for
    base and quote themselves.
    """

    asset: str
    free: Decimal
    locked: Decimal = ZERO
    rate_quote: Decimal | None = None
    updated_at: int = 0

    @property
    def total(self) -> Decimal:
        return self.free + self.locked
