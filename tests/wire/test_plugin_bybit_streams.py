"""Goal: the Bybit plugin's streams tell everything once, through every end of theirs.
Method: the wire simulator on the same loop, its truth, and its faults on demand.
"""

import asyncio
import contextlib
from collections import Counter

import pytest
from between import Raw, serving
from bybit_desk import BybitDesk, run
from desks import PERP, SPOT, WAIT_S, D, heard_again
from servers import in_process, until

from hedge.errors import OutcomeUnknown, Refused, Unreachable
from hedge.model import (
    Fill,
    FillKind,
    Leg,
    Mark,
    OrderReport,
    Position,
    Quote,
    ReportedStatus,
    Side,
    StreamDown,
    StreamUp,
    TimeInForce,
)
from hedge.transport import TroubleKind
from hedge_sim.dialects.faults import Fault


def test_what_happened_during_a_gap_is_told_before_the_stream_is_up_again():
    async def scenario(desk):
        await desk.listen()
        resting = desk.order(Leg.SPOT, Side.BUY, "0.02", by="-0.02", how=TimeInForce.GTC)
        await desk.spot_gateway.place_order(resting)
        await desk.trade(Leg.FUTURES, Side.SELL, "0.02")
        await desk.until("spot", OrderReport, lambda r: r.status is ReportedStatus.WORKING)
        desk.news.clear()
        desk.server.act(Fault(name="cut"))
        for name in ("spot", "futures"):
            await desk.until(name, StreamDown)
        # While nobody listens the venue ends an order of ours, and takes half of the position.
        house = desk.server.house
        (view,) = house.open_orders(Leg.SPOT)
        house.cancel(SPOT, view.client_order_id)
        assert house.deleverage(PERP, D("0.01"))
        for name in ("spot", "futures"):
            await desk.until(name, StreamUp)
        assert story(desk, "spot") == ["StreamDown", "OrderReport", "StreamUp"]
        (report,) = desk.told("spot", OrderReport)
        assert report.client_order_id == resting.client_order_id
        assert report.status is ReportedStatus.CANCELLED
        assert story(desk, "futures") == ["StreamDown", "Fill", "Position", "StreamUp"]
        (fill,) = desk.told("futures", Fill)
        assert (fill.kind, fill.quantity) == (FillKind.AUTO_DELEVERAGING, D("0.01"))
        assert desk.told("futures", Position)[-1].quantity == D("-0.01")
        await desk.until("spot market", StreamUp)
        await desk.spot_gateway.session.open_entry.socket.wait_ready(timeout_ms=WAIT_S * 1_000)
        end, _ = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.status is ReportedStatus.FILLED

    run(scenario)


def test_an_account_that_is_opened_again_is_heard_again():
    run(heard_again)


def story(desk, told):
    kinds = OrderReport | Fill | Position | StreamUp | StreamDown
    return [
        type(news).__name__ for name, news in desk.news if name == told and isinstance(news, kinds)
    ]


@pytest.mark.parametrize("fault", ["half_open", "day_close", "server_shutdown"])
def test_every_end_of_a_socket_is_followed_by_a_new_one(fault):
    async def scenario(desk):
        await desk.listen()
        order = desk.order(Leg.FUTURES, Side.SELL, "0.01", by="0.002")
        desk.news = [one for one in desk.news if isinstance(one[1], Quote)]
        desk.server.act(Fault(name=fault, ms=300))
        if fault == "server_shutdown":
            with pytest.raises(OutcomeUnknown, match="10019"):
                await desk.futures_gateway.place_order(order)
        for name in ("spot", "futures"):
            await desk.until(name, StreamUp)
        await desk.spot_gateway.session.open_entry.socket.wait_ready(timeout_ms=WAIT_S * 1_000)
        if fault != "half_open":  # quiet for two seconds before anybody asks
            for name in ("spot market", "futures market"):
                await desk.until(name, StreamUp)
        last = desk.order(Leg.FUTURES, Side.SELL, "0.01", limit_price=order.limit_price)
        await desk.futures_gateway.place_order(last)
        await desk.until("futures", Fill, lambda f: f.client_order_id == last.client_order_id)
        assert desk.server.house.position(PERP).quantity == D("-0.01")

    run(scenario, desk={"ping_s": 1})


