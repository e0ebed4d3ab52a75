"""Goal: every wire fault does what it says, at the place it says, and the truth stays right.
Method: requests by hand; each fault switched on by name, at start or while the server runs.
"""

import asyncio
import contextlib
import json
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from servers import awaited, in_process, until
from test_binance_requests import ORDER, Line, by_hand, now_ms

from hedge.errors import UsageError
from hedge.model import Leg
from hedge_sim.dialects.faults import ACTIONS, SWITCHES, Fault, Faults, parse_fault

TAKING = ORDER | {"price": "69000", "timeInForce": "IOC"}
API = "/ws-api/v3"


def orders_of(server, leg=Leg.SPOT):
    return server.house.orders(leg)


class Lined:
    """A spot server with a WebSocket API connection that hears the account."""

    def __init__(self, *faults, dialect="binance-spot"):
        self.faults = faults
        self.hand_of = by_hand(dialect, faults=faults)

    async def __aenter__(self):
        self.hand = await self.hand_of.__aenter__()
        self.server = self.hand.server
        self.socket = await self.hand.http.ws_connect(self.server.ws_url + API)
        self.line = Line(self.socket)
        return self

    async def __aexit__(self, *error):
        await self.socket.close()
        await self.hand_of.__aexit__(*error)


def test_words_of_a_fault():
    assert parse_fault("cut") == Fault(name="cut")
    assert parse_fault("duplicate=0.2").rate == Decimal("0.2")
    fifth = parse_fault("drop_in_flight=#5,match=order.place")
    assert (fifth.after, fifth.times, fifth.match) == (5, 1, "order.place")
    assert parse_fault("late_answer=0.1,ms=500").duration_ms == 500
    for bad in ("nosuch", "duplicate=2", "duplicate=x", "duplicate,color=red", "late_answer=#x"):
        with pytest.raises(UsageError):
            parse_fault(bad)


