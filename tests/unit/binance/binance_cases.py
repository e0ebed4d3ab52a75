"""Fixtures and instruments that the tests of the Binance plugin share."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec

from hedge_binance import wire
from hedge_binance.instruments import Coins, futures_listing, spot_listing

DATA = Path(__file__).parents[2] / "data" / "binance"
SHARED = Path(__file__).parents[4] / "shared" / "data"
EVENTS = json.loads((DATA / "events.json").read_text())


def payload(value):
    return msgspec.json.encode(value)


def event(leg, name, **changes):
    """Return an event as bytes, with some of its fields changed (of the order, on futures)."""
    found = json.loads(json.dumps(EVENTS[leg][name]))
    (found["o"] if "o" in found and isinstance(found["o"], dict) else found).update(changes)
    return payload(found)


def rows(name):
    """Return the symbols of a recorded ``exchangeInfo`` by name."""
    info = msgspec.json.decode((DATA / name).read_bytes(), type=wire.ExchangeInfo)
    return {row.symbol: row for row in info.symbols}


def spot(symbol="BTCUSDT"):
    return spot_listing(rows("exchange_info_spot.json")[symbol], Coins())


def futures(symbol="BTCUSDT"):
    return futures_listing(rows("exchange_info_usdm.json")[symbol], Coins())


def pepe():
    """A perpetual of a thousand coins, with the grid such perpetuals have."""
    row = wire.SymbolRow(
        symbol="1000PEPEUSDT",
        status="TRADING",
        base_asset="1000PEPE",
        quote_asset="USDT",
        margin_asset="USDT",
        contract_type="PERPETUAL",
        delivery_date=4_133_404_800_000,
        filters=[
            wire.Filter(filter_type="PRICE_FILTER", tick_size=Decimal("0.0000001")),
            wire.Filter(
                filter_type="LOT_SIZE",
                step_size=Decimal(1),
                min_qty=Decimal(1),
                max_qty=Decimal(50_000_000),
            ),
            wire.Filter(
                filter_type="MARKET_LOT_SIZE", step_size=Decimal(1), max_qty=Decimal(9_000)
            ),
            wire.Filter(filter_type="MIN_NOTIONAL", notional=Decimal(5)),
        ],
    )
    listing = futures_listing(row, Coins())
    assert listing is not None
    return listing
