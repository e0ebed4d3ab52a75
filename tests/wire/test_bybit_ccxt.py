"""Unmodified ccxt and ccxt.pro, their URLs overridden, trade against the Bybit dialect.

Goal: a generic SDK that reads far more fields than ours finds them, and maps the codes to its own
errors. Method: the server on the test's own loop.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from servers import in_process

from hedge.model import Leg
from hedge.model.numbers import HOUR
from hedge_sim.dialects.house import FundingPaid

ccxt = pytest.importorskip("ccxt.pro")
T = TypeVar("T")

SPOT = "BTC/USDT"
SWAP = "BTC/USDT:USDT"
WAIT_S = 5.0


@contextlib.asynccontextmanager
async def client(**options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Yield ccxt's exchange and the server it talks to."""
    async with in_process("bybit", **options) as server:
        exchange = ccxt.bybit(
            {
                "apiKey": "sim-key",
                "secret": "sim-secret",
                "enableRateLimit": False,
                "options": {"fetchMarkets": {"types": ["spot", "linear"]}},
            }
        )
        api = exchange.urls["api"]
        api["public"] = api["private"] = server.url
        api["ws"] = {
            "public": {kind: f"{server.ws_url}/v5/public/{kind}" for kind in ("spot", "linear")},
            "private": {
                "spot": {"unified": f"{server.ws_url}/v5/private"},
                "contract": f"{server.ws_url}/v5/private",
                "trade": f"{server.ws_url}/v5/trade",
            },
        }
        try:
            yield exchange, server
        finally:
            await exchange.close()


