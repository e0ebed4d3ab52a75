"""Unmodified pybit, its URLs overridden, trades against the Bybit dialect.

Goal: an SDK that knows nothing of the simulator lists markets, streams, places, queries, amends and
cancels orders, and reads the account; what it reads is the venue's truth. Method: a server in a
process of its own, because pybit blocks; each test uses ids of its own on the one account.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from servers import Process, as_process

exceptions = pytest.importorskip("pybit.exceptions")
pybit_ws = pytest.importorskip("pybit._websocket_trading")
unified = pytest.importorskip("pybit.unified_trading")

FailedRequestError = exceptions.FailedRequestError
InvalidRequestError = exceptions.InvalidRequestError
SYMBOL = "BTCUSDT"
WAIT_S = 5.0
FAR = Decimal("0.97")
_ids = itertools.count(1)


def session(venue: Process, key: str = "sim-key", secret: str = "sim-secret", **more: Any) -> Any:
    """Return pybit's HTTP, its blocking retries taken out."""
    found = unified.HTTP(
        testnet=True, api_key=key, api_secret=secret, max_retries=1, retry_codes={1}, **more
    )
    found.endpoint = venue.url
    return found


@pytest.fixture(scope="module")
def venue() -> Iterator[Process]:
    with as_process("bybit") as process:
        yield process


@pytest.fixture(scope="module")
def http(venue: Process) -> Iterator[Any]:
    found = session(venue)
    yield found
    found.client.close()


@pytest.fixture(autouse=True)
def urls(venue: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unified, "PRIVATE_WSS", venue.ws_url + "/v5/private")
    monkeypatch.setattr(unified, "PUBLIC_WSS", venue.ws_url + "/v5/public/{CHANNEL_TYPE}")
    monkeypatch.setattr(pybit_ws, "TRADE_WSS", venue.ws_url + "/v5/trade")


def link() -> str:
    return f"P{next(_ids):06d}"


def rows(answer: Any) -> Any:
    return answer["result"]["list"]


def touch(http: Any, category: str) -> tuple[Decimal, Decimal]:
    row = rows(http.get_tickers(category=category, symbol=SYMBOL))[0]
    return Decimal(row["bid1Price"]), Decimal(row["ask1Price"])


def far_bid(http: Any, category: str) -> str:
    return str((touch(http, category)[0] * FAR).quantize(Decimal("0.1")))


def limit(category: str, side: str, qty: str, price: str, **more: Any) -> dict[str, Any]:
    return {
        "category": category, "symbol": SYMBOL, "side": side, "orderType": "Limit",
        "qty": qty, "price": price, "orderLinkId": link(),
    } | more  # fmt: skip


def place(http: Any, **order: Any) -> Any:
    """Place an order, and again when the second's places are taken, as the headers say."""
    while True:
        try:
            return http.place_order(**order)["result"]
        except InvalidRequestError as error:
            if error.status_code != 10006:
                raise
            free_at = int(error.resp_headers["X-Bapi-Limit-Reset-Timestamp"])
            time.sleep(max(free_at / 1_000 - time.time(), 0))


