"""One process: the real engine and the real log, and a pump around them.

`Shell` does what `hedge.runtime.pump` and `hedge.runtime.effects` do, without asyncio: rows are
appended before anything is performed, and every outcome comes back as a fact.
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from answers import Answer
from clockwork import Died
from network import STREAMS, Stream
from words import brief

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.rows import AnyEntry, Row, belongs
from hedge.errors import JournalError
from hedge.journal.frame import JSON
from hedge.journal.log import JournalLog
from hedge.journal.memory_disk import Fault
from hedge.model import Balance, Fill, FundingPayment, Leg, OrderReport, Position
from hedge.model.numbers import MS, SECOND, ZERO, plain
from hedge.roles import AccountNews
from hedge.runtime.continuity import locked_by_restarts

if TYPE_CHECKING:
    from world import World

DIRECTORY = Path("/sim")
EVENTS_A_SECOND = 1_000
"""More than this many facts within a second of time is a loop that feeds itself."""
WIRED = (c.PlaceOrder, c.CancelOrder)

decode_row = msgspec.json.Decoder(Row).decode


class Shell:
    """One process: pump and effects around the real engine and the real log."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.alive = True
        self.engine: Engine
        self.log: JournalLog
        self.tradable: dict[Leg, bool] = {}
        self.status_at: dict[Leg, int] = {}
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
        world.look_outside()
        world.truth.note("start", world.now, life=world.lives, journal=world.journal_size())
        world.shell = self
        world.born_at = world.now
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
        if (lock := locked_by_restarts(self._starts, self.world.host())) is not None:
            self.feed(lock)
        for leg, kind in STREAMS:
            world.after(world.delay(), world.reconnected, self, leg, kind)
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
                world.look_outside()
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
