"""The account's past as Bybit keeps it: executions, funding executions, the transaction log.

A book is a fold over the fills and settlements of a house, oldest first, and knows of each what it
did to the position and to the cash; it is brought up to date by the same events that feed the
streams, and built anew from the house's own memory after a restart.
"""

from collections.abc import Iterator

from hedge.model import Fill, FundingPayment, Leg
from hedge.model.numbers import ZERO
from hedge_sim.account import Holding
from hedge_sim.dialects.bybit_desk import OrderDesk
from hedge_sim.dialects.bybit_entries import Entry, funding_row
from hedge_sim.dialects.bybit_errors import LINEAR
from hedge_sim.dialects.bybit_log import LogLine, log_lines
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_shapes import Row, execution_row, uid
from hedge_sim.dialects.house import House


class Books:
    """The entries of one account, oldest first."""

    def __init__(self, house: House, markets: Markets, desk: OrderDesk) -> None:
        self._house = house
        self._markets = markets
        self._desk = desk
        self._held: dict[str, Holding] = {}
        self._found: list[Entry] = []
        self._by_id: dict[str, Entry] = {}
        self._is_built = False

    @property
    def entries(self) -> list[Entry]:
        self._build()
        return self._found

    def _build(self) -> None:
        """Take in all that the house remembers, once."""
        if self._is_built:
            return
        self._is_built = True
        house = self._house
        rows: list[tuple[int, Fill | FundingPayment]] = [
            *((fill.filled_at, fill) for leg in Leg for fill in house.fills(leg)),
            *((payment.settled_at, payment) for payment in house.payments()),
        ]
        for _, row in sorted(rows, key=lambda pair: pair[0]):
            if isinstance(row, Fill):
                self.of_fill(row)
            else:
                self.of_payment(row)

    def of_fill(self, fill: Fill) -> Entry:
        """Return the entry of a fill, which is appended when it is new."""
        self._build()
        entry_id = self._uid("exec", fill.fill_id)
        return self._by_id.get(entry_id) or self._append(self._trade(fill, entry_id))

    def of_payment(self, payment: FundingPayment) -> Entry:
        """Return the entry of a settlement, which is appended when it is new."""
        self._build()
        entry_id = self._uid("funding", payment.payment_id)
        return self._by_id.get(entry_id) or self._append(self._settlement(payment, entry_id))

    def _trade(self, fill: Fill, entry_id: str) -> Entry:
        listing = self._markets.by_model(fill.symbol)
        holding = self._held.setdefault(fill.symbol, Holding())
        before, closed, realised = holding.quantity, ZERO, ZERO
        if listing.category == LINEAR:
            realised = holding.trade(fill.signed_quantity, fill.price)
            if before * fill.signed_quantity < 0:
                closed = min(abs(before), fill.quantity)
        return Entry(
            listing=listing,
            entry_id=entry_id,
            at=fill.filled_at,
            seq=self._seq(fill.filled_at),
            fill=fill,
            known=self._desk.by_fill(fill),
            closed=listing.units(closed),
            position=listing.units(holding.quantity),
            realised=realised,
            mark=listing.wire_price(fill.price),
        )

    def _settlement(self, payment: FundingPayment, entry_id: str) -> Entry:
        listing = self._markets.by_model(payment.symbol)
        quantity, rate = payment.quantity, payment.rate
        mark = abs(payment.cash / (quantity * rate)) if quantity * rate else ZERO
        return Entry(
            listing=listing,
            entry_id=entry_id,
            at=payment.settled_at,
            seq=self._seq(payment.settled_at),
            payment=payment,
            position=listing.units(quantity),
            mark=listing.wire_price(mark.quantize(listing.instrument.tick)),
        )

    def _append(self, entry: Entry) -> Entry:
        self._found.append(entry)
        self._by_id[entry.entry_id] = entry
        return entry

    def _uid(self, kind: str, number: str) -> str:
        return uid(str(self._house.world.segments[0].wall), kind, number)

    def _seq(self, at: int) -> int:
        return at // 1_000 + len(self._found)

    # Rows

    def row(self, entry: Entry) -> Row:
        """Return an entry as ``/v5/execution/list`` shows it."""
        if entry.payment is not None:
            return funding_row(entry, entry.payment)
        order = None if entry.known is None else self._desk.wire(entry.known)
        return execution_row(entry.execution(order))

    def lines(self) -> Iterator[LogLine]:
        """Return the lines of the transaction log, newest first (see `bybit_log`)."""
        return log_lines(self.entries, {b.asset: b.total for b in self._house.balances()})
