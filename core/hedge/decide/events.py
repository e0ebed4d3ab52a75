"""What happened: facts, in the past tense, frozen; all that the core learns is one of these.

``at`` is the host's time, ns UTC, and never decreases from one event to the next. The tags are the
journal's; a tag is never reused for another meaning.
"""

import enum
from decimal import Decimal

import msgspec

from hedge.decide.terms import Action, HedgeTerms
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Leg,
    Mark,
    OrderReport,
    Position,
    PositionMode,
    Quote,
    StreamKind,
)


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    at: int


# -- the process ---------------------------------------------------------------------------------


class EngineStarted(Event, frozen=True, kw_only=True):
    """A process took the lock; ``boot_id`` tells a process death from a machine death.

    ``roles`` says which plugin answered which role, as ``role=distribution version``.
    """

    boot_id: str
    epoch: int
    terms: HedgeTerms
    roles: tuple[str, ...] = ()


class ActionAsked(Event, frozen=True, kw_only=True):
    """The start line. ``again`` allows a finished ``scale`` or ``liquidation`` to run once more."""

    action: Action
    request_id: str
    again: bool = False
    enter_now: bool = False
    adopt: Decimal | None = None


class IdsLeased(Event, frozen=True, kw_only=True):
    """Ids ``first..last`` of ``leg`` are on the disk and may be used."""

    leg: Leg
    epoch: int
    first: int
    last: int


class TimerFired(Event, frozen=True, kw_only=True):
    pass


class RecordingEnded(Event, frozen=True, kw_only=True):
    """A replayed market has no more data."""


class ShellAlarmed(Event, frozen=True, kw_only=True):
    """The shell met something a person must know, and that may freeze the hedge.

    ``freeze`` is the trip reason to raise ("" for none), for example ``CLOCK_OFFSET``.
    """

    key: str
    level: str
    text: str
    freeze: str = ""


# -- the operator --------------------------------------------------------------------------------


class Verb(enum.StrEnum):
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    SCALE = "scale"
    ADOPT = "adopt"
    LIQUIDATE = "liquidate"
    ACK = "ack"
    CLEAR = "clear"
    RESOLVE = "resolve"
    FREEZE = "freeze"
    LOCK = "lock"


class OperatorAsked(Event, frozen=True, kw_only=True):
    """One command of a person; ``subject`` is an alarm key, a trip reason or an order id."""

    verb: Verb
    request_id: str
    subject: str = ""
    usd: Decimal | None = None
    quantity: Decimal | None = None
    by: str = ""


# -- the market ----------------------------------------------------------------------------------


class QuoteSeen(Event, frozen=True, kw_only=True):
    leg: Leg
    quote: Quote


class MarkSeen(Event, frozen=True, kw_only=True):
    mark: Mark


class FundingSeen(Event, frozen=True, kw_only=True):
    rate: FundingRate


# -- orders and the account ----------------------------------------------------------------------


class OrderReported(Event, frozen=True, kw_only=True):
    """From an acknowledgement or the stream; which of them does not matter (R8)."""

    leg: Leg
    report: OrderReport


class OrderRefused(Event, frozen=True, kw_only=True):
    """A definite no to a placed order: an allow-listed code, or never left this process."""

    leg: Leg
    client_order_id: str
    code: str
    text: str = ""


class OrderUnanswered(Event, frozen=True, kw_only=True):
    """Sent, and no usable answer: the outcome is unknown (R4)."""

    leg: Leg
    client_order_id: str
    why: str = ""


class CancelUnsettled(Event, frozen=True, kw_only=True):
    """A cancel was refused or not answered; neither says anything about fills (F08)."""

    leg: Leg
    client_order_id: str
    why: str = ""


class FillSeen(Event, frozen=True, kw_only=True):
    fill: Fill


class FundingPaid(Event, frozen=True, kw_only=True):
    payment: FundingPayment


class BalanceSeen(Event, frozen=True, kw_only=True):
    """A hint: it wakes an audit and is not believed by itself."""

    balance: Balance


class PositionSeen(Event, frozen=True, kw_only=True):
    """A hint, like `BalanceSeen`."""

    position: Position


class StreamChanged(Event, frozen=True, kw_only=True):
    leg: Leg
    kind: StreamKind
    up: bool
    why: str = ""


class StreamHeard(Event, frozen=True, kw_only=True):
    leg: Leg
    kind: StreamKind


class LegAudited(Event, frozen=True, kw_only=True):
    """One leg, read whole; every part of it was answered (else it is `LegUnread`).

    ``asked_at`` is the host's time before the first read, ``server_at`` the venue's. Orders that
    were asked for by id are in ``found`` or, by the venue's authoritative word, in ``missing``.
    """

    leg: Leg
    audit_id: int
    asked_at: int
    server_at: int
    clock_offset: int | None = None
    """The venue's time less ours, ns: taken halfway between asking for it and the answer."""
    clock_error: int = 0
    """Half that round trip, ns: the offset is known no better than this."""
    found: tuple[OrderReport, ...] = ()
    missing: tuple[str, ...] = ()
    open_orders: tuple[OrderReport, ...] = ()
    fills: tuple[Fill, ...] = ()
    payments: tuple[FundingPayment, ...] = ()
    balances: tuple[Balance, ...] = ()
    position: Position | None = None
    position_mode: PositionMode | None = None
    margin_free: Decimal | None = None
    margin_ratio: Decimal | None = None
    leverage: Decimal | None = None
    funding: FundingRate | None = None
    """The rate as polled with a futures audit."""
    tradable: bool = True
    changed: str = ""
    """What the instrument's units were and are, when they are no longer those of the terms."""


class LegUnread(Event, frozen=True, kw_only=True):
    """An audit that did not get all its answers; it resolves nothing and proves nothing (R10)."""

    leg: Leg
    audit_id: int
    why: str
    refused: bool = False


class EquitySeen(Event, frozen=True, kw_only=True):
    """Both accounts as the venues state them, taken while no order of ours was open.

    ``spot`` and ``futures`` are balances by asset; one account for both legs has ``shared`` and an
    empty ``futures``. ``spot_at`` and ``futures_at`` are the venues' times of the reads.
    """

    label: str
    spot: tuple[Balance, ...]
    futures: tuple[Balance, ...]
    shared: bool
    position: Position
    spot_mid: Decimal
    futures_mid: Decimal
    spot_at: int
    futures_at: int


AnyEvent = (
    EngineStarted
    | ActionAsked
    | IdsLeased
    | TimerFired
    | RecordingEnded
    | ShellAlarmed
    | OperatorAsked
    | QuoteSeen
    | MarkSeen
    | FundingSeen
    | OrderReported
    | OrderRefused
    | OrderUnanswered
    | CancelUnsettled
    | FillSeen
    | FundingPaid
    | BalanceSeen
    | PositionSeen
    | StreamChanged
    | StreamHeard
    | LegAudited
    | LegUnread
    | EquitySeen
)

PASSING = (QuoteSeen, MarkSeen, TimerFired, StreamHeard)
"""Events that are never journalled: they change no book (R3)."""