def test_draws_are_seeded_and_counted():
    def drawn(seed):
        faults = Faults(seed)
        faults.set(Fault(name="duplicate", rate=Decimal("0.3")))
        return [faults.hit("duplicate") is not None for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 30 < sum(drawn(1)) < 90
    faults = Faults(1)
    faults.set(Fault(name="cut", after=3, times=2))
    assert [faults.hit("cut") is not None for _ in range(6)] == [0, 0, 1, 1, 0, 0]
    assert faults.struck == {"cut": 2}


@awaited
async def test_unknown_outcomes_with_the_order_alive_or_not():
    for name, alive in (("unknown_performed", 1), ("unknown_refused", 0)):
        async with Lined(f"{name}=#1") as lined:
            answer = await lined.line.ask("order.place", ORDER)
            assert (answer["status"], answer["error"]["code"]) == (503, -1007)
            assert len(orders_of(lined.server)) == alive
            again = await lined.line.ask("order.place", ORDER)
            assert again["status"] == 200  # the first one only
        async with by_hand("binance-usdm", faults=(f"{name}=#1",)) as hand:
            sale = ORDER | {"side": "SELL", "price": "69000"}
            status, body, _ = await hand.ask("POST", "/fapi/v1/order", sale)
            assert status == 503 and body["msg"].startswith("Unknown error")
            assert len(orders_of(hand.server, Leg.FUTURES)) == alive


@awaited
async def test_a_connection_dropped_in_flight():
    for name, alive in (("drop_in_flight", 1), ("drop_before", 0)):
        async with Lined(f"{name}=#1,match=order.place") as lined:
            with pytest.raises((TypeError, aiohttp.ClientError)):
                await lined.line.ask("order.place", ORDER)
            assert lined.socket.closed and len(orders_of(lined.server)) == alive
        async with by_hand(faults=(f"{name}=#1,match=/api/v3/order",)) as hand:
            with pytest.raises(aiohttp.ClientConnectionError):
                await hand.ask("POST", "/api/v3/order", ORDER)
            assert len(orders_of(hand.server)) == alive


@awaited
async def test_late_answers_late_errors_and_errors_without_a_name():
    for name, alive in (("late_answer", 1), ("late_error", 0)):
        async with Lined(f"{name}=#1,ms=150") as lined:
            began = now_ms()
            answer = await lined.line.ask("order.place", ORDER)
            assert now_ms() - began >= 150
            assert (answer["status"] == 200) == bool(alive)
            assert len(orders_of(lined.server)) == alive
    async with Lined("null_error=#1") as lined:
        asking = asyncio.create_task(lined.line.ask("order.place", ORDER))
        await until(lambda: lined.line.events)
        asking.cancel()
        (nameless,) = lined.line.events
        assert nameless["id"] is None and nameless["status"] == 503
        assert not orders_of(lined.server)


@awaited
async def test_limits_bans_timestamps_and_pages_of_html():
    faults = ("rate_limit=#1,match=/api/v3/account", "bad_timestamp=#1,match=/api/v3/openOrders")
    async with by_hand(faults=faults) as hand:
        status, body, headers = await hand.ask("GET", "/api/v3/account")
        assert (status, body["code"], headers["Retry-After"]) == (429, -1003, "2")
        assert (await hand.ask("GET", "/api/v3/openOrders"))[1]["code"] == -1021
        assert (await hand.ask("GET", "/api/v3/openOrders"))[0] == 200
        hand.server.faults.set(Fault(name="ban", times=1, ms=60_000))
        status, body, headers = await hand.ask("GET", "/api/v3/account")
        assert (status, headers["Retry-After"]) == (418, "60")
        hand.server.faults.set(Fault(name="busy_server", times=1))
        async with hand.http.get(hand.server.url + "/api/v3/ping") as answer:
            assert answer.status == 502 and "<html>" in await answer.text()
        hand.server.faults.set(Fault(name="clock_offset", ms=10_000))
        served = (await hand.plain("/api/v3/time"))[1]["serverTime"]
        assert 9_000 < served - now_ms() < 11_000
        assert (await hand.ask("GET", "/api/v3/account"))[1]["code"] == -1021


@awaited
async def test_a_taking_order_gets_a_part_and_the_rest_is_refused():
    async with Lined("partial_then_reject=#1") as lined:
        await lined.line.ask("userDataStream.subscribe.signature")
        answer = await lined.line.ask("order.place", TAKING)
        assert answer["result"]["status"] == "EXPIRED"
        assert answer["result"]["executedQty"] == "0.00500000"
        await lined.line.ask("ping", signed=False)
        reports = [m["event"] for m in lined.line.events if m["event"]["e"] == "executionReport"]
        assert [r["x"] for r in reports] == ["NEW", "TRADE", "EXPIRED"]


@awaited
async def test_events_before_their_acknowledgement_twice_late_or_never():
    async def messages(fault, order=TAKING):
        async with Lined(*([fault] if fault else [])) as lined:
            await lined.line.ask("userDataStream.subscribe.signature")
            await lined.line.ask("order.place", order)
            before = [m["event"].get("x") for m in lined.line.events if "event" in m]
            with contextlib.suppress(TimeoutError):  # all that comes within a moment
                await asyncio.wait_for(lined.line.answer("nothing"), 0.1)
            return before, [m["event"].get("x") for m in lined.line.events if "event" in m]

    assert await messages("") == ([], ["NEW", "TRADE", None])
    before, _ = await messages("event_first=#1")
    assert before == ["NEW", "TRADE", None]
    assert (await messages("duplicate"))[1] == ["NEW", "TRADE", "TRADE", None]
    assert (await messages("reorder,ms=30"))[1] == ["NEW", None, "TRADE"]
    assert (await messages("drop_event,match=executionReport"))[1] == [None]


@awaited
async def test_the_first_event_before_the_subscription_is_acknowledged():
    async with Lined("subscribe_race") as lined:
        await lined.line.ask("userDataStream.subscribe.signature")
        assert lined.line.events[0]["event"]["e"] == "outboundAccountPosition"
        async with lined.hand.http.ws_connect(lined.server.ws_url + "/ws") as socket:
            await socket.send_json(
                {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}
            )
            assert "b" in await socket.receive_json()
            while (await socket.receive_json()).get("id") != 1:
                pass


@awaited
async def test_a_ticker_without_its_first_state():
    stream = "/ws/btcusdt@bookTicker"
    async with by_hand(faults=("delta_only",), pulse_ms=60_000) as hand:
        async with hand.http.ws_connect(hand.server.ws_url + stream) as socket:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.receive_json(), 0.2)
        hand.server.faults.clear()
        async with hand.http.ws_connect(hand.server.ws_url + stream) as socket:
            assert "b" in await asyncio.wait_for(socket.receive_json(), 5)


