"""Goal: the Bybit plugin sends an order once, and never guesses what came of it.
Method: the wire simulator on the same loop, its truth, and its faults on demand.
"""

import asyncio

import pytest
from bybit_desk import run
from desks import PERP, SPOT, WAIT_S, D

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused
from hedge.model import (
    Balance,
    Fill,
    Leg,
    Mark,
    OrderReport,
    Position,
    Quote,
    ReportedStatus,
    Side,
    TimeInForce,
)
from hedge.model.numbers import MS, SECOND
from hedge_sim.dialects.faults import Fault

BAN_S = 120
"""Of the simulated venue, where it is not told otherwise; it says so in a header."""


@pytest.mark.parametrize("fast", [True, False])
def test_both_legs_trade_and_are_heard(fast):
    async def scenario(desk):
        await desk.listen()
        mark = await desk.until("futures market", Mark)
        assert abs(mark.mark - desk.quote(Leg.FUTURES).mid) < 500
        quote = await desk.until("spot market", Quote, lambda q: q.bid_depth > 0)
        assert quote.usable
        end, fills = await desk.trade(Leg.SPOT, Side.BUY, "0.02")
        assert (end.status, end.filled) == (ReportedStatus.FILLED, D("0.02"))
        assert {fill.fee_asset for fill in fills} == {"BTC"} and all(f.fee > 0 for f in fills)
        coins = await desk.until("spot", Balance, lambda b: b.asset == "BTC" and b.total > 1)
        assert coins.total == D("1.02") - sum(fill.fee for fill in fills)
        end, fills = await desk.trade(Leg.FUTURES, Side.SELL, "0.02")
        assert end.filled == D("0.02") and {fill.fee_asset for fill in fills} == {"USDT"}
        short = await desk.until("futures", Position, lambda p: p.quantity < 0)
        assert short.quantity == D("-0.02") and short.entry_notional < 0
        read = await desk.futures_gateway.read_position(PERP)
        assert (read.quantity, read.entry_notional) == (short.quantity, short.entry_notional)
        end, _ = await desk.trade(Leg.FUTURES, Side.BUY, "0.02", reduce_only=True)
        assert end.status is ReportedStatus.FILLED
        truth = desk.server.house.position(PERP).quantity
        assert truth == (await desk.futures_gateway.read_position(PERP)).quantity == 0
        order = desk.order(Leg.FUTURES, Side.BUY, "0.02", by="0.002", reduce_only=True)
        with pytest.raises(Refused) as refused:
            await desk.futures_gateway.place_order(order)
        assert refused.value.code == "110017"
        heard = [f.fill_id for name in ("spot", "futures") for f in desk.told(name, Fill)]
        since = desk.clock.now() - 3_600 * SECOND
        read = [f.fill_id for f in await desk.spot_gateway.read_fills(SPOT, since)]
        read += [f.fill_id for f in await desk.futures_gateway.read_fills(PERP, since)]
        assert sorted(heard) == sorted(read), "each once, and none that REST does not know"
        kinds = [type(news) for name, news in desk.news if name == "futures"]
        early = kinds.index(OrderReport) < kinds.index(Fill)
        assert early is fast, "a quantity first, and its fee behind"

    run(scenario, desk={"fast_executions": fast})


def test_resting_orders_are_found_cancelled_and_gone():
    async def scenario(desk):
        await desk.listen()
        gateway = desk.spot_gateway
        maker = desk.order(Leg.SPOT, Side.BUY, "0.01", by="-0.02", how=TimeInForce.POST_ONLY)
        placed = await gateway.place_order(maker)
        assert placed.status is ReportedStatus.WORKING and placed.venue_order_id
        (shown,) = await gateway.read_open_orders(SPOT)
        assert (shown.client_order_id, shown.quantity) == (maker.client_order_id, D("0.01"))
        assert (await gateway.read_order(SPOT, maker.client_order_id)).limit_price == (
            maker.limit_price
        )
        ended = await gateway.cancel_order(SPOT, maker.client_order_id)
        assert (ended.status, ended.filled) == (ReportedStatus.CANCELLED, 0)
        assert await gateway.read_open_orders(SPOT) == ()
        with pytest.raises(Refused, match="170213"):
            await gateway.cancel_order(SPOT, maker.client_order_id)
        with pytest.raises(Missing):
            await gateway.read_order(SPOT, "HA00000001S0FFFFF")
        taker = desk.order(Leg.SPOT, Side.BUY, "0.01", by="0.001", how=TimeInForce.POST_ONLY)
        await gateway.place_order(taker)
        end = await desk.until(
            "spot",
            OrderReport,
            lambda r: (
                r.client_order_id == taker.client_order_id
                and r.status is not ReportedStatus.WORKING
            ),
        )
        assert (end.status, end.filled) == (ReportedStatus.CANCELLED, 0)

    run(scenario)


