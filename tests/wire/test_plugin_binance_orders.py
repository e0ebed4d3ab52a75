"""The Binance plugin over the wire: its orders, what is refused and what is not known.

Goal: every role does what its Protocol says, streams come back whole after whatever happens to
them, and what is not known is said to be unknown. Method: both wire simulators on the running
loop, the plugin pointed at them, one fault at a time; the truth is asked from the simulators.
"""

import msgspec
import pytest
from binance_desk import desk, legs, run
from desks import PERP, SPOT, D
from servers import in_process

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable
from hedge.model import (
    Fill,
    FillKind,
    Leg,
    OrderReport,
    ReportedStatus,
    Side,
    StreamDown,
    StreamUp,
    TimeInForce,
)
from hedge.model.numbers import HOUR, SECOND
from hedge_sim.dialects.faults import Fault


@legs()
def test_an_order_s_life_over_the_socket(leg):
    async def work():
        async with desk(leg) as it:
            gateway = it.gateway(leg)
            stream = await it.listen(leg)
            taking = await it.order(leg, Side.BUY)
            done = await gateway.place_order(taking)
            assert (done.status, done.filled) == (ReportedStatus.FILLED, D("0.01"))
            await it.until(lambda: it.told(leg, Fill))
            (fill,) = it.told(leg, Fill)
            assert (fill.client_order_id, fill.quantity) == (taking.client_order_id, D("0.01"))
            assert (fill.kind, fill.side, fill.leg) == (FillKind.TRADE, Side.BUY, leg)
            assert (fill.fee_asset, fill.fee > 0) == ("BTC" if leg is Leg.SPOT else "USDT", True)
            resting = await it.order(leg, Side.BUY, away="0.01")
            report = await gateway.place_order(resting)
            assert report.status is ReportedStatus.WORKING
            (seen,) = await gateway.read_open_orders(resting.symbol)
            assert seen.client_order_id == resting.client_order_id
            gone = await gateway.cancel_order(resting.symbol, resting.client_order_id)
            assert gone.status is ReportedStatus.CANCELLED
            assert gone.client_order_id == resting.client_order_id
            with pytest.raises(Refused) as caught:
                await gateway.cancel_order(resting.symbol, resting.client_order_id)
            assert caught.value.code == "-2011"
            read = await gateway.read_order(taking.symbol, taking.client_order_id)
            assert (read.filled, read.side) == (D("0.01"), Side.BUY)
            with pytest.raises(Missing):
                await gateway.read_order(taking.symbol, "NEVERSEEN")
            (known,) = await gateway.read_fills(taking.symbol, it.clock.now() - HOUR)
            assert known.key == fill.key and known.client_order_id == taking.client_order_id
            assert known.fee == fill.fee
            assert stream.entry.calls.pending == 0

    run(work)


@legs()
def test_what_the_venue_refuses(leg):
    async def work():
        async with desk(leg) as it:
            gateway = it.gateway(leg)
            await it.listen(leg)
            crossing = await it.order(leg, time_in_force=TimeInForce.POST_ONLY)
            with pytest.raises(Refused) as caught:
                await gateway.place_order(crossing)
            assert caught.value.code == ("-2010" if leg is Leg.SPOT else "-5022")
            with pytest.raises(Refused):
                await gateway.place_order(await it.order(leg, quantity="0.0000001"))
            stale = await it.order(leg, signed_at=it.clock.now() - 5 * SECOND)
            with pytest.raises(Refused) as caught:
                await gateway.place_order(stale)
            assert caught.value.code in ("-1021", "-5028")
            if leg is Leg.FUTURES:
                with pytest.raises(Refused) as caught:
                    await gateway.place_order(await it.order(leg, Side.SELL, reduce_only=True))
                assert caught.value.code == "-2022"
            assert not it.told(leg, Fill)

    run(work)


@legs()
def test_without_a_socket_orders_go_over_rest_with_their_own_stamp(leg):
    async def work():
        async with desk(leg) as it:
            gateway = it.gateway(leg)
            done = await gateway.place_order(await it.order(leg))
            assert done.status is ReportedStatus.FILLED
            stale = await it.order(leg, signed_at=it.clock.now() - 5 * SECOND)
            with pytest.raises(Refused) as caught:
                await gateway.place_order(stale)
            assert caught.value.code in ("-1021", "-5028")
            resting = await it.order(leg, away="0.01")
            await gateway.place_order(resting)
            gone = await gateway.cancel_order(resting.symbol, resting.client_order_id)
            assert gone.status is ReportedStatus.CANCELLED

    run(work)


DOUBTS = ("unknown_performed", "drop_in_flight", "late_answer", "null_error", "drop_before")


