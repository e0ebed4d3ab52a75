"""The floor: what a program costs that only parses a fill, makes an order of it, and sends it.

picows, msgspec, HMAC, uvloop where it is; no engine, no journal, no checks.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from decimal import Decimal

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

KEY, SECRET = "sim-key", b"sim-secret"
PRICE, LOT, PREFIX = sys.argv[4], Decimal(sys.argv[5]), "FLOOR"
_prepared = hmac.new(SECRET, digestmod=hashlib.sha256)


def sign(payload: bytes) -> str:
    one = _prepared.copy()
    one.update(payload)
    return one.hexdigest()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Report(msgspec.Struct, frozen=True, gc=False):
    e: str = ""
    x: str = ""
    l: str = ""
    S: str = ""


class SpotFrame(msgspec.Struct, frozen=True, gc=False):
    event: Report | None = None


class Execution(msgspec.Struct, frozen=True, gc=False, rename={"qty": "execQty", "side": "side"}):
    side: str = ""
    qty: str = ""


class PrivateFrame(msgspec.Struct, frozen=True, gc=False):
    topic: str = ""
    data: msgspec.Raw = msgspec.Raw()


class Order:
    """The order socket: to Bybit as it is, to Binance signed."""

    def __init__(self, transport: WSTransport) -> None:
        self.transport = transport
        self.number = int(time.time()) % 100_000 * 100_000

    def bybit(self, quantity: Decimal) -> None:
        self.number += 1
        name = f"{PREFIX}{self.number}"
        self.transport.send(
            WSMsgType.TEXT,
            f'{{"reqId":"{name}","header":{{"X-BAPI-TIMESTAMP":"{now_ms()}",'
            f'"X-BAPI-RECV-WINDOW":"2000"}},"op":"order.create","args":[{{"category":"linear",'
            f'"symbol":"BTCUSDT","side":"Sell","orderType":"Limit","qty":"{quantity}",'
            f'"price":"{PRICE}","timeInForce":"IOC","orderLinkId":"{name}","positionIdx":0,'
            f'"reduceOnly":false}}]}}'.encode(),
        )

    def binance(self, quantity: Decimal) -> None:
        self.number += 1
        name, at = f"{PREFIX}{self.number}", now_ms()
        signature = sign(
            f"apiKey={KEY}&newClientOrderId={name}&newOrderRespType=RESULT&price={PRICE}"
            f"&quantity={quantity}&recvWindow=2000&side=SELL&symbol=BTCUSDT&timeInForce=IOC"
            f"&timestamp={at}&type=LIMIT".encode()
        )
        self.transport.send(
            WSMsgType.TEXT,
            f'{{"id":{self.number},"method":"order.place","params":{{"apiKey":"{KEY}",'
            f'"newClientOrderId":"{name}","newOrderRespType":"RESULT","price":"{PRICE}",'
            f'"quantity":"{quantity}","recvWindow":2000,"side":"SELL","symbol":"BTCUSDT",'
            f'"timeInForce":"IOC","timestamp":{at},"type":"LIMIT",'
            f'"signature":"{signature}"}}}}'.encode(),
        )


class Heard(WSListener):
    """Any socket; what comes before it is made a stream is kept for `answered`."""

    def __init__(self) -> None:
        self.first: asyncio.Queue[bytes] = asyncio.Queue()

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.first.put_nowait(frame.get_payload_as_bytes())

    async def answered(self) -> None:
        answer = json.loads(await asyncio.wait_for(self.first.get(), 10))
        good = (
            answer.get("success") is True
            or answer.get("retCode") == 0
            or answer.get("status") == 200  # noqa: PLR2004 - HTTP's OK
        )
        assert good, answer


class OrderSocket(Heard):
    """Its answers are of no interest once it stands."""

    ready = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if not self.ready:
            super().on_ws_frame(transport, frame)


class FromBinance(Heard):
    order: Order | None = None
    decode = staticmethod(msgspec.json.Decoder(SpotFrame).decode)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.order is None:
            super().on_ws_frame(transport, frame)
            return
        event = self.decode(frame.get_payload_as_memoryview()).event
        if event is not None and event.x == "TRADE":
            self.order.bybit(Decimal(event.l) // LOT * LOT)


class FromBybit(Heard):
    order: Order | None = None
    decode = staticmethod(msgspec.json.Decoder(PrivateFrame).decode)
    rows = staticmethod(msgspec.json.Decoder(list[Execution]).decode)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.order is None:
            super().on_ws_frame(transport, frame)
            return
        message = self.decode(frame.get_payload_as_memoryview())
        if message.topic == "execution.fast":
            for row in self.rows(message.data):
                self.order.binance(Decimal(row.qty) // LOT * LOT)


def bybit_auth(name: str) -> bytes:
    expires = now_ms() + 10_000
    signature = sign(f"GET/realtime{expires}".encode())
    return json.dumps({name: "auth", "op": "auth", "args": [KEY, expires, signature]}).encode()


async def from_binance(spot: str, futures: str) -> None:
    transport, orders = await ws_connect(OrderSocket, f"{futures}/v5/trade")
    transport.send(WSMsgType.TEXT, bybit_auth("reqId"))
    await orders.answered()
    orders.ready = True
    stream, heard = await ws_connect(FromBinance, f"{spot}/ws-api/v3")
    at = now_ms()
    params = {
        "apiKey": KEY,
        "timestamp": at,
        "signature": sign(f"apiKey={KEY}&timestamp={at}".encode()),
    }
    question = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
    stream.send(WSMsgType.TEXT, json.dumps(question).encode())
    await heard.answered()
    heard.order = Order(transport)
    print("ready", flush=True)  # noqa: T201 - a starter waits for it
    await stream.wait_disconnected()


async def from_bybit(spot: str, futures: str) -> None:
    transport, orders = await ws_connect(OrderSocket, f"{futures}/ws-fapi/v1")
    orders.ready = True
    stream, heard = await ws_connect(FromBybit, f"{spot}/v5/private")
    stream.send(WSMsgType.TEXT, bybit_auth("req_id"))
    await heard.answered()
    topics = ["execution.fast", "execution", "order", "wallet"]
    stream.send(WSMsgType.TEXT, json.dumps({"op": "subscribe", "args": topics}).encode())
    await heard.answered()
    heard.order = Order(transport)
    print("ready", flush=True)  # noqa: T201 - a starter waits for it
    await stream.wait_disconnected()


def main() -> None:
    way = from_binance if sys.argv[1] == "from-binance" else from_bybit
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        asyncio.run(way(sys.argv[2], sys.argv[3]))
    else:
        uvloop.run(way(sys.argv[2], sys.argv[3]))


if __name__ == "__main__":
    main()