OFF_THE_RULES = (
    ({"quantity": "0.0100001"}, "170137"),
    ({"quantity": "90"}, "170131"),
    ({"quantity": "0.01", "limit_price": D("68000.001")}, "170134"),
)


def test_a_definite_no_is_said_with_its_code():
    async def scenario(desk):
        await desk.listen()
        for order, code in OFF_THE_RULES:
            with pytest.raises(Refused, match=code) as refused:
                await desk.spot_gateway.place_order(desk.order(Leg.SPOT, Side.BUY, **order))
            assert refused.value.code == code
        assert not desk.told("spot", Fill)

    run(scenario)


UNKNOWN = {
    "unknown_performed": True,
    "unknown_refused": False,
    "drop_in_flight": True,
    "drop_before": False,
    "late_answer": True,
    "late_error": False,
    "null_error": False,
}
"""A fault, and whether the order lives in spite of it."""


@pytest.mark.parametrize(("fault", "lives"), UNKNOWN.items())
def test_an_order_without_an_answer_is_in_doubt_and_can_be_asked_for(fault, lives):
    async def scenario(desk):
        await desk.listen()
        desk.strike(fault, match="create", ms=1_000)
        order = desk.order(Leg.FUTURES, Side.SELL, "0.01", by="0.002")
        with pytest.raises(OutcomeUnknown):
            await desk.futures_gateway.place_order(order)
        assert desk.struck(fault) == 1
        if lives:
            report = await desk.futures_gateway.read_order(PERP, order.client_order_id)
            assert (report.status, report.filled) == (ReportedStatus.FILLED, D("0.01"))
            ours = [
                fill
                for fill in await desk.futures_gateway.read_fills(PERP, order.signed_at - SECOND)
                if fill.client_order_id == order.client_order_id
            ]
            assert sum(fill.quantity for fill in ours) == D("0.01")
        else:
            with pytest.raises(Missing):
                await desk.futures_gateway.read_order(PERP, order.client_order_id)
        held = desk.server.house.position(PERP).quantity
        assert held == (D("-0.01") if lives else 0), "sent once, whatever happened"
        trade = desk.spot_gateway.session.open_entry.socket
        await trade.wait_ready(timeout_ms=WAIT_S * 1_000)
        end, _ = await desk.trade(Leg.FUTURES, Side.SELL, "0.01")
        assert end.status is ReportedStatus.FILLED, "and trading goes on"

    run(scenario, desk={"ack_timeout_ms": 400})


def test_a_late_timestamp_is_refused_and_a_rate_limit_says_so():
    async def scenario(desk):
        await desk.listen()
        late = desk.order(Leg.SPOT, Side.BUY, "0.01", signed_at=desk.clock.now() - 5 * SECOND)
        with pytest.raises(Refused, match="10002"):
            await desk.spot_gateway.place_order(late)
        desk.strike("rate_limit", match="create")
        with pytest.raises(Limited) as limited:
            await desk.spot_gateway.place_order(desk.order(Leg.SPOT, Side.BUY, "0.01"))
        assert limited.value.code == "10006" and limited.value.retry_after_s >= 1
        assert not desk.told("spot", Fill)

    run(scenario)


SLOW = {"futures_orders_per_second": 2, "spot_orders_per_second": 2, "orders_reserve": 0}


def hedge(desk):
    return desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002")


def test_the_wait_for_the_rate_is_no_part_of_the_wait_for_an_answer():
    async def scenario(desk):
        await desk.listen()
        for _ in range(2):
            await desk.futures_gateway.place_order(
                desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002")
            )
        desk.strike("late_answer", match="create", ms=800)
        begun = desk.clock.now()
        async with asyncio.timeout(desk.futures_gateway.limits.ack_timeout_ms / 1_000):
            order = hedge(desk)
            report = await desk.futures_gateway.place_order(order)
        assert report.client_order_id == order.client_order_id
        assert desk.clock.now() - begun > 1_100 * MS, "it waited for both"

    run(scenario, desk=SLOW | {"ack_timeout_ms": 1_100})


def test_an_order_that_would_arrive_after_its_window_is_refused_unsent():
    async def scenario(desk):
        await desk.listen()
        for _ in range(2):
            await desk.futures_gateway.place_order(
                desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002")
            )
        begun = desk.clock.now()
        with pytest.raises(Limited) as limited:
            await desk.futures_gateway.place_order(
                desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002")
            )
        assert limited.value.code == "RATE_BUDGET"
        assert desk.clock.now() - begun < 500 * MS, "said at once"
        assert len(desk.server.house.orders(Leg.FUTURES)) == 2

    run(scenario, desk=SLOW | {"recv_window_ms": 800})


