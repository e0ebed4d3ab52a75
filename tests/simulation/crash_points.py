"""Kills one quiet story at every point where a process can die, and lets it come back.

A process can die before an event, before and after a write to the journal, before every order and
cancel that it sends, and behind its deeds. Of these points one is taken for every state that a
death can leave behind: the journal's bytes and which of them are synced, the orders sent and on
their way, what the venue has done with them. To die of a quote that changes nothing is to die at
the point before. Besides, it dies inside every write, torn. At each the process dies alone, or the
machine with it; ``again`` kills it a second time while it recovers.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from clockwork import Death
from episode import Episode, Result
from many import JUDGE_EVERY, spread
from swarm import Plan, dice

from hedge.model.numbers import MS, SECOND

KINDS = ("crash_process", "crash_machine")
BRIEF = 6 * SECOND
"""How long the owner of a base trades before all is wound up."""
SLICES_MOST = 2


class Case(NamedTuple):
    """One story: a base seed and the deaths in it."""

    seed: int
    deaths: tuple[Death, ...]


def plan_of(seed: int) -> Plan:
    """Return a short plan without faults in which everything is done once."""
    plan = Plan(seed, calm=True)
    plan.slices = min(plan.slices, SLICES_MOST)
    plan.rest_for = MS * 100
    plan.terms = plan.make_terms()
    plan.chaos = BRIEF
    plan.windows = 1
    plan.orders_wanted = 0
    plan.unwinds = True
    plan.patient = False
    return plan


def tell(case: Case, **rest: Any) -> Result:
    """Run one case."""
    episode = Episode(plan_of(case.seed), deaths=case.deaths, **rest)
    result = episode.run()
    episode.world.leave()
    return result


def cases_of(seed: int, *, again: bool = False) -> list[Case]:
    """Return every death that a base seed has a place for."""
    episode = Episode(plan_of(seed), judged=False)
    episode.world.distinct = []
    base = episode.run()
    assert not base.violations, f"base {seed}: {base.violations[0]}"
    r = dice(seed, "deaths")
    deaths = [
        Death(kind, points=point, kept=r.choice((0.0, 0.3, 0.8, 1.0)))
        for point in episode.world.distinct
        for kind in KINDS
    ]
    deaths += [
        Death(kind, write=write, torn=int(1 + r.random() * 400), kept=r.random())
        for write in range(2, base.writes + 1)
        for kind in KINDS
    ]
    return [Case(seed, (death, *_second(r, again=again))) for death in deaths]


def _second(r: Random, *, again: bool) -> tuple[Death, ...]:
    """Return a death inside the recovery from the first."""
    if not again:
        return ()
    return (Death(r.choice(KINDS), points=1 + int(60 * r.random() ** 2), kept=r.random()),)


@dataclass(slots=True)
class Crashes:
    """What many deaths came to."""

    bases: int = 0
    points: int = 0
    """All cases there are."""
    tried: Counter[str] = field(default_factory=Counter)
    judged: int = 0
    failed: list[tuple[Case, str]] = field(default_factory=list)
    seconds: float = 0.0

    def merge(self, other: "Crashes") -> None:
        self.tried.update(other.tried)
        self.judged += other.judged
        self.failed.extend(other.failed)

    def summary(self) -> str:
        told = ", ".join(f"{name} {count}" for name, count in sorted(self.tried.items()))
        return (
            f"{sum(self.tried.values())} of {self.points} deaths of {self.bases} bases tried"
            f" ({told}); histories judged: {self.judged};"
            f" {len(self.failed)} failed; {self.seconds:.0f} s"
        )


def _some(cases: Sequence[Case], options: dict[str, Any]) -> Crashes:
    found = Crashes()
    for number, case in enumerate(cases):
        death = case.deaths[0]
        found.tried[f"{death.kind}{' torn' if death.write else ''}"] += 1
        try:
            judged = number % JUDGE_EVERY == 0
            found.judged += judged
            violations = tell(case, judged=judged, **options).violations
        except Exception as error:  # noqa: BLE001 - a world that falls over is a failure
            violations = [f"WORLD {type(error).__name__}: {error}"]
        if violations:
            found.failed.append((case, violations[0]))
    return found


def crash_everywhere(
    seeds: Sequence[int],
    *,
    most: int = 0,
    again: bool = False,
    in_turn: bool = False,
    processes: int = 2,
) -> Crashes:
    """Try the deaths of all bases; with ``most``, that many of them, evenly taken.

    ``in_turn`` dies once at each place, alone and with the machine by turns, and not in both ways.
    """
    began = time.perf_counter()
    cases = [case for seed in seeds for case in cases_of(seed, again=again)]
    total = Crashes(bases=len(seeds), points=len(cases))
    if in_turn:
        cases = [case for at, case in enumerate(cases) if at % len(KINDS) == at // len(KINDS) % 2]
    if most and most < len(cases):
        # A stride that shares no factor with the pairs of kinds takes both of them in turn.
        cases = [cases[number * len(cases) // most] for number in range(most)]
    parts = [cases[at : at + 50] for at in range(0, len(cases), 50)]
    for one in spread(_some, parts, {}, processes):
        total.merge(one)
    total.seconds = time.perf_counter() - began
    return total
