"""One episode's world: a host whose process starts, dies and starts again, beside the venues."""

import hashlib
from typing import Any

from clockwork import Death, Died, Strike
from network import Network
from shell import DIRECTORY, Shell
from swarm import Plan
from truth import Line

from hedge.decide import commands as c
from hedge.decide.engine import Engine
from hedge.decide.terms import Action
from hedge.errors import JournalError
from hedge.journal.frame import NAME
from hedge.journal.memory_disk import Fault, MemoryDisk
from hedge.model import Fill, Leg
from hedge.model.numbers import SECOND

LOG = DIRECTORY / NAME


class World(Network):
    """Everything that is not the engine."""

    def __init__(
        self,
        plan: Plan,
        *,
        trace: bool = False,
        engine: type[Engine] = Engine,
        spared: frozenset[Strike] = frozenset(),
    ) -> None:
        super().__init__(plan, trace=trace, spared=spared)
        self.make_engine = engine
        self.disk = MemoryDisk()
        self.boots = 1
        self.lives = 0
        self.born_at = 0
        """When the process that lives was started."""
        self.start_line: dict[str, Any] = {}
        self.exits: list[tuple[int, str]] = []
        self.ended = False
        self.synced_leases: dict[tuple[int, str], int] = {}
        self.points = 0
        self.distinct: list[int] | None = None
        """The points at which something differs from the point before, for whoever asks."""
        self._state: tuple[int, ...] = ()
        self.next_crash: tuple[int, str] | None = None
        """(points left, kind): the process dies when it has counted down."""
        self.crash_at_point = -1
        self.deaths: list[Death] = []
        """Deaths ordered one by one, for whoever tries every point."""
        self.crash_kind = "crash_process"
        self.down_for = SECOND
        self.kept = 0.0

    def leave(self) -> None:
        """Let go of all that points back here: the memory is free at once, without a collector."""
        vars(self).clear()

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
        self.look_outside()
        ours = fill.client_order_id if fill.client_order_id in self.venue.orders else ""
        if ours:
            self.truth.fill(fill, self.now, ours)
        self.unhedged.look()
        self.mind.filled(leg, fill)

    def order_ended(self, oid: str) -> None:
        """After an order of ours was cancelled, by us or by its own terms."""
        self.truth.note("ended", self.now, id=oid)

    def story(self) -> list[Line]:
        """Return the record of the truth, with its last line."""
        self.look_outside()
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

    def died(self, shell: Shell) -> None:
        """Take the process away, and with a machine what it had not synced."""
        kind = self.crash_kind
        shell.alive = False
        self.shell = None
        self.fire(kind)
        self.counts["crashes"] += 1
        if self.lines is not None:
            self.say(f"-- {kind}; down for {self.down_for / 1e9:.1f} s; {self.venue.describe()}")
        if kind == "crash_machine":
            file = self.disk.files[LOG]
            unsynced = len(file.data) - file.synced
            had = bytes(file.data)
            self.disk.power_loss(kept=int(self.kept * unsynced))
            self.boots += 1
            kept = had.rfind(b"\n", 0, len(file.data)) + 1
            self.truth.note("power", self.now, kept=kept, lost=had[kept:].decode())
        else:
            self.disk.crash()
        for stream in self.streams.values():
            stream.up = False
        self.mind.crashed(shell)
        self.unhedged.look()
        self.next_death()
        self.after(self.down_for, self.boot)

    def end(self, shell: Shell, command: c.EndRun) -> None:
        shell.alive = False
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

    def failed(self, shell: Shell, error: BaseException) -> None:
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
