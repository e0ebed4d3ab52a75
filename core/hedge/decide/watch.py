"""The bounds of safety part 5: ages, exposure, doubt, funding, margin, loss; each trips or alarms.

Doubt freezes, a known gap is repaired, distress goes to a person. Nothing here places an order.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import exposure, funding_policy, loss, steps
from hedge.decide.mode import Mode, Trigger, Trip
from hedge.decide.terms import Action, AfterExternal, millis, seconds
from hedge.model import LEGS, FillKind, Leg
from hedge.model.numbers import DAY, MINUTE, MS, SECOND, ZERO, plain

if TYPE_CHECKING:
    from hedge.decide.engine import Engine

UNHEDGED_WARN_S = 10
UNHEDGED_FREEZE_S = 30
UNHEDGED_PAGE_S = 120
DOUBT_ALARM_S = 60
DOUBT_LOCK_S = 300
DOWN_ALARM_S = 30
FRESH_AGAIN_S = 60
CLOCK_WARN_MS = 250
CLOCK_FREEZE_MS = 500
MARGIN_WARN = Decimal("0.4")
MARGIN_FREEZE = Decimal("0.6")
MARGIN_PAGE = Decimal("0.8")
LIQUIDATION_NEAR = Decimal("0.2")
ADL_FIRST = 4
"""The fifth of all positions that is auto-deleveraged before the others."""
LOSS_FREEZE = Decimal("0.01")
LOSS_LOCK = Decimal("0.02")
LOSS_FLATTEN = Decimal("0.03")
THROTTLE_WINDOW = 10 * MINUTE
HEDGES_WITHOUT_MOVE = 3
THROTTLE_FACTOR = Decimal("1.25")


def decide(engine: "Engine") -> None:
    _reports(engine)
    active = engine.books.mode is not Mode.HALT
    if active or engine.volatile.audit_just_in:
        _feeds(engine, active=active)
        _account_streams(engine, active=active)
    _streams_down(engine)
    _reads(engine, active=active)
    _doubt(engine)
    _exposure(engine, active=active)
    if engine.volatile.audit_just_in:
        units(engine)
        _clocks(engine)
        _funding(engine)
        _margin(engine)
    if loss.due(engine):
        _loss(engine)
    if not active:
        _unequal(engine)
        _mend(engine)


def _reports(engine: "Engine") -> None:
    """Turn what the streams and the shell reported into alarm rows and trips."""
    notes = engine.volatile
    if notes.unknown_fill:
        text = f"execution {notes.unknown_fill} is of a type nobody knows"
        engine.alarm("UNKNOWN_EXECUTION", "alarm", text)
        engine.trip("UNKNOWN_EXECUTION", Trip.FREEZE_SPOT, text)
        notes.unknown_fill = ""
    for fill in notes.forced:
        word = "auto-deleveraged" if fill.kind is FillKind.AUTO_DELEVERAGING else fill.kind.value
        text = f"{fill.leg.value} {word}: {plain(fill.signed_quantity)} at {plain(fill.price)}"
        engine.alarm("FORCED_CLOSE", "alarm", text)
        engine.trip("EXTERNAL", Trip.FREEZE_SPOT, text)
    notes.forced.clear()
    books = engine.books
    if books.external_at and "EXTERNAL" not in books.trips:
        text = f"the position was moved without an order of this hedge: {plain(engine.position)}"
        engine.alarm("EXTERNAL_FUTURES", "alarm", text)
        engine.trip("EXTERNAL", Trip.FREEZE_SPOT, text)
    if books.unexplained and books.futures.held and "POSITION_FOUND" not in books.alarms:
        text = f"a position of {plain(engine.position)} was here before"
        engine.alarm("POSITION_FOUND", "warning", text)
    for alarm in notes.shell_alarms:
        engine.alarm(alarm.key, alarm.level, alarm.text)
        if alarm.freeze:
            engine.trip(alarm.freeze, Trip.FREEZE_SPOT, alarm.text)
    notes.shell_alarms.clear()


def _feeds(engine: "Engine", *, active: bool) -> None:
    """Freeze on old prices; clears itself when they are fresh again."""
    limits, now = engine.terms.limits, engine.now
    stale = millis(limits.feed_stale_ms)
    worst = 0
    for leg in LEGS:
        age = engine.market.age(leg, now)
        worst = max(worst, age)
        if active:
            if age > stale // 2:
                engine.volatile.dirty(leg)
            engine.due(now + max(stale // 2 - age, stale // 4))
    if active:
        # An idle hedge is not promised a quote each second; the promise begins with the mode.
        worst = min(worst, now - max(engine.books.moded_at, engine.volatile.started_at))
        _due_beyond(engine, worst, stale, millis(limits.feed_dead_ms))
    if worst <= stale:
        if "DATA_AGE" in engine.books.trips:
            engine.volatile.fresh_since = engine.volatile.fresh_since or now
            if now - engine.volatile.fresh_since >= seconds(FRESH_AGAIN_S):
                engine.untrip("DATA_AGE")
            else:
                engine.due(engine.volatile.fresh_since + seconds(FRESH_AGAIN_S))
        return
    engine.volatile.fresh_since = 0
    if now - engine.volatile.started_at <= stale:
        return  # nothing has had the time to arrive
    level = Trip.FREEZE_SPOT
    if worst > millis(limits.feed_dead_ms) and active:
        heard = min(notes.heard_at for notes in engine.volatile.legs.values())
        answers = now - heard <= millis(limits.feed_dead_ms)
        level = Trip.HEDGE_ONLY if answers else Trip.LOCKED
    if engine.books.trips.get("DATA_AGE", 0) < level:
        text = f"prices are {worst // SECOND} s old" if worst < DAY else "no prices have come"
        engine.trip("DATA_AGE", level, text)
        engine.alarm("DATA_AGE", "warning", text)


def _account_streams(engine: "Engine", *, active: bool) -> None:
    limits, now = engine.terms.limits, engine.now
    stale, dead = millis(limits.account_stale_ms), millis(limits.account_dead_ms)
    worst = 0
    for leg in LEGS:
        age = now - (engine.market.account_heard_at[leg] or engine.volatile.started_at)
        worst = max(worst, age)
        if active and age > stale:
            engine.volatile.dirty(leg)
    if active:
        _due_beyond(engine, worst, stale, dead)
    if worst > dead:
        text = f"no sign of life on an account stream for {worst // 1_000_000_000} s"
        engine.trip("ACCOUNT_STREAM", Trip.FREEZE_SPOT, text)
        engine.alarm("ACCOUNT_STREAM", "warning", text)
    elif "ACCOUNT_STREAM" in engine.books.trips and all(
        notes.heard_at > now - dead for notes in engine.volatile.legs.values()
    ):
        engine.untrip("ACCOUNT_STREAM")


def _due_beyond(engine: "Engine", age: int, *bounds: int) -> None:
    for bound in bounds:
        if age <= bound:
            engine.due(engine.now - age + bound + 1)


def _streams_down(engine: "Engine") -> None:
    down_since = engine.volatile.down_since
    for leg in LEGS:
        up = engine.market.connected(leg)
        if up and leg not in down_since and not engine.books.alarms:
            continue
        key = f"STREAM_DOWN_{leg.value.upper()}"
        if up:
            down_since.pop(leg, None)
            engine.settle(key)  # it may be an earlier process's
            continue
        since = down_since.setdefault(leg, engine.now)
        if engine.now - since >= seconds(DOWN_ALARM_S):
            engine.alarm(key, "warning", f"the {leg.value} streams have been down")
        else:
            engine.due(since + seconds(DOWN_ALARM_S))


def _reads(engine: "Engine", *, active: bool) -> None:
    """Freeze while an account cannot be read: its streams may live, and still not say all."""
    notes, limits = engine.volatile, engine.terms.limits
    if not notes.recovered:
        return
    leg = min(LEGS, key=lambda one: notes.legs[one].heard_at)
    heard = notes.legs[leg].heard_at
    asked_at = min((one.at for one in engine.books.asked.values()), default=0)
    idle = not active and not asked_at  # what a person waits for is not idle
    bound = millis(limits.account_dead_ms + (limits.audit_halt_ms if idle else 0))
    if engine.now - heard <= bound:
        engine.untrip("UNREADABLE")
        engine.settle("UNREADABLE")
        engine.due(heard + bound + 1)
        return
    since = max(heard, notes.active_since if active else asked_at)  # HALT has promised less
    if engine.now - since > bound:
        text = f"the {leg.value} account could not be read for {bound // SECOND} s"
        engine.trip("UNREADABLE", Trip.FREEZE_SPOT, text)
        engine.alarm("UNREADABLE", "page", text)
    else:
        engine.due(since + bound + 1)


def _doubt(engine: "Engine") -> None:
    oldest = None
    for book in engine.leg_books():
        for record in book.open.values():
            if record.doubt_at and (oldest is None or record.doubt_at < oldest.doubt_at):
                oldest = record
    if oldest is None:
        engine.settle("IN_DOUBT")
        return
    age = engine.now - oldest.doubt_at
    text = f"order {oldest.client_order_id} has been in doubt for {age // 1_000_000_000} s"
    if age >= seconds(DOUBT_ALARM_S):
        engine.alarm("IN_DOUBT", "alarm", text)
    if age >= seconds(DOUBT_LOCK_S):
        engine.trip("IN_DOUBT", Trip.LOCKED, text + ": hedge resolve settles it")
    for after in (DOUBT_ALARM_S, DOUBT_LOCK_S):
        if age < seconds(after):
            engine.due(oldest.doubt_at + seconds(after))


def _exposure(engine: "Engine", *, active: bool) -> None:
    """Walk the ladder of unhedged time; it applies where the futures leg follows."""
    # Without any price a lot is a gap: what nobody can value is not to be silent.
    price = engine.spot_price or engine.market.mid(Leg.FUTURES) or ZERO
    gap = abs(engine.delta)
    notional = gap * price
    notes = engine.volatile
    if notional > notes.unhedged_max:
        notes.unhedged_max = notional
        notes.exposure_at_max = exposure.exposure_max(engine.terms, price)
    small = gap < engine.terms.futures.instrument.lot or (price and gap < _dust(engine, price))
    if not active or small:
        notes.unhedged_since = 0
        if active:
            notes.known_gap = ZERO
        engine.settle("UNHEDGED")
        engine.settle("UNHEDGED_PAGE")
        return
    notes.unhedged_since = notes.unhedged_since or engine.now
    # A gap that was there when the mode was ordered is its work: alarms, but no trip in its way.
    resuming = not notes.recovered and engine.books.mode is Mode.LIQUIDATION
    notes.known_gap = gap if resuming else min(notes.known_gap, gap)
    _ladder(engine, gap, notional)
    # Of two legs the one is heard before the other: half an account is no gap, unless it stays so.
    heard = notes.recovered or engine.now - notes.started_at >= seconds(UNHEDGED_FREEZE_S)
    over = bool(price) and exposure.above_hard_max(notional, engine.terms, price)
    if over and not heard:
        engine.due(notes.started_at + seconds(UNHEDGED_FREEZE_S))
    elif over and gap > notes.known_gap:
        text = f"unhedged {plain(notional.quantize(Decimal('0.01')))} is above the hard limit"
        engine.trip("UNHEDGED_NOTIONAL", Trip.HEDGE_ONLY, text)
        engine.alarm("UNHEDGED_NOTIONAL", "page", text)


def _dust(engine: "Engine", price: Decimal) -> Decimal:
    terms = engine.terms
    return max(terms.futures.instrument.smallest_order(price), exposure.slice_min(terms, price))


def _ladder(engine: "Engine", gap: Decimal, notional: Decimal) -> None:
    since = engine.volatile.unhedged_since
    age = engine.now - since
    repair_s = engine.terms.limits.repair_after_s
    for after in (UNHEDGED_WARN_S, UNHEDGED_FREEZE_S, UNHEDGED_PAGE_S, repair_s):
        if age < after * SECOND:
            engine.due(since + after * SECOND)
    if age >= seconds(UNHEDGED_WARN_S):
        text = f"{plain(gap)} unhedged ({plain(notional.quantize(Decimal('0.01')))}) for {{}} s"
        engine.alarm("UNHEDGED", "alarm", text.format(UNHEDGED_WARN_S))
        if age >= seconds(UNHEDGED_FREEZE_S) and gap > engine.volatile.known_gap:
            engine.trip("UNHEDGED_TIME", Trip.FREEZE_SPOT, text.format(UNHEDGED_FREEZE_S))
        if age >= seconds(UNHEDGED_PAGE_S):
            engine.alarm("UNHEDGED_PAGE", "page", text.format(UNHEDGED_PAGE_S))
    known = engine.volatile.recovered and not engine.books.in_doubt  # a doubt is no gap to mend
    if repair_s and age >= seconds(repair_s) and engine.delta > 0 and known and engine.spot_price:
        repair(engine)


def repair(engine: "Engine") -> None:
    """Reduce the spot leg to what the futures leg covers (pre-authorised, never enlarging)."""
    covered = -engine.position / engine.terms.hedge_ratio if engine.position < 0 else ZERO
    if engine.books.target is not None and engine.books.target <= covered:
        return
    target = c.SetTarget(quantity=covered, price=engine.spot_price, why="repair")
    steps.change_mode(engine, Trigger.REPAIR, engine.describe_delta(), target=target)
    engine.alarm("REPAIR", "alarm", f"spot is reduced to {plain(covered)} to match the futures leg")


def _mend(engine: "Engine") -> None:
    """After a loss of the short in HALT: mend it in the way authorised beforehand (B10)."""
    books, limits, price = engine.books, engine.terms.limits, engine.spot_price
    if not books.external_at or not price or not _may_mend(engine):
        return
    if engine.delta < exposure.slice_min(engine.terms, price):
        return
    if limits.after_external is AfterExternal.REHEDGE:
        target = c.SetTarget(quantity=engine.inventory, price=price, why="re-hedge")
        steps.change_mode(engine, Trigger.REPAIR, engine.describe_delta(), target=target)
    elif limits.repair_after_s:
        due = books.external_at + seconds(limits.repair_after_s)
        if engine.now >= due:
            repair(engine)
        else:
            engine.due(due)


def _may_mend(engine: "Engine", but: str = "") -> bool:
    """Return whether things are known, nobody is leaving, and nothing is locked ``but`` by this."""
    books, notes = engine.books, engine.volatile
    locked = any(level >= Trip.LOCKED for why, level in books.trips.items() if why != but)
    leaving = books.stopping_at or notes.asked or notes.ending or notes.recording_ended_at
    return (
        notes.recovered
        and notes.begun
        and not leaving
        and not books.in_doubt
        and not books.run.waiting
        and not locked
    )


def units(engine: "Engine") -> None:
    """Send nothing by units that are the instrument's no more (F38); a new start reads them."""
    for leg, notes in engine.volatile.legs.items():
        if notes.last is not None and notes.last.changed:
            text = f"the {leg.value} instrument has changed its units: {notes.last.changed}"
            engine.trip("INSTRUMENT", Trip.LOCKED, text)
            engine.alarm("INSTRUMENT_CHANGED", "page", text)


