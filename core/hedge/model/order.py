"""Orders as we ask for them, and as a venue reports them."""

import enum
from decimal import Decimal

import msgspec

from hedge.model.numbers import ZERO


class Leg(enum.StrEnum):
    SPOT = "spot"
    FUTURES = "futures"


LEGS = (Leg.SPOT, Leg.FUTURES)
"""Both, as a tuple: to walk over an enum costs a generator each time."""


class Side(enum.StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class TimeInForce(enum.StrEnum):
    POST_ONLY = "post_only"
    """Rests or is refused; never takes."""
    GTC = "gtc"
    IOC = "ioc"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order of ours: always a limit order, always with an id of ours.

    ``quantity`` is unsigned, in base coins. ``signed_at`` is the venue's time (ns) that the request
    must be signed with: a venue refuses it after ``signed_at + recv_window_ms``, so a process that
    stalls between record and send cannot send late.
    """

    client_order_id: str
    leg: Leg
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool = False
    signed_at: int
    recv_window_ms: int

    @property
    def signed_quantity(self) -> Decimal:
        return self.quantity if self.side is Side.BUY else -self.quantity

    @property
    def notional(self) -> Decimal:
        return self.quantity * self.limit_price


class ReportedStatus(enum.StrEnum):
    """What a venue says of an order; a word, never a quantity (see ``OrderReport.filled``)."""

    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    """Ended by a cancel, an expiry, an IOC remainder or a late rejection."""


class OrderReport(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's present view of one order; ``filled`` is cumulative, in base coins."""

    client_order_id: str
    venue_order_id: str = ""
    status: ReportedStatus
    filled: Decimal = ZERO
    reported_at: int = 0
    side: Side | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    reduce_only: bool | None = None
    """Side, quantity, price and flag as the venue echoes them; None where it does not."""
