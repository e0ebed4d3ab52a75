"""Listings of three instruments, rows of the venue's kind, and where published payloads lie."""

import json
import os
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec
import pytest

from hedge.model import Leg, Order, Side, TimeInForce
from hedge_bybit.frames import ExecutionRow, OrderRow
from hedge_bybit.listing import InstrumentRow, Listing, listing_of

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("HEDGE_SHARED_DATA", ROOT.parent / "shared" / "data"))


def shared(*parts):
    """Return a file of payloads that others wrote; skip where it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"published payloads are not here: {'/'.join(parts)}")
    return path


def shared_json(*parts):
    return json.loads(shared(*parts).read_text(encoding="utf-8"))


def fixture(name):
    return shared_json("nautilus_fixtures", "bybit", name)


@cache
def official():
    """Return the examples of the official documentation: (page, payload), in their order."""
    lines = shared("official_docs_payloads", "docs_payloads.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in lines.splitlines()]
    return [(row["path"], payload_of(row["payload"])) for row in rows if row["venue"] == "bybit"]


def payload_of(payload):
    return json.loads(payload) if isinstance(payload, str) else payload


def instrument_row(symbol="BTCUSDT", **changes):
    found = {
        "symbol": symbol,
        "status": "Trading",
        "baseCoin": symbol.removesuffix("USDT"),
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "contractType": "LinearPerpetual",
        "fundingInterval": 480,
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {
            "qtyStep": "0.001",
            "minOrderQty": "0.001",
            "maxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000",
            "postOnlyMaxOrderQty": "1190.000",
            "minNotionalValue": "5",
        },
    }
    return msgspec.convert(found | changes, InstrumentRow)


def listed(row, leg) -> Listing:
    found = listing_of(row, leg)
    assert found is not None
    return found


PERPETUAL = listed(instrument_row(), Leg.FUTURES)
PEPE = listed(
    instrument_row(
        "1000PEPEUSDT",
        priceFilter={"tickSize": "0.0000010"},
        lotSizeFilter={
            "qtyStep": "100",
            "minOrderQty": "100",
            "maxOrderQty": "26000000",
            "maxMktOrderQty": "12000000",
            "minNotionalValue": "5",
        },
    ),
    Leg.FUTURES,
)
SPOT = listed(
    instrument_row(
        contractType="",
        settleCoin="",
        priceFilter={"tickSize": "0.1"},
        lotSizeFilter={
            "basePrecision": "0.000001",
            "quotePrecision": "0.0000001",
            "minOrderQty": "0.000011",
            "maxOrderQty": "83",
            "minOrderAmt": "5",
            "maxLimitOrderQty": "83",
            "maxMarketOrderQty": "41.5",
        },
    ),
    Leg.SPOT,
)


def execution_row(**changes):
    found = {
        "symbol": "BTCUSDT",
        "category": "linear",
        "orderId": "venue-1",
        "orderLinkId": "HA0000001F000001",
        "side": "Sell",
        "execId": "exec-1",
        "execPrice": "60000.5",
        "execQty": "0.25",
        "execTime": "1700000000123",
        "execFee": "8.25006875",
        "execValue": "15000.125",
        "feeRate": "0.00055",
    }
    return msgspec.convert(found | changes, ExecutionRow)


def order_row(**changes):
    found = {
        "symbol": "BTCUSDT",
        "category": "linear",
        "orderId": "venue-1",
        "orderLinkId": "HA0000001F000001",
        "side": "Sell",
        "orderStatus": "New",
        "qty": "0.5",
        "price": "60000",
        "cumExecQty": "0",
        "reduceOnly": False,
        "updatedTime": "1700000000456",
    }
    return msgspec.convert(found | changes, OrderRow)


def order(**changes):
    found = {
        "client_order_id": "HA0000001F000001",
        "leg": Leg.FUTURES,
        "symbol": "BTC/USDT:USDT",
        "side": Side.SELL,
        "quantity": Decimal("0.5"),
        "limit_price": Decimal("60000.10"),
        "time_in_force": TimeInForce.IOC,
        "signed_at": 1_700_000_000_123_456_789,
        "recv_window_ms": 1_500,
    }
    return Order(**found | changes)
