"""Stock SDKs doing the same work: a Binance spot fill heard, a Bybit perpetual sold.

python-binance's user socket with pybit's HTTP in an executor; and ccxt.pro, whose order goes over
the WebSocket, its rate limiter off. Only addresses are overridden.
"""

import asyncio
import logging
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

KEY, SECRET = "sim-key", "sim-secret"
WORKERS = 4
CASE, SPOT, FUTURES, PRICE, QUANTITY = sys.argv[1:6]
"""The addresses begin with http."""


def ready() -> None:
    print("ready", flush=True)  # noqa: T201 - a starter waits for it


async def by_sdks() -> None:
    import binance  # noqa: PLC0415 - one of the two is loaded
    from pybit.unified_trading import HTTP  # noqa: PLC0415 - as said

    websocket = SPOT.replace("http", "ws")

    # The package comes without types, and is looked at with and without its being installed.
    class Client(binance.AsyncClient):  # type: ignore[misc, name-defined, unused-ignore] # as said
        API_URL = SPOT + "/api"
        MARGIN_API_URL = SPOT + "/sapi"
        WS_API_URL = websocket + "/ws-api/v3"

    class Manager(binance.BinanceSocketManager):  # type: ignore[misc, name-defined, unused-ignore] # as said
        STREAM_URL = websocket + "/"

    session = HTTP(testnet=True, api_key=KEY, api_secret=SECRET, max_retries=1, retry_codes={1})
    session.endpoint = FUTURES
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(WORKERS) as pool:

        def order() -> Any:
            return loop.run_in_executor(
                pool,
                lambda: session.place_order(
                    category="linear", symbol="BTCUSDT", side="Sell", orderType="Limit",
                    qty=QUANTITY, price=PRICE, timeInForce="IOC", positionIdx=0,
                ),
            )  # fmt: skip

        await asyncio.gather(*(order() for _ in range(WORKERS)))  # the connections are open now
        async with Manager(Client(KEY, SECRET)).user_socket() as socket:
            ready()
            under_way = set()
            while True:
                event = await socket.recv()
                if event.get("e") == "executionReport" and event["x"] == "TRADE":
                    under_way.add(one := order())
                    one.add_done_callback(under_way.discard)


async def by_ccxt() -> None:
    import ccxt.pro as ccxt  # noqa: PLC0415 - as said

    spot_ws, futures_ws = (url.replace("http", "ws") for url in (SPOT, FUTURES))
    keys = {"apiKey": KEY, "secret": SECRET, "enableRateLimit": False}
    spot = ccxt.binance(
        keys | {"options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}}
    )
    spot.has["fetchCurrencies"] = False
    api = spot.urls["api"]
    api["public"] = api["private"] = SPOT + "/api/v3"
    api["sapi"] = SPOT + "/sapi/v1"
    api["ws"]["spot"] = spot_ws + "/ws"
    api["ws"]["ws-api"]["spot"] = spot_ws + "/ws-api/v3"
    futures = ccxt.bybit(keys | {"options": {"fetchMarkets": {"types": ["linear"]}}})
    api = futures.urls["api"]
    api["public"] = api["private"] = FUTURES
    private = futures_ws + "/v5/private"
    trade = futures_ws + "/v5/trade"
    api["ws"] = {
        "public": {"linear": futures_ws + "/v5/public/linear"},
        "private": {"spot": {"unified": private}, "contract": private, "trade": trade},
    }
    await spot.load_markets()
    await futures.load_markets()
    symbol, quantity, price = "BTC/USDT:USDT", float(QUANTITY), float(PRICE)
    extra = {"timeInForce": "IOC"}
    await futures.create_order_ws(symbol, "limit", "sell", quantity, price, extra)
    listening = asyncio.create_task(spot.watch_my_trades("BTC/USDT"))
    await asyncio.sleep(1)  # it does not say when it listens
    ready()
    while True:
        trades = await listening
        listening = asyncio.create_task(spot.watch_my_trades("BTC/USDT"))
        for _ in trades:
            await futures.create_order_ws(symbol, "limit", "sell", quantity, price, extra)


def main() -> None:
    way = by_sdks if CASE == "sdks" else by_ccxt
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        asyncio.run(way())
    else:
        uvloop.run(way())


if __name__ == "__main__":
    main()
