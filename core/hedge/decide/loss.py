"""What the hedge is worth at the mids, and what it has lost within a day: looked at twice."""

from decimal import Decimal
from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide.books import Books
from hedge.decide.rows import Row
from hedge.decide.terms import millis
from hedge.model import LEGS, Leg
from hedge.model.numbers import DAY, HOUR, MINUTE, SECOND, ZERO

if TYPE_CHECKING:
    from hedge.decide.engine import Engine

APART = 5 * SECOND
"""Two looks at a loss lie at least so far apart, and both legs were heard in between."""


def remember(engine: "Engine", row: Row) -> None:
    """Take a row of the journal for what was looked at then: the day's loss outlives a process."""
    entry, notes = row.entry, engine.volatile.losses
    if isinstance(entry, c.SetTrip) and entry.reason == "LOSS" and not entry.level:
        notes.samples.clear()
    if row.spot_mid is None or row.futures_mid is None or "DATA_AGE" in engine.books.trips:
        return
    samples = notes.samples
    if (
        not samples
        or notes.unsure
        or row.at - samples[-1][0] >= HOUR
        or _came(engine.books) != notes.came
    ):
        worth = _worth(engine.books, row.spot_mid, row.futures_mid)
        _sample(engine, row.at, worth, heard_at=row.at)


def due(engine: "Engine") -> bool:
    """Return whether a look is due: with each audit, and again where a loss was seen."""
    again_at = engine.volatile.losses.again_at
    if engine.volatile.audit_just_in or 0 < again_at <= engine.now:
        return True
    if again_at:
        engine.due(again_at)
    return False


def look(engine: "Engine", concern: Decimal) -> Decimal:
    """Return the smaller loss of the last two looks, or 0 where a look cannot be taken now.

    Two mids of different moments show a loss that nobody made (ADR 0019). So nothing is reckoned
    with an old price, which freezes by itself (DATA_AGE), and a loss above ``concern`` counts when
    it is seen again `APART`.
    """
    notes, now = engine.volatile.losses, engine.now
    lost = _lost(engine)
    if lost is None:
        notes.again_at = 0
        return ZERO
    grown = lost > max(notes.seen, concern)
    earliest = notes.seen_at + APART
    if now < earliest or min(engine.market.market_heard_at.values()) <= notes.seen_at:
        if grown or notes.again_at:
            notes.again_at = max(earliest, now + SECOND)
            engine.due(notes.again_at)
        return ZERO
    before, notes.seen, notes.seen_at = notes.seen, lost, now
    notes.again_at = now + APART if grown else 0
    if grown:
        engine.due(notes.again_at)
    return min(lost, before)


def _lost(engine: "Engine") -> Decimal | None:
    """Return how much less we are worth than at the best hour of a day; None with old prices."""
    market, samples = engine.market, engine.volatile.losses.samples
    spot, futures = market.mid(Leg.SPOT), market.mid(Leg.FUTURES)
    stale = millis(engine.terms.limits.feed_stale_ms)
    if spot is None or futures is None:
        return None
    if max(market.age(leg, engine.now) for leg in LEGS) > stale:
        return None
    worth = _worth(engine.books, spot, futures)
    _sample(engine, engine.now, worth, heard_at=min(market.market_heard_at.values()))
    return max(sample for _, sample in samples) - worth


def _worth(books: Books, spot: Decimal, futures: Decimal) -> Decimal:
    """Return the profit of both legs marked to mid, fees and funding in."""
    cash = books.spot.cash + books.futures.cash + books.funding_cash
    for book, mid in ((books.spot, spot), (books.futures, futures)):
        cash -= sum((record.owed_cost(mid) for record in book.owed.values()), ZERO)
    return cash + books.spot.held * spot + books.futures.held * futures


def _came(books: Books) -> tuple[Decimal, Decimal]:
    """Return what came, or went, that no trade of ours paid for."""
    return books.spot.external, books.futures.external


def _sample(engine: "Engine", at: int, worth: Decimal, *, heard_at: int) -> None:
    """Keep a profit of each hour of the last day; begin anew when coins came or went.

    It is the smaller of the hour's first two looks: a gain that nobody made would stand there as
    a loss for a day. One that lies too far behind the first says nothing of it.
    """
    notes = engine.volatile.losses
    samples, came = notes.samples, _came(engine.books)
    if came != notes.came:
        notes.came = came
        samples.clear()
    if not samples or at - samples[-1][0] >= HOUR:
        samples.append((at, worth))
        notes.unsure = True
        while at - samples[0][0] > DAY:
            samples.pop(0)
        return
    first, before = samples[-1]
    if notes.unsure and at >= first + APART and heard_at > first:
        notes.unsure = False
        if at <= first + MINUTE:
            samples[-1] = first, min(before, worth)
