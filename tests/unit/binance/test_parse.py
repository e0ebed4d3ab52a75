"""Payloads of the venue as facts of ours.

Goal: quantities, prices, fees, ids and states survive exactly; what does not fit is `Malformed`,
what is forced by the venue is seen as that. Method: events by hand in the documented shapes; the
official examples where they lie beside the project.
"""

import json
import random
from decimal import Decimal

import msgspec
import pytest
from binance_cases import EVENTS, SHARED, event, futures, payload, pepe, spot

from hedge.errors import Malformed
from hedge.model import Fill, FillKind, Leg, ReportedStatus, Side
from hedge.model.numbers import MS
from hedge_binance import parse, wire
from hedge_binance.instruments import Coins

D = Decimal
OFFICIAL = SHARED / "official_docs_payloads" / "docs_payloads.jsonl"
NAUTILUS = SHARED / "nautilus_fixtures" / "binance"


def spot_fill(name, rates=None, **changes):
    found = parse.spot_event(event("spot", name, **changes))
    assert isinstance(found, wire.ExecutionReport)
    client_id = found.original_id or found.client_id
    fill = parse.fill_of(found, spot(), rates or {}, leg=Leg.SPOT, client_id=client_id)
    return fill, parse.execution_report(found, spot())


def futures_fill(name, listing=None, **changes):
    found = parse.futures_event(event("futures", name, **changes))
    assert isinstance(found, wire.OrderTradeUpdate)
    order, listing = found.order, listing or futures()
    fill = parse.fill_of(order, listing, {}, leg=Leg.FUTURES, client_id=order.client_id)
    return fill, parse.order_news(order, listing)


def test_spot_new_order():
    fill, report = spot_fill("new")
    assert fill is None
    assert report.status is ReportedStatus.WORKING and report.filled == 0
    assert (report.client_order_id, report.venue_order_id) == ("HA1B2C0001S000001", "9001")
    assert (report.side, report.quantity, report.limit_price) == (Side.BUY, D("0.5"), D(60_000))


def test_spot_fill_with_its_fee_in_base():
    fill, report = spot_fill("trade")
    assert fill is not None
    assert (fill.quantity, fill.price, fill.side) == (D("0.2"), D(60_000), Side.BUY)
    assert (fill.fee, fill.fee_asset, fill.fee_rate_quote) == (D("0.0002"), "BTC", None)
    assert (fill.fill_id, fill.maker, fill.kind) == ("555", True, FillKind.TRADE)
    assert fill.filled_at == 1790000001099 * MS
    assert report.filled == D("0.2") and report.status is ReportedStatus.WORKING


def test_a_fee_in_a_third_coin_has_its_price():
    fill, report = spot_fill("trade_bnb", rates={"BNBUSDT": D(800)})
    assert fill is not None
    assert (fill.fee, fill.fee_asset, fill.fee_rate_quote) == (D("0.0075"), "BNB", D(800))
    assert report.status is ReportedStatus.FILLED
    without, _ = spot_fill("trade_bnb")
    assert without is not None and without.fee_rate_quote is None


def test_a_cancel_names_the_order_and_not_itself():
    fill, report = spot_fill("cancelled")
    assert fill is None
    assert report.client_order_id == "HA1B2C0001S000001"
    assert (report.status, report.filled) == (ReportedStatus.CANCELLED, D("0.2"))


def test_a_prevented_match_is_no_fill():
    fill, report = spot_fill("prevented")
    assert fill is None and report.status is ReportedStatus.CANCELLED


def test_spot_wallet():
    found = parse.spot_event(event("spot", "wallet"))
    assert isinstance(found, wire.AccountPosition)
    row = found.rows[1]
    balance = parse.balance(row.asset, row.free, row.locked, Coins(), at=found.at, rate=None)
    assert (balance.asset, balance.total) == ("USDT", 88_000)
    bundle = parse.balance("1000SATS", D("1.5"), D(0), Coins(), at=1, rate=None)
    assert (bundle.asset, bundle.free) == ("SATS", 1500)


