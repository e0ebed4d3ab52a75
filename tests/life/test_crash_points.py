"""Goal: wherever the whole asyncio program dies, alone or with its machine, the same line brings it
back, and the hedge ends flat with nothing doubled, forgotten or lost that was promised.

Method: three short lives on virtual time are lived once, to learn where they can die: inside each
write to the journal (some bytes arrive) and behind it, behind each sync, with each order and each
cancel on its way to the venue, performed there, and answered. They are then lived again for every
state that such a death leaves behind, by the death of the process (the page cache survives) and of
the machine (what was not synced is gone, another boot), and with a disk that is full from each
write on until the next start; with odd places what is on the wire still arrives. The judge is the
venue's own record. `HEDGE_CRASH_MOST` is how many deaths of each base are tried, evenly taken, 0
being all of them; `HEDGE_CRASH_BASES` asks for more bases; a failure names base and death.
"""

import asyncio
import contextlib
import errno
import importlib.util
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from hedge.config.layers import Flags
from hedge.config.plan import RunPlan
from hedge.config.resolver import resolve
from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.leg_book import make_id
from hedge.decide.rows import Row
from hedge.errors import JournalError, LockHeld, VenueError
from hedge.journal import read_rows
from hedge.journal.disk import RealDisk
from hedge.model import Order, OrderReport
from hedge.model.numbers import MS, SECOND
from hedge.plugins.found import Found, discover
from hedge.plugins.host import load_plugins
from hedge.report.attribution import attribute
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.session import Session
from hedge_sim.truth import read_truth

BASES = int(os.environ.get("HEDGE_CRASH_BASES", "3"))
MOST = int(os.environ.get("HEDGE_CRASH_MOST", "40"))
LATENCY_MS = 20
PERFORMED_MS, SENT_MS = 30, 5
"""Behind the send: the request has arrived and its answer has not; it has not arrived."""
LINGER_MS = 200
SYNC_MS = 50
"""How far the journal's thread is behind."""
EACH = 20
LIVES_MAX = 6
JOURNAL, TABLES = "journal.log", "journal.db"
PROCESS, MACHINE, FULL = "process", "machine", "full disk"


class Crash(SystemExit):
    """The end of a process, in the middle of whatever it was doing."""


class Place(NamedTuple):
    """Where a process can die: the how many-th such place of a life, and of which kind."""

    number: int
    kind: str


class Death(NamedTuple):
    place: Place
    of: str


class Watch:
    """Counts the places; dies at one of them, or notes the states that they leave behind."""

    def __init__(self, folder: Path, death: Death | None = None, *, over: bool = False) -> None:
        self.folder = folder
        self.death = death
        self.over = over
        """Nobody dies any more, and nobody counts."""
        self.number = 0
        self.synced: dict[Path, int] = {}
        self.clock: VirtualClock | None = None
        self._syncs_at = 0
        self.on_the_wire: set[str] = set()
        self.deaths: list[Death] = []
        self._states: set[tuple[object, ...]] = set()

    def at(self, kind: str) -> None:
        """Be at a place."""
        if self.over:
            return
        self.number += 1
        if self.death is None:
            self._note(Place(self.number, kind))
        elif self.number == self.death.place.number:
            assert kind == self.death.place.kind, "the same life went another way"
            raise Crash

    def later(self, sync: Callable[[], None]) -> None:
        """Have what was written synced a moment later, as the journal's thread does."""
        clock = self.clock
        if self.over or clock is None or clock.now() < self._syncs_at:
            return
        self._syncs_at = clock.now() + SYNC_MS * MS
        clock.call_at(self._syncs_at, sync)

    def torn(self) -> bool:
        """Be inside a write; whether it is the one that is cut short."""
        if self.over:
            return False
        self.number += 1
        if self.death is None:
            place = Place(self.number, "torn write")
            self.deaths += [Death(place, of) for of in (PROCESS, MACHINE, FULL)]
        return self.death is not None and self.number == self.death.place.number

    def _note(self, place: Place) -> None:
        log = self.folder / JOURNAL
        venue = sum(path.stat().st_size for path in self.folder.glob("sim-*.truth"))
        written, synced = log.stat().st_size, self.synced.get(log, 0)
        for of, left in ((PROCESS, written), (MACHINE, synced)):
            arrives = place.number % 2 if self.on_the_wire else 0
            state = (of, left, venue, frozenset(self.on_the_wire), arrives)
            if state not in self._states:
                self._states.add(state)
                self.deaths.append(Death(place, of))


