"""The rounds: who is measured, in which order, how often; each has its turn in every round."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from bench.reaction.venue import Course
from hedge.model import Leg

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
APART_S = 0.004
"""At most 250 fills a second; a case that is slower gets the next when it is done."""
HEDGED_MAX_S = 2.0
READY_MAX_S = 60.0
WARM_UP = 60
BURSTS_APART_S = 0.01
BURST = 20
VENUE_CORE, CASE_CORE = 0, 1
MAIN_RANK = 2
"""Real-time priorities, where the user may have them: other work of the machine stays out."""
Line = dict[str, Any]
Words = Callable[[Path], list[str]]
"""Returns a command line; a folder of its own may be written to."""
Make = Callable[[Course], Words]

HEDGE = """
[venues.binance]
environment = "local"
{binance}
spot_orders_10s = 10000
futures_orders_10s = 100000

[venues.bybit]
environment = "local"
rest_url = "{bybit}"
stream_url = "{bybit_ws}"
spot_orders_per_second = 400
futures_orders_per_second = 400

[accounts.reaction-binance]
venue = "binance"

[accounts.reaction-bybit]
venue = "bybit"

[hedges.reaction]
spot = "{spot}@reaction-{spot}"
futures = "{futures}@reaction-{futures}"
symbol = "BTC/USDT"
usd = "20000000"
action = "scale"
funding = {{ settlement_guard_s = 0, stale_s = 86400 }}

[hedges.reaction.execution]
requote_s = 86400
requote_bps = "2000"
patience_s = 86400
entry_basis_bps_min = "-2000"

[hedges.reaction.limits]
exposure_max = "20000000"
notional_quote_max = "40000000"
hedge_orders_per_second = 500
"""


class Plan(NamedTuple):
    """How much is measured of each case."""

    events: int
    rounds: int
    bursts: int
    flat: int
    """Fills in one go, of ours alone: their last fifth is compared with their first."""


SHORT = Plan(events=500, rounds=5, bursts=10, flat=3_000)
FULL = Plan(events=2_000, rounds=10, bursts=20, flat=3_000)


class Unhedged(RuntimeError):
    """Fills that nobody hedged in time."""


class Burst(NamedTuple):
    """What became of a burst: ns until the last hedge, the orders, and how many fills had none."""

    took: int
    orders: int
    left: int


class Case:
    """One course and the process that runs it."""

    def __init__(self, name: str, course: Course, words: Words) -> None:
        self.name = name
        self.course = course
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self.log: Path
        self.told = Line()

    def start(self, folder: Path, env: dict[str, str]) -> None:
        self.log = folder / f"{self.name}.log"
        words = self._words(folder)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own files
                words, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=env
            )
        pin(self._process.pid, CASE_CORE)

    @property
    def peak_mb(self) -> float:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1_024

    async def wait_ready(self) -> None:
        """Wait until it listens: ours has its order rest, the others say so."""
        assert self._process is not None
        until = time.monotonic() + READY_MAX_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.name} did not start: {self.log.read_text()[-500:]}")
            await asyncio.sleep(0.05)
        if not self.course.coalesces:
            self.course.rest_an_order()
        self.course.forgive()
        if self.name.startswith("ours"):
            pin(self._process.pid, CASE_CORE)  # now that its threads are there

    def _is_ready(self) -> bool:
        if self.course.coalesces:
            return bool(self.course.spot.house.open_orders(Leg.SPOT))
        return b"ready" in self.log.read_bytes()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)

    async def fills(self, count: int) -> list[int]:
        """Fill so often; return the ns that each took to be hedged."""
        course = self.course
        course.begin()
        gc.collect()
        gc.disable()
        due = time.perf_counter()
        for _ in range(count):
            await hedged(self)
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            await self._resting()
            course.fill()
            due = max(due + APART_S, time.perf_counter())
        await hedged(self)
        gc.enable()
        return course.took

    async def settled(self) -> None:
        """Wait until what was filled is hedged, to a lot, where the case hedges what is held."""
        course = self.course
        until = time.perf_counter() + HEDGED_MAX_S
        while course.pending or (course.coalesces and abs(course.gap) >= course.lot):
            if time.perf_counter() > until:
                raise Unhedged(f"{self.name}: {course.gap}; {self.log.read_text()[-2_000:]}")
            await asyncio.sleep(0.01)

    async def _resting(self) -> None:
        """Wait for the order that is filled: ours may be replacing it; and for open questions."""
        until = time.perf_counter() + HEDGED_MAX_S
        while not self.course.rests or self.course.answering or self.course.unsent:
            if time.perf_counter() > until:
                raise Unhedged(f"{self.name}: no order rests; {self.log.read_text()[-2_000:]}")
            await asyncio.sleep(0.001)

    async def burst(self) -> Burst:
        """Fill twenty in one go."""
        course = self.course
        course.begin()
        await self._resting()
        course.fill(BURST)
        with contextlib.suppress(Unhedged):
            await hedged(self)
        found = Burst(max(course.took), course.orders, course.pending)
        if found.left:
            await asyncio.sleep(0.5)  # what is under way comes too late to count
            course.forgive()
        return found


async def hedged(case: Case) -> None:
    """Wait until every fill is hedged."""
    until = time.perf_counter() + HEDGED_MAX_S
    while case.course.pending:
        if time.perf_counter() > until:
            left, log = case.course.pending, case.log.read_text()[-500:]
            raise Unhedged(f"{case.name}: {left} fills not hedged; {log}")
        await asyncio.sleep(0.000_2)


def pin(pid: int, core: int) -> None:
    """Keep a process on one core where there are two, and before others where that is allowed.

    Its main thread comes before its other threads: what commits a journal must not hold it up.
    """
    cores = range(os.cpu_count() or 1)
    for name in Path(f"/proc/{pid}/task").iterdir():
        thread = int(name.name)
        rank = MAIN_RANK if thread == pid else MAIN_RANK - 1
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(rank))
        with contextlib.suppress(OSError):
            if len(cores) > 1:
                os.sched_setaffinity(thread, {cores[core]})


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keep the cores out of their power states with work that yields to any other.

    Waking an idle core of a virtual machine costs more than everything measured here.
    """
    spin = (
        "import os,sys\n"
        "os.sched_setaffinity(0,{int(sys.argv[1])})\n"
        "os.sched_setscheduler(0,os.SCHED_IDLE,os.sched_param(0))\n"
        "parent=int(sys.argv[2])\n"
        "while os.getppid()==parent:\n for _ in range(100000): pass\n"
    )
    cores = sorted(os.sched_getaffinity(0))[:2]
    words = [sys.executable, "-S", "-c", spin]
    spinning = [
        subprocess.Popen([*words, str(core), str(os.getpid())])  # noqa: S603 - a few words of ours
        for core in cores
    ]
    try:
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait(10)


