"""What goes wrong between the Binance plugin and its venue that the simulator itself never does.

Goal: a connection that fails half-way, a question that is not answered and a page instead of an
answer leave nobody deaf, and end nothing. Method: a small server in the place of one of the
venue's, or before it, on the running loop; everything else is the wire simulator.
"""

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web
from between import Raw, serving
from binance_desk import BinanceDesk, desk, legs, run
from desks import PERP, SPOT
from servers import in_process
from yarl import URL

from hedge.errors import Refused, Unreachable
from hedge.model import (
    FundingPayment,
    Leg,
    OrderReport,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    StreamAlive,
    StreamDown,
    StreamUp,
)
from hedge.model.numbers import MS, SECOND
from hedge.transport import TroubleKind
from hedge_binance import funding, futures
from hedge_sim.dialects.faults import Fault

PAGE = "<html>maintenance</html>"


async def forwarded(http, url, request):
    """Have the simulator answer a request, as it stands."""
    names = ("X-MBX-APIKEY", "Content-Type")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    data, whole = await request.read(), URL(f"{url}{request.raw_path}", encoded=True)
    async with http.request(request.method, whole, data=data, headers=headers) as found:
        return web.Response(status=found.status, body=await found.read())


def ticker(bid):
    data = {"s": "BTCUSDT", "b": f"{bid}", "B": "1", "a": f"{bid + 1}", "A": "1"}
    return {"stream": "btcusdt@bookTicker", "data": data}


def test_a_connection_that_never_became_ready_silences_nobody():
    async def opened(number, line):
        await line.send_json(ticker(number))
        if number == 2:
            await line.close()

    async def told(_, line, message):
        await line.send_json({"result": None, "id": message["id"]})

    async def work():
        raw, news = Raw(told, opened, lines_max=2), []
        async with (
            serving(raw.handle) as where,
            desk(Leg.SPOT, spot_stream_url=f"ws://{where}") as it,
        ):
            await it.spot_feed.listen(SPOT, news.append)
            await it.until(lambda: StreamUp in map(type, news))
            await raw.lines[0].send_json({"stream": "!serverShutdown", "data": {}})
            await it.until(lambda: len(raw.lines) == 2 and raw.lines[1].closed)
            bids = iter(range(100, 10_000))

            def heard():
                return any(isinstance(one, Quote) and one.bid >= 100 for one in news)

            while not heard():
                await raw.lines[0].send_json(ticker(next(bids)))
                await asyncio.sleep(0.01)
            assert StreamDown not in map(type, news), "the first connection has told all the time"

    run(work)


def test_a_subscription_that_is_not_answered_is_made_on_another_connection():
    deaf = True

    async def told(_, line, message):
        nonlocal deaf
        asked = message.get("params") or []
        if deaf and any(name.startswith("pad") for name in asked):
            deaf = False
            return
        await line.send_json({"result": None, "id": message["id"]})

    async def work():
        raw, news = Raw(told), []
        async with (
            serving(raw.handle) as where,
            desk(
                Leg.SPOT,
                server={"padding": 1},
                spot_stream_url=f"ws://{where}",
                read_timeout_ms=500,
            ) as it,
        ):
            await it.spot_feed.listen(SPOT, news.append)
            await it.until(lambda: StreamUp in map(type, news))
            symbols = [one.symbol for one in await it.spot_feed.read_instruments()]
            (other,) = [one for one in symbols if one != SPOT]
            await it.spot_feed.listen(other, news.append)
            await it.until(lambda: len(raw.lines) == 2)

    run(work)


def test_a_subscription_that_is_refused_costs_the_others_nothing():
    async def told(_, line, message):
        bad = any(name.startswith("pad") for name in message.get("params") or [])
        answer = {"error": {"code": 2, "msg": "Invalid request"}} if bad else {"result": None}
        await line.send_json(answer | {"id": message["id"]})

    async def work():
        raw, news, more = Raw(told), [], []
        async with (
            serving(raw.handle) as where,
            desk(Leg.SPOT, server={"padding": 1}, spot_stream_url=f"ws://{where}") as it,
        ):
            await it.spot_feed.listen(SPOT, news.append)
            await it.until(lambda: StreamUp in map(type, news))
            symbols = [one.symbol for one in await it.spot_feed.read_instruments()]
            (other,) = [one for one in symbols if one != SPOT]
            for _ in range(2):  # who tries again is not told that all is well
                with pytest.raises(Refused, match="Invalid request"):
                    await it.spot_feed.listen(other, more.append)
            await raw.lines[0].close()
            await it.until(lambda: [type(one) for one in news].count(StreamUp) == 2)
            assert not more

    run(work)


