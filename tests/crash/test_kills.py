"""Goal: killed at any moment and started again with the same line, a hedge ends flat, and nothing
was ever doubled, forgotten or sent late.

Method: the installed `hedge run` trades at a venue that lives in a process of its own and is
reached over HTTP. Each life draws its moments to be killed from its seed: at a row of the journal
or some milliseconds later, after the commit of a lease, with an order on the wire that the venue
has not looked at yet, with one that it has performed and not answered, with an answer that nobody
has read, in a commit of the projection, in a start, and in the recovery from the kill before. Some
are stopped in their tracks for longer than the receive window, or asked to end. The verdict is read
from the venue's own record. `HEDGE_KILLS` asks for more kills than the 25 of the ordinary run; a
failure names the seed and the directory that it leaves behind.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from lab import Lab, Story, told_by, wait_until

KILLS = int(os.environ.get("HEDGE_KILLS", "25"))
FIRST_SEED = int(os.environ.get("HEDGE_KILLS_SEED", "1"))
KILLS_A_LIFE = 3
"""A fourth restart within ten minutes would start locked, and wait for a person."""
LIVES_WANTED = -(-KILLS // KILLS_A_LIFE) + 1 + KILLS // 50
"""One more than it takes: a harm may come too late for a life."""
HARMLESS = ("stopped", "terminated", "the streams")
STOPPED_S = 2.5
HELD_S = (0.3, 1.9)
"""How long the venue sits on an order: within its window, and often longer than a restart."""
Process = subprocess.Popen[bytes]


class Killer:
    """One life: start, harm, start again; the harms are drawn from the seed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.rng = random.Random(f"kills-{lab.seed}")
        self.happened: list[str] = []

    def live(self) -> list[str]:
        """Live the life to its end; return what was done to it."""
        lab = self.lab
        process = lab.start()
        for harm in self._harms():
            gone = harm(process)
            if process.poll() == 0 and not gone:
                break  # it was quicker than its killer
            if gone:
                process = lab.start()
            process = lab.supervised(process)
        lab.finish(process)
        lab.judge()
        return self.happened

    def _harms(self) -> list[Callable[[Process], bool]]:
        """Draw three deaths, and between them what does not kill."""
        # Each life begins with another death, so that nine lives have seen every one of them.
        deaths = [
            self.lease, self.arrived, self.performed, self.unread, self.commit,
            self.anywhere, self.starting, self.in_recovery, self.later,
        ]  # fmt: skip
        first = deaths[(self.lab.seed - FIRST_SEED) % len(deaths)]
        deaths.remove(self.in_recovery)  # this one kills twice
        left = KILLS_A_LIFE - (2 if first == self.in_recovery else 1)
        drawn = [first, *self.rng.choices(deaths, k=left)]
        other = self.rng.choice((self.stopped, self.terminated, self.cut, None, None))
        if other is not None:
            drawn.insert(self.rng.randrange(len(drawn)), other)
        return drawn

    def _kill(self, process: Process, why: str) -> bool:
        if process.poll() is not None:
            return False
        self.lab.kill(process, why)
        self.happened.append(why)
        return True

    def _rows(self) -> int:
        return len(self.lab.tail.look())

    def _trading(self, process: Process) -> bool:
        """Wait until this process trades, so that a moment drawn from now on is one that counts."""
        before = self.lab.tail.count('"EngineStarted"')
        if not before:
            self.lab.alive_until(
                process, lambda: self.lab.tail.count('"EngineStarted"') > 0, "a start"
            )
        placed = self.lab.tail.count('"PlaceOrder"')
        return self.lab.alive_until(
            process, lambda: self.lab.tail.count('"PlaceOrder"') > placed, "an order"
        )

    # -- deaths ----------------------------------------------------------------------------------

    def anywhere(self, process: Process) -> bool:
        """At a row of the journal, whichever it is."""
        until = self._rows() + self.rng.randint(1, 120)
        alive = self.lab.alive_until(process, lambda: self._rows() >= until, f"row {until}")
        return alive and self._kill(process, f"row {until}")

    def later(self, process: Process) -> bool:
        """At no point of interest: some milliseconds after an order was written."""
        if not self._trading(process):
            return False
        at = time.monotonic() + self.rng.uniform(0, 1.5)
        alive = self.lab.alive_until(process, lambda: time.monotonic() >= at, "a moment")
        return alive and self._kill(process, "some milliseconds after an order")

    def lease(self, process: Process) -> bool:
        """After the commit of a lease: the ids may be used, and none has been."""
        tail = self.lab.tail
        until = tail.count('"IdsLeased"') + self.rng.randint(1, 4)
        alive = self.lab.alive_until(
            process, lambda: tail.count('"IdsLeased"') >= until, f"lease {until}"
        )
        return alive and self._kill(process, f"lease {until}")

    def _hold(self, process: Process, stage: str) -> str:
        """Have the venue hold one of the next orders; return its id, "" where none came."""
        venue = self.lab.venue
        leg, after = self.rng.choice(("spot", "futures")), self.rng.randint(1, 6)
        venue.hold(leg, stage, after=after, for_s=self.rng.uniform(*HELD_S))
        held: list[str] = []

        def look() -> bool:
            held[:] = [venue.held(0.2)]
            return bool(held[0])

        self.lab.alive_until(process, look, f"an order that has {stage}")
        return held[0] if held else ""

    def arrived(self, process: Process) -> bool:
        """With an order on the wire: written, sent, not looked at; it is performed afterwards."""
        order = self._hold(process, "arrived")
        return bool(order) and self._kill(process, f"{order} had arrived")

    def performed(self, process: Process) -> bool:
        """With an order that is done at the venue, which has not said so yet."""
        order = self._hold(process, "performed")
        return bool(order) and self._kill(process, f"{order} was performed")

    def unread(self, process: Process) -> bool:
        """With the answer in the socket, which the process was too slow to read."""
        order = self._hold(process, "performed")
        if not order or process.poll() is not None:
            return False
        process.send_signal(signal.SIGSTOP)
        self.lab.venue.release()
        assert self.lab.venue.answered(order, 10), f"no answer to {order} ({self.lab.where})"
        return self._kill(process, f"the answer to {order} was not read")

    def commit(self, process: Process) -> bool:
        """While the projection commits: its log of pages has just grown."""
        wal = self.lab.directory / "journal.db-wal"
        if not self._trading(process) or not self.lab.alive_until(process, wal.exists, "pages"):
            return False

        def size() -> tuple[int, int]:
            found = wal.stat()
            return found.st_size, found.st_mtime_ns

        before = size()
        # Without a pause between the looks: the commit is a matter of a millisecond.
        until = time.monotonic() + 10
        while size() == before and process.poll() is None and time.monotonic() < until:
            pass
        return self._kill(process, "the projection committed")

    def starting(self, process: Process) -> bool:
        """Some milliseconds into the start, wherever that is by then."""
        at = time.monotonic() + self.rng.uniform(0.05, 1.5)
        alive = self.lab.alive_until(process, lambda: time.monotonic() >= at, "a moment")
        return alive and self._kill(process, "in the start")

    def in_recovery(self, process: Process) -> bool:
        """Twice: with an order on the wire, and again as soon as the next process has begun."""
        order = self._hold(process, "arrived")
        if not order or not self._kill(process, f"{order} had arrived"):
            return False
        before = self.lab.tail.count('"EngineStarted"')
        again = self.lab.start()
        alive = self.lab.alive_until(
            again, lambda: self.lab.tail.count('"EngineStarted"') > before, "the next start"
        )
        at = time.monotonic() + self.rng.uniform(0, 0.3)
        wait_until(lambda: time.monotonic() >= at, "a moment")
        if alive:
            self._kill(again, "in the recovery")
        return True

    # -- what does not kill ----------------------------------------------------------------------

    def stopped(self, process: Process) -> bool:
        """Stopped with an order at the venue, for longer than any of its windows."""
        order = self._hold(process, "arrived")
        if not order or process.poll() is not None:
            return False
        process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + STOPPED_S
        wait_until(lambda: time.monotonic() >= until, "the end of the stop")
        process.send_signal(signal.SIGCONT)
        self.happened.append(f"stopped for {STOPPED_S} s at {order}")
        return False

    def terminated(self, process: Process) -> bool:
        """Asked to end: it confirms the hedge, or says that it could not."""
        if not self._trading(process):
            return False
        process.send_signal(signal.SIGTERM)
        self.lab.alive_until(process, lambda: False, "the end after SIGTERM")
        unwound = self.lab.rows()[-1].entry
        assert process.returncode in (0, 7), (self.lab.where, process.returncode, self.lab.said())
        self.happened.append(f"terminated ({process.returncode})")
        return getattr(unwound, "reason", "") != "UNWOUND"

    def cut(self, process: Process) -> bool:
        """The streams break; the requests do not."""
        if self._trading(process):
            self.lab.venue.ask("POST", "/test/cut")
            self.happened.append("the streams were cut")
        return False


LIVES = [
    Story(f"life {seed}", seed, lambda lab: Killer(lab).live())
    for seed in range(FIRST_SEED, FIRST_SEED + LIVES_WANTED)
]


@told_by(LIVES)
def test_a_life_that_is_killed_ends_flat(told: dict[Story, Future[Any]], story: Story) -> None:
    assert told[story].result()


def test_the_lives_were_killed_often_enough(told: dict[Story, Future[Any]]) -> None:
    """A harm may come too late for a life; the run is worth nothing where that is the rule."""
    lived = [told[story] for story in LIVES if story in told]
    if len(lived) < len(LIVES):
        pytest.skip("only some of the lives were asked for")
    harms = [harm for one in lived for harm in one.result()]
    kills = [harm for harm in harms if not harm.startswith(HARMLESS)]
    assert len(kills) >= KILLS, harms
