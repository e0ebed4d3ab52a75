"""Instruments out of recorded ``exchangeInfo``, and the traps in it.

Goal: grids, minimums, maximums, states and bundles of coins are exact. Method: recorded rows, rows
with one thing changed, and the whole recordings where they lie beside the project.
"""

import json
from decimal import Decimal

import msgspec
import pytest
from binance_cases import DATA, SHARED, futures, pepe, rows, spot

from hedge.errors import Missing, Refused
from hedge.model import InstrumentKind, InstrumentStatus
from hedge_binance import wire
from hedge_binance.instruments import (
    Coins,
    confirm_units,
    find,
    futures_listing,
    listings,
    spot_listing,
)

RECORDED = SHARED / "gocryptotrader" / "binance_http_recorded.json"


def test_spot_as_recorded():
    instrument = spot().instrument
    assert (instrument.symbol, instrument.kind) == ("BTC/USDT", InstrumentKind.SPOT)
    assert (instrument.base, instrument.quote, instrument.settle) == ("BTC", "USDT", "")
    assert (instrument.tick, instrument.lot) == (Decimal("0.01"), Decimal("0.00001"))
    assert instrument.quantity_min == Decimal("0.00001")
    assert instrument.notional_min == 5
    assert instrument.status is InstrumentStatus.TRADING


def test_futures_as_recorded():
    instrument = futures().instrument
    assert (instrument.symbol, instrument.kind) == ("BTC/USDT:USDT", InstrumentKind.PERPETUAL)
    assert (instrument.tick, instrument.lot) == (Decimal("0.1"), Decimal("0.001"))
    assert instrument.notional_min == 100, "the key is notional there, minNotional on spot"
    assert instrument.reduce_only_below_min


def test_the_smaller_maximum_counts_and_a_zero_is_none():
    recorded = rows("exchange_info_usdm.json")["BTCUSDT"]
    sizes = {one.filter_type: one.max_qty for one in recorded.filters if one.max_qty}
    assert sizes == {"LOT_SIZE": 1000, "MARKET_LOT_SIZE": 120}
    assert futures().instrument.quantity_max == 120
    row = rows("exchange_info_spot.json")["ETHBTC"]
    off = [
        msgspec.structs.replace(one, max_qty=Decimal(0))
        if one.filter_type == "MARKET_LOT_SIZE"
        else one
        for one in row.filters
    ]
    listing = spot_listing(msgspec.structs.replace(row, filters=off), Coins())
    assert listing.instrument.quantity_max == 100_000


def test_a_filter_that_is_off_leaves_the_precision():
    row = rows("exchange_info_spot.json")["ETHBTC"]
    listing = spot_listing(msgspec.structs.replace(row, filters=[]), Coins())
    assert listing.instrument.lot == Decimal("1E-8") == listing.instrument.tick
    assert listing.instrument.notional_min == 0


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("TRADING", InstrumentStatus.TRADING),
        ("BREAK", InstrumentStatus.HALTED),
        ("CANCEL_ONLY", InstrumentStatus.CANCEL_ONLY),
        ("SETTLING", InstrumentStatus.DELISTING),
        ("A_NEW_WORD", InstrumentStatus.HALTED),
    ],
)
def test_states(word, status):
    row = msgspec.structs.replace(rows("exchange_info_spot.json")["BTCUSDT"], status=word)
    assert spot_listing(row, Coins()).instrument.status is status


def test_a_perpetual_with_an_end_is_being_delisted():
    row = rows("exchange_info_usdm.json")["BTCUSDT"]
    ending = msgspec.structs.replace(row, delivery_date=1_800_000_000_000)
    found = futures_listing(ending, Coins())
    assert found is not None and found.instrument.status is InstrumentStatus.DELISTING
    quarterly = msgspec.structs.replace(row, contract_type="CURRENT_QUARTER")
    assert futures_listing(quarterly, Coins()) is None


def test_a_bundle_is_counted_in_coins():
    listing = pepe()
    instrument = listing.instrument
    assert instrument.symbol == "PEPE/USDT:USDT"
    assert (instrument.multiplier, instrument.lot) == (1000, 1000)
    assert instrument.tick == Decimal("1E-10")
    assert (instrument.quantity_min, instrument.quantity_max) == (1000, 9_000_000)
    assert instrument.notional_min == 5
    assert listing.native_quantity(Decimal(250_000)) == 250
    assert listing.native_price(Decimal("0.0000123")) == Decimal("0.0123")
    assert listing.coins(Decimal(3)) == 3000
    assert listing.per_coin(Decimal("0.0123")) == Decimal("0.0000123")


def test_a_bundle_must_be_confirmed_by_prices():
    listing = pepe()
    confirm_units(listing, Decimal("0.0123"), Decimal("0.0000122"))
    with pytest.raises(Refused, match="multipliers") as caught:
        confirm_units(listing, Decimal("0.0123"), Decimal("0.0123"))
    assert caught.value.code == "MULTIPLIER"


def test_bundles_are_never_guessed_but_may_be_configured():
    assert Coins().of("1000NOVEL") == ("1000NOVEL", 1)
    assert Coins().of("1INCH") == ("1INCH", 1)
    more = Coins({"1000NOVEL": Decimal(1000), "1MOTHER": Decimal(1_000_000)})
    assert more.of("1000NOVEL") == ("NOVEL", 1000)
    assert more.of("1MOTHER") == ("OTHER", 1_000_000)
    assert more.of("1000PEPE") == ("PEPE", 1000)


def test_where_a_coin_trades_singly_and_in_a_bundle_the_single_one_is_meant():
    row = rows("exchange_info_spot.json")["BTCUSDT"]
    single = msgspec.structs.replace(row, symbol="CATUSDT", base_asset="CAT")
    bundle = msgspec.structs.replace(row, symbol="1000CATUSDT", base_asset="1000CAT")
    for order in ([single, bundle], [bundle, single]):
        assert find(listings(order, Coins(), futures=False), "CAT/USDT").native == "CATUSDT"
    halted = msgspec.structs.replace(single, status="BREAK")
    found = listings([halted, bundle], Coins(), futures=False)
    assert find(found, "CAT/USDT").native == "1000CATUSDT"


def test_an_unknown_symbol_is_missing_with_its_neighbours():
    info = msgspec.json.decode(
        (DATA / "exchange_info_spot.json").read_bytes(), type=wire.ExchangeInfo
    )
    found = listings(info.symbols, Coins(), futures=False)
    with pytest.raises(Missing, match="ETH/BTC"):
        find(found, "ETH/EUR")


@pytest.mark.skipif(not RECORDED.is_file(), reason="the recordings (../shared/data) are not here")
@pytest.mark.parametrize(
    ("path", "futures_too", "count"),
    [("/api/v3/exchangeInfo", False, 25), ("/fapi/v1/exchangeInfo", True, 25)],
)
def test_every_recorded_symbol_becomes_an_instrument(path, futures_too, count):
    recorded = json.loads(RECORDED.read_bytes())["routes"][path]["GET"][0]["data"]
    info = msgspec.convert(recorded, wire.ExchangeInfo, strict=False)
    found = listings(info.symbols, Coins(), futures=futures_too)
    assert len(found) == count
    for listing in found.values():
        instrument = listing.instrument
        assert instrument.round_quantity(instrument.lot * 3) == instrument.lot * 3
        assert instrument.quantity_max > instrument.quantity_min
