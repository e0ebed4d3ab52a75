"""Goal: payloads that others published are read without a loss.
Method: official examples and peers' fixtures, where they are at hand; expected values by eye.
"""

import json
from decimal import Decimal

import msgspec
import pytest
from bybit_rows import PERPETUAL, fixture, instrument_row, listed, official, shared_json

from hedge.model import FillKind, Leg, ReportedStatus, Side
from hedge_bybit import parse
from hedge_bybit.check import Check
from hedge_bybit.frames import (
    PRIVATE,
    PUBLIC,
    STREAM_REPLY,
    TRADE_REPLY,
    ExecutionFrame,
    ExecutionRow,
    FastFrame,
    OrderFrame,
    OrderRow,
    PositionFrame,
    PositionRow,
    WalletFrame,
    WalletRow,
)
from hedge_bybit.listing import InstrumentRow, listing_of
from hedge_bybit.reads import AccountInfo, FeeRow, KeyInfo, Page, SettledRow, TickerRow

D = Decimal


def private(name):
    return PRIVATE.decode(json.dumps(fixture(name)))


def page(payload, kind):
    return msgspec.convert(payload["result"], Page[kind]).rows


def page_of(part, number=0):
    found = [payload for path, payload in official() if path.endswith(part)]
    assert found, part
    return found[number]


def test_an_execution_with_a_tax():
    frame = PRIVATE.decode(json.dumps(page_of("websocket/private/execution.mdx", 1)))
    assert isinstance(frame, ExecutionFrame)
    fill = parse.fill(frame.data[0], PERPETUAL)
    assert (fill.side, fill.quantity, fill.price) == (Side.SELL, D("0.5"), D("95900.1"))
    assert fill.fee == D("26.3725275") + D("0.006403779")
    assert (fill.fee_asset, fill.maker, fill.kind) == ("USDT", False, FillKind.TRADE)


def test_a_fast_execution():
    frame = PRIVATE.decode(json.dumps(page_of("fast-execution.mdx", 1)))
    assert isinstance(frame, FastFrame)
    row = frame.data[0]
    assert (row.order_link_id, row.exec_qty, row.exec_fee) == ("test-00001", "3000", "")


def test_an_order_a_position_and_a_wallet():
    order = PRIVATE.decode(json.dumps(page_of("websocket/private/order.mdx", 1)))
    assert isinstance(order, OrderFrame)
    assert parse.order_report(order.data[0], PERPETUAL).status is ReportedStatus.FILLED
    position = PRIVATE.decode(json.dumps(page_of("websocket/private/position.mdx", 1)))
    assert isinstance(position, PositionFrame)
    assert parse.is_hedge_mode(position.data)
    assert parse.position(position.data, PERPETUAL).quantity == 0
    wallet = PRIVATE.decode(json.dumps(page_of("websocket/private/wallet.mdx", 1)))
    assert isinstance(wallet, WalletFrame)
    assert parse.balance(wallet.data[0].coin[0]).total == D("0.00102964")
    assert parse.margin_ratio(wallet.data[0]) == 0


def test_the_answers_of_rest():
    executions = page(page_of("order/execution.mdx"), ExecutionRow)
    assert parse.fill(executions[0], PERPETUAL).fee == D("0.071409")
    orders = page(page_of("order/open-order.mdx"), OrderRow)
    report = parse.order_report(orders[0], PERPETUAL)
    assert (report.client_order_id, report.status) == ("test-000005", ReportedStatus.WORKING)
    wallets = page(page_of("wallet-balance.mdx"), WalletRow)
    assert wallets[0].total_available_balance == "3.00326056"
    assert page(page_of("fee-rate.mdx"), FeeRow)[0].taker_fee_rate == "0.0006"
    assert page(page_of("market/tickers.mdx"), TickerRow)[0].funding_interval_hour == "8"


def test_a_long_that_paid_for_funding():
    rows = page(page_of("account/transaction-log.mdx"), parse.FundingRow)
    listing = listed(instrument_row("XRPUSDT"), Leg.FUTURES)
    payment = parse.logged_payment(rows[0], listing)
    assert (payment.cash, payment.rate, payment.quantity) == (D("-0.003676"), D("0.0001"), D(100))
    assert payment.settled_at == 1_672_128_000_000_000_000


def test_a_spot_instrument_of_the_documentation():
    rows = page(page_of("market/instrument.mdx", 1), InstrumentRow)
    found = listed(rows[0], Leg.SPOT).instrument
    assert (found.symbol, found.lot, found.notional_min) == ("BTC/USDT", D("0.000001"), D(5))
    assert found.quantity_max == D("41.5")


