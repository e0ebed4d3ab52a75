"""Which orders are ours, by either id, and how much of each is known to be filled.

Bybit tells of an execution early (``execution.fast``) without the fee, and of a maker's without
our id. It becomes a report of the order's cumulative quantity here, and the fill itself, with its
fee, follows from topic ``execution``: neither counts twice.
"""

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal

import msgspec

from hedge.model import Fill, Order, OrderReport, ReportedStatus
from hedge.model.numbers import ZERO
from hedge.transport import Once

ORDERS_KEPT = 2_048
EARLY_KEPT = 512
"""Early executions of orders whose id has not come yet; the oldest give way."""

Ended = Callable[[OrderReport], None]


class Early(msgspec.Struct, frozen=True, gc=False):
    """One execution without a fee."""

    key: tuple[str, str, str]
    """Unified symbol, execution id and side: both sides of a trade with oneself have one id."""
    venue_order_id: str
    quantity: Decimal
    filled_at: int


class Known(msgspec.Struct, kw_only=True):
    """One order of ours as far as it is known; quantities in base coins."""

    client_order_id: str
    symbol: str
    quantity: Decimal
    signed_at: int = 0
    """The venue's time, ns, that it was sent with; 0 for one that the venue told of."""
    venue_order_id: str = ""
    early: Decimal = ZERO
    """Sum of early executions."""
    itemised: Decimal = ZERO
    """Sum of executions with their fees: the same ones, some ms later."""
    reported: Decimal = ZERO
    """The venue's own cumulative quantity."""
    ended: bool = False
    on_end: list[Ended] = []

    @property
    def filled(self) -> Decimal:
        return max(self.early, self.itemised, self.reported)

    def report(self, at: int = 0) -> OrderReport:
        """Return the present view: filled by quantity, ended only by the venue's word."""
        filled = self.filled
        if filled >= self.quantity > 0:
            status = ReportedStatus.FILLED
        else:
            status = ReportedStatus.CANCELLED if self.ended else ReportedStatus.WORKING
        return OrderReport(
            client_order_id=self.client_order_id,
            venue_order_id=self.venue_order_id,
            status=status,
            filled=filled,
            reported_at=at,
        )


class OwnOrders:
    """The orders of one account, placed by this process or reported with an id; bounded.

    Our ids tell the legs apart, and so do the venue's.
    """

    def __init__(self) -> None:
        self._orders: OrderedDict[str, Known] = OrderedDict()
        self._names: dict[str, Known] = {}
        self._waiting: OrderedDict[str, list[Early]] = OrderedDict()
        self._waiting_count = 0
        self._early_once = Once()
        self._fills_once = Once()

    def placed(self, order: Order) -> Known:
        """Remember an order about to be sent."""
        known = self._keep(order.client_order_id, order.symbol, order.quantity)
        known.signed_at = order.signed_at
        return known

    def forget(self, known: Known) -> None:
        """Know it no more: it is nowhere, and too late to come."""
        self._orders.pop(known.client_order_id, None)
        self._names.pop(known.venue_order_id, None)

    def find(self, client_order_id: str) -> Known | None:
        return self._orders.get(client_order_id)

    def client_order_id(self, venue_order_id: str) -> str:
        """Return our id of the venue's order; "" where it is not known to be ours."""
        known = self._names.get(venue_order_id)
        return known.client_order_id if known is not None else ""

    def open_of(self, symbol: str) -> list[Known]:
        """Return what is not known to have ended."""
        return [
            known
            for known in self._orders.values()
            if known.symbol == symbol and not known.ended and known.filled < known.quantity
        ]

    def named(self, client_order_id: str, venue_order_id: str) -> None:
        """Learn the venue's id, and take the early executions that were waiting for it."""
        known = self._orders.get(client_order_id)
        if known is None or not venue_order_id:
            return
        if not known.venue_order_id:
            known.venue_order_id = venue_order_id
            self._names[venue_order_id] = known
        waiting = self._waiting.pop(venue_order_id, None)
        if waiting is None:
            return
        self._waiting_count -= len(waiting)
        known.early += sum((early.quantity for early in waiting), ZERO)
        _tell_end(known, known.report(waiting[-1].filled_at))

    def early(self, early: Early, client_order_id: str = "") -> OrderReport | None:
        """Take an early execution, once; return the order's new total where it is ours.

        Without an id of ours it waits for the answer, or the report, that names its order.
        """
        if not self._early_once.new((early,)):
            return None
        if client_order_id:
            self.named(client_order_id, early.venue_order_id)
        known = self._names.get(early.venue_order_id)
        if known is None:
            self._wait(early)
            return None
        before = known.filled
        known.early += early.quantity
        if known.early <= before:
            return None
        report = known.report(early.filled_at)
        _tell_end(known, report)
        return report

    def executed(self, fill: Fill) -> bool:
        """Take an execution with its fee; return False for one that was taken already."""
        if not self._fills_once.new((fill,)):
            return False
        if fill.client_order_id:
            self.named(fill.client_order_id, fill.venue_order_id)
        known = self._names.get(fill.venue_order_id)
        if known is not None:
            known.itemised += fill.quantity
        return True

    def reported(self, symbol: str, report: OrderReport) -> OrderReport:
        """Take the venue's view of an order; return it with all that is known of its quantity."""
        if not report.client_order_id:
            return report
        known = self._orders.get(report.client_order_id)
        if known is None:
            known = self._keep(report.client_order_id, symbol, report.quantity or ZERO)
        known.reported = max(known.reported, report.filled)
        known.ended |= report.status is not ReportedStatus.WORKING
        self.named(report.client_order_id, report.venue_order_id)
        total = known.filled
        if total > report.filled:
            full = total >= known.quantity > 0
            status = ReportedStatus.FILLED if full else report.status
            report = msgspec.structs.replace(report, filled=total, status=status)
        _tell_end(known, report)
        return report

    def _keep(self, client_order_id: str, symbol: str, quantity: Decimal) -> Known:
        known = Known(client_order_id=client_order_id, symbol=symbol, quantity=quantity)
        self._orders[client_order_id] = known
        if len(self._orders) > ORDERS_KEPT:
            _, gone = self._orders.popitem(last=False)
            self._names.pop(gone.venue_order_id, None)
        return known

    def _wait(self, early: Early) -> None:
        self._waiting.setdefault(early.venue_order_id, []).append(early)
        self._waiting_count += 1
        while self._waiting_count > EARLY_KEPT:
            _, gone = self._waiting.popitem(last=False)
            self._waiting_count -= len(gone)


def _tell_end(known: Known, report: OrderReport) -> None:
    """Tell whoever waits for the end of the order, if this is it."""
    if known.on_end and report.status is not ReportedStatus.WORKING:
        waiting, known.on_end = known.on_end, []
        for tell in waiting:
            tell(report)
