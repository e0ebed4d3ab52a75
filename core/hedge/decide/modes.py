"""What the start line leads to: actions, and the ways between the modes."""

from decimal import Decimal
from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import (
    entry,
    exposure,
    funding_policy,
    futures_task,
    handover,
    operate,
    spot_task,
    steps,
)
from hedge.decide import events as e
from hedge.decide.books import ADOPTION
from hedge.decide.mode import Mode, Trigger
from hedge.decide.recovery import OWED_HURRY
from hedge.decide.risk import Reason
from hedge.decide.terms import Action, InventoryRule, seconds
from hedge.model import Leg
from hedge.model.numbers import SECOND, ZERO, plain

if TYPE_CHECKING:
    from hedge.decide.engine import Engine

RECOVER_TIMEOUT_S = 60
TOP_UPS_MAX = 3
"""How often a build is rounded up by a smallest slice before its rest is sold instead."""
RECORDING_PATIENCE_S = 30


def decide(engine: "Engine") -> bool:
    """Advance the run; return whether orders may be thought of at all."""
    operate.decide(engine)
    if not engine.volatile.recovered:
        _unrecovered(engine)
        engine.hold(Reason.RECOVERING)
        return False
    if steps.equity_open(engine):
        engine.hold(Reason.EQUITY_READ)
        return engine.books.mode is not Mode.HALT
    asked = engine.volatile.asked
    if asked is not None:
        if not _resumes(engine, asked) and not handover.left_whole(engine, asked.action):
            return _leaving(engine)
        if _adoption_unread(engine, asked):
            engine.hold(Reason.RECOVERING, "reading the coins to adopt again")
            return _leaving(engine)
        _begin(engine, asked)
        engine.volatile.asked = None
        engine.volatile.begun = True
        if engine.books.asked:
            engine.due(engine.now)  # what has waited for the start line
        if steps.equity_open(engine):  # measured before anything moves
            engine.hold(Reason.EQUITY_READ)
            return False
    if not engine.volatile.begun:
        engine.hold(Reason.RECOVERING, "the start line has not been read")
        return False
    if engine.books.ended:
        return False
    if engine.volatile.recording_ended_at or engine.books.stopping_at:
        return _leaving(engine)
    match engine.books.mode:
        case Mode.INVENTORY:
            _built(engine)
        case Mode.LIQUIDATION:
            _unwound(engine)
        case Mode.HALT:
            _halted(engine)
    return not engine.books.ended and engine.books.mode is not Mode.HALT


def _leaving(engine: "Engine") -> bool:
    """Go on with an end that was asked for: what a start line waits for may never come."""
    if engine.volatile.recording_ended_at:
        return _recording_ended(engine)
    return bool(engine.books.stopping_at) and _stopping(engine)


# -- start ---------------------------------------------------------------------------------------


def _unrecovered(engine: "Engine") -> None:
    """Give up a start that has nothing to lose; with anything open, keep asking and alarm."""
    if _given_up(engine):
        return
    books, notes = engine.books, engine.volatile.legs
    unread = [leg for leg, note in notes.items() if not note.known]
    if not unread:
        return
    leg = next((leg for leg in unread if notes[leg].refused_why), unread[0])
    where = f"{books.leg(leg).terms.instrument.venue} {leg.value}"
    why = notes[leg].refused_why
    open_orders = books.spot.open or books.futures.open
    if books.mode is Mode.HALT and not books.futures.held and not open_orders:
        if why:
            text = f"{where}: {why}"
            engine.issue(c.EndRun(exit_code=4, reason="VENUE_REFUSED", text=text))
            return
        waited = engine.now - engine.volatile.started_at
        if waited >= seconds(RECOVER_TIMEOUT_S):
            text = f"{where} could not be read for {RECOVER_TIMEOUT_S} s; nothing was sent"
            engine.issue(c.EndRun(exit_code=4, reason="UNREADABLE", text=text))
            return
        engine.due(engine.volatile.started_at + seconds(RECOVER_TIMEOUT_S))
    elif any(note.failures >= 5 for note in notes.values()):
        engine.alarm("UNREADABLE", "page", f"{where} cannot be read while the hedge is open")


