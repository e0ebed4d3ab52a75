"""The Binance plugin over the wire: what its streams tell, through every end of theirs.

Goal: every role does what its Protocol says, streams come back whole after whatever happens to
them, and what is not known is said to be unknown. Method: both wire simulators on the running
loop, the plugin pointed at them, one fault at a time; the truth is asked from the simulators.
"""

import time

import pytest
from binance_desk import desk, legs, run
from desks import PERP, SPOT, D

from hedge.model import (
    Balance,
    Fill,
    FillKind,
    Leg,
    Mark,
    OrderReport,
    Position,
    Quote,
    ReportedStatus,
    Side,
    StreamAlive,
    StreamDown,
    StreamUp,
)
from hedge.model.numbers import HOUR, SECOND
from hedge.transport import TroubleKind
from hedge_sim.dialects.faults import Fault


def order_of(news, *kinds):
    return [type(one) for one in news if isinstance(one, kinds)]


@legs()
def test_an_account_that_is_opened_again_is_heard_again(leg):
    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            await it.reopen()
            it.account[leg].clear()
            await it.listen(leg)
            await it.gateway(leg).place_order(await it.order(leg))
            await it.until(lambda: it.told(leg, Fill))

    run(work)


@legs()
def test_a_gap_is_filled_before_the_stream_is_up_again(leg):
    async def work():
        async with desk(leg) as it:
            stream = await it.listen(leg)
            server = it.server(leg)
            server.faults.set(Fault(name="drop_event"))
            taking = await it.order(leg)
            await it.gateway(leg).place_order(taking)
            resting = await it.order(leg, away="0.01")
            await it.gateway(leg).place_order(resting)
            await it.until(lambda: len(server.house.fills(leg)) == 1)
            assert not it.told(leg, Fill)
            server.faults.clear()
            server.act(Fault(name="cut"))
            await it.until(lambda: len(it.told(leg, StreamUp)) == 2)
            shown = order_of(it.account[leg], StreamUp, StreamDown, Fill)
            assert shown == [StreamUp, StreamDown, Fill, StreamUp]
            (fill,) = it.told(leg, Fill)
            assert fill.client_order_id == taking.client_order_id
            reports = {one.client_order_id: one for one in it.told(leg, OrderReport)}
            assert reports[resting.client_order_id].status is ReportedStatus.WORKING
            held = it.told(leg, Balance if leg is Leg.SPOT else Position)
            assert held, "what is held is told with the gap"
            assert it.link.troubles
            await it.until(lambda: stream.entry.socket.ready)
            assert (await it.gateway(leg).place_order(await it.order(leg))).filled

    run(work)


@legs()
def test_a_half_open_line_is_noticed(leg):
    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            it.server(leg).act(Fault(name="half_open"))
            begun = time.monotonic()
            await it.until(lambda: it.told(leg, StreamDown))
            assert time.monotonic() - begun < 3
            await it.until(lambda: len(it.told(leg, StreamUp)) == 2)

    run(work)


def test_an_expired_listen_key_is_a_gap():
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.listen(Leg.FUTURES)
            it.futures.act(Fault(name="listen_key_expired"))
            await it.until(lambda: len(it.told(Leg.FUTURES, StreamUp)) == 2)
            (down,) = it.told(Leg.FUTURES, StreamDown)
            assert "listenKeyExpired" in down.why
            await it.futures_gateway.place_order(await it.order(Leg.FUTURES))
            await it.until(lambda: it.told(Leg.FUTURES, Fill))

    run(work)


def test_a_listen_key_is_kept_whatever_else_was_read():
    """Neither a read budget that is used up nor a limit of the venue's drops the stream."""

    async def work():
        async with desk(Leg.FUTURES) as it:
            stream = await it.listen(Leg.FUTURES)
            budget = stream.cold.budget
            while not budget.try_take({"weight": 1}):
                pass
            await it.until(lambda: len(it.told(Leg.FUTURES, StreamAlive)) >= 3)
            budget.close(until=it.clock.now() + 3_600 * SECOND, urgent_too=True)
            heard = len(it.told(Leg.FUTURES, StreamAlive))
            await it.until(lambda: len(it.told(Leg.FUTURES, StreamAlive)) >= heard + 3)
            assert not it.told(Leg.FUTURES, StreamDown)

    run(work)


