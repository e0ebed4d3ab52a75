"""A bare client of the Bybit v5 protocol for tests: signs by itself, hides nothing."""

import asyncio
import contextlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
from servers import in_process

from hedge.model.numbers import plain
from hedge_sim.dialects.faults import parse_fault

KEY, SECRET = "sim-key", "sim-secret"
SYMBOL = "BTCUSDT"
WAIT_S = 5.0


def sign(text: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def auth_args(secret: str = SECRET, expires: int = 0) -> list[Any]:
    expires = expires or now_ms() + 5_000
    return [KEY, expires, sign(f"GET/realtime{expires}", secret)]


class Channel:
    """One WebSocket with everything it has received."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[Any] = []
        self._ids = itertools.count(1)

    async def send(self, message: dict[str, Any]) -> None:
        await self.socket.send_json(message)

    async def frame(self, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the next frame that is wanted; fail when the socket closes before it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                message = await self.socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError(message.type)
                found = json.loads(message.data)
                self.frames.append(found)
                if wanted(found):
                    return found

    async def topic(self, name: str) -> Any:
        return await self.frame(lambda frame: frame.get("topic") == name)

    async def ask(self, op: str, *args: Any) -> Any:
        """Send an op of a stream socket and return its answer."""
        await self.send({"op": op, "args": list(args), "req_id": f"r{next(self._ids)}"})
        return await self.frame(lambda frame: frame.get("op") in {op, "pong"})

    async def authed(self) -> "Channel":
        assert (await self.ask("auth", *auth_args())).get("retCode", 0) == 0
        return self

    def order_message(self, op: str, params: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "reqId": f"q{next(self._ids)}",
            "header": {"X-BAPI-TIMESTAMP": str(now_ms()), "X-BAPI-RECV-WINDOW": "5000"},
            "op": op,
            "args": [params],
        } | more

    async def order(self, op: str, params: dict[str, Any], **more: Any) -> Any:
        """Send an order operation and return its answer."""
        message = self.order_message(op, params, **more)
        await self.send(message)
        return await self.frame(lambda frame: frame.get("reqId") == message["reqId"])


class Raw:
    """REST and sockets of one server."""

    def __init__(self, session: aiohttp.ClientSession, server: Any) -> None:
        self.http = session
        self.server = server
        self.house = server.house
        self._links = itertools.count(1)

    def headers(self, payload: str, *, ago_ms: int = 0, window: str = "5000") -> dict[str, str]:
        stamp = str(now_ms() - ago_ms)
        return {
            "X-BAPI-API-KEY": KEY,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": sign(f"{stamp}{KEY}{window}{payload}"),
            "Content-Type": "application/json",
        }

    async def get(self, path: str, **params: Any) -> Any:
        query = urlencode(params)
        url = f"{self.server.url}{path}?{query}"
        async with self.http.get(url, headers=self.headers(query)) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def rows(self, path: str, **params: Any) -> Any:
        answer = await self.get(path, **params)
        assert answer["retCode"] == 0, answer
        return answer["result"]["list"]

    async def post(self, path: str, params: dict[str, Any], **how: Any) -> Any:
        body = json.dumps(params)
        url = f"{self.server.url}{path}"
        async with self.http.post(url, data=body, headers=self.headers(body, **how)) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json() | {"headers": answer.headers}

    async def create(self, **order: Any) -> Any:
        return await self.post("/v5/order/create", order)

    def order(self, category: str, side: str, qty: str, factor: str, **more: Any) -> dict[str, Any]:
        """Return a limit order at a multiple of the present price."""
        symbol = "BTC/USDT" if category == "spot" else "BTC/USDT:USDT"
        price = plain((self.house.last_price(symbol) * Decimal(factor)).quantize(Decimal("0.1")))
        return {
            "category": category, "symbol": SYMBOL, "side": side, "orderType": "Limit",
            "qty": qty, "price": price, "orderLinkId": f"R{next(self._links):05d}",
        } | more  # fmt: skip

    async def state(self, order: dict[str, Any]) -> Any:
        """Return an order as the venue has it now, None when it has none."""
        found = await self.rows(
            "/v5/order/realtime", category=order["category"], orderLinkId=order["orderLinkId"]
        )
        return found[0] if found else None

    async def channel(self, path: str) -> Channel:
        return Channel(await self.http.ws_connect(f"{self.server.ws_url}{path}"))

    async def private(self, *topics: str) -> Channel:
        channel = await (await self.channel("/v5/private")).authed()
        assert (await channel.ask("subscribe", *topics))["success"] is True
        return channel

    async def trade(self) -> Channel:
        return await (await self.channel("/v5/trade")).authed()

    def fault(self, text: str) -> None:
        """Switch a fault on, as the command line writes it."""
        self.server.faults.set(parse_fault(text))


@contextlib.asynccontextmanager
async def raw(**options: Any) -> AsyncIterator[Raw]:
    async with in_process("bybit", **options) as server, aiohttp.ClientSession() as session:
        yield Raw(session, server)


__all__ = [
    "KEY",
    "SECRET",
    "SYMBOL",
    "WAIT_S",
    "Channel",
    "Raw",
    "auth_args",
    "now_ms",
    "raw",
    "sign",
]
