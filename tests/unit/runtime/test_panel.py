"""Goal: a person sees what matters first, and every digit. Method: pictures at many widths."""

import io
from decimal import Decimal

import pytest
from rich.console import Console

from hedge.runtime.panel import Panel
from hedge.runtime.panel_facts import fit, lines
from hedge.runtime.snapshot import AlarmView, HedgeSnapshot, OrderView

SHOT = HedgeSnapshot(
    name="btc",
    at=1_700_000_000_000_000_000,
    symbol="BTC/USDT",
    spot_venue="binance",
    futures_venue="bybit",
    action="default",
    phase="watching",
    reason="DATA_STALE: spot=6100",
    inventory=Decimal("0.15000001"),
    position=Decimal("-0.15"),
    delta=Decimal("1E-8"),
    delta_bps=Decimal(1) / Decimal(3),
    delta_quote=Decimal("0.0006"),
    tolerance=Decimal("0.0001"),
    funding_rate=Decimal("0.0001"),
    funding_interval_s=28800,
    funding_apr=Decimal("0.1095"),
    funding_next_at=1_700_006_400_000_000_000,
    funding_received=Decimal("96.4"),
    fees_paid=Decimal(31),
    liquidation_price=Decimal(90000),
    liquidation_distance=Decimal("0.4"),
    spot_stream_age_ms=20,
    orders=(
        OrderView(
            client_order_id="H-1-S-3",
            leg="spot",
            side="buy",
            quantity=Decimal("0.01"),
            limit_price=Decimal(60000),
            filled=Decimal(0),
            status="doubtful",
            placed_at=1,
        ),
    ),
    alarms=(AlarmView(key="DELTA", level="alarm", text="open", raised_at=1),),
)


def drawn(width: int, *shots: HedgeSnapshot) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    with Panel(console) as panel:
        panel.note("fill spot buy 0.15")
        panel.update(shots)
    return out.getvalue()


def test_the_panel_shows_the_hedge_its_worries_and_the_last_events() -> None:
    text = drawn(200, SHOT)
    for part in (
        "btc  HALT  watching  BTC/USDT  binance  bybit  default",
        "spot 0.15000001  futures -0.15  delta 0.00000001  0.33 bps",
        "rate 0.0001 per 8 h  APR 10.95 %  next 2023-11-15 00:00:00Z  funding 96.4  fees 31",
        "net 65.4",
        "exit not armed",
        "liquidation 40.00 % away  at 90000",
        "waits: DATA_STALE: spot=6100",
        "orders: 1 open, 1 in doubt",
        "H-1-S-3  spot buy 0.01 at 60000  filled 0, doubtful",
        "! alarm DELTA: open",
        "fill spot buy 0.15",
    ):
        assert part in text


@pytest.mark.parametrize("width", [10, 20, 40, 60, 80, 120])
def test_columns_go_by_priority_and_digits_stay(width: int) -> None:
    text = drawn(width, SHOT).replace("\n", "")
    assert "0.15000001" in text.replace(" ", "")


def test_an_empty_panel_is_lawful() -> None:
    assert "fill" in drawn(80)


def test_fit_drops_the_least_important_and_keeps_the_first() -> None:
    parts = [(0, "aaaa"), (2, "bbbb"), (1, "cccc"), (1, "")]
    assert fit(parts, None) == "aaaa  bbbb  cccc"
    assert fit(parts, 10) == "aaaa  cccc"
    assert fit(parts, 2) == "aaaa"


def test_what_is_not_known_is_said_so() -> None:
    bare = HedgeSnapshot(name="eth", at=1, symbol="E", spot_venue="s", futures_venue="f")
    text = drawn(100, bare)
    assert "spot unknown  futures unknown  delta unknown" in text
    assert lines({"name": "x", "source": "journal"})[0].text == "x"