def run(drive: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return asyncio.run(drive())


def soon(awaited: Awaitable[T]) -> Awaitable[T]:
    return asyncio.wait_for(awaited, WAIT_S)


async def subscribed(server: Any, *topics: str) -> None:
    """Return when the private socket has these topics: ccxt does not say when it has."""
    for _ in range(500):
        sessions = [s.session for s in server.sockets if s.path == "/v5/private"]
        if all(any(one.wants(topic, "") for one in sessions) for topic in topics):
            return
        await asyncio.sleep(0.01)
    pytest.fail("not subscribed")


def test_markets_and_prices_are_what_the_venue_shows() -> None:
    async def drive() -> None:
        async with client() as (exchange, server):
            markets = await exchange.load_markets()
            assert set(markets) == {SPOT, SWAP}
            assert markets[SWAP]["precision"] == {"amount": 0.001, "price": 0.1}
            assert markets[SWAP]["limits"]["cost"]["min"] == 5
            assert markets[SPOT]["precision"] == {"amount": 1e-06, "price": 0.01}
            for symbol in (SPOT, SWAP):
                book = await exchange.fetch_order_book(symbol, 5)
                ticker = await exchange.fetch_ticker(symbol)
                price = float(server.house.last_price(symbol))
                assert book["bids"][0][0] < book["asks"][0][0]
                assert abs(ticker["last"] - price) < price * 0.001
                assert len(await exchange.fetch_ohlcv(symbol, "1m", limit=3)) == 3
                assert await exchange.fetch_trades(symbol) is not None
            rate = await exchange.fetch_funding_rate(SWAP)
            assert (rate["interval"], rate["fundingRate"]) == (
                "8h", float(server.house.rate(SWAP).rate),
            )  # fmt: skip
            history = await exchange.fetch_funding_rate_history(SWAP)
            times = [row["timestamp"] for row in history]
            assert times == sorted(times)
            assert abs(await exchange.fetch_time() - server.house.wall() / 1e6) < 1_000
            tiers = await exchange.fetch_leverage_tiers([SWAP])
            assert tiers[SWAP][0]["maxLeverage"] == 100

    run(drive)


def test_orders_balances_and_positions_over_rest() -> None:
    async def drive() -> None:
        async with client() as (exchange, server):
            ticker = await exchange.fetch_ticker(SPOT)
            price = round(ticker["bid"] * 0.98, 1)
            order = await exchange.create_order(
                SPOT, "limit", "buy", 0.01, price, {"postOnly": True, "clientOrderId": "C1"}
            )
            opened = await exchange.fetch_open_orders(SPOT)
            assert [(o["id"], o["status"], o["clientOrderId"]) for o in opened] == [
                (order["id"], "open", "C1")
            ]
            held = (await exchange.fetch_balance())["USDT"]
            assert held["total"] == 100_000 and held["used"] == pytest.approx(0.01 * price)
            await exchange.edit_order(order["id"], SPOT, "limit", "buy", 0.02, price - 10)
            await exchange.cancel_order(order["id"], SPOT)
            cancelled = await exchange.fetch_canceled_orders(SPOT)
            assert [(o["amount"], o["price"]) for o in cancelled] == [(0.02, price - 10)]
            await exchange.create_order(SPOT, "market", "buy", 0.01)
            fill = (await exchange.fetch_my_trades(SPOT))[0]
            assert fill["fee"]["currency"] == "BTC" and fill["amount"] == 0.01
            await exchange.set_leverage(7, SWAP)
            await exchange.create_order(SWAP, "market", "sell", 0.02, None, {"clientOrderId": "C2"})
            position = (await exchange.fetch_positions([SWAP]))[0]
            assert (position["side"], position["contracts"], position["leverage"]) == (
                "short", 0.02, 7,
            )  # fmt: skip
            assert position["hedged"] is False
            assert await exchange.fetch_leverage(SWAP) is not None
            fee = await exchange.fetch_trading_fee(SWAP)
            assert fee["taker"] == float(server.house.fees.futures_taker)
            ledger = await exchange.fetch_ledger("USDT")
            assert ledger[-1]["after"] == pytest.approx(float(server.house.account.balance("USDT")))

    run(drive)


def test_refusals_become_the_errors_of_ccxt() -> None:
    async def drive() -> None:
        async with client() as (exchange, _):
            price = round((await exchange.fetch_ticker(SPOT))["bid"] * 0.98, 1)
            buy = (SWAP, "limit", "buy", 0.01, price)
            with pytest.raises(ccxt.InsufficientFunds, match="170131"):
                await exchange.create_order(SPOT, "limit", "buy", 100, price)
            with pytest.raises(ccxt.InsufficientFunds, match="110007"):
                await exchange.create_order(SWAP, "limit", "buy", 100, price)
            with pytest.raises(ccxt.OrderNotFound, match="170213"):
                await exchange.cancel_order("no-such-order", SPOT)
            with pytest.raises(ccxt.InvalidOrder, match="110017"):
                await exchange.create_order(*buy, {"reduceOnly": True})
            with pytest.raises(ccxt.BadRequest, match="position idx not match position mode"):
                await exchange.create_order(*buy, {"positionIdx": 2})
            await exchange.set_position_mode(True, SWAP)
            with pytest.raises(ccxt.BadRequest, match="position idx not match position mode"):
                await exchange.create_order(*buy)
            answer = await exchange.privateGetV5PositionList(
                {"category": "linear", "symbol": "BTCUSDT"}
            )
            assert [row["positionIdx"] for row in answer["result"]["list"]] == [1, 2]
            with pytest.raises(ccxt.NoChange, match="110025"):
                await exchange.set_position_mode(True, SWAP)
            exchange.secret = "other"
            with pytest.raises(ccxt.AuthenticationError, match="10004"):
                await exchange.fetch_balance()

    run(drive)


def test_more_than_500_instruments_come_in_pages() -> None:
    async def drive() -> None:
        async with client(padding=600) as (exchange, _):
            markets = await exchange.load_markets()
            assert len(markets) == 2 * 601
            query = {"category": "linear"}
            first = (await exchange.publicGetV5MarketInstrumentsInfo(query))["result"]
            assert len(first["list"]) == 500 and first["nextPageCursor"]
            rest = await exchange.publicGetV5MarketInstrumentsInfo(
                query | {"cursor": first["nextPageCursor"]}
            )
            names = [row["symbol"] for row in first["list"] + rest["result"]["list"]]
            assert len(names) == len(set(names)) == 601 and not rest["result"]["nextPageCursor"]
            with pytest.raises(ccxt.BadRequest, match="10001"):
                await exchange.publicGetV5MarketTickers(query | {"symbol": "PAD0001USDT"})

    run(drive)


def test_streams_and_orders_over_websocket() -> None:
    async def drive() -> None:
        async with client() as (exchange, server):
            await exchange.load_markets()
            ticker = await soon(exchange.watch_ticker(SWAP))
            book = await soon(exchange.watch_order_book(SPOT, 50))
            assert book["bids"][0][0] < book["asks"][0][0]
            best = await soon(exchange.watch_bids_asks([SWAP]))
            assert best[SWAP]["bid"] < best[SWAP]["ask"]
            orders = asyncio.ensure_future(exchange.watch_orders())
            fills = asyncio.ensure_future(exchange.watch_my_trades())
            wallet = asyncio.ensure_future(exchange.watch_balance())
            assert await soon(exchange.watch_positions()) == []
            positions = asyncio.ensure_future(exchange.watch_positions())
            await subscribed(server, "order", "execution", "wallet", "position")
            price = round(ticker["last"] * 0.99, 1)
            sold = await soon(exchange.create_order_ws(SWAP, "limit", "sell", 0.01, price))
            done = (await soon(orders))[-1]
            assert (done["id"], done["symbol"]) == (sold["id"], SWAP)
            fill = (await soon(fills))[0]
            assert (fill["order"], fill["fee"]["currency"]) == (sold["id"], "USDT")
            assert (await soon(wallet))["USDT"]["free"] is not None
            assert (await soon(positions))[0]["side"] == "short"
            buy = (SPOT, "limit", "buy", 0.01)
            resting = await soon(exchange.create_order_ws(*buy, price - 1_000))
            await soon(exchange.edit_order_ws(resting["id"], *buy, price - 1_100))
            await soon(exchange.cancel_order_ws(resting["id"], SPOT))
            with pytest.raises(ccxt.InsufficientFunds):
                await soon(exchange.create_order_ws(SPOT, "limit", "buy", 100, price - 1_000))
            assert server.house.open_orders(Leg.SPOT) == ()

    run(drive)


def test_settled_funding_reaches_executions_and_ledger() -> None:
    async def drive() -> None:
        async with client() as (exchange, server):
            await exchange.create_order(SWAP, "market", "sell", 0.5)
            settled = asyncio.Event()
            server.house.listen(lambda e: settled.set() if isinstance(e, FundingPaid) else None)
            server.house.skip(9 * HOUR)
            await soon(settled.wait())
            paid = await exchange.fetch_funding_history(SWAP)
            truth = server.house.payments()[0]
            assert [row["amount"] for row in paid] == [pytest.approx(-float(truth.cash))]
            assert paid[0]["rate"] == float(-truth.rate)
            ledger = await exchange.fetch_ledger("USDT", params={"type": "SETTLEMENT"})
            assert [Decimal(row["info"]["funding"]) for row in ledger] == [truth.cash]

    run(drive)
