"""One seed from beginning to end: faults, then calm; and many of them."""

import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from invariants import Mind
from swarm import CLASSES, Plan
from world import BEGIN, Broken, World, event_hash

from hedge.decide import events as e
from hedge.decide.events import Verb
from hedge.decide.mode import Mode, Trip
from hedge.decide.terms import Action
from hedge.model import FillKind, Leg, PositionMode
from hedge.model.numbers import MINUTE, SECOND, ZERO, plain

HEAL = 130 * SECOND
UNWIND = 900 * SECOND
DOUBT_LOCKS = 330 * SECOND


@dataclass(slots=True)
class Result:
    """What one seed came to."""

    seed: int
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    points: int = 0
    hash: str = ""
    unhedged: list[float] = field(default_factory=list)
    outcome: str = ""
    lines: list[str] = field(default_factory=list)


class Episode:
    """Runs one plan."""

    def __init__(self, plan: Plan, *, trace: bool = False, crash_at: int = -1) -> None:
        self.plan = plan
        self.world = World(plan, trace=trace)
        self.mind = Mind(self.world)
        self.world.crash_at_point = crash_at
        self.asked = 0

    def run(self) -> Result:
        world = self.world
        outcome = ""
        try:
            self._open()
            world.run(BEGIN + self.plan.chaos)
            self._heal()
            outcome = self._calm()
        except Broken:
            outcome = "broken"
        return Result(
            seed=self.plan.seed,
            violations=self.mind.violations,
            counts=world.counts,
            fired=world.fired,
            points=world.points,
            hash=event_hash(world),
            unhedged=self.mind.samples,
            outcome=outcome,
            lines=world.lines or [],
        )

    def _open(self) -> None:
        world, plan, venue = self.world, self.plan, self.world.venue
        adopt: Decimal | None = None
        if plan.found_coins:
            venue.base += plan.size * 3
            venue._balances(BEGIN)
        if plan.found_short:
            lots = max(plan.terms.futures.instrument.lot, plan.size)
            venue.forced(
                -lots,
                BEGIN,
                FillKind.TRADE,
                named="web-1",
                told=False,
                before=plan.dice("found").choice((0, 3600)) * SECOND,
            )
        if plan.adopt and plan.found_coins and not venue.is_account:
            adopt = plan.size
            venue.adopt(adopt, "adopt:r0")
        if venue.is_account and venue.base:
            venue.outside[Leg.SPOT] += venue.base
        world.start_line = {
            "action": plan.action,
            "request_id": "r0",
            "enter_now": plan.enter_now,
            "adopt": adopt,
        }
        for at, what, detail in plan.moments():
            world.at(BEGIN + at, self.happen, what, detail)
        world.at(BEGIN, world.boot)
        world.after(SECOND // 2, world.tick)
        world.after(SECOND, world.heartbeat)
        if plan.attentive:
            world.after(plan.attentive, self._attend)

    # -- what the swarm planned ------------------------------------------------------------------

    def happen(self, what: str, detail: dict[str, Any]) -> None:  # noqa: PLR0915 - one table
        world, venue, plan = self.world, self.world.venue, self.plan
        if not world.faults:
            return
        world.say(f"** {what} {detail}")
        lot = plan.terms.futures.instrument.lot
        match what:
            case "disconnect_loud" | "disconnect_silent":
                if world.shell is not None:
                    world.fire(what)
                silent = what == "disconnect_silent"
                world.disconnect(detail["streams"], detail["down"], silent=silent)
            case "read_burst":
                world.fire(what)
                world.read_broken_until = world.now + detail["down"]
            case "ban":
                world.fire(what)
                world.banned_until = world.now + detail["down"]
            case "mode_flip":
                world.fire(what)
                venue.mode = PositionMode.HEDGE
                world.after(detail["down"], self._mode_back)
            case "halt_leg":
                world.fire(what)
                leg = Leg.SPOT if detail["spot"] else Leg.FUTURES
                venue.halted.add(leg)
                world.after(detail["down"], venue.halted.discard, leg)
            case "deleveraging":
                share = Decimal(str(round(detail["share"], 3)))
                amount = (-venue.position * share / lot).to_integral_value() * lot
                if amount > 0:
                    world.fire(what)
                    venue.forced(amount, world.now, FillKind.AUTO_DELEVERAGING)
            case "liquidation":
                if venue.position < 0:
                    world.fire(what)
                    venue.forced(-venue.position, world.now, FillKind.LIQUIDATION)
            case "interval_change":
                world.fire(what)
                venue.change_interval()
            case "balance_change":
                world.fire(what)
                venue.deposit(detail["lots"] * plan.terms.spot.instrument.lot, world.now)
            case "manual_trade":
                world.fire(what)
                named = f"web-{world.order}" if detail["named"] else ""
                venue.forced(detail["lots"] * lot, world.now, FillKind.TRADE, named=named)
            case "unknown_execution":
                if venue.position:
                    world.fire(what)
                    if detail["real"]:
                        venue.forced(lot, world.now, FillKind.UNKNOWN)
                    else:
                        venue.phantom(world.now)
            case "crash_process" | "crash_machine" | "torn_write":
                if world.shell is not None and world.next_crash is None:
                    world.next_crash = (detail["after"], what)
                    world.down_for = detail["down"]
                    world.kept = detail["kept"]
            case "disk_full":
                world.fire(what)
                world.disk.full = True
                world.after(detail["down"], self._disk_free)
            case "operator":
                self._operate(detail)
            case "funding_gone":
                world.fire(what)
                venue.rate = Decimal("-0.0002")

    def _mode_back(self) -> None:
        self.world.venue.mode = PositionMode.ONE_WAY

    def _disk_free(self) -> None:
        self.world.disk.full = False

    def ask(self, verb: Verb, **rest: Any) -> None:
        world = self.world
        if world.shell is None:
            return
        self.asked += 1
        world.shell.feed(
            e.OperatorAsked(
                at=world.host(), verb=verb, request_id=f"o{self.asked}", by="op", **rest
            )
        )

    def _attend(self) -> None:
        """An attentive person, who clears what tripped."""
        world = self.world
        if not world.faults:
            return
        shell = world.shell
        if shell is not None and shell.engine.books.trips:
            self.ask(Verb.CLEAR, subject="*")
        world.after(self.plan.attentive, self._attend)

    def _operate(self, detail: dict[str, Any]) -> None:
        world, plan = self.world, self.plan
        if world.shell is None:
            return
        world.fire("operator")
        verb = Verb(detail["verb"])
        rest: dict[str, Any] = {}
        match verb:
            case Verb.SCALE:
                share = Decimal(str(detail["share"]))
                rest["usd"] = plan.target * 100 * share
            case Verb.ADOPT:
                free = world.venue.base - world.venue.ledger
                if world.venue.is_account or free < plan.size:
                    return
                if not world.shell.engine.volatile.recovered:
                    return  # open finding: what waits for the recovery is lost in a crash
                rest["quantity"] = plan.size
            case Verb.ACK:
                rest["subject"] = "*"
            case Verb.RESOLVE:
                # A person resolves only what he has seen to be dead.
                for book in world.shell.engine.leg_books():
                    for oid, record in book.open.items():
                        dead = oid not in world.venue.orders and oid not in world.in_flight
                        if record.doubt_at and dead:
                            rest["subject"] = oid
                if not rest:
                    return
            case _:
                pass
        if verb is Verb.ADOPT:
            world.venue.adopt(rest["quantity"], f"o{self.asked + 1}")
        self.ask(verb, **rest)

    def _ask_the_end(self) -> None:
        """What a person does who has looked at the venues himself."""
        world = self.world
        if world.shell is None:
            return
        for book in world.shell.engine.leg_books():
            for oid, record in list(book.open.items()):
                dead = oid not in world.venue.orders and oid not in world.in_flight
                if record.doubt_at and dead and world.shell is not None:
                    self.ask(Verb.RESOLVE, subject=oid)
        self.ask(Verb.CLEAR, subject="*")
        self.ask(Verb.LIQUIDATE)
        self.mind.gap_since = 0

    # -- the second phase ------------------------------------------------------------------------

    def _heal(self) -> None:
        """Take every fault away; what they left behind is the engine's business."""
        world, venue = self.world, self.world.venue
        world.say("== faults off")
        world.faults = False
        world.next_crash = None
        world.disk.full = False
        world.disk.write_faults.clear()
        world.read_broken_until = world.banned_until = 0
        venue.halted.clear()
        venue.mode = PositionMode.ONE_WAY
        for stream in world.streams.values():
            stream.deaf_until = 0
        if world.shell is not None and world.host_offset:
            # The clock is set right, and the process started again by its supervisor.
            world.crash_kind = "restart"
            world.down_for = SECOND
            world.died(world.shell)
        if world.shell is not None:
            for leg, kind in world.streams:
                if not world.streams[leg, kind].up:
                    world._reconnected(world.shell, leg, kind)
        self.mind.gap_since = 0

    def _calm(self) -> str:
        world, mind = self.world, self.mind
        healed = world.now
        world.run(healed + HEAL, self._at_rest)
        if world.shell is None and not world.ended:
            world.run(world.now + 31 * MINUTE, lambda: world.shell is not None or world.ended)
            world.run(world.now + HEAL, self._at_rest)
        first = self._stand()
        if first.startswith("?in doubt"):
            # Behind an unexplained difference, or a signature in the future, a doubt stays one
            # until it locks and a person looks (R7, bounds).
            world.run(world.now + DOUBT_LOCKS)
            first = self._stand()
        if first.startswith("?"):
            mind.broken("I20", f"not at rest {HEAL // SECOND} s after the faults: {first[1:]}")
        mind.at_end(world.shell)
        last = self._unwind()
        return f"{first}; {last}"

    def _at_rest(self) -> bool:
        """Return whether nothing more is to be expected without a person."""
        world = self.world
        if world.ended:
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
            and not self.plan.long
        )

    def _stand(self) -> str:
        """Return how the truth stands; with a question mark when nothing explains it."""
        world, mind = self.world, self.mind
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
        named = bool(books.trips) or books.mode is Mode.HALT or bool(books.external_at)
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
        world, mind, venue = self.world, self.mind, self.world.venue
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
        self.ask(Verb.RESUME)
        self._ask_the_end()
        began = world.now
        for _ in range(int(UNWIND / (60 * SECOND))):
            world.run(world.now + 60 * SECOND, lambda: world.ended)
            if world.ended:
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


