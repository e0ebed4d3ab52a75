"""Goal: what Bybit says becomes the fact it is: quantity, fee coin, sign, kind, and how it ended.
Method: rows written from the documentation's rules, one rule each; nothing is mocked.
"""

from decimal import Decimal

import msgspec
import pytest
from bybit_rows import PEPE, PERPETUAL, SPOT, execution_row, order_row

from hedge.errors import Malformed
from hedge.model import FillKind, Leg, PositionMode, ReportedStatus, Side
from hedge_bybit import parse
from hedge_bybit.frames import CoinRow, PositionRow, WalletRow

D = Decimal


def test_a_fill_is_what_was_executed():
    fill = parse.fill(execution_row(isMaker=True), PERPETUAL)
    assert (fill.leg, fill.symbol, fill.side) == (Leg.FUTURES, "BTC/USDT:USDT", Side.SELL)
    assert (fill.quantity, fill.price) == (D("0.25"), D("60000.5"))
    assert (fill.fee, fill.fee_asset, fill.fee_rate_quote) == (D("8.25006875"), "USDT", None)
    assert (fill.client_order_id, fill.venue_order_id) == ("HA0000001F000001", "venue-1")
    assert fill.maker and fill.filled_at == 1_700_000_000_123_000_000


def test_a_fill_without_our_id_takes_the_one_that_is_known():
    assert parse.fill(execution_row(orderLinkId=""), PERPETUAL, "mine").client_order_id == "mine"


def test_a_thousand_pepe_are_a_thousand_times_one():
    row = execution_row(symbol="1000PEPEUSDT", execPrice="0.0125", execQty="400", side="Buy")
    fill = parse.fill(row, PEPE)
    assert (fill.quantity, fill.price) == (D(400_000), D("0.0000125"))
    assert fill.quantity * fill.price == D(400) * D("0.0125")


@pytest.mark.parametrize(
    ("side", "maker", "rate", "asset"),
    [
        ("Buy", True, "0.001", "BTC"),
        ("Sell", True, "0.001", "USDT"),
        ("Buy", True, "-0.0001", "USDT"),
        ("Sell", True, "-0.0001", "BTC"),
        ("Buy", False, "0.001", "BTC"),
        ("Sell", False, "0.001", "USDT"),
    ],
)
def test_a_spot_fee_without_a_coin_follows_the_rule(side, maker, rate, asset):
    row = execution_row(category="spot", side=side, isMaker=maker, feeRate=rate)
    assert parse.fill(row, SPOT).fee_asset == asset


def test_the_venues_word_for_the_fee_coin_counts_more_than_the_rule():
    row = execution_row(category="spot", side="Buy", feeCurrency="USDT")
    assert parse.fill(row, SPOT).fee_asset == "USDT"


def test_a_fee_in_a_third_coin_is_worth_what_the_rate_charged():
    row = execution_row(
        category="spot", side="Buy", feeCurrency="MNT", execFee="15", execValue="15000",
        feeRate="0.0008",
    )  # fmt: skip
    fill = parse.fill(row, SPOT)
    assert fill.fee_asset == "MNT"
    assert fill.fee * fill.fee_rate_quote == D(12)


def test_a_tax_in_the_fees_coin_is_a_fee():
    taxed = [{"feeCoin": "USDT", "fee": "0.5"}, {"feeCoin": "IDR", "fee": "9"}]
    assert parse.fill(execution_row(extraFees=taxed), PERPETUAL).fee == D("8.75006875")
    assert parse.fill(execution_row(extraFees=""), PERPETUAL).fee == D("8.25006875")


@pytest.mark.parametrize(
    ("word", "created", "kind"),
    [
        ("Trade", "CreateByUser", FillKind.TRADE),
        ("Trade", "", FillKind.TRADE),
        ("BustTrade", "", FillKind.LIQUIDATION),
        ("Trade", "CreateByLiq", FillKind.LIQUIDATION),
        ("AdlTrade", "", FillKind.AUTO_DELEVERAGING),
        ("Trade", "CreateByAdl_PassThrough", FillKind.AUTO_DELEVERAGING),
        ("Settle", "", FillKind.SETTLEMENT),
        ("Delivery", "", FillKind.SETTLEMENT),
        ("BlockTrade", "", FillKind.TRADE),
        ("SomethingNew", "", FillKind.UNKNOWN),
        ("SomethingNew", "CreateByLiq", FillKind.UNKNOWN),
    ],
)
def test_why_it_was_executed(word, created, kind):
    row = execution_row(execType=word, createType=created)
    assert parse.fill(row, PERPETUAL).kind is kind


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("New", "0", ReportedStatus.WORKING),
        ("PartiallyFilled", "0.2", ReportedStatus.WORKING),
        ("Filled", "0.5", ReportedStatus.FILLED),
        ("Cancelled", "0", ReportedStatus.CANCELLED),
        ("Cancelled", "0.2", ReportedStatus.CANCELLED),
        ("PartiallyFilledCanceled", "0.2", ReportedStatus.CANCELLED),
        ("Rejected", "0", ReportedStatus.CANCELLED),
        ("Rejected", "0.2", ReportedStatus.CANCELLED),
        ("Deactivated", "", ReportedStatus.CANCELLED),
        # The quantity says it, not the word.
        ("Cancelled", "0.5", ReportedStatus.FILLED),
        ("New", "0.5", ReportedStatus.FILLED),
        ("Filled", "0.2", ReportedStatus.WORKING),
        ("Invented", "0.2", ReportedStatus.WORKING),
    ],
)
def test_how_an_order_stands(word, filled, status):
    report = parse.order_report(order_row(orderStatus=word, cumExecQty=filled), PERPETUAL)
    assert report.status is status
    assert report.filled == D(filled or "0")


