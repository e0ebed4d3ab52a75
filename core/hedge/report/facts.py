"""What the rows of a journal say that bears on money: each fact once, at its first sighting.

Nothing is valued here. A fill is known by its leg and its key, a payment by its id; the stream, an
acknowledgement and three audits may all bring the same one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from hedge.decide import commands, events
from hedge.decide.rows import Row
from hedge.decide.terms import HedgeTerms
from hedge.errors import UsageError
from hedge.model import Fill, FundingPayment, FundingRate, Leg, RateOrigin
from hedge.model.numbers import DAY


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """The row that brought a fact: its place, its time, and the mids of that moment."""

    seq: int
    at: int
    spot_mid: Decimal | None = None
    futures_mid: Decimal | None = None


class FillFact(msgspec.Struct, frozen=True, kw_only=True):
    """``decided_mid`` is the mid of the fill's leg when its order was decided; None: not ours."""

    sighting: Sighting
    fill: Fill
    ours: bool
    decided_mid: Decimal | None = None

    @property
    def happened_at(self) -> int:
        return self.fill.filled_at or self.sighting.at


class PaymentFact(msgspec.Struct, frozen=True, kw_only=True):
    sighting: Sighting
    payment: FundingPayment


class ExternalFact(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the books that neither an order nor a fill explains, or an adoption."""

    sighting: Sighting
    leg: Leg
    quantity: Decimal
    reason: str


class MarkFact(msgspec.Struct, frozen=True, kw_only=True):
    """The last prices before midnight, so that a day's lines end with the day."""

    sighting: Sighting


AnyFact = FillFact | PaymentFact | ExternalFact | MarkFact


class SnapshotFact(msgspec.Struct, frozen=True, kw_only=True):
    sighting: Sighting
    equity: events.EquitySeen
    asked_seq: int = 0
    """The row that asked for it; 0 where that is not known."""


class RateFact(msgspec.Struct, frozen=True, kw_only=True):
    sighting: Sighting
    rate: FundingRate


@dataclass(slots=True)
class Facts:
    """Everything `collect` found, in the order of the rows."""

    terms: HedgeTerms
    facts: list[AnyFact]
    snapshots: list[SnapshotFact]
    rates: list[RateFact]
    first: Sighting
    last: Sighting
    ended: bool
    """The last engine has ended by itself: nothing more will be measured for it."""
    unanswered: bool
    """The last measurement that was asked for never came."""

    @property
    def cash_assets(self) -> frozenset[str]:
        """What counts at face: the quote of the spot leg and the settle asset of the other."""
        futures = self.terms.futures.instrument
        return frozenset({self.terms.spot.instrument.quote, futures.settle or futures.quote})

    @property
    def fills(self) -> list[FillFact]:
        return [fact for fact in self.facts if isinstance(fact, FillFact)]


@dataclass(slots=True)
class _Found:
    """The first pass: facts as they stand, before it is known whose they are."""

    terms: HedgeTerms | None = None
    fills: dict[tuple[Leg, str], tuple[Sighting, Fill]] = field(default_factory=dict)
    payments: dict[str, PaymentFact] = field(default_factory=dict)
    externals: list[ExternalFact] = field(default_factory=list)
    marks: list[MarkFact] = field(default_factory=list)
    orders: dict[str, commands.PlaceOrder] = field(default_factory=dict)
    known_as: dict[tuple[Leg, str], str] = field(default_factory=dict)
    snapshots: list[SnapshotFact] = field(default_factory=list)
    rates: list[RateFact] = field(default_factory=list)
    first: Sighting | None = None
    last: Sighting | None = None
    ended: bool = False
    asked: str = ""
    """The measurement that is under way."""
    asked_seq: int = 0

    def is_of_another(self, terms: HedgeTerms) -> bool:
        """Return whether these are the rows of other instruments, or of other accounts."""
        if self.terms is None:
            return False
        legs = ((self.terms.spot, terms.spot), (self.terms.futures, terms.futures))
        return any(
            (then.instrument.venue, then.instrument.symbol)
            != (now.instrument.venue, now.instrument.symbol)
            or (then.account and then.account != now.account)
            for then, now in legs
        )

    def row(self, row: Row) -> None:
        here = Sighting(
            seq=row.seq,
            at=row.at,
            spot_mid=row.spot_mid,
            futures_mid=row.futures_mid,
        )
        before = self.last
        if self.first is None:
            self.first = here
        if before is not None and here.at // DAY != before.at // DAY:
            self.marks.append(MarkFact(sighting=before))
        self.last = here
        self._entry(here, row.entry)

    def _entry(self, here: Sighting, entry: object) -> None:
        match entry:
            case events.EngineStarted():
                self.terms = entry.terms
                self.ended, self.asked = False, ""
            case events.FillSeen():
                self._fill(here, entry.fill)
            case events.FundingPaid():
                self._payment(here, entry.payment)
            case events.LegAudited():
                for report in (*entry.found, *entry.open_orders):
                    self.known_as[entry.leg, report.venue_order_id] = report.client_order_id
                for fill in entry.fills:
                    self._fill(here, fill)
                for payment in entry.payments:
                    self._payment(here, payment)
                if entry.funding is not None:
                    self._rate(here, entry.funding)
            case events.OrderReported():
                report = entry.report
                self.known_as[entry.leg, report.venue_order_id] = report.client_order_id
            case events.FundingSeen():
                self._rate(here, entry.rate)
            case events.EquitySeen():
                asked_seq = self.asked_seq if entry.label == self.asked else 0
                self.snapshots.append(
                    SnapshotFact(sighting=here, equity=entry, asked_seq=asked_seq)
                )
                if asked_seq:
                    self.asked = ""
            case commands.ReadEquity():
                self.asked, self.asked_seq = entry.label, here.seq
            case commands.EndRun():
                self.ended = True
            case commands.PlaceOrder():
                self.orders[entry.order.client_order_id] = entry
            case commands.BookExternal():
                self.externals.append(
                    ExternalFact(
                        sighting=here,
                        leg=entry.leg,
                        quantity=entry.quantity,
                        reason=entry.reason,
                    )
                )
            case _:
                pass

    def _fill(self, here: Sighting, fill: Fill) -> None:
        key = (fill.leg, fill.key)
        known = self.fills.get(key)
        if known is None:
            self.fills[key] = (here, fill)
        elif not known[1].client_order_id and fill.client_order_id:
            # F22: the stream may not know yet whose order it was.
            named = msgspec.structs.replace(known[1], client_order_id=fill.client_order_id)
            self.fills[key] = (known[0], named)

    def _rate(self, here: Sighting, rate: FundingRate) -> None:
        if rate.usable:
            self.rates.append(RateFact(sighting=here, rate=rate))

    def _payment(self, here: Sighting, payment: FundingPayment) -> None:
        if payment.payment_id not in self.payments:
            self.payments[payment.payment_id] = PaymentFact(sighting=here, payment=payment)


def collect(rows: Iterable[Row]) -> Facts:
    """Read the rows once; raise `UsageError` where no engine has started yet.

    A name that was used again, for other instruments or on other accounts, is another hedge, with
    other money: what was before is not in it. Nothing is held when that happens (`continuity`).
    """
    found = _Found()
    for row in rows:
        if isinstance(row.entry, events.EngineStarted) and found.is_of_another(row.entry.terms):
            found = _Found()
        found.row(row)
    if found.terms is None or found.first is None or found.last is None:
        raise UsageError("nothing to report: the journal has no start of an engine yet")
    facts: list[AnyFact] = list(_fills(found, found.terms))
    facts.extend(found.externals)
    symbol = found.terms.futures.instrument.symbol
    facts.extend(fact for fact in found.payments.values() if fact.payment.symbol == symbol)
    facts.extend(found.marks)
    facts.sort(key=lambda fact: fact.sighting.seq)
    return Facts(
        terms=found.terms,
        facts=facts,
        snapshots=found.snapshots,
        rates=[fact for fact in found.rates if fact.rate.symbol == symbol],
        first=found.first,
        last=found.last,
        ended=found.ended,
        unanswered=bool(found.asked),
    )


def _fills(found: _Found, terms: HedgeTerms) -> Iterable[FillFact]:
    symbols = {
        Leg.SPOT: terms.spot.instrument.symbol,
        Leg.FUTURES: terms.futures.instrument.symbol,
    }
    ids = re.compile(re.escape(terms.prefix) + r"[0-9A-F]{4}[SF][0-9A-F]{6}")
    for (leg, _), (sighting, fill) in found.fills.items():
        if fill.symbol != symbols[leg]:
            continue
        name = fill.client_order_id or found.known_as.get((leg, fill.venue_order_id), "")
        order = found.orders.get(name)
        yield FillFact(
            sighting=sighting,
            fill=fill,
            ours=order is not None or ids.fullmatch(name) is not None,
            decided_mid=None if order is None else decided_mid(order),
        )


def decided_mid(order: commands.PlaceOrder) -> Decimal | None:
    """Return the mid that the decision looked at, exactly; None where it saw no book."""
    seen = order.observation
    if order.order.leg is Leg.SPOT:
        bid, ask = seen.spot_bid, seen.spot_ask
    else:
        bid, ask = seen.futures_bid, seen.futures_ask
    return (bid + ask) * Decimal("0.5") if bid > 0 and ask > 0 else None


def settled(fact: RateFact) -> bool:
    """Return whether this is the rate of a settlement that has happened."""
    return fact.rate.origin is RateOrigin.SETTLED
