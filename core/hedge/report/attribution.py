"""Where the money came from: the lines of one hedge against what the venues say it is worth.

Two things are computed, and they share no number.

**Equity**, from two snapshots V0 and V1 that the venues state (`EquitySeen`)::

    V = C + B m + sum(K k) + F n - N

with cash C (quote and settle, both accounts), all base coins B at the spot mid m, third coins K at
their rates k, the position F at the perpetual's mid n, and N its entry notional.

**The explained change**, from the facts between the two. Write B = S + R: S is the hedge's, R the
rest of the account's. A fill of signed quantity q at price p changes C - N by -q p (opening moves N
by q p; closing realises exactly what N gives up), and S (R for a stranger's spot fill, F on the
other leg) by q. A fee changes C, S, R or K by -f; a payment changes C by its cash. So::

    V1 - V0 = sum(-q p) + sum(cash) - sum(quote fees)
              + S1 m1 - S0 m0 + R1 m1 - R0 m0 + F1 n1 - F0 n0 + sum(K1 k1 - K0 k0)

S, R and F are step functions. Let the marks step with them: m0 and n0 at the opening, the mids of
the row at each fact, m1 and n1 at the close. Summing by parts (X1 m1 - X0 m0 = sum of X dm over the
stretches + sum of m_b dX over the steps), a step of q at the booked mid m_b leaves -q (p - m_b)
beside its cash, a base fee leaves -f m_b, coins that come or go leave q m_b, and between facts

    S dm + F dn = (S + F) dm + F (dn - dm)        drift, basis
    R dm                                          rest of the account

With the mid m_d that the decision looked at, -q (p - m_b) = -q (p - m_d) + q (m_b - m_d): the first
is slippage; the second is what the intended and not yet filled quantity gained or lost while the
order waited: drift. For a third coin K1 = K0 - sum f, so with its rate r at the fill::

    K1 k1 - K0 k0 = -sum(f r) + [K0 (k1 - k0) - sum(f (k1 - r))]     fees, rest of the account

Every term has its own source: no line is a remainder, and nothing is divided. R0 = B0 - S0 and F0
are read from the opening snapshot only; the closing one is used for V1 and its prices, never for a
quantity. If the facts are complete, the rest is exactly zero; leave one out, and it is that fact:
a payment its cash; a quote fee its amount; a fee in coins its quantity at the closing price; a fill
-q p + (q - base fee) x closing price - its other fees.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from hedge.decide.events import EquitySeen
from hedge.decide.rows import Row
from hedge.decide.terms import InventoryRule
from hedge.model import Balance, Leg
from hedge.model.numbers import ZERO
from hedge.report import when
from hedge.report.facts import (
    AnyFact,
    ExternalFact,
    Facts,
    FillFact,
    PaymentFact,
    SnapshotFact,
    collect,
)
from hedge.report.funding import Funding, funding
from hedge.report.ledger import External, Ledger, Lines, begin, exact, restarted

LIMIT = Decimal("0.50")
"""What may stay unexplained, in quote, before the report is degraded."""


class DayLines(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of one day (UTC), or of all that came after the last measurement."""

    day: str
    funding: Decimal
    basis: Decimal
    slippage: Decimal
    fees: Decimal
    drift: Decimal
    other: Decimal
    explained: Decimal


class CoinFees(msgspec.Struct, frozen=True, kw_only=True):
    """Fees in a third coin: the amount, and its value when each was paid."""

    asset: str
    amount: Decimal
    value: Decimal


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What stands to the right of the lines."""

    payments: int
    payments_negative: int
    fills: int
    slippage_bps: Decimal | None
    """Mean over all fills, positive = cost."""
    entry_basis_bps: Decimal | None
    exit_basis_bps: Decimal | None
    basis_bps: Decimal | None
    """At the closing marks."""
    fee_coins: tuple[CoinFees, ...]
    unhedged_worst_ms: int
    inventory: Decimal
    position: Decimal
    rest_base: Decimal
    externals: tuple[External, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One hedge between two measurements; money in ``quote``, times ns UTC, all of it exact."""

    name: str
    symbol: str
    spot_venue: str
    futures_venue: str
    quote: str
    begins_at: int
    ends_at: int
    funding: Decimal
    basis: Decimal
    slippage: Decimal
    fees: Decimal
    drift: Decimal
    other: Decimal
    explained: Decimal
    equity_start: Decimal | None
    equity_end: Decimal | None
    equity_change: Decimal | None
    unexplained: Decimal | None
    limit: Decimal
    status: str
    """ok, degraded (beyond the limit), incomplete (the last measurement failed), or unmeasured.

    Unless it is ok, ``why`` says what is amiss.
    """
    why: str
    details: Details
    funding_detail: Funding
    days: tuple[DayLines, ...]
    later: DayLines | None
    """What happened after the last measurement, and is not in the lines above."""
    alerts: tuple[str, ...]


