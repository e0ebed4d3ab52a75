"""The two steps that actions and operators share."""

from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide.mode import Trigger, step
from hedge.model.numbers import ZERO

if TYPE_CHECKING:
    from hedge.decide.engine import Engine


def change_mode(engine: "Engine", trigger: Trigger, why: str) -> None:
    """Take a step of the table, and begin the new mode with fresh clocks."""
    mode = step(engine.books.mode, trigger)
    engine.issue(c.ChangeMode(mode=mode, trigger=trigger, why=why))
    engine.volatile.known_gap = abs(engine.delta)
    engine.volatile.settle_from = 0
    engine.volatile.progress_at = engine.now


def liquidate(engine: "Engine", trigger: Trigger, why: str) -> None:
    """Unwind both legs from here on."""
    change_mode(engine, trigger, why)
    engine.issue(c.SetTarget(quantity=ZERO, price=engine.spot_price, why=why))
