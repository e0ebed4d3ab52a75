"""Goal: grids, minimums, maxima and multiples are the venue's, in units of our coin.
Method: rows written from the documentation, and 365 recorded perpetuals where they are at hand.
"""

from decimal import Decimal

import msgspec
import pytest
from bybit_rows import PEPE, PERPETUAL, SPOT, instrument_row, shared_json

from hedge.errors import Malformed
from hedge.model import InstrumentKind, InstrumentStatus, Leg
from hedge_bybit.listing import InstrumentRow, listing_of, number
from hedge_bybit.multipliers import MULTIPLES, base_of
from hedge_bybit.venue import names_of

D = Decimal


def test_a_perpetual():
    found = PERPETUAL.instrument
    assert (found.symbol, found.kind) == ("BTC/USDT:USDT", InstrumentKind.PERPETUAL)
    assert (found.tick, found.lot, found.quantity_min) == (D("0.10"), D("0.001"), D("0.001"))
    assert (found.quantity_max, found.notional_min) == (D(500), D(5))
    assert found.reduce_only_below_min
    assert PERPETUAL.funding_interval_s == 8 * 3600


def test_a_spot_instrument():
    found = SPOT.instrument
    assert (found.symbol, found.kind, found.settle) == ("BTC/USDT", InstrumentKind.SPOT, "")
    assert (found.lot, found.quantity_min) == (D("0.000001"), D("0.000011"))
    assert (found.quantity_max, found.notional_min) == (D("41.5"), D(5))
    assert not found.reduce_only_below_min


def test_a_multiple_is_counted_in_its_coin():
    found = PEPE.instrument
    assert (found.symbol, found.base, found.multiplier) == ("PEPE/USDT:USDT", "PEPE", D(1000))
    assert (found.lot, found.quantity_min) == (D(100_000), D(100_000))
    assert found.quantity_max == D(12_000_000_000)
    assert found.tick == D("0.000000001")
    assert PEPE.venue_quantity(D(400_000)) == D(400)
    assert PEPE.venue_price(D("0.0000125")) == D("0.0125")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "Trading"}, InstrumentStatus.TRADING),
        ({"status": "PreLaunch"}, InstrumentStatus.HALTED),
        ({"status": "Delivering"}, InstrumentStatus.DELISTING),
        ({"status": "Closed"}, InstrumentStatus.HALTED),
        ({"status": "Invented"}, InstrumentStatus.HALTED),
        ({"status": "Trading", "isPreListing": True}, InstrumentStatus.HALTED),
    ],
)
def test_only_what_trades_is_trading(changes, status):
    assert listing_of(instrument_row(**changes), Leg.FUTURES).instrument.status is status


def test_what_expires_is_no_perpetual():
    row = instrument_row("BTCUSDT-27MAR26", contractType="LinearFutures")
    assert listing_of(row, Leg.FUTURES) is None


def test_a_row_without_a_grid_is_malformed():
    row = instrument_row(priceFilter={"tickSize": "0"})
    with pytest.raises(Malformed):
        listing_of(row, Leg.FUTURES)


@pytest.mark.parametrize(
    ("leg", "symbol", "names"),
    [
        (Leg.SPOT, "BTC/USDT", ("BTCUSDT",)),
        (Leg.SPOT, "BTC/USDT:USDT", ()),
        (Leg.FUTURES, "BTC/USDT:USDT", ("BTCUSDT",)),
        (Leg.FUTURES, "BTC/USDC:USDC", ("BTCPERP",)),
        (Leg.FUTURES, "PEPE/USDT:USDT", ("1000PEPEUSDT", "PEPEUSDT")),
        (Leg.FUTURES, "SHIB/USDT:USDT", ("SHIB1000USDT", "SHIBUSDT")),
        (Leg.FUTURES, "BTC/USD:BTC", ()),
        (Leg.FUTURES, "BTC/USDT", ()),
        (Leg.FUTURES, "", ()),
    ],
)
def test_what_bybit_may_call_it(leg, symbol, names):
    assert names_of(leg, symbol) == names


def test_a_name_alone_is_no_multiple():
    for name in ("1INCH", "1000", "10000NOBODY", "B3", "1000000"):
        assert base_of(name) == (name, D(1))


def test_numbers_are_exact_or_refused():
    assert number("") == 0 and number(None) == 0 and number("0.10") == D("0.10")
    for text in ("abc", "NaN", "Infinity", "1e", "--1", "1e20", "1E+999999", "4e44440000"):
        with pytest.raises(Malformed):
            number(text)


def test_every_recorded_perpetual_has_a_listing():
    rows = shared_json("furnace", "bybit_linear_instruments_info_20250123.repaired.json")
    rows = rows if isinstance(rows, list) else rows["result"]["list"]
    found = [listing_of(msgspec.convert(row, InstrumentRow), Leg.FUTURES) for row in rows]
    perpetuals = [one for one in found if one is not None]
    assert len(perpetuals) == sum(row["contractType"] == "LinearPerpetual" for row in rows) > 300
    assert len({one.symbol for one in perpetuals}) == len(perpetuals), "no two are one symbol"
    for one in perpetuals:
        assert one.venue_symbol in names_of(Leg.FUTURES, one.symbol), one.venue_symbol
        assert one.funding_interval_s in {3_600, 7_200, 14_400, 28_800}
    multiples = {row["baseCoin"] for row in rows if row["baseCoin"][:4] == "1000"}
    assert multiples <= set(MULTIPLES), multiples - set(MULTIPLES)
