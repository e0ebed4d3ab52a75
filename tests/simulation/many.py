"""Many seeds on some processes, and what they came to together."""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import EnumType
from typing import Any, TypeVar

from attribution import CAUSES, Span
from episode import Result, attempt
from swarm import CLASSES, EDITION

JUDGE_EVERY = 5
"""The history of every fifth seed is read by the checker; it costs an eighth of a story."""
FENCE_S = 25.0
"""The longest fence of the swarm, in whole seconds: what lasts longer has to be explained."""
T = TypeVar("T")


@dataclass(slots=True)
class Total:
    """Many seeds together."""

    edition: int = EDITION
    first: int = 0
    seeds: int = 0
    judged: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    crashes: list[int] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    """In how many seeds each class struck."""
    outcomes: Counter[str] = field(default_factory=Counter)
    spans: list[Span] = field(default_factory=list)
    seconds: float = 0.0
    processes: int = 1

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.judged += result.judged
        if result.violations:
            self.failed.append((result.seed, result.violations[0]))
        self.events.append(result.counts["events"])
        self.orders.append(result.counts["orders"])
        self.crashes.append(result.counts["crashes"])
        self.fired.update(result.fired.keys())
        self.outcomes[result.outcome.split(" after")[0]] += 1
        self.spans.extend(result.spans)

    def merge(self, other: "Total") -> None:
        self.seeds += other.seeds
        self.judged += other.judged
        for name in ("failed", "events", "orders", "crashes", "spans"):
            getattr(self, name).extend(getattr(other, name))
        self.fired.update(other.fired)
        self.outcomes.update(other.outcomes)

    def summary(self) -> str:
        rate = self.seeds / max(self.seconds, 1e-9)
        return (
            f"{self.seeds} seeds from {self.edition}:{self.first}, {len(self.failed)} failed;"
            f" {self.seconds:.0f} s, {rate:.0f} seeds/s on {self.processes} processes;"
            f" histories judged: {self.judged}\n"
            f"a seed (median): {middle(self.events)} events, {middle(self.orders)} orders,"
            f" {middle(self.crashes)} crashes (mean {sum(self.crashes) / max(self.seeds, 1):.2f})"
        )

    def rates(self) -> str:
        """Return in which share of the seeds each class of fault struck."""
        return "struck in % of the seeds: " + ", ".join(
            f"{name} {100 * self.fired[name] / max(self.seeds, 1):.1f}" for name in CLASSES
        )

    def quiet(self) -> dict[str, int]:
        """Return the classes that struck in less than one seed of a hundred."""
        least = max(1, self.seeds // 100)
        return {name: self.fired[name] for name in CLASSES if self.fired[name] < least}


def middle(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2] if values else 0


def quantiles(spans: Sequence[Span]) -> dict[str, float]:
    """Return p50, p99 and the longest of all stretches of unhedged time, in seconds."""
    times = sorted(length for length, _ in spans)

    def part(share: float) -> float:
        return round(times[min(int(share * len(times)), len(times) - 1)], 3) if times else 0.0

    return {"spans": len(times), "p50": part(0.5), "p99": part(0.99), "max": part(1)}


def shares(spans: Iterable[Span]) -> dict[str, float]:
    """Return which share of the unhedged seconds each cause explains, in percent."""
    sums = dict.fromkeys(CAUSES, 0.0)
    for _, parts in spans:
        for cause, seconds in parts.items():
            sums[cause] += seconds
    whole = sum(sums.values()) or 1.0
    return {cause: round(100 * seconds / whole, 1) for cause, seconds in sums.items()}


def unhedged(name: str, spans: Sequence[Span]) -> str:
    """Return two lines on how long the truth was unhedged, and why."""
    q = quantiles(spans)
    long = [span for span in spans if span[0] > FENCE_S]

    def told(some: Sequence[Span]) -> str:
        return ", ".join(f"{cause} {share} %" for cause, share in shares(some).items() if share)

    times = f"{q['spans']} times, p50 {q['p50']:.2f} s, p99 {q['p99']:.1f} s, max {q['max']:.0f} s"
    lines = [f"unhedged {name}: {times}; of these seconds: {told(spans) or 'none'}"]
    if long:
        lines.append(f"  {len(long)} times longer than {FENCE_S:.0f} s: {told(long)}")
    return "\n".join(lines)


def run_some(seeds: Sequence[int], options: dict[str, Any]) -> Total:
    """Run seeds one after the other; the checker reads the history of some."""
    options = dict(options)
    every = options.pop("judge_every", JUDGE_EVERY)
    total = Total(edition=options.get("edition", EDITION))
    for seed in seeds:
        total.add(attempt(seed, judged=seed % every == 0, **options))
    return total


@contextmanager
def undisturbed() -> Iterator[None]:
    """Spare what only costs time: the collector, as a world leaves no cycles behind, and a hook.

    Before Python 3.12 every mention of an enum's member asks first whether its class has a hook for
    members that are not there. Without it the same members are found, eight times as fast.
    """
    hook = vars(EnumType).get("__getattr__")
    gc.disable()
    if hook is not None:
        del EnumType.__getattr__
    try:
        yield
    finally:
        gc.enable()
        if hook is not None:
            EnumType.__getattr__ = hook


def quickly(work: Callable[..., T], part: Any, rest: Any) -> T:
    """Return ``work(part, rest)``, which runs worlds and nothing else."""
    with undisturbed():
        found = work(part, rest)
    gc.collect()
    return found


def spread(work: Callable[..., T], parts: Sequence[Any], rest: Any, processes: int) -> list[T]:
    """Return ``work(part, rest)`` for every part, in their order, on some processes."""
    if processes <= 1:
        return [quickly(work, part, rest) for part in parts]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(quickly, [work] * len(parts), parts, [rest] * len(parts)))


def run_many(first: int, count: int, *, processes: int = 2, **options: Any) -> Total:
    """Run ``count`` seeds; which process runs which does not change what they come to."""
    began = time.perf_counter()
    total = Total(edition=options.get("edition", EDITION), first=first, processes=processes)
    size = max(1, min(100, count // max(processes * 4, 1)))
    parts = [range(at, min(at + size, first + count)) for at in range(first, first + count, size)]
    for one in spread(run_some, parts, options, processes):
        total.merge(one)
    total.failed.sort()
    total.seconds = time.perf_counter() - began
    return total


__all__ = ["Total", "middle", "quantiles", "run_many", "run_some", "shares", "spread", "unhedged"]
