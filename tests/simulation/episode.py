"""One seed from beginning to end: faults, then calm."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aftermath import Aftermath
from attribution import Span
from clockwork import BEGIN, Broken, Death, Strike
from history import check
from invariants import Mind
from swarm import EDITION, Plan
from world import World, event_hash

from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.events import Verb
from hedge.decide.mode import Mode
from hedge.model import FillKind, Leg, PositionMode
from hedge.model.numbers import SECOND, ZERO

IDLE_MOST = 2
"""After so many windows without an order no more of them are opened."""


@dataclass(slots=True)
class Result:
    """What one seed came to."""

    seed: int
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    points: int = 0
    writes: int = 0
    hash: str = ""
    judged: bool = False
    spans: list[Span] = field(default_factory=list)
    """Each stretch of time in which the truth was unhedged, and why."""
    outcome: str = ""
    lines: list[str] = field(default_factory=list)


class Episode:
    """Runs one plan."""

    def __init__(
        self,
        plan: Plan,
        *,
        trace: bool = False,
        deaths: Sequence[Death] = (),
        engine: type[Engine] = Engine,
        spared: frozenset[Strike] = frozenset(),
        judged: bool = True,
    ) -> None:
        self.plan = plan
        self.judged = judged
        self.world = World(plan, trace=trace, engine=engine, spared=spared)
        self.mind = Mind(self.world, thorough=judged)
        self.world.venue.after_fill = self.world.filled
        self.world.venue.after_end = self.world.order_ended
        self.world.deaths = list(deaths)
        self.world.next_death()
        self.asked = 0

    def run(self) -> Result:
        world = self.world
        outcome = ""
        try:
            self._open()
            self._storm()
            after = Aftermath(world, self.mind, self.plan, self.ask, self.ask_the_end)
            after.heal()
            outcome = after.calm()
        except Broken:
            outcome = "broken"
        world.unhedged.close()
        if self.judged and not self.mind.violations:
            self._judge()
        return Result(
            seed=self.plan.seed,
            violations=self.mind.violations,
            counts=world.counts,
            fired=world.fired,
            struck=world.struck,
            points=world.points,
            writes=world.disk.writes,
            hash=event_hash(world),
            judged=self.judged,
            spans=world.unhedged.spans,
            outcome=outcome,
            lines=world.lines or [],
        )

    def _judge(self) -> None:
        """Let the checker that shares no code with the engine read the whole story."""
        for complaint in check(self.world.story(), self.world.journal_text())[:1]:
            self.mind.violations.append(f"HISTORY {complaint}")
            self.world.say(f"!! {self.mind.violations[-1]}")

    def _open(self) -> None:
        world, plan, venue = self.world, self.plan, self.world.venue
        world.truth.note(
            "begin",
            BEGIN,
            prefix=plan.terms.prefix,
            ratio=str(plan.terms.hedge_ratio),
            lot=str(plan.terms.futures.instrument.lot),
        )
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
        if plan.think:
            world.after(plan.think, self._work)

    def _storm(self) -> None:
        """Live through the happenings, and through more of them while too little was traded."""
        world, plan = self.world, self.plan
        most = plan.orders_wanted * 3 // 2
        enough = (lambda: world.counts["orders"] >= most) if most else None
        until = BEGIN + plan.chaos
        world.run(until, enough)
        idle, before = 0, 0
        for _ in range(1, plan.windows):
            orders = world.counts["orders"]
            idle = idle + 1 if orders == before else 0
            before = orders
            if orders >= plan.orders_wanted or idle == IDLE_MOST:
                return
            for at, what, detail in plan.moments(again=True):
                world.at(until + at, self.happen, what, detail)
            until += plan.chaos
            world.run(until, enough)

    # -- what the swarm planned ------------------------------------------------------------------

    def happen(self, what: str, detail: dict[str, Any]) -> None:  # noqa: PLR0915 - one table
        world, venue, plan = self.world, self.world.venue, self.plan
        if not world.faults:
            return
        self.mind.look_outside()  # what comes now must not hide behind what came before
        number = world.struck[f"@{what}"] = world.struck[f"@{what}"] + 1
        if (f"@{what}", number) in world.spared:
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
        if not self.plan.patient and shell is not None:
            self._resolve_dead(after=30 * SECOND)
        world.after(self.plan.attentive, self._attend)

    def _work(self) -> None:
        """The owner, who has another wish whenever the hedge is idle."""
        world, plan = self.world, self.plan
        if not world.faults:
            return
        world.after(plan.think, self._work)
        shell = world.shell
        if shell is None:
            return
        books, notes = shell.engine.books, shell.engine.volatile
        busy = books.mode is not Mode.HALT or books.run.waiting or books.asked
        if busy or not notes.recovered or not notes.begun or notes.ending or books.stopping_at:
            return
        r = plan.dice("work")
        if r.random() < 0.2:
            self.ask(Verb.LIQUIDATE)
        else:
            share = Decimal(str(r.choice((0.3, 0.5, 0.8, 1, 1.2))))
            self.ask(Verb.SCALE, usd=plan.target * 100 * share)

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

    def _resolve_dead(self, after: int = 0) -> None:
        """What a person does about doubts as old as this, who has looked at the venue."""
        world = self.world
        if world.shell is None:
            return  # it died of what was asked before
        for book in world.shell.engine.leg_books():
            for oid, record in list(book.open.items()):
                dead = oid not in world.venue.orders and oid not in world.in_flight
                old = record.doubt_at and world.host() - record.doubt_at >= after
                if old and dead and world.shell is not None:
                    self.ask(Verb.RESOLVE, subject=oid)

    def ask_the_end(self) -> None:
        """What a person does who has looked at the venues himself."""
        world = self.world
        if world.shell is None:
            return
        self._resolve_dead()
        self.ask(Verb.CLEAR, subject="*")
        self.ask(Verb.LIQUIDATE)
        self.mind.gap_since = 0


def run(
    seed: int,
    *,
    edition: int = EDITION,
    without: frozenset[str] = frozenset(),
    calm: bool = False,
    beyond: frozenset[str] = frozenset(),
    **rest: Any,
) -> Result:
    """Run one seed to its end; ``rest`` goes to the `Episode`."""
    plan = Plan(seed, edition=edition, without=without, calm=calm, beyond=beyond)
    episode = Episode(plan, **rest)
    result = episode.run()
    episode.world.leave()
    return result


def attempt(seed: int, **rest: Any) -> Result:
    """Run one seed; a world that falls over is a failed seed too."""
    try:
        return run(seed, **rest)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the others
        return Result(seed=seed, violations=[f"WORLD {type(error).__name__}: {error}"])


def trace(seed: int, **rest: Any) -> str:
    """Return the readable story of one seed."""
    result = run(seed, trace=True, **rest)
    chosen = {name: rest[name] for name in ("edition", "without", "calm") if name in rest}
    plan = Plan(seed, **chosen)
    on = ", ".join(sorted(plan.on)) or "none"
    end = "; ".join(result.violations) or result.outcome
    head = f"seed {plan.edition}:{seed}; faults: {on}"
    return "\n".join([head, *result.lines, f"END {end}", result.hash])


__all__ = ["ZERO", "Episode", "Result", "attempt", "run", "trace"]