def test_more_orders_than_the_limit_are_paced_and_none_is_refused():
    async def scenario(desk):
        await desk.listen()
        orders = [desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002") for _ in range(13)]
        begun = desk.clock.now()
        placed = await asyncio.gather(*(desk.futures_gateway.place_order(one) for one in orders))
        assert len(placed) == 13
        assert desk.clock.now() - begun > SECOND // 2, "ten a second, the venue's limit"
        assert desk.server.house.position(PERP).quantity == D("-0.013")

    run(scenario)


def test_orders_by_rest_where_there_is_no_order_socket():
    async def scenario(desk):
        await desk.listen()
        assert desk.spot_gateway.session.open_entry.socket is None
        end, fills = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.status is ReportedStatus.FILLED and fills
        maker = desk.order(Leg.FUTURES, Side.SELL, "0.01", by="-0.02", how=TimeInForce.POST_ONLY)
        await desk.futures_gateway.place_order(maker)
        ended = await desk.futures_gateway.cancel_order(PERP, maker.client_order_id)
        assert ended.status is ReportedStatus.CANCELLED
        with pytest.raises(Refused, match="110001"):
            await desk.futures_gateway.cancel_order(PERP, maker.client_order_id)
        desk.strike("unknown_performed", match="create")
        order = desk.order(Leg.SPOT, Side.BUY, "0.01", by="0.002")
        with pytest.raises(OutcomeUnknown, match="10016"):
            await desk.spot_gateway.place_order(order)
        assert (await desk.spot_gateway.read_order(SPOT, order.client_order_id)).filled == D("0.01")

    run(scenario, desk={"use_websocket_orders": False})


def test_behind_a_restart_of_the_order_service_only_one_order_is_in_doubt():
    async def scenario(desk):
        await desk.listen()
        first, second = (desk.order(Leg.FUTURES, Side.SELL, "0.01", by="0.002") for _ in range(2))
        desk.server.act(Fault(name="server_shutdown", ms=500))
        with pytest.raises(OutcomeUnknown, match="10019"):
            await desk.futures_gateway.place_order(first)
        await desk.futures_gateway.place_order(second)
        await desk.until("futures", Fill, lambda f: f.client_order_id == second.client_order_id)

    run(scenario)


def test_in_a_ban_of_the_address_nothing_is_asked_and_the_sockets_go_on():
    """Each further request would prolong it, and streams and the order socket are not banned."""

    async def scenario(desk):
        await desk.listen()
        desk.strike("ban", times=0)
        with pytest.raises(Limited, match="403") as limited:
            await desk.spot_gateway.read_balances()
        assert limited.value.code == "403" and limited.value.retry_after_s == BAN_S
        for ask in (
            desk.spot_gateway.read_balances,
            desk.spot_gateway.read_clock,
            lambda: desk.spot_gateway.read_order(SPOT, "HA00000001S000001"),
            lambda: desk.futures_gateway.prepare(PERP, 3),
        ):
            with pytest.raises(Limited) as limited:
                await ask()
            assert limited.value.code == "BANNED" and limited.value.retry_after_s > BAN_S - 10
        end, fills = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.status is ReportedStatus.FILLED and fills
        maker = desk.order(Leg.FUTURES, Side.SELL, "0.01", by="-0.02", how=TimeInForce.POST_ONLY)
        await desk.futures_gateway.place_order(maker)
        ended = await desk.futures_gateway.cancel_order(PERP, maker.client_order_id)
        assert ended.status is ReportedStatus.CANCELLED, "told by the stream"
        assert desk.struck("ban") == 1, "one answer was enough"

    run(scenario)


def test_in_a_ban_of_the_address_orders_by_rest_are_refused_unsent():
    async def scenario(desk):
        await desk.listen()
        desk.strike("ban", times=0)
        first, second = (desk.order(Leg.FUTURES, Side.SELL, "0.01", by="0.002") for _ in range(2))
        with pytest.raises(OutcomeUnknown, match="403"):
            await desk.futures_gateway.place_order(first)
        for ask in (
            lambda: desk.futures_gateway.place_order(second),
            lambda: desk.futures_gateway.cancel_order(PERP, first.client_order_id),
            desk.spot_gateway.read_clock,
            desk.spot_gateway.read_balances,
        ):
            with pytest.raises(Limited) as limited:
                await ask()
            assert limited.value.code == "BANNED"
        assert desk.struck("ban") == 1
        own = desk.futures_gateway.session.own
        assert [one.client_order_id for one in own.open_of(PERP)] == [first.client_order_id]

    run(scenario, desk={"use_websocket_orders": False})