def _clocks(engine: "Engine") -> None:
    """Our clock against the venues': signatures are corrected, a wild clock freezes (ADR 0014)."""
    offsets = engine.volatile.clock_offset
    if not offsets:
        return
    leg = max(offsets, key=lambda one: abs(offsets[one]))
    off = abs(offsets[leg])
    text = f"our clock is {-offsets[leg] // MS} ms ahead of the {leg.value} venue's"
    if off >= millis(CLOCK_WARN_MS):
        engine.alarm("CLOCK_OFFSET", "warning", text)
    else:
        engine.settle("CLOCK_OFFSET")
    if off >= millis(CLOCK_FREEZE_MS):
        engine.trip("CLOCK_OFFSET", Trip.FREEZE_SPOT, text)
    elif off < millis(CLOCK_WARN_MS):
        engine.untrip("CLOCK_OFFSET")


def _funding(engine: "Engine") -> None:
    """Alarm when the rate is too old to exit by."""
    if engine.now - engine.volatile.started_at < seconds(engine.terms.funding.stale_s):
        return
    if funding_policy.fresh(engine.market.funding_heard_at, engine.now, engine.terms.funding):
        engine.settle("FUNDING_STALE")
    else:
        engine.alarm("FUNDING_STALE", "warning", "funding is too old: the funding exit is off")