def test_futures_fill():
    fill, report = futures_fill("trade")
    assert fill is not None
    assert (fill.quantity, fill.price, fill.side) == (D("0.2"), D(59_990), Side.SELL)
    assert (fill.fee, fill.fee_asset, fill.kind) == (D("5.999"), "USDT", FillKind.TRADE)
    assert report.status is ReportedStatus.FILLED and report.reduce_only is False


def test_an_ioc_remainder_ends_by_its_cumulative_quantity():
    fill, report = futures_fill("expired")
    assert fill is None
    assert (report.status, report.filled) == (ReportedStatus.CANCELLED, D("0.1"))
    assert report.reduce_only is True


@pytest.mark.parametrize(
    ("client_id", "execution", "status", "kind"),
    [
        ("autoclose-1", "CALCULATED", "FILLED", FillKind.LIQUIDATION),
        ("autoclose-1", "CALCULATED", "NEW_INSURANCE", FillKind.LIQUIDATION),
        ("adl_autoclose", "TRADE", "FILLED", FillKind.AUTO_DELEVERAGING),
        ("adl_autoclose_7", "CALCULATED", "NEW_ADL", FillKind.AUTO_DELEVERAGING),
        ("settlement_autoclose-9", "TRADE", "FILLED", FillKind.SETTLEMENT),
        ("delivery_autoclose-9", "TRADE", "FILLED", FillKind.SETTLEMENT),
        ("", "CALCULATED", "FILLED", FillKind.LIQUIDATION),
        ("mine", "TRADE", "FILLED", FillKind.TRADE),
        ("mine", "NOVELTY", "FILLED", FillKind.UNKNOWN),
    ],
)
def test_why_it_was_executed(client_id, execution, status, kind):
    fill, _ = futures_fill("trade", c=client_id, x=execution, X=status)
    assert fill is not None and fill.kind is kind


def test_a_liquidation_without_a_trade_id_is_still_one_of_a_kind():
    first, _ = futures_fill("liquidation", l="0.050", z="0.050")
    second, _ = futures_fill("liquidation", l="0.150", z="0.200")
    assert first is not None and second is not None
    assert first.kind is FillKind.LIQUIDATION and first.fill_id != second.fill_id


def test_a_word_nobody_knows_ends_no_order():
    fill, report = futures_fill("strange")
    assert report.status is ReportedStatus.WORKING
    assert fill is not None and fill.kind is FillKind.UNKNOWN


def test_bundles_are_told_in_coins():
    fill, report = futures_fill("trade", pepe(), s="1000PEPEUSDT", l="7", z="7", q="9", L="0.0125")
    assert fill is not None
    assert (fill.quantity, fill.price) == (7000, D("0.0000125"))
    assert (report.filled, report.quantity) == (7000, 9000)


def test_account_update():
    found = parse.futures_event(event("futures", "account"))
    assert isinstance(found, wire.AccountUpdate)
    position = parse.position_row(found.account.positions[0], futures(), found.at)
    assert position is not None
    assert (position.quantity, position.entry_notional) == (D("-0.2"), D("-11998"))
    half = msgspec.structs.replace(found.account.positions[0], side="SHORT")
    assert parse.position_row(half, futures(), found.at) is None, "half a position is none"
    paid = parse.futures_event(event("futures", "funding"))
    assert isinstance(paid, wire.AccountUpdate)
    assert paid.account.reason == "FUNDING_FEE" and not paid.account.positions


def test_position_out_of_an_answer():
    flat = parse.position_risk([], futures(), 7)
    assert (flat.quantity, flat.liquidation_price, flat.updated_at) == (0, None, 7)
    rows = [
        wire.PositionRisk("BTCUSDT", D("-0.5"), D(60_000), D(90_000), adl=3, update_time=5),
        wire.PositionRisk("ETHUSDT", D(1), D(3_000)),
    ]
    short = parse.position_risk(rows, futures(), 7)
    assert (short.quantity, short.entry_notional) == (D("-0.5"), D(-30_000))
    assert (short.liquidation_price, short.adl_rank, short.updated_at) == (90_000, 3, 5 * MS)
    hedged = [
        wire.PositionRisk("BTCUSDT", D("-0.5"), D(60_000), position_side="SHORT"),
        wire.PositionRisk("BTCUSDT", D("0.2"), D(50_000), position_side="LONG"),
    ]
    assert parse.position_risk(hedged, futures(), 7).quantity == D("-0.3")


