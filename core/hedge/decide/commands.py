"""What is to be done: wishes, frozen, each journalled before it is performed.

Some are for the shell (place, cancel, read, wake, end); the others only change our own books, and
stand here so that the journal alone rebuilds them.
"""

import enum
from decimal import Decimal

import msgspec

from hedge.decide.mode import Mode, Trigger
from hedge.decide.terms import Action
from hedge.model import Leg, Order
from hedge.model.numbers import ZERO


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision looked at: prices with their age, and both books."""

    spot_bid: Decimal = ZERO
    spot_ask: Decimal = ZERO
    spot_seen_at: int = 0
    futures_bid: Decimal = ZERO
    futures_ask: Decimal = ZERO
    futures_mark: Decimal = ZERO
    futures_seen_at: int = 0
    inventory: Decimal = ZERO
    position: Decimal = ZERO

    @property
    def spot_mid(self) -> Decimal:
        return (self.spot_bid + self.spot_ask) / 2

    @property
    def futures_mid(self) -> Decimal:
        return (self.futures_bid + self.futures_ask) / 2


class Purpose(enum.StrEnum):
    BUILD = "build"
    UNWIND = "unwind"
    HEDGE = "hedge"
    REPAIR = "repair"


# -- for the shell -------------------------------------------------------------------------------


class PlaceOrder(Command, frozen=True, kw_only=True):
    """Only an order that passed the risk gate becomes one of these."""

    order: Order
    purpose: Purpose
    observation: Observation


class CancelOrder(Command, frozen=True, kw_only=True):
    leg: Leg
    client_order_id: str
    why: str


class AuditLeg(Command, frozen=True, kw_only=True):
    """Read one leg whole: orders by id, open orders, fills and payments since, the account."""

    leg: Leg
    audit_id: int
    ask_ids: tuple[str, ...]
    fills_since: int
    payments_since: int = 0


class ReadEquity(Command, frozen=True, kw_only=True):
    label: str


class LeaseIds(Command, frozen=True, kw_only=True):
    leg: Leg
    epoch: int
    first: int
    last: int


class WakeAt(Command, frozen=True, kw_only=True):
    """Send `TimerFired` at ``wake_at``; replaces the wish before it."""

    wake_at: int


class EndRun(Command, frozen=True, kw_only=True):
    """The hedge's part in the process is over."""

    exit_code: int
    reason: str
    text: str = ""


# -- for our own books ---------------------------------------------------------------------------


class OpenRun(Command, frozen=True, kw_only=True):
    run_id: int
    action: Action
    request_id: str
    waiting: bool = False
    """A build that waits for its entry condition."""


class CloseRun(Command, frozen=True, kw_only=True):
    run_id: int
    reason: str


class ChangeMode(Command, frozen=True, kw_only=True):
    mode: Mode
    trigger: Trigger
    why: str = ""


class SetTarget(Command, frozen=True, kw_only=True):
    """The spot leg's absolute target, in base; None takes the task away."""

    quantity: Decimal | None
    price: Decimal = ZERO
    why: str = ""


class SetTrip(Command, frozen=True, kw_only=True):
    """Raise (level > 0) or take away (level 0) one reason for a trip level."""

    reason: str
    level: int
    text: str = ""


class RaiseAlarm(Command, frozen=True, kw_only=True):
    """One alarm row; it stays until acknowledged, whatever its cause does."""

    key: str
    level: str
    text: str


class SettleAlarm(Command, frozen=True, kw_only=True):
    """The cause is gone; the row waits for its acknowledgement."""

    key: str


class BookExternal(Command, frozen=True, kw_only=True):
    """A difference that no order of ours explains, now in the books (R9)."""

    leg: Leg
    quantity: Decimal
    reason: str
    request_id: str = ""


class DeclareDead(Command, frozen=True, kw_only=True):
    """An order in doubt that the fence and every read agree never came to be (R7)."""

    leg: Leg
    client_order_id: str
    evidence: str


class Serve(Command, frozen=True, kw_only=True):
    """A person's request is taken in hand, once; until then it waits, across restarts too."""

    request_id: str


class SetPaused(Command, frozen=True, kw_only=True):
    paused: bool


class SetStopping(Command, frozen=True, kw_only=True):
    stopping: bool
    at: int


class Notice(Command, frozen=True, kw_only=True):
    """Something a person may like to know; not an alarm."""

    key: str
    text: str


AnyCommand = (
    PlaceOrder
    | CancelOrder
    | AuditLeg
    | ReadEquity
    | LeaseIds
    | WakeAt
    | EndRun
    | OpenRun
    | CloseRun
    | ChangeMode
    | SetTarget
    | SetTrip
    | RaiseAlarm
    | SettleAlarm
    | BookExternal
    | DeclareDead
    | Serve
    | SetPaused
    | SetStopping
    | Notice
)

PASSING = (WakeAt, AuditLeg)
"""Commands that are not journalled: performing them twice, or not at all, changes no book."""
