"""The stock clients pointed at a wire simulator: only URLs are changed (venues.md 1.3)."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # python-binance imports a deprecated part of websockets
    binance = pytest.importorskip("binance")
    pro = pytest.importorskip("ccxt.pro")

APIS = ("/ws-api/v3", "/ws-fapi/v1")
KEY, SECRET = "sim-key", "sim-secret"
SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
STOCK_WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
"""What the stock clients do on their own account."""


@contextlib.asynccontextmanager
async def python_binance(
    server: Any, *, key: str = KEY, secret: str = SECRET
) -> AsyncIterator[Any]:
    """Yield a stock `AsyncClient` and its `BinanceSocketManager`."""

    class Client(binance.AsyncClient):
        API_URL = server.url + "/api"
        MARGIN_API_URL = server.url + "/sapi"
        FUTURES_URL = server.url + "/fapi"
        WS_API_URL = server.ws_url + "/ws-api/v3"
        WS_FUTURES_URL = server.ws_url + "/ws-fapi/v1"

    class Manager(binance.BinanceSocketManager):
        STREAM_URL = server.ws_url + "/"
        FSTREAM_URL = server.ws_url + "/"

    client = Client(key, secret)
    try:
        yield client, Manager(client)
    finally:
        try:
            await closed(server, APIS, client.ws_api, client.ws_future)
        finally:
            await client.session.close()


async def closed(server: Any, paths: tuple[str, ...], *sockets: Any) -> None:
    """Close sockets of python-binance; their readers notice only when something arrives."""
    closing = [asyncio.create_task(socket.close()) for socket in sockets]
    await asyncio.sleep(0)
    for one in set(server.sockets):
        if one.path in paths or not paths:
            one.close()
    async with asyncio.timeout(10):
        await asyncio.gather(*closing)


@contextlib.asynccontextmanager
async def listening(server: Any, socket: Any) -> AsyncIterator[Any]:
    """Open a stream of python-binance, and close it and all others quickly."""
    await socket.__aenter__()
    try:
        yield socket
    finally:
        await closed(server, tuple({one.path for one in server.sockets} - set(APIS)), socket)


@contextlib.asynccontextmanager
async def ccxt_spot(server: Any) -> AsyncIterator[Any]:
    """Yield a stock ccxt.pro ``binance`` for spot."""
    options = {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}
    exchange = pro.binance(
        {"apiKey": KEY, "secret": SECRET, "enableRateLimit": False, "options": options}
    )
    exchange.has["fetchCurrencies"] = False
    api = exchange.urls["api"]
    api["public"] = api["private"] = server.url + "/api/v3"
    api["sapi"] = server.url + "/sapi/v1"
    api["ws"]["spot"] = server.ws_url + "/ws"
    api["ws"]["ws-api"]["spot"] = server.ws_url + "/ws-api/v3"
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


@contextlib.asynccontextmanager
async def ccxt_usdm(server: Any) -> AsyncIterator[Any]:
    """Yield a stock ccxt.pro ``binanceusdm``."""
    options = {"fetchMarkets": {"types": ["linear"]}, "fetchMargins": False}
    exchange = pro.binanceusdm(
        {"apiKey": KEY, "secret": SECRET, "enableRateLimit": False, "options": options}
    )
    exchange.has["fetchCurrencies"] = False
    api = exchange.urls["api"]
    for suffix, version in (("", "v1"), ("V2", "v2"), ("V3", "v3")):
        api[f"fapiPublic{suffix}"] = api[f"fapiPrivate{suffix}"] = f"{server.url}/fapi/{version}"
    api["sapi"] = server.url + "/sapi/v1"
    api["ws"]["linear"] = api["ws"]["future"] = server.ws_url + "/ws"
    ws_api = server.ws_url + "/ws-fapi/v1"
    api["ws"]["ws-api"]["linear"] = api["ws"]["ws-api"]["future"] = ws_api
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()