def _margin(engine: "Engine") -> None:
    """Say what margin is used, and how near the venue is to closing it; what is closed has none."""
    audit = engine.volatile.legs[Leg.FUTURES].last
    if audit is None or audit.position is None:
        return
    position, ratio = audit.position, audit.margin_ratio
    if ratio is None and not position.quantity:
        ratio = ZERO
    if ratio is not None:
        _margin_ratio(engine, ratio)
    if position.quantity and position.adl_rank is not None and position.adl_rank >= ADL_FIRST:
        engine.alarm("ADL_RANK", "warning", "the short is among the first to be auto-deleveraged")
    else:
        engine.settle("ADL_RANK")
    near = position.liquidation_price if position.quantity else None
    mid = engine.market.mid(Leg.FUTURES)
    if near is None:
        engine.settle("LIQUIDATION_NEAR")
    elif mid and (distance := abs(near - mid) / mid) < LIQUIDATION_NEAR:
        percent = plain((distance * 100).quantize(Decimal("0.1")))
        engine.alarm("LIQUIDATION_NEAR", "page", f"liquidation is {percent} % away")
    elif mid:
        engine.settle("LIQUIDATION_NEAR")


def _margin_ratio(engine: "Engine", ratio: Decimal) -> None:
    if ratio < MARGIN_FREEZE:
        engine.settle("MARGIN_PAGE")
    if ratio < MARGIN_WARN:
        engine.settle("MARGIN")
        return
    text = f"margin ratio is {plain((ratio * 100).quantize(Decimal('0.1')))} %"
    if ratio >= MARGIN_PAGE:
        engine.alarm("MARGIN_PAGE", "page", text)
    if ratio >= MARGIN_FREEZE:
        engine.trip("MARGIN", Trip.FREEZE_SPOT, text)
    engine.alarm("MARGIN", "warning", text)


