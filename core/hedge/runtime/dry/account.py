"""What a dry run holds: orders against live quotes, fills, cash, and a file that remembers them.

The rules are on the cautious side: a resting order fills when the other side of the book reaches
its price, whole and at its price; a taking one fills at the touch, at most what the quote shows;
fees are those of a small account. No order of ours moves the market here.
"""

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from hedge.errors import ConfigError, HedgeError, Missing, Refused, unwritten, writing
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Leg,
    Order,
    OrderReport,
    Position,
    Quote,
    ReportedStatus,
    Side,
    TimeInForce,
)
from hedge.model.numbers import ZERO
from hedge.roles import AccountNews, FeeRates

FEES = {
    Leg.SPOT: FeeRates(maker=Decimal("0.001"), taker=Decimal("0.001")),
    Leg.FUTURES: FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.00055")),
}
"""Of notional, in quote: the published rates of a small account on the large venues, 2026."""
FILE_NAME = "dry.account"


class Founded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    at: int
    cash: Decimal
    """What each leg begins with, in quote."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    at: int
    order: Order


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    at: int
    client_order_id: str


class Filled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    fill: Fill


class Paid(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    payment: FundingPayment


Record = Founded | Accepted | Ended | Filled | Paid
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class DryOrder(msgspec.Struct, kw_only=True):
    order: Order
    number: int
    filled: Decimal = ZERO
    status: ReportedStatus = ReportedStatus.WORKING
    at: int = 0

    @property
    def remaining(self) -> Decimal:
        return self.order.quantity - self.filled

    def report(self) -> OrderReport:
        order = self.order
        return OrderReport(
            client_order_id=order.client_order_id,
            venue_order_id=f"dry-{self.number}",
            status=self.status,
            filled=self.filled,
            reported_at=self.at,
            side=order.side,
            quantity=order.quantity,
            limit_price=order.limit_price,
            reduce_only=order.reduce_only,
        )


class DryAccount:
    """Both legs of one hedge; every change is a line of ``dry.account`` before it is told."""

    def __init__(self, path: Path | None, *, cash: Decimal, at: int) -> None:
        self._path = path
        self._file = -1
        self._broken: HedgeError | None = None
        self.cash = {Leg.SPOT: ZERO, Leg.FUTURES: ZERO}
        self.held = {Leg.SPOT: ZERO, Leg.FUTURES: ZERO}
        self.entry_notional = ZERO
        self.orders: dict[str, DryOrder] = {}
        self.fills: list[Fill] = []
        self.payments: list[FundingPayment] = []
        self.quotes: dict[Leg, Quote] = {}
        self.tell: Callable[[Leg, AccountNews], None] = lambda _leg, _news: None
        self._found(cash, at)

    # -- the file --------------------------------------------------------------------------------

    def _found(self, cash: Decimal, at: int) -> None:
        lines: list[bytes] = []
        if self._path is not None:
            with writing(self._cannot):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                data = os.read(self._file, os.fstat(self._file).st_size)
                whole = data[: data.rfind(b"\n") + 1]  # a line without its end was cut off
                os.ftruncate(self._file, len(whole))
                os.lseek(self._file, len(whole), os.SEEK_SET)
            lines = whole.splitlines()
        try:
            for line in lines:
                self._apply(_DECODER.decode(line))
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{self._path} is damaged: {error}") from None
        if not lines:
            self._record(Founded(at=at, cash=cash))

    def _record(self, record: Record) -> None:
        if self._broken is not None:  # a part of a line may be there: none comes behind it
            raise self._broken
        if self._file >= 0:
            rest = _ENCODER.encode(record) + b"\n"
            try:
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError as error:
                self._broken = unwritten(self._cannot, error)
                raise self._broken from None
        self._apply(record)

    @property
    def _cannot(self) -> str:
        return f"cannot keep the dry run's account in {self._path}"

    def _apply(self, record: Record) -> None:
        match record:
            case Founded(cash=cash):
                self.cash = {Leg.SPOT: cash, Leg.FUTURES: cash}
            case Accepted(at=at, order=order):
                number = len(self.orders) + 1
                self.orders[order.client_order_id] = DryOrder(order=order, number=number, at=at)
            case Ended(at=at, client_order_id=client_order_id):
                one = self.orders[client_order_id]
                one.status, one.at = ReportedStatus.CANCELLED, at
            case Filled(fill=fill):
                self._book(fill)
            case Paid(payment=payment):
                self.payments.append(payment)
                self.cash[Leg.FUTURES] += payment.cash

    def _book(self, fill: Fill) -> None:
        signed = fill.signed_quantity
        before = self.held[fill.leg]
        self.fills.append(fill)
        self.held[fill.leg] = before + signed
        self.cash[fill.leg] -= fill.fee
        if fill.leg is Leg.SPOT:
            self.cash[Leg.SPOT] -= signed * fill.price
        elif before * signed >= 0:
            self.entry_notional += signed * fill.price
        else:  # what is closed leaves at its average cost; the difference is cash
            closed = min(abs(signed), abs(before)) * (1 if signed > 0 else -1)
            cost = self.entry_notional * -closed / before
            self.cash[Leg.FUTURES] += -closed * fill.price - cost
            self.entry_notional += -cost + (signed - closed) * fill.price
        one = self.orders[fill.client_order_id]
        one.filled += fill.quantity
        one.at = fill.filled_at
        if not one.remaining:
            one.status = ReportedStatus.FILLED

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # -- orders ----------------------------------------------------------------------------------

    def place(self, order: Order, at: int) -> OrderReport:
        """Accept an order and match it; raise `Refused` as a venue would."""
        quote = self.quotes.get(order.leg)
        if quote is None:
            raise Refused("no quote yet", code="NO_QUOTE")
        if order.client_order_id in self.orders:
            raise Refused(f"{order.client_order_id} was used before", code="DUPLICATE_ID")
        price = self._touch(order, quote)
        if price is not None and order.time_in_force is TimeInForce.POST_ONLY:
            raise Refused("would take", code="POST_ONLY_WOULD_TAKE")
        self._record(Accepted(at=at, order=order))
        one = self.orders[order.client_order_id]
        if price is not None:
            depth = quote.ask_depth if order.side is Side.BUY else quote.bid_depth
            lot_free = one.remaining if depth <= 0 else min(one.remaining, depth)
            self._fill(one, self._room(one, lot_free), price, at, maker=False)
        if order.time_in_force is TimeInForce.IOC and one.status is ReportedStatus.WORKING:
            self._record(Ended(at=at, client_order_id=order.client_order_id))
        return self._told(one)

    def cancel(self, client_order_id: str, at: int) -> OrderReport:
        one = self.orders.get(client_order_id)
        if one is None or one.status is not ReportedStatus.WORKING:
            raise Refused(f"{client_order_id} is not open", code="UNKNOWN_ORDER")
        self._record(Ended(at=at, client_order_id=client_order_id))
        return self._told(one)

    def see(self, leg: Leg, quote: Quote, at: int) -> None:
        """Take a live quote, and fill the resting orders whose price it reaches."""
        self.quotes[leg] = quote
        for one in self.open(leg):
            if self._touch(one.order, quote) is not None:
                self._fill(one, self._room(one, one.remaining), one.order.limit_price, at)
                self._told(one)

    def open(self, leg: Leg) -> list[DryOrder]:
        return [
            one
            for one in self.orders.values()
            if one.status is ReportedStatus.WORKING and one.order.leg is leg
        ]

    @staticmethod
    def _touch(order: Order, quote: Quote) -> Decimal | None:
        """Return the price at which the order would take now, or None."""
        if order.side is Side.BUY:
            return quote.ask if quote.ask <= order.limit_price else None
        return quote.bid if quote.bid >= order.limit_price else None

    def _room(self, one: DryOrder, quantity: Decimal) -> Decimal:
        if not one.order.reduce_only:
            return quantity
        held = self.held[one.order.leg]
        return min(quantity, abs(held)) if held * one.order.signed_quantity < 0 else ZERO

    def _fill(
        self, one: DryOrder, quantity: Decimal, price: Decimal, at: int, *, maker: bool = True
    ) -> None:
        order = one.order
        if not quantity:
            return
        rates = FEES[order.leg]
        fill = Fill(
            leg=order.leg,
            symbol=order.symbol,
            fill_id=str(len(self.fills) + 1),
            client_order_id=order.client_order_id,
            venue_order_id=f"dry-{one.number}",
            side=order.side,
            quantity=quantity,
            price=price,
            fee=quantity * price * (rates.maker if maker else rates.taker),
            fee_asset=order.symbol.partition("/")[2].partition(":")[0],
            maker=maker,
            filled_at=at,
        )
        self._record(Filled(fill=fill))
        self.tell(order.leg, fill)

    def _told(self, one: DryOrder) -> OrderReport:
        report = one.report()
        self.tell(one.order.leg, report)
        return report

    # -- funding and reads -----------------------------------------------------------------------

    def settle(self, rate: FundingRate, asset: str) -> None:
        """Pay one settled rate on what was held at its time, once; the mark is our mid."""
        settled_at = rate.observed_at
        payment_id = f"dry-{settled_at}"
        quote = self.quotes.get(Leg.FUTURES)
        held = sum(
            (f.signed_quantity for f in self.fills
             if f.leg is Leg.FUTURES and f.filled_at <= settled_at), ZERO,
        )  # fmt: skip
        if not held or quote is None or any(p.payment_id == payment_id for p in self.payments):
            return
        payment = FundingPayment(
            payment_id=payment_id,
            symbol=rate.symbol,
            rate=rate.rate,
            interval_s=rate.interval_s,
            quantity=held,
            cash=-held * quote.mid * rate.rate,
            asset=asset,
            settled_at=settled_at,
        )
        self._record(Paid(payment=payment))
        self.tell(Leg.FUTURES, payment)

    def find(self, client_order_id: str) -> OrderReport:
        one = self.orders.get(client_order_id)
        if one is None:
            raise Missing(f"the dry run knows no {client_order_id}")
        return one.report()

    def balances(self, leg: Leg, symbol: str, at: int) -> tuple[Balance, ...]:
        """Return one leg's cash and, on the spot leg, its coins; ``symbol`` names both assets."""
        base, _, quote = symbol.partition(":")[0].partition("/")
        cash = Balance(asset=quote, free=self.cash[leg], updated_at=at)
        if leg is Leg.FUTURES:
            return (cash,)
        coins = Balance(asset=base, free=self.held[leg], updated_at=at)
        return (coins, cash)

    def position(self, symbol: str, at: int) -> Position:
        held = self.held[Leg.FUTURES]
        return Position(
            symbol=symbol, quantity=held, entry_notional=self.entry_notional, updated_at=at
        )
