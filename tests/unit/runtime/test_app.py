"""Goal: one hedge of several that breaks or ends is never left unseen behind one that goes on.

Method: the whole program with two hedges on the simulated venue and virtual time; one of them is
broken or ended while the other works.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hedge.config.layers import Flags
from hedge.config.plan import RunPlan
from hedge.config.resolver import resolve
from hedge.decide.events import Verb
from hedge.decide.mode import Trip
from hedge.errors import JournalError, NotRunning
from hedge.model.numbers import SECOND
from hedge.plugins.host import load_plugins
from hedge.runtime.app import App
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.logs import Redactor
from hedge.runtime.sdnotify import SdNotify
from hedge.runtime.tick import Ticker

PATIENCE_S = 600
"""Of virtual time."""
HEDGE = """
[hedges.{name}]
spot = "sim@{name}"
futures = "sim@{name}"
symbol = "BTC/USDT"
usd = "1500"
"""
CONFIG = """
[run]
speed = "max"
[venues.sim]
data = "bundled:btc-8h"
start = "2024-04-18T20:00:00Z"
""" + "".join(HEDGE.format(name=name) for name in ("first", "second"))


def live(folder: Path, act: Callable[[App], Awaitable[None]]) -> int:
    """Run the program, let ``act`` do its deed once both hedges run, and return its exit code."""
    path = folder / "hedge.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    names = ("first", "second")
    resolved = resolve(environ={}, cwd=folder, config_path=path, flags=Flags(names=names))
    plan = RunPlan(
        resolved=resolved, names=names, request_id="life", speed="max", state_dir=folder,
        runtime_dir=folder, environments={"sim": "local"}, no_view=True,
    )  # fmt: skip
    loop = VirtualLoop()

    async def main() -> int:
        clock = VirtualClock(loop)
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        app = App(plan, host, clock, Redactor())
        running = asyncio.create_task(app.run())
        recovered = asyncio.create_task(_recovered(app))
        await asyncio.wait([running, recovered], return_when=asyncio.FIRST_COMPLETED)
        if recovered.done():
            await act(app)
        async with asyncio.timeout(PATIENCE_S):
            return await running

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())


async def _recovered(app: App) -> None:
    while not (  # noqa: ASYNC110 - nobody says when a hedge has recovered; the time is virtual
        len(app.sessions) == 2
        and all(one.snapshot().phase == "waiting" for one in app.sessions.values())
    ):
        await asyncio.sleep(1)


@pytest.mark.parametrize("broken", ["first", "second"])
def test_a_hedge_that_breaks_ends_the_process_whichever_it_is(tmp_path, broken):
    async def act(app: App) -> None:
        app.sessions[broken].fail(JournalError(f"the disk of {broken} is full"))

    with pytest.raises(JournalError, match=broken):
        live(tmp_path, act)


def test_a_hedge_that_has_ended_takes_no_command_and_lets_the_others_be_stopped(tmp_path):
    def ask(app: App, name: str, verb: Verb) -> None:
        app.ask(
            name, verb=verb, request_id=f"{name} {verb}", subject="", usd=None, quantity=None, by=""
        )

    async def act(app: App) -> None:
        ask(app, "first", Verb.STOP)
        await app.sessions["first"].ended
        with pytest.raises(NotRunning, match="first has ended here"):
            ask(app, "first", Verb.LIQUIDATE)
        assert not app.sessions["first"].engine.books.asked, "nothing waits for the next start"
        ask(app, "first", Verb.ACK)
        signal.raise_signal(signal.SIGTERM)
        await app.sessions["second"].ended

    assert live(tmp_path, act) == 0


def test_a_full_disk_freezes_every_hedge_on_it(tmp_path):
    async def act(app: App) -> None:
        sessions = app.sessions.values()
        ticker = Ticker(sessions, app._clock, SdNotify.from_env(), print, free=lambda _: (1, 100))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await ticker.run(SECOND)
        for session in sessions:
            assert "DISK" in session.engine.books.trips, session.name
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0


def test_a_kill_file_holds_for_as_long_as_it_is_there(tmp_path):
    async def act(app: App) -> None:
        session = app.sessions["first"]

        async def tick() -> None:
            ticker = Ticker([session], app._clock, SdNotify.from_env(), print)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await ticker.run(SECOND)

        def clear(number: int) -> None:
            app.ask(
                "first", verb=Verb.CLEAR, request_id=f"clear {number}", subject="", usd=None,
                quantity=None, by="",
            )  # fmt: skip

        file = session.directory / "LOCK"
        file.touch()
        ticker = asyncio.create_task(tick())
        await asyncio.sleep(1.5)
        assert session.engine.books.trip == Trip.LOCKED
        clear(1)
        await asyncio.sleep(1)
        assert session.engine.books.trip == Trip.LOCKED, "cleared, and the file is still there"
        file.unlink()
        clear(2)
        await ticker
        assert session.engine.books.trip == Trip.OK
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0


def test_the_loop_goes_on_while_a_report_is_made(tmp_path):
    async def act(app: App) -> None:
        making = asyncio.ensure_future(app.report("first"))
        await asyncio.sleep(0)
        assert not making.done(), "the whole journal was read within one turn of the loop"
        data = await making
        assert data["name"] == "first", sorted(data)
        signal.raise_signal(signal.SIGTERM)

    assert live(tmp_path, act) == 0