class WatchedFile:
    """The real file; see `Watch`."""

    def __init__(self, path: Path, file: Any, watch: Watch) -> None:
        self._path, self._file, self._watch = path, file, watch

    def write(self, data: bytes) -> int:
        if self._watch.torn():
            share = random.Random(self._watch.number).random()
            self._file.write(data[: max(1, int(share * len(data)))])
            assert self._watch.death is not None
            if self._watch.death.of == FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise Crash
        taken: int = self._file.write(data)
        self._watch.at("write")
        self._watch.later(self.sync)
        return taken

    def sync(self) -> None:
        if self._watch.over:
            return
        # The disk of this machine is not asked: what counts is what was promised.
        self._watch.synced[self._path] = self._path.stat().st_size
        self._watch.at("sync")

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


class WatchedDisk(RealDisk):
    """The real disk, which knows what it would lose."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def open_append(self, path: Path) -> Any:
        return WatchedFile(path, super().open_append(path), self._watch)

    def lose_power(self, log: Path, of: random.Random) -> None:
        """Leave what was synced and a share of the rest; often the tables are gone too."""
        synced, written = self._watch.synced.get(log, 0), log.stat().st_size
        os.truncate(log, synced + int(of.choice((0, 0, 0.5, 1)) * (written - synced)))
        if of.random() < 0.5:
            for path in log.parent.glob(f"{TABLES}*"):
                path.unlink()


class WatchedGateway:
    """A venue's gateway, with the places where a request can be."""

    def __init__(self, gateway: Any, watch: Watch, clock: VirtualClock) -> None:
        self._gateway, self._watch, self._clock = gateway, watch, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)

    async def place_order(self, order: Order) -> OrderReport:
        return await self._request(order.client_order_id, self._gateway.place_order(order))

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        asked = self._gateway.cancel_order(symbol, client_order_id)
        return await self._request(f"cancel {client_order_id}", asked)

    async def _request(self, name: str, asked: Any) -> OrderReport:
        now, watch = self._clock.now(), self._watch
        timers = [
            self._clock.call_at(now + after_ms * MS, lambda kind=kind: watch.at(kind))
            for after_ms, kind in ((SENT_MS, "sent"), (PERFORMED_MS, "performed"))
        ]
        watch.on_the_wire.add(name)
        try:
            found: OrderReport = await asked
        finally:
            watch.on_the_wire.discard(name)
            for timer in timers:
                timer.cancel()
        watch.at("answered")
        return found


# -- one life ------------------------------------------------------------------------------------


@cache
def installed() -> tuple[Found, ...]:
    return discover()


