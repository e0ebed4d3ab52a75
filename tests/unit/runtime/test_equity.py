"""Goal: a measurement of both accounts is of one moment: nothing happened between its reads.

Method: venues that answer as they are asked, with a trade or a settlement between two answers.
"""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from hedge.decide.terms import HedgeTerms, LegTerms
from hedge.errors import Unreachable
from hedge.model import Balance, FundingRate, Instrument, InstrumentKind, Position, RateOrigin
from hedge.model.numbers import ONE, SECOND
from hedge.runtime.recover import Auditor

D = Decimal
PERP = "BTC/USDT:USDT"


def leg(symbol: str, kind: InstrumentKind) -> LegTerms:
    return LegTerms(
        instrument=Instrument(
            venue="v", symbol=symbol, kind=kind, base="BTC", quote="USDT", tick=D(1), lot=D("0.001")
        )
    )


TERMS = HedgeTerms(
    name="h",
    prefix="H00000",
    spot=leg("BTC/USDT", InstrumentKind.SPOT),
    futures=leg(PERP, InstrumentKind.PERPETUAL),
    quantity=D(1),
)


@dataclass
class Venue:
    """Both legs of one account; ``trades`` happen behind so many reads of it."""

    trades: dict[int, str] = field(default_factory=dict)
    settles_at: int = 100 * SECOND
    coins: Decimal = ONE
    position: Decimal = -ONE
    cash: int = 100
    reads: int = 0

    def read(self) -> None:
        self.reads += 1
        match self.trades.get(self.reads):
            case "spot":
                self.coins += D("0.1")
                self.cash -= 10
            case "futures":
                self.position -= D("0.1")
                self.cash -= 1

    async def read_rate(self, _: str) -> FundingRate:
        at = self.reads * SECOND
        return FundingRate(
            symbol=PERP, rate=D(0), interval_s=3_600, next_at=self.settles_at, observed_at=at,
            origin=RateOrigin.LIVE,
        )  # fmt: skip

    async def read_clock(self) -> int:
        self.read()
        return self.reads * SECOND

    async def read_balances(self) -> tuple[Balance, ...]:
        held = {"BTC": self.coins, "USDT": D(self.cash)}
        self.read()
        return tuple(Balance(asset=asset, free=free, locked=D(0)) for asset, free in held.items())

    async def read_position(self, _: str) -> Position:
        found = Position(symbol=PERP, quantity=self.position)
        self.read()
        return found


def measured(venue: Venue) -> Any:
    roles: Any = SimpleNamespace(
        spot_gateway=venue, futures_gateway=venue, funding=venue, shared_wallet=True
    )
    clock: Any = None  # an equity is stamped with the venues' time
    return asyncio.run(Auditor(roles, TERMS, clock).equity("end", D(1), D(1)))


def told(found: Any) -> tuple[Decimal, Decimal, Decimal]:
    """Return coins, cash and position."""
    return found.spot[0].free, found.spot[1].free, found.position.quantity


QUIET = (D(1), D(100), D(-1))
BOUGHT = (D("1.1"), D(90), D(-1))
SOLD = (D(1), D(99), D("-1.1"))
HEDGED = (D("1.1"), D(89), D("-1.1"))


def test_what_is_quiet_is_measured_once():
    venue = Venue()
    assert told(measured(venue)) == QUIET
    assert venue.reads <= 8


@pytest.mark.parametrize("what", ["spot", "futures"])
@pytest.mark.parametrize("behind", range(1, 8))
def test_a_trade_between_two_reads_is_in_both_or_in_neither(what, behind):
    found = told(measured(Venue(trades={behind: what})))
    assert found in (QUIET, BOUGHT if what == "spot" else SOLD)


def test_a_venue_that_trades_all_the_time_cannot_be_measured():
    with pytest.raises(Unreachable, match="two fills"):
        measured(Venue(trades=dict.fromkeys(range(100), "futures")))


@pytest.mark.parametrize("behind", range(1, 7))
def test_a_trade_and_its_hedge_between_the_reads_are_both_in_it_or_neither(behind):
    found = told(measured(Venue(trades={behind: "spot", behind + 1: "futures"})))
    assert found in (QUIET, BOUGHT, HEDGED)