def _given_up(engine: "Engine") -> bool:
    """End a process that is to end, and whose books will not be confirmed any more."""
    stopping = engine.books.stopping_at
    ended = engine.volatile.recording_ended_at
    stop_by = stopping + seconds(engine.terms.execution.stop_timeout_s)
    end_by = ended + seconds(RECORDING_PATIENCE_S)
    if ended and engine.now >= end_by:
        text = "the recording is over, and the books were not confirmed"
        engine.issue(c.EndRun(exit_code=5, reason="DATA_ENDED", text=text))
        return True
    if stopping and engine.now >= stop_by:
        text = f"stopped before the books could be confirmed{_left_open(engine)}"
        engine.alarm("STOPPED_UNHEDGED", "page", text)
        engine.issue(c.EndRun(exit_code=7, reason="NOT_HEDGED", text=text))
        return True
    for at, due in ((ended, end_by), (stopping, stop_by)):
        if at:
            engine.due(due)
    return False


def _resumes(engine: "Engine", asked: e.ActionAsked) -> bool:
    run = engine.books.run
    return run.open and run.request_id == asked.request_id


def _adoption_unread(engine: "Engine", asked: e.ActionAsked) -> bool:
    if asked.adopt is None or engine.terms.inventory is not InventoryRule.MANAGED:
        return False
    if f"adopt:{asked.request_id}" in engine.books.requests:
        return False
    return steps.adoption_unread(engine, asked.adopt, engine.volatile.started_at)


def _begin(engine: "Engine", asked: e.ActionAsked) -> None:
    """Run an action exactly once: resume an open run, else open one (behaviour, Start)."""
    books = engine.books
    adoption = f"{ADOPTION}{asked.request_id}"
    managed = engine.terms.inventory is InventoryRule.MANAGED
    if asked.adopt is not None and managed and adoption not in books.requests:
        steps.adopt(engine, asked.adopt, adoption)
    same = books.run.request_id == asked.request_id
    if _resumes(engine, asked):
        engine.issue(c.Notice(key="RESUMED", text=f"run {books.run.run_id} goes on"))
        engine.volatile.enter_now = asked.enter_now
        if books.run.waiting and books.equity_labels[-1:] != ["start"]:
            _baseline(engine)  # the process that asked for it died before the answer
        return
    if same and not asked.again and asked.action in (Action.SCALE, Action.LIQUIDATION):
        text = f"{asked.action.value} has been done; --again does it once more"
        if _flat(engine):
            engine.issue(c.EndRun(exit_code=0, reason="ALREADY_DONE", text=text))
        else:
            engine.issue(c.Notice(key="ALREADY_DONE", text=text))
        return
    if not _position_allows(engine, asked):
        return
    _baseline(engine)
    run_id = books.run.run_id + 1

    def open_run(*, waiting: bool) -> None:
        engine.issue(
            c.OpenRun(
                run_id=run_id, action=asked.action, request_id=asked.request_id, waiting=waiting
            )
        )

    match asked.action:
        case Action.DEFAULT | Action.SINGLE if books.futures.held:
            open_run(waiting=False)
            steps.change_mode(engine, Trigger.FOUND, "a position is here: watch it")
            if books.target is not None:  # of the run that this one supersedes
                engine.issue(c.SetTarget(quantity=None, why="superseded"))
            if asked.action is Action.DEFAULT:
                engine.issue(c.CloseRun(run_id=run_id, reason="HALT"))
        case Action.DEFAULT | Action.SINGLE | Action.SCALE:
            open_run(waiting=True)
            if books.mode is not Mode.HALT:
                steps.change_mode(engine, Trigger.FOUND, "superseded")
                open_run(waiting=True)
            engine.volatile.enter_now = asked.enter_now
        case Action.LIQUIDATION:
            open_run(waiting=False)
            steps.liquidate(engine, Trigger.LIQUIDATE, "action liquidation")