@legs()
@pytest.mark.parametrize("before", [True, False], ids=["while_dialling", "on_a_later_connection"])
def test_an_instrument_that_a_connection_is_refused_leaves_the_others_their_prices(leg, before):
    """No line was there to ask, or the coin was delisted: no connection came up for anybody."""
    kind = "@bookTicker" if leg is Leg.SPOT else "@markPrice@1s"
    refused = []

    async def told(_, line, message):
        names = message.get("params") or []
        bad = any(name.startswith("pad") and name.endswith(tuple(refused)) for name in names)
        answer = {"error": {"code": 2, "msg": "Invalid request"}} if bad else {"result": None}
        await line.send_json(answer | {"id": message["id"]})
        for name in () if bad else names:
            if name.endswith("@bookTicker"):
                await line.send_json(ticker(100) | {"stream": name})

    async def work():
        raw, news, more = Raw(told), [], []
        async with (
            serving(raw.handle) as where,
            desk(leg, server={"padding": 1}, **{f"{leg.value}_stream_url": f"ws://{where}"}) as it,
        ):
            feed, mine = (it.spot_feed, SPOT) if leg is Leg.SPOT else (it.futures_feed, PERP)
            symbols = [one.symbol for one in await feed.read_instruments()]
            (other,) = [one for one in symbols if one != mine]
            if before:
                refused.append(kind)
            await feed.listen(other, more.append)
            await feed.listen(mine, news.append)
            if not before:
                await it.until(lambda: {StreamUp, Quote} <= {*map(type, news)} & {*map(type, more)})
                refused.append(kind)
                for line in raw.lines[:]:
                    await line.close()
                await it.until(lambda: StreamDown in map(type, news))
                news.clear()
            await it.until(lambda: {StreamUp, Quote} <= {*map(type, news)})
            downs = [number for number, one in enumerate(more) if isinstance(one, StreamDown)]
            assert "Invalid request" in more[downs[-1]].why
            assert not {StreamUp, StreamAlive} & {*map(type, more[downs[0] :])}
            (trouble,) = [one for one in it.link.troubles if one.kind is TroubleKind.REFUSED]
            assert trouble.text.startswith("pad")
            count, heard = len(more), len(news)
            await it.until(lambda: len([n for n in news[heard:] if isinstance(n, StreamAlive)]) > 1)
            assert len(more) == count, "nor is it told that the stream lives"
            with pytest.raises(Refused, match="Invalid request"):
                await feed.listen(other, more.append)
            refused.clear()
            await feed.listen(other, more.append)
            assert isinstance(more[-1], StreamUp)

    run(work)


@legs()
def test_a_message_that_cannot_be_read_makes_the_core_look_for_itself(leg):
    frames = (
        b'{"event": {"e": "executionReport", "s": "BTCUSDT"}}',
        b'{"event": {"e": "anEventOfTomorrow"}}',
        b"not JSON at all",
    )
    if leg is Leg.FUTURES:
        frames = (
            b'{"e": "ORDER_TRADE_UPDATE", "o": {"s": "BTCUSDT"}}',
            b'{"e": "anEventOfTomorrow"}',
            b"not JSON at all",
        )

    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            path = "/ws-api/v3" if leg is Leg.SPOT else "/private"
            (account,) = [one for one in it.server(leg).sockets if one.path.startswith(path)]
            for number, frame in enumerate(frames, 2):
                account.send_raw(frame)
                await it.until(lambda n=number: len(it.told(leg, StreamUp)) == n)
            await it.gateway(leg).place_order(await it.order(leg))
            await it.until(lambda: it.told(leg, OrderReport))
            assert not it.told(leg, StreamDown), "and the reader goes on"

    run(work)


