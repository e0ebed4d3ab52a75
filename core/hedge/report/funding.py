"""Funding, payment by payment: what was predicted, what was settled, what came, and what did not.

A settlement with a position and no payment is missing; a payment booked long after its settlement
is late; a change of the interval between two settlements is said. All three are alerts. That a
settlement has been is known from its settled rate, or from the last live estimate before it: a
journal need not hold both.
"""

from bisect import bisect_left
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise, zip_longest

import msgspec

from hedge.model import FundingRate, Leg, RateOrigin
from hedge.model.numbers import MINUTE, SECOND, ZERO
from hedge.report.facts import ExternalFact, Facts, FillFact, PaymentFact, RateFact, settled
from hedge.report.when import when

SAME_SETTLEMENT = 60 * SECOND
"""Venues stamp a settlement and its payment some milliseconds apart."""
LATE_AFTER = 10 * MINUTE
FOUND_AT_START = "FOUND_AT_START"


class PaymentLine(msgspec.Struct, frozen=True, kw_only=True):
    """One payment; ``predicted_rate`` is the last estimate for it, ``expected`` rate x notional."""

    settled_at: int
    booked_at: int
    interval_s: int
    quantity: Decimal
    predicted_rate: Decimal | None
    settled_rate: Decimal
    expected: Decimal | None
    cash: Decimal
    asset: str


class Funding(msgspec.Struct, frozen=True, kw_only=True):
    """All payments of a window and what the rates promised for them, in quote."""

    payments: tuple[PaymentLine, ...]
    entry_rate: Decimal | None
    entry_interval_s: int | None
    predicted: Decimal | None
    """What the rate known at the entry would have paid on the same positions."""
    expected: Decimal | None
    """What the settled rates paid on them, at the mids of the booking."""
    received: Decimal
    alerts: tuple[str, ...]