def _position_allows(engine: "Engine", asked: e.ActionAsked) -> bool:
    """Return whether the action may run on what is here; otherwise say why and end."""
    books = engine.books
    held = books.futures.held
    if not held:
        return True
    if asked.action is Action.SINGLE and not books.run.open:
        text = (
            f"a position of {plain(held)} is here that no open run explains;"
            f" nothing was sent, and {engine.describe_delta()}"
        )
        engine.issue(c.EndRun(exit_code=6, reason="POSITION_FOUND", text=text))
        return False
    managed = engine.terms.inventory is InventoryRule.MANAGED
    if (
        books.unexplained
        and managed
        and asked.action
        in (
            Action.SCALE,
            Action.LIQUIDATION,
        )
    ):
        text = (
            f"a position of {plain(held)} was not made here: "
            f"hedge adopt {engine.terms.name} QUANTITY first"
        )
        engine.issue(c.EndRun(exit_code=5, reason="NOT_ADOPTED", text=text))
        return False
    return True


def _baseline(engine: "Engine") -> None:
    """Have both accounts measured before a run's first order: where its report begins."""
    if _quiet(engine):
        _read_equity(engine, "start")


def _read_equity(engine: "Engine", label: str) -> None:
    engine.volatile.equity_since = engine.now
    engine.volatile.equity_again_at = 0
    engine.issue(c.ReadEquity(label=label))


# -- ways out ------------------------------------------------------------------------------------


def _quiet(engine: "Engine") -> bool:
    """Return whether no order of ours is open or in doubt on either leg."""
    return not engine.books.spot.open and not engine.books.futures.open


def _flat(engine: "Engine") -> bool:
    """Return whether no position is left, and no coins that could be sold (a price says that)."""
    held, price = engine.inventory, engine.spot_price
    sold = held < spot_task.smallest(engine.terms, price) if price else not held
    return sold and not engine.position


def _read_since(engine: "Engine", at: int) -> bool:
    """Return whether both legs were read behind ``at``; a read that was not asked for is."""
    legs = engine.volatile.legs
    for leg, note in legs.items():
        if note.last_asked_at <= at and not note.dirty_at:
            engine.volatile.dirty(leg)
            engine.due(engine.now)  # and from then on at the pace of the reads
    return all(note.read_since(at) for note in legs.values())


def _built(engine: "Engine") -> None:
    """INVENTORY ends when both tasks are done and two reads ``settle_s`` apart agree."""
    books, notes = engine.books, engine.volatile
    price = engine.spot_price
    target = books.target
    if (
        target is None
        or not price
        or not _quiet(engine)
        or not spot_task.done(target, books.spot.held, engine.terms, price)
        or not engine.equal
    ):
        notes.settle_from = 0
        _round_off(engine, price)
        _slow_build(engine)
        return
    if not notes.settle_from:
        notes.settle_from = max(engine.now, books.spot.changed_at, books.futures.changed_at)
    first = notes.settle_from
    due = first + seconds(engine.terms.execution.settle_s)
    reads = [note.last for note in notes.legs.values()]
    # What a push has contradicted since is read again first: in HALT nobody would hedge it.
    agreed = all(note.agreed and not note.dirty_at for note in notes.legs.values())
    if agreed and all(read is not None and read.asked_at >= due for read in reads):
        steps.change_mode(engine, Trigger.BUILT, engine.describe_delta())
        engine.issue(c.SetTarget(quantity=None, why="built"))
        if books.run.open and books.run.action is not Action.SINGLE:
            engine.issue(c.CloseRun(run_id=books.run.run_id, reason="HALT"))
        _read_equity(engine, "built")
        return
    engine.hold(Reason.SETTLING, f"until {engine.terms.execution.settle_s} s of agreement")
    if engine.now >= due:
        _read_since(engine, due - 1)
    else:
        engine.due(due)


