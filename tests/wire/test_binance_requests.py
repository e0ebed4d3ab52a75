"""Goal: keys, signatures, time window, limits and shapes are the venue's own, whoever asks.
Method: requests written by hand with aiohttp, signed by hand; the official signature vectors; the
official sample payloads, where they are present, for the names of fields.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import time
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from servers import awaited, in_process

from hedge.model import Leg
from hedge.model.numbers import HOUR
from hedge_sim.dialects import binance_errors
from hedge_sim.dialects.binance_auth import Guard, payload_of, signed_of
from hedge_sim.dialects.binance_params import Params, from_json
from hedge_sim.dialects.server import Keys

SHARED = Path(os.environ.get("HEDGE_SHARED_DATA", "../shared/data"))
SAMPLES = SHARED / "official_docs_payloads" / "docs_payloads.jsonl"
ORDER = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
    "quantity": "0.01", "price": "67500",
}  # fmt: skip


def now_ms():
    return time.time_ns() // 1_000_000


def sign(text, secret="sim-secret"):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Hand:
    """A client that is not helped by anybody."""

    def __init__(self, server, http):
        self.server = server
        self.http = http

    async def ask(self, verb, path, params=None, *, key="sim-key", sign_with=sign, **extra):
        """Return status, body and headers of a signed request."""
        words = dict(params or {}) | {"timestamp": now_ms()} | extra
        query = urlencode(words)
        url = f"{self.server.url}{path}?{query}&signature={sign_with(query)}"
        async with self.http.request(verb, url, headers={"X-MBX-APIKEY": key}) as answer:
            return answer.status, json.loads(await answer.text()), answer.headers

    async def plain(self, path):
        async with self.http.get(self.server.url + path) as answer:
            return answer.status, await answer.json(), answer.headers


@contextlib.asynccontextmanager
async def by_hand(dialect="binance-spot", **options):
    async with in_process(dialect, **options) as server, aiohttp.ClientSession() as http:
        yield Hand(server, http)


class Line:
    """A WebSocket API connection, asked one thing at a time."""

    def __init__(self, socket):
        self.socket = socket
        self.events = []

    async def ask(self, method, params=None, *, signed=True):
        words = dict(params or {})
        if signed:
            words |= {"apiKey": "sim-key", "timestamp": now_ms()}
            words["signature"] = sign("&".join(f"{k}={words[k]}" for k in sorted(words)))
        await self.socket.send_json({"id": method, "method": method, "params": words})
        return await self.answer(method)

    async def answer(self, number):
        while True:
            message = await asyncio.wait_for(self.socket.receive_json(), 5)
            if message.get("id") == number:
                return message
            self.events.append(message)


# Keys and signatures


def test_the_official_signature_vectors():
    """From binance-spot-api-docs: rest-api.md "SIGNED endpoint security", web-socket-api.md."""
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    guard = Guard(Keys(api_key="k", api_secret=secret), Leg.SPOT)
    query = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
        "&timestamp=1499827319559"
    )
    right = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    for query_part, body in (
        (f"{query}&signature={right}", ""),
        ("", f"{query}&signature={right}"),
    ):
        found = signed_of(query_part, body)
        guard.check_signature(found.payload, found.signature)
    cut = query.index("&quantity")
    mixed = signed_of(
        query[:cut], query[cut + 1 :] + "&signature="
        "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77",
    )  # fmt: skip
    guard.check_signature(mixed.payload, mixed.signature)
    with pytest.raises(binance_errors.BinanceError) as wrong:
        guard.check_signature(query + "0", right)
    assert wrong.value.code == -1022
    socket = from_json(
        {
            "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.01000000", "price": "52000.00", "newOrderRespType": "ACK",
            "recvWindow": 100, "timestamp": 1645423376532,
            "apiKey": "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
            "signature": "cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a",
        }
    )  # fmt: skip
    guard.check_signature(payload_of(socket), socket["signature"])


@awaited
async def test_who_may_ask_what():
    async with by_hand(keys=Keys(trade=False, withdraw=True)) as hand:
        wrong = await hand.ask("GET", "/api/v3/account", sign_with=lambda text: sign(text, "no"))
        assert (wrong[0], wrong[1]["code"]) == (400, -1022)
        other = await hand.ask("GET", "/api/v3/account", key="another")
        assert (other[0], other[1]["code"]) == (401, -2015)
        none = await hand.ask("GET", "/api/v3/account", key="")
        assert none[1]["code"] == -2014
        late = await hand.ask("GET", "/api/v3/account", timestamp=now_ms() - 6_000)
        assert late[1]["code"] == -1021
        late = await hand.ask("GET", "/api/v3/account", timestamp=now_ms() - 600, recvWindow=500)
        assert late[1]["code"] == -1021
        early = await hand.ask("GET", "/api/v3/account", timestamp=now_ms() + 1_500)
        assert early[1]["code"] == -1021 and "ahead" in early[1]["msg"]
        wide = await hand.ask("GET", "/api/v3/account", recvWindow=60_001)
        assert wide[1]["code"] == -1131
        fine = await hand.ask("GET", "/api/v3/account", timestamp=now_ms() + 500)
        assert fine[0] == 200 and not fine[1]["canTrade"]
        order = await hand.ask("POST", "/api/v3/order", ORDER)
        assert (order[0], order[1]["code"]) == (401, -2015)
        rights = (await hand.ask("GET", "/sapi/v1/account/apiRestrictions"))[1]
        assert rights["enableWithdrawals"] and not rights["enableSpotAndMarginTrading"]
        assert not hand.server.house.orders(Leg.SPOT)


@awaited
async def test_an_ed25519_key_logs_on_and_needs_no_more_signatures():
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def seal(text):
        return base64.b64encode(private.sign(text.encode())).decode()

    async with by_hand(keys=Keys(public_key=pem.decode())) as hand:
        quoted = await hand.ask(
            "GET", "/api/v3/account",
            sign_with=lambda text: urlencode({"": seal(text)})[1:],
        )  # fmt: skip
        assert quoted[0] == 200
        async with hand.http.ws_connect(hand.server.ws_url + "/ws-api/v3") as socket:
            line = Line(socket)
            early = await line.ask("userDataStream.subscribe", signed=False)
            assert (early["status"], early["error"]["code"]) == (400, -1193)
            order = ORDER | {"timestamp": now_ms()}
            early = await line.ask("order.place", order, signed=False)
            assert (early["status"], early["error"]["code"]) == (400, -1102)
            words = {"apiKey": "sim-key", "timestamp": now_ms()}
            words["signature"] = seal(f"apiKey=sim-key&timestamp={words['timestamp']}")
            logon = await line.ask("session.logon", words, signed=False)
            assert logon["status"] == 200 and logon["result"]["apiKey"] == "sim-key"
            made = await line.ask("userDataStream.subscribe", signed=False)
            assert made["result"] == {"subscriptionId": 0}
            placed = await line.ask("order.place", order, signed=False)
            assert placed["result"]["status"] == "NEW"
            unstamped = await line.ask("order.place", ORDER, signed=False)
            assert unstamped["error"]["code"] == -1102
            async with hand.http.ws_connect(hand.server.ws_url + "/ws-api/v3") as second:
                alone = await Line(second).ask("order.place", order, signed=False)
                assert alone["error"]["code"] == -1102, "a log-on is of its connection alone"
            half = await line.ask(
                "userDataStream.subscribe.signature", {"timestamp": now_ms()}, signed=False
            )
            assert half["error"]["code"] == -1102
            await line.ask("session.logout", signed=False)
            refused = await line.ask("order.place", order, signed=False)
            assert refused["error"]["code"] == -1102
            assert line.events[0]["event"]["x"] == "NEW"


@pytest.mark.parametrize(
    ("dialect", "path", "nameless"),
    [("binance-spot", "/ws-api/v3", -1102), ("binance-usdm", "/ws-fapi/v1", -1103)],
)
@awaited
async def test_an_hmac_key_does_not_log_on(dialect, path, nameless):
    async with by_hand(dialect) as hand, hand.http.ws_connect(hand.server.ws_url + path) as socket:
        line = Line(socket)
        refused = await line.ask("session.logon")
        assert (refused["status"], refused["error"]["code"]) == (400, -4056)
        order = ORDER | {"timestamp": now_ms()}
        unsigned = await line.ask("order.place", order, signed=False)
        assert unsigned["error"]["code"] == nameless
        assert (await line.ask("order.place", ORDER))["status"] == 200


# Limits


@awaited
async def test_weights_and_order_counts_are_told_and_kept():
    async with by_hand() as hand:
        first = (await hand.plain("/api/v3/exchangeInfo"))[2]
        assert first["X-MBX-USED-WEIGHT-1M"] == "20"
        made = await hand.ask("POST", "/api/v3/order", ORDER)
        assert made[2]["X-MBX-ORDER-COUNT-10S"] == "1"
        assert made[2]["X-MBX-USED-WEIGHT-1M"] == "20"  # a successful order weighs nothing
        async with hand.http.ws_connect(hand.server.ws_url + "/ws-api/v3") as socket:
            limits = (await Line(socket).ask("ping", signed=False))["rateLimits"]
        assert {row["rateLimitType"] for row in limits} == {"REQUEST_WEIGHT", "ORDERS"}
    async with by_hand("binance-usdm") as hand:
        hand.server.dialect._gate.meter.spend(2_399, 0, now_ms())
        assert (await hand.plain("/fapi/v1/time"))[0] == 200
        status, body, headers = await hand.plain("/fapi/v1/time")
        assert (status, body["code"]) == (429, -1003) and 1 <= int(headers["Retry-After"]) <= 60
        for _ in range(10):
            status, body, headers = await hand.plain("/fapi/v1/time")
        assert (status, headers["Retry-After"]) == (418, "120") and "banned" in body["msg"]
    async with by_hand("binance-usdm", limit_factor=0) as hand:
        hand.server.dialect._gate.meter.spend(100_000, 100_000, now_ms())
        assert (await hand.plain("/fapi/v1/time"))[0] == 200


# Shapes


def samples():
    if not SAMPLES.exists():
        pytest.skip(f"no official samples in {SAMPLES}")
    rows = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    return [row for row in rows if row["venue"] == "binance_spot"]


def names_of(path, section, number=0):
    found = [r["payload"] for r in samples() if (r["path"], r["section"]) == (path, section)]
    sample = found[number]
    return set(sample[0] if isinstance(sample, list) else sample)


@awaited
async def test_spot_answers_have_the_documented_fields():
    rest = "rest-api.md"
    async with by_hand(sim={"fees": {"fee_mode": "quote"}}) as hand:
        book = (await hand.plain("/api/v3/ticker/bookTicker?symbol=BTCUSDT"))[1]
        assert set(book) == names_of(rest, "Symbol order book ticker")
        ticker = (await hand.plain("/api/v3/ticker/24hr?symbol=BTCUSDT"))[1]
        assert set(ticker) == names_of(rest, "24hr ticker price change statistics")
        taking = ORDER | {"timeInForce": "IOC", "price": "69000"}
        made = (await hand.ask("POST", "/api/v3/order", taking))[1]
        assert set(made) == names_of(rest, "New order (TRADE)", 2)
        ack = (await hand.ask("POST", "/api/v3/order", taking, newOrderRespType="ACK"))[1]
        assert set(ack) == names_of(rest, "New order (TRADE)", 0)
        name = made["clientOrderId"]
        status = await hand.ask("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=name)
        assert set(status[1]) == names_of(rest, "Query order (USER_DATA)")
        resting = (await hand.ask("POST", "/api/v3/order", ORDER))[1]
        gone = await hand.ask(
            "DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=resting["orderId"]
        )  # fmt: skip
        assert set(gone[1]) == names_of(rest, "Cancel order (TRADE)")
        account = (await hand.ask("GET", "/api/v3/account"))[1]
        assert set(account) == names_of(rest, "Account information (USER_DATA)")
        trades = (await hand.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT"))[1]
        assert set(trades[0]) == names_of(rest, "Account trade list (USER_DATA)")
        assert trades[0]["commissionAsset"] == "USDT"
        fees = (await hand.ask("GET", "/api/v3/account/commission", symbol="BTCUSDT"))[1]
        assert set(fees) == names_of(rest, "Query Commission Rates (USER_DATA)")
        assert (await hand.ask("POST", "/api/v3/userDataStream"))[0] == 410  # removed 2026-02
        info = (await hand.plain("/api/v3/exchangeInfo?symbol=BTCUSDT"))[1]["symbols"][0]
        documented = {
            r["section"]: set(r["payload"]) for r in samples() if r["path"] == "filters.md"
        }
        for one in info["filters"]:
            assert set(one) == documented[one["filterType"]]


@awaited
async def test_user_events_have_the_documented_fields():
    async with by_hand() as hand, hand.http.ws_connect(hand.server.ws_url + "/ws-api/v3") as socket:
        line = Line(socket)
        await line.ask("userDataStream.subscribe.signature")
        await line.ask("order.place", ORDER | {"price": "69000", "timeInForce": "IOC"})
        hand.server.house.deposit("USDT", 5)
        await line.ask("order.place", ORDER | {"newClientOrderId": "C1"})
        await line.ask("order.cancel", {"symbol": "BTCUSDT", "origClientOrderId": "C1"})
        await line.ask("ping", signed=False)
        events = [message["event"] for message in line.events]
        by_kind = {(e["e"], e.get("x")): set(e) for e in events}
        documented = names_of_event("Order Update") - {"v"}  # only with prevented matches
        assert by_kind["executionReport", "NEW"] == documented
        assert by_kind["executionReport", "CANCELED"] == documented
        assert by_kind["outboundAccountPosition", None] == names_of_event("Account Update")
        assert by_kind["balanceUpdate", None] == names_of_event("Balance Update")


def names_of_event(section):
    return set(next(r["payload"]["event"] for r in samples() if r["section"] == section))


@awaited
async def test_streams_have_the_documented_fields():
    kinds = {
        "btcusdt@aggTrade": "Aggregate Trade Streams",
        "btcusdt@trade": "Trade Streams",
        "btcusdt@bookTicker": "Individual Symbol Book Ticker Streams",
        "btcusdt@depth5": "Partial Book Depth Streams",
        "btcusdt@depth": "Diff. Depth Stream",
        "btcusdt@ticker": "Individual Symbol Ticker Streams",
        "btcusdt@miniTicker": "Individual Symbol Mini Ticker Stream",
        "btcusdt@kline_1m": "Kline/Candlestick Streams for UTC",
    }
    async with by_hand() as hand, hand.http.ws_connect(hand.server.ws_url + "/stream") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [*kinds, "nosuch@trade"], "id": 1})
        assert (await socket.receive_json()) == {"result": None, "id": 1}
        seen = {}
        while set(seen) != set(kinds):
            message = await asyncio.wait_for(socket.receive_json(), 5)
            seen[message["stream"]] = set(message["data"])
        for stream, section in kinds.items():
            assert seen[stream] == names_of("web-socket-streams.md", section), stream
        await socket.send_json({"method": "UNSUBSCRIBE", "params": list(kinds), "id": 2})
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        while (message := await socket.receive_json()).get("id") != 3:
            pass
        assert message["result"] == ["nosuch@trade"]


@awaited
async def test_public_and_market_streams_of_usdm_do_not_mix():
    async with by_hand("binance-usdm") as hand:
        for path in ("/ws/btcusdt@bookTicker", "/nosuch"):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await hand.http.ws_connect(hand.server.ws_url + path)  # the root is retired
        both = "btcusdt@bookTicker/btcusdt@markPrice@1s"
        for category, mine in (("public", "bookTicker"), ("market", "markPriceUpdate")):
            url = f"{hand.server.ws_url}/{category}/stream?streams={both}"
            async with hand.http.ws_connect(url) as socket:
                kinds = {(await socket.receive_json())["data"]["e"] for _ in range(2)}
            assert kinds == {mine}


@awaited
async def test_margin_call_deleveraging_and_liquidation_are_told():
    async with by_hand("binance-usdm", sim={"balances": {"USDT": 1_500}, "leverage": 50}) as hand:
        house = hand.server.house
        key = (await hand.ask("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
        wanted = "ORDER_TRADE_UPDATE/MARGIN_CALL"
        url = f"{hand.server.ws_url}/private/ws?listenKey={key}&events={wanted}"
        async with hand.http.ws_connect(url) as socket:

            async def heard(kind):
                while True:
                    event = await asyncio.wait_for(socket.receive_json(), 5)
                    assert event["e"] in wanted
                    if kind in (event["e"], event.get("o", {}).get("x")):
                        return event

            short = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "1"}
            await hand.ask("POST", "/fapi/v1/order", short)
            await heard("TRADE")
            house.deposit("USDT", -1_060)
            call = await heard("MARGIN_CALL")
            assert call["p"][0]["pa"] == "-1.000"
            house.deleverage("BTC/USDT:USDT", Decimal("0.4"))
            forced = (await heard("CALCULATED"))["o"]
            assert forced["c"].startswith("adl_autoclose") and forced["l"] == "0.400"
            house.liquidate("BTC/USDT:USDT")
            forced = (await heard("CALCULATED"))["o"]
            assert forced["c"].startswith("autoclose-") and forced["l"] == "0.600"
            assert Decimal(forced["n"]) > 0
        assert not house.position("BTC/USDT:USDT").quantity


@awaited
async def test_recorded_intervals_other_than_eight_hours_are_in_funding_info():
    async with by_hand("binance-usdm") as hand:
        assert (await hand.plain("/fapi/v1/fundingInfo"))[1] == []
        premium = (await hand.plain("/fapi/v1/premiumIndex?symbol=BTCUSDT"))[1]
        wall = hand.server.house.wall() // 1_000_000
        assert 0 < premium["nextFundingTime"] - wall <= 8 * HOUR // 1_000_000


@awaited
async def test_modify_leaves_what_is_not_filled():
    async with by_hand("binance-usdm") as hand:
        resting = {
            "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTX",
            "quantity": "0.02", "price": "70000", "newClientOrderId": "M1",
        }  # fmt: skip
        await hand.ask("POST", "/fapi/v1/order", resting)
        change = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", "price": "70100"}
        changed = await hand.ask("PUT", "/fapi/v1/order", change | {"origClientOrderId": "M1"})
        assert changed[0] == 200 and changed[1]["clientOrderId"] == "M1"
        (view,) = hand.server.house.open_orders(Leg.FUTURES)
        assert (view.order.quantity, view.order.limit_price) == (
            Params(q="0.01").number("q"), Params(p="70100").number("p"),
        )  # fmt: skip
