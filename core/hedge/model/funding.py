"""Funding: a rate that means nothing without its interval, and the cash that follows."""

import enum
from decimal import Decimal

import msgspec

EIGHT_HOURS_S = 8 * 3600
YEAR_S = 365 * 24 * 3600


class RateOrigin(enum.StrEnum):
    SETTLED = "settled"
    """The rate of a settlement that has happened."""
    LIVE = "live"
    """The venue's running estimate for the next settlement."""
    CARRIED = "carried"
    """The last settled rate said again: fresh, but no new observation (recorded data)."""


class FundingRate(msgspec.Struct, frozen=True, kw_only=True):
    """A rate per ``interval_s``, positive = longs pay; ``next_at`` is the next settlement."""

    symbol: str
    rate: Decimal
    interval_s: int
    next_at: int
    observed_at: int
    origin: RateOrigin

    @property
    def usable(self) -> bool:
        """Return False for what is no observation: NaN, infinite, or without an interval (B13)."""
        return self.rate.is_finite() and self.interval_s > 0

    @property
    def per_8h(self) -> Decimal:
        return self.rate * EIGHT_HOURS_S / self.interval_s

    @property
    def apr(self) -> Decimal:
        return self.rate * YEAR_S / self.interval_s


class FundingPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Cash of one settlement: ``cash`` in ``asset``, positive = received."""

    payment_id: str
    symbol: str
    rate: Decimal
    interval_s: int
    quantity: Decimal
    """The position it was paid on, signed, base coins."""
    cash: Decimal
    asset: str
    settled_at: int

    @property
    def key(self) -> str:
        """Return what makes the payment unique, as `Fill.key` does a fill."""
        return self.payment_id
