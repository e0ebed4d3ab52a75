"""Goal: whatever is asked, a Binance dialect answers like the venue, and never falls over.
Method: seeded nonsense in signed requests to every path and every method; bytes that are no
message; each answer must be one the venue documents, and the server must live on.
"""

import asyncio
import json
import random
import string

import aiohttp
import pytest
from servers import awaited
from test_binance_requests import Line, by_hand

ROUNDS = 6
STATUSES = {200, 400, 401, 410, 418, 429}
VALUES = [
    "", "0", "-1", "1", "0.01", "1e5", "NaN", "Infinity", "9" * 19, "9" * 30, "1.123456789012",
    "BTCUSDT", "btcusdt", "PAD0001USDT", "BUY", "SELL", "LIMIT", "MARKET", "GTC", "IOC", "GTX",
    "true", "false", "1m", "99w", "[]", '["BTCUSDT"]', "{", "CROSSED", "é", "a b", "%", "x" * 300,
]  # fmt: skip
NAMES = [
    "symbol", "symbols", "side", "type", "timeInForce", "quantity", "price", "quoteOrderQty",
    "newClientOrderId", "origClientOrderId", "orderId", "newOrderRespType", "reduceOnly",
    "positionSide", "limit", "startTime", "endTime", "fromId", "interval", "leverage",
    "marginType", "dualSidePosition", "countdownTime", "incomeType", "page", "subscriptionId",
    "recvWindow", "omitZeroBalances", "listenKey",
]  # fmt: skip
LIKELY = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01",
    "price": "67500", "interval": "1m",
}  # fmt: skip


def nonsense(chance):
    found = {name: value for name, value in LIKELY.items() if chance.random() < 0.8}
    for _ in range(chance.randint(0, 4)):
        found[chance.choice(NAMES)] = chance.choice(VALUES)
    return found


@pytest.mark.parametrize("dialect", ["binance-spot", "binance-usdm"])
def test_nonsense_is_answered(dialect):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")

    @awaited
    async def scenario():
        chance = random.Random(seed)
        async with by_hand(dialect, limit_factor=0, padding=2) as hand:
            paths = [
                (verb, route.path)
                for route in hand.server.dialect.routes()
                for verb in route.methods - {"HEAD"}
            ]
            for verb, path in paths * ROUNDS:
                given = nonsense(chance)
                status, body, _ = await hand.ask(verb, path, given)
                assert status in STATUSES, (verb, path, given, body)
                assert status == 200 or set(body) == {"code", "msg"}, (verb, path, given, body)
            api = "/ws-api/v3" if dialect == "binance-spot" else "/ws-fapi/v1"
            async with hand.http.ws_connect(hand.server.ws_url + api) as socket:
                line = Line(socket)
                for method in list(hand.server.dialect._methods) * ROUNDS:
                    given = nonsense(chance)
                    answer = await line.ask(method, given, signed=chance.random() < 0.9)
                    assert answer["status"] in STATUSES, (method, given, answer)
            hand.server.house.check()

    scenario()


@awaited
async def test_bytes_that_are_no_message():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with by_hand() as hand:
        async with hand.http.ws_connect(hand.server.ws_url + "/ws-api/v3") as socket:
            for text in (
                "",
                "{",
                "[]",
                "null",
                '{"id":1,"method":"ping","params":[1]}',
                '{"id":1}',
                '{"id":{},"method":7,"params":[1]}',
                "é",
            ):
                await socket.send_str(text)
                answer = await asyncio.wait_for(socket.receive_json(), 5)
                assert answer["status"] == 400, (text, answer)
            for _ in range(50):
                word = "".join(chance.choices(string.printable, k=chance.randint(1, 60)))
                await socket.send_str(
                    json.dumps({"id": word, "method": word, "params": {word: word}})
                )
                assert (await asyncio.wait_for(socket.receive_json(), 5))["id"] == word
        async with hand.http.ws_connect(hand.server.ws_url + "/ws") as socket:
            for text in (
                "{",
                '{"method":"SUBSCRIBE","params":7,"id":1}',
                '{"method":[]}',
                '{"method":"SET_PROPERTY","params":7}',
            ):
                await socket.send_str(text)
                assert "error" in await asyncio.wait_for(socket.receive_json(), 5)
            await socket.send_bytes(b"x" * (2 << 20))
            assert (await asyncio.wait_for(socket.receive(), 5)).type in (
                aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR,
            )  # fmt: skip
        assert (await hand.plain("/api/v3/ping"))[0] == 200
