"""What the engine remembers only while its process lives: reads in flight, witnesses, retries.

Nothing here is journalled, and nothing here may decide what the books say: after a restart all of
it is found out again by asking the venues, but for the day's profits: those come from the rows.
"""

from decimal import Decimal

import msgspec

from hedge.decide import events as e
from hedge.decide.books import Books
from hedge.decide.leg_book import OrderRecord
from hedge.decide.spot_task import Calm
from hedge.decide.terms import Action, HedgeTerms, InventoryRule, millis
from hedge.model import Balance, Fill, Leg
from hedge.model.numbers import SECOND, ZERO

CLOCK_ERROR_MAX = SECOND // 4
"""A clock that was asked over a slower line than this says nothing of ours."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """One read that disagreed with the books; a second one must agree with it (R9)."""

    difference: Decimal
    asked_at: int
    changed_at: int
    doubted: bool = False
    """Whether orders were in doubt that are dead if the difference is somebody else's."""


class LegNotes(msgspec.Struct, kw_only=True):
    """What is known of one leg's reads and retries."""

    known: bool = False
    audit_id: int = 0
    asked_at: int = 0
    """When the audit in flight was asked; 0 when none is."""
    last_asked_at: int = 0
    last: e.LegAudited | None = None
    heard_at: int = 0
    failures: int = 0
    refused_why: str = ""
    failed_at: int = 0
    dirty_at: int = 0
    doubted_at: int = 0
    """What was asked before this may not show what a push said of the leg, against the books."""
    not_before: int = 0
    missing: dict[str, int] = {}
    """Order id -> the server's time of the last audit that did not know it."""
    missing_since: dict[str, int] = {}
    """Order id -> that of the first of them in a row, since this process began."""
    just_in: bool = False
    agreed: bool = False
    """Whether the last audit's holdings were those of the books."""
    witness: Witness | None = None
    differs_since: int = 0
    """Since when the reads have held something else than the books."""
    differs: Decimal = ZERO
    """By how much the last of them did."""
    misses: int = 0
    refusals: int = 0
    retry_at: int = 0

    def differs_for(self, now: int) -> int:
        """Return for how long, ns, the venue has shown something else than the books."""
        return now - self.differs_since if self.differs_since else 0

    def read_since(self, at: int) -> bool:
        """Return whether the leg was read after ``at``, and behind all that contradicted it."""
        asked_at = self.last.asked_at if self.last is not None else 0
        return asked_at > at and asked_at >= self.doubted_at


class LossNotes(msgspec.Struct, kw_only=True):
    """What the loss limit compares with (`hedge.decide.loss`)."""

    samples: list[tuple[int, Decimal]] = []
    """An hour's first profit and when it was, for a day."""
    unsure: bool = False
    """Whether the last of them was looked at but once."""
    came: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))
    """What had come from outside at that time: coins, and position."""
    seen: Decimal = Decimal(0)
    seen_at: int = 0
    """The last look at both legs' prices: what was lost by it, and when it was."""
    again_at: int = 0
    """When to look again without waiting for an audit; 0: there is no need."""