@awaited
async def test_listen_keys_expire_and_are_made_anew():
    async with by_hand("binance-usdm") as hand:
        first = (await hand.ask("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
        assert (await hand.ask("POST", "/fapi/v1/listenKey"))[1]["listenKey"] == first
        url = f"{hand.server.ws_url}/private/ws?listenKey={first}"
        async with hand.http.ws_connect(url) as socket:
            await act(hand, "listen_key_expired")
            said = await asyncio.wait_for(socket.receive_json(), 5)
            assert (said["e"], said["listenKey"]) == ("listenKeyExpired", first)
            assert (await hand.ask("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125
            second = (await hand.ask("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
            assert second != first
            sale = ORDER | {"side": "SELL", "price": "69000"}
            await hand.ask("POST", "/fapi/v1/order", sale)
            with pytest.raises(TimeoutError):  # the old stream is mute
                await asyncio.wait_for(socket.receive_json(), 0.2)


async def act(hand, name, **fields):
    url = hand.server.url + "/sim/fault"
    async with hand.http.post(url, data=json.dumps({"name": name} | fields)) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


@awaited
async def test_shutdown_day_close_cut_and_half_open():
    async with by_hand() as hand:

        async def opened():
            patience = aiohttp.ClientWSTimeout(ws_close=0.1)
            return await hand.http.ws_connect(hand.server.ws_url + API, timeout=patience)

        socket = await opened()
        await act(hand, "server_shutdown", ms=50)
        said = await asyncio.wait_for(socket.receive_json(), 5)
        assert said["event"]["e"] == "serverShutdown"
        assert (await asyncio.wait_for(socket.receive(), 5)).type is aiohttp.WSMsgType.CLOSE
        await socket.close()

        socket = await opened()
        await act(hand, "day_close")
        closing = await asyncio.wait_for(socket.receive(), 5)
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        await socket.close()

        socket = await opened()
        await act(hand, "cut")
        assert (await asyncio.wait_for(socket.receive(), 5)).type in (
            aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSING,
        )  # fmt: skip

        socket = await opened()
        struck = (await act(hand, "half_open"))["struck"]
        assert struck == {"server_shutdown": 1, "day_close": 1, "cut": 1, "half_open": 1}
        await socket.send_json({"id": 1, "method": "ping"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.receive(), 0.2)
        assert not socket.closed  # no FIN: the client cannot know
        await socket.close()


@awaited
async def test_switches_by_control_path_and_what_they_refuse():
    async with by_hand() as hand:
        await act(hand, "duplicate", rate="0.5")
        async with hand.http.get(hand.server.url + "/sim/fault") as answer:
            assert [f["name"] for f in (await answer.json())["on"]] == ["duplicate"]
        for bad in ({"name": "nosuch"}, {"name": "cut", "rate": 5, "after": 2}, {"color": "red"}):
            url = hand.server.url + "/sim/fault"
            async with hand.http.post(url, data=json.dumps(bad)) as answer:
                assert answer.status == 400 and "error" in await answer.json()
        async with hand.http.delete(hand.server.url + "/sim/fault") as answer:
            assert (await answer.json())["on"] == []
        async with hand.http.get(hand.server.url + "/sim/truth") as answer:
            truth = await answer.json()
        assert truth["balances"]["USDT"] == "100000" and truth["orders"] == []


@awaited
async def test_an_action_with_a_rate_is_drawn_each_second():
    async with in_process("binance-spot", faults=("cut=#1",)) as server:
        await until(lambda: server.faults.struck == {"cut": 1})


def test_every_fault_has_a_test():
    text = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in SWITCHES if f'"{name}' not in text and name not in ACTIONS} == set()
    assert all(f'"{name}' in text for name in ACTIONS)
