"""The one door: an event goes in, commands come out, and nothing else happens.

`Engine.handle` absorbs a fact into the books (or into the market cache), then decides. Decisions
run in a fixed order: recover, watch, act on what was asked, change the mode, hedge, and only then
add risk. The engine never asks the time; ``event.at`` is the time.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import assert_never

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide import exposure, loss, modes, recovery, trading, watch
from hedge.decide.books import Books
from hedge.decide.commands import AnyCommand
from hedge.decide.events import AnyEvent, Verb
from hedge.decide.funding_policy import observe
from hedge.decide.leg_book import FORCED, LegBook
from hedge.decide.market import Market
from hedge.decide.mode import Mode
from hedge.decide.modes import TOP_UPS_MAX
from hedge.decide.rows import AnyEntry, Row
from hedge.decide.terms import HedgeTerms, millis
from hedge.decide.volatile import Volatile
from hedge.model import FillKind, Leg, StreamKind
from hedge.model.numbers import MINUTE, MS, plain

FAR = 1 << 62
REPEATED = (e.OrderReported, e.FillSeen)
"""Facts that decide nothing when the books knew them already."""
HINTS = (e.BalanceSeen, e.PositionSeen)
"""Facts that decide nothing unless they contradict the books."""
ALARM_SILENCE = 2 * MINUTE
"""A cause that says nothing for so long, and for two audits, is over."""
ALARMS_OF_TRIP = {
    "EXTERNAL": ("EXTERNAL_SPOT", "EXTERNAL_FUTURES", "FORCED_CLOSE"),
    "INSTRUMENT": ("INSTRUMENT_CHANGED",),
    "LOSS": ("LOSS_FLATTEN",),
}
"""What tells of a trip by another name than its own."""
WAKE_APART = 10 * MS
"""No rule is woken sooner than this after it looked; one that asks for less waits for it."""


class Engine:
    """One hedge's decisions. ``terms`` never change while it lives."""

    def __init__(self, terms: HedgeTerms) -> None:
        self.terms = terms
        self.books = Books(terms)
        self.market = Market()
        self.now = 0
        self.touched = False
        """Whether the last event changed a book, and so belongs into the journal."""
        self.volatile = Volatile()
        self.reason = ""
        """Why nothing is being sent; for people."""
        self._out: list[AnyCommand] = []
        self._due = FAR
        self._wake_at = FAR

    # -- the door --------------------------------------------------------------------------------

    def handle(self, event: AnyEvent) -> tuple[AnyCommand, ...]:
        """Absorb one fact and return what is to be done about it, in order.

        Raise `AssertionError` on a broken invariant: the caller stops with exit code 13.
        """
        at = event.at
        # Between two processes the clock may have been set back; within one it never is (F54).
        self.now = at if type(event) is e.EngineStarted else max(self.now, at)
        self.volatile.now = self.now
        self.touched = False
        if type(event) is e.QuoteSeen:
            self.market.see_quote(event.leg, event.quote, self.now)
            if not self._quote_matters():
                return ()
        else:
            self.absorb(event)
            kind = type(event)
            if kind is e.StreamHeard or kind is e.MarkSeen:
                return ()
            if not self.touched and kind in REPEATED and self.now < self._wake_at:
                return ()
            if kind in HINTS and not self.volatile.hinted and self.now < self._wake_at:
                return ()
            if self._spot_moved(event) and self._hedged_at_once():
                return self._taken()
        self._decide()
        return self._taken()

    def _taken(self) -> tuple[AnyCommand, ...]:
        commands = tuple(self._out)
        self._out.clear()
        return commands

    def replay(self, rows: Iterable[Row]) -> int:
        """Rebuild the books from a journal; return the time of its last row (0 without rows)."""
        last = 0
        for row in rows:
            self.apply(row.entry, row.at)
            loss.remember(self, row)
            last = row.at
        self.volatile.replayed_to = self.now = last
        return last

    def apply(self, entry: AnyEntry, at: int) -> None:
        """Take one journalled entry without deciding anything."""
        if isinstance(entry, e.Event):
            self.absorb(entry)
        else:
            self.books.enact(entry, at)

    def issue(self, command: AnyCommand) -> None:
        """Let a command change the books and leave; for the rooms of the core only."""
        self.books.enact(command, self.now)
        self._out.append(command)

    def due(self, at: int) -> None:
        """Ask to be woken at ``at`` at the latest; for the rooms of the core only."""
        if at < self._due:  # noqa: PLR1730 - asked ten times a decision; a call of `min` costs more
            self._due = at

    # -- facts -----------------------------------------------------------------------------------

    def absorb(self, event: AnyEvent) -> None:  # noqa: PLR0915 - the one table of arms
        """Take one fact into the books, the market or the volatile notes; decide nothing."""
        books, at = self.books, event.at
        match event:
            case e.QuoteSeen():
                self.market.see_quote(event.leg, event.quote, at)
            case e.OrderReported():
                self._absorb_report(event)
                self.market.account_heard_at[event.leg] = at
            case e.FillSeen(fill=fill):
                self.touched = self._absorb_fill(event)
                self.market.account_heard_at[fill.leg] = at
            case e.MarkSeen(mark=mark):
                self.market.see_mark(mark, at)
            case e.StreamHeard(leg=leg, kind=kind):
                if kind is StreamKind.ACCOUNT:
                    self.market.account_heard_at[leg] = at
                # Proof that the last quote still stands; without one it proves nothing.
                elif self.market.quotes[leg] is not None and leg not in self.market.broken_off:
                    self.market.market_heard_at[leg] = at
            case e.TimerFired():
                self._wake_at = FAR
            case e.OrderRefused(leg=leg, client_order_id=client_order_id, code=code):
                self.touched = books.leg(leg).refuse(client_order_id, at)
                self.volatile.refused(leg, code, at)
            case e.OrderUnanswered(leg=leg, client_order_id=client_order_id):
                self.touched = books.leg(leg).unanswered(client_order_id, at)
                self.volatile.dirty(leg)
            case e.CancelUnsettled(leg=leg):
                self.volatile.dirty(leg)
            case e.LegAudited():
                self.touched = self._absorb_audit(event)
            case e.LegUnread(leg=leg):
                self.volatile.unread(leg, event, at)
            case e.FundingSeen(rate=rate):
                self.market.see_funding(rate, at)
                self.touched = observe(books.tally, rate, self.terms.funding, at)
            case e.FundingPaid(payment=payment):
                self.touched = books.book_payment(payment)
                self.volatile.paid |= self.touched
            case e.BalanceSeen(balance=balance):
                self.volatile.hinted = self.volatile.hint_balance(self.terms, books, balance)
            case e.PositionSeen(position=position):
                self.volatile.hinted = position.quantity != books.futures.held
                if self.volatile.hinted:
                    # While our order is out, its fill explains the difference in a moment.
                    lag = 0 if books.futures.open else millis(self.terms.futures.read_lag_ms)
                    self.volatile.doubt_reads(Leg.FUTURES, lag)
            case e.StreamChanged(leg=leg, kind=kind, up=up):
                self.market.up[leg, kind] = up
                self.touched = True
                if kind is StreamKind.MARKET:
                    self.market.broken_off.add(leg)
                elif up:
                    self.market.account_heard_at[leg] = at
                self.volatile.dirty(leg)
            case e.EngineStarted(boot_id=boot_id, epoch=epoch):
                books.restart(boot_id, epoch, at)
                self.market.begin()
                self.volatile = self.volatile.of_the_next(at)
                self.touched = True
            case e.IdsLeased(leg=leg, epoch=epoch, last=last):
                book = books.leg(leg)
                if epoch == book.epoch:
                    book.leased_to = max(book.leased_to, last)
                self.touched = True
            case e.EquitySeen() if recovery.contradicted(self, event):
                self.volatile.equity_again_at = at + recovery.AUDIT_APART
            case e.EquitySeen(label=label):
                books.equity_labels.append(label)
                del books.equity_labels[:-8]
                if label == books.equity_wanted:
                    books.equity_wanted = ""
                self.touched = True
            case e.ActionAsked():
                self.volatile.asked = event
                self.volatile.line = event.action
                self.touched = True
            case e.OperatorAsked():
                self.touched = True
                self._absorb_operator(event)
            case e.RecordingEnded():
                self.volatile.recording_ended_at = at
                self.touched = True
            case e.ShellAlarmed():
                self.volatile.shell_alarms.append(event)
                self.touched = True
            case _:
                assert_never(event)
        books.notice_foreign(at)

    def _absorb_report(self, event: e.OrderReported) -> None:
        book = self.books.leg(event.leg)
        self.touched = book.book_report(event.report, event.at)
        if self.touched and book.turned_away(event.report.client_order_id):
            self.volatile.refused(event.leg, "POST_ONLY_CANCELLED", event.at)
        else:
            self.volatile.accepted(event.leg)

    def _absorb_fill(self, event: e.FillSeen) -> bool:
        fill = event.fill
        book = self.books.leg(fill.leg)
        news = book.book_fill(fill, event.at)
        if not news:
            return False
        if fill.kind is FillKind.UNKNOWN:
            self.volatile.unknown_fill = fill.fill_id
            self.volatile.dirty(fill.leg)
        elif fill.kind in FORCED:
            self.books.external_at = event.at
            self.volatile.forced.append(fill)
        elif fill.client_order_id not in book.orders or fill.key in book.unmatched:
            self.volatile.dirty(fill.leg)
        if fill.leg is Leg.SPOT:
            self.volatile.progress_at = event.at
        return True

    def _absorb_audit(self, event: e.LegAudited) -> bool:
        books, at = self.books, event.at
        book = books.leg(event.leg)
        touched = not book.begun  # what the books begin with is written down
        before = len(book.orders)
        for report in (*event.found, *event.open_orders):
            touched |= book.book_report(report, at)
            if report.client_order_id not in book.orders and report.client_order_id.startswith(
                self.terms.prefix
            ):
                book.adopt_stray(report, at)
        touched |= len(book.orders) != before
        for fill in event.fills:
            if fill.key not in book.fill_keys:  # a read repeats the last minute's, and more
                touched |= book.pass_over(fill) or self._absorb_fill(e.FillSeen(at=at, fill=fill))
        book.begun = True
        for client_order_id in event.missing:
            touched |= book.vanished(client_order_id, at)
        for payment in event.payments:
            paid = books.book_payment(payment)
            self.volatile.paid |= paid
            touched |= paid
        if event.funding is not None:
            self.market.see_funding(event.funding, at)
            touched |= observe(books.tally, event.funding, self.terms.funding, at)
        if touched:
            self.volatile.dirty(event.leg)
        self.volatile.audited(event)
        return touched

    def _absorb_operator(self, event: e.OperatorAsked) -> None:
        """Take what changes no mode at once; the rest waits its turn in `operate`."""
        if event.request_id in self.books.requests:
            return
        self.books.note_request(event.request_id)
        if event.verb is Verb.ACK:
            self.books.acknowledge(event.subject)
        else:
            self.books.asked[event.request_id] = event

    # -- decisions -------------------------------------------------------------------------------

    def _quote_matters(self) -> bool:
        """Return whether a quote can change a decision now: most cannot, and cost nothing."""
        if not self.volatile.price_hot or self.now >= self._wake_at:
            return self.now >= self._wake_at
        calm, quotes = self.volatile.calm, self.market.quotes
        spot, futures = quotes[Leg.SPOT], quotes[Leg.FUTURES]
        return calm is None or spot is None or futures is None or not calm.covers(spot, futures)

    def _spot_moved(self, event: AnyEvent) -> bool:
        """Return whether this may have changed what is held on spot."""
        if type(event) is e.FillSeen:
            return event.fill.leg is Leg.SPOT
        return type(event) is e.OrderReported and event.leg is Leg.SPOT and self.touched

    def _hedged_at_once(self) -> bool:
        """Hedge a spot fill before anything else is looked at, and look at the rest a moment later.

        The order passes the gate with the trips that stand; only the watching for new ones waits.
        """
        if not self._only_trades:
            return False
        self.reason = ""
        # While a hedge is under way there is none to send: what came adds up until its answer.
        if not self.books.futures.open and not trading.hedge(self):
            return False
        self._ask_to_be_woken(self.now)
        return True

    @property
    def _only_trades(self) -> bool:
        """Return whether nothing but trading is under way: no start, no end, no person's wish."""
        books, notes = self.books, self.volatile
        return (
            books.mode is not Mode.HALT
            and notes.recovered
            and notes.begun
            and notes.asked is None
            and notes.ending is None
            and not notes.recording_ended_at
            and not books.equity_wanted
            and not books.stopping_at
            and not books.asked
            and not books.ended
        )

    def _ask_to_be_woken(self, due: int) -> None:
        if due < self._wake_at and not self.books.ended:
            self._wake_at = max(due, self.now + WAKE_APART)
            self._out.append(c.WakeAt(wake_at=self._wake_at))

    def _decide(self) -> None:
        if self.books.ended:
            return
        self._due = FAR
        if self.now >= self._wake_at:
            self._wake_at = FAR  # whatever came first has woken us; ask anew
        self.reason = ""
        self.volatile.price_hot = False
        self.volatile.calm = None
        recovery.decide(self)
        watch.decide(self)
        if modes.decide(self):
            trading.decide(self)
        self.volatile.audit_just_in = False
        self._ask_to_be_woken(self._due)

    # -- what the rooms ask ----------------------------------------------------------------------

    @property
    def inventory(self) -> Decimal:
        return self.books.spot.held

    @property
    def position(self) -> Decimal:
        return self.books.futures.held

    @property
    def delta(self) -> Decimal:
        return exposure.delta(self.inventory, self.position, self.terms.hedge_ratio)

    @property
    def equal(self) -> bool:
        """Return whether the books are equal; nothing in doubt, both legs read (B1)."""
        return self.legs_known and not self.books.in_doubt and self.quantities_equal

    @property
    def quantities_equal(self) -> bool:
        return self.stranded or exposure.equal(
            self.inventory,
            self.position,
            ratio=self.terms.hedge_ratio,
            lot=self.terms.futures.instrument.lot,
            tolerance_bps=self.terms.limits.tolerance_bps,
        )

    @property
    def stranded(self) -> bool:
        """Return whether what is unhedged is dust that neither leg could trade away (I1)."""
        gap, price, perpetual = self.delta, self.spot_price, self.terms.futures.instrument
        if not price or self.position > 0 or abs(gap) < perpetual.lot:
            return False  # less than a lot is equal by the rule, not by this exception
        if gap < 0 and perpetual.reduce_only_below_min:
            return False  # what is short beyond the coins can be bought back
        if gap > 0 and self.books.mode is Mode.INVENTORY and self.volatile.top_ups < TOP_UPS_MAX:
            return False  # a build can still be rounded up to something whole
        return abs(gap) < exposure.hedge_min(self.terms, price) and (
            abs(gap) < self.terms.hedge_ratio * self.terms.spot.instrument.smallest_order(price)
        )

    @property
    def legs_known(self) -> bool:
        """Return whether both legs were read since this process started."""
        notes = self.volatile.legs
        return notes[Leg.SPOT].known and notes[Leg.FUTURES].known

    @property
    def spot_price(self) -> Decimal:
        """Return the spot mid, or the price the target was set at before the first quote."""
        return self.market.mid(Leg.SPOT) or self.books.target_price

    def leg_books(self) -> tuple[LegBook, LegBook]:
        return self.books.spot, self.books.futures

    def describe_delta(self) -> str:
        """Return the delta in base and bp, for sentences."""
        gap = self.delta
        base = self.inventory * self.terms.hedge_ratio
        bps = f" ({plain((gap / base * 10_000).quantize(Decimal('0.1')))} bp)" if base else ""
        return f"delta is {plain(gap)}{bps}"

    def alarm(self, key: str, level: str, text: str) -> None:
        """Raise an alarm row unless the same cause already stands.

        Not every cause can say when it is gone: one that has been silent is a new one when it
        speaks again, whether a person has acknowledged the last or not.
        """
        standing, said = self.books.alarms.get(key), self.volatile.said_at
        silence = max(ALARM_SILENCE, 2 * millis(self.terms.limits.audit_halt_ms))
        silent = self.now - said.get(key, self.volatile.started_at) >= silence
        said[key] = self.now
        if standing is None or standing.settled or silent:
            self.issue(c.RaiseAlarm(key=key, level=level, text=text))

    def settle(self, key: str) -> None:
        """Mark an alarm's cause as gone."""
        standing = self.books.alarms.get(key)
        if standing is not None and not standing.settled:
            self.issue(c.SettleAlarm(key=key))

    def trip(self, reason: str, level: int, text: str) -> None:
        if self.books.trips.get(reason) != level:
            self.issue(c.SetTrip(reason=reason, level=level, text=text))

    def untrip(self, reason: str) -> None:
        """Take a trip away, and settle what told of it: the next one is told anew."""
        if reason in self.books.trips:
            self.issue(c.SetTrip(reason=reason, level=0))
            for key in (reason, f"LOCKED_{reason}", *ALARMS_OF_TRIP.get(reason, ())):
                self.settle(key)

    def hold(self, reason: str, detail: str = "") -> None:
        """Say why nothing is sent; the first reason of a decision stands."""
        if not self.reason:
            self.reason = f"{reason}: {detail}" if detail else reason
