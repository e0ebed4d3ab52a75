"""The terms of one toy hedge, for tests that need an engine and ask nothing of its decisions."""

from decimal import Decimal as D  # noqa: N817 - figures are what tests are made of

from hedge.decide.terms import HedgeTerms, LegTerms
from hedge.model import Instrument, InstrumentKind
from hedge.model.numbers import SECOND

AT = 1_700_000_000 * SECOND
SPOT, FUTURES = "BTC/USDT", "BTC/USDT:USDT"


def _leg(symbol: str, kind: InstrumentKind) -> LegTerms:
    return LegTerms(
        instrument=Instrument(
            venue="toy", symbol=symbol, kind=kind, base="BTC", quote="USDT", settle="USDT",
            tick=D("0.1"), lot=D("0.001"),
        )
    )  # fmt: skip


TERMS = HedgeTerms(
    name="toy",
    prefix="H",
    spot=_leg(SPOT, InstrumentKind.SPOT),
    futures=_leg(FUTURES, InstrumentKind.PERPETUAL),
)
