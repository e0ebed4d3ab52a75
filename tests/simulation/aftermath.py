"""The second phase of an episode: no fault is on any more, and all must come to rest and end."""

from collections.abc import Callable

from invariants import Mind
from shell import Shell
from swarm import Plan
from world import World

from hedge.decide.events import Verb
from hedge.decide.mode import Mode, Trip
from hedge.decide.terms import Action
from hedge.model import PositionMode
from hedge.model.numbers import MINUTE, MS, SECOND, plain

HEAL = 130 * SECOND
UNWIND = 900 * SECOND
LOOKS = 4
OTHERS = ("POSITION_FOUND", "EXTERNAL_", "FORCED_CLOSE")
"""The alarms of what somebody else did to the hedge."""
DOUBT_LOCKS = 330 * SECOND


class Aftermath:
    """Heals one world, and judges how it stands afterwards.

    ``ask`` is a person's verb, and ``ask_the_end`` what a person does who wants it all ended.
    """

    def __init__(
        self,
        world: World,
        mind: Mind,
        plan: Plan,
        ask: Callable[[Verb], None],
        ask_the_end: Callable[[], None],
    ) -> None:
        self._world = world
        self._mind = mind
        self._plan = plan
        self._ask = ask
        self._ask_the_end = ask_the_end
        self._healed_at = 0
        self._still = 0
        """For how many looks in a row nothing more was to be expected."""

    def heal(self) -> None:
        """Take every fault away; what they left behind is the engine's business."""
        world, venue = self._world, self._world.venue
        world.say("== faults off")
        world.faults = False
        world.next_crash = None
        world.disk.full = False
        world.disk.write_faults.clear()
        world.read_broken_until = world.banned_until = 0
        venue.halted.clear()
        venue.mode = PositionMode.ONE_WAY
        deaf = [key for key, stream in world.streams.items() if stream.deaf_until > world.now]
        for stream in world.streams.values():
            stream.deaf_until = 0
        if world.shell is not None and world.host_offset:
            # The clock is set right, and the process started again by its supervisor.
            world.crash_kind = "restart"
            world.down_for = SECOND
            world.died(world.shell)
        shell = world.shell
        if shell is not None:
            for leg, kind in world.streams:  # the news of one may end the process
                # A line that was deaf is a new one: no venue keeps quiet about what it left out.
                if not world.streams[leg, kind].up or (leg, kind) in deaf:
                    world.reconnected(shell, leg, kind)
        self._mind.gap_since = 0

    def calm(self) -> str:
        world, mind = self._world, self._mind
        self._healed_at = world.now
        if not self._plan.patient:
            world.after(SECOND, self._look)
        world.run(world.now + HEAL, self._at_rest)
        if world.shell is None and not world.ended:
            world.run(world.now + 31 * MINUTE, lambda: world.shell is not None or world.ended)
        # A process that was down for most of it has its own time to recover in.
        if world.born_at + HEAL > world.now and not self._at_rest():
            world.run(world.born_at + HEAL, self._at_rest)
        first = self._stand()
        if first.startswith("?in doubt") and self._still:
            first = first[1:]  # alarmed, and a person comes at once
        elif first.startswith("?in doubt"):
            # Behind an unexplained difference, or a signature in the future, a doubt stays one
            # until it locks and a person looks (R7, bounds).
            world.run(world.now + DOUBT_LOCKS)
            first = self._stand()
        if first.startswith("?") and world.shell is not None:
            # What trades has a new gap with each slice (I1: three ticks since the last change);
            # one that stands for as long as any repair may take is the one that is stuck.
            since = world.unhedged.since if world.unhedged.open else world.now
            world.run(since + self._bound, self._hedged)
            first = self._stand()
        if first.startswith("?"):
            mind.broken("I20", f"not at rest {HEAL // SECOND} s after the faults: {first[1:]}")
        mind.at_end(world.shell)
        last = self._unwind() if self._plan.unwinds else "left as it is"
        return f"{first}; {last}"

    def _persons(self) -> bool:
        """Return whether what is left is nobody's business but a person's."""
        shell = self._world.shell
        if shell is None:
            return False
        return bool(shell.engine.books.unexplained) or self._world.venue.position > 0

    def _at_rest(self) -> bool:
        """Return whether nothing more is to be expected without a person."""
        world = self._world
        if world.ended or self._still >= LOOKS:
            return True
        shell = world.shell
        if shell is None or world.now % SECOND:
            return False
        engine = shell.engine
        return (
            engine.volatile.recovered
            and engine.books.mode is Mode.HALT
            and not engine.books.run.waiting
            and not engine.books.equity_wanted
            and engine.equal
            and self._read(shell)
            and all(note.agreed for note in engine.volatile.legs.values())
            and not self._plan.long
        )

    def _read(self, shell: Shell) -> bool:
        """Return whether both legs were read since the faults; before, it is what they left.

        A HALT is equal by its books at once, and its next audit may be half a minute away. What
        was done to the legs before the end of the faults, and not heard, is found by that one.
        """
        reads = [note.last for note in shell.engine.volatile.legs.values()]
        return all(read is not None and read.server_at >= self._healed_at for read in reads)

    def _look(self) -> None:
        """Count for how long nothing has been left to do but by a person (I1: three ticks)."""
        self._still = self._still + 1 if self._waits() else 0
        if self._still < LOOKS:
            self._world.after(SECOND, self._look)

    def _waits(self) -> bool:
        """Return whether the truth is hedged, and known to be, or a named reason stands (I20)."""
        world, mind = self._world, self._mind
        shell = world.shell
        if shell is None or world.in_flight or self._plan.long:
            return False
        books, notes = shell.engine.books, shell.engine.volatile
        if not notes.begun and not books.in_doubt:
            return False
        if books.in_doubt:
            return self._doubt_alarmed(shell)
        if not self._read(shell):
            return False
        gap = abs(mind.inventory * mind.ratio + world.venue.position)
        agreed = all(note.agreed for note in notes.legs.values())
        if notes.recovered and agreed and gap < mind.dust():
            return not books.run.waiting
        late = world.now - self._healed_at > self._bound
        return late and not self._stand().startswith("?")

    @staticmethod
    def _doubt_alarmed(shell: Shell) -> bool:
        alarm = shell.engine.books.alarms.get("IN_DOUBT")
        return alarm is not None and not alarm.settled

    @property
    def _bound(self) -> int:
        """Return how long a gap may stand when no fault is on: the fence and three ticks (I20)."""
        return self._plan.terms.futures.fence_ms * MS + 3 * SECOND

    def _hedged(self) -> bool:
        return not self._world.unhedged.open

    def _stand(self) -> str:
        """Return how the truth stands; with a question mark when nothing explains it."""
        world, mind = self._world, self._mind
        gap = mind.inventory * mind.ratio + world.venue.position
        hedged = abs(gap) < mind.dust()
        if world.ended:
            code, reason = world.exits[-1]
            return f"exit {code} {reason}" + ("" if hedged else f" with {plain(gap)}")
        shell = world.shell
        if shell is None:
            return "?the process is down"
        books = shell.engine.books
        if hedged and not books.in_doubt:
            return f"{books.mode.value} hedged {shell.engine.reason.split(':')[0]}"
        standing = sorted(key for key, alarm in books.alarms.items() if not alarm.settled)
        # A halt explains only what others did, and coins that wait for their entry: what orders of
        # ours have left open, it mends itself.
        others = any(key.startswith(OTHERS) for key in books.alarms) or bool(books.spot.external)
        # What told of it a person may have cleared; that the books are not equal is said still.
        others = others or (bool(mind.moved_at) and "UNEQUAL" in standing)
        entry = books.run.waiting and not books.futures.held
        halted = books.mode is Mode.HALT and (others or entry)
        named = bool(books.trips) or halted or bool(books.external_at)
        if books.in_doubt and books.trip < Trip.LOCKED:
            return f"?in doubt: {shell.engine.reason}"
        if (named and (standing or books.alarms)) or "HEDGE_GATED" in standing:
            return f"{books.mode.value} {','.join(books.trips)} {','.join(standing)}"
        return (
            f"?{books.mode.value} gap {plain(gap)}, trips {books.trips}, alarms {standing},"
            f" reason {shell.engine.reason}"
        )

    def _unwind(self) -> str:
        """A person clears and liquidates: the hedge must come to its end."""
        world, mind, venue = self._world, self._mind, self._world.venue
        if world.ended and mind.inventory <= 0 and not venue.position:
            return "flat"
        if world.ended:
            world.ended = False
            world.start_line = {
                "action": Action.LIQUIDATION, "request_id": "unwind", "enter_now": False,
                "adopt": None,
            }  # fmt: skip
            world.boot()
            world.run(world.now + 3 * SECOND)
        self._ask(Verb.RESUME)
        self._ask_the_end()
        began = world.now
        for _ in range(int(UNWIND / (60 * SECOND))):
            world.run(world.now + 60 * SECOND, lambda: world.ended)
            if world.ended or (self._plan.edition > 1 and self._persons()):
                break
            self._ask_the_end()
        took = (world.now - began) // SECOND
        if world.ended:
            return f"exit {world.exits[-1][0]} {world.exits[-1][1]} after {took} s"
        shell = world.shell
        if shell is None:
            mind.broken("I20", "the process is down at the end")
            return ""
        engine = shell.engine
        if engine.books.unexplained:
            return "a position that nobody adopted"
        if venue.position > 0:
            return "long, by hand: for a person"
        mind.broken(
            "I20",
            f"not unwound {took} s after a person asked: {engine.books.mode.value}, target"
            f" {engine.books.target}, S={plain(engine.inventory)} F={plain(engine.position)},"
            f" trips {engine.books.trips}, reason {engine.reason}",
        )
        return ""
