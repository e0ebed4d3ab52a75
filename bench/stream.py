"""A realistic stream of facts: a real engine builds a hedge, and what it was told is written down.

The market wiggles by a fixed pattern, passive orders are filled in parts, each part is hedged by
the engine's own order. The recorded facts can be told to any number of fresh engines: the core is
pure, so each of them gives the same commands.
"""

from collections import deque
from decimal import Decimal

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.terms import Action, HedgeTerms, LegTerms, LimitTerms
from hedge.model import (
    Balance,
    Fill,
    FundingRate,
    Instrument,
    InstrumentKind,
    Leg,
    Mark,
    Order,
    OrderReport,
    Position,
    Quote,
    RateOrigin,
    ReportedStatus,
)
from hedge.model.numbers import HOUR, MS, SECOND, ZERO, floor_to

START = 1_700_000_000 * SECOND
QUOTE_EVERY = 50 * MS
QUOTES_PER_FILL = 16
"""Quotes of both legs between two fills of the resting order: 16 of 20 facts are quotes."""
PARTS = 4
"""Fills per passive order."""
LOT = Decimal("0.00001")
WIGGLE = (0, 1, 0, -1, 0, 2, 1, 0, -2, -1)
"""Ticks around the price, in turn."""
BALANCE = Decimal(10_000_000)


def terms() -> HedgeTerms:
    """Return a hedge of a million in slices of 500, on two venues like the large ones."""

    def instrument(kind: InstrumentKind, least: str) -> Instrument:
        return Instrument(
            venue="bench",
            symbol="BTC/USDT" if kind is InstrumentKind.SPOT else "BTC/USDT:USDT",
            kind=kind,
            base="BTC",
            quote="USDT",
            settle="" if kind is InstrumentKind.SPOT else "USDT",
            tick=Decimal("0.1"),
            lot=LOT,
            notional_min=Decimal(least),
        )

    fee = Decimal("0.0002")
    return HedgeTerms(
        name="bench",
        prefix="B",
        spot=LegTerms(instrument=instrument(InstrumentKind.SPOT, "5"), maker_fee=fee),
        futures=LegTerms(instrument=instrument(InstrumentKind.PERPETUAL, "5"), taker_fee=fee),
        usd=Decimal(1_000_000),
        limits=LimitTerms(spot_orders_per_minute=10_000, spot_orders_per_hour=1_000_000),
    )