def test_what_is_told_twice_or_out_of_order_counts_once():
    async def scenario(desk):
        await desk.listen()
        for name in ("duplicate", "reorder", "event_first"):
            desk.strike(name, times=0)
        for side in (Side.BUY, Side.SELL, Side.BUY):
            end, fills = await desk.trade(Leg.SPOT, side, "0.01")
            assert sum(fill.quantity for fill in fills) == end.filled == D("0.01")
        assert desk.struck("duplicate") and desk.struck("event_first")
        ids = Counter(fill.fill_id for fill in desk.told("spot", Fill))
        assert set(ids.values()) == {1}

    run(scenario)


def test_a_partly_filled_order_that_is_rejected_keeps_its_part():
    async def scenario(desk):
        await desk.listen()
        desk.strike("partial_then_reject", match="create")
        end, fills = await desk.trade(Leg.FUTURES, Side.SELL, "0.02")
        assert end.status is ReportedStatus.CANCELLED and 0 < end.filled < D("0.02")
        assert sum(fill.quantity for fill in fills) == end.filled
        assert desk.server.house.position(PERP).quantity == -end.filled

    run(scenario)


def test_a_ticker_that_never_begins_with_a_snapshot():
    async def scenario(desk):
        await desk.listen()
        mark = await desk.until("futures market", Mark)
        assert mark.mark > 0

    run(scenario, faults=("delta_only",))


def test_liquidation_is_recognised():
    async def scenario(desk):
        await desk.listen()
        await desk.trade(Leg.FUTURES, Side.SELL, "0.05")
        assert desk.server.house.liquidate(PERP)
        fill = await desk.until("futures", Fill, lambda f: f.kind is not FillKind.TRADE)
        assert (fill.kind, fill.client_order_id) == (FillKind.LIQUIDATION, "")
        flat = await desk.until("futures", Position, lambda p: p.quantity == 0)
        assert flat.liquidation_price is None

    run(scenario)


def test_a_connection_is_replaced_without_a_gap():
    async def scenario(desk):
        await desk.listen()
        venue = desk.spot_gateway.session
        sockets = (
            venue.user().socket,
            venue.open_entry.socket,
            venue.public(Leg.SPOT).socket,
            venue.public(Leg.FUTURES).socket,
        )
        before = [socket.line.number for socket in sockets]
        for socket in sockets:
            socket.rotate("the day is over")
        end, _ = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.filled == D("0.01"), "while two connections stand side by side"
        async with asyncio.timeout(WAIT_S):
            while any(now.line.number == then for now, then in zip(sockets, before, strict=True)):
                await desk.more()
        end, _ = await desk.trade(Leg.SPOT, Side.SELL, "0.01")
        assert end.filled == D("0.01")
        assert not [news for _, news in desk.news if isinstance(news, StreamDown)]
        assert set(Counter(fill.fill_id for fill in desk.told("spot", Fill)).values()) == {1}

    run(scenario)


def nonsense(**changes):
    row = {
        "category": "spot", "symbol": "BTCUSDT", "orderId": "x", "execId": "x", "side": "Buy",
        "execPrice": "1", "execQty": "1", "execType": "Trade", "execTime": "1700000000000",
    }  # fmt: skip
    return {"topic": "execution", "data": [row | changes]}


UNREADABLE = (
    nonsense(execPrice="cheap"),
    nonsense(execTime="soon"),
    nonsense(side=3),
    {"topic": "a.topic.of.tomorrow", "data": []},
    {"topic": "order"},
    [],
    b'{"topic": "execution", "data": [{',
    b"not JSON at all",
)