@cache
def world() -> ModuleType:
    """The judge of the faulty lives; modules of this folder cannot be imported by name."""
    spec = importlib.util.spec_from_file_location(
        "fault_world", Path(__file__).with_name("fault_world.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config(base: int) -> str:
    """Return a short life; each base has another shape."""
    futures = ("sim", "sim@other")[base % 2]
    fee_mode = ("received", "coin", "quote")[base % 3]
    patience_s = (0, 20)[base % 2]
    partial = ("0", "0.5", "0")[base % 3]
    lost = ("0", "0", "0.1")[base % 3]
    return f"""
[run]
speed = "max"
[venues.sim]
data = "bundled:btc-8h"
seed = {base}
start = "2024-04-18T20:00:00Z"
latency_ms = {LATENCY_MS}
[venues.sim.balances]
USDT = "20000"
BNB = "3"
[venues.sim.fees]
fee_mode = "{fee_mode}"
[venues.sim.faults]
until_s = 120
partial_ioc = {partial}
reply_lost = {lost}
[accounts.other]
venue = "sim"
[hedges.life]
spot = "sim"
futures = "{futures}"
symbol = "BTC/USDT"
usd = "{(400, 700, 500)[base % 3]}"
action = "single"
[hedges.life.execution]
patience_s = {patience_s}
requote_s = 5
[hedges.life.funding]
exit_confirmations = 1
[hedges.life.limits]
audit_halt_ms = 600000
"""


def plan_of(folder: Path, base: int) -> RunPlan:
    path = folder / "hedge.toml"
    path.write_text(config(base))
    path.chmod(0o600)
    flags = Flags(names=("life",))
    return RunPlan(
        resolved=resolve(environ={}, cwd=folder, config_path=path, flags=flags),
        names=("life",), request_id="life", speed="max", enter_now=True,
        state_dir=folder, runtime_dir=folder, environments={"sim": "local"},
    )  # fmt: skip


def live(base: int, death: Death | None) -> tuple[list[Death], str]:
    """Live a base, and die once; return the deaths there are, and what went wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"crash-{base}-"))
    try:
        plan = plan_of(folder, base)
        life = world().Life(base, {"faults": {}, "lot": "0.001"})
        watch = Watch(folder / "life", death)
        crashed = False
        while not life.reason and life.lives < LIVES_MAX:
            boot = f"boot {crashed and death is not None and death.of == MACHINE}"
            watch.over = crashed
            crashed |= one_process(plan, life, watch, boot)
            life.lives += 1
        judge(folder / "life", life, forgets=death is not None and death.of == MACHINE)
        if death is not None and not crashed:
            life.wrong.append("nobody died")
        return watch.deaths, "; ".join(life.wrong)
    finally:
        shutil.rmtree(folder)


def one_process(plan: RunPlan, life: Any, watch: Watch, boot: str) -> bool:
    """Run one process to its end or its death; whether it died."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    disk = WatchedDisk(watch)
    watch.clock = clock
    opened: list[Session] = []
    full: list[bool] = []
    host = load_plugins(["sim"], venues=plan.resolved.settings.venues, found=installed())

    async def main() -> None:
        one = Session("life", plan, host, clock, disk=disk, boot=lambda: boot)
        # Whoever dies alone comes back alone.
        paged = watch.death is not None and watch.death.of == MACHINE
        watchers = (lambda row: owner(one, clock, row),) if paged else ()
        opened.append(one)
        try:
            await one.open({}, watchers)
            roles: Any = one.roles
            roles.spot_gateway = WatchedGateway(roles.spot_gateway, watch, clock)
            roles.futures_gateway = WatchedGateway(roles.futures_gateway, watch, clock)
            await one.start()
            life.reason = (await one.ended).reason
        except JournalError:
            full.append(True)  # nothing further is sent, and nothing was that is not written
        except VenueError:
            await clock.sleep_until(clock.now() + 10 * SECOND)  # the supervisor starts it again
        await one.close()

    try:
        loop.run_until_complete(main())
        watch.over |= bool(full)
    except Crash:
        assert watch.death is not None
        loop.set_exception_handler(lambda *_: None)  # nobody is left to hear it
        watch.over = True
        number = watch.death.place.number
        bury(opened[0], loop, clock, arrives=bool(number % 2))
        if watch.death.of == MACHINE:
            disk.lose_power(watch.folder / JOURNAL, random.Random(number))
        return True
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            task._log_destroy_pending = False
        loop.set_exception_handler(lambda *_: None)
        loop.close()
    return bool(full)


def owner(session: Session, clock: VirtualClock, row: Row) -> None:
    """Be paged: a machine took the order to leave with it, and what was sold stands unequal."""
    if isinstance(row.entry, c.RaiseAlarm) and row.entry.key == "EXIT_BLOCKED":
        event = e.OperatorAsked(at=clock.now(), verb=e.Verb.LIQUIDATE, request_id="owner")
        clock.call_at(clock.now() + MS, lambda: session.ask(event))


def bury(session: Session, loop: VirtualLoop, clock: VirtualClock, *, arrives: bool) -> None:
    """Let a process be dead: it hears, writes and sends nothing; the wire may still deliver."""
    if hasattr(session, "pump"):
        session.pump.failed = True
        session._effects._closed = True
        if arrives:
            loop.run_until_complete(clock.sleep_until(clock.now() + LINGER_MS * MS))
    session._locks.close()
    if hasattr(session, "log"):
        session.log.close()
    for gateway in (session.roles.spot_gateway, session.roles.futures_gateway):
        truth: Any = gateway.venue.truth
        with contextlib.suppress(LockHeld, ValueError):
            truth.close()


def judge(folder: Path, life: Any, *, forgets: bool) -> None:
    """Compare the venue's record with the journal: what must hold whoever died.

    No order waits for the disk, so a machine may forget one that it has sent; its id was leased
    behind a sync, and its fills are found at the venue.
    """
    rows = list(read_rows(folder / JOURNAL))
    truths = [read_truth(path) for path in sorted(folder.glob("sim-*.truth"))]
    prefix = next(row.entry.terms.prefix for row in rows if isinstance(row.entry, e.EngineStarted))
    placed = Counter(
        row.entry.order.client_order_id for row in rows if isinstance(row.entry, c.PlaceOrder)
    )
    leased = {
        make_id(prefix, row.entry.epoch, row.entry.leg, number)
        for row in rows
        if isinstance(row.entry, c.LeaseIds)
        for number in range(row.entry.first, row.entry.last + 1)
    }
    seen = {name for truth in truths for name in truth.orders if name.startswith(prefix)}
    wrong = life.wrong
    if not seen:
        wrong.append("nothing was ever traded")
    if max(placed.values(), default=0) > 1:
        wrong.append("I5: an id was written twice")
    if not seen <= leased or not set(placed) <= leased:
        wrong.append(f"I5: sent and not leased: {(seen | set(placed)) - leased}")
    if not forgets and not seen <= set(placed):
        wrong.append(f"I5: sent and not written: {seen - set(placed)}")
    if any(getattr(row.entry, "code", "") == "DUPLICATE_ID" for row in rows):
        wrong.append("I5: an order was sent twice")
    if life.reason != "UNWOUND":
        wrong.append(f"I20: ended {life.reason or 'never'}")
    starts = [row.entry.epoch for row in rows if isinstance(row.entry, e.EngineStarted)]
    if starts != sorted(set(starts)):
        wrong.append(f"R14: epochs {starts}")
    world().never_over_hedged(truths, life)
    coins = sum(truth.balances.get("BTC", Decimal(0)) for truth in truths)
    if not 0 <= coins <= Decimal("0.0002"):
        wrong.append(f"I1: {coins} BTC were left")
    if any(one.quantity for truth in truths for one in truth.positions.values()):
        wrong.append("I1: a position was left")
    report = attribute(rows)
    if report.unexplained != 0:
        wrong.append(f"report: unexplained {report.unexplained}")


# -- all of them ---------------------------------------------------------------------------------


def some(cases: list[tuple[int, Death]]) -> list[tuple[int, Death, str]]:
    """Die these deaths; return those that went wrong."""
    found = []
    for base, death in cases:
        _, wrong = live(base, death)
        if wrong:
            found.append((base, death, wrong))
    return found


def cases_of(base: int) -> list[tuple[int, Death]]:
    deaths, wrong = live(base, None)
    assert not wrong, f"base {base}: {wrong}"
    if 0 < MOST < len(deaths):
        deaths = [deaths[number * len(deaths) // MOST] for number in range(MOST)]
    return [(base, death) for death in deaths]


@pytest.fixture(scope="module")
def cases() -> list[tuple[int, Death]]:
    return [case for base in range(BASES) for case in cases_of(base)]


def test_the_bases_die_of_everything(cases: list[tuple[int, Death]]) -> None:
    kinds = Counter((death.place.kind, death.of) for _, death in cases)
    for kind in ("torn write", "write", "sync", "sent", "performed", "answered"):
        assert kinds[kind, MACHINE] and (kinds[kind, PROCESS] or kind == "sync"), kinds


def test_every_death_is_survived(cases: list[tuple[int, Death]]) -> None:
    parts = [cases[at : at + EACH] for at in range(0, len(cases), EACH)]
    with ProcessPoolExecutor(2) as pool:
        wrong = [one for part in pool.map(some, parts) for one in part]
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong[:3]}"
