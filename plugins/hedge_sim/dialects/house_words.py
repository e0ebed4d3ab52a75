"""What a house says of its account: orders as they stand, events as they happen; wall times."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    Order,
    Position,
    ReportedStatus,
    TimeInForce,
)
from hedge.model.numbers import ZERO

FORCED_WINDOW_MS = 60_000


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order as the venue knows it at a moment; quantities in base coins, times wall ns.

    ``why`` says what ended it: filled, ioc (remainder of a taking order), cancel, reduce_only,
    liquidation, or "" while it works. A forced trade (liquidation, auto-deleveraging) has an order
    of its own too, which was never placed.
    """

    order: Order
    client_order_id: str
    """As the client gave it: the exchange's own may carry a repetition number."""
    venue_order_id: str
    """``sim-1``, ``sim-2``, ... in the order of acceptance; "" for a forced trade."""
    status: ReportedStatus
    why: str = ""
    filled: Decimal = ZERO
    filled_notional: Decimal = ZERO
    """Sum of quantity x price of its fills, in quote."""
    placed_at: int = 0
    updated_at: int = 0

    @property
    def number(self) -> int:
        """Return the numeric part of ``venue_order_id``, for venues whose ids are numbers."""
        return int(self.venue_order_id.partition("-")[2] or 0)

    @property
    def price(self) -> Decimal:
        """Return the average price of what was filled, 0 before that."""
        return self.filled_notional / self.filled if self.filled else ZERO


class OrderAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """The order is on the book, or about to take; before any fill of it."""

    view: OrderView


class OrderFilled(msgspec.Struct, frozen=True, kw_only=True):
    """One execution; ``view`` is the order right after it (FILLED with the last one)."""

    fill: Fill
    view: OrderView
    realised: Decimal = ZERO
    """Profit realised by this execution in settle asset; 0 on spot and while a position grows."""


class OrderEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The order ended with what it has, and that is less than all: ``view.why`` says why."""

    view: OrderView


class FundsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Balances and positions that are no longer what was last told; either may be empty."""

    cause: str
    """order, funding or deposit."""
    balances: tuple[Balance, ...] = ()
    deltas: dict[str, Decimal] = {}
    """By asset: what the whole balance (free + locked) changed by."""
    positions: tuple[Position, ...] = ()


class FundingPaid(msgspec.Struct, frozen=True, kw_only=True):
    """A settlement was paid or received; a `FundsChanged` of cause funding follows."""

    payment: FundingPayment


HouseEvent = OrderAccepted | OrderFilled | OrderEnded | FundsChanged | FundingPaid
EventSink = Callable[[HouseEvent], None]


class Candle(msgspec.Struct, frozen=True, kw_only=True):
    """What a market did in a stretch of wall time."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def forced_view(fill: Fill) -> OrderView:
    """Return the order that a liquidation or auto-deleveraging would have had."""
    order = Order(
        client_order_id=fill.client_order_id,
        leg=fill.leg,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        limit_price=fill.price,
        time_in_force=TimeInForce.IOC,
        reduce_only=True,
        signed_at=fill.filled_at,
        recv_window_ms=FORCED_WINDOW_MS,
    )
    return OrderView(
        order=order,
        client_order_id=fill.client_order_id,
        venue_order_id=fill.venue_order_id,
        status=ReportedStatus.FILLED,
        why="filled",
        filled=fill.quantity,
        filled_notional=fill.quantity * fill.price,
        placed_at=fill.filled_at,
        updated_at=fill.filled_at,
    )