class Recorder:
    """Drives one engine through a build and keeps every fact that it was told."""

    def __init__(self) -> None:
        self.events: list[e.AnyEvent] = []
        self.commands = 0
        self.engine = Engine(terms())
        self.now = START
        self.wake_at = 0
        self.held = {Leg.SPOT: ZERO, Leg.FUTURES: ZERO}
        self.resting: Order | None = None
        self._filled = ZERO
        self._serial = 0
        self._quotes = 0
        self._answers: deque[e.AnyEvent] = deque()

    def record(self, wanted: int) -> list[e.AnyEvent]:
        """Return about ``wanted`` facts, from the start of the process on."""
        at = self.now
        self._tell(e.EngineStarted(at=at, boot_id="bench", epoch=1, terms=self.engine.terms))
        self._market()
        self._market()
        self._tell(e.ActionAsked(at=at, action=Action.DEFAULT, request_id="bench", enter_now=True))
        rate = FundingRate(
            symbol="BTC/USDT:USDT",
            rate=Decimal("0.0003"),
            interval_s=28_800,
            next_at=at + 8 * HOUR,
            observed_at=at,
            origin=RateOrigin.LIVE,
        )
        self._tell(e.FundingSeen(at=at, rate=rate))
        while len(self.events) < wanted:
            for _ in range(QUOTES_PER_FILL):
                self._market()
            self._fill_a_part()
        return self.events

    def _tell(self, event: e.AnyEvent) -> None:
        self._answers.append(event)
        while self._answers:
            fact = self._answers.popleft()
            self.events.append(fact)
            commands = self.engine.handle(fact)
            self.commands += len(commands)
            for command in commands:
                self._answer(command)

    def _market(self) -> None:
        self.now += QUOTE_EVERY
        self._quotes += 1
        leg = Leg.SPOT if self._quotes % 2 else Leg.FUTURES
        ticks = WIGGLE[self._quotes // 7 % len(WIGGLE)]
        bid = Decimal(60_000) + Decimal(ticks) / 10
        symbol = "BTC/USDT" if leg is Leg.SPOT else "BTC/USDT:USDT"
        depth = Decimal(25)
        quote = Quote(
            symbol=symbol, bid=bid, ask=bid + Decimal("0.1"), bid_depth=depth, ask_depth=depth
        )
        self._tell(e.QuoteSeen(at=self.now, leg=leg, quote=quote))
        if self._quotes % 100 == 0:
            mark = Mark(symbol=symbol, mark=bid, index=bid)
            self._tell(e.MarkSeen(at=self.now, mark=mark))
        if self.wake_at and self.now >= self.wake_at:
            self.wake_at = 0
            self._tell(e.TimerFired(at=self.now))

    def _fill_a_part(self) -> None:
        order = self.resting
        if order is None:
            return
        part = floor_to(order.quantity / PARTS, LOT)
        left = order.quantity - self._filled
        part = left if left < 2 * part else part
        self._filled += part
        self._tell(e.FillSeen(at=self.now, fill=self._execution(order, part)))
        done = self._filled == order.quantity
        filled = self._filled
        if done and self.resting is order:
            self.resting = None
        self._tell(
            self._reported(order, ReportedStatus.FILLED if done else ReportedStatus.WORKING, filled)
        )

    def _execution(self, order: Order, quantity: Decimal) -> Fill:
        self._serial += 1
        self.held[order.leg] += quantity if order.signed_quantity > 0 else -quantity
        return Fill(
            leg=order.leg,
            symbol=order.symbol,
            fill_id=str(self._serial),
            client_order_id=order.client_order_id,
            side=order.side,
            quantity=quantity,
            price=order.limit_price,
            fee=quantity * order.limit_price * Decimal("0.0002"),
            fee_asset="USDT",
            filled_at=self.now,
        )

    def _answer(self, command: c.AnyCommand) -> None:
        match command:
            case c.LeaseIds(leg=leg, epoch=epoch, first=first, last=last):
                leased = e.IdsLeased(at=self.now, leg=leg, epoch=epoch, first=first, last=last)
                self._answers.append(leased)
            case c.WakeAt(wake_at=wake_at):
                self.wake_at = wake_at
            case c.AuditLeg(leg=leg, audit_id=audit_id, ask_ids=ask_ids):
                self._answers.append(self._audited(leg, audit_id, ask_ids))
            case c.ReadEquity(label=label):
                self._answers.append(self._equity(label))
            case c.CancelOrder():
                assert self.resting is not None
                order, self.resting = self.resting, None
                self._answers.append(self._reported(order, ReportedStatus.CANCELLED, self._filled))
            case c.PlaceOrder(order=order) if order.leg is Leg.SPOT:
                self.resting, self._filled = order, ZERO
                self._answers.append(self._reported(order, ReportedStatus.WORKING, ZERO))
            case c.PlaceOrder(order=order):
                fill = self._execution(order, order.quantity)
                self._answers.append(e.FillSeen(at=self.now, fill=fill))
                report = self._reported(order, ReportedStatus.FILLED, order.quantity)
                self._answers.append(report)

    def _reported(self, order: Order, status: ReportedStatus, filled: Decimal) -> e.OrderReported:
        report = OrderReport(
            client_order_id=order.client_order_id,
            venue_order_id=f"v{order.client_order_id}",
            status=status,
            filled=filled,
            side=order.side,
            quantity=order.quantity,
        )
        return e.OrderReported(at=self.now, leg=order.leg, report=report)

    def _audited(self, leg: Leg, audit_id: int, ask_ids: tuple[str, ...]) -> e.LegAudited:
        spot = leg is Leg.SPOT
        order = self.resting
        found: tuple[OrderReport, ...] = ()
        if order is not None and order.client_order_id in ask_ids:
            found = (self._reported(order, ReportedStatus.WORKING, self._filled).report,)
        balances = (
            Balance(asset="BTC", free=self.held[Leg.SPOT]),
            Balance(asset="USDT", free=BALANCE),
        )
        return e.LegAudited(
            at=self.now,
            leg=leg,
            audit_id=audit_id,
            asked_at=self.now,
            server_at=self.now,
            found=found,
            open_orders=found,
            balances=balances if spot else (),
            position=None if spot else self._position(),
            margin_free=None if spot else BALANCE,
        )

    def _position(self) -> Position:
        return Position(symbol="BTC/USDT:USDT", quantity=self.held[Leg.FUTURES])

    def _equity(self, label: str) -> e.EquitySeen:
        return e.EquitySeen(
            at=self.now,
            label=label,
            spot=(Balance(asset="USDT", free=BALANCE),),
            futures=(),
            shared=True,
            position=self._position(),
            spot_mid=Decimal(60_000),
            futures_mid=Decimal(60_000),
            spot_at=self.now,
            futures_at=self.now,
        )


def mix(events: list[e.AnyEvent]) -> dict[str, float]:
    """Return the share of each kind of fact, in percent."""
    counts: dict[str, int] = {}
    for event in events:
        name = type(event).__name__
        counts[name] = counts.get(name, 0) + 1
    return {name: round(100 * n / len(events), 2) for name, n in sorted(counts.items())}