def ours(course: Course, spot: str, futures: str) -> Words:
    """Return how to run the whole program, with nothing but its limits raised."""

    def words(folder: Path) -> list[str]:
        at, to = course.spot, course.futures
        binance = f'spot_url = "{at.url}"' if spot == "binance" else f'futures_url = "{to.url}"'
        bybit = to if spot == "binance" else at
        home = folder / course.name
        home.mkdir(mode=0o700)
        config = home / "hedge.toml"
        config.write_text(
            HEDGE.format(
                spot=spot, futures=futures, binance=binance, bybit=bybit.url, bybit_ws=bybit.ws_url
            )
        )
        config.chmod(0o600)
        return [
            *OURS, "run", "--config", str(config), "--state-dir", str(home / "state"),
            "--enter", "now", "--no-view",
        ]  # fmt: skip

    return words


OURS = [sys.executable, "-m", "hedge.cli.main"]


def child(script: str, *words: str) -> Words:
    return lambda _: [sys.executable, str(HERE / script), *words]


def price_of(course: Course) -> str:
    """Return a limit that a sale of the perpetual reaches in any case."""
    instrument = course.futures.house.instrument("BTC/USDT:USDT")
    low = instrument.round_price_up(
        course.futures.house.last_price(instrument.symbol) * Decimal("0.99")
    )
    return str(low)


