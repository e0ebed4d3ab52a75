"""Our orders by either id, and how much of each is filled: the most that any source has said.

ccxt hands on the last of several updates of one order, and trades apart from orders; so what an
order reports and what its fills add up to are kept side by side, a fill counts once whoever tells
it, and an order whose fills lag behind its report is owed them.
"""

from collections import OrderedDict
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from hedge.model import Fill, Order, OrderReport, ReportedStatus
from hedge.model.numbers import ZERO
from hedge.transport import Once

ORDERS_KEPT = 2_048


class Known(msgspec.Struct, kw_only=True):
    """One order of ours as far as it is known; quantities in base coins."""

    client_order_id: str
    symbol: str
    quantity: Decimal
    venue_order_id: str = ""
    itemised: Decimal = ZERO
    """Sum of its fills."""
    reported: Decimal = ZERO
    """The venue's own cumulative quantity."""
    ended: bool = False
    told: tuple[Decimal, bool] | None = None
    """What was filled, and whether it had ended, when a stream's listener was told of it last."""
    ours: bool = False
    """Placed by this process: all its fills are to come by here."""

    @property
    def filled(self) -> Decimal:
        return max(self.itemised, self.reported)

    @property
    def open(self) -> bool:
        return not self.ended and (not self.quantity or self.filled < self.quantity)


class OwnOrders:
    """The orders of one account; bounded."""

    def __init__(self) -> None:
        self._orders: OrderedDict[str, Known] = OrderedDict()
        self._names: dict[str, Known] = {}
        self._learned: OrderedDict[str, str] = OrderedDict()
        self._fills_once = Once()

    def placed(self, order: Order) -> Known:
        known = self._keep(order.client_order_id, order.symbol, order.quantity)
        known.ours = True
        return known

    def find(self, client_order_id: str) -> Known | None:
        return self._orders.get(client_order_id)

    def client_order_id(self, venue_order_id: str) -> str:
        known = self._names.get(venue_order_id)
        return known.client_order_id if known else self._learned.get(venue_order_id, "")

    def names(self, venue_order_id: str) -> bool:
        """Return whether it is known what we, or anybody, call this order."""
        return venue_order_id in self._names or venue_order_id in self._learned

    def learn(self, venue_order_id: str, client_order_id: str) -> None:
        """Keep what an order of another process, or of the venue itself, is called."""
        self._learned[venue_order_id] = client_order_id
        if len(self._learned) > ORDERS_KEPT:
            self._learned.popitem(last=False)

    def open_of(self, symbol: str) -> list[Known]:
        return [one for one in self._of(symbol) if one.open]

    def owed(self, symbol: str) -> bool:
        """Return whether an order has reported more than its fills add up to."""
        return any(one.ours and one.reported > one.itemised for one in self._of(symbol))

    def reported(self, symbol: str, report: OrderReport) -> OrderReport:
        """Take the venue's view; return it with all that is known of its quantity."""
        if not report.client_order_id:
            return report
        known = self._orders.get(report.client_order_id)
        if known is None:
            known = self._keep(report.client_order_id, symbol, report.quantity or ZERO)
        known.quantity = known.quantity or report.quantity or ZERO
        self._name(known, report.venue_order_id)
        known.reported = max(known.reported, report.filled)
        known.ended |= report.status is not ReportedStatus.WORKING
        total = known.filled
        if total >= known.quantity > 0:
            return msgspec.structs.replace(report, filled=total, status=ReportedStatus.FILLED)
        status = ReportedStatus.CANCELLED if known.ended else report.status
        return msgspec.structs.replace(report, filled=total, status=status)

    def executed(self, fill: Fill) -> bool:
        """Take a fill; return False for one that was taken already."""
        if not self._fills_once.new((fill,)):
            return False
        known = self._orders.get(fill.client_order_id) or self._names.get(fill.venue_order_id)
        if known is not None:
            self._name(known, fill.venue_order_id)
            known.itemised += fill.quantity
        return True

    def _of(self, symbol: str) -> Iterator[Known]:
        return (one for one in self._orders.values() if one.symbol == symbol)

    def _name(self, known: Known, venue_order_id: str) -> None:
        if venue_order_id and not known.venue_order_id:
            known.venue_order_id = venue_order_id
            self._names[venue_order_id] = known

    def _keep(self, client_order_id: str, symbol: str, quantity: Decimal) -> Known:
        known = Known(client_order_id=client_order_id, symbol=symbol, quantity=quantity)
        self._orders[client_order_id] = known
        if len(self._orders) > ORDERS_KEPT:
            _, gone = self._orders.popitem(last=False)
            self._names.pop(gone.venue_order_id, None)
        return known
