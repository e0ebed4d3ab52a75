"""Goal: an unmodified ccxt and ccxt.pro list, stream, trade and read at the wire simulators.
Method: its unified methods with other URLs; what it understood is compared with the truth.
"""

import asyncio
from decimal import Decimal

import pytest
from binance_clients import PERP, SPOT, STOCK_WARNINGS, ccxt_spot, ccxt_usdm, pro
from servers import awaited, in_process, until

from hedge.model import Leg
from hedge.model.numbers import HOUR

pytestmark = STOCK_WARNINGS


async def soon(waiting):
    """Wait for something that a stream will say."""
    return await asyncio.wait_for(waiting, 5)


@awaited
async def test_spot_reads():
    async with in_process("binance-spot") as server, ccxt_spot(server) as exchange:
        market = exchange.market(SPOT)
        one = server.house.instrument(SPOT)
        assert Decimal(str(market["precision"]["amount"])) == one.lot
        assert Decimal(str(market["precision"]["price"])) == one.tick
        assert Decimal(str(market["limits"]["cost"]["min"])) == one.notional_min
        ticker = await exchange.fetch_ticker(SPOT)
        assert ticker["bid"] < ticker["ask"] and ticker["low"] <= ticker["last"] <= ticker["high"]
        book = await exchange.fetch_order_book(SPOT, 5)
        assert len(book["bids"]) == 5 and book["bids"][0][0] < book["asks"][0][0]
        candles = await exchange.fetch_ohlcv(SPOT, "1m", limit=3)
        assert len(candles) == 3 and all(low <= high for _, _, high, low, _, _ in candles)
        assert len(await exchange.fetch_trades(SPOT, limit=10)) == 10
        balance = await exchange.fetch_balance()
        assert balance["USDT"]["free"] == 100_000
        fees = await exchange.fetch_trading_fee(SPOT)
        assert fees["maker"] == float(server.house.fees.spot_maker)


@awaited
async def test_spot_trades_over_rest_and_sockets():
    async with in_process("binance-spot") as server, ccxt_spot(server) as exchange:
        touch = await exchange.fetch_ticker(SPOT)
        low = round(touch["bid"] * 0.99, 2)
        made = await exchange.create_order(SPOT, "limit", "buy", 0.01, low)
        assert (await exchange.fetch_order(made["id"], SPOT))["status"] == "open"
        assert [o["id"] for o in await exchange.fetch_open_orders(SPOT)] == [made["id"]]
        await exchange.cancel_order(made["id"], SPOT)
        with pytest.raises(pro.OrderNotFound):
            await exchange.cancel_order(made["id"], SPOT)
        orders = asyncio.create_task(exchange.watch_orders(SPOT))
        trades = asyncio.create_task(exchange.watch_my_trades(SPOT))
        funds = asyncio.create_task(exchange.watch_balance())
        await until(lambda: any(one.path == "/ws-api/v3" for one in server.sockets))
        await exchange.fetch_balance_ws()  # answered after the subscription on that socket
        taken = await exchange.create_order(SPOT, "market", "buy", 0.01)
        assert taken["status"] == "closed" and taken["filled"] == 0.01
        (trade,) = await soon(trades)
        assert trade["fee"] == {"cost": 0.00001, "currency": "BTC"}
        assert (await soon(orders))[-1]["id"] == taken["id"]
        assert (await soon(funds))["BTC"]["free"] == float(server.house.account.balances["BTC"])
        high = round(touch["ask"] * 1.01, 2)
        extra = {"postOnly": True, "clientOrderId": "CCXT1"}
        rest = await exchange.create_order_ws(SPOT, "limit", "sell", 0.01, high, extra)
        assert rest["clientOrderId"] == "CCXT1"
        assert len(await exchange.fetch_open_orders_ws(SPOT)) == 1
        await exchange.cancel_order_ws(rest["id"], SPOT)
        assert not server.house.open_orders(Leg.SPOT)
        (mine,) = await exchange.fetch_my_trades(SPOT)
        assert mine["id"] == trade["id"]
        with pytest.raises(pro.InsufficientFunds):
            await exchange.create_order(SPOT, "limit", "buy", 9, low)


@awaited
async def test_spot_watches():
    async with in_process("binance-spot") as server, ccxt_spot(server) as exchange:
        for _ in range(3):
            book = await soon(exchange.watch_order_book(SPOT))
            assert book["bids"][0][0] < book["asks"][0][0]
        shown = server.house.levels(SPOT, asks=False)
        assert len(book["bids"]) == len(shown)  # every difference fitted on the one before
        quotes = await soon(exchange.watch_bids_asks([SPOT]))
        assert quotes[SPOT]["bid"] < quotes[SPOT]["ask"]
        assert (await soon(exchange.watch_ticker(SPOT)))["last"] > 0
        assert (await soon(exchange.watch_trades(SPOT)))[0]["price"] > 0
        assert len(await soon(exchange.watch_ohlcv(SPOT, "1m"))) == 1


