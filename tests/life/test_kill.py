"""Killed with SIGKILL and started again with the same line: flat, nothing twice, accounts exact.

The real program on the simulated venue, whose own durable record is the truth. The test watches the
journal for the moment to kill, never the clock.
"""

import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.journal import read_rows
from hedge.model import Leg, Side
from hedge_sim.truth import path_of, read_truth

HEDGE = str(Path(sys.executable).parent / "hedge")
NAME = "btc-usdt-sim-sim"
SPOT_FILL = '"FillSeen"'
LATE = {"HEDGE__VENUES__SIM__START": "2024-04-18T20:00:00Z"}
"""The same recording from shortly before its funding turns: built, held and left in two days."""
QUICK = {"action": "single", "funding": {"exit_confirmations": 2}}


@pytest.fixture(autouse=True)
def late(program):
    program.environ.update(LATE)


def check_the_end(program, kills):
    truth = read_truth(path_of(program.journal.parent))
    ids = set(truth.orders)
    rows = list(read_rows(program.journal))
    # The venue refuses an id it has seen, so an order sent twice would stand there as a refusal.
    assert not [row for row in rows if getattr(row.entry, "code", "") == "DUPLICATE_ID"]
    placed = Counter(
        row.entry.order.client_order_id for row in rows if isinstance(row.entry, c.PlaceOrder)
    )
    assert placed
    assert max(placed.values()) == 1
    assert ids <= set(placed), "the venue saw an order that the journal does not know"
    assert rows[-1].entry.reason == "UNWOUND"
    starts = [row for row in rows if isinstance(row.entry, e.EngineStarted)]
    # A process may die before it has written that it began.
    assert 1 < len(starts) <= kills + 1
    assert [start.entry.epoch for start in starts] == list(range(1, len(starts) + 1))
    held = truth.balances.get("BTC", Decimal(0))
    assert held < Decimal("0.00002"), held
    assert all(not one.quantity for one in truth.positions.values())
    report = program.report()
    assert Decimal(report["unexplained"]) == 0, report
    assert Decimal(report["equity_change"]) == Decimal(report["explained"])


@pytest.mark.parametrize("fills", [3, 17, 160])
def test_killed_at_a_fill(program, fills):
    line = program.line(add=QUICK)
    process = program.start(line)
    program.kill_when(process, lambda: program.seen('"leg":"spot","symbol"') >= fills)
    done = program.run(line)
    assert done.returncode == 0, (done.returncode, done.stderr)
    check_the_end(program, kills=1)


def test_killed_again_and_again(program):
    line = program.line(add=QUICK)
    for fills in (1, 2, 40):
        process = program.start(line)
        before = program.seen(SPOT_FILL)
        program.kill_when(process, lambda seen=before + fills: program.seen(SPOT_FILL) >= seen)
    done = program.run(line)
    assert done.returncode == 0, (done.returncode, done.stderr)
    check_the_end(program, kills=3)


def test_a_restored_backup_finds_what_happened_since(program, tmp_path):
    """The journal loses its tail; the venue still knows our orders, and none of them is undone."""
    line = program.line(add=QUICK)
    process = program.start(line)
    assert program.wait_until(process, lambda: program.seen(SPOT_FILL) >= 30)
    copy = tmp_path / "copy"
    saved = program.run(
        [HEDGE, "journal", "backup", NAME, str(copy), "--state-dir", str(program.state)]
    )
    assert saved.returncode == 0, saved.stderr
    program.kill_when(process, lambda: program.seen(SPOT_FILL) >= 90)
    back = [HEDGE, "journal", "restore", NAME, str(copy), "--move-aside"]
    restored = program.run([*back, "--state-dir", str(program.state)])
    assert restored.returncode == 0, restored.stderr
    before = len(read_truth(path_of(program.journal.parent)).orders)
    done = program.run(line)
    assert done.returncode == 0, (done.returncode, done.stderr)
    truth = read_truth(path_of(program.journal.parent))
    assert truth.balances.get("BTC", Decimal(0)) < Decimal("0.00002")
    assert all(not one.quantity for one in truth.positions.values())
    placed = list(truth.orders.values())[before:]
    bought_back = [
        one.order for one in placed if one.order.leg is Leg.FUTURES and one.order.side is Side.BUY
    ]
    built = [row.at for row in read_rows(program.journal) if "BUILT" in repr(row.entry)]
    assert built, "the build went on to its end"
    assert all(order.signed_at > built[0] for order in bought_back), "a good hedge was undone"