class Volatile:
    """One process's notes."""

    def __init__(self, started_at: int = 0, replayed_to: int = 0) -> None:
        self.now = started_at
        self.started_at = started_at
        self.replayed_to = replayed_to
        self.legs = {Leg.SPOT: LegNotes(), Leg.FUTURES: LegNotes()}
        self.recovered = False
        self.asked: e.ActionAsked | None = None
        self.line: Action | None = None
        """What this process was started for, whatever a person has asked for since."""
        self.begun = False
        """Whether this process's start line has been taken up; nothing is decided before."""
        self.shell_alarms: list[e.ShellAlarmed] = []
        self.forced: list[Fill] = []
        self.unknown_fill = ""
        self.recording_ended_at = 0
        self.progress_at = started_at
        self.price_hot = False
        """Whether the next quote may change a decision; ``calm`` says which quotes cannot."""
        self.calm: Calm | None = None
        self.hinted = False
        """Whether the balance or position in hand contradicts the books."""
        self.paid = False
        """A settlement was paid since the last measurement of equity."""
        self.settle_from = 0
        self.top_ups = 0
        self.unhedged_since = 0
        self.known_gap = Decimal(0)
        """The gap that the mode was entered with, as far as it still stands: being mended."""
        self.unhedged_max = Decimal(0)
        self.exposure_at_max = Decimal(0)
        self.down_since: dict[Leg, int] = {}
        self.fresh_since = 0
        self.spot_placed: list[int] = []
        self.audit_just_in = False
        self.equity_since = 0
        self.equity_again_at = 0
        """When a measurement that was read behind is taken again; 0: none was."""
        self.enter_now = False
        self.last_hedge: OrderRecord | None = None
        self.lease_waits = 0
        self.active_since = 0
        """When HALT was last left: what is read more often since is owed from then on."""
        self.clock_offset: dict[Leg, int] = {}
        """What to add to our time to get the venue's, ns; as the last audit measured it."""
        self.ending: tuple[int, str, str] | None = None
        """Exit code, reason and text of an end that waits for its closing equity."""
        self.noticed: set[str] = set()
        self.said_at: dict[str, int] = {}
        """When each alarm was last called for, whether or not it was raised."""
        self.losses = LossNotes()
        self.dead_hedges: list[tuple[int, Decimal]] = []

    def of_the_next(self, at: int) -> "Volatile":
        """Return what a process that starts at ``at`` begins with: the day's losses, no more."""
        fresh = Volatile(started_at=at, replayed_to=min(self.replayed_to or at, at))
        fresh.losses.samples = [(min(then, at), worth) for then, worth in self.losses.samples]
        fresh.losses.came, fresh.losses.unsure = self.losses.came, self.losses.unsure
        return fresh

    def dirty(self, leg: Leg) -> None:
        """Ask for a read of ``leg`` soon: something was seen that the books do not explain."""
        self.legs[leg].dirty_at = self.now

    def doubt_reads(self, leg: Leg, lag: int) -> None:
        """Ask for a read of ``leg`` that no lag can have made older than what was just pushed."""
        self.legs[leg].dirty_at = self.legs[leg].doubted_at = self.now + lag

    def refused(self, leg: Leg, code: str, at: int) -> None:
        notes = self.legs[leg]
        notes.refusals += 1
        notes.refused_why = code
        notes.dirty_at = at
        backoff_s = min(60, 2 ** min(notes.refusals, 6))
        notes.retry_at = at + (SECOND if notes.refusals == 1 else backoff_s * SECOND)

    def accepted(self, leg: Leg) -> None:
        """The spot venue takes orders: its next refusal is the first again."""
        if leg is Leg.SPOT:
            self.legs[leg].refusals = 0

    def audited(self, event: e.LegAudited) -> None:
        notes = self.legs[event.leg]
        notes.known = notes.just_in = True
        notes.last = event
        notes.heard_at = event.at
        notes.asked_at = 0
        notes.failures = 0
        if notes.dirty_at <= event.asked_at:
            notes.dirty_at = 0
        server_at, since = event.server_at, notes.missing_since
        notes.missing = dict.fromkeys(event.missing, server_at)
        notes.missing_since = {oid: since.get(oid, server_at) for oid in event.missing}
        if event.clock_offset is not None and event.clock_error <= CLOCK_ERROR_MAX:
            self.clock_offset[event.leg] = event.clock_offset
        self.audit_just_in = True

    def unread(self, leg: Leg, event: e.LegUnread, at: int) -> None:
        notes = self.legs[leg]
        notes.asked_at = 0
        notes.failures += 1
        notes.failed_at = at
        if event.refused:
            notes.refused_why = event.why

    def hint_balance(self, terms: HedgeTerms, books: Books, balance: Balance) -> bool:
        """Wake an audit when a pushed balance cannot be what the books say; return whether."""
        if balance.asset != terms.spot.instrument.base:
            return False
        held = books.spot.held
        short = balance.total < held and not books.spot.open
        differs = terms.inventory is InventoryRule.ACCOUNT and balance.total != held
        if short or differs:
            lag = 0 if books.spot.open else millis(terms.spot.read_lag_ms)
            self.doubt_reads(Leg.SPOT, lag)
        return short or differs
