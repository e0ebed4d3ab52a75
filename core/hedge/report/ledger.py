"""Positions, cash flows and the lines of the report: one fold over the facts of a journal.

The ledger holds step functions: S (coins of the hedge on the spot leg), F (position), R (base coins
in the accounts that are not the hedge's) and the third coins that paid fees. Every fact first moves
the marks to the mids of its row, which books what S, F and R gained since the last fact; then it
changes them. Nothing is divided on the way, so with enough digits every line is exact.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal, localcontext

import msgspec

from hedge.decide.rows import Row
from hedge.decide.terms import HedgeTerms, InventoryRule
from hedge.model import Fill, Leg
from hedge.model.numbers import BPS, DAY, ZERO
from hedge.report.facts import (
    AnyFact,
    ExternalFact,
    Facts,
    FillFact,
    MarkFact,
    PaymentFact,
    Sighting,
    collect,
)

ADOPTED = "ADOPTED"
"""The reason of an external change that only changes the owner."""
EXACT = Context(prec=400)
"""Enough digits for every product and sum of the identity; only averages are rounded."""


@contextmanager
def exact() -> Iterator[None]:
    """Compute with `EXACT` digits."""
    with localcontext(EXACT):
        yield


@dataclass(slots=True)
class Lines:
    """The lines of the report, each from its own source."""

    funding: Decimal = ZERO
    basis: Decimal = ZERO
    slippage: Decimal = ZERO
    fees: Decimal = ZERO
    drift: Decimal = ZERO
    other: Decimal = ZERO

    @property
    def explained(self) -> Decimal:
        return self.funding + self.basis + self.slippage + self.fees + self.drift + self.other


@dataclass(slots=True)
class Coin:
    """A third coin: what flowed by our facts, and what that was worth when it did."""

    flow: Decimal = ZERO
    worth: Decimal = ZERO
    rate: Decimal | None = None


class External(msgspec.Struct, frozen=True, kw_only=True):
    """One change that was not the hedge's doing, and what it did to the account at once."""

    seq: int
    at: int
    leg: str
    quantity: Decimal
    value: Decimal
    reason: str