def test_market_frames():
    frame = parse.stream_frame(payload(EVENTS["market"]["ticker"]))
    assert frame.stream == "btcusdt@bookTicker"
    ticker = parse.book_ticker(frame.data)
    assert (ticker.bid, ticker.ask) == (D("60000.10"), D("60000.20"))
    depth = parse.spot_depth(parse.stream_frame(payload(EVENTS["market"]["spot_depth"])).data)
    assert parse.depth(depth.bids, spot()) == D("3.5")
    deep = parse.futures_depth(parse.stream_frame(payload(EVENTS["market"]["futures_depth"])).data)
    assert parse.depth(deep.asks, futures()) == 9
    news = parse.mark_price(parse.stream_frame(payload(EVENTS["market"]["mark"])).data)
    mark = parse.mark(news, futures())
    assert (mark.mark, mark.index) == (D("60001.5"), D("60003.2"))
    assert parse.number(news.rate) == D("0.0001") and parse.number("") is None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{}",
        b"[]",
        b'{"e":"executionReport"}',
        b'{"e":"somethingNew"}',
        b'{"e":5}',
        b'{"e":"executionReport","s":"BTCUSDT","q":"NaNsense"}',
        b"\xff\xfe",
    ],
)
def test_what_does_not_fit_is_malformed(broken):
    for read in (parse.spot_event, parse.futures_event):
        with pytest.raises(Malformed):
            read(broken)


def test_events_that_say_nothing_new_are_passed_over():
    for name in wire.HEARD_ONLY:
        assert parse.spot_event(payload({"e": name})) is None
        assert parse.futures_event(payload({"e": name})) is None


def test_numbers_that_are_none():
    with pytest.raises(Malformed):
        parse.number("one")
    assert parse.number("NaN") is None
    with pytest.raises(Malformed):
        parse.side_of("HOLD")


# -- what others wrote ---------------------------------------------------------------------------


@pytest.mark.skipif(not OFFICIAL.is_file(), reason="the official examples are not here")
def test_official_examples_of_spot():
    seen = set()
    for line in OFFICIAL.read_text().splitlines():
        example = json.loads(line)
        found = example["payload"]
        if example["venue"] != "binance_spot" or not isinstance(found, dict):
            continue
        if "event" in found and example["path"] == "user-data-stream.md":
            frame = parse.api_frame(payload(found))
            parse.spot_event(frame.event)
            seen.add(found["event"]["e"])
        elif example["section"].startswith(("New order (", "Query order", "Cancel order")):
            if "orderId" in found:
                row = msgspec.json.decode(payload(found), type=wire.OrderRow)
                report = parse.order_row(row, spot())
                assert report.client_order_id == found.get(
                    "origClientOrderId", found["clientOrderId"]
                )
                assert report.filled == D(found.get("executedQty", "0"))
                seen.add(example["section"])
        elif example["section"].startswith("Query Commission Rates"):
            fees = msgspec.json.decode(payload(found), type=wire.SpotFees)
            assert fees.discount.discount_asset == "BNB"
            seen.add("fees")
    assert {"executionReport", "outboundAccountPosition", "eventStreamTerminated", "fees"} <= seen
    assert len(seen) >= 9, seen