class Heard:
    """Collects messages of pybit's threads, and waits for the one that is wanted."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, message: Any) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def seen(self, wanted: Callable[[Any], bool], for_s: float) -> Any:
        """Return the first message that is wanted, None when none comes in time."""
        until = time.monotonic() + for_s
        with self._changed:
            while True:
                found = next((m for m in self.messages if wanted(m)), None)
                left = until - time.monotonic()
                if found is not None or left <= 0:
                    return found
                self._changed.wait(left)

    def wait(self, wanted: Callable[[Any], bool]) -> Any:
        found = self.seen(wanted, WAIT_S)
        assert found is not None, self.messages
        return found


def refused(acks: Heard, code: int, ask: Callable[..., None], **order: Any) -> None:
    """Ask until pybit hands the refusal on: it drops one that is faster than its own notes."""
    for _ in range(50):
        ask(acks, error_callback=acks, **order)
        if acks.seen(lambda m: m["retCode"] == code, 0.2):
            return
    pytest.fail(f"no answer {code}")


def subscribed(heard: Heard, venue: Process) -> None:
    """Return when the wallet, the last topic, is told: pybit does not say when it has it."""
    for _ in range(100):
        venue.ask("POST", "/sim/do", {"what": "deposit", "asset": "USDT", "quantity": "1"})
        if heard.seen(lambda m: m["topic"] == "wallet", 0.05):
            heard.messages.clear()
            return
    pytest.fail("not subscribed")


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_markets_can_be_listed_and_read(http: Any, category: str) -> None:
    row = rows(http.get_instruments_info(category=category))[0]
    assert (row["symbol"], row["status"]) == (SYMBOL, "Trading")
    tick = Decimal(row["priceFilter"]["tickSize"])
    bid, ask = touch(http, category)
    assert 0 < bid < ask and not bid % tick and not ask % tick
    book = http.get_orderbook(category=category, symbol=SYMBOL, limit=20)["result"]
    assert len(book["b"]) == len(book["a"]) == 20
    assert Decimal(book["b"][0][0]) > Decimal(book["b"][1][0])
    candles = rows(http.get_kline(category=category, symbol=SYMBOL, interval=5, limit=3))
    assert len(candles) == 3 and int(candles[0][0]) - int(candles[1][0]) == 300_000
    _, opened, high, low, closed, *_ = map(Decimal, candles[1])
    assert low <= min(opened, closed) <= max(opened, closed) <= high
    tape = rows(http.get_public_trade_history(category=category, symbol=SYMBOL))
    assert tape and tape[0]["side"] in {"Buy", "Sell"}


def test_a_perpetual_has_its_interval_in_minutes_and_its_coming_settlement(http: Any) -> None:
    one = rows(http.get_instruments_info(category="linear", symbol=SYMBOL))[0]
    ticker = rows(http.get_tickers(category="linear", symbol=SYMBOL))[0]
    assert one["fundingInterval"] == int(ticker["fundingIntervalHour"]) * 60 == 480
    now = int(http.get_server_time()["time"])
    assert now < int(ticker["nextFundingTime"]) <= now + 8 * 3_600_000
    with pytest.raises(InvalidRequestError) as error:
        http.get_funding_rate_history(category="linear", symbol=SYMBOL, startTime=1)
    assert error.value.status_code == 10001


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_an_order_rests_is_amended_and_cancelled(http: Any, category: str) -> None:
    order = limit(category, "Buy", "0.01", far_bid(http, category), timeInForce="PostOnly")
    placed = place(http, **order)
    assert placed["orderLinkId"] == order["orderLinkId"]
    found = rows(http.get_open_orders(category=category, orderId=placed["orderId"]))[0]
    assert (found["orderStatus"], found["qty"], found["avgPrice"]) == ("New", "0.01", "")
    assert ("tpslMode" in found) is (category == "linear")
    which = {"category": category, "symbol": SYMBOL, "orderLinkId": order["orderLinkId"]}
    price = str(Decimal(order["price"]) - 10)
    assert http.amend_order(**which, qty="0.02", price=price)["result"] == placed
    found = rows(http.get_open_orders(category=category, symbol=SYMBOL))[0]
    assert (found["orderId"], found["qty"], found["price"]) == (placed["orderId"], "0.02", price)
    assert http.cancel_order(**which)["result"] == placed
    assert rows(http.get_open_orders(category=category, symbol=SYMBOL)) == []
    found = rows(http.get_order_history(**which))[0]
    assert (found["orderStatus"], found["cancelType"]) == ("Cancelled", "CancelByUser")
    with pytest.raises(InvalidRequestError) as error:
        http.cancel_order(**which)
    assert error.value.status_code == (170213 if category == "spot" else 110001)


def test_a_spot_buy_is_charged_in_base_and_a_sale_in_quote(http: Any) -> None:
    _, ask = touch(http, "spot")
    order = limit("spot", "Buy", "0.01", str(ask + 20), timeInForce="IOC")
    place(http, **order)
    bought = rows(http.get_executions(category="spot", orderLinkId=order["orderLinkId"]))
    quantity = sum(Decimal(row["execQty"]) for row in bought)
    assert quantity == Decimal("0.01")
    assert {row["feeCurrency"] for row in bought} == {"BTC"}
    fee = sum(Decimal(row["execFee"]) for row in bought)
    assert fee == quantity * Decimal(bought[0]["feeRate"]) == Decimal("0.00001")
    sale = {"category": "spot", "symbol": SYMBOL, "side": "Sell", "orderType": "Market"}
    sold_id = place(http, **sale, qty="0.01")["orderId"]
    sold = rows(http.get_executions(category="spot", orderId=sold_id))
    assert {row["feeCurrency"] for row in sold} == {"USDT"}
    assert [row["isMaker"] for row in sold] == [False] * len(sold)
    found = rows(http.get_order_history(category="spot", orderId=sold_id))[0]
    assert (found["orderStatus"], found["cumExecQty"], found["orderLinkId"]) == (
        "Filled", "0.01", "",
    )  # fmt: skip


def test_a_spot_market_buy_is_by_value_unless_said_otherwise(http: Any) -> None:
    market = {"category": "spot", "symbol": SYMBOL, "side": "Buy", "orderType": "Market"}
    by_value = place(http, **market, qty="500")["orderId"]
    by_coin = place(http, **market, qty="0.002", marketUnit="baseCoin")["orderId"]
    one = rows(http.get_open_orders(category="spot", orderId=by_value))[0]
    other = rows(http.get_open_orders(category="spot", orderId=by_coin))[0]
    assert Decimal(490) < Decimal(one["cumExecValue"]) <= 500
    assert (one["qty"], one["marketUnit"]) == ("500", "quoteCoin")
    assert (other["cumExecQty"], other["marketUnit"]) == ("0.002", "baseCoin")


def test_a_position_opens_levers_and_closes(http: Any, venue: Process) -> None:
    with pytest.raises(InvalidRequestError) as error:
        http.set_leverage(category="linear", symbol=SYMBOL, buyLeverage="5", sellLeverage="5")
    assert error.value.status_code == 110043
    http.set_leverage(category="linear", symbol=SYMBOL, buyLeverage="3", sellLeverage="3")
    market = {"category": "linear", "symbol": SYMBOL, "orderType": "Market"}
    place(http, **market, side="Sell", qty="0.05", orderLinkId=link())
    row = rows(http.get_positions(category="linear", symbol=SYMBOL))[0]
    assert (row["side"], row["size"], row["leverage"], row["positionIdx"]) == (
        "Sell",
        "0.05",
        "3",
        0,
    )
    assert Decimal(row["liqPrice"] or "Infinity") > Decimal(row["markPrice"])
    wallet = rows(http.get_wallet_balance(accountType="UNIFIED"))[0]
    assert Decimal(wallet["totalInitialMargin"]) > 0
    with pytest.raises(InvalidRequestError) as error:
        http.switch_position_mode(category="linear", symbol=SYMBOL, mode=3)
    assert error.value.status_code == 110024
    place(http, **market, side="Buy", qty="0.08", reduceOnly=True)
    row = rows(http.get_positions(category="linear", symbol=SYMBOL))[0]
    assert (row["side"], row["size"]) == ("", "0")
    assert rows(http.get_positions(category="linear", settleCoin="USDT")) == []
    assert venue.truth()["positions"] == {}
    closing = rows(http.get_executions(category="linear", symbol=SYMBOL))[0]
    assert (closing["closedSize"], closing["execQty"]) == ("0.05", "0.05")


def refused_orders(http: Any) -> list[tuple[int, dict[str, Any]]]:
    spot, linear = far_bid(http, "spot"), far_bid(http, "linear")
    again = limit("linear", "Buy", "0.01", linear)
    place(http, **again)
    http.cancel_all_orders(category="linear", symbol=SYMBOL)
    spot_again = limit("spot", "Buy", "0.001", spot)
    place(http, **spot_again)
    http.cancel_all_orders(category="spot")
    return [
        (170137, limit("spot", "Buy", "0.0000001", spot)),
        (170136, limit("spot", "Buy", "0.000001", spot)),
        (170140, limit("spot", "Buy", "0.000012", spot)),
        (170134, limit("spot", "Buy", "0.01", spot + "01")),
        (170131, limit("spot", "Buy", "50", spot)),
        (170135, limit("spot", "Buy", "2000", spot)),
        (170193, limit("spot", "Buy", "0.01", "200000")),
        (170194, limit("spot", "Sell", "0.01", "10000")),
        (170121, limit("spot", "Buy", "0.01", spot, symbol="NOSUCHUSDT")),
        (170141, spot_again),
        (170115, limit("spot", "Buy", "0.01", spot, timeInForce="NOW")),
        (10001, limit("linear", "Buy", "0.0001", linear)),
        (10001, limit("linear", "Buy", "0.01", linear + "1")),
        (10001, limit("linear", "Buy", "0.01", linear, symbol="NOSUCHUSDT")),
        (10001, limit("linear", "Buy", "0.01", linear, positionIdx=1)),
        (10001, limit("linear", "Buy", "0.01", linear, orderLinkId="x" * 37)),
        (10001, limit("linear", "Buy", "0.01", linear, orderLinkId="no spaces")),
        (10001, limit("linear", "Buy", "0.01", linear, triggerPrice="1")),
        (10001, limit("inverse", "Buy", "1", linear)),
        (110003, limit("linear", "Buy", "0.01", "200000")),
        (110007, limit("linear", "Buy", "100", linear)),
        (110017, limit("linear", "Buy", "0.01", linear, reduceOnly=True)),
        (110072, again),
    ]


def test_every_refusal_has_its_code_and_nothing_is_done(http: Any, venue: Process) -> None:
    cases = refused_orders(http)
    before = len(venue.truth()["orders"])
    found = []
    for code, order in cases:
        with pytest.raises(InvalidRequestError) as error:
            place(http, **order)
        found.append((code, error.value.status_code, order))
    assert [one for one in found if one[0] != one[1]] == []
    assert len(venue.truth()["orders"]) == before


def test_a_post_only_order_that_would_take_is_accepted_and_cancelled(http: Any) -> None:
    _, ask = touch(http, "linear")
    order = limit("linear", "Buy", "0.01", str(ask + 20), timeInForce="PostOnly")
    order_id = place(http, **order)["orderId"]
    found = rows(http.get_open_orders(category="linear", orderId=order_id))[0]
    assert (found["orderStatus"], found["rejectReason"], found["cumExecQty"]) == (
        "Cancelled", "EC_PostOnlyWillTakeLiquidity", "0",
    )  # fmt: skip
    with pytest.raises(InvalidRequestError) as error:
        place(http, **order)
    assert error.value.status_code == 110072


def test_a_batch_answers_for_each_of_its_orders(http: Any) -> None:
    price = far_bid(http, "linear")
    good, bad = limit("linear", "Buy", "0.01", price), limit("linear", "Buy", "0.0001", price)
    answer = http.place_batch_order(category="linear", request=[good, bad])
    assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 10001]
    assert rows(answer)[0]["orderLinkId"] == good["orderLinkId"] and rows(answer)[0]["orderId"]
    assert rows(answer)[1]["orderId"] == ""
    one = {"symbol": SYMBOL, "orderLinkId": good["orderLinkId"]}
    answer = http.cancel_batch_order(category="linear", request=[one, one])
    assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 110001]


def test_what_pybit_reads_adds_up_to_the_truth(http: Any, venue: Process) -> None:
    truth = venue.truth()
    wallet = rows(http.get_wallet_balance(accountType="UNIFIED"))[0]
    held = {row["coin"]: Decimal(row["walletBalance"]) for row in wallet["coin"]}
    assert held == {name: Decimal(value) for name, value in truth["balances"].items()}
    executions = [
        row
        for category in ("spot", "linear")
        for row in rows(http.get_executions(category=category, limit=100))
    ]
    assert len(executions) == len(truth["fills"]) > 0
    fees: dict[str, Decimal] = {}
    for row in executions:
        coin = row["feeCurrency"]
        fees[coin] = fees.get(coin, Decimal(0)) + Decimal(row["execFee"])
    assert fees == {name: Decimal(value) for name, value in truth["fees"].items()}
    log = rows(http.get_transaction_log(limit=50))
    moved = sum(Decimal(row["change"]) for row in log if row["currency"] == "USDT")
    assert moved == held["USDT"] - Decimal(truth["deposits"]["USDT"])
    assert Decimal(next(r for r in log if r["currency"] == "USDT")["cashBalance"]) == held["USDT"]


def test_the_pages_of_the_history_join_without_a_gap(http: Any) -> None:
    whole = [row["orderId"] for row in rows(http.get_order_history(category="linear", limit=50))]
    found, cursor = [], ""
    for _ in range(len(whole)):
        answer = http.get_order_history(category="linear", limit=2, cursor=cursor or None)
        found += [row["orderId"] for row in rows(answer)]
        cursor = answer["result"]["nextPageCursor"]
        if not cursor:
            break
    assert found == whole and len(whole) > 4


def test_keys_that_do_not_fit_are_told_so(venue: Process) -> None:
    for key, secret, code in (("other", "sim-secret", 10003), ("sim-key", "other", 10004)):
        wrong = session(venue, key, secret)
        with pytest.raises(InvalidRequestError) as error:
            wrong.get_wallet_balance(accountType="UNIFIED")
        assert error.value.status_code == code
        wrong.client.close()


def test_a_key_without_the_right_to_trade_reads_and_does_not_trade() -> None:
    with as_process("bybit", "--no-trade", "--withdraw") as venue:
        http = session(venue)
        key = http.get_api_key_information()["result"]
        # As published: the rights of a key that only reads stand there all the same.
        assert key["readOnly"] == 1 and "Order" in key["permissions"]["ContractTrade"]
        assert "Withdraw" in key["permissions"]["Wallet"]
        assert rows(http.get_wallet_balance(accountType="UNIFIED"))
        with pytest.raises(InvalidRequestError) as error:
            place(http, **limit("spot", "Buy", "0.01", "60000"))
        assert error.value.status_code == 10005
        http.client.close()


def test_the_streams_tell_an_order_from_its_ack_to_the_wallet(http: Any, venue: Process) -> None:
    venue.fault("late_answer", match="order.", ms=300)  # pybit drops an ack that is faster than it
    heard, acks = Heard(), Heard()
    keys = {"api_key": "sim-key", "api_secret": "sim-secret", "private_auth_expire": 10}
    private = unified.WebSocket("private", testnet=True, **keys)
    trading = unified.WebSocketTrading(testnet=True, **keys)
    try:
        for subscribe in (
            private.order_stream, private.execution_stream, private.fast_execution_stream,
            private.position_stream, private.wallet_stream,
        ):  # fmt: skip
            subscribe(heard)
        subscribed(heard, venue)
        bid, _ = touch(http, "linear")
        order = limit("linear", "Sell", "0.01", str(bid - 20), timeInForce="IOC")
        trading.place_order(acks, error_callback=acks, **order)
        ack = acks.wait(lambda m: m["op"] == "order.create")
        assert (ack["retCode"], ack["data"]["orderLinkId"]) == (0, order["orderLinkId"])
        assert ack["header"]["X-Bapi-Limit"] == "10"
        heard.wait(lambda m: m["topic"] == "order")
        mine = [m for m in heard.messages if m["topic"] not in {"wallet", "position"}]
        topics = [m["topic"] for m in mine]
        assert topics[-2:] == ["execution", "order"] and set(topics[:-2]) == {"execution.fast"}
        done = mine[-1]["data"][0]
        assert (done["orderStatus"], done["orderId"]) == ("Filled", ack["data"]["orderId"])
        executed = mine[-2]["data"]
        assert sum(Decimal(row["execQty"]) for row in executed) == Decimal("0.01")
        assert "execFee" not in mine[0]["data"][0]
        position = heard.wait(lambda m: m["topic"] == "position")["data"][0]
        assert (position["side"], position["size"], position["category"]) == (
            "Sell",
            "0.01",
            "linear",
        )
        assert heard.wait(lambda m: m["topic"] == "wallet")["data"][0]["coin"]
        refused(acks, 110001, trading.cancel_order, **(order | {"orderLinkId": "nosuch"}))
        bad = order | {"orderLinkId": link(), "qty": "0.0001"}
        refused(acks, 10001, trading.place_order, **bad)
    finally:
        private.exit()
        trading.exit()
        venue.fault("late_answer", rate="0")
        place(
            http, category="linear", symbol=SYMBOL, side="Buy", orderType="Market", qty="0.01",
            reduceOnly=True,
        )  # fmt: skip


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_the_public_streams_keep_a_book_a_ticker_and_the_tape(http: Any, category: str) -> None:
    books, tickers, trades = Heard(), Heard(), Heard()
    public = unified.WebSocket(category, testnet=True)
    try:
        public.orderbook_stream(50, SYMBOL, books)
        public.ticker_stream(SYMBOL, tickers)
        public.trade_stream(SYMBOL, trades)
        before = books.wait(lambda m: m["data"]["b"] and m["data"]["a"])["ts"]
        book = books.wait(lambda m: m["ts"] > before)["data"]
        best = max(Decimal(price) for price, _ in book["b"])
        assert best < min(Decimal(price) for price, _ in book["a"])
        ticker = tickers.wait(lambda m: m["data"]["lastPrice"])["data"]
        assert ("fundingRate" in ticker) is (category == "linear")
        _, ask = touch(http, category)
        place(http, **limit(category, "Buy", "0.003", str(ask + 20), timeInForce="IOC"))
        trade = trades.wait(lambda m: m["data"][0]["v"] == "0.003")["data"][0]
        assert (trade["S"], trade["s"]) == ("Buy", SYMBOL)
    finally:
        public.exit()


def test_an_address_over_its_limit_gets_403(http: Any, venue: Process) -> None:
    venue.fault("ban", times=1, ms=300)
    with pytest.raises(FailedRequestError) as error:
        http.get_server_time()
    assert error.value.status_code == 403
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        try:
            http.get_server_time()
        except FailedRequestError:
            time.sleep(0.05)  # until the ban is over
        else:
            return
    pytest.fail("the ban did not end")
