"""Goal: a bound on the slippage lets a cheap unwinding pass, and no dear or unknown one.

Method: the whole program with a hedge on the simulated venue; a command through its socket.
"""

import asyncio
import io
import signal
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from planning import SIMULATED, planned

from hedge.cli.operate import unwind
from hedge.errors import SafetyRefusal
from hedge.model.numbers import BPS, SECOND
from hedge.plugins.host import load_plugins
from hedge.runtime import client, picture
from hedge.runtime.app import App
from hedge.runtime.clock import MAX, VirtualClock, VirtualLoop
from hedge.runtime.logs import Redactor
from hedge.runtime.snapshot import HedgeSnapshot

CONFIG = (
    SIMULATED
    + """\
[venues.sim.balances]
USDT = "2000000"
BTC = "10"
{faults}
[hedges.one]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "{usd}"
"""
)
DISCONNECT = """
[[venues.sim.faults.disconnects]]
after_fills = 5
down_ms = 600_000
stream = "both"
"""


def live(
    folder: Path,
    until: Callable[[HedgeSnapshot], bool],
    act: Callable[[App], Awaitable[None]],
    *,
    faults: str = "",
    adopt: str = "",
) -> int:
    """Run the program, and let ``act`` do its deed, as fast as life, once the hedge is so far."""
    plan = planned(
        folder,
        CONFIG.format(faults=faults, usd="700000" if adopt else "1500"),
        adopt=Decimal(adopt) if adopt else None,
        enter_now=True,
    )
    loop = VirtualLoop()

    async def main() -> int:
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        app = App(plan, host, VirtualClock(loop), Redactor())
        running = asyncio.create_task(app.run())
        while not (shots := app.snapshots()) or not until(shots[0]):
            await asyncio.sleep(0.1)
            assert not running.done(), running.exception()
        loop.factor = 1
        await act(app)
        loop.factor = MAX
        return await running

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())


async def liquidate(folder: Path, most_bps: str) -> str:
    """Give the command with ``--yes``; return the preview that it shows."""
    engine = client.Client(client.find("one", (folder,)).socket)
    shown = io.StringIO()
    await asyncio.to_thread(
        unwind, engine, "one", request_id="r", max_slip_bps=most_bps, reader=None, out=shown
    )
    return shown.getvalue()


def test_a_cheap_unwinding_passes_and_a_dear_one_does_not(tmp_path):
    async def act(app: App) -> None:
        engine = app.sessions["one"].engine
        expected = app.snapshots()[0].unwind_slip_bps
        half = sum(
            (quote.ask - quote.bid) / quote.mid / 2 for quote in engine.market.quotes.values()
        )
        assert 0 < expected < 1
        assert abs(expected - half / BPS) < Decimal("0.01"), "both legs are of one size, nearly"
        with pytest.raises(SafetyRefusal, match=r"SLIP_ABOVE_MAX: slip_bps=0\.\d+ max=0\.01"):
            await liquidate(tmp_path, "0.01")
        assert not engine.books.asked
        shown = await liquidate(tmp_path, "1")
        assert "slip_bps  0." in shown and "beyond_depth" not in shown, shown

    assert live(tmp_path, lambda shot: shot.phase == "watching", act) == 0


def test_prices_that_stand_no_more_bound_nothing(tmp_path):
    async def act(app: App) -> None:
        assert app.snapshots()[0].unwind_slip_bps is None
        with pytest.raises(SafetyRefusal, match=r"cannot be estimated now.*nothing was done"):
            await liquidate(tmp_path, "1000")
        assert not app.sessions["one"].engine.books.asked
        signal.raise_signal(signal.SIGTERM)

    def down(shot: HedgeSnapshot) -> bool:
        return "DATA_AGE" in shot.trip_reasons

    live(tmp_path, down, act, faults=DISCONNECT)


def test_a_quote_is_good_for_as_long_as_decisions_are_made_of_it(tmp_path):
    async def act(app: App) -> None:
        engine = app.sessions["one"].engine
        heard = min(engine.market.market_heard_at.values())
        at = [
            picture.snapshot(engine, spot_venue="s", futures_venue="f", at=heard + age)
            for age in (5 * SECOND, 5 * SECOND + 1)
        ]
        assert [one.unwind_slip_bps is None for one in at] == [False, True]
        signal.raise_signal(signal.SIGTERM)

    live(tmp_path, lambda shot: bool(shot.position), act)


def test_what_the_best_levels_do_not_hold_is_said(tmp_path):
    """Ten coins, beside some five on each side of the recorded book."""

    async def act(_app: App) -> None:
        shown = await liquidate(tmp_path, "1")
        assert "beyond_depth  spot 10, the five best levels hold " in shown, shown
        assert "; futures 10, the five best levels hold " in shown, shown
        signal.raise_signal(signal.SIGTERM)

    def hedged(shot: HedgeSnapshot) -> bool:
        return shot.position == Decimal(-10) and shot.equal

    live(tmp_path, hedged, act, adopt="10")