@contextlib.asynccontextmanager
async def cases(wanted: set[str]) -> AsyncIterator[list[Case]]:
    """Open the courses and start every case."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hedge-bench-")))
        found: list[Case] = []
        for name, (spot, futures, make, coalesces) in COURSES.items():
            if wanted and name not in wanted:
                continue
            course = Course(name, spot, futures, coalesces=coalesces)
            await stack.enter_async_context(course)
            found.append(Case(name, course, make(course)))
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path[:3]),
            "XDG_STATE_HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
        }
        for case in found:
            stack.callback(case.stop)
            case.start(folder, env)
            await case.wait_ready()
        yield found


def floor(way: str) -> Make:
    return lambda c: child(
        "floor.py", way, c.spot.ws_url, c.futures.ws_url, price_of(c), str(c.lot)
    )


def peer(name: str) -> Make:
    return lambda c: child("peers.py", name, c.spot.url, c.futures.url, price_of(c), str(c.hedge))


COURSES: dict[str, tuple[str, str, Make, bool]] = {
    "floor_to_bybit": ("binance-spot", "bybit", floor("from-binance"), False),
    "ours_to_bybit": ("binance-spot", "bybit", lambda c: ours(c, "binance", "bybit"), True),
    "floor_to_binance": ("bybit", "binance-usdm", floor("from-bybit"), False),
    "ours_to_binance": ("bybit", "binance-usdm", lambda c: ours(c, "bybit", "binance"), True),
    "sdks": ("binance-spot", "bybit", peer("sdks"), False),
    "ccxt": ("binance-spot", "bybit", peer("ccxt"), False),
}
"""By name: the two dialects, how to start it, and whether its orders may cover several fills."""


def quantile(values: list[int], share: float) -> float:
    """Return a quantile in us."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1_000


async def measure(plan: Plan, wanted: set[str]) -> list[Line]:
    """Return one line a case: p50, p99 (us), and what bursts and a long stretch did."""
    pin(os.getpid(), VENUE_CORE)
    took: dict[str, list[int]] = defaultdict(list)
    bursts: dict[str, list[Burst]] = defaultdict(list)
    with awake():
        async with cases(wanted) as found:
            gc.freeze()
            for case in found:
                await case.fills(WARM_UP)
            for _ in range(plan.rounds):
                for case in found:
                    took[case.name] += await case.fills(plan.events // plan.rounds)
            for _ in range(plan.bursts):
                for case in found:
                    await asyncio.sleep(BURSTS_APART_S)
                    bursts[case.name].append(await case.burst())
            return [await line_of(case, took[case.name], bursts[case.name], plan) for case in found]


async def stages(count: int) -> list[Line]:
    """Return for each way of ours what each stage takes, us and share of the whole; medians."""
    pin(os.getpid(), VENUE_CORE)
    lines = []
    for name in ("ours_to_bybit", "ours_to_binance"):
        with tempfile.TemporaryDirectory(prefix="hedge-bench-") as folder, awake():
            out = Path(folder) / "stages.json"
            OURS[:] = [sys.executable, str(HERE / "stages.py"), str(out), str(count)]
            async with cases({name}) as (case,):
                took = await case.fills(count + 2 * WARM_UP)
                found: dict[str, float] = json.loads(out.read_text())
        whole = quantile(took, 0.5)
        found["socket, loop, venue"] = whole - found.pop("all")
        stages = {stage: [round(us, 1), round(us / whole, 3)] for stage, us in found.items()}
        lines.append(Line(case=f"stages_{name}", n=count, p50_us=whole, stages=stages))
    return lines


async def line_of(case: Case, took: list[int], bursts: list[Burst], plan: Plan) -> Line:
    """Return what is said of a case, its long stretch measured now."""
    line = Line(
        case=case.name,
        n=len(took),
        p50_us=quantile(took, 0.5),
        p90_us=quantile(took, 0.9),
        p99_us=quantile(took, 0.99),
        max_us=quantile(took, 1),
    )
    if bursts:
        line["burst_us"] = statistics.median(one.took for one in bursts) / 1_000
        line["burst_orders"] = max(one.orders for one in bursts)
        line["burst_unhedged"] = max(one.left for one in bursts)
    if plan.flat and case.course.coalesces:
        stretch = await case.fills(plan.flat)
        fifth = len(stretch) // 5
        line["flat"] = quantile(stretch[-fifth:], 0.5) / quantile(stretch[:fifth], 0.5)
    line["peak_mb"] = case.peak_mb
    await case.settled()
    return line
