"""What the true venue keeps with its times: orders, and figures, as they stood at any moment."""

from bisect import bisect_right
from decimal import Decimal

from hedge.model import Order, OrderReport, ReportedStatus
from hedge.model.numbers import ZERO


class Placed:
    """One order as the venue knows it."""

    __slots__ = ("ended_at", "filled", "history", "order", "status", "venue_id")

    def __init__(self, order: Order, venue_id: str, at: int) -> None:
        self.order = order
        self.venue_id = venue_id
        self.filled = ZERO
        self.status = ReportedStatus.WORKING
        self.history: list[tuple[int, ReportedStatus, Decimal]] = [(at, self.status, ZERO)]

    @property
    def left(self) -> Decimal:
        return self.order.quantity - self.filled

    def note(self, at: int) -> None:
        self.history.append((at, self.status, self.filled))

    def report(self, at: int | None = None) -> OrderReport | None:
        """Return the order as it stood at ``at``; None where it did not exist yet."""
        status, filled = self.status, self.filled
        if at is not None and at < self.history[-1][0]:
            place = bisect_right(self.history, at, key=lambda one: one[0]) - 1
            if place < 0:
                return None
            _, status, filled = self.history[place]
        order = self.order
        return OrderReport(
            client_order_id=order.client_order_id,
            venue_order_id=self.venue_id,
            status=status,
            filled=filled,
            side=order.side,
            quantity=order.quantity,
            limit_price=order.limit_price,
            reduce_only=order.reduce_only,
        )


class Series:
    """A value over time."""

    __slots__ = ("times", "values")

    def __init__(self, at: int, value: tuple[Decimal, ...]) -> None:
        self.times = [at]
        self.values = [value]

    def put(self, at: int, value: tuple[Decimal, ...]) -> None:
        self.times.append(at)
        self.values.append(value)

    def at(self, at: int) -> tuple[Decimal, ...]:
        place = bisect_right(self.times, at) - 1
        return self.values[max(place, 0)]