def test_a_subscription_that_ends_before_its_gap_is_filled_is_made_anew():
    async def told(number, line, message):
        result = {"subscriptionId": number} if "subscribe" in message["method"] else {}
        await line.send_json({"id": message["id"], "status": 200, "result": result})
        if number == 2 and "subscribe" in message["method"]:
            await line.send_json({"event": {"e": "eventStreamTerminated", "E": 1}})

    async def work():
        raw = Raw(told)
        async with (
            serving(raw.handle) as where,
            desk(Leg.SPOT, spot_ws_url=f"ws://{where}") as it,
        ):
            await it.listen(Leg.SPOT)
            await raw.lines[0].close()
            await it.until(lambda: len(raw.lines) == 3)
            await it.until(lambda: len(it.told(Leg.SPOT, StreamUp)) == 2)

    run(work)


def test_pages_instead_of_a_settlements_books_end_nothing(monkeypatch):
    """What follows a settlement asks again; as a task that ended it would end the process."""
    for module, name in ((futures, "PAYMENT_TRIES"), (funding, "SETTLED_TRIES")):
        monkeypatch.setattr(module, name, (50 * MS,) * 10)
    spoilt, ended, rates = [], [], []

    async def work():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: ended.append(context))
        async with contextlib.AsyncExitStack() as stack:
            server = await stack.enter_async_context(in_process("binance-usdm"))
            http = await stack.enter_async_context(aiohttp.ClientSession())

            async def pass_on(request):
                if request.path in spoilt:
                    spoilt.remove(request.path)
                    return web.Response(text=PAGE)
                return await forwarded(http, server.url, request)

            hosts = {
                "futures_url": f"http://{await stack.enter_async_context(serving(pass_on))}",
                "futures_ws_url": f"{server.ws_url}/ws-fapi/v1",
                "futures_stream_url": server.ws_url,
            }
            it = await stack.enter_async_context(BinanceDesk(None, server, **hosts))
            await it.listen(Leg.FUTURES)
            await it.futures_gateway.place_order(await it.order(Leg.FUTURES, Side.SELL, "0.1"))
            await it.funding_source.listen(PERP, rates.append)
            await it.until(lambda: [one for one in rates if one.origin is RateOrigin.LIVE])
            rate = await it.funding_source.read_rate(PERP)
            spoilt.extend(["/fapi/v1/income", "/fapi/v1/fundingRate"])
            server.house.skip(rate.next_at - it.clock.now() + MS)
            await it.until(lambda: it.told(Leg.FUTURES, FundingPayment))
            await it.until(lambda: [one for one in rates if one.origin is RateOrigin.SETTLED][1:])
            assert not spoilt and not ended

    run(work)


def test_a_cancel_does_not_ask_for_the_clock_first():
    """To wait for an answer would use up the time that the core gives a cancel."""

    async def work():
        async with desk(Leg.FUTURES) as it:
            gateway = it.futures_gateway  # nobody listens: there is no order socket, only REST
            resting = await it.order(Leg.FUTURES, away="0.01")
            await gateway.place_order(resting)
            faults = it.futures.faults
            faults.set(Fault(name="bad_timestamp", match="/openOrders"))
            with pytest.raises(Unreachable, match="-1021"):  # what was learned counts as old now
                await gateway.read_open_orders(PERP)
            budget = (await it.link.cold(Leg.FUTURES)).budget
            budget.close(until=it.clock.now() + 3_600 * SECOND)  # 429: for reads only
            faults.set(Fault(name="busy_server", match="/time"))
            report = await gateway.cancel_order(PERP, resting.client_order_id)
            assert report.status is ReportedStatus.CANCELLED
            assert "busy_server" not in faults.struck

    run(work)


@pytest.mark.parametrize(("bid", "ask"), [("0.00000000", "0.00000000"), ("0.00000000", "600.0")])
def test_an_empty_book_is_no_price(bid, ask):
    """A coin listed a moment ago: nothing may be divided by it, and no fee be worth half."""

    async def empty(_):
        return web.json_response({"symbol": "BTCUSDT", "bidPrice": bid, "askPrice": ask})

    async def work():
        bundle = {
            "server": {"sim": {"futures": {"multiplier": "1000", "lot": "0.000001"}}},
            "multipliers": {"1000BTC": "1000"},
        }
        async with (
            serving(empty) as where,
            desk(Leg.FUTURES, spot_url=f"http://{where}", **bundle) as it,
        ):
            with pytest.raises(Unreachable, match="BTCUSDT has no price"):
                await it.link.read_mid(Leg.SPOT, "BTCUSDT")
            assert (await it.futures_feed.read_instrument(PERP)).multiplier == 1_000

    run(work)