def run(
    seed: int,
    *,
    without: frozenset[str] = frozenset(),
    calm: bool = False,
    trace: bool = False,
    crash_at: int = -1,
    beyond: frozenset[str] = frozenset(),
) -> Result:
    """Run one seed to its end."""
    plan = Plan(seed, without=without, calm=calm, beyond=beyond)
    return Episode(plan, trace=trace, crash_at=crash_at).run()


@dataclass(slots=True)
class Total:
    """Many seeds together."""

    seeds: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    crashes: list[int] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    """In how many seeds each class struck."""
    outcomes: Counter[str] = field(default_factory=Counter)
    unhedged: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, result: Result) -> None:
        self.seeds += 1
        if result.violations:
            self.failed.append((result.seed, result.violations[0]))
        self.events.append(result.counts["events"])
        self.orders.append(result.counts["orders"])
        self.crashes.append(result.counts["crashes"])
        self.fired.update(result.fired.keys())
        self.outcomes[result.outcome.split(" after")[0]] += 1
        self.unhedged.extend(result.unhedged)

    def merge(self, other: "Total") -> None:
        self.seeds += other.seeds
        for name in ("failed", "events", "orders", "crashes", "unhedged"):
            getattr(self, name).extend(getattr(other, name))
        self.fired.update(other.fired)
        self.outcomes.update(other.outcomes)

    def summary(self) -> str:
        def middle(values: list[int]) -> int:
            return sorted(values)[len(values) // 2] if values else 0

        times = sorted(self.unhedged)

        def part(share: float) -> float:
            return times[min(int(share * len(times)), len(times) - 1)] if times else 0.0

        return (
            f"{self.seeds} seeds, {len(self.failed)} failed; a seed (median): events"
            f" {middle(self.events)}, orders {middle(self.orders)}, crashes"
            f" {middle(self.crashes)} (mean {sum(self.crashes) / max(self.seeds, 1):.2f});"
            f" unhedged s: p50 {part(0.5):.1f}, p99 {part(0.99):.1f}, max {part(1):.1f};"
            f" {self.seeds / max(self.seconds, 1e-9):.0f} seeds/s"
        )

    def rates(self) -> str:
        """Return in which share of the seeds each class of fault struck."""
        return ", ".join(
            f"{name} {100 * self.fired[name] / max(self.seeds, 1):.1f}%" for name in CLASSES
        )


def run_some(seeds: list[int], calm: bool = False) -> Total:
    """Run seeds one after the other."""
    total = Total()
    for seed in seeds:
        try:
            result = run(seed, calm=calm)
        except Exception as error:  # noqa: BLE001 - a world that falls over is a failed seed
            result = Result(seed=seed, violations=[f"world: {type(error).__name__}: {error}"])
        total.add(result)
    return total


def run_many(first: int, count: int, *, processes: int = 2, calm: bool = False) -> Total:
    """Run ``count`` seeds on some processes."""
    began = time.perf_counter()
    total = Total()
    size = max(1, min(100, count // max(processes * 4, 1)))
    parts = [
        list(range(at, min(at + size, first + count))) for at in range(first, first + count, size)
    ]
    if processes <= 1:
        for part in parts:
            total.merge(run_some(part, calm))
    else:
        with ProcessPoolExecutor(processes) as pool:
            for one in pool.map(run_some, parts, [calm] * len(parts)):
                total.merge(one)
    total.failed.sort()
    total.seconds = time.perf_counter() - began
    return total


def trace(seed: int, **rest: Any) -> str:
    """Return the readable story of one seed."""
    result = run(seed, trace=True, **rest)
    plan = Plan(seed)
    on = ", ".join(sorted(plan.on))
    end = "; ".join(result.violations) or result.outcome
    return "\n".join([f"seed {seed}; faults: {on}", *result.lines, f"END {end}", result.hash])


def shrink(seed: int, **rest: Any) -> tuple[frozenset[str], Result]:
    """Take fault classes away one by one while the seed still fails."""
    gone: frozenset[str] = frozenset()
    result = run(seed, **rest)
    assert result.violations, f"seed {seed} does not fail"
    kind = result.violations[0].split()[0]
    for name in CLASSES:
        tried = gone | {name}
        again = run(seed, without=tried, **rest)
        if again.violations and again.violations[0].split()[0] == kind:
            gone, result = tried, again
    return gone, result


__all__ = ["ZERO", "Episode", "Result", "Total", "run", "run_many", "shrink", "trace"]