def attribute(
    rows: Iterable[Row],
    since: int | None = None,
    until: int | None = None,
    limit: Decimal = LIMIT,
) -> Report:
    """Attribute the change of equity between the measurements nearest ``since`` and ``until``.

    Without two measurements the lines cover all rows asked for, and nothing is compared.
    """
    found = collect(rows)
    with exact():
        pair = choose(found.snapshots, since, until)
        if pair is None:
            return _unmeasured(found, since, until, limit)
        report = _measured(found, pair, limit)
        if until is None and found.ended:
            return _checked_to_the_end(report, found, pair[1])
        return report


def choose(
    snapshots: list[SnapshotFact], since: int | None, until: int | None
) -> tuple[SnapshotFact, SnapshotFact] | None:
    """Return the two measurements nearest the ends asked for; None where they are not two."""
    if not snapshots:
        return None

    def nearest(at: int) -> SnapshotFact:
        return min(snapshots, key=lambda one: abs(one.sighting.at - at))

    opening = snapshots[0] if since is None else nearest(since)
    closing = snapshots[-1] if until is None else nearest(until)
    return (opening, closing) if opening.sighting.seq < closing.sighting.seq else None


def before(fact: AnyFact, snapshot: SnapshotFact) -> bool:
    """Return whether a measurement already contains a fact.

    What was known when it was asked for, it contains. Of the rest the venue's time says it, where
    it has one: a fill can reach us after the balances that contain it.
    """
    equity = snapshot.equity
    if fact.sighting.seq < snapshot.asked_seq:
        return True
    if isinstance(fact, FillFact):
        read_at = equity.spot_at if fact.fill.leg is Leg.SPOT else equity.futures_at
        return fact.happened_at <= read_at
    if isinstance(fact, PaymentFact):
        return fact.payment.settled_at <= equity.futures_at
    return fact.sighting.seq < snapshot.sighting.seq


# -- equity: what the venues say -----------------------------------------------------------------


def _balances(equity: EquitySeen) -> tuple[Balance, ...]:
    return equity.spot if equity.shared else (*equity.spot, *equity.futures)


def _totals(equity: EquitySeen) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for balance in _balances(equity):
        totals[balance.asset] = totals.get(balance.asset, ZERO) + balance.total
    return totals


def _rates(found: Facts, here: SnapshotFact, there: SnapshotFact) -> dict[str, Decimal]:
    """Value third coins: as stated here, else by the nearest fee before, else after, else there."""
    rates: dict[str, Decimal] = {
        one.asset: one.rate_quote for one in _balances(there.equity) if one.rate_quote is not None
    }
    known = [one for one in found.fills if one.fill.fee_rate_quote is not None]
    earlier = [one for one in known if before(one, here)]
    later = [one for one in reversed(known) if not before(one, here)]
    for one in (*later, *earlier):
        assert one.fill.fee_rate_quote is not None
        rates[one.fill.fee_asset] = one.fill.fee_rate_quote
    for balance in _balances(here.equity):
        if balance.rate_quote is not None:
            rates[balance.asset] = balance.rate_quote
    own = found.cash_assets | {found.terms.spot.instrument.base}
    return {asset: rate for asset, rate in rates.items() if asset not in own}


def equity(found: Facts, snapshot: SnapshotFact, rates: dict[str, Decimal]) -> Decimal:
    """Return what both accounts are worth by the venues' own words; no fact of ours is used."""
    seen = snapshot.equity
    value = seen.position.quantity * seen.futures_mid - seen.position.entry_notional
    for asset, total in _totals(seen).items():
        if asset in found.cash_assets:
            value += total
        elif asset == found.terms.spot.instrument.base:
            value += total * seen.spot_mid
        else:
            value += total * rates.get(asset, ZERO)
    return value


