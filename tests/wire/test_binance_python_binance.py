"""Goal: an unmodified python-binance lists, streams, trades and reads at the wire simulators.
Method: its AsyncClient and BinanceSocketManager with other URLs; what it was told is compared with
the simulator's truth.
"""

import asyncio
from decimal import Decimal

import pytest
from binance_clients import PERP, SPOT, STOCK_WARNINGS, binance, listening, python_binance
from servers import awaited, in_process, until

from hedge.model import Leg
from hedge.model.numbers import HOUR, MS

pytestmark = STOCK_WARNINGS
EIGHT_HOURS = 8 * HOUR


async def heard(socket, *words):
    """Receive until each event type has been heard; return them all, in order."""
    found = []
    while not set(words) <= {event.get("e") for event in found}:
        found.append(await asyncio.wait_for(socket.recv(), 5))
    return found


def of_kind(events, word):
    return [event for event in events if event["e"] == word]


@awaited
async def test_spot_from_listing_to_fills():
    async with in_process("binance-spot") as server, python_binance(server) as (client, sockets):
        info = await client.get_symbol_info("BTCUSDT")
        filters = {one["filterType"]: one for one in info["filters"]}
        assert {"PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL"} <= set(filters)
        rights = await client.get_account_api_permissions()
        assert rights["enableSpotAndMarginTrading"] and not rights["enableWithdrawals"]
        assert (await client.get_account())["canTrade"]
        async with sockets.user_socket() as user:
            touch = await client.get_orderbook_ticker(symbol="BTCUSDT")
            limit = str(Decimal(touch["askPrice"]) + 10)
            taken = await client.create_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="IOC",
                quantity="0.01", price=limit, newClientOrderId="TAKER1",
            )  # fmt: skip
            assert taken["status"] == "FILLED" and taken["fills"]
            events = await heard(user, "outboundAccountPosition")
            assert [e["x"] for e in of_kind(events, "executionReport")] == ["NEW", "TRADE"]
            rest = str(Decimal(touch["askPrice"]) * 101 / 100 // 1)
            made = await client.ws_create_order(
                symbol="BTCUSDT", side="SELL", type="LIMIT_MAKER", quantity="0.01",
                price=rest, newClientOrderId="MAKER1",
            )  # fmt: skip
            assert made["clientOrderId"] == "MAKER1" and "status" not in made  # an ACK
            assert len(await client.get_open_orders(symbol="BTCUSDT")) == 1
            await client.ws_cancel_order(symbol="BTCUSDT", origClientOrderId="MAKER1")
            gone = []
            while not any(e.get("x") == "CANCELED" for e in gone):
                gone += await heard(user, "executionReport")
            report = next(e for e in gone if e.get("x") == "CANCELED")
            assert report["C"] == "MAKER1" != report["c"]
        status = await client.get_order(symbol="BTCUSDT", origClientOrderId="MAKER1")
        assert status["status"] == "CANCELED"
        trades = await client.get_my_trades(symbol="BTCUSDT")
        house = server.house
        assert [Decimal(t["qty"]) for t in trades] == [f.quantity for f in house.fills(Leg.SPOT)]
        balances = {b["asset"]: b for b in (await client.get_account())["balances"]}
        assert Decimal(balances["BTC"]["free"]) == house.account.balances["BTC"]
        assert Decimal(balances["USDT"]["free"]) == house.account.balances["USDT"]
        fee = sum(Decimal(t["commission"]) for t in trades)
        assert trades[0]["commissionAsset"] == "BTC" and fee == house.account.fees["BTC"]


@awaited
async def test_usdm_from_leverage_to_funding():
    async with in_process("binance-usdm") as server, python_binance(server) as (client, sockets):
        await client.futures_change_leverage(symbol="BTCUSDT", leverage=3)
        assert not (await client.futures_get_position_mode())["dualSidePosition"]
        with pytest.raises(binance.BinanceAPIException) as same:
            await client.futures_change_margin_type(symbol="BTCUSDT", marginType="CROSSED")
        assert same.value.code == -4046
        async with listening(server, sockets.futures_user_socket()) as user:
            touch = await client.futures_orderbook_ticker(symbol="BTCUSDT")
            order = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "quantity": "0.010"}
            limit = str(Decimal(touch["bidPrice"]) * 99 / 100 // 1)
            made = await client.ws_futures_create_order(
                **order, timeInForce="IOC", price=limit, newClientOrderId="H1",
                newOrderRespType="RESULT",
            )  # fmt: skip
            assert made["status"] == "FILLED" and made["executedQty"] == "0.010"
            events = await heard(user, "TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE")
            last = of_kind(events, "ORDER_TRADE_UPDATE")[-1]["o"]
            assert (last["c"], last["x"], last["X"]) == ("H1", "TRADE", "FILLED")
            position = of_kind(events, "ACCOUNT_UPDATE")[0]["a"]["P"][0]
            assert position["pa"] == "-0.010"
            (risk,) = await client.futures_position_information(symbol="BTCUSDT")
            assert Decimal(risk["positionAmt"]) == Decimal("-0.01")
            assert (await client.futures_account())["assets"][0]["asset"] == "USDT"
            server.house.skip(EIGHT_HOURS)
            paid = await heard(user, "ACCOUNT_UPDATE")
            assert paid[-1]["a"]["m"] == "FUNDING_FEE" and not paid[-1]["a"]["P"]
        (payment,) = server.house.payments()
        (income,) = await client.futures_income_history(incomeType="FUNDING_FEE")
        assert Decimal(income["income"]) == payment.cash
        assert income["time"] == payment.settled_at // MS
        assert Decimal(paid[-1]["a"]["B"][0]["bc"]) == payment.cash
        rates = await client.futures_funding_rate(symbol="BTCUSDT", limit=3)
        assert len(rates) == 3 and Decimal(rates[-1]["fundingRate"]) == payment.rate
        assert rates[-1]["fundingTime"] == income["time"]
        assert payment.cash == payment.rate * Decimal(rates[-1]["markPrice"]) / 100  # short 0.01
        closing = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
        await client.futures_create_order(**closing, reduceOnly="true")
        assert await client.futures_position_information(symbol="BTCUSDT") == []
        assert not server.house.account.holding(PERP).quantity
        kinds = {row["incomeType"] for row in await client.futures_income_history()}
        assert kinds == {"FUNDING_FEE", "COMMISSION", "REALIZED_PNL"}


@awaited
async def test_a_resting_perpetual_order_dies_with_the_dead_mans_switch():
    async with in_process("binance-usdm") as server, python_binance(server) as (client, _):
        touch = await client.futures_orderbook_ticker(symbol="BTCUSDT")
        await client.futures_create_order(
            symbol="BTCUSDT", side="SELL", type="LIMIT", timeInForce="GTX", quantity="0.01",
            price=str(Decimal(touch["askPrice"]) * 101 / 100 // 1), newClientOrderId="REST1",
        )  # fmt: skip
        await client.futures_countdown_cancel_all(symbol="BTCUSDT", countdownTime=50)
        await until(lambda: not server.house.open_orders(Leg.FUTURES))
        order = await client.futures_get_order(symbol="BTCUSDT", origClientOrderId="REST1")
        assert order["status"] == "CANCELED"


@awaited
async def test_market_streams():
    async with in_process("binance-spot") as server, python_binance(server) as (_, sockets):
        async with listening(server, sockets.symbol_book_ticker_socket("BTCUSDT")) as stream:
            quote = await asyncio.wait_for(stream.recv(), 5)
            assert Decimal(quote["b"]) < Decimal(quote["a"])
        async with listening(server, sockets.depth_socket("BTCUSDT", depth="5")) as stream:
            book = await asyncio.wait_for(stream.recv(), 5)
            assert len(book["bids"]) == len(book["asks"]) == 5
        async with listening(
            server, sockets.multiplex_socket(["btcusdt@aggTrade", "btcusdt@kline_1m"])
        ) as stream:
            kinds = {(await asyncio.wait_for(stream.recv(), 5))["data"]["e"] for _ in range(3)}
            assert kinds == {"aggTrade", "kline"}
    async with in_process("binance-usdm") as server, python_binance(server) as (_, sockets):
        async with listening(server, sockets.symbol_mark_price_socket("BTCUSDT")) as stream:
            mark = (await asyncio.wait_for(stream.recv(), 5))["data"]
            assert mark["e"] == "markPriceUpdate" and mark["T"] > mark["E"]
            assert Decimal(mark["r"]) == server.house.rate(PERP).rate
        async with listening(server, sockets.symbol_ticker_futures_socket("BTCUSDT")) as stream:
            ticker = (await asyncio.wait_for(stream.recv(), 5))["data"]
            assert ticker["e"] == "bookTicker" and "T" in ticker


SPOT_REFUSALS = [
    ({"symbol": "NOSUCH"}, -1121),
    ({"quantity": "0.0000001"}, -1013),
    ({"quantity": "0.000000001"}, -1111),
    ({"price": "68000.001"}, -1013),
    ({"price": "10"}, -1013),
    ({"quantity": "5"}, -2010),
    ({"quantity": "0.000011", "price": "67000"}, -1013),
    ({"type": "LIMIT_MAKER", "price": "70000", "timeInForce": None}, -2010),
    ({"type": "STOP_LOSS"}, -1116),
    ({"timeInForce": "FOK"}, -1115),
    ({"side": "HOLD"}, -1117),
    ({"price": None}, -1102),
    ({"newClientOrderId": "DOTTED.ID"}, -1100),
    ({"newOrderRespType": "SOME"}, -1138),
]
USDM_REFUSALS = [
    ({"quantity": "0.0001"}, -1111),
    ({"price": "69000.05"}, -4014),
    ({"price": "100000"}, -4024),
    ({"quantity": "0.001"}, -4164),
    ({"price": "100000", "side": "BUY"}, -4016),
    ({"quantity": "900"}, -2019),
    ({"quantity": "1001"}, -4005),
    ({"type": "MARKET", "quantity": "126", "price": None, "timeInForce": None}, -4005),
    ({"timeInForce": "GTX", "price": "68000"}, -5022),
    ({"reduceOnly": "true"}, -2022),
    ({"positionSide": "SHORT"}, -4061),
    ({"quantity": "0"}, -4003),
    ({"type": "LIMIT_MAKER"}, -1116),
]


async def codes_of(place, order, cases, refused):
    """Return what each change of an order is refused with, beside what it should be."""
    found = []
    for change, code in cases:
        given = {key: value for key, value in (order | change).items() if value is not None}
        with pytest.raises(refused) as error:
            await place(**given)
        found.append((change, error.value.code, code))
    return found


@awaited
async def test_spot_refusals_have_the_venues_codes():
    async with in_process("binance-spot") as server, python_binance(server) as (client, _):
        order = {
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.01", "price": "67500",
        }  # fmt: skip
        refused = binance.BinanceAPIException
        for change, got, code in await codes_of(client.create_order, order, SPOT_REFUSALS, refused):
            assert got == code, change
        assert not server.house.orders(Leg.SPOT)


@awaited
async def test_usdm_refusals_have_the_venues_codes():
    rules = {"futures": {"notional_min": "100"}}
    async with (
        in_process("binance-usdm", sim=rules) as server,
        python_binance(server) as (client, _),
    ):
        order = {
            "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.01", "price": "69000",
        }  # fmt: skip
        place, refused = client.futures_create_order, binance.BinanceAPIException
        for change, got, code in await codes_of(place, order, USDM_REFUSALS, refused):
            assert got == code, change
        assert not server.house.orders(Leg.FUTURES)


@awaited
async def test_an_id_is_free_again_once_its_order_has_ended():
    async with in_process("binance-spot") as server, python_binance(server) as (client, _):
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        order |= {"quantity": "0.01", "price": "67500", "newClientOrderId": "AGAIN"}
        first = await client.create_order(**order)
        with pytest.raises(binance.BinanceAPIException) as refused:
            await client.create_order(**order)
        assert refused.value.code == -2010 and "Duplicate" in refused.value.message
        await client.cancel_order(symbol="BTCUSDT", origClientOrderId="AGAIN")
        second = await client.create_order(**order)
        assert second["orderId"] != first["orderId"] and second["clientOrderId"] == "AGAIN"
        found = await client.get_order(symbol="BTCUSDT", origClientOrderId="AGAIN")
        assert found["orderId"] == second["orderId"] and found["status"] == "NEW"
        assert len(server.house.orders(Leg.SPOT, SPOT)) == 2