def _round_off(engine: "Engine", price: Decimal) -> None:
    """Deal with a last rest that is too small to hedge: buy one smallest slice more, or sell it.

    Such a rest, left by a partial fill, would keep the hedge in INVENTORY for ever.
    """
    books, terms, notes = engine.books, engine.terms, engine.volatile
    gap = engine.delta
    if not price or books.target is None:
        return
    if not _quiet(engine) or not spot_task.done(books.target, books.spot.held, terms, price):
        return
    lot = terms.futures.instrument.lot
    if not lot <= gap < exposure.hedge_min(terms, price):
        return
    if books.paused or books.trip or notes.top_ups >= TOP_UPS_MAX:
        covered = books.spot.held - gap / terms.hedge_ratio
        if gap / terms.hedge_ratio >= spot_task.smallest(terms, price):
            engine.issue(c.SetTarget(quantity=covered, price=price, why="the rest is sold"))
        return
    notes.top_ups += 1
    target = books.spot.held + exposure.slice_min(terms, price)
    engine.issue(c.SetTarget(quantity=target, price=price, why="the rest is too small to hedge"))


def _slow_build(engine: "Engine") -> None:
    limit = engine.books.moded_at + seconds(engine.terms.execution.build_timeout_s)
    if engine.now >= limit:
        engine.alarm("BUILD_SLOW", "warning", "the build has been under way for too long")
    else:
        engine.due(limit)


def _unwound(engine: "Engine") -> None:
    """LIQUIDATION ends when both legs are flat or dust and no order is left (H3)."""
    books = engine.books
    price = engine.spot_price
    if not price or not _quiet(engine):
        return
    dust = max(books.spot.held, ZERO) < spot_task.smallest(engine.terms, price)
    if not dust or not futures_task.dust(books.futures.held, engine.terms, price):
        return
    if books.spot.held > 0 and engine.market.mid(Leg.SPOT) is None:
        engine.volatile.price_hot = True  # what is dust, only a price of now says
        engine.hold(Reason.NO_PRICE, "leg=spot")
        return
    changed = max(books.spot.changed_at, books.futures.changed_at)
    if not _read_since(engine, changed):
        return
    if not all(note.agreed for note in engine.volatile.legs.values()):
        return
    if (books.spot.owed or books.futures.owed) and engine.now - changed < OWED_HURRY:
        engine.hold(Reason.SETTLING, "fills that the reads do not show yet")
        return  # they are asked for each second; without them no report adds up
    steps.change_mode(engine, Trigger.UNWOUND, _left(engine))
    engine.issue(c.SetTarget(quantity=None, why="unwound"))
    _close(engine)


def _left(engine: "Engine") -> str:
    books = engine.books
    return f"left: {plain(books.spot.held)} spot, {plain(books.futures.held)} futures"


def _close(engine: "Engine") -> None:
    """Have both accounts measured a last time; `_halted` ends the run when that is done."""
    engine.volatile.ending = (0, "UNWOUND", _left(engine))
    _read_equity(engine, "end")


def _halted(engine: "Engine") -> None:
    books = engine.books
    ending = engine.volatile.ending
    if ending is None and books.run.open and books.run.unwound:
        _close(engine)  # the process that unwound it died before the last measurement
        return
    if ending is not None:
        price = engine.spot_price
        if not price and (books.spot.held or books.futures.held):
            engine.due(engine.now + SECOND)  # what is dust, only a price says
            engine.hold(Reason.NO_PRICE, "leg=spot")
            return
        patience = engine.volatile.equity_since + seconds(steps.CLOSING_PATIENCE_S)
        known = all(note.agreed and note.read_since(0) for note in engine.volatile.legs.values())
        if not known and engine.now < patience:
            engine.due(patience)
            engine.hold(Reason.SETTLING, "what is held is read again")
            return
        sold = not price or books.spot.held < spot_task.smallest(engine.terms, price)
        if not sold or not futures_task.dust(books.futures.held, engine.terms, price):
            # Somebody traded, or adopted coins, while the last measurement was taken.
            ending = (7, "NOT_HEDGED", f"unwound, and then {engine.describe_delta()}")
        if books.equity_wanted:
            text = f"the accounts could not be measured for {steps.CLOSING_PATIENCE_S} s at the end"
            engine.issue(c.Notice(key="UNMEASURED", text=f"{text}: the report is incomplete"))
        if books.run.open:
            engine.issue(c.CloseRun(run_id=books.run.run_id, reason=ending[1]))
        engine.issue(c.EndRun(exit_code=ending[0], reason=ending[1], text=ending[2]))
        return
    if books.run.waiting:
        entry.enter(engine)
        return
    if not books.run.open and books.run.closed_why == "UNWOUND" and _flat(engine):
        engine.issue(c.EndRun(exit_code=0, reason="UNWOUND", text="flat already"))
        return
    if engine.volatile.paid and _quiet(engine):
        engine.volatile.paid = False
        _read_equity(engine, "settled")
        return
    _exit(engine)