@awaited
async def test_usdm_from_leverage_to_funding():
    async with in_process("binance-usdm") as server, ccxt_usdm(server) as exchange:
        assert exchange.market(PERP)["swap"] and exchange.market(PERP)["contractSize"] == 1
        await exchange.set_leverage(3, PERP)
        assert not (await exchange.fetch_position_mode(PERP))["hedged"]
        with pytest.raises(pro.MarginModeAlreadySet):
            await exchange.set_margin_mode("cross", PERP)
        rate = await exchange.fetch_funding_rate(PERP)
        assert rate["fundingRate"] == float(server.house.rate(PERP).rate)
        touch = (await exchange.fetch_bids_asks([PERP]))[PERP]
        orders = asyncio.create_task(exchange.watch_orders(PERP))
        trades = asyncio.create_task(exchange.watch_my_trades(PERP))
        await until(lambda: any(one.path == "/private/ws" for one in server.sockets))
        limit = round(touch["bid"] * 0.99, 1)
        ioc = {"timeInForce": "IOC"}
        sold = await exchange.create_order(PERP, "limit", "sell", 0.01, limit, ioc)
        assert sold["status"] == "closed"
        (trade,) = await soon(trades)
        assert trade["side"] == "sell" and trade["amount"] == 0.01
        assert (await soon(orders))[-1]["id"] == sold["id"]
        (position,) = await exchange.fetch_positions([PERP])
        assert position["side"] == "short" and position["contracts"] == 0.01
        assert position["liquidationPrice"] > position["markPrice"]
        high = round(touch["ask"] * 1.01, 1)
        rest = await exchange.create_order_ws(
            PERP, "limit", "sell", 0.01, high, {"postOnly": True}
        )  # fmt: skip
        assert len(await exchange.fetch_open_orders(PERP)) == 1
        await exchange.cancel_order_ws(rest["id"], PERP)
        server.house.skip(8 * HOUR)
        await until(server.house.payments)
        (paid,) = await exchange.fetch_funding_history(PERP)
        assert Decimal(str(paid["amount"])) == server.house.payments()[0].cash
        close = {"reduceOnly": True}
        await exchange.create_order(PERP, "market", "buy", 0.01, None, close)
        balance = await exchange.fetch_balance()
        truth = server.house.account.balances["USDT"]
        assert Decimal(balance["info"]["totalWalletBalance"]) == truth
        assert len(await exchange.fetch_funding_rate_history(PERP, limit=5)) == 5


@awaited
async def test_usdm_watches():
    async with in_process("binance-usdm") as server, ccxt_usdm(server) as exchange:
        for _ in range(3):
            book = await soon(exchange.watch_order_book(PERP))
            assert book["bids"][0][0] < book["asks"][0][0]
        mark = await soon(exchange.watch_mark_price(PERP))
        assert mark["markPrice"] > 0
        assert (await soon(exchange.watch_bids_asks([PERP])))[PERP]["bid"] > 0
        assert (await soon(exchange.watch_trades(PERP)))[0]["price"] > 0


@awaited
async def test_more_instruments_than_a_page_and_a_perpetual_of_thousands():
    many = {
        "futures": {"multiplier": "1000", "depth_quote": "400000000"},
        "balances": {"USDT": 10**6},
    }
    async with (
        in_process("binance-usdm", padding=600, sim=many) as server,
        ccxt_usdm(server) as exchange,
    ):
        assert len(exchange.markets) == 601
        thousand = exchange.market("1000BTC/USDT:USDT")
        ticker = await exchange.fetch_bids_asks([thousand["symbol"]])
        bid = Decimal(str(ticker[thousand["symbol"]]["bid"])) / 1_000
        assert abs(bid / server.house.quote(PERP).bid - 1) < Decimal("0.001")
        sold = await exchange.create_order(thousand["symbol"], "market", "sell", 0.001)
        assert sold["filled"] == 0.001
        assert server.house.position(PERP).quantity == -1
        (position,) = await exchange.fetch_positions([thousand["symbol"]])
        assert position["contracts"] == 0.001
        with pytest.raises(pro.ExchangeError):
            await exchange.create_order("PAD0007/USDT:USDT", "market", "sell", 1)