def test_a_message_that_cannot_be_read_makes_the_core_look_for_itself():
    async def scenario(desk):
        await desk.listen()
        (private,) = [one for one in desk.server.sockets if one.path == "/v5/private"]
        for frame in UNREADABLE:
            desk.news = [one for one in desk.news if isinstance(one[1], Quote)]
            if isinstance(frame, bytes):
                private.send_raw(frame)
            else:
                private.session.line.send(frame, desk.clock.now())
            for name in ("spot", "futures"):
                await desk.until(name, StreamUp)
        end, _ = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.filled == D("0.01"), "and the reader goes on"
        assert not desk.told("spot", StreamDown)

    run(scenario)


def test_an_order_that_never_left_is_over():
    """As one that may be open it was asked for at each gap: an outage leaves hundreds of them."""

    async def main():
        async with contextlib.AsyncExitStack() as venue:
            server = await venue.enter_async_context(in_process("bybit"))
            async with BybitDesk(server) as desk:
                await desk.listen()
                orders = [desk.order(Leg.FUTURES, Side.SELL, "0.01") for _ in range(3)]
                session = desk.futures_gateway.session
                await venue.aclose()
                await until(lambda: not session.open_entry.socket.ready)
                for order in orders:
                    with pytest.raises(Unreachable):
                        await desk.futures_gateway.place_order(order)
                assert not session.own.open_of(PERP)

    asyncio.run(main())


def test_an_order_that_is_nowhere_is_not_asked_for_at_each_gap_for_ever():
    """Each was two questions more, until no gap could be filled in the time it has."""

    async def scenario(desk):
        await desk.listen()
        own = desk.futures_gateway.session.own
        for _ in range(3):
            desk.strike("unknown_refused", match="create")
            with pytest.raises(OutcomeUnknown):
                await desk.futures_gateway.place_order(desk.order(Leg.FUTURES, Side.SELL, "0.01"))
        assert len(own.open_of(PERP)) == 3, "they could be on their way"
        async with asyncio.timeout(WAIT_S):
            while own.open_of(PERP):
                ups = len(desk.told("futures", StreamUp))
                desk.server.act(Fault(name="cut"))
                await desk.until("futures", StreamUp, since=ups)

    times = {"recv_window_ms": 200, "processing_max_ms": 100, "read_lag_ms": 1}
    run(scenario, desk=times)


def test_a_subscription_that_is_not_answered_is_made_on_another_connection():
    deaf = True

    async def told(_, line, message):
        nonlocal deaf
        if deaf and any(name.startswith("orderbook.1.PAD") for name in message.get("args", [])):
            deaf = False
            return
        answer = {"success": True, "op": message["op"], "req_id": message.get("req_id", "")}
        await line.send_json(answer)

    async def main():
        raw, news = Raw(told), []
        async with (
            serving(raw.handle) as where,
            in_process("bybit", padding=1) as server,
            BybitDesk(server, public_url=f"ws://{where}", read_timeout_ms=500) as desk,
        ):
            await desk.spot_feed.listen(SPOT, news.append)
            await until(lambda: StreamUp in map(type, news))
            symbols = [one.symbol for one in await desk.spot_feed.read_instruments()]
            (other,) = [one for one in symbols if one != SPOT]
            await desk.spot_feed.listen(other, news.append)
            await until(lambda: len(raw.lines) == 2)

    asyncio.run(main())


def refusing(refused):
    """Answer as a public stream does, with a no to every request that names what is refused."""

    async def told(_, line, message):
        named = [topic for topic in message.get("args", []) if topic.endswith(tuple(refused))]
        answer = {"success": not named, "op": message["op"], "req_id": message.get("req_id", "")}
        words = f"error:handler not found,topic:{named[0]}" if named else ""
        await line.send_json(answer | {"ret_msg": words})
        taken = [] if named else message.get("args", [])
        for topic in (one for one in taken if one.startswith("orderbook.1.")):
            data = {"s": topic.rpartition(".")[2], "b": [["100", "1"]], "a": [["101", "1"]]}
            await line.send_json({"topic": topic, "type": "snapshot", "ts": 1, "data": data})

    return Raw(told)