def test_public_messages():
    book = PUBLIC.decode(json.dumps(page_of("public/orderbook.mdx")))
    assert book.type == "delta" and len(book.data.b) == 5
    assert book.data.a[0] == (D("30248.70"), D(0))
    ticker = PUBLIC.decode(json.dumps(page_of("public/ticker.mdx", 1)))
    assert ticker.topic == "tickers.BTCUSDT" and ticker.data.mark_price is None


def test_a_part_that_filled_before_it_was_rejected():
    frame = private("ws_account_order_partially_filled_rejected.json")
    report = parse.order_report(frame.data[0], PERPETUAL)
    assert (report.status, report.filled) == (ReportedStatus.CANCELLED, D(50))


def test_auto_deleveraging_is_recognised():
    frame = private("ws_account_execution_adl.json")
    assert parse.fill(frame.data[0], PERPETUAL).kind is FillKind.AUTO_DELEVERAGING


@pytest.mark.parametrize("name", ["ws_account_order.json", "ws_account_order_filled.json"])
def test_other_orders(name):
    row = private(name).data[0]
    report = parse.order_report(row, PERPETUAL)
    assert report.client_order_id and report.status is not ReportedStatus.WORKING


def test_a_short_with_a_liquidation_price():
    row = private("ws_account_position.json").data[0]
    found = parse.position([row], PERPETUAL)
    assert (found.quantity, found.entry_notional) == (D("-0.01"), D("-36.41075"))
    assert (found.liquidation_price, found.adl_rank) == (D("51764.83003276"), 1)


def test_more_is_locked_than_there_is():
    wallet = private("ws_account_wallet_locked_exceeds_total.json").data[0]
    found = parse.balance(wallet.coin[0])
    assert (found.total, found.locked, found.free) == (D(100), D(100), D(0))


def test_positions_and_borrowing_by_rest():
    rows = page(fixture("http_get_positions.json"), PositionRow)
    held = {row.symbol: parse.position([row], PERPETUAL) for row in rows}
    assert held["BTCUSDT"].quantity == D("0.5") and held["ETHUSDT"].quantity == D(-5)
    assert held["SOLUSDT"].quantity == 0 and held["SOLUSDT"].adl_rank is None
    wallet = page(fixture("http_get_wallet_balance.json"), WalletRow)[0]
    coins = {row.coin: parse.balance(row) for row in wallet.coin}
    assert coins["ETH"].total == D("-0.06142") and coins["USDT"].free == D("1000.50")


def test_orders_with_nulls_are_read():
    rows = page(fixture("http_get_orders_realtime.json"), OrderRow)
    reports = [parse.order_report(row, PERPETUAL) for row in rows]
    assert [report.status for report in reports] == [ReportedStatus.WORKING] * 2


def test_rates_and_the_account():
    rows = page(fixture("http_get_funding_history.json"), SettledRow)
    assert [row.funding_rate for row in rows] == ["0.0001", "0.00015"]
    info = msgspec.convert(fixture("http_get_account_info.json")["result"], AccountInfo)
    assert (info.margin_mode, info.unified_margin_status) == ("REGULAR_MARGIN", 4)


def test_a_read_only_key_bound_to_addresses():
    info = msgspec.convert(fixture("http_get_user_query_api.json")["result"], KeyInfo)
    rights = Check.rights_of(info, set(Leg))
    assert not rights.trade and not rights.withdraw and rights.ip_bound
    assert rights.expires_at is None


def test_answers_on_sockets():
    accepted = TRADE_REPLY.decode(json.dumps(fixture("ws_order_response.json")))
    assert (accepted.req_id, accepted.ret_code) == ("order-req-001", 0)
    assert accepted.data["orderId"] == "1726025498520715008"
    subscribed = STREAM_REPLY.decode(json.dumps(fixture("ws_subscription_ack.json")))
    assert (subscribed.op, subscribed.success) == ("subscribe", True)
    failed = STREAM_REPLY.decode(json.dumps(fixture("ws_auth_failure.json")))
    assert (failed.op, failed.success, failed.ret_code) == ("auth", False, 10003)
    assert not STREAM_REPLY.decode(json.dumps(fixture("ws_subscription_failure.json"))).success


def test_what_is_no_news_is_not_taken_for_news():
    for name in ("ws_auth_success.json", "ws_subscription_ack.json", "ws_order_response.json"):
        with pytest.raises(msgspec.ValidationError):
            PRIVATE.decode(json.dumps(fixture(name)))


def test_a_recorded_spot_instrument_of_today():
    payload = shared_json(
        "ccxt_bybit_markets", "bybit_spot_BTCUSDT_instruments_info_2026-09_fastmm.json"
    )
    rows = payload.get("result", payload).get("list", [payload])
    listing = listing_of(msgspec.convert(rows[0], InstrumentRow), Leg.SPOT)
    assert listing is not None and listing.symbol == "BTC/USDT"
