"""Our funding arithmetic against answers that others published, on the data they published.

Goal: the recordings and the payment formula (rate x quantity x price, a short receives when longs
pay) give the totals of the worked examples. Method: the bundled set by itself; the larger sets only
where they lie beside the project.
"""

from decimal import Decimal
from pathlib import Path

import pytest

from hedge_sim.path import UNIT
from hedge_sim.recording import load

SHARED = Path(__file__).parents[4] / "shared" / "data" / "tidy"


def test_the_bundled_set_gives_the_published_hold():
    """AHA-HH "hold": Binance BTC/USDT, 2023-01-01 to 2024-07-01, one short, 1,641 payments."""
    coin = load("bundled:btc-8h-binance", start="2023-01-01", end="2024-07-01T00:00:00").coins[0]
    opens = {bar.at: Decimal(bar.open) / UNIT for bar in coin.perp.bars}
    first = min(opens)
    short = Decimal("163.02048979591837")
    paid = [
        settlement.rate * short * opens[settlement.at]
        for settlement in coin.funding
        if settlement.at > first and settlement.at in opens
    ]
    assert len(paid) == 1_641
    assert sum(cash < 0 for cash in paid) == 125
    assert abs(sum(paid) - Decimal("1193228.611131")) < Decimal("0.01")
    assert abs(min(paid) - Decimal("-514.209755")) < Decimal("0.000001")


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the large recordings (../shared/data) are not here"
)
@pytest.mark.parametrize(
    ("symbol", "total", "worst"), [("BTC", "26185.17", "-33.46"), ("ETH", "1403.42", "-9.80")]
)
def test_one_coin_short_for_four_and_a_half_years(symbol, total, worst):
    """4,928 settlements of Binance USD-M, cash = rate x the mark's hourly open at settlement."""
    parquet = pytest.importorskip("pyarrow.parquet")
    name = f"{symbol}USDT"
    settled = parquet.read_table(
        SHARED / "funding.parquet", filters=[("venue", "=", "binance_usdm"), ("symbol", "=", name)]
    ).to_pylist()
    bars = parquet.read_table(
        SHARED / "klines_1h.parquet",
        filters=[("market", "=", "linear_mark"), ("symbol", "=", name)],
    ).to_pylist()
    marks = {bar["ts_ms"]: Decimal(str(bar["open"])) for bar in bars}
    first, last = 1_577_836_800_000, 1_719_792_000_000
    rows = [row for row in settled if first < row["ts_ms"] <= last]
    paid = [Decimal(str(row["rate"])) * marks[row["ts_ms"]] for row in rows]
    assert len(paid) == 4_928
    assert abs(sum(paid) - Decimal(total)) < Decimal("0.01")
    assert abs(min(paid) - Decimal(worst)) < Decimal("0.01")
