"""One episode's world: time, the network, the disk, and a shell around the real core.

`Shell` does what `hedge.runtime.pump` and `hedge.runtime.effects` do, without asyncio: rows are
appended before anything is performed, and every outcome comes back as a fact.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from attribution import Attribution
from swarm import REJECT_CODES, Plan
from truth import Line, Truth
from venue import Denied, Venue

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.events import Verb
from hedge.decide.mode import Mode
from hedge.decide.rows import AnyEntry, Row, belongs
from hedge.decide.terms import Action
from hedge.errors import JournalError
from hedge.journal.frame import JSON, NAME
from hedge.journal.log import JournalLog
from hedge.journal.memory_disk import Fault, MemoryDisk
from hedge.model import (
    LEGS,
    Balance,
    Fill,
    FundingPayment,
    Leg,
    Order,
    OrderReport,
    Position,
    PositionMode,
    ReportedStatus,
    StreamKind,
)
from hedge.model.numbers import MINUTE, MS, SECOND, ZERO, plain
from hedge.roles import AccountNews

BEGIN = 1_700_000_000 * SECOND
DIRECTORY = Path("/sim")
LOG = DIRECTORY / NAME
READ_TIMEOUT = 20 * SECOND
EQUITY_APART = 2 * SECOND
STATUS_KEPT = 60 * SECOND
EVENTS_A_SECOND = 1_000
"""More than this many facts within a second of time is a loop that feeds itself."""
RESTARTS_MAX = 3
RESTARTS_WINDOW = 10 * MINUTE


class Death(NamedTuple):
    """Die after ``points`` more points, or inside write number ``write`` of the disk."""

    kind: str
    """``crash_process`` or ``crash_machine``."""
    points: int = 0
    write: int = 0
    torn: int = 0
    """How many bytes of that write arrive."""
    kept: float = 0.0
    """Which share of what was not synced outlives the machine."""


Strike = tuple[str, int]
"""One strike of a fault: its class, and which of the class it is."""
WIRED = (c.PlaceOrder, c.CancelOrder)
STREAMS = tuple((leg, kind) for leg in Leg for kind in StreamKind)


decode_row = msgspec.json.Decoder(Row).decode


class Died(BaseException):
    """The process dies here."""


class Broken(Exception):
    """An invariant of safety part 3 did not hold."""


class Stream:
    """One subscription as the host sees it."""

    __slots__ = ("deaf_until", "last", "up")

    def __init__(self) -> None:
        self.up = False
        self.deaf_until = 0
        self.last = 0


class World:
    """The scheduler, and everything that is not the engine."""

    def __init__(
        self,
        plan: Plan,
        *,
        trace: bool = False,
        engine: type[Engine] = Engine,
        spared: frozenset[Strike] = frozenset(),
    ) -> None:
        self.plan = plan
        self.make_engine = engine
        self.spared = spared
        """Strikes that do not happen, for whoever looks for the few that matter."""
        self.struck: Counter[str] = Counter()
        self.now = BEGIN
        self.heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = 0
        self.fired: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.lines: list[str] | None = [] if trace else None
        self.disk = MemoryDisk()
        self.venue = Venue(plan, BEGIN, self.tell)
        self.venue.strikes = self.hit
        self.truth = Truth()
        self.unhedged = Attribution(self)
        self._outside = dict(self.venue.outside)
        self._chances = plan.chances()
        self._delay = plan.dice("delay").random
        self._delay_most = plan.delay_most
        self.faults = True
        self.shell: Shell | None = None
        self.streams = {key: Stream() for key in STREAMS}
        self.boots = 1
        self.lives = 0
        self.read_broken_until = 0
        self.banned_until = 0
        self.host_offset = 0
        self.told: set[str] = set()
        """Executions that a read has told the host of."""
        self.in_flight: dict[str, Order] = {}
        """Orders that left the host and whose fate at the venue is open."""
        self.distinct: list[int] | None = None
        """The points at which something differs from the point before, for whoever asks."""
        self._state: tuple[int, ...] = ()
        self.start_line: dict[str, Any] = {}
        self.exits: list[tuple[int, str]] = []
        self.ended = False
        self.mind: Any = None
        """The invariants; set by the episode."""
        self.synced_leases: dict[tuple[int, str], int] = {}
        self.next_crash: tuple[int, str] | None = None
        """(points left, kind): the process dies when it has counted down."""
        self.points = 0
        self.crash_at_point = -1
        self.deaths: list[Death] = []
        """Deaths ordered one by one, for whoever tries every point."""
        self.crash_kind = "crash_process"
        self.down_for = SECOND
        self.kept = 0.0

    def leave(self) -> None:
        """Let go of all that points back here: the memory is free at once, without a collector."""
        vars(self).clear()

    # -- time ------------------------------------------------------------------------------------

    def at(self, when: int, fn: Callable[..., None], *args: Any) -> None:
        self.order += 1
        heappush(self.heap, (max(when, self.now), self.order, fn, args))

    def after(self, delay: int, fn: Callable[..., None], *args: Any) -> None:
        self.order += 1
        heappush(self.heap, (self.now + delay, self.order, fn, args))

    def run(self, until: int, stop: Callable[[], bool] | None = None) -> None:
        heap = self.heap
        if stop is None:
            while heap and heap[0][0] <= until:
                self.now, _, fn, args = heappop(heap)
                fn(*args)
        else:
            while heap and heap[0][0] <= until:
                self.now, _, fn, args = heappop(heap)
                fn(*args)
                if stop():
                    return
        self.now = max(self.now, until)

    def say(self, text: str) -> None:
        if self.lines is not None:
            self.lines.append(f"{(self.now - BEGIN) / 1e9:10.3f} {text}")

    def fire(self, name: str) -> None:
        self.fired[name] += 1

    def hit(self, name: str) -> bool:
        """Draw a fault; count it when it strikes."""
        if not self.faults or name not in self._chances:
            return False
        chance, draw = self._chances[name]
        return draw() < chance and self.strikes(name)

    def strikes(self, name: str) -> bool:
        """Count one strike of a fault; return False for one that is spared."""
        number = self.struck[name] = self.struck[name] + 1
        if (name, number) in self.spared:
            return False
        self.fired[name] += 1
        if self.lines is not None:
            self.say(f"   {name} strikes, {number}")
        return True

    def delay(self) -> int:
        if not self.faults:
            return 20 * MS
        drawn = self._delay()
        return MS + int(drawn * drawn * self._delay_most)

    # -- the process -----------------------------------------------------------------------------

    def boot(self) -> None:
        """Start the process: open the log, replay, and say that it began."""
        if self.shell is not None or self.ended:
            return
        if self.disk.full:
            self.after(5 * SECOND, self.boot)
            return
        self.lives += 1
        if self.plan.has("clock_offset") or self.plan.has("clock_jump"):
            self._set_host_clock()
        if self.lives > 1 and self.faults and self.plan.has("another_action"):
            self._another_action()
        shell = Shell(self)
        try:
            shell.start()
        except Died:
            self.died(shell)
        except JournalError:
            self.shell = None
            shell.alive = False
            self.after(5 * SECOND, self.boot)

    def _another_action(self) -> None:
        """Whoever starts the process again gives it another line, sometimes."""
        r = self.plan.dice("another_action")
        if r.random() < 0.7:
            self.fire("another_action")
            self.start_line = {
                "action": r.choice(tuple(Action)),
                "request_id": f"r{self.lives}",
                "again": r.random() < 0.3,
                "enter_now": True,
                "adopt": None,
            }

    def _begin_anew(self) -> None:
        """The owner of a hedge that is over begins the next."""
        actions = (Action.DEFAULT, Action.DEFAULT, Action.SCALE, Action.SINGLE)
        self.start_line = {
            "action": self.plan.dice("anew").choice(actions),
            "request_id": f"n{self.lives}",
            "enter_now": True,
            "adopt": None,
        }

    def _set_host_clock(self) -> None:
        self.host_offset = 0
        if not self.faults:
            return
        if self.plan.has("clock_offset"):
            r = self.plan.dice("clock_offset")
            self.host_offset = int(r.uniform(-1.5, 1) * r.choice(self.plan.clocks) * SECOND)
            self.fire("clock_offset")
        if self.plan.has("clock_jump"):
            r = self.plan.dice("clock_jump")
            if r.random() < (0.4 if self.plan.edition == 1 else 0.12):
                self.host_offset += int(r.choice((-1, 1)) * r.uniform(1, 3600) * SECOND)
                self.fire("clock_jump")

    def note_point(self) -> None:
        """Keep this point if a death here leaves another state behind than at the last one."""
        assert self.distinct is not None
        sent, flying = self.counts["orders"], len(self.in_flight)
        state = (self.journal_size(), sent, flying, self.venue.changes(), self.disk.syncs)
        if state != self._state:
            self._state = state
            self.distinct.append(self.points)

    def next_death(self) -> None:
        """Arm the next of the ordered deaths, counted from here."""
        if not self.deaths:
            return
        death = self.deaths.pop(0)
        self.crash_kind, self.kept = death.kind, death.kept
        if death.write:
            fault = Fault(error=Died(), kept=death.torn)
            self.disk.write_faults[death.write] = fault
        else:
            self.crash_at_point = self.points + death.points

    def filled(self, leg: Leg, fill: Fill) -> None:
        """After every execution at the venue."""
        self._look_outside()
        ours = fill.client_order_id if fill.client_order_id in self.venue.orders else ""
        if ours:
            self.truth.fill(fill, self.now, ours)
        self.unhedged.look()
        self.mind.filled(leg, fill)

    def order_ended(self, oid: str) -> None:
        """After an order of ours was cancelled, by us or by its own terms."""
        self.truth.note("ended", self.now, id=oid)

    def _look_outside(self) -> None:
        """Write down what came to a leg from outside since the last look."""
        for leg, outside in self.venue.outside.items():
            if outside != self._outside[leg]:
                self.truth.moved(leg, outside - self._outside[leg], self.now)
                self._outside[leg] = outside

    def story(self) -> list[Line]:
        """Return the record of the truth, with its last line."""
        self._look_outside()
        venue, shell = self.venue, self.shell
        sure = False
        if shell is not None:
            engine = shell.engine
            still = not self.in_flight and not any(book.open for book in engine.leg_books())
            agreed = all(note.agreed for note in engine.volatile.legs.values())
            sure = still and agreed and engine.volatile.recovered and not shell.books_dirty()
        spot = venue.bought + venue.outside[Leg.SPOT]
        end = {"what": "end", "at": self.now, "sure": sure, "spot": str(spot)}
        return [*self.truth.lines, {**end, "futures": str(venue.position)}]

    def journal_text(self) -> str:
        """Return the journal's complete lines as they are on the disk."""
        file = self.disk.files.get(LOG)
        data = bytes(file.data) if file is not None else b""
        return data[: data.rfind(b"\n") + 1].decode()

    def journal_size(self) -> int:
        file = self.disk.files.get(LOG)
        return len(file.data) if file is not None else 0

    def died(self, shell: "Shell") -> None:
        """Take the process away, and with a machine what it had not synced."""
        kind = self.crash_kind
        shell.alive = False
        self.shell = None
        self.fire(kind)
        self.counts["crashes"] += 1
        if self.lines is not None:
            self.say(f"-- {kind}; down for {self.down_for / 1e9:.1f} s; {self.venue.describe()}")
        before = None
        if kind == "crash_machine":
            file = self.disk.files[LOG]
            unsynced = len(file.data) - file.synced
            had = bytes(file.data)
            self.disk.power_loss(kept=int(self.kept * unsynced))
            self.boots += 1
            kept = had.rfind(b"\n", 0, len(file.data)) + 1
            self.truth.note("power", self.now, kept=kept, lost=had[kept:].decode())
        else:
            before = shell.complete
            self.disk.crash()
        for stream in self.streams.values():
            stream.up = False
        self.mind.crashed(kind, before, shell)
        self.unhedged.look()
        self.next_death()
        self.after(self.down_for, self.boot)

    def end(self, shell: "Shell", command: c.EndRun) -> None:
        shell.alive = False
        shell.over = True
        self.shell = None
        self.ended = True
        self.exits.append((command.exit_code, command.reason))
        self.say(f"-- exit {command.exit_code} {command.reason}: {command.text}")
        for stream in self.streams.values():
            stream.up = False
        self.unhedged.look()
        self.mind.ended(command, shell)
        if self.faults and (self.plan.has("another_action") or self.plan.think):
            self.ended = False
            if self.plan.think:
                self._begin_anew()
            self.after(3 * SECOND, self.boot)

    def failed(self, shell: "Shell", error: BaseException) -> None:
        """The pump stopped: the journal failed, or an invariant of the core broke."""
        shell.alive = False
        self.shell = None
        self.say(f"-- the process stops: {type(error).__name__}: {error}")
        self.disk.crash()
        self.counts["crashes"] += 1
        for stream in self.streams.values():
            stream.up = False
        if isinstance(error, AssertionError):
            self.mind.broken("I0", f"the core stopped itself: {error}")
            self.ended = True
            return
        self.after(self.down_for, self.boot)

    # -- streams ---------------------------------------------------------------------------------

    def tell(self, leg: Leg, news: AccountNews) -> None:
        """Send news of an account to the host, as well as the network lets it."""
        shell = self.shell
        stream = self.streams[leg, StreamKind.ACCOUNT]
        if shell is None or not stream.up or self.now < stream.deaf_until:
            return
        if self.hit("drop_message"):
            return
        if isinstance(news, Fill) and news.client_order_id and self.plan.has("nameless_fill"):
            if self.faults:
                self.fire("nameless_fill")
            news = msgspec.structs.replace(news, client_order_id="")
        when = self.now + self.delay()
        if self.hit("reorder_message"):
            when += int(self.plan.dice("reorder_message").random() * self.plan.reorder_most)
        else:
            when = stream.last = max(when, stream.last)
        self.at(when, shell.hear, leg, news, stream)
        if self.hit("duplicate_message"):
            late = int(self.plan.dice("duplicate_message").random() * self.plan.reorder_most)
            self.at(when + late, shell.hear, leg, news, stream)

    def tick(self) -> None:
        """Let the market move, and publish it while somebody listens."""
        venue, shell = self.venue, self.shell
        venue.tick(self.now, chance=None if self.faults else 1.0)
        self._look_outside()
        self.mind.tick()
        self.unhedged.look()
        if shell is None:
            self.after(10 * SECOND, self.tick)
            return
        for leg in LEGS:
            stream = self.streams[leg, StreamKind.MARKET]
            if stream.up and self.now >= stream.deaf_until:
                quote = venue.quote_of(leg, self.now)
                if self.hit("bad_quote"):
                    worse = self.plan.dice("bad_quote").choice(
                        (Decimal("NaN"), ZERO, -quote.bid, quote.ask * 2)
                    )
                    quote = msgspec.structs.replace(quote, bid=worse)
                if leg is Leg.FUTURES:
                    shell.feed(e.MarkSeen(at=self.host(), mark=venue.mark_of(self.now)))
                if shell.alive:
                    shell.feed(e.QuoteSeen(at=self.host(), leg=leg, quote=quote))
                if not shell.alive:
                    break
        slow = shell.alive and not self.faults and shell.engine.books.mode is Mode.HALT
        calm = 0 if self.faults else self.plan.calm_every
        self.after(5 * SECOND if slow else calm or self.plan.quote_every, self.tick)

    def heartbeat(self) -> None:
        shell = self.shell
        if shell is not None:
            for (leg, kind), stream in self.streams.items():
                if stream.up and self.now >= stream.deaf_until and shell.alive:
                    shell.feed(e.StreamHeard(at=self.host(), leg=leg, kind=kind))
        self.after(self.plan.heartbeat, self.heartbeat)

    def host(self) -> int:
        return self.now + self.host_offset

    def disconnect(self, streams: int, down: int, *, silent: bool) -> None:
        shell = self.shell
        if shell is None:
            return
        for number, key in enumerate(STREAMS):
            stream = self.streams[key]
            if not streams & (1 << number) or not stream.up:
                continue
            leg, kind = key
            if silent:
                stream.deaf_until = max(stream.deaf_until, self.now + down)
                self.after(down, self._reconnected, shell, leg, kind)
            else:
                stream.up = False
                self.after(down, self._reconnected, shell, leg, kind)
                if shell.alive:
                    shell.feed(e.StreamChanged(at=self.host(), leg=leg, kind=kind, up=False,
                                               why="reset"))  # fmt: skip

    def _reconnected(self, shell: "Shell", leg: Leg, kind: StreamKind) -> None:
        if not shell.alive:
            return
        stream = self.streams[leg, kind]
        if self.now < stream.deaf_until:
            return
        if stream.up:
            shell.feed(e.StreamChanged(at=self.host(), leg=leg, kind=kind, up=False, why="silent"))
        if not shell.alive:
            return
        stream.up = True
        if self.hit("resubscribe_fails"):
            stream.deaf_until = self.now + 20 * SECOND
            self.after(20 * SECOND, self._reconnected, shell, leg, kind)
        shell.feed(e.StreamChanged(at=self.host(), leg=leg, kind=kind, up=True))

    # -- orders on the wire ----------------------------------------------------------------------

    def send(self, shell: "Shell", order: Order) -> None:
        """Carry one order to the venue, or lose it on the way."""
        plan = self.plan
        oid = order.client_order_id
        answer = Answer(shell, order)
        self.after(plan.ack_timeout, answer.timeout)
        if self.hit("unreachable"):
            self.after(self.delay(), answer.refused, "UNREACHABLE")
            self.truth.note("lost", self.now, id=oid)
            return
        out = self.delay()
        if self.hit("request_lost"):
            self.truth.note("lost", self.now, id=oid)
            return
        if self.hit("error_undelivered"):
            self.after(out + self.delay(), answer.unknown, "HTTP 503")
            self.truth.note("lost", self.now, id=oid)
            return
        if self.now < self.banned_until:
            self.after(out + self.delay(), answer.refused, "RATE_LIMIT")
            self.truth.note("denied", self.now, id=oid, why="RATE_LIMIT")
            return
        if self.hit("reject"):
            code = plan.dice("reject_code").choice(REJECT_CODES)
            self.after(out + self.delay(), answer.refused, code)
            self.truth.note("denied", self.now, id=oid, why=code)
            return
        self.in_flight[oid] = order
        self.after(out, self._arrived, answer)

    def _arrived(self, answer: "Answer") -> None:
        order = answer.order
        age = self.now - order.signed_at
        if age > order.recv_window_ms * MS:
            self._deny(answer, "STALE_TIMESTAMP")
            return
        if self.hit("slow_processing"):
            slow = int(self.plan.dice("slow").random() * 12 * SECOND)
            if slow > self.plan.processing_most:
                self.in_flight.pop(order.client_order_id, None)
                self.truth.note("lost", self.now, id=order.client_order_id)
                self.after(slow, answer.unknown, "HTTP 504")
                return
            self.after(slow, self._processed, answer, True)
            return
        self._processed(answer, False)

    def _processed(self, answer: "Answer", slow: bool) -> None:
        order = answer.order
        # A venue that checks the window only on arrival matches a request that was slow inside.
        seen_at = self.now if self.plan.second_check or not slow else order.signed_at
        self.in_flight.pop(order.client_order_id, None)
        try:
            self.mind.at_venue(order)
            self.truth.note("taken", self.now, id=order.client_order_id)
            report = self.venue.accept(order, self.now, seen_at)
        except Denied as denied:
            self._deny(answer, denied.code)
            return
        if self.lines is not None:
            taken = f"{report.status.value} {plain(report.filled)}"
            self.say(f"   venue takes {order.client_order_id}: {taken}")
        if self.plan.rest_for and report.status is ReportedStatus.WORKING:
            self._trade(order.client_order_id)
        if self.hit("reply_lost"):
            return
        if self.hit("error_delivered"):
            self.after(self.delay(), answer.unknown, "HTTP 502")
            return
        self.after(self.delay(), answer.reported, report)

    def _trade(self, oid: str) -> None:
        """Let somebody take what rests, after a while; a part of it, and then the rest."""
        wait = int(self.plan.dice("trades").expovariate(1) * self.plan.rest_for)

        def taken() -> None:
            placed = self.venue.open.get(oid)
            if placed is not None:
                self.venue.take(placed, self.now)
                if oid in self.venue.open:
                    self._trade(oid)

        self.after(wait + MS, taken)

    def _deny(self, answer: "Answer", code: str) -> None:
        self.in_flight.pop(answer.order.client_order_id, None)
        self.truth.note("denied", self.now, id=answer.order.client_order_id, why=code)
        if self.hit("reply_lost"):
            return
        self.after(self.delay(), answer.refused, code)

    def cancel(self, shell: "Shell", command: c.CancelOrder) -> None:
        answer = CancelAnswer(shell, command)
        self.after(self.plan.ack_timeout, answer.unsettled, "no answer in time")
        out = self.delay()
        if self.hit("request_lost"):
            return
        if self.hit("error_undelivered") or self.now < self.banned_until:
            self.after(out + self.delay(), answer.unsettled, "HTTP 503")
            return

        def arrive() -> None:
            try:
                report = self.venue.cancel(command.client_order_id, self.now)
            except Denied as denied:
                if not self.hit("reply_lost"):
                    self.after(self.delay(), answer.unsettled, denied.code)
                return
            if self.hit("reply_lost"):
                return
            if self.hit("error_delivered"):
                self.after(self.delay(), answer.unsettled, "HTTP 502")
                return
            self.after(self.delay(), answer.reported, report)

        self.after(out, arrive)

    # -- reads -----------------------------------------------------------------------------------

    def read(self, reads: int) -> tuple[int, list[int], str]:
        """Walk through ``reads`` requests; return the end, the as-of times and the failure."""
        when = self.now
        if not self.faults:
            step = 40 * MS
            return when + reads * step, [when + step // 2 + n * step for n in range(reads)], ""
        seen: list[int] = []
        delay, hit = self.delay, self.hit
        stale = "stale_read" in self._chances
        broken_until = max(self.read_broken_until, self.banned_until)
        for place in range(reads):
            out = delay()
            back = delay()
            if when + out < broken_until:
                self.fired["read_error_in_burst"] += 1
                return when + out + back, seen, "Unreachable"
            if hit("read_error"):
                return when + out + back, seen, "Unreachable"
            lag = 0
            if stale and place != 0 and hit("stale_read"):
                lag = int(self.plan.dice("lag").random() * self.plan.lag_most)
            seen.append(when + out - lag)
            when += out + back
        return when, seen, ""

    def audit(self, shell: "Shell", command: c.AuditLeg) -> None:
        """Do `Auditor.audit`: one read after the other, each with its own fate."""
        leg = command.leg
        asked_at = self.host()
        status_known = self.now - shell.status_at.get(leg, -STATUS_KEPT) < STATUS_KEPT
        last = 1 if leg is Leg.SPOT else 5
        count = 1 + len(command.ask_ids) + 2 + (0 if status_known else 1) + last
        done, seen, why = self.read(count)
        if done - self.now > READ_TIMEOUT:
            self.at(self.now + READ_TIMEOUT, shell.unread, command, "no answer in time")
            return
        if why:
            self.at(done, shell.unread, command, why)
            return
        self.at(done, self._audited, shell, command, asked_at, seen, status_known)

    def _audited(
        self, shell: "Shell", command: c.AuditLeg, asked_at: int, seen: list[int], known: bool
    ) -> None:
        if not shell.alive:
            return
        venue, leg = self.venue, command.leg
        times = iter(seen)
        server_at = next(times)
        found, missing = [], []
        for client_order_id in command.ask_ids:
            report = venue.order_at(client_order_id, next(times))
            if report is None:
                missing.append(client_order_id)
            else:
                found.append(report)
        open_orders = venue.open_at(leg, next(times))
        fills = venue.fills_at(leg, command.fills_since, next(times))
        if not known:
            shell.tradable[leg] = leg not in venue.halted
            shell.status_at[leg] = self.now
            next(times)
        common: dict[str, Any] = {
            "at": self.host(),
            "leg": leg,
            "audit_id": command.audit_id,
            "asked_at": asked_at,
            "server_at": server_at,
            "found": tuple(found),
            "missing": tuple(missing),
            "open_orders": open_orders,
            "fills": fills,
            "tradable": shell.tradable[leg],
        }
        if leg is Leg.SPOT:
            event = e.LegAudited(**common, balances=venue.balances_at(next(times)))
        else:
            payments = tuple(p for p in venue.payments if p.settled_at >= command.payments_since)
            next(times)
            next(times)
            position = venue.position_at(next(times))
            mode = venue.mode
            next(times)
            event = e.LegAudited(
                **common,
                payments=payments,
                position=position,
                position_mode=mode,
                margin_free=Decimal(10_000_000),
                margin_ratio=Decimal("0.01"),
                leverage=Decimal(2),
                funding=venue.rate_at(self.now),
            )
        self.mind.read(leg, asked_at)
        for report in found:
            self.mind.told(report)
        for fill in fills:
            if fill.fill_id not in self.told:
                self.told.add(fill.fill_id)
                self.mind.told_fill(fill)
        shell.feed(event)

    def read_equity(self, shell: "Shell", label: str) -> None:
        done, _, why = self.read(6)
        if why or done - self.now > READ_TIMEOUT:
            self.at(min(done, self.now + READ_TIMEOUT) + EQUITY_APART, shell.equity_again, label)
            return
        self.at(done, shell.equity, label)


class Answer:
    """What comes back for one placed order; the first word counts."""

    __slots__ = ("open", "order", "shell")

    def __init__(self, shell: "Shell", order: Order) -> None:
        self.shell = shell
        self.order = order
        self.open = True

    def _take(self) -> bool:
        taken = self.open and self.shell.alive
        self.open = False
        return taken

    def reported(self, report: OrderReport) -> None:
        if self._take():
            shell = self.shell
            shell.world.mind.told(report)
            shell.feed(e.OrderReported(at=shell.world.host(), leg=self.order.leg, report=report))

    def refused(self, code: str) -> None:
        if self._take():
            self.shell.world.mind.settle(self.order.client_order_id)
            self.shell.feed(
                e.OrderRefused(
                    at=self.shell.world.host(),
                    leg=self.order.leg,
                    client_order_id=self.order.client_order_id,
                    code=code,
                )
            )

    def unknown(self, why: str) -> None:
        if self._take():
            self.shell.feed(
                e.OrderUnanswered(
                    at=self.shell.world.host(),
                    leg=self.order.leg,
                    client_order_id=self.order.client_order_id,
                    why=why,
                )
            )

    def timeout(self) -> None:
        self.unknown("no answer in time")


class CancelAnswer:
    """What comes back for one cancel."""

    __slots__ = ("command", "open", "shell")

    def __init__(self, shell: "Shell", command: c.CancelOrder) -> None:
        self.shell = shell
        self.command = command
        self.open = True

    def reported(self, report: OrderReport) -> None:
        if self.open and self.shell.alive:
            self.open = False
            at = self.shell.world.host()
            self.shell.world.mind.told(report)
            self.shell.feed(e.OrderReported(at=at, leg=self.command.leg, report=report))

    def unsettled(self, why: str) -> None:
        if self.open and self.shell.alive:
            self.open = False
            self.shell.feed(
                e.CancelUnsettled(
                    at=self.shell.world.host(),
                    leg=self.command.leg,
                    client_order_id=self.command.client_order_id,
                    why=why,
                )
            )


class Shell:
    """One process: pump and effects around the real engine and the real log."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.alive = True
        self.over = False
        self.engine: Engine
        self.log: JournalLog
        self.tradable: dict[Leg, bool] = {}
        self.status_at: dict[Leg, int] = {}
        self.complete: str | None = None
        """The state hash when the log was known to hold all of it; None inside an event."""
        self.changes = 0
        """How many events have changed the books, or led to a command."""
        self._queue: deque[e.AnyEvent] = deque()
        self._busy = False
        self._wake = 0
        self._second = 0
        self._hurry = 0
        self._starts: list[int] = []

    # -- the session -----------------------------------------------------------------------------

    def start(self) -> None:
        world = self.world
        self.log = JournalLog.open(DIRECTORY, hedge="sim", at=world.host(), disk=world.disk)
        self.engine = world.make_engine(world.plan.terms)
        self.engine.replay(self._rows())
        world.mind.replayed(self)
        world._look_outside()
        world.truth.note("start", world.now, life=world.lives, journal=world.journal_size())
        world.shell = self
        epoch = self.engine.books.epoch + 1
        if world.lines is not None:
            clock = f"clock {world.host_offset / 1e9:+.1f} s"
            world.say(f"-- start {world.lives}, epoch {epoch}, {clock}; {world.venue.describe()}")
        self.feed(
            e.EngineStarted(
                at=world.host(), boot_id=f"boot{world.boots}", epoch=epoch, terms=self.engine.terms
            )
        )
        if not self.alive:
            return
        self._restarts()
        for leg, kind in STREAMS:
            world.after(world.delay(), world._reconnected, self, leg, kind)
        self.feed(e.ActionAsked(at=world.host(), **world.start_line))

    def _rows(self) -> Iterator[Row]:
        """Yield the rows of a log that was verified, line by line, a moment ago."""
        lines = self.world.disk.read(self.log.path).split(b"\n")
        for line in lines[1:-1]:
            row = decode_row(line[JSON:])
            if isinstance(row.entry, e.EngineStarted):
                self._starts.append(row.at)
            elif isinstance(row.entry, c.EndRun):
                self._starts.clear()
            yield row

    def _restarts(self) -> None:
        now = self.world.host()
        recent = [at for at in self._starts if now - at < RESTARTS_WINDOW]
        if len(recent) > RESTARTS_MAX:
            self.feed(
                e.OperatorAsked(
                    at=now,
                    verb=Verb.LOCK,
                    request_id=f"restarts:{now}",
                    subject="RESTARTS",
                    by=f"{len(recent)} restarts within ten minutes",
                )
            )

    # -- the pump --------------------------------------------------------------------------------

    def feed(self, event: e.AnyEvent) -> None:
        if not self.alive:
            return
        if self._busy:
            self._queue.append(event)
            return
        self._busy = True
        try:
            self._one(event)
            while self._queue and self.alive:
                self._one(self._queue.popleft())
        except JournalError as error:
            self.world.failed(self, error)
        except AssertionError as error:
            self.world.failed(self, error)
        except Died:
            self.world.died(self)
        finally:
            self._busy = False

    def _one(self, event: e.AnyEvent) -> None:
        world, engine = self.world, self.engine
        world.counts["events"] += 1
        second = world.now // SECOND
        if second != self._second:
            self._second, self._hurry = second, 0
        self._hurry += 1
        if self._hurry > EVENTS_A_SECOND:
            world.mind.broken("I20", f"a busy loop: {self.engine.reason}, last {brief(event)}")
        self._point()
        commands = engine.handle(event)
        if world.lines is not None:
            self._trace(event, commands)
        if not commands and not engine.touched:
            return
        self.changes += 1
        entries: list[AnyEntry] = []
        if engine.touched and belongs(event):
            entries.append(event)
        entries += [command for command in commands if belongs(command)]
        if entries:
            market = engine.market
            self._point()
            self.log.append(engine.now, entries, market.mid(Leg.SPOT), market.mid(Leg.FUTURES))
            self._point()
        wired = world.plan.edition > 1
        for command in commands:
            world.mind.command(command, self)
            if wired and type(command) in WIRED:
                self._point()
            self.perform(command)
            if not self.alive:
                return
        if entries:
            self._point()
            if world.unhedged.open:
                world.unhedged.look()

    def _point(self) -> None:
        """One place where a process can die."""
        world = self.world
        world.points += 1
        if world.distinct is not None:
            world.note_point()
        if world.crash_at_point == world.points:
            raise Died
        if world.next_crash is not None:
            left, kind = world.next_crash
            if left > 0:
                world.next_crash = (left - 1, kind)
                return
            world.next_crash = None
            world.crash_kind = "crash_process" if kind == "torn_write" else kind
            if kind == "torn_write":
                world.fire("torn_write")
                kept = int(1 + world.kept * 400)
                world.disk.write_faults[world.disk.writes + 1] = Fault(error=Died(), kept=kept)
                return
            raise Died

    def _trace(self, event: e.AnyEvent, commands: tuple[c.AnyCommand, ...]) -> None:
        if not commands and isinstance(event, e.QuoteSeen | e.MarkSeen | e.StreamHeard):
            return
        engine = self.engine
        self.world.say(
            f"{engine.books.mode.value[:4]} S={plain(engine.inventory)} F={plain(engine.position)}"
            f" [{engine.reason}] < {brief(event)}"
        )
        for command in commands:
            self.world.say(f"      > {brief(command)}")

    def books_dirty(self) -> bool:
        """Return whether a read is wished for, or something happened since the last one."""
        notes = self.engine.volatile.legs
        changed = {Leg.SPOT: self.engine.books.spot, Leg.FUTURES: self.engine.books.futures}
        return any(
            note.dirty_at or note.last is None or note.last.asked_at < changed[leg].changed_at
            for leg, note in notes.items()
        )

    # -- the effects -----------------------------------------------------------------------------

    def perform(self, command: c.AnyCommand) -> None:
        world = self.world
        match command:
            case c.PlaceOrder(order=order):
                world.counts["orders"] += 1
                world._look_outside()
                world.mind.sent(order, self)
                world.truth.sent(order, world.now, world.journal_size())
                if world.host() - order.signed_at > order.recv_window_ms * MS + SECOND:
                    world.truth.note("lost", world.now, id=order.client_order_id)
                    world.after(0, Answer(self, order).refused, "STALLED_BEFORE_SEND")
                else:
                    world.send(self, order)
            case c.CancelOrder():
                world.cancel(self, command)
            case c.WakeAt(wake_at=wake_at):
                self._wake += 1
                world.at(wake_at - world.host_offset, self._fire, self._wake)
            case c.AuditLeg():
                world.audit(self, command)
            case c.LeaseIds():
                self._lease(command)
            case c.ReadEquity(label=label):
                world.read_equity(self, label)
            case c.EndRun():
                world.end(self, command)
            case _:
                pass

    def _fire(self, number: int) -> None:
        if number == self._wake and self.alive:
            self.feed(e.TimerFired(at=self.world.host()))

    def _lease(self, command: c.LeaseIds) -> None:
        world = self.world

        def synced() -> None:
            if not self.alive:
                return
            try:
                self.log.sync()
            except JournalError as error:
                world.failed(self, error)
                return
            world.synced_leases[command.epoch, command.leg.value] = command.last
            self.feed(
                e.IdsLeased(
                    at=world.host(),
                    leg=command.leg,
                    epoch=command.epoch,
                    first=command.first,
                    last=command.last,
                )
            )

        slow = world.hit("slow_sync")
        world.after(int(world.plan.dice("sync").random() * 3 * SECOND) if slow else MS, synced)

    # -- what arrives ----------------------------------------------------------------------------

    def hear(self, leg: Leg, news: AccountNews, stream: Stream) -> None:
        if not self.alive or not stream.up or self.world.now < stream.deaf_until:
            return
        at = self.world.host()
        match news:
            case Fill():
                self.world.mind.told_fill(news)
                self.feed(e.FillSeen(at=at, fill=news))
            case OrderReport():
                self.world.mind.told(news)
                self.feed(e.OrderReported(at=at, leg=leg, report=news))
            case Balance():
                self.feed(e.BalanceSeen(at=at, balance=news))
            case Position():
                self.feed(e.PositionSeen(at=at, position=news))
            case FundingPayment():
                self.feed(e.FundingPaid(at=at, payment=news))
            case _:
                raise AssertionError(news)

    def unread(self, command: c.AuditLeg, why: str) -> None:
        if self.alive:
            at = self.world.host()
            self.feed(e.LegUnread(at=at, leg=command.leg, audit_id=command.audit_id, why=why))

    def equity(self, label: str) -> None:
        if not self.alive:
            return
        world = self.world
        venue, market = world.venue, self.engine.market
        self.feed(
            e.EquitySeen(
                at=world.host(),
                label=label,
                spot=venue.balances_at(world.now),
                futures=(),
                shared=True,
                position=venue.position_at(world.now),
                spot_mid=market.mid(Leg.SPOT) or ZERO,
                futures_mid=market.mid(Leg.FUTURES) or ZERO,
                spot_at=world.now,
                futures_at=world.now,
            )
        )

    def equity_again(self, label: str) -> None:
        if self.alive:
            self.world.read_equity(self, label)


def brief(thing: Any) -> str:
    """Return one short line for an event or a command."""
    match thing:
        case c.PlaceOrder(order=o, purpose=purpose):
            only = " reduce-only" if o.reduce_only else ""
            return (
                f"PLACE {o.client_order_id} {o.leg.value} {o.side.value} {plain(o.quantity)}"
                f" @ {plain(o.limit_price)} {o.time_in_force.value}{only} ({purpose.value})"
            )
        case c.AuditLeg(leg=leg, ask_ids=ids):
            return f"AUDIT {leg.value} {' '.join(ids)}"
        case c.WakeAt(wake_at=wake_at):
            return f"WAKE {(wake_at - BEGIN) / 1e9:.3f}"
        case e.LegAudited():
            held = plain(thing.position.quantity) if thing.position else plain(
                thing.balances[0].total)  # fmt: skip
            found = " ".join(
                f"{r.client_order_id}={r.status.value}/{plain(r.filled)}" for r in thing.found
            )
            return (
                f"AUDITED {thing.leg.value} holds {held} fills={len(thing.fills)} {found}"
                f" missing={','.join(thing.missing)}"
            )
        case e.BalanceSeen(balance=balance):
            return f"BALANCE {plain(balance.total)}"
        case e.PositionSeen(position=position):
            return f"POSITION {plain(position.quantity)}"
        case e.EngineStarted(boot_id=boot, epoch=epoch):
            return f"STARTED {boot} epoch {epoch}"
        case e.OrderReported(report=r):
            return f"REPORT {r.client_order_id} {r.status.value} {plain(r.filled)}"
        case e.FillSeen(fill=f):
            return (
                f"FILL {f.fill_id} {f.leg.value} {f.side.value} {plain(f.quantity)}"
                f" {f.client_order_id} {f.kind.value}"
            )
        case _:
            fields = " ".join(
                f"{name}={value.value if hasattr(value, 'value') else value}"
                for name, value in msgspec.structs.asdict(thing).items()
                if name != "at" and value not in ("", None) and not isinstance(value, tuple)
            )
            return f"{type(thing).__name__} {fields}"[:220]


def event_hash(world: World) -> str:
    """Return one word for all that happened: the journal's chain, the venue's fills, the counts."""
    digest = hashlib.blake2b(digest_size=16)
    for file in world.disk.files.values():
        digest.update(file.data)
    for leg in Leg:
        for fill in world.venue.fills[leg]:
            digest.update(f"{fill.fill_id}{fill.quantity}{fill.price}{fill.filled_at}".encode())
    digest.update(repr((sorted(world.counts.items()), sorted(world.fired.items()))).encode())
    return digest.hexdigest()


def rows_of(world: World) -> list[Row]:
    """Return every row of the log as it is on the disk now."""
    log = JournalLog.open(DIRECTORY, hedge="sim", at=BEGIN, disk=world.disk)
    return list(log.rows())


__all__ = ["BEGIN", "Died", "PositionMode", "Shell", "World", "brief", "event_hash", "rows_of"]