# -- the two kinds of report ---------------------------------------------------------------------


def _open(found: Facts, opening: SnapshotFact) -> Ledger:
    """Return the ledger as the opening measurement finds it."""
    past = begin(found)
    for fact in found.facts:
        if before(fact, opening):
            past.apply(fact)
    ledger = restarted(past)
    seen = opening.equity
    base = found.terms.spot.instrument.base
    if found.terms.inventory is InventoryRule.ACCOUNT:
        coins = sum((one.total for one in seen.spot if one.asset == base), ZERO)
        ledger.ahead[Leg.SPOT] = coins - ledger.inventory
        ledger.inventory = coins
    ledger.ahead[Leg.FUTURES] = seen.position.quantity - ledger.position
    ledger.position = seen.position.quantity
    ledger.rest = _totals(seen).get(base, ZERO) - ledger.inventory
    ledger.spot_mid, ledger.futures_mid = seen.spot_mid, seen.futures_mid
    if ledger.unhedged_since is not None:
        ledger.unhedged_since = opening.sighting.at
    return ledger


def _measured(found: Facts, pair: tuple[SnapshotFact, SnapshotFact], limit: Decimal) -> Report:
    opening, closing = pair
    ledger = _open(found, opening)
    held = ledger.position
    inside = [one for one in found.facts if not before(one, opening) and before(one, closing)]
    for fact in inside:
        ledger.apply(fact)
    ends = closing.sighting.at
    lines = ledger.mark(ends, closing.equity.spot_mid, closing.equity.futures_mid)
    first, last = _rates(found, opening, closing), _rates(found, closing, opening)
    stocks = _totals(opening.equity)
    for asset in {*ledger.coins, *first, *last}:
        start = first.get(asset, ZERO)
        end = last.get(asset, start)
        lines.other += stocks.get(asset, ZERO) * (end - start)
        coin = ledger.coins.get(asset)
        if coin is not None:
            lines.other += coin.flow * end - coin.worth
    start, end = equity(found, opening, first), equity(found, closing, last)
    total = ledger.total()
    unexplained = end - start - total.explained
    detail = funding(
        found,
        [one for one in inside if isinstance(one, PaymentFact)],
        opening.equity.futures_at,
        closing.equity.futures_at,
        held,
    )
    return _report(
        found,
        ledger,
        (opening.sighting.at, ends),
        detail,
        equities=(start, end),
        limit=limit,
        why="" if abs(unexplained) <= limit else f"beyond the limit of {limit:f}",
        later=_later(found, ledger, closing),
    )


def _checked_to_the_end(report: Report, found: Facts, closing: SnapshotFact) -> Report:
    """Say so where the last measurement of an engine that has ended is not its end."""
    facts = (FillFact, PaymentFact, ExternalFact)
    missed = [one for one in found.facts if isinstance(one, facts) and not before(one, closing)]
    if not missed and not found.unanswered:
        return report
    why = (
        "the accounts could not be measured at the end: what came after"
        f" {when.when(closing.sighting.at)} UTC is not compared"
        f" ({len(missed)} change{'' if len(missed) == 1 else 's'} in the journal)"
    )
    degraded = report.status == "degraded"
    return msgspec.structs.replace(
        report,
        status=report.status if degraded else "incomplete",
        why=f"{report.why}; {why}" if degraded else why,
        alerts=(*report.alerts, why),
    )


def _later(found: Facts, ledger: Ledger, closing: SnapshotFact) -> DayLines | None:
    """Return the lines from the last measurement to the last row, still without a check."""
    rest = [one for one in found.facts if not before(one, closing)]
    if not rest and found.last.spot_mid in {None, ledger.spot_mid}:
        return None
    after = restarted(ledger)
    for fact in rest:
        after.apply(fact)
    after.mark(found.last.at, found.last.spot_mid, found.last.futures_mid)
    return _day("later", after.total())