@pytest.mark.parametrize("fault", DOUBTS)
@pytest.mark.parametrize("socket", [True, False], ids=["socket", "rest"])
@legs()
def test_what_is_not_known_is_said_to_be_unknown(leg, fault, socket):
    if fault == "null_error" and not socket:
        pytest.skip("only a socket has answers without an id")

    async def work():
        async with desk(leg, read_timeout_ms=600) as it:
            gateway = it.gateway(leg)
            if socket:
                await it.listen(leg)
            else:
                await gateway.read_clock()
            order = await it.order(leg)
            path = "order.place" if socket else "/order"
            it.server(leg).faults.set(Fault(name=fault, times=1, match=path, ms=900))
            with pytest.raises(OutcomeUnknown):
                await gateway.place_order(order)
            it.server(leg).faults.clear()
            assert len(it.server(leg).house.orders(leg)) <= 1, "sent once, whatever happened"
            performed = fault not in ("null_error", "drop_before")
            if performed:
                await it.until(lambda: it.server(leg).house.fills(leg))
                seen = await gateway.read_order(order.symbol, order.client_order_id)
                assert seen.filled == order.quantity
            else:
                with pytest.raises(Missing):
                    await gateway.read_order(order.symbol, order.client_order_id)
            # The path is not poisoned: the next order is answered.
            if socket:
                stream = await gateway.stream()
                await it.until(lambda: stream.entry.socket.ready)
            again = await gateway.place_order(await it.order(leg))
            assert again.status is ReportedStatus.FILLED

    run(work)


@legs()
def test_an_answer_that_comes_late_is_still_told(leg):
    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            server = it.server(leg)
            server.faults.set(Fault(name="drop_event"))
            server.faults.set(Fault(name="late_answer", match="order.place", ms=500))
            order = await it.order(leg)
            with pytest.raises(OutcomeUnknown):
                await it.gateway(leg).place_order(order)
            await it.until(lambda: it.told(leg, OrderReport))
            (report,) = it.told(leg, OrderReport)
            assert (report.client_order_id, report.filled) == (
                order.client_order_id,
                order.quantity,
            )

    run(work)


@legs()
def test_limits_are_obeyed_and_a_ban_silences_us(leg):
    async def work():
        async with desk(leg) as it:
            gateway, server = it.gateway(leg), it.server(leg)
            await it.listen(leg)
            order, hedge = await it.order(leg), await it.order(leg)
            server.faults.set(Fault(name="rate_limit", times=1, match="order.place", ms=2_000))
            with pytest.raises(Limited) as caught:
                await gateway.place_order(order)
            assert caught.value.retry_after_s >= 1
            # A hedge and a cancel may still go while we are only told to slow down.
            if leg is Leg.FUTURES:
                await gateway.place_order(hedge)
            server.faults.set(Fault(name="ban", times=1, match="order.cancel", ms=5_000))
            with pytest.raises(Limited):
                await gateway.cancel_order(order.symbol, "ANY")
            before = len(server.house.orders(leg))
            with pytest.raises(Limited):
                await gateway.place_order(
                    msgspec.structs.replace(order, client_order_id="HA1B2C0001Y000001")
                )
            with pytest.raises(Limited) as caught:
                await gateway.cancel_order(order.symbol, "ANY")
            assert (caught.value.code, caught.value.retry_after_s) == ("BANNED", 5)
            assert len(server.house.orders(leg)) == before, "nothing was sent under a ban"

    run(work)


@legs()
def test_an_order_that_cannot_leave_is_unreachable(leg):
    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            order = await it.order(leg)
            server = it.server(leg)
            await server.__aexit__(None, None, None)
            await it.until(lambda: it.told(leg, StreamDown))
            with pytest.raises(Unreachable):
                await it.gateway(leg).place_order(order)
            with pytest.raises(Unreachable):
                await it.gateway(leg).cancel_order(order.symbol, order.client_order_id)
            again = in_process(
                "binance-spot" if leg is Leg.SPOT else "binance-usdm", port=server.port
            )
            async with again:
                await it.until(lambda: len(it.told(leg, StreamUp)) == 2)
                stream = await it.gateway(leg).stream()
                await it.until(lambda: stream.entry.socket.ready)
                fresh = await it.order(leg)
                assert (await it.gateway(leg).place_order(fresh)).filled == fresh.quantity

    run(work)


def test_reads_that_fail_are_errors_and_never_empty():
    async def work():
        async with desk() as it:
            await it.spot_gateway.read_clock()
            await it.futures_gateway.read_clock()
            await it.spot_gateway.read_open_orders(SPOT)
            await it.futures_gateway.read_position(PERP)
            for leg, server in ((Leg.SPOT, it.spot), (Leg.FUTURES, it.futures)):
                server.faults.set(Fault(name="busy_server"))
                with pytest.raises(Unreachable):
                    await it.gateway(leg).read_open_orders(SPOT if leg is Leg.SPOT else PERP)
            with pytest.raises(Unreachable):
                await it.futures_gateway.read_position(PERP)
            with pytest.raises(Unreachable):
                await it.spot_gateway.read_balances()

    run(work)


def test_a_venue_clock_that_is_off_is_learnt():
    async def work():
        async with desk(Leg.SPOT) as it:
            it.spot.faults.set(Fault(name="clock_offset", ms=-20_000))
            assert abs(await it.account_check.read_clock_offset_ms() + 20_000) < 500
            assert await it.spot_gateway.read_balances()
            server_at = await it.spot_gateway.read_clock()
            assert abs(server_at - it.clock.now() + 20 * SECOND) < SECOND
            await it.listen(Leg.SPOT)

    run(work)
