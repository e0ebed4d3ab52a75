"""Goal: ccxt's markets become instruments in base coins: contracts, multiples, grids, minimums.
Method: markets that ccxt parses itself, and hand-made ones for what must be left out.
"""

import asyncio
from decimal import Decimal

import pytest

pytest.importorskip("ccxt.pro")
from offline import gateway  # the skip must come first

from hedge.errors import Malformed
from hedge.model import InstrumentStatus, Leg
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.listing import listing_of, number
from hedge_ccxt.multipliers import coin_of, names_of

D = Decimal
GRIDS = {
    "okx": (D("0.01"), D("0.0001"), D("0.0001"), D(1_000_000)),
    "gate": (D("0.0001"), D("0.0001"), D("0.0001"), D(100)),
    "bitget": (D(1), D("0.001"), D("0.001"), D(220)),
    "kucoin": (D("0.001"), D("0.001"), D("0.001"), D(1_000)),
}


@pytest.mark.parametrize("venue", GRIDS)
def test_a_perpetual_in_contracts_is_one_in_coins(venue):
    async def read():
        role, _ = gateway(venue, Leg.FUTURES)
        return await role.session.listing(Leg.FUTURES, "BTC/USDT:USDT")

    listing = asyncio.run(read())
    one = listing.instrument
    assert (one.contract_size, one.lot, one.quantity_min, one.quantity_max) == GRIDS[venue]
    assert (one.tick, one.settle, one.multiplier) == (D("0.1"), "USDT", 1)
    assert all(isinstance(value, D) for value in (one.lot, one.tick, listing.unit))
    assert listing.quantity(listing.amount(D("0.02"))) == D("0.02")


def test_hyperliquids_k_coins_are_a_thousand():
    async def read():
        role, _ = gateway("hyperliquid", Leg.FUTURES)
        role.session.settings = CcxtSettings()
        return {one.symbol: one for one in await role.session.read_listings(Leg.FUTURES)}

    found = asyncio.run(read())
    pepe = found["PEPE/USDC:USDC"]
    assert (pepe.multiplier, pepe.instrument.lot, pepe.instrument.notional_min) == (
        1_000,
        1_000,
        10,
    )
    assert pepe.price(D("0.012")) == D("0.000012") and pepe.venue_price(D("0.00001")) == D("0.01")
    assert pepe.amount(D(5_000)) == 5


NONE = {"min": None, "max": None}
SWAP = {
    "symbol": "1000SHIB/USDT:USDT", "base": "1000SHIB", "quote": "USDT", "settle": "USDT",
    "swap": True, "spot": False, "linear": True, "active": True, "contractSize": D(10),
    "precision": {"amount": D(1), "price": D("0.000001")},
    "limits": {"amount": {"min": D(1), "max": D(500)}, "cost": NONE, "market": {"max": D(200)}},
}  # fmt: skip


def test_contract_size_and_multiple_both_count():
    listing = listing_of(SWAP, "ccxt:x", Leg.FUTURES, {})
    one = listing.instrument
    assert (one.symbol, one.base, one.multiplier) == ("SHIB/USDT:USDT", "SHIB", 1_000)
    assert (one.lot, one.quantity_min, one.quantity_max) == (10_000, 10_000, D(2_000_000))
    assert one.tick == D("0.000000001")


def test_the_settings_table_comes_first_and_a_plain_base_can_be_asked_for():
    own = CcxtSettings(multiples={"1000SHIB": "500 SHIBX"}).own_multiples
    assert listing_of(SWAP, "x", Leg.FUTURES, own).instrument.symbol == "SHIBX/USDT:USDT"
    plain = listing_of(SWAP, "x", Leg.FUTURES, {}, aliased=False)
    assert (plain.symbol, plain.multiplier) == ("1000SHIB/USDT:USDT", 1)
    assert coin_of("1INCH", {}) == ("1INCH", 1)
    assert next(names_of("PEPE", {})) == "PEPE" and "1000PEPE" in names_of("PEPE", {})
    assert coin_of("1MBABYDOGE", {}) == ("BABYDOGE", 1_000_000)


def test_what_is_no_linear_perpetual_is_left_out():
    for change in ({"linear": False}, {"swap": False}, {"settle": "BTC"}):
        assert listing_of(SWAP | change, "x", Leg.FUTURES, {}) is None
    assert listing_of(SWAP, "x", Leg.SPOT, {}) is None
    no_step = SWAP | {"precision": {"amount": None, "price": D("0.1")}}
    with pytest.raises(Malformed, match="lot"):
        listing_of(no_step, "x", Leg.FUTURES, {})
    halted = listing_of(SWAP | {"active": False}, "x", Leg.FUTURES, {})
    assert halted.instrument.status is InstrumentStatus.HALTED


@pytest.mark.parametrize(
    ("given", "exact"), [(0.1, "0.1"), ("1e-8", "1E-8"), (3, "3"), (None, "0")]
)
def test_numbers_are_what_the_venue_wrote(given, exact):
    assert number(given) == D(exact)


@pytest.mark.parametrize("given", ["x", "NaN", float("inf"), "--1", "1e20", "4e44440000", 10**400])
def test_what_is_no_number_is_malformed(given):
    with pytest.raises(Malformed):
        number(given)
