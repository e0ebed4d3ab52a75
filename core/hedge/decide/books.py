"""The books of one hedge: both legs, the mode, the run, the trips and the alarms.

The journal alone rebuilds them. Nothing here looks at a price, a quote's age or a clock; that is
`Market`.
"""

import hashlib
from collections import OrderedDict
from decimal import Decimal

import msgspec

from hedge.decide import commands as c
from hedge.decide.events import OperatorAsked
from hedge.decide.funding_policy import FundingTally
from hedge.decide.leg_book import LegBook
from hedge.decide.mode import Mode, Trigger, step
from hedge.decide.terms import Action, HedgeTerms, InventoryRule
from hedge.model import FundingPayment, Leg
from hedge.model.numbers import ZERO

PAYMENTS_KEPT = 4_096
REQUESTS_KEPT = 256
ADOPTION = "adopt:"
"""What the request of a start line's adoption begins with."""


class Alarm(msgspec.Struct, kw_only=True):
    key: str
    level: str
    text: str
    raised_at: int
    settled: bool = False
    acknowledged: bool = False


class Run(msgspec.Struct, kw_only=True):
    """One start line at work; open until flat, or, for ``default`` and ``scale``, until HALT."""

    run_id: int = 0
    action: Action = Action.DEFAULT
    request_id: str = ""
    open: bool = False
    waiting: bool = False
    opened_at: int = 0
    closed_why: str = ""
    unwound: bool = False
    """Both legs have come down to nothing; what remains is the last measurement."""