def test_a_refused_topic_is_told_and_takes_no_other_with_it():
    """It was wanted for good: asked for again it was silent, and no later connection came up."""

    async def main():
        refused, news, more = set(), [], []
        raw = refusing(refused)
        async with (
            serving(raw.handle) as where,
            in_process("bybit", padding=1) as server,
            BybitDesk(server, public_url=f"ws://{where}") as desk,
        ):
            symbols = [one.symbol for one in await desk.spot_feed.read_instruments()]
            (other,) = [one for one in symbols if one != SPOT]
            refused.add(other.replace("/", ""))
            await desk.spot_feed.listen(SPOT, news.append)
            await until(lambda: StreamUp in map(type, news))
            for _ in range(2):
                with pytest.raises(Refused, match="handler not found"):
                    await desk.spot_feed.listen(other, more.append)
            assert not more, "nobody is told that a stream without the topic is up"
            news.clear()
            await raw.lines[0].close()
            await until(lambda: StreamUp in map(type, news))
            assert StreamDown in map(type, news) and not more

    asyncio.run(main())


@pytest.mark.parametrize("before", [True, False], ids=["while_dialling", "on_a_later_connection"])
def test_an_instrument_that_a_connection_is_refused_leaves_the_others_their_prices(before):
    """No line was there to ask, or the coin was delisted: no connection came up for anybody."""

    async def main():
        refused, news, more = set(), [], []
        raw = refusing(refused)
        async with (
            serving(raw.handle) as where,
            in_process("bybit", padding=1) as server,
            BybitDesk(server, public_url=f"ws://{where}") as desk,
        ):
            symbols = [one.symbol for one in await desk.spot_feed.read_instruments()]
            (other,) = [one for one in symbols if one != SPOT]
            if before:
                refused.add(other.replace("/", ""))
            await desk.spot_feed.listen(other, more.append)
            await desk.spot_feed.listen(SPOT, news.append)
            socket = desk.spot_feed.session.public(Leg.SPOT).socket
            if not before:
                await until(lambda: {StreamUp, Quote} <= {*map(type, news)} & {*map(type, more)})
                refused.add(other.replace("/", ""))
                news.clear()
                more.clear()
                await raw.lines[0].close()
            await until(lambda: {StreamUp, Quote} <= {*map(type, news)})
            assert {*map(type, more)} == {StreamDown}
            assert "handler not found" in more[-1].why
            assert socket.troubles[TroubleKind.REFUSED] == 1
            assert len(raw.lines) == (1 if before else 2), "the same connection serves the others"
            with pytest.raises(Refused, match="handler not found"):
                await desk.spot_feed.listen(other, more.append)
            refused.clear()
            await desk.spot_feed.listen(other, more.append)
            await until(lambda: {StreamUp, Quote} <= {*map(type, more)})

    asyncio.run(main())


def test_a_first_topic_that_is_refused_is_no_stream_that_is_up():
    async def main():
        refused, news = {"BTCUSDT"}, []
        raw = refusing(refused)
        async with (
            serving(raw.handle) as where,
            in_process("bybit") as server,
            BybitDesk(server, public_url=f"ws://{where}") as desk,
        ):
            await desk.spot_feed.listen(SPOT, news.append)
            socket = desk.spot_feed.session.public(Leg.SPOT).socket
            await until(lambda: socket.troubles[TroubleKind.CONNECT] >= 2)
            assert not socket.ready and not news
            with pytest.raises(Unreachable, match="handler not found"):
                await socket.wait_ready(timeout_ms=1)
            refused.clear()
            await until(lambda: StreamUp in map(type, news), for_s=WAIT_S)

    asyncio.run(main())
