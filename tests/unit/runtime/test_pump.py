"""Goal: what the core did not foresee stops the hedge; it never goes on with half a fact in hand.

Method: a real engine, journal and committer on a disk in memory; a fact that breaks the arithmetic.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of
from pathlib import Path

import pytest

from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.terms import HedgeTerms, LegTerms
from hedge.errors import InvariantBroken
from hedge.journal import InlineCommitter, JournalLog, MemoryDisk
from hedge.model import Fill, Instrument, InstrumentKind, Leg, Side
from hedge.runtime.pump import Pump


def leg(kind: InstrumentKind) -> LegTerms:
    return LegTerms(
        instrument=Instrument(
            venue="toy", symbol="COIN/USDT", kind=kind, base="COIN", quote="USDT",
            tick=D("0.01"), lot=D("0.001"),
        )
    )  # fmt: skip


def test_an_error_that_nobody_foresaw_stops_the_hedge():
    terms = HedgeTerms(
        name="toy", prefix="H", spot=leg(InstrumentKind.SPOT),
        futures=leg(InstrumentKind.PERPETUAL), quantity=D(1),
    )  # fmt: skip
    failed: list[BaseException] = []
    log = JournalLog.open(Path("/toy"), hedge="toy", at=1, disk=MemoryDisk())
    pump = Pump(
        Engine(terms), log, InlineCommitter(log, on_error=failed.append), fail=failed.append
    )
    pump.feed(e.EngineStarted(at=2, boot_id="boot", epoch=1, terms=terms))
    rows = log.next_seq
    nan = Fill(
        leg=Leg.SPOT, symbol="COIN/USDT", fill_id="1", side=Side.BUY, quantity=D("NaN"), price=D(1)
    )
    with pytest.raises(ArithmeticError):  # whoever told it, hears of it too
        pump.feed(e.FillSeen(at=3, fill=nan))
    assert pump.failed
    assert [type(one) for one in failed] == [InvariantBroken]
    pump.feed(e.StreamChanged(at=4, leg=Leg.SPOT, kind="market", up=True))
    assert log.next_seq == rows, "nothing is taken any more"