@dataclass(slots=True)
class Tally:
    """What is counted beside the money."""

    fills: int = 0
    decided_notional: Decimal = ZERO
    entry_spot: Decimal = ZERO
    entry_futures: Decimal = ZERO
    exit_spot: Decimal = ZERO
    exit_futures: Decimal = ZERO
    payments: int = 0
    negative: int = 0
    unhedged_ns: int = 0
    externals: list[External] = field(default_factory=list)
    unvalued: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Ledger:
    """The books, the marks, and the lines by day (number of days since 1970)."""

    terms: HedgeTerms
    cash_assets: frozenset[str]
    inventory: Decimal = ZERO
    position: Decimal = ZERO
    rest: Decimal = ZERO
    ahead: dict[Leg, Decimal] = field(default_factory=dict)
    """What the opening measurement already holds and the books will only learn later."""
    cash: Decimal = ZERO
    """What the facts brought to, or took from, the cash of both accounts."""
    spot_mid: Decimal | None = None
    futures_mid: Decimal | None = None
    coins: dict[str, Coin] = field(default_factory=dict)
    days: dict[int, Lines] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    unhedged_since: int | None = None

    @property
    def managed(self) -> bool:
        return self.terms.inventory is InventoryRule.MANAGED

    def total(self) -> Lines:
        """Return the lines over all days."""
        total = Lines()
        for lines in self.days.values():
            for name in ("funding", "basis", "slippage", "fees", "drift", "other"):
                setattr(total, name, getattr(total, name) + getattr(lines, name))
        return total

    def apply(self, fact: AnyFact) -> None:
        """Move the marks to the row of ``fact``, then let it change the books."""
        seen = fact.sighting
        lines = self.mark(seen.at, seen.spot_mid, seen.futures_mid)
        match fact:
            case FillFact():
                self._fill(fact, lines)
            case PaymentFact():
                self.tally.payments += 1
                self.tally.negative += fact.payment.cash < 0
                worth = self._flow(fact.payment.asset, fact.payment.cash, None, ours=False)
                lines.funding += worth
            case ExternalFact():
                self._external(fact, lines)
            case MarkFact():
                pass
        self._watch(seen)

    def mark(self, at: int, spot_mid: Decimal | None, futures_mid: Decimal | None) -> Lines:
        """Book what the move to these mids did to S, F and R; return the lines of that day.

        S x dm + F x dn = (S + F) x dm + F x (dn - dm): the unhedged part moves with the coin, the
        hedged part with the basis.
        """
        lines = self.days.setdefault(at // DAY, Lines())
        spot_move = futures_move = ZERO
        if spot_mid is not None:
            spot_move = spot_mid - (spot_mid if self.spot_mid is None else self.spot_mid)
            self.spot_mid = spot_mid
        if futures_mid is not None:
            before = futures_mid if self.futures_mid is None else self.futures_mid
            futures_move = futures_mid - before
            self.futures_mid = futures_mid
        lines.drift += (self.inventory + self.position) * spot_move
        lines.basis += self.position * (futures_move - spot_move)
        lines.other += self.rest * spot_move
        return lines

    def _mid(self, leg: Leg, fallback: Decimal) -> Decimal:
        """Return the booked mid of a leg; before the first quote, what the fact itself says."""
        if leg is Leg.SPOT:
            if self.spot_mid is None:
                self.spot_mid = fallback
            return self.spot_mid
        if self.futures_mid is None:
            self.futures_mid = fallback
        return self.futures_mid

    def _fill(self, fact: FillFact, lines: Lines) -> None:
        fill = fact.fill
        mid = self._mid(fill.leg, fill.price)
        quantity = fill.signed_quantity
        self.cash -= quantity * fill.price
        if fact.ours:
            decided = mid if fact.decided_mid is None else fact.decided_mid
            lines.slippage -= quantity * (fill.price - decided)
            lines.drift += quantity * (mid - decided)
            self._count(fill, decided)
        else:
            value = -quantity * (fill.price - mid)
            lines.other += value
            self._note(fact.sighting, fill.leg, quantity, value, fill.kind.value)
        hedges = fact.ours or fill.leg is Leg.FUTURES or not self.managed
        if fill.leg is Leg.FUTURES:
            self.position += quantity
        elif hedges:
            self.inventory += quantity
        else:
            self.rest += quantity
        asset = fill.fee_asset or self.terms.spot.instrument.quote
        owns = hedges and fill.leg is Leg.SPOT
        worth = self._flow(asset, -fill.fee, fill.fee_rate_quote, ours=owns)
        if hedges:
            lines.fees += worth
        else:
            lines.other += worth

    def _flow(self, asset: str, amount: Decimal, rate: Decimal | None, *, ours: bool) -> Decimal:
        """Let an amount of an asset come (or go), and return what it is worth now, in quote."""
        if asset in self.cash_assets:
            self.cash += amount
            return amount
        if asset == self.terms.spot.instrument.base:
            if ours:
                self.inventory += amount
            else:
                self.rest += amount
            return amount * self._mid(Leg.SPOT, self.futures_mid or ZERO)
        if not amount:
            return ZERO
        coin = self.coins.setdefault(asset, Coin())
        if rate is not None:
            coin.rate = rate
        if coin.rate is None:
            self.tally.unvalued.add(asset)
        worth = amount * (coin.rate or ZERO)
        coin.flow += amount
        coin.worth += worth
        return worth

    def _external(self, fact: ExternalFact, lines: Lines) -> None:
        """Book what neither an order nor a fill explains.

        On the futures leg it counts as if traded at the booked mid. On the spot leg coins came or
        went without cash; but what a managed hedge gains was in the account before (adopted), and
        what a stranger sold beyond the rest of the account was the hedge's: only the owner changes.
        """
        known = shared(fact.quantity, self.ahead.get(fact.leg, ZERO))
        self.ahead[fact.leg] = self.ahead.get(fact.leg, ZERO) - known
        came, value = fact.quantity - known, ZERO
        if fact.leg is Leg.FUTURES:
            self.cash -= came * (self.futures_mid or ZERO)
            self.position += came
        else:
            if came > 0:
                moved = came if self.managed or fact.reason == ADOPTED else ZERO
            else:
                moved = max(came, min(ZERO, self.rest))
            self.inventory += came
            self.rest -= moved
            value = (came - moved) * (self.spot_mid or ZERO)
        lines.other += value
        self._note(fact.sighting, fact.leg, fact.quantity, value, fact.reason)

    def _note(
        self, seen: Sighting, leg: Leg, quantity: Decimal, value: Decimal, reason: str
    ) -> None:
        self.tally.externals.append(
            External(
                seq=seen.seq,
                at=seen.at,
                leg=leg.value,
                quantity=quantity,
                value=value,
                reason=reason,
            )
        )

    def _count(self, fill: Fill, decided: Decimal) -> None:
        tally = self.tally
        tally.fills += 1
        tally.decided_notional += fill.quantity * decided
        if fill.leg is Leg.FUTURES or self.spot_mid is None or self.futures_mid is None:
            return
        spot, futures = fill.quantity * self.spot_mid, fill.quantity * self.futures_mid
        if fill.signed_quantity > 0:
            tally.entry_spot += spot
            tally.entry_futures += futures
        else:
            tally.exit_spot += spot
            tally.exit_futures += futures

    def _watch(self, seen: Sighting) -> None:
        """Time how long the delta stays beyond the tolerance."""
        delta = self.inventory * self.terms.hedge_ratio + self.position
        tolerance = max(
            self.terms.limits.tolerance_bps * BPS * self.inventory,
            self.terms.futures.instrument.lot,
        )
        if self.unhedged_since is not None:
            self.tally.unhedged_ns = max(self.tally.unhedged_ns, seen.at - self.unhedged_since)
        if abs(delta) < tolerance:
            self.unhedged_since = None
        elif self.unhedged_since is None:
            self.unhedged_since = seen.at


def shared(one: Decimal, other: Decimal) -> Decimal:
    """Return the part that two signed quantities have in common; zero where the signs differ."""
    if one > 0 and other > 0:
        return min(one, other)
    if one < 0 and other < 0:
        return max(one, other)
    return ZERO


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal alone says of one hedge, from its first row to its last."""

    inventory: Decimal
    position: Decimal
    cash: Decimal
    funding: Decimal
    fees: Decimal
    fills: int
    payments: int
    coins: dict[str, Decimal]
    """Third coins that came or went, by asset."""


def fold(rows: Iterable[Row]) -> Books:
    """Return the books after all ``rows``; raise `UsageError` where no engine has started."""
    found = collect(rows)
    with exact():
        ledger = begin(found)
        for fact in found.facts:
            ledger.apply(fact)
        lines = ledger.total()
    return Books(
        inventory=ledger.inventory,
        position=ledger.position,
        cash=ledger.cash,
        funding=lines.funding,
        fees=lines.fees,
        fills=ledger.tally.fills,
        payments=ledger.tally.payments,
        coins={asset: coin.flow for asset, coin in ledger.coins.items()},
    )


def begin(found: Facts) -> Ledger:
    """Return the ledger before the first fact."""
    return Ledger(terms=found.terms, cash_assets=found.cash_assets)


def restarted(ledger: Ledger) -> Ledger:
    """Return a ledger with the same books and marks, and nothing in its lines yet."""
    return replace(ledger, cash=ZERO, coins={}, days={}, tally=Tally(), ahead=dict(ledger.ahead))
