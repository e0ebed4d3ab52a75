"""The Bybit dialect frame by frame: who may ask, in which words it says no, what it pushes.

Goal: what the venue documents and no SDK shows (docs/v5/guide, ws/connect, websocket/trade).
Method: a bare client on the server's own loop.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from bybit_raw import SYMBOL, WAIT_S, Raw, auth_args, now_ms, raw

from hedge.model import Leg
from hedge.model.numbers import HOUR, SECOND
from hedge_sim.dialects.house import OrderFilled

SWAP = "BTC/USDT:USDT"


def run(drive: Callable[[Raw], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        async with raw(**options) as client:
            await drive(client)

    asyncio.run(main())


def test_a_request_is_signed_over_its_raw_bytes_and_within_its_window() -> None:
    async def drive(client: Raw) -> None:
        order = client.order("spot", "Buy", "0.01", "0.98")
        assert (await client.post("/v5/order/create", order, ago_ms=4_000))["retCode"] == 0
        late = await client.post("/v5/order/create", order, ago_ms=5_100)
        assert late["retCode"] == 10002 and "recv_window[5000]" in late["retMsg"]
        short = await client.post("/v5/order/create", order, ago_ms=1_000, window="500")
        assert short["retCode"] == 10002
        early = await client.post("/v5/order/create", order, ago_ms=-1_500)
        assert early["retCode"] == 10002
        body = json.dumps(order)
        headers = client.headers(body)
        async with client.http.post(
            f"{client.server.url}/v5/order/create", data=body + " ", headers=headers
        ) as answer:
            found = await answer.json()
        assert found["retCode"] == 10004 and "origin_string" in found["retMsg"]
        async with client.http.get(f"{client.server.url}/v5/account/info") as answer:
            assert answer.status == 401
        async with client.http.get(f"{client.server.url}/v5/no/such/path") as answer:
            assert answer.status == 404
        assert len(client.house.orders(Leg.SPOT)) == 1

    run(drive)


def test_the_limits_of_a_second_are_told_and_kept() -> None:
    async def drive(client: Raw) -> None:
        answers = [
            await client.create(**client.order("linear", "Buy", "0.001", "0.98")) for _ in range(11)
        ]
        left = [int(answer["headers"]["X-Bapi-Limit-Status"]) for answer in answers]
        assert left == [*range(9, -1, -1), 0]
        assert {answer["headers"]["X-Bapi-Limit"] for answer in answers} == {"10"}
        assert [answer["retCode"] for answer in answers] == [0] * 10 + [10006]
        free_at = int(answers[-1]["headers"]["X-Bapi-Limit-Reset-Timestamp"])
        assert 0 < free_at - now_ms() <= 1_000
        spot = await client.create(**client.order("spot", "Buy", "0.01", "0.98"))
        assert (spot["retCode"], spot["headers"]["X-Bapi-Limit"]) == (0, "20")
        await asyncio.sleep((free_at - now_ms()) / 1_000)  # until the venue says it is free
        again = await client.create(**client.order("linear", "Buy", "0.001", "0.98"))
        assert again["retCode"] == 0

    run(drive)


@pytest.mark.parametrize("factor", [100, 0])
def test_the_limits_can_be_raised_and_lifted(factor: int) -> None:
    async def drive(client: Raw) -> None:
        trade = await client.trade()
        for _ in range(50):
            answer = await trade.order(
                "order.create", client.order("linear", "Buy", "0.001", "0.9")
            )
            assert (answer["retCode"], answer["header"]["X-Bapi-Limit"]) != (10006, "10")

    run(drive, limit_factor=factor)


def test_a_private_socket_signs_in_and_does_not_mix_kinds_of_topics() -> None:
    async def drive(client: Raw) -> None:
        channel = await client.channel("/v5/private")
        refused = await channel.ask("subscribe", "order")
        assert (refused["success"], refused["ret_msg"]) == (False, "Request not authorized")
        for args in (auth_args(secret="other"), auth_args(expires=now_ms() - 1), ["sim-key"]):
            assert (await channel.ask("auth", *args))["success"] is False
        assert (await channel.ask("auth", *auth_args()))["success"] is True
        for topics in (("order", "order.linear"), ("execution.spot", "position"), ("nosuch",), ()):
            assert (await channel.ask("subscribe", *topics))["success"] is False, topics
        assert (await channel.ask("subscribe", "order", "wallet"))["success"] is True
        assert (await channel.ask("subscribe", "execution.linear"))["success"] is True
        assert (await channel.ask("subscribe", "order"))["success"] is False
        pong = await channel.ask("ping")
        assert set(pong) == {"req_id", "op", "args", "conn_id"} and pong["op"] == "pong"
        await channel.send({"op": "dance"})
        assert (await channel.frame())["ret_msg"] == "error:invalid op"
        await channel.socket.send_str("no json")
        assert (await channel.frame())["success"] is False

    run(drive)


def test_a_categorised_topic_hears_its_category_only() -> None:
    async def drive(client: Raw) -> None:
        linear = await client.private("order.linear", "execution.fast.linear")
        everything = await client.private("order")
        await client.create(**client.order("spot", "Buy", "0.01", "0.98"))
        spot = await everything.topic("order")
        assert spot["data"][0]["category"] == "spot"
        await client.create(**client.order("linear", "Buy", "0.01", "1.01", timeInForce="IOC"))
        assert (await linear.topic("order"))["data"][0]["category"] == "linear"
        topics = [frame["topic"] for frame in linear.frames if "topic" in frame]
        assert topics[-1] == "order" and set(topics[:-1]) == {"execution.fast"}
        assert (await linear.ask("unsubscribe", "order.linear"))["success"] is True
        await client.create(**client.order("linear", "Buy", "0.01", "0.98"))
        await everything.topic("order")
        assert (await linear.ask("ping"))["op"] == "pong"
        assert [f for f in linear.frames if f.get("topic") == "order"][1:] == []

    run(drive)


def test_the_trade_socket_says_no_in_its_own_codes() -> None:
    async def drive(client: Raw) -> None:
        trade = await client.channel("/v5/trade")
        order = client.order("linear", "Buy", "0.001", "0.98")
        assert (await trade.order("order.create", order))["retCode"] == 10003
        assert (await trade.ask("auth", *auth_args(secret="other")))["retCode"] == 10004
        await trade.authed()
        assert (await trade.ask("auth", *auth_args()))["retCode"] == 20001
        done = await trade.order("order.create", order, reqId="mine")
        assert (done["retCode"], done["data"]["orderLinkId"]) == (0, order["orderLinkId"])
        limits = {name: done["header"][name] for name in ("X-Bapi-Limit", "X-Bapi-Limit-Status")}
        assert limits == {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "9"}
        again = client.order("linear", "Buy", "0.001", "0.98")
        assert (await trade.order("order.create", again, reqId="mine"))["retCode"] == 20006
        assert (await trade.order("order.create", again, reqId="x" * 37))["retCode"] == 10001
        stale = {"X-BAPI-TIMESTAMP": str(now_ms() - 6_000)}
        assert (await trade.order("order.create", again, header=stale))["retCode"] == 10002
        assert (await trade.order("order.create", again, header={}))["retCode"] == 10001
        assert (await trade.order("order.dance", again))["retCode"] == 10404
        inverse = again | {"category": "inverse"}
        assert (await trade.order("order.create", inverse))["retCode"] == 10404
        assert (await trade.order("order.create", again, args=[again, again]))["retCode"] == 10001
        assert (await trade.order("order.create", order))["retCode"] == 110072
        assert (await trade.ask("ping"))["op"] == "pong"
        assert await client.state(again) is None

    run(drive)


def test_the_trade_socket_takes_batches_and_amendments() -> None:
    async def drive(client: Raw) -> None:
        trade = await client.trade()
        two = [client.order("linear", "Buy", "0.002", "0.98") for _ in range(2)]
        answer = await trade.order("order.create-batch", {"category": "linear", "request": two})
        assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 0]
        assert answer["header"]["X-Bapi-Limit-Status"] == "8"
        which = [{"symbol": SYMBOL, "orderLinkId": one["orderLinkId"]} for one in two]
        changes = [one | {"qty": "0.003"} for one in which]
        answer = await trade.order("order.amend-batch", {"category": "linear", "request": changes})
        assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 0]
        assert [(await client.state(one))["qty"] for one in two] == ["0.003"] * 2
        answer = await trade.order("order.cancel-batch", {"category": "linear", "request": which})
        assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 0]
        assert [(await client.state(one))["orderStatus"] for one in two] == ["Cancelled"] * 2

    run(drive)


def test_an_amendment_that_is_refused_leaves_the_order_as_it_was() -> None:
    async def drive(client: Raw) -> None:
        order = client.order("spot", "Buy", "0.01", "0.98", timeInForce="PostOnly")
        await client.create(**order)
        which = {k: order[k] for k in ("category", "symbol", "orderLinkId")}
        amend = "/v5/order/amend"
        assert (await client.post(amend, which | {"qty": "0.01"}))["retCode"] == 10001
        assert (await client.post(amend, which | {"qty": "500"}))["retCode"] == 170131
        assert (await client.post(amend, which | {"price": "1"}))["retCode"] == 170140
        found = await client.state(order)
        assert (found["orderStatus"], found["qty"], found["price"]) == (
            "New", "0.01", order["price"],
        )  # fmt: skip
        taking = client.order("spot", "Buy", "0.01", "1.01")["price"]
        assert (await client.post(amend, which | {"price": taking}))["retCode"] == 0
        found = await client.state(order)
        assert (found["orderStatus"], found["rejectReason"]) == (
            "Cancelled", "EC_PostOnlyWillTakeLiquidity",
        )  # fmt: skip

    run(drive)


def test_fill_or_kill_takes_all_or_nothing() -> None:
    async def drive(client: Raw) -> None:
        whole = client.order("linear", "Buy", "0.01", "1.01", timeInForce="FOK")
        await client.create(**whole)
        assert (await client.state(whole))["orderStatus"] == "Filled"
        much = client.order("linear", "Sell", "60", "0.999", timeInForce="FOK", reduceOnly=False)
        await client.create(**much)
        found = await client.state(much)
        assert (found["orderStatus"], found["cumExecQty"]) == ("Cancelled", "0")

    run(drive, sim={"balances": {"USDT": "100000000"}})


def test_an_ioc_remainder_has_a_word_of_its_own_on_spot() -> None:
    async def drive(client: Raw) -> None:
        for category, word in (("spot", "PartiallyFilledCanceled"), ("linear", "Cancelled")):
            heard = await client.private("order", "execution")
            order = client.order(category, "Buy", "100", "1.0001", timeInForce="IOC")
            await client.create(**order)
            frame = await heard.topic("order")
            row = frame["data"][0]
            assert (row["orderStatus"], row["rejectReason"], row["leavesQty"]) == (
                word, "EC_CancelForNoFullFill", "0",
            )  # fmt: skip
            fills = [f for f in heard.frames if f.get("topic") == "execution"]
            assert len(fills) == 1
            filled = sum(Decimal(one["execQty"]) for one in fills[0]["data"])
            assert 0 < filled == Decimal(row["cumExecQty"]) < 100

    run(drive, sim={"balances": {"USDT": "100000000"}})


def test_a_makers_fast_execution_does_not_name_our_id() -> None:
    async def drive(client: Raw) -> None:
        heard = await client.private("execution.fast", "execution")
        filled = asyncio.Event()
        client.house.listen(lambda e: filled.set() if isinstance(e, OrderFilled) else None)
        for side, factor in (("Buy", "0.999"), ("Sell", "1.001")):
            order = client.order("spot", side, "0.01", factor, timeInForce="PostOnly")
            assert (await client.create(**order))["retCode"] == 0
        async with asyncio.timeout(WAIT_S):
            while not filled.is_set():
                client.house.skip(HOUR)
                client.house.bring_up()
                await asyncio.sleep(0.02)  # a turn of the venue's own pulse
        fast = (await heard.topic("execution.fast"))["data"][0]
        assert (fast["isMaker"], fast["orderLinkId"]) == (True, "")
        full = (await heard.topic("execution"))["data"][0]
        assert full["orderId"] == fast["orderId"] and full["execId"] == fast["execId"]
        assert full["orderLinkId"].startswith("R") and full["isMaker"] is True

    run(drive)


def test_a_forced_trade_shows_what_it_is_and_names_no_order_of_ours() -> None:
    async def drive(client: Raw) -> None:
        heard = await client.private("execution", "execution.fast", "position")
        market = {"category": "linear", "symbol": SYMBOL, "side": "Sell", "orderType": "Market"}
        await client.create(**market, qty="0.05")
        await heard.topic("position")
        assert client.house.deleverage(SWAP, Decimal("0.02"))
        row = (await heard.topic("execution"))["data"][0]
        assert (row["execType"], row["orderLinkId"], row["execQty"], row["side"]) == (
            "AdlTrade", "", "0.02", "Buy",
        )  # fmt: skip
        assert row["createType"] == "CreateByAdl_PassThrough"
        assert (await heard.topic("position"))["data"][0]["size"] == "0.03"
        assert client.house.liquidate(SWAP)
        assert (await heard.topic("execution"))["data"][0]["execType"] == "BustTrade"
        assert (await heard.topic("position"))["data"][0]["size"] == "0"
        fast = [f for f in heard.frames if f.get("topic") == "execution.fast"]
        assert sum(Decimal(r["execQty"]) for f in fast for r in f["data"]) == Decimal("0.05")
        log = await client.rows("/v5/account/transaction-log", category="linear")
        assert {"TRADE", "ADL", "LIQUIDATION"} == {line["type"] for line in log}

    run(drive)


def test_public_topics_begin_whole_and_go_on_with_changes() -> None:
    async def drive(client: Raw) -> None:
        linear = await client.channel("/v5/public/linear")
        assert (await linear.ask("subscribe", f"tickers.{SYMBOL}", f"orderbook.1.{SYMBOL}"))[
            "success"
        ]
        ticker, book = (
            await linear.topic(f"tickers.{SYMBOL}"),
            await linear.topic("orderbook.1.BTCUSDT"),
        )
        assert (ticker["type"], book["type"]) == ("snapshot", "snapshot")
        change = await linear.frame(lambda f: f.get("type") == "delta" and "tickers" in f["topic"])
        assert set(change["data"]) < set(ticker["data"]) and "fundingRate" not in change["data"]
        delta = await linear.frame(lambda f: f.get("type") == "delta" and "orderbook" in f["topic"])
        held = {side: dict(book["data"][side]) for side in "ba"}
        for side in "ba":
            for price, size in delta["data"][side]:
                assert held[side].pop(price, None) is not None if size == "0" else True
        spot = await client.channel("/v5/public/spot")
        for topics in (("tickers.NOSUCH",), ("candles.BTCUSDT",), ["tickers.BTCUSDT"] * 11):
            assert (await spot.ask("subscribe", *topics))["success"] is False
        assert (await spot.ask("subscribe", f"tickers.{SYMBOL}"))["ret_msg"] == "subscribe"
        assert (await spot.topic(f"tickers.{SYMBOL}"))["type"] == "snapshot"
        assert (await spot.frame())["type"] == "snapshot"
        assert (await spot.ask("ping"))["ret_msg"] == "pong"

    run(drive)


def test_after_a_restart_the_account_is_there_and_closed_orders_are_history(tmp_path: Path) -> None:
    kept: dict[str, Any] = {}

    async def before(client: Raw) -> None:
        kept["open"] = client.order("spot", "Buy", "0.01", "0.98")
        kept["done"] = client.order("linear", "Sell", "0.02", "0.99", timeInForce="IOC")
        for name in ("open", "done"):
            kept[name + "_id"] = (await client.create(**kept[name]))["result"]["orderId"]
        which = {k: kept["open"][k] for k in ("category", "symbol", "orderLinkId")}
        await client.post("/v5/order/amend", which | {"qty": "0.02"})
        assert await client.state(kept["done"])

    async def after(client: Raw) -> None:
        resting, done = kept["open"], kept["done"]
        found = await client.state(resting)
        assert (found["orderId"], found["qty"], found["orderStatus"]) == (
            kept["open_id"], "0.02", "New",
        )  # fmt: skip
        assert await client.state(done) is None
        history = await client.rows("/v5/order/history", category="linear")
        assert [(row["orderId"], row["orderLinkId"], row["orderStatus"]) for row in history] == [
            (kept["done_id"], done["orderLinkId"], "Filled")
        ]
        assert (await client.create(**done))["retCode"] == 110072
        position = await client.rows("/v5/position/list", category="linear", symbol=SYMBOL)
        assert (position[0]["side"], position[0]["size"]) == ("Sell", "0.02")
        fills = await client.rows("/v5/execution/list", category="linear")
        assert {row["orderId"] for row in fills} == {kept["done_id"]}
        which = {"category": "spot", "symbol": SYMBOL, "orderId": kept["open_id"]}
        assert (await client.post("/v5/order/cancel", which))["retCode"] == 0

    run(before, state_dir=tmp_path)
    run(after, state_dir=tmp_path)


def test_account_settings_are_read_back() -> None:
    async def drive(client: Raw) -> None:
        info = (await client.get("/v5/account/info"))["result"]
        assert (info["unifiedMarginStatus"], info["marginMode"]) == (5, "REGULAR_MARGIN")
        linear = {"category": "linear", "symbol": SYMBOL}
        lever = linear | {"buyLeverage": "101", "sellLeverage": "101"}
        assert (await client.post("/v5/position/set-leverage", lever))["retCode"] == 110013
        isolated = linear | {"tradeMode": 1, "buyLeverage": "5", "sellLeverage": "5"}
        assert (await client.post("/v5/position/switch-isolated", isolated))["retCode"] == 100028
        mode = {"setMarginMode": "ISOLATED_MARGIN"}
        assert (await client.post("/v5/account/set-margin-mode", mode))["retCode"] == 3400045
        await client.create(**client.order("linear", "Buy", "0.001", "0.98"))
        hedge = {"category": "linear", "coin": "USDT", "mode": 3}
        assert (await client.post("/v5/position/switch-mode", hedge))["retCode"] == 110028
        done = await client.post(
            "/v5/order/cancel-all", {"category": "linear", "settleCoin": "USDT"}
        )
        assert len(done["result"]["list"]) == 1
        assert (await client.post("/v5/position/switch-mode", hedge))["retCode"] == 0
        rows = await client.rows("/v5/position/list", **linear)
        assert [row["positionIdx"] for row in rows] == [1, 2]
        assert (await client.create(**client.order("linear", "Buy", "0.001", "0.98")))[
            "retMsg"
        ] == ("position idx not match position mode")
        for path, params in (
            ("/v5/account/wallet-balance", {"accountType": "SPOT"}),
            ("/v5/position/list", {"category": "linear"}),
            ("/v5/order/realtime", {"category": "linear"}),
            ("/v5/order/realtime", {"category": "shoes"}),
            ("/v5/execution/list", {"category": "spot", "startTime": 1, "endTime": 10**12}),
            ("/v5/order/history", {"category": "spot", "cursor": "nonsense"}),
        ):
            assert (await client.get(path, **params))["retCode"] == 10001, path

    run(drive)


def test_a_unit_of_the_wire_may_be_many_coins() -> None:
    async def drive(client: Raw) -> None:
        linear = {"category": "linear", "symbol": "1000BTCUSDT"}
        row = (await client.rows("/v5/market/instruments-info", **linear))[0]
        assert (row["baseCoin"], row["lotSizeFilter"]["qtyStep"]) == ("1000BTC", "0.001")
        ticker = (await client.rows("/v5/market/tickers", **linear))[0]
        price = client.house.last_price(SWAP)
        assert abs(Decimal(ticker["lastPrice"]) - 1_000 * price) < price
        order = linear | {"side": "Sell", "orderType": "Market", "qty": "0.002"}
        assert (await client.create(**order))["retCode"] == 0
        assert client.house.position(SWAP).quantity == -2
        position = (await client.rows("/v5/position/list", **linear))[0]
        assert (position["side"], position["size"]) == ("Sell", "0.002")
        entry = client.house.position(SWAP).entry_notional / -2
        assert Decimal(position["avgPrice"]) == (entry * 1_000).quantize(Decimal("1e-8"))
        fills = await client.rows("/v5/execution/list", category="linear")
        assert sum(Decimal(fill["execQty"]) for fill in fills) == Decimal("0.002")
        value = sum(Decimal(fill["execValue"]) for fill in fills)
        assert value == abs(client.house.position(SWAP).entry_notional)

    futures = {"multiplier": "1000", "depth_quote": "1000000000"}
    run(drive, sim={"balances": {"USDT": "100000000"}, "futures": futures})


@pytest.mark.parametrize(
    ("given", "seconds"), [("", 600), ("45s", 45), ("1m", 60), ("5", 30), ("9999", 600), ("x", 600)]
)
def test_a_private_connection_may_be_idle_for_as_long_as_it_asked(given: str, seconds: int) -> None:
    async def drive(client: Raw) -> None:
        heard = await client.channel(f"/v5/private?max_active_time={given}")
        await heard.ask("ping")
        session = next(iter(client.server.sockets)).session
        assert session.line.active_s == seconds
        session.line.alive_at -= (seconds + 1) * SECOND
        with pytest.raises(ConnectionError):
            await heard.frame()

    run(drive)
