"""The account as a fold over the records: cash, coins, positions, orders; exact."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import assert_never

import msgspec

from hedge.model import (
    Fill,
    FundingPayment,
    Leg,
    Order,
    OrderReport,
    PositionMode,
    ReportedStatus,
    Side,
    TimeInForce,
)
from hedge.model.numbers import ZERO
from hedge_sim.records import (
    Accepted,
    Deposited,
    Ended,
    Filled,
    Founded,
    Happened,
    Levered,
    ModeChanged,
    Opened,
    Paid,
    Record,
    assets_of,
)

CENT8 = Decimal("0.00000001")


class Holding(msgspec.Struct):
    """A perpetual position; ``entry_notional`` is the signed cost of what is open."""

    quantity: Decimal = ZERO
    entry_notional: Decimal = ZERO

    def trade(self, signed: Decimal, price: Decimal) -> Decimal:
        """Take one execution in; return the profit realised by what it closed.

        The cost of a part is rounded to 1e-8 and what is left keeps the exact rest, so that
        profit + unrealised profit at any price stays what it was, to the last digit.
        """
        realised = ZERO
        if self.quantity * signed < 0:
            closing = -signed if abs(signed) <= abs(self.quantity) else self.quantity
            if closing == self.quantity:
                cost = self.entry_notional
            else:
                part = self.entry_notional * closing / self.quantity
                cost = part.quantize(CENT8, ROUND_HALF_EVEN)
            realised = closing * price - cost
            self.quantity -= closing
            self.entry_notional -= cost
            signed += closing
        if signed:
            self.quantity += signed
            self.entry_notional += signed * price
        return realised

    def profit_at(self, price: Decimal) -> Decimal:
        return self.quantity * price - self.entry_notional


class Placed(msgspec.Struct):
    """One accepted order and what became of it."""

    order: Order
    venue_order_id: str
    at: int
    status: ReportedStatus = ReportedStatus.WORKING
    filled: Decimal = ZERO
    why: str = ""
    limit_units: int = 0
    history: list[tuple[int, ReportedStatus, Decimal]] = []

    @property
    def remaining(self) -> Decimal:
        return self.order.quantity - self.filled

    def report(self, reported_at: int, as_of: int | None = None) -> OrderReport | None:
        """Return the view now, or the one of ``as_of``; None when it was not there yet."""
        status, filled = self.status, self.filled
        if as_of is not None:
            seen = [entry for entry in self.history if entry[0] <= as_of]
            if not seen:
                return None
            _, status, filled = seen[-1]
        order = self.order
        return OrderReport(
            client_order_id=order.client_order_id,
            venue_order_id=self.venue_order_id,
            status=status,
            filled=filled,
            reported_at=reported_at,
            side=order.side,
            quantity=order.quantity,
            limit_price=order.limit_price,
            reduce_only=order.reduce_only,
        )


class Account:
    """State and nothing else: `apply` is the only door, and takes each record once."""

    def __init__(self) -> None:
        self.founded: Founded | None = None
        self.sessions = 0
        self.last_at = 0
        self.balances: dict[str, Decimal] = {}
        self.holdings: dict[str, Holding] = {}
        self.leverage: dict[str, int] = {}
        self.mode = PositionMode.ONE_WAY
        self.orders: dict[str, Placed] = {}
        self.open: dict[str, Placed] = {}
        self.fills: list[Fill] = []
        self.payments: list[FundingPayment] = []
        self.paid: dict[tuple[str, int], Decimal] = {}
        self.deposits: dict[str, Decimal] = {}
        self.fees: dict[str, Decimal] = {}
        self.funding: dict[str, Decimal] = {}
        self.realised: dict[str, Decimal] = {}
        self.causes: dict[str, int] = {}

    def holding(self, symbol: str) -> Holding:
        """Return the position, a flat one where there never was any; reading changes nothing."""
        return self.holdings.get(symbol) or Holding()

    def balance(self, asset: str) -> Decimal:
        return self.balances.get(asset, ZERO)

    def apply(self, record: Record) -> None:
        self.last_at = max(self.last_at, record.at)
        match record:
            case Founded():
                self.founded = record
            case Opened():
                self.sessions = record.session
            case Deposited():
                self._credit(record.asset, record.quantity)
                _add(self.deposits, record.asset, record.quantity)
            case Accepted():
                self._accept(record)
            case Filled():
                self._fill(record)
            case Ended():
                self._end(record.at, record.client_order_id, ReportedStatus.CANCELLED, record.why)
            case Paid():
                self._pay(record.payment)
            case Levered():
                self.leverage[record.symbol] = record.leverage
            case ModeChanged():
                self.mode = record.mode
            case Happened():
                self.causes[record.cause] = record.at
            case _:
                assert_never(record)

    def _credit(self, asset: str, quantity: Decimal) -> None:
        _add(self.balances, asset, quantity)

    def _accept(self, record: Accepted) -> None:
        order = record.order
        placed = Placed(order=order, venue_order_id=record.venue_order_id, at=record.at)
        placed.history.append((record.at, placed.status, ZERO))
        self.orders[order.client_order_id] = placed
        self.open[order.client_order_id] = placed

    def _end(self, at: int, client_order_id: str, status: ReportedStatus, why: str) -> None:
        placed = self.open.pop(client_order_id)
        placed.status = status
        placed.why = why
        placed.history.append((at, status, placed.filled))

    def _fill(self, record: Filled) -> None:
        fill = record.fill
        base, quote = assets_of(fill.symbol)
        notional = fill.quantity * fill.price
        if fill.leg is Leg.SPOT:
            self._credit(base, fill.signed_quantity)
            self._credit(quote, -notional if fill.side is Side.BUY else notional)
        else:
            holding = self.holdings.setdefault(fill.symbol, Holding())
            realised = holding.trade(fill.signed_quantity, fill.price)
            self._credit(quote, realised)
            _add(self.realised, quote, realised)
        if fill.fee:
            self._credit(fill.fee_asset, -fill.fee)
            _add(self.fees, fill.fee_asset, fill.fee)
        self.fills.append(fill)
        placed = self.open.get(fill.client_order_id)
        if placed is None:
            return
        placed.filled += fill.quantity
        if placed.remaining <= 0:
            self._end(record.at, fill.client_order_id, ReportedStatus.FILLED, "filled")
        else:
            placed.history.append((record.at, placed.status, placed.filled))

    def _pay(self, payment: FundingPayment) -> None:
        self._credit(payment.asset, payment.cash)
        _add(self.funding, payment.asset, payment.cash)
        self.payments.append(payment)
        self.paid[payment.symbol, payment.settled_at] = payment.cash

    def resting(self) -> list[Placed]:
        return [p for p in self.open.values() if p.order.time_in_force is not TimeInForce.IOC]

    def equity(self, quote: str, prices: dict[str, Decimal], marks: dict[str, Decimal]) -> Decimal:
        """Return cash, coins at ``prices`` (by asset) and open profit at ``marks`` (by symbol)."""
        total = ZERO
        for asset, quantity in self.balances.items():
            total += quantity if asset == quote else quantity * prices.get(asset, ZERO)
        for symbol, holding in self.holdings.items():
            if holding.quantity or holding.entry_notional:
                total += holding.profit_at(marks[symbol])
        return total


def _add(where: dict[str, Decimal], key: str, value: Decimal) -> None:
    where[key] = where.get(key, ZERO) + value
