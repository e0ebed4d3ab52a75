"""How long each spot fill waited for its futures order, told from the rows as they are shown."""

from collections import deque
from decimal import Decimal

import msgspec

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode
from hedge.decide.rows import Row
from hedge.model import Fill, Leg, Order, OrderReport, Side
from hedge.model.numbers import ZERO

ORDERS_MAX = 128
"""Names of spot orders that are remembered; one at a time works, with two names."""
WAITING_MAX = 1_000
"""Fills that may wait; of more of them the oldest are not told."""


class _SpotOrder(msgspec.Struct, kw_only=True):
    """``filled`` is what is known of it by either door: its reports, or its fills one by one."""

    side: Side
    clock_offset: int
    filled: Decimal = ZERO
    itemised: Decimal = ZERO
    fill_keys: set[str] = set()


class Reaction:
    """Follows one hedge's rows, for the spot orders that it sees placed.

    A wait begins when the venue filled (its own time, corrected by the clock's offset that the
    order was signed with), never after the word of it came. It ends when the next futures order
    of the other side was decided. A fill too small for an order of its own waits for the next
    one's, and for nothing any more when the task is over.
    """

    def __init__(self) -> None:
        self._orders: dict[str, _SpotOrder] = {}
        """By our id and, once it is known, by the venue's."""
        self._waiting: deque[tuple[Side, int]] = deque(maxlen=WAITING_MAX)

    def take(self, row: Row) -> list[int]:
        """Return how long, ns, the fills have waited that this row is the first order for."""
        match row.entry:
            case c.PlaceOrder(order=order) if order.leg is Leg.FUTURES:
                waits = [row.at - since for side, since in self._waiting if side is not order.side]
                self._waiting.clear()
                return waits
            case c.PlaceOrder(order=order):
                self._placed(order, row.at)
            case e.OrderReported(leg=Leg.SPOT, report=report):
                self._reported(report, row.at)
            case e.FillSeen(fill=fill) if fill.leg is Leg.SPOT:
                self._filled(fill, row.at)
            case e.LegAudited(leg=Leg.SPOT) as read:
                for report in (*read.found, *read.open_orders):
                    self._reported(report, row.at)
                for fill in read.fills:
                    self._filled(fill, row.at)
            case c.ChangeMode(mode=Mode.HALT):
                self._waiting.clear()
            case _:
                pass
        return []

    def _placed(self, order: Order, at: int) -> None:
        known = _SpotOrder(side=order.side, clock_offset=order.signed_at - at)
        self._name(order.client_order_id, known)

    def _name(self, order_id: str, order: _SpotOrder) -> None:
        self._orders[order_id] = order
        if len(self._orders) > ORDERS_MAX:
            del self._orders[next(iter(self._orders))]

    def _reported(self, report: OrderReport, at: int) -> None:
        order = self._orders.get(report.client_order_id)
        if order is None:
            return
        if report.venue_order_id and report.venue_order_id not in self._orders:
            self._name(report.venue_order_id, order)
        self._now_filled(order, report.filled, report.reported_at, at)

    def _filled(self, fill: Fill, at: int) -> None:
        # F22: the stream may not know yet whose order it was.
        order = self._orders.get(fill.client_order_id) or self._orders.get(fill.venue_order_id)
        if order is None or fill.key in order.fill_keys:
            return
        order.fill_keys.add(fill.key)
        order.itemised += fill.quantity
        self._now_filled(order, order.itemised, fill.filled_at, at)

    def _now_filled(self, order: _SpotOrder, filled: Decimal, venue_at: int, at: int) -> None:
        """Let what is news wait: an order's answer and its fill tell the same thing twice."""
        if filled > order.filled:
            order.filled = filled
            since = min(venue_at - order.clock_offset, at) if venue_at else at
            self._waiting.append((order.side, since))