def _loss(engine: "Engine") -> None:
    """Freeze when 1 % of N was lost within a day, lock at 2 %.

    At 3 % both legs are closed, where that was authorised beforehand.
    """
    books, price = engine.books, engine.spot_price
    notional = max(engine.terms.target_notional(price), abs(books.spot.held) * price)
    lost = loss.look(engine, notional * LOSS_FREEZE)
    if lost <= notional * LOSS_FREEZE:
        return
    text = f"lost {plain(lost.quantize(Decimal('0.01')))} within a day"
    level = Trip.LOCKED if lost > notional * LOSS_LOCK else Trip.FREEZE_SPOT
    engine.alarm("LOSS", "page", text)
    if lost > notional * LOSS_FLATTEN and engine.terms.limits.flatten_on_loss:
        _flatten(engine, text)
    flatten = books.alarms.get("LOSS_FLATTEN")
    if flatten is not None and not flatten.settled:
        return  # the lock would stand in the way of what it asked for
    if books.trips.get("LOSS", Trip.OK) < level:
        engine.trip("LOSS", level, text)


def _flatten(engine: "Engine", text: str) -> None:
    """Close both legs (pre-authorised); never on doubt, and never what is not this hedge's."""
    if engine.books.unexplained or not _may_mend(engine, but="LOSS"):
        return
    engine.trip("LOSS", Trip.FREEZE_SPOT, text)  # a freeze lets an unwinding go on, a lock does not
    engine.alarm("LOSS_FLATTEN", "page", f"{text}: both legs are being closed")
    if engine.books.mode is not Mode.LIQUIDATION:
        steps.open_for(engine, Action.LIQUIDATION, "")
        steps.liquidate(engine, Trigger.LIQUIDATE, text)