class _Due(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement that has been; ``rate`` is as settled, or the last estimate of it."""

    at: int
    rate: Decimal
    estimated: bool


def funding(
    found: Facts, payments: list[PaymentFact], begins_at: int, ends_at: int, position: Decimal
) -> Funding:
    """Match payments, estimates and settlements with ``begins_at < settled_at <= ends_at``.

    ``position`` is the one held at ``begins_at``.
    """
    ordered = sorted(payments, key=lambda fact: fact.payment.settled_at)
    lines = tuple(_line(found, fact) for fact in ordered)
    entry = _entry_rate(found, begins_at, ends_at)
    predicted = None
    if entry is not None:
        per_second = entry.rate / entry.interval_s
        predicted = ZERO
        for fact in ordered:
            mid = fact.sighting.futures_mid or ZERO
            predicted -= fact.payment.quantity * mid * per_second * fact.payment.interval_s
    known = [line.expected for line in lines if line.expected is not None]
    held = _held(found, begins_at, position)
    settlements = [
        fact
        for fact in found.rates
        if settled(fact) and begins_at < fact.rate.observed_at <= ends_at
    ]
    return Funding(
        payments=lines,
        entry_rate=None if entry is None else entry.rate,
        entry_interval_s=None if entry is None else entry.interval_s,
        predicted=predicted,
        expected=sum(known, ZERO) if known else None,
        received=sum((line.cash for line in lines), ZERO),
        alerts=(
            *_missing(found, _due(found, settlements, begins_at, ends_at), held),
            *_late(lines),
            *_intervals(lines, settlements),
        ),
    )


def _line(found: Facts, fact: PaymentFact) -> PaymentLine:
    payment = fact.payment
    estimate = None
    until = bisect_left(found.rates, fact.sighting.seq, key=lambda one: one.sighting.seq)
    for known in reversed(found.rates[:until]):
        rate = known.rate
        if rate.observed_at < payment.settled_at:
            if abs(rate.next_at - payment.settled_at) <= SAME_SETTLEMENT:
                estimate = rate.rate
            break
    mid = fact.sighting.futures_mid
    return PaymentLine(
        settled_at=payment.settled_at,
        booked_at=fact.sighting.at,
        interval_s=payment.interval_s,
        quantity=payment.quantity,
        predicted_rate=estimate,
        settled_rate=payment.rate,
        expected=None if mid is None else -payment.quantity * payment.rate * mid,
        cash=payment.cash,
        asset=payment.asset,
    )


def _entry_rate(found: Facts, begins_at: int, ends_at: int) -> FundingRate | None:
    """Return the last rate seen before the first coin of the window was bought."""
    bought = [
        fact.sighting.seq
        for fact in found.fills
        if fact.ours
        and fact.fill.leg is Leg.SPOT
        and fact.fill.signed_quantity > 0
        and begins_at < fact.happened_at <= ends_at
    ]
    if not bought:
        return None
    first = min(bought)
    known = [fact.rate for fact in found.rates if fact.sighting.seq < first]
    return known[-1] if known else None


def _held(found: Facts, begins_at: int, position: Decimal) -> Callable[[int], Decimal]:
    """Return the position as a function of time."""
    changes: list[tuple[int, Decimal]] = []
    for fact in found.facts:
        if isinstance(fact, FillFact) and fact.fill.leg is Leg.FUTURES:
            changes.append((fact.happened_at, fact.fill.signed_quantity))
        elif isinstance(fact, ExternalFact) and fact.leg is Leg.FUTURES:
            if fact.reason == FOUND_AT_START and position:
                continue  # the measurement at ``begins_at`` holds it already
            changes.append((fact.sighting.at, fact.quantity))

    def at(moment: int) -> Decimal:
        return position + sum((by for one, by in changes if begins_at < one <= moment), ZERO)

    return at


def _due(found: Facts, settlements: list[RateFact], begins_at: int, ends_at: int) -> list[_Due]:
    """Return the settlements of a window in their order, each once."""
    due = [
        _Due(at=fact.rate.observed_at, rate=fact.rate.rate, estimated=False) for fact in settlements
    ]
    known = [one.at for one in due]
    for rate in _last_estimates(found):
        at = rate.next_at
        if begins_at < at <= ends_at and not any(abs(at - one) <= SAME_SETTLEMENT for one in known):
            due.append(_Due(at=at, rate=rate.rate, estimated=True))
    return sorted(due, key=lambda one: one.at)


def _last_estimates(found: Facts) -> list[FundingRate]:
    """Return the last estimate of each settlement, unless the venue then moved the settlement."""
    live = sorted(
        (
            fact.rate
            for fact in found.rates
            if fact.rate.origin is RateOrigin.LIVE and fact.rate.observed_at < fact.rate.next_at
        ),
        key=lambda rate: rate.observed_at,
    )
    return [
        rate
        for rate, later in zip_longest(live, live[1:])
        if later is None
        or (later.observed_at > rate.next_at - SAME_SETTLEMENT and later.next_at > rate.next_at)
    ]


def _missing(found: Facts, due: list[_Due], held: Callable[[int], Decimal]) -> list[str]:
    paid = [fact.payment.settled_at for fact in found.facts if isinstance(fact, PaymentFact)]
    alerts, seen = [], -SAME_SETTLEMENT - 1
    for one in due:
        at = one.at
        if at - seen <= SAME_SETTLEMENT or at + LATE_AFTER > found.last.at:
            continue
        seen = at
        quantity = held(at - SAME_SETTLEMENT)
        owed = quantity and held(at + SAME_SETTLEMENT) and one.rate
        if owed and not any(abs(at - other) <= SAME_SETTLEMENT for other in paid):
            alerts.append(
                f"funding missing: settlement {when(at)} {'estimated ' * one.estimated}at"
                f" {one.rate:f} with a position of {quantity:f} brought no payment"
            )
    return alerts


def _late(lines: tuple[PaymentLine, ...]) -> list[str]:
    return [
        f"funding late: {line.cash:f} {line.asset} of {when(line.settled_at)}"
        f" was booked {(line.booked_at - line.settled_at) // SECOND} s after it"
        for line in lines
        if line.booked_at - line.settled_at > LATE_AFTER
    ]


def _intervals(lines: tuple[PaymentLine, ...], settlements: list[RateFact]) -> list[str]:
    seen = sorted(
        {(line.settled_at, line.interval_s) for line in lines}
        | {(fact.rate.observed_at, fact.rate.interval_s) for fact in settlements}
    )
    return [
        f"funding interval changed from {_hours(before)} to {_hours(after)} at {when(at)}"
        for (_, before), (at, after) in pairwise(seen)
        if before != after and before > 0 and after > 0
    ]


def _hours(interval_s: int) -> str:
    return f"{interval_s // 3600} h" if interval_s % 3600 == 0 else f"{interval_s} s"