class Books:
    """Both legs, the mode, the run, the trips and the alarms."""

    def __init__(self, terms: HedgeTerms) -> None:
        self.terms = terms
        account = terms.inventory is InventoryRule.ACCOUNT
        self.spot = LegBook(Leg.SPOT, terms.spot, follows_account=account, prefix=terms.prefix)
        self.futures = LegBook(Leg.FUTURES, terms.futures, prefix=terms.prefix)
        self.mode = Mode.HALT
        self.run = Run()
        self.target: Decimal | None = None
        self.target_price = ZERO
        self.trips: dict[str, int] = {}
        self.trip_texts: dict[str, str] = {}
        self.alarms: dict[str, Alarm] = {}
        self.tally = FundingTally()
        self.payments: OrderedDict[str, None] = OrderedDict()
        self.funding_cash = ZERO
        self.paused = False
        self.stopping_at = 0
        self.unexplained = False
        """A position was found at a start and nobody has adopted it."""
        self.external_at = 0
        self.boot_id = ""
        self.epoch = 0
        self.equity_labels: list[str] = []
        self.equity_wanted = ""
        """Only for the process that asked; no part of the state."""
        self.moded_at = 0
        self.ended = ""
        self.requests: dict[str, None] = {}
        self.asked: dict[str, OperatorAsked] = {}
        """What people asked for and nobody has taken in hand yet."""

    def leg(self, leg: Leg) -> LegBook:
        return self.spot if leg is Leg.SPOT else self.futures

    @property
    def trip(self) -> int:
        return max(self.trips.values()) if self.trips else 0

    @property
    def in_doubt(self) -> bool:
        return self.spot.doubtful or self.futures.doubtful

    # -- facts -----------------------------------------------------------------------------------

    def book_payment(self, payment: FundingPayment) -> bool:
        if payment.payment_id in self.payments:
            return False
        self.payments[payment.payment_id] = None
        if len(self.payments) > PAYMENTS_KEPT:
            self.payments.popitem(last=False)
        self.funding_cash += payment.cash
        return True

    def note_request(self, request_id: str) -> None:
        """Remember a request; adoptions for good: their start line comes again with each start."""
        self.requests[request_id] = None
        if len(self.requests) > REQUESTS_KEPT:
            oldest = next((one for one in self.requests if not one.startswith(ADOPTION)), "")
            self.requests.pop(oldest, None)

    def notice_foreign(self, at: int) -> None:
        """Somebody else moved our position: found at the first start, external ever after (F50)."""
        if not self.futures.foreign_at:
            return
        self.futures.foreign_at = 0
        if self.run.run_id:
            self.external_at = at
            self.unexplained &= bool(self.futures.held)
        else:
            self.unexplained = bool(self.futures.held)

    def acknowledge(self, key: str) -> None:
        """Acknowledge one alarm, or all with ``*``; a settled one disappears."""
        for alarm in list(self.alarms.values()):
            if key in ("*", alarm.key):
                alarm.acknowledged = True
                if alarm.settled:
                    del self.alarms[alarm.key]

    def restart(self, boot_id: str, epoch: int, at: int) -> None:
        died = bool(self.boot_id) and self.boot_id != boot_id
        self.moded_at = min(self.moded_at, at)
        self.tally.last_at = min(self.tally.last_at, at)  # or a clock set back counts nothing more
        self.boot_id, self.epoch = boot_id, epoch
        for book in (self.spot, self.futures):
            book.restart(epoch, at, machine_died=died, prefix=self.terms.prefix)
        self.ended = ""
        self.stopping_at = 0
        self.equity_wanted = ""

    # -- commands --------------------------------------------------------------------------------

    def enact(self, command: c.AnyCommand, at: int) -> None:
        """Let a command change the books; the same in life and in replay."""
        match command:
            case c.PlaceOrder(order=order):
                self.leg(order.leg).add(command, at)
            case c.CancelOrder(leg=leg, client_order_id=client_order_id):
                self.leg(leg).orders[client_order_id].cancel_asked_at = at
            case c.LeaseIds(leg=leg, last=last):
                self.leg(leg).lease_wished_to = last
            case c.ChangeMode(mode=mode, trigger=trigger):
                assert step(self.mode, trigger) is mode
                self.mode = mode
                self.moded_at = at
                self.spot.await_lease()
                if trigger is Trigger.BUILT:
                    self.external_at = 0  # equal again, and confirmed: what was lost is mended
                self.run.waiting = False
                ended = trigger is Trigger.UNWOUND or self.run.unwound
                self.run.unwound = ended and mode is Mode.HALT
            case c.SetTarget(quantity=quantity, price=price):
                self.target, self.target_price = quantity, price
            case c.DeclareDead(leg=leg, client_order_id=client_order_id):
                self.leg(leg).bury(client_order_id, at)
                self.notice_foreign(at)
            case c.BookExternal():
                self._book_external(command, at)
            case c.OpenRun() | c.CloseRun() | c.SetPaused() | c.SetStopping() | c.EndRun():
                self._enact_run(command, at)
            case c.SetTrip() | c.RaiseAlarm() | c.SettleAlarm():
                self._enact_alarm(command, at)
            case c.ReadEquity(label=label):
                self.equity_wanted = label
            case c.Serve(request_id=request_id):
                self.asked.pop(request_id, None)
            case c.AuditLeg() | c.WakeAt() | c.Notice():
                pass

    def _book_external(self, command: c.BookExternal, at: int) -> None:
        book = self.leg(command.leg)
        book.held += command.quantity
        book.external += command.quantity
        book.changed_at = at
        if command.request_id:
            self.requests[command.request_id] = None
            self.asked.pop(command.request_id, None)  # coins are taken in once, whoever dies
        if command.reason == "ADOPTED":
            self.unexplained = False
            book.await_lease()  # whose the coins are is on disk before they are sold (ADR 0018)
            return
        book.spend_unmatched()
        if command.reason == "FOUND_AT_START":
            self.unexplained = True
        elif command.leg is Leg.FUTURES:
            self.external_at = at
            # Whoever's it was, it is gone: what is built from here on is ours.
            self.unexplained &= bool(book.held)

    def _enact_run(self, command: c.AnyCommand, at: int) -> None:
        match command:
            case c.OpenRun():
                self.run = Run(
                    run_id=command.run_id,
                    action=command.action,
                    request_id=command.request_id,
                    open=True,
                    waiting=command.waiting,
                    opened_at=at,
                )
                self.spot.await_lease()
            case c.CloseRun(reason=reason):
                self.run.open = self.run.waiting = False
                self.run.closed_why = reason
            case c.SetPaused(paused=paused):
                self.paused = paused
            case c.SetStopping(stopping=stopping):
                self.stopping_at = at if stopping else 0
            case c.EndRun(reason=reason):
                self.ended = reason

    def _enact_alarm(self, command: c.AnyCommand, at: int) -> None:
        match command:
            case c.SetTrip(reason=reason, level=0):
                self.trips.pop(reason, None)
                self.trip_texts.pop(reason, None)
                if reason == "EXTERNAL":
                    self.external_at = 0
            case c.SetTrip(reason=reason, level=level, text=text):
                self.trips[reason] = level
                self.trip_texts[reason] = text
            case c.RaiseAlarm(key=key, level=level, text=text):
                self.alarms[key] = Alarm(key=key, level=level, text=text, raised_at=at)
            case c.SettleAlarm(key=key):
                alarm = self.alarms.get(key)
                if alarm is not None:
                    alarm.settled = True
                    if alarm.acknowledged:
                        del self.alarms[key]

    def state_hash(self) -> str:
        """Return one word for the whole state: two replays of one journal agree on it (F29)."""
        picture = {
            "spot": self.spot.picture(),
            "futures": self.futures.picture(),
            "mode": self.mode,
            "run": self.run,
            "target": self.target,
            "trips": sorted(self.trips.items()),
            "alarms": list(self.alarms.values()),
            "tally": self.tally,
            "payments": list(self.payments),
            "funding": self.funding_cash,
            "flags": [self.paused, self.stopping_at, self.unexplained, self.external_at],
            "boot": [self.boot_id, self.epoch],
            "equity": self.equity_labels,
            "requests": list(self.requests),
            "asked": list(self.asked.values()),
            "ended": self.ended,
        }
        return hashlib.blake2b(msgspec.json.encode(picture), digest_size=16).hexdigest()
