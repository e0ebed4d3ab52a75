"""One leg's books: its orders, what they add up to, and the ids it may use.

They change in two ways only, and the same ways in life and in replay: a journalled event is
absorbed, or a journalled command enacted. Nothing here looks at a price or a clock.
"""

from collections import OrderedDict
from decimal import Decimal
from typing import Any

import msgspec

from hedge.decide import commands as c
from hedge.decide import orders as o
from hedge.decide.terms import LegTerms
from hedge.model import Fill, FillKind, Leg, Order, OrderReport, ReportedStatus, Side, TimeInForce
from hedge.model.numbers import ZERO

ORDERS_KEPT = 512
FILLS_KEPT = 20_000
FORCED = (FillKind.LIQUIDATION, FillKind.AUTO_DELEVERAGING, FillKind.SETTLEMENT)

SEEN = {
    ReportedStatus.WORKING: o.OrderTrigger.SEEN_WORKING,
    ReportedStatus.FILLED: o.OrderTrigger.SEEN_FILLED,
    ReportedStatus.CANCELLED: o.OrderTrigger.SEEN_CANCELLED,
}


class OrderRecord(msgspec.Struct, kw_only=True):
    """One order of ours. ``order`` is None for a leased id that a dead machine may have used."""

    client_order_id: str
    order: Order | None
    purpose: c.Purpose = c.Purpose.HEDGE
    status: o.OrderStatus = o.OrderStatus.INTENDED
    placed_at: int = 0
    signed_at: int = 0
    """The venue cannot accept it later than this plus its receive window."""
    venue_order_id: str = ""
    side: Side | None = None
    quantity: Decimal = ZERO
    filled: Decimal = ZERO
    """Cumulative, never goes back, whatever a status word says."""
    itemised: Decimal = ZERO
    """How much of ``filled`` came as fills with their fees."""
    base_fees: Decimal = ZERO
    contribution: Decimal = ZERO
    """What of this order stands in the leg's ``held``."""
    doubt_at: int = 0
    cancel_asked_at: int = 0
    ended_at: int = 0

    @property
    def open(self) -> bool:
        return self.status in o.OPEN

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    def owed_cost(self, mid: Decimal) -> Decimal:
        """Return what the fills that have not come cost at worst, signed, in quote."""
        price = self.order.limit_price if self.order is not None else mid
        sign = self.side.sign if self.side is not None else 0
        return sign * (self.filled - self.itemised) * price