def _unequal(engine: "Engine") -> None:
    """In HALT unequal books are an alarm, never silence; said with the exit when it is armed."""
    if not engine.volatile.recovered or engine.books.in_doubt:
        return
    if engine.quantities_equal:
        engine.settle("UNEQUAL")
        engine.settle("EXIT_BLOCKED")
        return
    if engine.books.run.waiting:  # the build that is waited for is the mend
        text = f"waiting for the entry, and {engine.describe_delta()}"
        engine.alarm("UNEQUAL", "warning", text)
        return
    engine.alarm("UNEQUAL", "alarm", f"in HALT, and {engine.describe_delta()}")
    if funding_policy.exit_confirmed(engine.books.tally, engine.terms.funding):
        engine.alarm("EXIT_BLOCKED", "alarm", f"exit armed, but {engine.describe_delta()}")


def throttled(engine: "Engine", quantity: Decimal) -> str:
    """Return why one more short-enlarging hedge would be a runaway, or "" (Knight; F41).

    Hedges that were declared dead within ten minutes count as if they had been filled after all:
    with them, the shorts may not exceed 1.25 x what is unhedged and two lots.
    """
    dead = engine.volatile.dead_hedges
    while dead and engine.now - dead[0][0] > THROTTLE_WINDOW:
        dead.pop(0)
    if not dead:
        return ""
    hedged = sum((amount for _, amount in dead), ZERO) + quantity
    allowed = max(engine.delta, ZERO) * THROTTLE_FACTOR + 2 * engine.terms.futures.instrument.lot
    if len(dead) < HEDGES_WITHOUT_MOVE and hedged <= allowed + dead[-1][1]:
        return ""
    return f"{len(dead)} hedges came to nothing, {plain(hedged)} in all, allowed {plain(allowed)}"