def _exit(engine: "Engine") -> None:
    """Leave when funding has gone, confirmed and fresh, and both sides are equal (H7)."""
    books, terms = engine.books, engine.terms.funding
    held_s = terms.min_hold_s
    if not books.futures.held and not books.spot.held:
        return
    if not funding_policy.exit_confirmed(books.tally, terms):
        return
    if not engine.equal or not _quiet(engine):
        return
    if not funding_policy.fresh(engine.market.funding_heard_at, engine.now, terms):
        return
    over_at = books.run.opened_at + seconds(held_s)
    if held_s and engine.now < over_at:
        engine.due(over_at)
        return
    if funding_policy.pays_soon(engine.market.funding, engine.now, terms):
        rate = engine.market.funding
        assert rate is not None
        engine.due(rate.next_at + 1)
        engine.hold(Reason.SETTLEMENT_GUARD)
        return
    if not books.run.open:
        engine.issue(
            c.OpenRun(
                run_id=books.run.run_id + 1,
                action=Action.LIQUIDATION,
                request_id=books.run.request_id,
            )
        )
    rate_8h = plain(books.tally.last_rate_8h)
    steps.liquidate(
        engine, Trigger.FUNDING_EXIT, f"funding {rate_8h} per 8 h, {books.tally.below} in a row"
    )


def _left_open(engine: "Engine") -> str:
    """Name the orders that nobody will look after any more, for the last words of a run."""
    left = [one for book in engine.leg_books() for one in book.open]
    return f"; perhaps still at the venue: {', '.join(left)}" if left else ""


def _stopping(engine: "Engine") -> bool:
    """`stop`: no new spot risk, hedging goes on; end when the books are confirmed."""
    books = engine.books
    ending = engine.volatile.ending
    since = books.stopping_at
    read = _read_since(engine, since)
    hedged = read and _quiet(engine) and engine.equal and not engine.stranded
    if ending is not None and (hedged or ending[0]):
        engine.issue(c.EndRun(exit_code=ending[0], reason=ending[1], text=ending[2]))
        return False
    engine.volatile.ending = None  # what changed during the last read is looked at again
    limit = since + seconds(engine.terms.execution.stop_timeout_s)
    agreed = all(note.agreed for note in engine.volatile.legs.values())
    if agreed and hedged:
        engine.volatile.ending = (0, "STOPPED", engine.describe_delta())
        _read_equity(engine, "stop")
        return False
    settled = read and agreed and _quiet(engine) and books.mode is Mode.HALT
    if settled or engine.now >= limit:
        text = f"stopped, and {engine.describe_delta()}{_left_open(engine)}"
        engine.alarm("STOPPED_UNHEDGED", "page", text)
        engine.volatile.ending = (7, "NOT_HEDGED", text)
        _read_equity(engine, "stop")
        return False
    engine.due(limit)
    return books.mode is not Mode.HALT


def _recording_ended(engine: "Engine") -> bool:
    """The recorded market has no more data: never a success (exit 5)."""
    since = engine.volatile.recording_ended_at
    if engine.volatile.ending is not None:
        code, reason, text = engine.volatile.ending
        engine.issue(c.EndRun(exit_code=code, reason=reason, text=text))
        return False
    if _quiet(engine) or engine.now - since >= seconds(RECORDING_PATIENCE_S):
        text = f"the recording is over; {engine.describe_delta()}"
        engine.volatile.ending = (5, "DATA_ENDED", text)
        _read_equity(engine, "data_ended")
        return False
    engine.due(since + seconds(RECORDING_PATIENCE_S))
    return engine.books.mode is not Mode.HALT