def test_an_order_is_reported_with_what_the_venue_echoes():
    report = parse.order_report(order_row(reduceOnly=True), PERPETUAL)
    assert (report.side, report.quantity, report.limit_price) == (Side.SELL, D("0.5"), D(60_000))
    assert report.reduce_only is True
    assert report.reported_at == 1_700_000_000_456_000_000
    assert parse.order_report(order_row(), SPOT).reduce_only is None
    assert parse.order_report(order_row(price=""), PERPETUAL).limit_price is None


def test_funding_is_the_same_by_both_kinds_of_rows():
    """A short of 2 at +0.01 % received 12: the row of a short has the rate's sign reversed."""
    executed = parse.executed_payment(
        execution_row(execType="Funding", execQty="2", execFee="-12", feeRate="-0.0001"), PERPETUAL
    )
    logged = parse.logged_payment(
        parse.FundingRow(
            symbol="BTCUSDT", side="Sell", funding="12", fee_rate="-0.0001", qty="2",
            currency="USDT", transaction_time="1700000000123",
        ),
        PERPETUAL,
    )  # fmt: skip
    assert msgspec.structs.replace(executed, payment_id=logged.payment_id) == logged
    assert (logged.cash, logged.quantity, logged.rate) == (D(12), D(-2), D("0.0001"))
    assert (logged.asset, logged.interval_s) == ("USDT", 28_800)


def position_row(**changes):
    found = {
        "symbol": "BTCUSDT", "positionIdx": 0, "side": "Sell", "size": "0.5",
        "avgPrice": "60000", "liqPrice": "", "leverage": "3", "adlRankIndicator": 2,
        "updatedTime": "1700000000000",
    }  # fmt: skip
    return msgspec.convert(found | changes, PositionRow)


def test_a_short_is_negative_and_so_is_its_cost():
    found = parse.position([position_row(liqPrice="71000.5")], PERPETUAL, D("0.02"))
    assert (found.quantity, found.entry_notional) == (D("-0.5"), D(-30_000))
    assert (found.liquidation_price, found.margin_ratio) == (D("71000.5"), D("0.02"))
    assert found.adl_rank == 1


def test_flat_is_zero_and_has_no_rank():
    row = position_row(side="", size="0", avgPrice="0", liqPrice="0", adlRankIndicator=0)
    found = parse.position([row], PERPETUAL)
    assert (found.quantity, found.entry_notional) == (D(0), D(0))
    assert found.liquidation_price is None and found.adl_rank is None


def test_a_multiple_keeps_its_cost_in_quote():
    found = parse.position([position_row(size="400", avgPrice="0.0125")], PEPE)
    assert (found.quantity, found.entry_notional) == (D(-400_000), D(-5))


def test_the_two_sides_of_hedge_mode_are_netted_and_recognised():
    rows = [
        position_row(positionIdx=1, side="Buy", size="0.2", avgPrice="50000"),
        position_row(positionIdx=2, side="Sell", size="0.5"),
    ]
    assert parse.is_hedge_mode(rows) and not parse.is_hedge_mode([position_row()])
    assert parse.position(rows, PERPETUAL).quantity == D("-0.3")
    assert PositionMode.HEDGE.value == "hedge"


def test_what_was_borrowed_is_not_held_and_margin_is_locked():
    row = CoinRow(
        coin="USDT", wallet_balance="1000", locked="100", spot_borrow="50",
        total_order_im="10", total_position_im="40",
    )  # fmt: skip
    found = parse.balance(row)
    assert (found.total, found.locked, found.free) == (D(950), D(150), D(800))


def test_no_more_is_locked_than_there_is():
    found = parse.balance(CoinRow(coin="USDT", wallet_balance="100", total_position_im="180"))
    assert (found.total, found.locked, found.free) == (D(100), D(100), D(0))


def test_an_account_without_a_ratio_has_none():
    assert parse.margin_ratio(WalletRow(account_mm_rate="", coin=[])) is None
    assert parse.margin_ratio(WalletRow(account_mm_rate="0.0382", coin=[])) == D("0.0382")


@pytest.mark.parametrize(
    "broken",
    [
        {"execTime": "soon"},
        {"side": "None"},
        {"execFee": "a lot"},
        {"execFee": "NaN"},
    ],
)
def test_nonsense_is_malformed(broken):
    with pytest.raises(Malformed):
        parse.fill(execution_row(**broken), PERPETUAL)


@pytest.mark.parametrize("broken", [{"qty": "many"}, {"side": ""}, {"cumExecQty": "Infinity"}])
def test_nonsense_of_an_order_is_malformed(broken):
    with pytest.raises(Malformed):
        parse.order_report(order_row(**broken), PERPETUAL)
