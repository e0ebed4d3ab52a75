"""The steps that actions and operators share."""

from decimal import Decimal
from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import recovery
from hedge.decide.mode import Mode, Trigger, step
from hedge.decide.terms import Action, millis, seconds
from hedge.model import Leg
from hedge.model.numbers import SECOND, ZERO, plain

if TYPE_CHECKING:
    from hedge.decide.engine import Engine

EQUITY_PATIENCE_S = 30
"""How long orders, and a stop, wait for a measurement of equity."""
CLOSING_PATIENCE_S = 120
"""How long a flat hedge waits for its last one, before it ends with an incomplete report."""
ENDS_WITH_ITS_MODE = ("BUILD_SLOW", "MARGIN_SHORT", "BALANCE_SHORT", "UNWIND_BLOCKED")
"""Alarms of a build or an unwinding: if their cause outlives it, the next mode says it anew."""


def change_mode(
    engine: "Engine", trigger: Trigger, why: str, *, target: c.SetTarget | None = None
) -> None:
    """Take a step of the table, and begin the new mode with fresh clocks.

    ``target`` is written before the mode that works on it: a death may keep the first of both
    rows alone, and a target without its mode is set again where a mode without its target stands.
    """
    mode = step(engine.books.mode, trigger)
    if engine.books.mode is Mode.HALT:
        engine.volatile.active_since = engine.now
    if target is not None:
        engine.issue(target)
    engine.issue(c.ChangeMode(mode=mode, trigger=trigger, why=why))
    for key in ENDS_WITH_ITS_MODE:
        engine.settle(key)
    recovery.lease(engine, engine.books.spot)
    engine.volatile.known_gap = abs(engine.delta)
    engine.volatile.settle_from = 0
    engine.volatile.progress_at = engine.now
    engine.volatile.ending = None  # whatever was about to end, this goes on


def adopt(engine: "Engine", quantity: Decimal, request_id: str = "") -> bool:
    """Take coins into the hedge, if the account holds them beside what it holds already.

    A quantity of zero adopts a found position alone.
    """
    held, base = engine.books.spot.held, engine.terms.spot.instrument.base
    if not quantity.is_finite() or quantity < 0 or _beside(engine) < quantity:
        text = (
            f"cannot adopt {plain(quantity)}: the account holds {plain(held + _beside(engine))}"
            f" {base}, of which {plain(held)} are this hedge's"
        )
        engine.issue(c.Notice(key="NOT_ADOPTED", text=text))
        engine.alarm("NOT_ADOPTED", "warning", text)
        return False
    engine.issue(
        c.BookExternal(leg=Leg.SPOT, quantity=quantity, reason="ADOPTED", request_id=request_id)
    )
    recovery.lease(engine, engine.books.spot)
    engine.volatile.known_gap = abs(engine.delta)  # a gap that was asked for is no surprise
    return True


def _beside(engine: "Engine") -> Decimal:
    """Return the coins that the last read showed beside those of the hedge."""
    spot = engine.books.spot
    audit = engine.volatile.legs[Leg.SPOT].last
    balances = audit.balances if audit is not None else ()
    base = spot.terms.instrument.base
    return sum((one.total for one in balances if one.asset == base), -spot.held)


def adoption_unread(engine: "Engine", quantity: Decimal, asked_at: int) -> bool:
    """Return whether coins to adopt are missing in a read that may be older than the request.

    Then another read is asked for: coins that are not shown yet are not refused.
    """
    audit = engine.volatile.legs[Leg.SPOT].last
    due = asked_at + millis(engine.terms.spot.read_lag_ms)
    if not quantity.is_finite() or _beside(engine) >= quantity:
        return False
    if audit is not None and audit.asked_at > due:
        return False
    engine.volatile.dirty(Leg.SPOT)
    engine.due(engine.now + SECOND)
    return True


def liquidate(engine: "Engine", trigger: Trigger, why: str) -> None:
    """Unwind both legs from here on."""
    target = c.SetTarget(quantity=ZERO, price=engine.spot_price, why=why)
    change_mode(engine, trigger, why, target=target)


def open_for(engine: "Engine", action: Action, request_id: str) -> None:
    """Another action supersedes the open run; the process's own line stays what resumes it."""
    run = engine.books.run
    if run.open:
        engine.issue(c.CloseRun(run_id=run.run_id, reason=f"superseded by {action.value}"))
    engine.issue(
        c.OpenRun(run_id=run.run_id + 1, action=action, request_id=run.request_id or request_id)
    )


def equity_open(engine: "Engine") -> bool:
    """Return whether a measurement of equity is under way; orders wait for it, hedges do not."""
    if not engine.books.equity_wanted:
        return False
    again_at = engine.volatile.equity_again_at
    if again_at and engine.now >= again_at:
        engine.volatile.equity_again_at = 0
        engine.issue(c.ReadEquity(label=engine.books.equity_wanted))
    elif again_at:
        engine.due(again_at)
    patience_s = CLOSING_PATIENCE_S if engine.books.run.unwound else EQUITY_PATIENCE_S
    limit = engine.volatile.equity_since + seconds(patience_s)
    if engine.now >= limit:
        return False
    engine.due(limit)
    return True
