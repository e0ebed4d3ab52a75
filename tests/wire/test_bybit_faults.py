"""Every wire fault of the Bybit dialect does what it says, and the venue's truth says what it did.

Goal: a client can be tried against lost answers, orders that live behind an error, and streams that
lie. Method: switch one fault on, look at the answer and at the account.
"""

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

aiohttp = pytest.importorskip("aiohttp")

from bybit_raw import SYMBOL, WAIT_S, Raw, raw  # noqa: E402 - needs aiohttp

CREATE = "/v5/order/create"


def run(drive: Callable[[Raw], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def main() -> None:
        async with raw(**options) as client:
            await drive(client)

    asyncio.run(main())


def resting(client: Raw, **more: Any) -> dict[str, Any]:
    return client.order("linear", "Buy", "0.01", "0.98", **more)


def taking(client: Raw, **more: Any) -> dict[str, Any]:
    return client.order("linear", "Buy", "0.01", "1.01", timeInForce="IOC", **more)


@pytest.mark.parametrize(
    ("fault", "lives"), [("unknown_performed", True), ("unknown_refused", False)]
)
def test_10016_says_nothing_of_the_order(fault: str, lives: bool) -> None:
    async def drive(client: Raw) -> None:
        trade = await client.trade()
        for place in (
            lambda order: client.create(**order),
            lambda order: trade.order("order.create", order),
        ):
            client.fault(f"{fault}=#1,match=create")
            order = resting(client)
            assert (await place(order))["retCode"] == 10016
            assert (await client.state(order) is not None) is lives
            assert (await place(resting(client)))["retCode"] == 0
        assert client.server.faults.struck == {fault: 2}

    run(drive)


@pytest.mark.parametrize(("fault", "lives"), [("drop_in_flight", True), ("drop_before", False)])
def test_a_connection_that_is_cut_leaves_the_order_in_doubt(fault: str, lives: bool) -> None:
    async def drive(client: Raw) -> None:
        client.fault(f"{fault}=#1")
        order = resting(client)
        with pytest.raises(aiohttp.ClientError):
            await client.create(**order)
        assert (await client.state(order) is not None) is lives
        trade = await client.trade()
        client.fault(f"{fault}=#1")
        order = resting(client)
        with pytest.raises((ConnectionError, aiohttp.ClientError)):
            await trade.order("order.create", order)
        assert (await client.state(order) is not None) is lives

    run(drive)


@pytest.mark.parametrize(
    ("fault", "code", "lives"), [("late_answer", 0, True), ("late_error", 10016, False)]
)
def test_an_answer_may_come_late(fault: str, code: int, lives: bool) -> None:
    async def drive(client: Raw) -> None:
        trade = await client.trade()
        client.fault(f"{fault}=#1,ms=150")
        order, other = resting(client), resting(client)
        message = trade.order_message("order.create", order)
        await trade.send(message)
        assert (await trade.order("order.create", other))["retCode"] == 0
        late = await trade.frame(lambda f: f.get("reqId") == message["reqId"])
        assert late["retCode"] == code
        assert (await client.state(order) is not None) is lives
        client.fault(f"{fault}=#1,ms=50")
        assert (await client.create(**resting(client)))["retCode"] == code

    run(drive)


def test_an_error_may_name_no_request() -> None:
    async def drive(client: Raw) -> None:
        trade = await client.trade()
        client.fault("null_error=#1")
        order = resting(client)
        await trade.send(trade.order_message("order.create", order))
        frame = await trade.frame()
        assert "reqId" not in frame and frame["retCode"] == 10016
        assert await client.state(order) is None

    run(drive)


def test_refusals_that_are_the_venues_mood() -> None:
    async def drive(client: Raw) -> None:
        client.fault("bad_timestamp=#1")
        assert (await client.create(**resting(client)))["retCode"] == 10002
        client.fault("rate_limit=#1,ms=700")
        limited = await client.create(**resting(client))
        assert (limited["retCode"], limited["headers"]["X-Bapi-Limit-Status"]) == (10006, "0")
        assert int(limited["headers"]["X-Bapi-Limit-Reset-Timestamp"]) > limited["time"] + 500
        client.fault("busy_server=#1,match=position")
        path = f"{client.server.url}/v5/position/list?category=linear&symbol={SYMBOL}"
        headers = client.headers(f"category=linear&symbol={SYMBOL}")
        async with client.http.get(path, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (502, "text/html")
        client.fault("ban=#1,ms=60000")
        for _ in range(2):
            async with client.http.get(f"{client.server.url}/v5/market/time") as answer:
                assert (answer.status, await answer.text()) == (403, "403, access too frequent")
        client.fault("clock_offset,ms=5000")

    run(drive)


def test_a_clock_that_is_wrong_refuses_honest_requests() -> None:
    async def drive(client: Raw) -> None:
        client.fault("clock_offset,ms=7000")
        refused = await client.create(**resting(client))
        assert refused["retCode"] == 10002
        told = (await client.get("/v5/market/time"))["time"]
        assert 6_500 < told - client.house.wall() // 1_000_000 <= 7_000

    run(drive)


def test_a_part_is_filled_and_the_rest_rejected() -> None:
    async def drive(client: Raw) -> None:
        heard = await client.private("order", "execution")
        for time_in_force in ("IOC", "GTC"):
            client.fault("partial_then_reject=#1")
            order = taking(client) | {"timeInForce": time_in_force}
            assert (await client.create(**order))["retCode"] == 0
            frame = await heard.frame(
                lambda f: f.get("topic") == "order" and f["data"][0]["orderStatus"] == "Rejected"
            )
            row = frame["data"][0]
            assert row["orderLinkId"] == order["orderLinkId"]
            assert row["cumExecQty"] == "0.005" == (await client.state(order))["cumExecQty"]
            assert row["timeInForce"] == time_in_force
        truth = client.house.position("BTC/USDT:USDT")
        assert truth.quantity == Decimal("0.01")

    run(drive)


def test_events_may_precede_their_acknowledgement() -> None:
    async def drive(client: Raw) -> None:
        both = await client.private("order")
        trade = await client.trade()
        seen: list[str] = []
        done = asyncio.Event()

        async def listen(channel: Any, word: str, wanted: str) -> None:
            await channel.frame(lambda f: wanted in (f.get("topic"), f.get("op")))
            seen.append(word)
            if len(seen) == 2:
                done.set()

        client.fault("event_first")
        await trade.send(trade.order_message("order.create", taking(client)))
        async with asyncio.TaskGroup() as group:
            group.create_task(listen(both, "event", "order"))
            group.create_task(listen(trade, "ack", "order.create"))
            await asyncio.wait_for(done.wait(), WAIT_S)
        assert seen == ["event", "ack"]

    run(drive)


def test_the_first_event_may_precede_the_subscription() -> None:
    async def drive(client: Raw) -> None:
        client.fault("subscribe_race")
        public = await client.channel("/v5/public/linear")
        await public.send({"op": "subscribe", "args": [f"tickers.{SYMBOL}"], "req_id": "1"})
        assert (await public.frame())["topic"] == f"tickers.{SYMBOL}"
        assert (await public.frame())["op"] == "subscribe"
        private = await (await client.channel("/v5/private")).authed()
        await private.send({"op": "subscribe", "args": ["order"], "req_id": "2"})
        await client.create(**resting(client))
        assert (await private.frame())["topic"] == "order"
        assert (await private.frame())["op"] == "subscribe"

    run(drive)


def test_a_ticker_may_come_in_changes_only() -> None:
    async def drive(client: Raw) -> None:
        client.fault("delta_only")
        public = await client.channel("/v5/public/linear")
        await public.ask("subscribe", f"tickers.{SYMBOL}")
        frames = [await public.topic(f"tickers.{SYMBOL}") for _ in range(3)]
        assert {frame["type"] for frame in frames} == {"delta"}

    run(drive)


def test_executions_are_told_twice_late_or_never() -> None:
    async def drive(client: Raw) -> None:
        heard = await client.private("execution", "order")
        client.fault("duplicate=#1,match=execution")
        await client.create(**taking(client))
        first, second = await heard.topic("execution"), await heard.topic("execution")
        assert first == second
        await heard.topic("order")
        client.fault("reorder=#1,ms=50")
        late = taking(client)
        await client.create(**late)
        assert (await heard.frame(lambda f: "topic" in f))["topic"] == "order"
        row = (await heard.topic("execution"))["data"][0]
        assert row["orderLinkId"] == late["orderLinkId"]
        client.fault("drop_event=#1,match=execution")
        lost, next_one = taking(client), taking(client)
        await client.create(**lost)
        await client.create(**next_one)
        row = (await heard.topic("execution"))["data"][0]
        assert row["orderLinkId"] == next_one["orderLinkId"]
        rows = await client.rows("/v5/execution/list", category="linear")
        assert lost["orderLinkId"] in {row["orderLinkId"] for row in rows}

    run(drive)


def test_a_restarting_service_takes_no_new_orders_and_then_closes() -> None:
    async def drive(client: Raw) -> None:
        trade = await client.trade()
        async with client.http.post(
            f"{client.server.url}/sim/fault", json={"name": "server_shutdown", "ms": 200}
        ) as answer:
            assert answer.status == 200
        order = resting(client)
        assert (await trade.order("order.create", order))["retCode"] == 10019
        assert await client.state(order) is None
        fresh = await client.trade()
        assert (await fresh.order("order.create", order))["retCode"] == 0
        with pytest.raises(ConnectionError):
            await trade.frame()

    run(drive)


@pytest.mark.parametrize("action", ["cut", "day_close", "half_open"])
def test_sockets_end_in_every_way(action: str) -> None:
    async def drive(client: Raw) -> None:
        heard = await client.private("order")
        async with client.http.post(
            f"{client.server.url}/sim/fault", json={"name": action}
        ) as answer:
            assert answer.status == 200
        await client.create(**resting(client))
        if action == "half_open":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(heard.frame(), 0.2)
            await heard.socket.send_json({"op": "ping"})
            assert not heard.socket.closed
        else:
            with pytest.raises((ConnectionError, aiohttp.ClientError)):
                await heard.frame()
        again = await client.private("order")
        await client.create(**resting(client))
        assert (await again.topic("order"))["data"][0]["orderStatus"] == "New"

    run(drive)