def _unmeasured(found: Facts, since: int | None, until: int | None, limit: Decimal) -> Report:
    begins = found.first.at if since is None else since
    ends = found.last.at if until is None else until
    ledger = begin(found)
    for fact in found.facts:
        if fact.sighting.at < begins:
            ledger.apply(fact)
    ledger = restarted(ledger)
    held = ledger.position
    inside = [one for one in found.facts if begins <= one.sighting.at <= ends]
    for fact in inside:
        ledger.apply(fact)
    if found.last.at <= ends:
        ledger.mark(found.last.at, found.last.spot_mid, found.last.futures_mid)
    paid = [one for one in inside if isinstance(one, PaymentFact)]
    count = len(found.snapshots)
    return _report(
        found,
        ledger,
        (begins, ends),
        funding(found, paid, begins - 1, ends, held),
        equities=None,
        limit=limit,
        why=(
            f"{count} measurement{'' if count == 1 else 's'} of both accounts in the journal:"
            " two are needed to compare"
            if count < 2  # noqa: PLR2004 - a beginning and an end
            else "no two measurements of both accounts lie in this stretch"
        ),
        later=None,
    )


def _report(
    found: Facts,
    ledger: Ledger,
    ends: tuple[int, int],
    detail: Funding,
    *,
    equities: tuple[Decimal, Decimal] | None,
    limit: Decimal,
    why: str,
    later: DayLines | None,
) -> Report:
    terms, total = found.terms, ledger.total()
    change = None if equities is None else equities[1] - equities[0]
    unexplained = None if change is None else change - total.explained
    status = "unmeasured"
    if unexplained is not None:
        status = "ok" if abs(unexplained) <= limit else "degraded"
    if ledger.unhedged_since is not None:
        ledger.tally.unhedged_ns = max(ledger.tally.unhedged_ns, ends[1] - ledger.unhedged_since)
    unvalued = [
        f"{asset} has no rate anywhere in the journal: fees paid in it count as zero"
        for asset in sorted(ledger.tally.unvalued)
    ]
    return Report(
        name=terms.name,
        symbol=terms.spot.instrument.symbol,
        spot_venue=terms.spot.instrument.venue,
        futures_venue=terms.futures.instrument.venue,
        quote=terms.spot.instrument.quote,
        begins_at=ends[0],
        ends_at=ends[1],
        funding=total.funding,
        basis=total.basis,
        slippage=total.slippage,
        fees=total.fees,
        drift=total.drift,
        other=total.other,
        explained=total.explained,
        equity_start=None if equities is None else equities[0],
        equity_end=None if equities is None else equities[1],
        equity_change=change,
        unexplained=unexplained,
        limit=limit,
        status=status,
        why=why,
        details=_details(ledger, total),
        funding_detail=detail,
        days=tuple(_day(when.day(number), lines) for number, lines in sorted(ledger.days.items())),
        later=later,
        alerts=(*detail.alerts, *unvalued),
    )


def _details(ledger: Ledger, total: Lines) -> Details:
    tally = ledger.tally
    return Details(
        payments=tally.payments,
        payments_negative=tally.negative,
        fills=tally.fills,
        slippage_bps=_bps(-total.slippage, tally.decided_notional),
        entry_basis_bps=_bps(tally.entry_futures - tally.entry_spot, tally.entry_spot),
        exit_basis_bps=_bps(tally.exit_futures - tally.exit_spot, tally.exit_spot),
        basis_bps=_bps(
            (ledger.futures_mid or ZERO) - (ledger.spot_mid or ZERO), ledger.spot_mid or ZERO
        ),
        fee_coins=tuple(
            CoinFees(asset=asset, amount=-coin.flow, value=-coin.worth)
            for asset, coin in sorted(ledger.coins.items())
        ),
        unhedged_worst_ms=tally.unhedged_ns // 1_000_000,
        inventory=ledger.inventory,
        position=ledger.position,
        rest_base=ledger.rest,
        externals=tuple(tally.externals),
    )


def _bps(part: Decimal, whole: Decimal) -> Decimal | None:
    """Return a ratio in basis points to four digits; for people, no line is made of it."""
    if not whole:
        return None
    return (part * 10_000 / whole).quantize(Decimal("0.0001"))


def _day(name: str, lines: Lines) -> DayLines:
    return DayLines(
        day=name,
        funding=lines.funding,
        basis=lines.basis,
        slippage=lines.slippage,
        fees=lines.fees,
        drift=lines.drift,
        other=lines.other,
        explained=lines.explained,
    )
