"""The demo: one carry on recorded prices, from build to funding exit, through a lost connection.

Every figure is modelled: the market is recorded, the fills are not.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedge.config.dirs import prepare_dir
from hedge.config.layers import Flags
from hedge.config.plan import RunPlan, request_id
from hedge.config.resolver import resolve
from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.errors import NotHedged
from hedge.model import Leg
from hedge.model.numbers import DAY, plain
from hedge.plugins.host import load_plugins
from hedge.report import attribution, render
from hedge.runtime.clock import VirtualClock, VirtualLoop
from hedge.runtime.session import Session
from hedge.runtime.words import plain as line_of
from hedge.runtime.words import utc

NAME = "demo"
SCHEMA = "hedge.demo/1"
CONFIG = """\
# What `hedge demo` runs: a carry of 10,000 USDT on the simulated venue, which replays recorded
# prices and funding and loses its streams once while the hedge is being built.
[run]
speed = "max"

[venues.sim]
data = "bundled:btc-8h"
seed = {seed}

[[venues.sim.faults.disconnects]]
after_fills = {after_fills}
down_ms = 8000
stream = "both"

[hedges.demo]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "10000"
action = "single"
"""
FIRST_FILLS = 4
"""How many fills the story tells one by one."""


class Story:
    """Keeps what the document needs of the rows, and tells the milestones as they come."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.rows: list[Row] = []
        self.fills = 0
        self.orders = 0
        self.downs = 0
        self._told_day = 0
        self._paid = Decimal(0)
        self._payments = 0

    def watch(self, row: Row) -> None:
        self.rows.append(row)
        entry = row.entry
        match entry:
            case e.FillSeen():
                self.fills += 1
                if self.fills == FIRST_FILLS + 1:
                    self._say(row, "... and so on, slice by slice, each hedged before the next")
                if self.fills > FIRST_FILLS:
                    return
            case c.PlaceOrder():
                self.orders += 1
                if self.fills >= FIRST_FILLS:
                    return
            case c.CancelOrder() | e.OrderReported() | e.IdsLeased() | e.LegAudited():
                return
            case e.StreamChanged(up=False):
                self.downs += 1
            case e.StreamChanged() if not self.downs:
                return
            case e.FundingPaid(payment=payment):
                self._funding(row, payment.cash)
                return
        told = line_of(row)
        if told is not None:
            self._say(row, told)

    def _funding(self, row: Row, cash: Decimal) -> None:
        self._paid += cash
        self._payments += 1
        if row.at // DAY != self._told_day:
            self._told_day = row.at // DAY
            total = self._paid.quantize(Decimal("0.01"))
            self._say(row, f"funding so far {total} USDT in {self._payments} settlements")

    def _say(self, row: Row, text: str) -> None:
        self._tell(f"{utc(row.at)[:19].replace('T', ' ')}  {text}")


def run_demo(seed: int, fast: bool, as_json: bool, state_dir: Path | None) -> int:
    """Run the demo to its end and print its story and report, or one JSON document.

    ``fast`` leaves the story out. Raise `NotHedged` when the end is not what was promised.
    """
    if state_dir is not None:
        return _run_in(prepare_dir(state_dir), seed, fast=fast, as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="hedge-demo-") as folder:
        return _run_in(Path(folder), seed, fast=fast, as_json=as_json)


def teller(*, silent: bool) -> Callable[[str], None]:
    """Return what prints a line of the story, for as long as somebody reads (``| head``)."""

    def tell(text: str) -> None:
        nonlocal silent
        if not silent:
            try:
                print(text, flush=True)  # noqa: T201 - stdout is the product of this command
            except BrokenPipeError:
                silent = True

    return tell