class LegBook:
    """One leg: its orders, what they add up to, and the ids it may use."""

    def __init__(
        self, leg: Leg, terms: LegTerms, *, follows_account: bool = False, prefix: str = ""
    ) -> None:
        self.leg = leg
        self.terms = terms
        self.follows_account = follows_account
        self.prefix = prefix
        self.held = ZERO
        """Signed base: fills net of base fees, adopted coins, external differences."""
        self.external = ZERO
        """What of ``held`` was booked without an execution, and so without a price and cash."""
        # Ordered ones give up their oldest at once; a dict would look over all it gave up before.
        self.orders: OrderedDict[str, OrderRecord] = OrderedDict()
        self.open: dict[str, OrderRecord] = {}
        self.by_venue_id: dict[str, str] = {}
        self.fill_keys: OrderedDict[str, None] = OrderedDict()
        self.unmatched: dict[str, Fill] = {}
        self.owed: dict[str, OrderRecord] = {}
        """Orders whose cumulative quantity is ahead of the fills that have been itemised."""
        self.begun = False
        """Whether the leg was ever read: the books begin with what is there then."""
        self.foreign_at = 0
        """When an execution of somebody else was last booked; 0 once it was looked at."""
        self.changed_at = 0
        self.placed_at = 0
        self.epoch = 0
        self.sequence = 0
        self.leased_to = 0
        self.lease_wished_to = 0
        self.lease_awaited = 0
        """No order may go before a lease beyond this one is synced, and all written before it."""
        self.cash = ZERO
        """Quote paid and received by fills and fees, without marks."""
        self.fees = ZERO
        """Quote value of fees whose value is known without a market price."""

    # -- what stands open ------------------------------------------------------------------------

    @property
    def doubtful(self) -> bool:
        if not self.open:
            return False
        return any(rec.status is o.OrderStatus.DOUBTFUL for rec in self.open.values())

    @property
    def pending(self) -> Decimal:
        """Return the signed quantity that may still come; an order in doubt counts in full (R5)."""
        total = ZERO
        for rec in self.open.values():
            if rec.side is Side.BUY:
                total += rec.remaining
            elif rec.side is Side.SELL:
                total -= rec.remaining
        return total

    def pending_side(self, side: Side) -> Decimal:
        """Return the unsigned quantity that open orders of one side may still fill."""
        return sum((rec.remaining for rec in self.open.values() if rec.side is side), ZERO)

    @property
    def lease_left(self) -> int:
        """Return how many ids may be used now."""
        return self.leased_to - self.sequence if self.leased_to > self.lease_awaited else 0

    def await_lease(self) -> None:
        """Let what is written now be on disk before the next order: its lease comes after it."""
        self.lease_awaited = self.lease_wished_to

    def next_id(self, prefix: str) -> str:
        """Return the id after the last one used; only `enact` of the order uses it up."""
        return make_id(prefix, self.epoch, self.leg, self.sequence + 1)

    # -- changes ---------------------------------------------------------------------------------

    def add(self, command: c.PlaceOrder, at: int) -> None:
        order = command.order
        assert order.client_order_id not in self.orders, order.client_order_id
        self.sequence += 1
        assert self.sequence <= self.leased_to, "an id outside the lease"
        record = OrderRecord(
            client_order_id=order.client_order_id,
            order=order,
            purpose=command.purpose,
            placed_at=at,
            signed_at=order.signed_at,
            side=order.side,
            quantity=order.quantity,
        )
        self._keep(record)
        self.placed_at = at

    def _keep(self, record: OrderRecord) -> None:
        self.orders[record.client_order_id] = record
        self.open[record.client_order_id] = record
        while len(self.orders) > ORDERS_KEPT:
            if next(iter(self.orders)) in self.open:
                break
            _, gone = self.orders.popitem(last=False)
            self.by_venue_id.pop(gone.venue_order_id, None)

    def _advance(self, record: OrderRecord, trigger: o.OrderTrigger, at: int) -> bool:
        before = record.status
        record.status = o.advance(before, trigger)
        if record.status is before:
            return False
        if record.status in o.OPEN:
            self.open[record.client_order_id] = record
            record.doubt_at = at if record.status is o.OrderStatus.DOUBTFUL else 0
        else:
            self.open.pop(record.client_order_id, None)
            record.ended_at = at
        return True

    def _restate(self, record: OrderRecord, at: int) -> None:
        """Bring the leg's total up to date with one order's fills, known and owed fees included."""
        if record.side is None:
            return
        fees = record.base_fees if self.leg is Leg.SPOT else ZERO
        owed = record.filled - record.itemised
        if owed > 0:
            self.owed[record.client_order_id] = record
        else:
            self.owed.pop(record.client_order_id, None)
        if owed > 0 and self.leg is Leg.SPOT and self.terms.fee_in_base and record.side is Side.BUY:
            fees += owed * max(self.terms.maker_fee, self.terms.taker_fee)
        now = record.side.sign * record.filled - fees
        if now != record.contribution:
            self.held += now - record.contribution
            record.contribution = now
            self.changed_at = at

    def book_report(self, report: OrderReport, at: int) -> bool:
        """Take a venue's view: status by the table, quantity only upwards (F24, I15)."""
        record = self.orders.get(report.client_order_id)
        if record is None:
            return False
        touched = False
        if report.venue_order_id and not record.venue_order_id:
            record.venue_order_id = report.venue_order_id
            self.by_venue_id[report.venue_order_id] = record.client_order_id
            touched = True
        if record.order is None and report.side is not None and report.quantity is not None:
            touched |= record.quantity != report.quantity
            record.side, record.quantity = report.side, report.quantity
        if report.filled > record.filled:
            record.filled = report.filled
            touched = True
        touched |= self._advance(record, SEEN[report.status], at)
        self._restate(record, at)
        if report.venue_order_id and self.unmatched:
            touched |= self._match_again(at)
        return touched

    def turned_away(self, client_order_id: str) -> bool:
        """Return whether a post-only order was ended by the venue, unasked and unfilled.

        Some venues refuse an order that would take, others accept it and cancel it at once.
        """
        record = self.orders.get(client_order_id)
        return (
            record is not None
            and record.order is not None
            and record.order.time_in_force is TimeInForce.POST_ONLY
            and record.status is o.OrderStatus.CANCELLED
            and not record.filled
            and not record.cancel_asked_at
        )

    def book_fill(self, fill: Fill, at: int) -> bool:
        """Take one execution, once (F19); return whether it was news."""
        key = fill.key
        if key in self.fill_keys or not fill.quantity > 0:
            return False
        record = self.orders.get(fill.client_order_id) or self.orders.get(
            self.by_venue_id.get(fill.venue_order_id, "")
        )
        if record is None and self.prefix and fill.client_order_id.startswith(self.prefix):
            record = self._recall(fill, at)
        if record is None and fill.kind is FillKind.TRADE and self._may_be_ours():
            known = key in self.unmatched
            self.unmatched[key] = fill
            return not known
        self.unmatched.pop(key, None)
        self._settle(key)
        if fill.kind is FillKind.UNKNOWN:
            return True  # quarantined: the position says what it was, not this word (F26)
        if record is None:
            self._book_foreign(fill, at)
            return True
        record.itemised += fill.quantity
        record.filled = max(record.filled, record.itemised)
        if record.side is None:
            record.side = fill.side
        record.quantity = max(record.quantity, record.filled)
        if fill.fee_asset and fill.fee_asset == self.terms.instrument.base:
            record.base_fees += fill.fee
        self._book_cash(fill)
        known = record.order is not None or record.status is not o.OrderStatus.DOUBTFUL
        if known and record.status in o.OPEN and record.filled >= record.quantity > 0:
            self._advance(record, o.OrderTrigger.SEEN_FILLED, at)
        elif record.status is o.OrderStatus.INTENDED or (
            record.status is o.OrderStatus.DOUBTFUL and record.order is not None
        ):
            self._advance(record, o.OrderTrigger.SEEN_WORKING, at)
        self._restate(record, at)
        return True

    def _recall(self, fill: Fill, at: int) -> OrderRecord:
        """Take in an order of ours that these books have lost (a restored or a cut journal).

        It is in doubt, and freezes its leg, until the venue has been asked for it by id.
        """
        record = OrderRecord(
            client_order_id=fill.client_order_id,
            order=None,
            status=o.OrderStatus.DOUBTFUL,
            placed_at=at,
            signed_at=at,
            doubt_at=at,
        )
        self._keep(record)
        return record

    def _may_be_ours(self) -> bool:
        """Return whether an open order has no venue id yet, so that a nameless fill may be its."""
        return any(not rec.venue_order_id for rec in self.open.values())

    def _match_again(self, at: int) -> bool:
        waiting = list(self.unmatched.values())
        return any([self.book_fill(fill, at) for fill in waiting])  # noqa: C419 - book them all

    @property
    def unclaimed(self) -> Decimal:
        """Return what the executions of unknown owner add to ``held`` if nobody of ours made them.

        Coins that others traded on a managed spot leg are none of this hedge's: zero.
        """
        if self.leg is Leg.SPOT and not self.follows_account:
            return ZERO
        total = ZERO
        for fill in self.unmatched.values():
            total += fill.signed_quantity
            if self.leg is Leg.SPOT and fill.fee_asset == self.terms.instrument.base:
                total -= fill.fee
        return total

    def spend_unmatched(self) -> None:
        """Forget fills of unknown owner: what they did stands in a difference that was booked."""
        for key in self.unmatched:
            self._settle(key)
        self.unmatched.clear()

    def pass_over(self, fill: Fill) -> bool:
        """Take an execution from before these books for known; return whether it is one.

        What others traded before the first read stands in what that read found, and is not booked
        beside it. An order of ours in books that know of none was lost with a journal.
        """
        if self.begun or fill.client_order_id in self.orders:
            return False
        if self.prefix and fill.client_order_id.startswith(self.prefix):
            return False
        self._settle(fill.key)
        return True

    def _settle(self, key: str) -> None:
        self.fill_keys[key] = None
        if len(self.fill_keys) > FILLS_KEPT:
            self.fill_keys.popitem(last=False)

    def _book_foreign(self, fill: Fill, at: int) -> None:
        """Book what somebody else's order did: always on futures, on spot only by its rule."""
        if self.leg is Leg.SPOT and not self.follows_account:
            return
        self.held += fill.signed_quantity
        self.foreign_at = at
        if self.leg is Leg.SPOT and fill.fee_asset == self.terms.instrument.base:
            self.held -= fill.fee
        self._book_cash(fill)
        self.changed_at = at

    def _book_cash(self, fill: Fill) -> None:
        instrument = self.terms.instrument
        self.cash -= fill.signed_quantity * fill.price
        if fill.fee_asset == instrument.base:
            value = fill.fee * fill.price
        elif fill.fee_asset in (instrument.quote, instrument.settle, ""):
            value = fill.fee
            self.cash -= fill.fee
        else:
            value = fill.fee * (fill.fee_rate_quote or ZERO)
            self.cash -= value
        self.fees += value

    def refuse(self, client_order_id: str, at: int) -> bool:
        record = self.orders.get(client_order_id)
        return record is not None and self._advance(record, o.OrderTrigger.REFUSED, at)

    def unanswered(self, client_order_id: str, at: int) -> bool:
        record = self.orders.get(client_order_id)
        return record is not None and self._advance(record, o.OrderTrigger.UNANSWERED, at)

    def vanished(self, client_order_id: str, at: int) -> bool:
        record = self.orders.get(client_order_id)
        return record is not None and self._advance(record, o.OrderTrigger.VANISHED, at)

    def bury(self, client_order_id: str, at: int) -> None:
        """End an order that never came to be; executions that might have been its are foreign."""
        self._advance(self.orders[client_order_id], o.OrderTrigger.BURIED, at)
        if self.unmatched and not self._may_be_ours():
            self._match_again(at)

    def restart(self, epoch: int, at: int, *, machine_died: bool, prefix: str) -> None:
        """A new process: what was in flight is in doubt; so is every leased id it may have used."""
        # No time of ours may lie ahead of a clock that was set back between the processes (F54).
        self.changed_at = min(self.changed_at, at)
        self.placed_at = min(self.placed_at, at)
        for record in list(self.open.values()):
            record.placed_at = min(record.placed_at, at)
            record.doubt_at = min(record.doubt_at, at)
            record.cancel_asked_at = min(record.cancel_asked_at, at)
            self._advance(record, o.OrderTrigger.RESTARTED, at)
        if machine_died:
            for sequence in range(self.sequence + 1, self.lease_wished_to + 1):
                ghost = OrderRecord(
                    client_order_id=make_id(prefix, self.epoch, self.leg, sequence),
                    order=None,
                    status=o.OrderStatus.DOUBTFUL,
                    placed_at=at,
                    signed_at=at,
                    doubt_at=at,
                )
                self._keep(ghost)
        self.epoch = epoch
        self.sequence = self.leased_to = self.lease_wished_to = self.lease_awaited = 0

    def adopt_stray(self, report: OrderReport, at: int) -> None:
        """Take in an open order with an id of ours that these books do not know."""
        record = OrderRecord(
            client_order_id=report.client_order_id,
            order=None,
            status=o.OrderStatus.WORKING,
            placed_at=at,
            signed_at=at,
            side=report.side,
            quantity=report.quantity or ZERO,
        )
        self._keep(record)
        self.book_report(report, at)

    def picture(self) -> dict[str, Any]:
        """Return all that counts, for the hash."""
        return {
            "held": self.held.normalize(),
            "external": self.external.normalize(),
            "orders": list(self.orders.values()),
            "fills": list(self.fill_keys),
            "epoch": self.epoch,
            "sequence": self.sequence,
            "lease": [self.leased_to, self.lease_wished_to],
            "cash": self.cash.normalize(),
        }


LEG_LETTER = {Leg.SPOT: "S", Leg.FUTURES: "F"}


def make_id(prefix: str, epoch: int, leg: Leg, sequence: int) -> str:
    """Return a client order id that every venue takes: upper case and digits, at most 26 long.

    Venues' rules: Binance, Bybit <= 36, OKX <= 32 alphanumeric, Gate <= 28 and not beginning with
    "t" (which its SDK would take for its own prefix).
    """
    assert 0 <= epoch < 0x10000, epoch
    assert 0 < sequence < 0x1000000, sequence
    return f"{prefix}{epoch:04X}{LEG_LETTER[leg]}{sequence:06X}"
