"""What a person asks of a running hedge: each verb checked against the mode table, then done."""

from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide import exposure, steps, watch
from hedge.decide.events import Verb
from hedge.decide.mode import Trigger, Trip, step
from hedge.decide.terms import Action, InventoryRule
from hedge.model import Leg
from hedge.model.numbers import SECOND, ZERO, plain

if TYPE_CHECKING:
    from hedge.decide.engine import Engine

OPERATOR_TRIGGERS = {
    Verb.PAUSE: Trigger.PAUSE,
    Verb.RESUME: Trigger.RESUME,
    Verb.CLEAR: Trigger.CLEAR,
    Verb.RESOLVE: Trigger.RESOLVE,
    Verb.ADOPT: Trigger.ADOPT,
    Verb.STOP: Trigger.STOP,
}


def decide(engine: "Engine") -> None:
    """Perform what was asked, in its order; what moves money waits for the recovery.

    Nothing waits behind it: a `lock`, or the `resolve` that the recovery needs, is heard at once.
    """
    for asked in list(engine.books.asked.values()):
        if engine.books.stopping_at and asked.verb in (Verb.SCALE, Verb.LIQUIDATE):
            # It would be begun here and left to a next start that nobody may have meant for it.
            engine.issue(c.Serve(request_id=asked.request_id))
            text = f"not done: {asked.verb.value}, for the hedge is stopping; start it again first"
            engine.issue(c.Notice(key="STOPPING", text=text))
        elif not _must_wait(engine, asked):
            _perform(engine, asked)
            # Behind what it did: a death between the two has it done again, and not forgotten.
            engine.issue(c.Serve(request_id=asked.request_id))
            engine.due(engine.now)  # what it changed is watched at once, not at the next read


def _must_wait(engine: "Engine", asked: e.OperatorAsked) -> bool:
    if asked.verb not in (Verb.SCALE, Verb.LIQUIDATE, Verb.ADOPT):
        return False
    notes = engine.volatile
    if not notes.recovered:
        return True
    if asked.verb is not Verb.ADOPT and not notes.begun and asked.at >= notes.started_at:
        return True  # the start line came first, and would supersede what was asked after it
    if asked.verb is Verb.ADOPT and engine.terms.inventory is InventoryRule.MANAGED:
        read = engine.volatile.legs[Leg.SPOT].last
        # What is there is asked after the request; an older process's clock may have been ahead.
        if read is None or read.asked_at < asked.at <= engine.now:
            engine.volatile.dirty(Leg.SPOT)
            engine.due(engine.now + SECOND)
            return True
        wanted = asked.quantity or ZERO
        if asked.at <= engine.now and steps.adoption_unread(engine, wanted, asked.at):
            return True
    if asked.verb is Verb.SCALE and engine.market.mid(Leg.SPOT) is None:
        engine.volatile.price_hot = True  # a quantity needs a price: the next quote wakes us
        return True
    return False