def _run_in(state_dir: Path, seed: int, *, fast: bool, as_json: bool) -> int:
    tell = teller(silent=fast or as_json)
    path = state_dir / "demo.toml"
    path.write_text(CONFIG.format(seed=seed, after_fills=20 + seed % 50), encoding="utf-8")
    path.chmod(0o600)
    resolved = resolve(environ={}, cwd=state_dir, config_path=path, flags=Flags(names=(NAME,)))
    plan = RunPlan(
        resolved=resolved,
        names=(NAME,),
        request_id=request_id("demo", (NAME,), {"seed": seed}),
        speed="max",
        state_dir=state_dir,
        runtime_dir=state_dir,
        environments={"sim": "local"},
        sim_reset=True,
    )
    tell("Recorded prices and funding of Bybit BTC/USDT and its perpetual; the fills are modelled.")
    story = Story(tell)
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        end, data = runner.run(_live(plan, story, VirtualClock(loop)))
    report = attribution.attribute(story.rows)
    data["fills"] = report.details.fills  # the streams tell most of them, reads the others
    document = {"seed": seed, **data, "report": render.as_data(report)}
    if as_json:
        print(render.envelope(SCHEMA, time.time_ns(), document), end="")  # noqa: T201 - what the command answers
    else:
        tell("")
        print(render.text(report))  # noqa: T201 - what the command answers
        _sum_up(data)
    if end.exit_code or not data["agrees"]:
        raise NotHedged(f"the demo did not end as it should: {end.reason}: {end.text}")
    return 0


async def _live(
    plan: RunPlan, story: Story, clock: VirtualClock
) -> tuple[c.EndRun, dict[str, Any]]:
    host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
    session = Session(NAME, plan, host, clock)
    try:
        await session.open({}, (story.watch,))
        await session.start()
        end = await session.ended
        return end, _facts(session, story, end)
    finally:
        await session.close()


def _facts(session: Session, story: Story, end: c.EndRun) -> dict[str, Any]:
    """Return what the document says: our books, and the venue's own words beside them."""
    engine = session.engine
    spot = engine.terms.spot.instrument
    notes = engine.volatile
    unhedged, allowed = notes.unhedged_max, notes.exposure_at_max
    seen = [row.entry for row in story.rows if isinstance(row.entry, e.EquitySeen)]
    balance = sum((one.total for one in seen[-1].spot if one.asset == spot.base), Decimal(0))
    held = engine.inventory
    least = spot.smallest_order(engine.market.mid(Leg.SPOT) or Decimal(1))
    dust = {}
    if held:
        dust["spot"] = f"{plain(held)} {spot.base} is below the smallest order of {plain(least)}"
    return {
        "hedge": {
            "symbol": spot.symbol,
            "usd": plain(engine.terms.target_notional(Decimal(1))),
            "from": utc(story.rows[0].at),
            "to": utc(story.rows[-1].at),
        },
        "final": {
            "mode": engine.books.mode.value,
            "spot": plain(held),
            "futures": plain(engine.position),
            "dust": dust,
            "exit_code": end.exit_code,
            "reason": end.reason,
        },
        "venue": {"spot": plain(balance), "futures": plain(seen[-1].position.quantity)},
        "agrees": balance == held and seen[-1].position.quantity == engine.position,
        "max_unhedged_usd": plain(unhedged.quantize(Decimal("0.01"))),
        "exposure_max": plain(allowed.quantize(Decimal("0.01"))),
        "orders": story.orders,
        "disconnects": story.downs,
    }


def _sum_up(data: dict[str, Any]) -> None:
    final = data["final"]
    print(  # noqa: T201 - what the command answers
        f"\nended {final['mode']}: spot {final['spot']}, futures {final['futures']}; the venue says"
        f" {data['venue']['spot']} and {data['venue']['futures']}\n"
        f"never more than {data['max_unhedged_usd']} unhedged (bound {data['exposure_max']});"
        f" {data['orders']} orders, {data['fills']} fills, {data['disconnects']} streams lost\n"
        "Every figure is modelled: recorded prices and funding, simulated fills.",
        file=sys.stdout,
    )
