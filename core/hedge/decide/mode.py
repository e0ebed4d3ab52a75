"""HALT, INVENTORY, LIQUIDATION, and every lawful step between them; and the trip levels beside."""

import enum


class Mode(enum.StrEnum):
    HALT = "HALT"
    INVENTORY = "INVENTORY"
    LIQUIDATION = "LIQUIDATION"


class Trigger(enum.StrEnum):
    BUILD = "build"
    """``default`` or ``single`` from a flat book, funding above ``enter_above``."""
    SCALE = "scale"
    LIQUIDATE = "liquidate"
    """The action ``liquidation``, or the operator's command."""
    BUILT = "built"
    """Both tasks done, nothing in doubt, two reads ``settle_s`` apart agree."""
    FUNDING_EXIT = "funding_exit"
    UNWOUND = "unwound"
    """Both legs flat or dust, no order open or in doubt."""
    REPAIR = "repair"
    """Pre-authorised: reduce the larger leg toward the smaller."""
    FOUND = "found"
    """A start that met a position, or supersedes what was under way: watch first."""
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    ADOPT = "adopt"
    ACK = "ack"
    CLEAR = "clear"
    RESOLVE = "resolve"


H, I, L = Mode.HALT, Mode.INVENTORY, Mode.LIQUIDATION
T = Trigger

TRANSITIONS: dict[tuple[Mode, Trigger], Mode] = {
    (H, T.BUILD): I,
    (H, T.SCALE): I,
    (I, T.SCALE): I,
    (L, T.SCALE): I,
    (H, T.LIQUIDATE): L,
    (I, T.LIQUIDATE): L,
    (L, T.LIQUIDATE): L,
    (I, T.BUILT): H,
    (H, T.FUNDING_EXIT): L,
    (L, T.UNWOUND): H,
    (H, T.REPAIR): I,
    (I, T.REPAIR): I,
    (L, T.REPAIR): L,
    (H, T.FOUND): H,
    (I, T.FOUND): H,
    (L, T.FOUND): H,
    (H, T.STOP): H,
    (I, T.STOP): I,
    (L, T.STOP): L,
    (H, T.PAUSE): H,
    (I, T.PAUSE): I,
    (L, T.PAUSE): L,
    (H, T.RESUME): H,
    (I, T.RESUME): I,
    (L, T.RESUME): L,
    (H, T.ADOPT): H,
    (I, T.ADOPT): I,
    (L, T.ADOPT): L,
    (H, T.ACK): H,
    (I, T.ACK): I,
    (L, T.ACK): L,
    (H, T.CLEAR): H,
    (I, T.CLEAR): I,
    (L, T.CLEAR): L,
    (H, T.RESOLVE): H,
    (I, T.RESOLVE): I,
    (L, T.RESOLVE): L,
}
"""A pair that is not here is an error: there is no funding exit in INVENTORY, for one."""


class UnlawfulStepError(AssertionError):
    """A (mode, trigger) pair that the table does not have."""


def step(mode: Mode, trigger: Trigger) -> Mode:
    """Return the mode after ``trigger``; raise `UnlawfulStepError` naming both."""
    try:
        return TRANSITIONS[mode, trigger]
    except KeyError:
        raise UnlawfulStepError(f"no step from {mode.value} by {trigger.value}") from None


class Trip(enum.IntEnum):
    """What is still allowed; the worst reason counts."""

    OK = 0
    FREEZE_SPOT = 1
    """No new spot order, except one that shrinks the delta; hedging goes on."""
    HEDGE_ONLY = 2
    """Only orders that shrink the delta."""
    LOCKED = 3
    """Nothing."""
