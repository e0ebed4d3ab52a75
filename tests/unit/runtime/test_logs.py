"""Goal: rows read well, and no secret gets out. Method: canary strings through every output."""

import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trigger
from hedge.decide.rows import Row
from hedge.model import Fill, FundingPayment, Leg, Order, Side, TimeInForce
from hedge.runtime.logs import Redactor, RowLog, set_up
from hedge.runtime.words import builtins_of, plain, render_row, utc

AT = 1_700_000_000_123_456_789
SECRET = 'sup"er+secret'


def row(entry: Any, seq: int = 1) -> Row:
    return Row(seq=seq, at=AT, entry=entry)


ORDER = Order(
    client_order_id="H-1-F-7",
    leg=Leg.FUTURES,
    symbol="BTC/USDT:USDT",
    side=Side.SELL,
    quantity=Decimal("0.1500"),
    limit_price=Decimal("1E+5"),
    time_in_force=TimeInForce.IOC,
    signed_at=AT,
    recv_window_ms=2000,
)
PLACED = c.PlaceOrder(order=ORDER, purpose=c.Purpose.HEDGE, observation=c.Observation())
FILL = Fill(
    leg=Leg.SPOT,
    symbol="BTC/USDT",
    fill_id="1",
    side=Side.BUY,
    quantity=Decimal("0.15"),
    price=Decimal(64000),
    fee=Decimal("0.01"),
    fee_asset="BNB",
)
PAID = FundingPayment(
    payment_id="p",
    symbol="BTC/USDT:USDT",
    rate=Decimal("0.0001"),
    interval_s=28800,
    quantity=Decimal("-0.15"),
    cash=Decimal("0.96"),
    asset="USDT",
    settled_at=AT,
)


@pytest.fixture(autouse=True)
def _clean_logging() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    yield
    root.handlers[:] = kept
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("entry", "fields", "line"),
    [
        (
            PLACED,
            {"event": "order", "quantity": "0.15", "limit_price": "100000", "leg": "futures"},
            "order futures sell 0.15 at 100000 (hedge, H-1-F-7)",
        ),
        (
            e.FillSeen(at=AT, fill=FILL),
            {"event": "fill", "fee": "0.01", "fee_asset": "BNB", "price": "64000"},
            "fill spot buy 0.15 at 64000, fee 0.01 BNB",
        ),
        (
            e.FundingPaid(at=AT, payment=PAID),
            {"event": "funding", "cash": "0.96", "rate": "0.0001"},
            "funding +0.96 USDT at rate 0.0001 on -0.15",
        ),
        (
            c.ChangeMode(mode=Mode.HALT, trigger=Trigger.BUILT),
            {"event": "mode", "mode": "HALT", "trigger": "built"},
            "mode HALT by built",
        ),
        (
            c.RaiseAlarm(key="DELTA", level="alarm", text="open"),
            {"event": "alarm", "key": "DELTA"},
            "ALARM DELTA: open",
        ),
        (
            c.SetTrip(reason="CLOCK_OFFSET", level=1),
            {"event": "trip", "trip": "FREEZE_SPOT"},
            "trip FREEZE_SPOT CLOCK_OFFSET",
        ),
        (
            c.EndRun(exit_code=5, reason="DATA_ENDED"),
            {"event": "end", "exit_code": 5},
            "end DATA_ENDED (exit 5)",
        ),
        (c.SetPaused(paused=True), {"event": "set_paused", "paused": True}, None),
    ],
)
def test_a_row_as_fields_and_as_a_line(
    entry: Any, fields: dict[str, Any], line: str | None
) -> None:
    shown = render_row(row(entry))
    assert fields.items() <= shown.items()
    assert shown["at"] == "2023-11-14T22:13:20.123456Z"
    assert not [v for v in shown.values() if isinstance(v, float)]
    json.dumps(shown)
    assert plain(row(entry)) == line


@pytest.mark.parametrize(
    "text",
    [
        f"key was {SECRET}",
        "https://x/api?timestamp=1&signature=canary1&recvWindow=5",
        "GET /v5?apiKey=canary1",
        "POST https://api.telegram.org/bot123456:canary1-XYZ/sendMessage",
        "X-MBX-APIKEY: canary1",
        '{"apiKey": "canary1", "secret": "canary1"}',
    ],
)
def test_secrets_are_struck_out_of_text(text: str) -> None:
    shown = Redactor([SECRET]).text(text)
    assert SECRET not in shown
    assert "canary1" not in shown
    assert "***" in shown


def test_ordinary_words_stay() -> None:
    text = "alarm DELTA: monkey 5, client_order_id=H-1-F-7, symbol=BTC/USDT"
    assert Redactor(["", "abc"]).text(text) == text


def emit(as_json: bool) -> str:
    data, messages = io.StringIO(), io.StringIO()
    set_up(as_json=as_json, redactor=Redactor([SECRET]), data=data, messages=messages)
    log = structlog.get_logger("test").bind(hedge="btc")
    log.info("hello", api_key="canary1", nested={"deep": [f"x {SECRET} y"]}, usd=Decimal("1E+4"))
    logging.getLogger("some.library").warning("url %s", "https://x?signature=canary1")
    logging.getLogger("httpx").info("GET https://x?signature=canary1")
    try:
        {}[SECRET]
    except KeyError:
        log.exception("broken")
    assert (messages if as_json else data).getvalue() == ""
    return (data if as_json else messages).getvalue()


def test_ndjson_is_one_object_a_line_without_secrets() -> None:
    text = emit(as_json=True)
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["hello", "url https://x?signature=***", "broken"]
    assert lines[0]["usd"] == "10000"
    assert lines[0]["hedge"] == "btc"
    assert all(line["at"].endswith("Z") for line in lines)
    assert "canary1" not in text
    assert SECRET not in text
    assert json.dumps(SECRET)[1:-1] not in text


def test_plain_lines_have_no_secrets_either() -> None:
    text = emit(as_json=False)
    assert "hello" in text
    assert "canary1" not in text
    assert SECRET not in text


def test_rows_are_printed_in_the_engine_s_time() -> None:
    out = io.StringIO()
    set_up(as_json=True, redactor=Redactor(), data=out)
    RowLog(Redactor(), as_json=True).write("btc", row(PLACED))
    said = json.loads(out.getvalue())
    assert (said["at"], said["hedge"], said["event"]) == (utc(AT), "btc", "order")
    lines = io.StringIO()
    log = RowLog(Redactor(["H-1-F-7"]), as_json=False, data=lines)
    log.write("btc", row(PLACED))
    log.write("btc", row(c.SetPaused(paused=True)))
    expected = "2023-11-14T22:13:20Z btc order futures sell 0.15 at 100000 (hedge, ***)\n"
    assert lines.getvalue() == expected


def test_builtins_have_no_numbers_for_money() -> None:
    assert builtins_of({"a": (Decimal("0E-8"), Leg.SPOT), "b": Decimal("NaN")}) == {
        "a": ["0", "spot"],
        "b": "NaN",
    }
