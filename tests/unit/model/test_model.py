"""Goal: the nouns say what they promise about signs, units and bad input.
Method: each promise once, at its edges.
"""

from decimal import Decimal

import msgspec
import pytest

from hedge.model import (
    Balance,
    Fill,
    FundingRate,
    Instrument,
    InstrumentKind,
    Leg,
    Quote,
    RateOrigin,
    Side,
    same_coin,
)


@pytest.mark.parametrize(
    ("bid", "ask", "usable"),
    [
        ("99", "100", True),
        ("100", "100", False),
        ("101", "100", False),
        ("0", "100", False),
        ("-1", "100", False),
        ("NaN", "100", False),
        ("99", "Infinity", False),
    ],
)
def test_only_a_real_book_is_usable(bid, ask, usable):
    assert Quote(symbol="C", bid=Decimal(bid), ask=Decimal(ask)).usable is usable


@pytest.mark.parametrize("hours", [8, 4, 2, 1])
def test_a_rate_is_compared_per_eight_hours(hours):
    rate = FundingRate(
        symbol="C",
        rate=Decimal("0.0001"),
        interval_s=hours * 3_600,
        next_at=0,
        observed_at=0,
        origin=RateOrigin.LIVE,
    )
    assert rate.per_8h == Decimal("0.0001") * 8 / hours
    assert rate.apr == rate.per_8h * 3 * 365
    assert not msgspec.structs.replace(rate, interval_s=0).usable
    assert not msgspec.structs.replace(rate, rate=Decimal("NaN")).usable


def test_a_fill_is_one_by_symbol_id_and_side():
    buy = Fill(
        leg=Leg.SPOT, symbol="C", fill_id="1", side=Side.BUY, quantity=Decimal(2), price=Decimal(3)
    )
    sell = msgspec.structs.replace(buy, side=Side.SELL)
    assert buy.key != sell.key, "one trade id can stand for both halves of a flip (F21)"
    assert (buy.signed_quantity, sell.signed_quantity) == (2, -2)


def test_a_balance_is_free_and_locked():
    assert Balance(asset="C", free=Decimal(1), locked=Decimal(2)).total == 3


def test_what_changes_the_units_changes_the_fingerprint():
    made = Instrument(
        venue="v",
        symbol="C/Q",
        kind=InstrumentKind.SPOT,
        base="C",
        quote="Q",
        tick=Decimal(1),
        lot=Decimal(1),
    )
    for change in ({"lot": Decimal(2)}, {"multiplier": Decimal(10)}, {"base": "D"}):
        assert msgspec.structs.replace(made, **change).fingerprint() != made.fingerprint()
    assert msgspec.structs.replace(made, tick=Decimal(2)).fingerprint() == made.fingerprint()
    same = made.lot.quantize(made.lot * Decimal("0.001"))
    assert msgspec.structs.replace(made, lot=same).fingerprint() == made.fingerprint(), (
        "0.1 is 0.100"
    )


def test_nothing_of_the_model_can_be_changed():
    quote = Quote(symbol="C", bid=Decimal(1), ask=Decimal(2))
    with pytest.raises(AttributeError):
        quote.bid = Decimal(3)


@pytest.mark.parametrize(
    ("perpetual", "spot", "multiplier", "same"),
    [
        ("12.2", "0.0121", 1_000, True),
        ("12.2", "0.0121", 10_000, False),
        ("0.0130", "0.0000125", 1_000, True),
        ("0.0000125", "0.0000125", 1_000, False),
        ("0.125", "0.0000125", 1_000, False),
        ("105", "100", 1, True),
        ("105.01", "100", 1, False),
        ("95", "100", 1, True),
        ("94.99", "100", 1, False),
        ("0", "100", 1, False),
        ("100", "0", 1, False),
    ],
)
def test_prices_confirm_a_multiple_or_deny_it(perpetual, spot, multiplier, same):
    assert same_coin(Decimal(perpetual), Decimal(spot), Decimal(multiplier)) is same
