"""How a life is killed: at moments of its own process that are drawn from a seed.

At a row of the journal or some milliseconds later, after the commit of a lease, with an order on
the wire that the venue has not looked at yet, with one that it has performed and not answered, with
an answer that nobody has read, in a commit of the projection, in the checkpoint of its pages, in a
start, and in the recovery from the kill before. Besides, a process is stopped in its tracks for
longer than the receive window or the fence, asked to end, or loses its streams.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from lab import Lab
from running import wait_until

KILLS_A_LIFE = 3
"""A fourth restart within ten minutes would start locked, and wait for a person."""
HELD_S = (0.3, 1.9)
"""How long the venue sits on an order: within its window, and often longer than a restart."""
GLANCE_S = 0.000_2
"""Between two looks for what is over within a millisecond."""
GLANCES_S = 20.0
Process = subprocess.Popen[bytes]


class Harm(NamedTuple):
    """One thing that was done to a life: which, where it hit, and whether it was SIGKILL."""

    kind: str
    where: str
    kills: bool = True


class Killer:
    """One life: start, harm, start again; the harms are drawn from the seed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.rng = random.Random(f"kills-{lab.seed}")
        self.happened: list[Harm] = []

    def live(self, harms: list[Callable[[Process], bool]] | None = None) -> list[Harm]:
        """Live the life to its end; return what was done to it."""
        lab = self.lab
        process = lab.start()
        for harm in self.harms() if harms is None else harms:
            gone = harm(process)
            if process.poll() == 0 and not gone:
                break  # it was quicker than its killer
            if gone:
                process = lab.start()
            process = lab.supervised(process)
        lab.finish(process)
        lab.judge()
        return self.happened

    def harms(self) -> list[Callable[[Process], bool]]:
        """Draw three deaths, and between them what does not kill."""
        # Each life begins with another death, so that ten lives have seen every one of them.
        deaths = [
            self.lease, self.arrived, self.performed, self.unread, self.commit,
            self.anywhere, self.starting, self.in_recovery, self.later, self.checkpoint,
        ]  # fmt: skip
        first = deaths[(self.lab.seed - 1) % len(deaths)]
        deaths.remove(self.in_recovery)  # this one kills twice
        left = KILLS_A_LIFE - (2 if first == self.in_recovery else 1)
        drawn = [first, *self.rng.choices(deaths, k=left)]
        # Two of the five are stops: whatever is drawn, ten lives see every harm that is none.
        other = (self.stopped, self.terminated, self.cut, self.stopped, None)[self.lab.seed % 5]
        if other is not None:
            drawn.insert(self.rng.randrange(len(drawn)), other)
        return drawn

    def _kill(self, process: Process, kind: str, where: str) -> bool:
        if process.poll() is not None:
            return False
        self.lab.kill(process, f"{kind} ({where})")
        self.happened.append(Harm(kind, where))
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

    def _moment(self, process: Process, first_s: float, last_s: float) -> bool:
        at = time.monotonic() + self.rng.uniform(first_s, last_s)
        return self.lab.alive_until(process, lambda: time.monotonic() >= at, "a moment")

    # -- deaths ----------------------------------------------------------------------------------

    def anywhere(self, process: Process) -> bool:
        """At a row of the journal, whichever it is."""
        until = self._rows() + self.rng.randint(1, 120)
        alive = self.lab.alive_until(process, lambda: self._rows() >= until, f"row {until}")
        return alive and self._kill(process, "at a row", str(until))

    def later(self, process: Process) -> bool:
        """At no point of interest: some milliseconds after an order was written."""
        alive = self._trading(process) and self._moment(process, 0, 1.5)
        return alive and self._kill(process, "while it trades", "after an order")

    def lease(self, process: Process) -> bool:
        """After the commit of a lease: the ids may be used, and none has been."""
        tail = self.lab.tail
        until = tail.count('"IdsLeased"') + self.rng.randint(1, 4)
        alive = self.lab.alive_until(
            process, lambda: tail.count('"IdsLeased"') >= until, f"lease {until}"
        )
        return alive and self._kill(process, "after the commit of a lease", str(until))

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
        return bool(order) and self._kill(process, "after the send", order)

    def performed(self, process: Process) -> bool:
        """With an order that is done at the venue, which has not said so yet."""
        order = self._hold(process, "performed")
        return bool(order) and self._kill(process, "performed, not answered", order)

    def unread(self, process: Process) -> bool:
        """With the answer in the socket, which the process was too slow to read."""
        order = self._hold(process, "performed")
        if not order or process.poll() is not None:
            return False
        process.send_signal(signal.SIGSTOP)
        self.lab.venue.release()
        assert self.lab.venue.answered(order, 10), f"no answer to {order} ({self.lab.where})"
        return self._kill(process, "before the answer was read", order)

    def _changed(self, process: Process, file: str) -> bool:
        """Look without a pause worth the name until a file changes; False where it never did."""
        path = self.lab.directory / file

        def state() -> tuple[int, int]:
            found = path.stat()
            return found.st_size, found.st_mtime_ns

        before, until = state(), time.monotonic() + GLANCES_S
        while process.poll() is None and time.monotonic() < until:
            if state() != before:
                return True
            time.sleep(GLANCE_S)  # nobody tells when SQLite writes a page: only looking shows it
        return False

    def commit(self, process: Process) -> bool:
        """While the projection commits: its log of pages has just grown."""
        wal = self.lab.directory / "journal.db-wal"
        if not self._trading(process) or not self.lab.alive_until(process, wal.exists, "pages"):
            return False
        grown = self._changed(process, wal.name)
        return grown and self._kill(process, "in a commit", "the log of pages has grown")

    def checkpoint(self, process: Process) -> bool:
        """While the pages go back into the tables: asked to end, it closes them."""
        if not self._trading(process):
            return False
        process.send_signal(signal.SIGTERM)
        if self._changed(process, "journal.db") and self._kill(
            process, "in a checkpoint", "the tables have changed"
        ):
            return True
        return self._ended(process)

    def starting(self, process: Process) -> bool:
        """Some milliseconds into the start, wherever that is by then."""
        return self._moment(process, 0.05, 1.5) and self._kill(process, "in a start", "somewhere")

    def in_recovery(self, process: Process) -> bool:
        """Twice: with an order on the wire, and again as soon as the next process has begun."""
        order = self._hold(process, "arrived")
        if not order or not self._kill(process, "after the send", order):
            return False
        before = self.lab.tail.count('"EngineStarted"')
        again = self.lab.start()
        alive = self.lab.alive_until(
            again, lambda: self.lab.tail.count('"EngineStarted"') > before, "the next start"
        )
        if alive and self._moment(again, 0, 0.3):
            self._kill(again, "in the recovery", f"from {order}")
        return True

    # -- what does not kill ----------------------------------------------------------------------

    def stopped(self, process: Process) -> bool:
        """Stopped for longer than it may be: with an order at the venue, or wherever it is."""
        where = self.rng.choice(("arrived", "performed", "trading", "starting"))
        if where in ("arrived", "performed"):
            if not self._hold(process, where):
                return False
        elif where == "trading":
            self._trading(process)
        else:
            self._moment(process, 0.05, 1.0)
        if process.poll() is not None:
            return False
        for_s = self.rng.choice(self.lab.pace.stopped_s)
        process.send_signal(signal.SIGSTOP)
        until = time.monotonic() + for_s
        wait_until(lambda: time.monotonic() >= until, "the end of the stop", for_s=for_s + 1)
        process.send_signal(signal.SIGCONT)
        self.happened.append(Harm(f"stopped for {for_s:g} s", where, kills=False))
        return False

    def terminated(self, process: Process) -> bool:
        """Asked to end: it confirms the hedge, or says that it could not."""
        if not self._trading(process):
            return False
        process.send_signal(signal.SIGTERM)
        return self._ended(process)

    def _ended(self, process: Process) -> bool:
        """Wait for the end that was asked for; whether it is to be started again."""
        self.lab.alive_until(process, lambda: False, "the end after SIGTERM")
        assert process.returncode in (0, 7), (self.lab.where, process.returncode, self.lab.said())
        self.happened.append(Harm("asked to end", f"exit {process.returncode}", kills=False))
        return self.lab.last_end(self.lab.rows()) != "UNWOUND"

    def cut(self, process: Process) -> bool:
        """The streams break; the requests do not."""
        if self._trading(process):
            self.lab.venue.ask("POST", "/test/cut")
            self.happened.append(Harm("streams cut", "while it trades", kills=False))
        return False
