"""Time, chance and the way a process can die: what everything in a simulated world runs on."""

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, NamedTuple

from swarm import Plan

from hedge.model.numbers import MS, SECOND

BEGIN = 1_700_000_000 * SECOND
Strike = tuple[str, int]
"""One strike of a fault: its class, and which of the class it is."""


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


class Died(BaseException):
    """The process dies here."""


class Broken(Exception):
    """An invariant of safety part 3 did not hold."""


class Clockwork:
    """One scheduler and the dice of one plan."""

    def __init__(self, plan: Plan, *, trace: bool, spared: frozenset[Strike]) -> None:
        self.plan = plan
        self.now = BEGIN
        self.heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = 0
        self.lines: list[str] | None = [] if trace else None
        self.counts: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.spared = spared
        """Strikes that do not happen, for whoever looks for the few that matter."""
        self.faults = True
        self._chances = plan.chances()
        self._delay = plan.dice("delay").random
        self._delay_most = plan.delay_most

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


__all__ = ["BEGIN", "Broken", "Clockwork", "Death", "Died", "Strike"]
