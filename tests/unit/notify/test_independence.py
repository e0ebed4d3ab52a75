"""Goal: no notifier, whatever it does, changes what is ordered (I22).

Method: the whole session on virtual time against the simulated venue with faults; every row of the
journal with a sound, a hanging, a throwing, a flooding and an uncancellable notifier is compared
with the rows without any. The seeds are fixed and named on a failure.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from planning import SIMULATED, planned

from hedge.decide import commands as c
from hedge.journal import read_rows
from hedge.model.numbers import SECOND
from hedge.plugins.host import load_plugins
from hedge.roles import Alert
from hedge.runtime.clock import RealClock, VirtualClock, VirtualLoop
from hedge.runtime.notify.lane import InlineLane, ThreadLane
from hedge.runtime.notify.notifications import Notifications
from hedge.runtime.notify.policy import Policy
from hedge.runtime.notify.target import Target
from hedge.runtime.session import Session

SEEDS = (3, 11)
ON = ("fill", "mode", "funding", "warning", "alarm")
CONFIG = (
    SIMULATED
    + """\
seed = {seed}
start = "2024-04-18T20:00:00Z"
latency_ms = 20
[venues.sim.balances]
USDT = "20000"
[venues.sim.faults]
until_s = 900
reply_lost = 0.1
drop_message = 0.2
partial_ioc = 0.3
disconnect_every_s = 120
[hedges.life]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "1500"
action = "single"
[hedges.life.funding]
exit_confirmations = 1
[hedges.life.limits]
audit_halt_ms = 600000
"""
)


class Sound:
    """A notifier that works; the others are worse in one way each."""

    def __init__(self) -> None:
        self.sent: list[Alert] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, alert: Alert) -> None:
        self.sent.append(alert)


class Hanging(Sound):
    async def send(self, alert: Alert) -> None:
        self.sent.append(alert)
        await asyncio.get_running_loop().create_future()


class Stubborn(Sound):
    async def send(self, alert: Alert) -> None:
        self.sent.append(alert)
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                continue


class Throwing(Sound):
    async def send(self, alert: Alert) -> None:
        self.sent.append(alert)
        raise (SystemExit if len(self.sent) > 2 else KeyError)("x" * 1_000_000)


class Flooding(Sound):
    """Keeps the loop busy: thousands of tasks and callbacks for each message."""

    async def send(self, alert: Alert) -> None:
        self.sent.append(alert)
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(2_000)))
        for _ in range(1_000):
            loop.call_soon(str)
            loop.call_later(0.01, str)


class Blocking(Sound):
    """Blocks its thread until the test is over: only a thread of its own survives that."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self.over = over

    async def send(self, alert: Alert) -> None:
        self.sent.append(alert)
        self.over.wait(30)


def live(folder: Path, seed: int, lane_of: Callable[[Any], Any] | None) -> list[Any]:
    """Run one hedge from its build to its end; return the rows of its journal."""
    folder.mkdir()
    plan = planned(folder, CONFIG.format(seed=seed), ("life",), enter_now=True)
    loop = VirtualLoop()

    async def main() -> None:
        clock = VirtualClock(loop)
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        told = Notifications([lane_of(clock)] if lane_of else [])
        told.start()
        session = Session("life", plan, host, clock)
        await session.open({}, (told.watcher("life"),))
        await session.start()
        await session.ended
        await session.close()
        told.close()
        # the lanes of a simulation go on in virtual time, past the end of what they tell of
        await clock.sleep_until(clock.now() + 60 * SECOND)

    try:
        loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            task._log_destroy_pending = False
        loop.set_exception_handler(lambda *_: None)
        loop.close()
    return list(read_rows(folder / "life" / "journal.log"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    """The rows of each seed without any notifier."""
    folder = tmp_path_factory.mktemp("alone")
    return {seed: live(folder / str(seed), seed, None) for seed in SEEDS}


def orders(rows: list[Any]) -> list[Any]:
    return [(row.at, row.entry) for row in rows if isinstance(row.entry, c.PlaceOrder)]


def policy() -> Policy:
    return Policy(ON, digest_s=60, repeat_s=60)


def comparable(rows: list[Any]) -> list[str]:
    """Every row without what names the process and the wall clock of the start."""
    return [repr((row.seq, row.at, row.entry)) for row in rows if "boot_id" not in repr(row.entry)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [Sound, Hanging, Stubborn, Throwing, Flooding])
def test_no_notifier_changes_an_order(
    kind: type[Sound], seed: int, alone: dict[int, list[Any]], tmp_path: Path
) -> None:
    notifier = kind()

    def lane(clock: VirtualClock) -> InlineLane:
        said: list[str] = []
        return InlineLane(Target("phone", notifier, policy(), clock, say=said.append))

    rows = live(tmp_path / "with", seed, lane)
    assert len(orders(rows)) > 5, f"seed {seed}: nothing was traded"
    assert notifier.sent, f"seed {seed}: it was never asked to send"
    assert orders(rows) == orders(alone[seed]), f"seed {seed}, {kind.__name__}"
    assert comparable(rows) == comparable(alone[seed]), f"seed {seed}, {kind.__name__}"


class LettingGo(ThreadLane):
    """Frees the blocked thread only once the engine is done, and says whether it was blocked."""

    def __init__(self, notifier: Blocking, said: list[str]) -> None:
        def make() -> Target:
            return Target("phone", notifier, policy(), RealClock(), say=said.append)

        super().__init__("phone", make, say=said.append)
        self.over = notifier.over
        self.blocked = False

    def stop(self) -> None:
        self.blocked = not self.over.is_set()
        super().stop()
        self.over.set()


def test_a_notifier_that_blocks_its_thread_holds_nobody_up(
    alone: dict[int, list[Any]], tmp_path: Path
) -> None:
    seed, notifier = SEEDS[0], Blocking(threading.Event())
    lane = LettingGo(notifier, [])
    rows = live(tmp_path / "with", seed, lambda _clock: lane)
    assert notifier.sent
    assert lane.blocked, "the engine ended only after the notifier"
    assert orders(rows) == orders(alone[seed]), f"seed {seed}"
    assert comparable(rows) == comparable(alone[seed]), f"seed {seed}"