@legs()
def test_a_shutdown_that_is_announced_costs_nothing(leg):
    async def work():
        async with desk(leg) as it:
            stream = await it.listen(leg)
            sockets = (
                [stream.entry.socket] if leg is Leg.SPOT else [stream.private, stream.entry.socket]
            )
            before = [socket.line.number for socket in sockets]
            it.server(leg).act(Fault(name="server_shutdown", ms=2_000))
            for socket, number in zip(sockets, before, strict=True):
                await it.until(lambda s=socket, n=number: s.ready and s.line.number > n)
            await it.gateway(leg).place_order(await it.order(leg))
            assert not any(socket.troubles[TroubleKind.DROP] for socket in sockets)
            await it.until(lambda: it.told(leg, Fill))
            assert not it.told(leg, StreamDown)

    run(work)


@legs()
def test_doubled_and_disordered_news_are_one_fact(leg):
    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            server = it.server(leg)
            server.faults.set(Fault(name="duplicate"))
            server.faults.set(Fault(name="event_first"))
            await it.gateway(leg).place_order(await it.order(leg))
            await it.until(lambda: len(it.told(leg, Fill)) == 2)
            assert len({fill.key for fill in it.told(leg, Fill)}) == 1
            server.faults.clear()
            server.faults.set(Fault(name="reorder", ms=30))
            second = await it.order(leg)
            await it.gateway(leg).place_order(second)
            await it.until(
                lambda: [
                    f for f in it.told(leg, Fill) if f.client_order_id == second.client_order_id
                ]
            )
            reports = [
                one
                for one in it.told(leg, OrderReport)
                if one.client_order_id == second.client_order_id
            ]
            assert max(one.filled for one in reports) == second.quantity

    run(work)


def test_early_news_of_a_hedge_come_first():
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.listen(Leg.FUTURES)
            order = await it.order(Leg.FUTURES, Side.SELL)
            await it.futures_gateway.place_order(order)
            await it.until(lambda: it.told(Leg.FUTURES, Position))
            news = it.account[Leg.FUTURES]
            early = next(n for n in news if isinstance(n, OrderReport) and n.filled)
            assert news.index(early) < news.index(it.told(Leg.FUTURES, Fill)[0])
            assert early.limit_price is None, "TRADE_LITE, not the full news"
            (position,) = it.told(Leg.FUTURES, Position)
            assert position.quantity == D("-0.01")

    run(work)


@pytest.mark.parametrize("kind", [FillKind.AUTO_DELEVERAGING, FillKind.LIQUIDATION])
def test_what_the_venue_forces_is_recognised(kind):
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.listen(Leg.FUTURES)
            await it.futures_gateway.place_order(await it.order(Leg.FUTURES, Side.SELL, "0.1"))
            await it.until(lambda: it.told(Leg.FUTURES, Fill))
            house = it.futures.house
            if kind is FillKind.AUTO_DELEVERAGING:
                assert house.deleverage(PERP, D("0.04"))
            else:
                assert house.liquidate(PERP)
            await it.until(lambda: len(it.told(Leg.FUTURES, Fill)) == 2)
            forced = it.told(Leg.FUTURES, Fill)[1]
            assert (forced.kind, forced.side) == (kind, Side.BUY)
            read = await it.futures_gateway.read_fills(PERP, it.clock.now() - HOUR)
            assert read[-1].kind is kind, "also where the trade names only its order"

    run(work)


def test_quiet_accounts_are_heard_of():
    async def work():
        async with desk() as it:
            for leg in Leg:
                await it.listen(leg)
            await it.until(lambda: all(len(it.told(leg, StreamAlive)) >= 2 for leg in Leg))
            assert not any(it.told(leg, StreamDown) for leg in Leg)

    run(work)


def test_quotes_and_marks():
    async def work():
        async with desk() as it:
            news = []
            await it.spot_feed.listen(SPOT, news.append)
            await it.futures_feed.listen(PERP, news.append)

            def seen(kind, symbol):
                return [n for n in news if isinstance(n, kind) and n.symbol == symbol]

            await it.until(lambda: seen(Mark, PERP))
            await it.until(
                lambda: all(seen(Quote, s) and seen(Quote, s)[-1].bid_depth for s in (SPOT, PERP))
            )
            quote = seen(Quote, SPOT)[-1]
            assert quote.usable and quote.ask_depth > 0
            await it.until(lambda: len([n for n in news if isinstance(n, StreamUp)]) == 2)
            it.futures.act(Fault(name="cut"))
            await it.until(lambda: any(isinstance(n, StreamDown) for n in news))
            await it.until(lambda: len([n for n in news if isinstance(n, StreamUp)]) == 3)
            count = len(seen(Quote, PERP))
            await it.until(lambda: len(seen(Quote, PERP)) > count)

    run(work)
