"""Finding out how things stand: ids, reads, burials and witnesses; the same at start and always.

There is no separate recovery: a start, a reconnect and the periodic audit all come through here.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.leg_book import LegBook, OrderRecord
from hedge.decide.mode import Mode, Trip
from hedge.decide.orders import OrderStatus
from hedge.decide.terms import InventoryRule, millis, seconds
from hedge.decide.volatile import LegNotes, Witness
from hedge.model import Leg, Side
from hedge.model.numbers import HOUR, MINUTE, MS, SECOND, ZERO, plain

if TYPE_CHECKING:
    from hedge.decide.engine import Engine

LEASE_MIN = 16
LEASE_SECONDS = 2
AUDIT_LOST_AFTER = 60 * SECOND
AUDIT_APART = SECOND
DIFFERS_ALARM = 10 * SECOND
ASK_IDS_MAX = 64
FILLS_OVERLAP = MINUTE
OWED_HURRY = MINUTE
OWED_KEPT = HOUR
"""For how long each read looks for the fills that an ended order still owes."""
PAYMENTS_OVERLAP = 2 * HOUR


def decide(engine: "Engine") -> None:
    for book in engine.leg_books():
        notes = engine.volatile.legs[book.leg]
        lease(engine, book)
        _bury(engine, book, notes)
        _witness(engine, book, notes)
        _tell_difference(engine, book, notes)
        _audit(engine, book, notes)
    if not engine.volatile.recovered:
        engine.volatile.recovered = _settled(engine)


def _settled(engine: "Engine") -> bool:
    """Return whether both legs are read, agree with the books, and nothing is in doubt."""
    notes = engine.volatile.legs
    return (
        engine.legs_known
        and not engine.books.in_doubt
        and notes[Leg.SPOT].agreed
        and notes[Leg.FUTURES].agreed
    )


def lease_size(engine: "Engine") -> int:
    rate = engine.terms.limits.hedge_orders_per_second
    return max(LEASE_MIN, LEASE_SECONDS * rate)


def lease(engine: "Engine", book: LegBook) -> None:
    """Renew the block of ids in the background, when half of it is used (R3).

    A mode that is not on disk yet wants a sync, and so one id more (ADR 0018).
    """
    size = lease_size(engine)
    used = book.leased_to - book.sequence <= size // 2
    awaited = book.leased_to <= book.lease_awaited
    if book.epoch == 0 or book.lease_wished_to > book.leased_to or not (used or awaited):
        return
    first = book.leased_to + 1
    last = book.leased_to + (size if used else 1)
    engine.issue(c.LeaseIds(leg=book.leg, epoch=book.epoch, first=first, last=last))


def _bury(engine: "Engine", book: LegBook, notes: LegNotes) -> None:
    """Call an order in doubt dead: behind the fence, unknown by id, and the holdings agree (R7)."""
    if not book.open or notes.last is None or not notes.missing:
        return
    for record in list(book.open.values()):
        behind = _behind(book, notes, record)
        if behind > 0 and _unexplained(engine, book, notes) == 0:
            _declare_dead(engine, book, record, f"unknown by id {behind // MS} ms behind the fence")


def _declare_dead(engine: "Engine", book: LegBook, record: OrderRecord, how: str) -> None:
    if book.leg is Leg.FUTURES and record.side is Side.SELL:
        engine.volatile.dead_hedges.append((engine.now, record.quantity))
    engine.issue(
        c.DeclareDead(
            leg=book.leg,
            client_order_id=record.client_order_id,
            evidence=f"{how}; fills and holdings read",
        )
    )


def _behind(book: LegBook, notes: LegNotes, record: OrderRecord) -> int:
    """Return how far behind its fence the venue did not know an order in doubt, ns; 0 if it did."""
    audit = notes.last
    server_at = notes.missing.get(record.client_order_id)
    doubtful = record.status is OrderStatus.DOUBTFUL
    if not doubtful or server_at is None or audit is None or audit.asked_at < record.doubt_at:
        return 0
    # Without its signature only this is known: it had left when it was first asked for. Our own
    # clock says nothing here, it may have been set between two processes (F54).
    oid = record.client_order_id
    left_by = notes.missing_since[oid] if record.order is None else record.signed_at
    return server_at - left_by - millis(book.terms.fence_ms)


def _unexplained(engine: "Engine", book: LegBook, notes: LegNotes) -> Decimal | None:
    """Return what neither the books nor a listed execution of others explains; None: too early.

    An execution without a known owner is no order's that the same read did not know by its id,
    once it is older than a read may lag behind.
    """
    audit = notes.last
    assert audit is not None
    seen_by = audit.server_at - millis(book.terms.read_lag_ms)
    if any(fill.filled_at >= seen_by for fill in book.unmatched.values()):
        return None
    return _difference(engine, book, audit) - book.unclaimed


def _dead_beside(engine: "Engine", book: LegBook, notes: LegNotes) -> bool:
    """Return whether this read proves all open orders dead, but for a difference of others'.

    Rule R7 wants the holdings to equal the books and R9 believes a difference only when nothing is
    in doubt; both come true together when the difference is booked (ADR 0015). One that an order
    in doubt could itself have made speaks for its life, and waits for a person.
    """
    if not book.open or any(_behind(book, notes, one) <= 0 for one in book.open.values()):
        return False
    rest = _unexplained(engine, book, notes)
    if not rest:
        return False
    against = Side.BUY if rest < 0 else Side.SELL
    return all(record.side is against for record in book.open.values())


def _difference(engine: "Engine", book: LegBook, audit: e.LegAudited) -> Decimal:
    """Return what the venue holds beyond the books; on a managed spot leg only a shortfall."""
    if book.leg is Leg.FUTURES:
        assert audit.position is not None
        return audit.position.quantity - book.held
    base = book.terms.instrument.base
    total = sum((b.total for b in audit.balances if b.asset == base), ZERO)
    difference = total - book.held
    if engine.terms.inventory is InventoryRule.MANAGED:
        return min(difference, ZERO)
    return difference


def _witness(engine: "Engine", book: LegBook, notes: LegNotes) -> None:
    """Believe a difference only when two reads, further apart than the read lag, agree on it."""
    audit = notes.last
    if audit is None or not notes.just_in:
        return
    notes.just_in = False
    difference = _difference(engine, book, audit)
    notes.agreed = difference == 0
    _note_difference(engine, book.leg, notes, difference)
    if not difference:
        notes.witness = None
        return
    doubted = _dead_beside(engine, book, notes)
    unsure = any(record.status is not OrderStatus.WORKING for record in book.open.values())
    first = notes.witness
    if not doubted and (unsure or (book.open and book.leg is Leg.FUTURES)):
        notes.witness = None if first is not None and first.doubted else first
        return
    lag = millis(book.terms.read_lag_ms)
    settled_at = max(book.changed_at, book.placed_at) + lag
    if audit.asked_at <= settled_at:
        notes.not_before = settled_at + 1
        notes.dirty_at = engine.now
        return
    apart = millis(book.terms.fence_ms) if doubted else lag
    now = Witness(
        difference=difference,
        asked_at=audit.asked_at,
        changed_at=book.changed_at,
        doubted=doubted,
    )
    if first is None or msgspec.structs.replace(first, asked_at=now.asked_at) != now:
        notes.witness = now
        notes.not_before = audit.asked_at + lag
        notes.dirty_at = engine.now
    elif audit.asked_at >= first.asked_at + apart:
        notes.witness = None
        notes.agreed = True
        _note_difference(engine, book.leg, notes, ZERO)
        for record in list(book.open.values()) if doubted else ():
            _declare_dead(engine, book, record, "unknown by id in two reads behind the fence")
        _book_difference(engine, book, _difference(engine, book, audit))
    else:
        notes.dirty_at = engine.now


def _note_difference(engine: "Engine", leg: Leg, notes: LegNotes, difference: Decimal) -> None:
    notes.differs = difference
    notes.differs_since = (notes.differs_since or engine.now) if difference else 0
    if not difference:
        engine.settle(f"DIFFERS_{leg.value.upper()}")


def _tell_difference(engine: "Engine", book: LegBook, notes: LegNotes) -> None:
    """Say a difference that stands while a doubt keeps it from being believed, or no read comes."""
    if not notes.differs_since or notes.last is None:
        return
    if not _difference(engine, book, notes.last):  # the fill that the read was ahead of has come
        _note_difference(engine, book.leg, notes, ZERO)
        return
    at = notes.differs_since + DIFFERS_ALARM
    if engine.now < at:
        engine.due(at)
    elif engine.books.in_doubt or notes.failures:
        why = "an order is in doubt" if engine.books.in_doubt else "it cannot be read again"
        text = f"{book.leg.value} holds {plain(notes.differs)} beside the books, and {why}"
        engine.alarm(f"DIFFERS_{book.leg.value.upper()}", "alarm", text)


def _book_difference(engine: "Engine", book: LegBook, difference: Decimal) -> None:
    leg = book.leg
    follows = leg is Leg.SPOT and engine.terms.inventory is InventoryRule.ACCOUNT
    fresh = engine.books.run.run_id == 0 and not engine.volatile.recovered
    if follows:
        reason = "ACCOUNT"
    elif leg is Leg.FUTURES and fresh and not book.held:
        reason = "FOUND_AT_START"
    else:
        reason = "EXTERNAL"
    engine.issue(c.BookExternal(leg=leg, quantity=difference, reason=reason))
    text = f"{leg.value} changed by {plain(difference)} without an order of this hedge"
    if reason == "ACCOUNT":
        engine.issue(c.Notice(key="ACCOUNT_CHANGED", text=text))
    elif reason == "FOUND_AT_START":
        engine.alarm(
            "POSITION_FOUND", "warning", f"a position of {plain(difference)} was here before"
        )
    else:
        engine.alarm(f"EXTERNAL_{leg.value.upper()}", "alarm", text)
        if leg is Leg.FUTURES and difference > 0:
            # A short that is gone without an execution was a hedge that came to nothing (F41).
            engine.volatile.dead_hedges.append((engine.now, difference))
        engine.trip("EXTERNAL", Trip.FREEZE_SPOT, text)


def _audit(engine: "Engine", book: LegBook, notes: LegNotes) -> None:
    """Ask for a whole read of the leg when a rule needs one."""
    now = engine.now
    if notes.asked_at:
        if now - notes.asked_at < AUDIT_LOST_AFTER:
            engine.due(notes.asked_at + AUDIT_LOST_AFTER)
            return
        notes.asked_at = 0
    if book.open and any(rec.status is OrderStatus.INTENDED for rec in book.open.values()):
        return
    at = _audit_due(engine, book, notes)
    if at > now:
        engine.due(at)
        return
    notes.audit_id += 1
    notes.asked_at = notes.last_asked_at = now
    engine.issue(
        c.AuditLeg(
            leg=book.leg,
            audit_id=notes.audit_id,
            ask_ids=tuple(book.open)[:ASK_IDS_MAX],
            fills_since=_fills_since(engine, book, notes),
            payments_since=_since(engine, notes) - PAYMENTS_OVERLAP,
        )
    )


def _audit_due(engine: "Engine", book: LegBook, notes: LegNotes) -> int:
    limits = engine.terms.limits
    if notes.failures:
        return notes.failed_at + millis(limits.retry_ms)
    if not notes.known:
        return 0
    if book.doubtful:
        return notes.last_asked_at + millis(limits.retry_ms)
    if notes.dirty_at:
        return max(notes.last_asked_at + AUDIT_APART, notes.not_before)
    if book.owed and engine.now - book.changed_at < OWED_HURRY:  # it follows within milliseconds
        return max(notes.last_asked_at, book.changed_at) + AUDIT_APART
    # What a person waits for is not idle: it is to be read, and missed, within a minute.
    halted = engine.books.mode is Mode.HALT and engine.volatile.recovered and not engine.books.asked
    every = limits.audit_halt_ms if halted else limits.audit_active_ms
    return notes.last_asked_at + millis(every)


def _since(engine: "Engine", notes: LegNotes) -> int:
    if notes.last is not None:
        return notes.last.server_at
    return engine.volatile.replayed_to or engine.volatile.started_at


def _fills_since(engine: "Engine", book: LegBook, notes: LegNotes) -> int:
    """Return a time that no fill still missing from the books can lie before."""
    since = _since(engine, notes) - FILLS_OVERLAP
    for record in (*book.open.values(), *book.owed.values()):
        # What has not been itemised for so long never will be: a fill in quarantine, for one.
        if notes.last is None or not record.ended_at or engine.now - record.ended_at < OWED_KEPT:
            since = min(since, record.placed_at - FILLS_OVERLAP)
    return since


def contradicted(engine: "Engine", measured: e.EquitySeen) -> bool:
    """Return whether the books, or a newer read, know other holdings than a measurement shows.

    A venue's balances may be behind its own fills (F23); what was measured so adds up to nothing.
    """
    books, legs = engine.books, engine.volatile.legs
    if not engine.volatile.recovered or measured.label != books.equity_wanted:
        return False
    if not all(notes.agreed for notes in legs.values()):
        return False
    if measured.position.quantity != books.futures.held:
        engine.volatile.dirty(Leg.FUTURES)
        return True
    read = legs[Leg.SPOT].last
    if read is None or read.asked_at <= books.spot.changed_at:
        return False
    base = books.spot.terms.instrument.base
    then, now = (
        sum((one.total for one in balances if one.asset == base), ZERO)
        for balances in (read.balances, measured.spot)
    )
    if then != now:
        engine.volatile.dirty(Leg.SPOT)
    return then != now


def overdue(engine: "Engine", for_s: int) -> bool:
    """Return whether the start has been waiting for its reads longer than ``for_s``."""
    return engine.now - engine.volatile.started_at > seconds(for_s)
