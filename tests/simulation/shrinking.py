"""Makes a failing seed small: takes away every fault that it does not need to fail."""

from typing import Any, NamedTuple

from clockwork import Strike
from episode import Result, attempt
from swarm import BEYOND, CLASSES

RUNS_MOST = 600
"""After so many tries the story is small enough."""


class Shrunk(NamedTuple):
    """What is left: classes taken away whole, single strikes taken away, and what still fails."""

    without: frozenset[str]
    spared: frozenset[Strike]
    result: Result
    runs: int

    @property
    def needed(self) -> str:
        """Return the strikes that are left, by class."""
        struck = self.result.struck
        gone = {name for name, _ in self.spared}
        left = {}
        for name, count in struck.items():
            spared = sum(1 for one, number in self.spared if one == name and number <= count)
            if count > spared:
                left[name.lstrip("@")] = (count - spared, name in gone)
        told = (f"{name} x {count}" for name, (count, _) in sorted(left.items()))
        return ", ".join(told) or "no fault"


class _Search:
    """Tries to do without more and more, as long as the same invariant breaks."""

    def __init__(self, seed: int, rest: dict[str, Any]) -> None:
        self.seed = seed
        self.rest = rest
        self.without: frozenset[str] = frozenset()
        self.spared: frozenset[Strike] = frozenset()
        self.result = attempt(seed, **rest)
        self.runs = 1
        if self.result.violations:
            self.kind = self.result.violations[0].split()[0]

    def tries(self, without: frozenset[str], spared: frozenset[Strike]) -> bool:
        """Return whether it still fails the same way with this taken away too; keep it then."""
        if self.runs >= RUNS_MOST:
            return False
        self.runs += 1
        again = attempt(self.seed, without=without, spared=spared, **self.rest)
        if not again.violations or again.violations[0].split()[0] != self.kind:
            return False
        self.without, self.spared, self.result = without, spared, again
        return True

    def classes(self) -> None:
        """Take whole classes away, until none can go."""
        names = [name for name in (*CLASSES, *BEYOND) if name not in self.without]
        gone = True
        while gone:
            gone = False
            for name in names:
                gone |= name not in self.without and self.tries(self.without | {name}, self.spared)

    def strikes(self) -> None:
        """Take strikes away: halves first, then quarters, and at last one by one."""
        size = max(len(self._left()) // 2, 1)
        while self.runs < RUNS_MOST:
            gone = False
            left = self._left()
            for start in range(0, len(left), size):
                gone |= self.tries(self.without, self.spared | set(left[start : start + size]))
            if size == 1 and not gone:
                return
            if not gone or size > len(self._left()):
                size = max(size // 2, 1)

    def _left(self) -> list[Strike]:
        struck = self.result.struck
        every = [(name, n) for name in sorted(struck) for n in range(1, struck[name] + 1)]
        return [strike for strike in every if strike not in self.spared]


def shrink(seed: int, **rest: Any) -> Shrunk:
    """Return the smallest failure found; raise `ValueError` for a seed that does not fail."""
    search = _Search(seed, rest)
    if not search.result.violations:
        raise ValueError(f"seed {seed} does not fail")
    search.classes()
    search.strikes()
    spared = frozenset(
        (name, n) for name, n in search.spared if n <= search.result.struck.get(name, 0)
    )
    return Shrunk(search.without, spared, search.result, search.runs)