def _perform(engine: "Engine", asked: e.OperatorAsked) -> None:
    books = engine.books
    trigger = OPERATOR_TRIGGERS.get(asked.verb)
    if trigger is not None:
        step(books.mode, trigger)  # every verb is lawful in every mode, or the table is wrong
    match asked.verb:
        case Verb.PAUSE | Verb.RESUME:
            engine.issue(c.SetPaused(paused=asked.verb is Verb.PAUSE))
        case Verb.STOP:
            if not books.stopping_at:
                engine.issue(c.SetStopping(stopping=True, at=engine.now))
        case Verb.CLEAR:
            reasons = list(books.trips) if asked.subject in ("", "*") else [asked.subject]
            for reason in reasons:
                engine.untrip(reason)
                if reason == "THROTTLE":  # a person has looked: what came to nothing counts no more
                    engine.volatile.dead_hedges.clear()
                if reason == "LOSS":  # nor what was lost, or the next read would lock it again
                    engine.volatile.losses.samples.clear()
            watch.units(engine)  # what a start alone can mend is not cleared, not for one order
        case Verb.RESOLVE:
            _resolve(engine, asked)
        case Verb.ADOPT:
            if engine.terms.inventory is InventoryRule.ACCOUNT:
                text = "the whole account is this hedge's already"
                engine.issue(c.Notice(key="NOTHING_TO_ADOPT", text=text))
            elif asked.quantity is not None:
                steps.adopt(engine, asked.quantity, asked.request_id)
        case Verb.SCALE:
            _scale(engine, asked)
        case Verb.LIQUIDATE:
            if books.unexplained and engine.terms.inventory is InventoryRule.MANAGED:
                engine.issue(c.Notice(key="NOT_ADOPTED", text="adopt the position first"))
                return
            steps.open_for(engine, Action.LIQUIDATION, asked.request_id)
            steps.liquidate(engine, Trigger.LIQUIDATE, f"asked by {asked.by or 'the operator'}")
        case Verb.FREEZE if books.trips.get("OPERATOR", Trip.OK) > Trip.FREEZE_SPOT:
            pass  # a lock holds more, and only `clear` takes it away
        case Verb.FREEZE:
            engine.trip("OPERATOR", Trip.FREEZE_SPOT, f"frozen by {asked.by or 'the operator'}")
        case Verb.LOCK:
            text = f"locked by {asked.by or 'the operator'}"
            engine.trip(asked.subject or "OPERATOR", Trip.LOCKED, text)
            engine.alarm(f"LOCKED_{asked.subject or 'OPERATOR'}", "page", text)
        case Verb.ACK:
            pass


def _scale(engine: "Engine", asked: e.OperatorAsked) -> None:
    if engine.books.unexplained and engine.terms.inventory is InventoryRule.MANAGED:
        engine.issue(c.Notice(key="NOT_ADOPTED", text="adopt the position first"))
        return
    mid = engine.market.mid(Leg.SPOT)
    assert mid is not None
    target = asked.quantity
    usd = asked.usd if asked.usd is not None else engine.terms.usd
    if target is None and usd is not None:
        target = exposure.target_inventory(usd, mid, engine.terms)
    if target is None:
        target = engine.terms.quantity
    assert target is not None
    if target < exposure.slice_min(engine.terms, mid):
        least = exposure.slice_min(engine.terms, mid)
        text = f"target {plain(target)} is below the smallest slice of {plain(least)}"
        engine.issue(c.Notice(key="BELOW_MINIMUM", text=text))
        return
    cap = exposure.notional_max(engine.terms, mid, ZERO)
    if cap is not None and target * mid > cap:
        text = f"{plain(target)} is worth more than {plain(cap)}: raise the limit and restart"
        engine.issue(c.Notice(key="NOTIONAL_ABOVE_MAX", text=text))
        engine.alarm("SCALE_REFUSED", "warning", text)
        return
    # A `single` has a new target, and is one still: it unwinds, ends, and its line resumes it.
    single = engine.books.run.open and engine.volatile.line is Action.SINGLE
    steps.open_for(engine, Action.SINGLE if single else Action.SCALE, asked.request_id)
    target_set = c.SetTarget(quantity=target, price=mid, why="scale")
    steps.change_mode(engine, Trigger.SCALE, f"scale to {plain(target)}", target=target_set)


def _resolve(engine: "Engine", asked: e.OperatorAsked) -> None:
    """A person says that an order in doubt never came to be; the books believe the person."""
    for book in engine.leg_books():
        record = book.open.get(asked.subject)
        if record is not None and record.doubt_at:
            evidence = f"resolved by {asked.by or 'the operator'}"
            engine.issue(
                c.DeclareDead(leg=book.leg, client_order_id=asked.subject, evidence=evidence)
            )
            if not engine.books.in_doubt:
                engine.untrip("IN_DOUBT")
