"""Goal: what Prometheus scrapes of a running engine is what its hedge did, and each name is told.

Method: the whole program builds a hedge on a simulated venue whose clock is ahead, and that
refuses orders; its `/metrics` is read at its socket, and compared with its journal.
"""

import asyncio
import re
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from api_port import get, send
from planning import SIMULATED, planned
from prometheus_client.parser import text_string_to_metric_families

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger
from hedge.decide.rows import Row
from hedge.model import Fill, Leg, Order, OrderReport, ReportedStatus, Side, TimeInForce
from hedge.model.numbers import MS, SECOND
from hedge.plugins.host import load_plugins
from hedge.runtime.app import App
from hedge.runtime.clock import MAX, VirtualClock, VirtualLoop
from hedge.runtime.logs import Redactor
from hedge.runtime.reaction import Reaction

AHEAD = 130 * MS
PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
CONFIG = (
    SIMULATED
    + """\
latency_ms = 60
[venues.sim.faults]
from_s = 2
reject = "0.3"
clock_offset_ms = {ahead_ms}
[hedges.one]
spot = "sim"
futures = "sim"
symbol = "BTC/USDT"
usd = "1500"
"""
)

Samples = dict[tuple[str, ...], float]


def parsed(text: str) -> Samples:
    """Return {(name, label value, ...): value}."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(app: App) -> str:
    await asyncio.sleep(1)  # of virtual time: what is to be shown is shown a turn of the loop later
    status, answer = await send(app._api, "GET /metrics HTTP/1.1")
    assert status == 200
    return str(answer["text"])


def test_a_scrape_tells_what_the_hedge_did(tmp_path):
    plan = planned(tmp_path, CONFIG.format(ahead_ms=AHEAD // MS), enter_now=True)
    loop = VirtualLoop()

    async def main() -> None:
        host = load_plugins(["sim"], venues=plan.resolved.settings.venues)
        app = App(plan, host, VirtualClock(loop), Redactor())
        running = asyncio.create_task(app.run())
        while not (shots := app.snapshots()) or shots[0].phase != "watching":
            await asyncio.sleep(0.1)
            assert not running.done(), running.exception()
        loop.factor = 1
        text = await scraped(app)
        now = app.now()
        assert "hedge_pnl_unexplained{" not in text, "nobody has asked for a report"
        report = (await get(app._api, "/v1/report"))["data"]
        after = parsed(await scraped(app))
        compared(parsed(text), list(app.sessions["one"].log.rows()), now)
        assert report["status"] == "ok"
        unexplained = Decimal(str(after["hedge_pnl_unexplained", "one"]))
        assert abs(unexplained - Decimal(report["unexplained"])) < Decimal("1e-9")
        assert now - 60 * SECOND < after["hedge_pnl_measured_timestamp", "one"] * SECOND <= now
        told = re.findall(r"^\| `(hedge_\w+)`", PAGE.read_text(), re.MULTILINE)
        assert told == sorted(re.findall(r"^# TYPE (hedge_\w+?)(?<!_created) ", text, re.MULTILINE))
        signal.raise_signal(signal.SIGTERM)
        loop.factor = MAX
        await running

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


def compared(found: Samples, rows: list[Row], now: int) -> None:
    refused = Counter(row.entry.leg for row in rows if isinstance(row.entry, e.OrderRefused))
    assert refused.total(), "the venue refused nothing: this seed tests nothing"
    for leg in Leg:
        assert found["hedge_order_rejects_total", "one", leg.value] == refused[leg]
        offset = found["hedge_clock_offset_seconds", "one", leg.value]
        assert abs(offset - AHEAD / SECOND) < 0.001
    told = {}
    for row in rows:
        if isinstance(row.entry, e.FillSeen) and row.entry.fill.leg is Leg.SPOT:
            fill = row.entry.fill
            told.setdefault(fill.key, row.at - (fill.filled_at - AHEAD))
    assert all(late > MS for late in told.values()), "the word of a fill takes longer than that"
    waits = "hedge_fill_to_hedge_seconds"
    assert found[f"{waits}_count", "one"] == len(told) > 0
    assert found[f"{waits}_bucket", "one", "0.001"] == 0, "our clock was set right"
    assert found[f"{waits}_bucket", "one", "5.0"] == len(told), "one refusal, or two, and no more"
    assert found[f"{waits}_sum", "one"] > sum(told.values()) / SECOND, "some came in a hedge"
    reconciled = found["hedge_last_reconcile_timestamp", "one"] * SECOND
    assert now - 60 * SECOND < reconciled <= now


# -- what makes a wait ---------------------------------------------------------------------------


def order(leg: Leg, side: Side, number: int, *, ms: int, signed_at: int | None = None) -> Row:
    wish = Order(
        client_order_id=f"H{leg.value}{number}", leg=leg, symbol="BTC/USDT", side=side,
        quantity=Decimal(2), limit_price=Decimal(100), time_in_force=TimeInForce.IOC,
        signed_at=ms * MS if signed_at is None else signed_at, recv_window_ms=2_000,
    )  # fmt: skip
    placed = c.PlaceOrder(order=wish, purpose=c.Purpose.HEDGE, observation=c.Observation())
    return Row(seq=1, at=ms * MS, entry=placed)


def fill(number: int, *, ms: int, heard_ms: int, order_id: str = "Hspot1", key: str = "") -> Row:
    one = Fill(
        leg=Leg.SPOT, symbol="BTC/USDT", fill_id=key or f"f{number}{ms}", side=Side.BUY,
        client_order_id=order_id, venue_order_id=f"v{number}", quantity=Decimal(1),
        price=Decimal(100), filled_at=ms * MS,
    )  # fmt: skip
    return Row(seq=1, at=heard_ms * MS, entry=e.FillSeen(at=heard_ms * MS, fill=one))


def report(filled: int, *, ms: int, heard_ms: int) -> Row:
    told = OrderReport(
        client_order_id="Hspot1", venue_order_id="v1", status=ReportedStatus.WORKING,
        filled=Decimal(filled), reported_at=ms * MS,
    )  # fmt: skip
    entry = e.OrderReported(at=heard_ms * MS, leg=Leg.SPOT, report=told)
    return Row(seq=1, at=heard_ms * MS, entry=entry)


BUY = order(Leg.SPOT, Side.BUY, 1, ms=100)
BUY_AHEAD = order(Leg.SPOT, Side.BUY, 1, ms=100, signed_at=600 * MS)
HALTED = Row(seq=1, at=0, entry=c.ChangeMode(mode=Mode.HALT, trigger=Trigger.BUILT))


@pytest.mark.parametrize(
    ("rows", "waits_ms"),
    [
        pytest.param([BUY, fill(1, ms=110, heard_ms=130)], [90], id="from the venue's time"),
        pytest.param([BUY, fill(1, ms=0, heard_ms=130)], [70], id="from its word, without a time"),
        pytest.param([BUY, fill(1, ms=150, heard_ms=130)], [70], id="a fill is never news early"),
        pytest.param(
            [BUY, fill(1, ms=110, heard_ms=130), fill(1, ms=120, heard_ms=135)], [90, 80],
            id="each fill for itself",
        ),
        pytest.param(
            [BUY, report(1, ms=110, heard_ms=120), fill(1, ms=110, heard_ms=150)], [90],
            id="an answer and its fill are one",
        ),
        pytest.param(
            [BUY, report(0, ms=110, heard_ms=120), fill(1, ms=130, heard_ms=150, order_id="")],
            [70], id="whose order it was may be known by the venue's id only",
        ),
        pytest.param(
            [BUY, fill(1, ms=110, heard_ms=130, key="a"), fill(1, ms=110, heard_ms=140, key="a")],
            [90], id="told twice",
        ),
        pytest.param(
            [BUY_AHEAD, fill(1, ms=610, heard_ms=130)], [90], id="a clock that is ahead",
        ),
        pytest.param([fill(1, ms=110, heard_ms=130)], [], id="an order that was not seen placed"),
        pytest.param([BUY, fill(1, ms=110, heard_ms=130), HALTED], [], id="the task is over"),
        pytest.param(
            [BUY, fill(1, ms=110, heard_ms=130), order(Leg.FUTURES, Side.BUY, 0, ms=140)], [],
            id="an order of the same side hedges nothing",
        ),
    ],
)  # fmt: skip
def test_a_wait_begins_at_the_venue_and_is_told_once(rows, waits_ms):
    reaction = Reaction()
    for row in rows:
        assert reaction.take(row) == []
    hedge = order(Leg.FUTURES, Side.SELL, 1, ms=200)
    assert [waited / MS for waited in reaction.take(hedge)] == waits_ms
    assert reaction.take(hedge) == [], "the next order is another fill's"