@pytest.mark.skipif(not NAUTILUS.is_dir(), reason="the collected fixtures are not here")
@pytest.mark.parametrize(
    ("name", "kind", "quantity"),
    [
        ("order_update_adl", FillKind.AUTO_DELEVERAGING, "0.005"),
        ("order_update_calculated", FillKind.LIQUIDATION, "0.014"),
        ("order_update_calculated_pending", None, None),
        ("order_update_delivery", FillKind.SETTLEMENT, "1"),
        ("order_update_insurance", FillKind.LIQUIDATION, "0.020"),
        ("order_update_new", None, None),
        ("order_update_settlement", FillKind.SETTLEMENT, "0.010"),
        ("order_update_trade", FillKind.TRADE, "0.001"),
    ],
)
def test_collected_order_updates(name, kind, quantity):
    raw = (NAUTILUS / "futures" / "user_data_json" / f"{name}.json").read_bytes()
    found = parse.futures_event(raw)
    assert isinstance(found, wire.OrderTradeUpdate)
    order = found.order
    fill = parse.fill_of(order, futures(), {}, leg=Leg.FUTURES, client_id=order.client_id)
    assert (fill is None) == (kind is None)
    if fill is not None:
        assert (fill.kind, fill.quantity) == (kind, D(quantity))


@pytest.mark.skipif(not NAUTILUS.is_dir(), reason="the collected fixtures are not here")
def test_every_collected_user_event_is_read():
    paths = sorted(NAUTILUS.glob("*/user_data_json/*.json"))
    assert len(paths) > 20
    for path in paths:
        body = json.loads(path.read_text())
        read = parse.spot_event if "spot" in path.parts else parse.futures_event
        read(payload(body.get("event", body)))


# -- what nobody would write ---------------------------------------------------------------------

NO_NUMBERS = ["", "NaN", "sNaN", "-Infinity", "1e999999", "-5", "ä"]
BAD = [None, True, -1, 0, 10**30, [], {}, 1.5, *NO_NUMBERS]


def spoilt(draw, value):
    """Return a payload with one thing in it changed, gone, or of another kind."""
    found = json.loads(json.dumps(value))
    place = found
    while True:
        key = draw.choice(list(place)) if isinstance(place, dict) else draw.randrange(len(place))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw.random() < 0.8:
            place = inner
            continue
        if draw.random() < 0.2:
            del place[key]
        else:
            place[key] = draw.choice(BAD)
        return found


def read_whole(leg, raw):
    """Take an event as the streams do, up to the nouns that it becomes."""
    listing = spot() if leg == "spot" else futures()
    found = parse.spot_event(raw) if leg == "spot" else parse.futures_event(raw)
    news = []
    match found:
        case wire.ExecutionReport():
            news.append(parse.execution_report(found, listing))
            news.append(parse.fill_of(found, listing, {}, leg=Leg.SPOT, client_id="x"))
        case wire.OrderTradeUpdate(order=order):
            news.append(parse.order_news(order, listing))
            news.append(parse.fill_of(order, listing, {}, leg=Leg.FUTURES, client_id="x"))
        case wire.AccountPosition(rows=rows, at=at):
            news += [
                parse.balance(r.asset, r.free, r.locked, Coins(), at=at, rate=None) for r in rows
            ]
        case wire.AccountUpdate(at=at, account=account):
            news += [parse.position_row(row, listing, at) for row in account.positions]
    return [one for one in news if one is not None]


@pytest.mark.parametrize("seed", range(40))
def test_spoilt_payloads_are_malformed_or_sound(seed):
    draw = random.Random(seed)
    for _ in range(150):
        leg = draw.choice(["spot", "futures"])
        body = spoilt(draw, EVENTS[leg][draw.choice(list(EVENTS[leg]))])
        try:
            found = read_whole(leg, payload(body))
        except Malformed:
            continue
        for one in found:
            for name in one.__struct_fields__:
                value = getattr(one, name)
                if isinstance(value, Decimal):
                    assert value.is_finite(), f"seed {seed}: {name} of {body}"
            if isinstance(one, Fill):
                assert one.quantity > 0, f"seed {seed}: {body}"


@pytest.mark.parametrize("leg", ["spot", "futures"])
def test_an_event_whose_text_is_no_text_is_malformed(leg):
    read = {"spot": parse.spot_event, "futures": parse.futures_event}[leg]
    damaged = event(leg, "trade").replace(b'"BTCUSDT"', b'"\xff"', 1)
    with pytest.raises(Malformed):
        read(damaged)
    assert parse.spot_news(b'{"event":' + damaged + b"}") is None
