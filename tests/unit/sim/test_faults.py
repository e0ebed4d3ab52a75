"""Goal: each fault switch has an effect that can be seen, and leaves the others' draws alone.

Method: one switch at a time, turned up, with a count of what it did.
"""

from itertools import pairwise
from typing import Any

import pytest
from sim_world import PERP, SECOND, SPOT, D, World, run_with

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable
from hedge.model import (
    Fill,
    Leg,
    OrderReport,
    Quote,
    ReportedStatus,
    Side,
    StreamDown,
    StreamUp,
)
from hedge_sim.config import SimSettings
from hedge_sim.faults import FaultPlan

FAR = "68000.00"


async def send(world: World, name: str) -> Any:
    return await world.spot.place_order(world.order(Side.BUY, "0.002", FAR, name=name))


async def known(world: World, name: str) -> bool:
    try:
        await world.spot.read_order(SPOT, name)
    except Missing:
        return False
    return True


@pytest.mark.parametrize(
    ("switch", "performed"),
    [
        ({"request_lost": "1"}, False),
        ({"reply_lost": "1"}, True),
        ({"error_accepted": "1"}, True),
        ({"error_refused": "1"}, False),
    ],
)
def test_no_answer_leaves_the_outcome_unknown(switch: dict[str, str], performed: bool):
    async def main(world: World) -> None:
        started = world.clock.now()
        with pytest.raises(OutcomeUnknown):
            await send(world, "x")
        waited_ms = (world.clock.now() - started) // 1_000_000
        lost = "lost" in next(iter(switch))
        assert waited_ms == (3_000 if lost else 40)
        assert await known(world, "x") is performed

    run_with(main, faults=switch)


def test_slow_processing_lets_an_order_appear_long_after_its_sender_gave_up():
    async def main(world: World) -> None:
        late = 0
        for number in range(30):
            name = f"n{number}"
            try:
                await send(world, name)
            except OutcomeUnknown:
                if not await known(world, name):
                    late += 1
                    await world.clock.sleep(11)
                    assert await known(world, name)
        assert late > 3
        assert world.venue.limits.processing_max_ms == 12_000

    run_with(main, faults={"slow_processing": "1", "slow_processing_max_ms": 12_000})


def test_rate_limit_and_reject_are_definite():
    async def limited(world: World) -> None:
        with pytest.raises(Limited) as caught:
            await send(world, "x")
        assert 0 < caught.value.retry_after_s <= 7
        assert caught.value.code == "RATE_LIMIT"

    run_with(limited, faults={"rate_limit": "1", "rate_limit_retry_s": 7}, listen=False)

    async def rejected(world: World) -> None:
        with pytest.raises(Refused) as caught:
            await send(world, "x")
        assert caught.value.code == "NO"
        assert not await known(world, "x")

    run_with(rejected, faults={"reject": "1", "reject_codes": ["NO"]})


def test_read_errors_come_in_bursts():
    async def main(world: World) -> None:
        seen = []
        for _ in range(300):
            try:
                await world.spot.read_balances()
                seen.append(True)
            except Unreachable:
                seen.append(False)
            await world.clock.sleep(1)
        assert 0.2 < seen.count(False) / 300 < 0.95
        runs = sum(1 for a, b in pairwise(seen) if a and not b)
        assert seen.count(False) / max(runs, 1) > 3

    run_with(main, faults={"read_error": "0.1", "read_error_burst_ms": 20_000}, listen=False)


def test_stale_reads_do_not_know_the_last_order_nor_position():
    async def main(world: World) -> None:
        await world.take(Side.SELL, "0.010", leg=Leg.FUTURES)
        await world.clock.sleep(20)
        report = await world.take(Side.SELL, "0.010", leg=Leg.FUTURES)
        old = new = missing = 0
        for _ in range(40):
            quantity = (await world.perp.read_position(PERP)).quantity
            old += quantity == D("-0.010")
            new += quantity == D("-0.020")
            try:
                await world.perp.read_order(PERP, report.client_order_id)
            except Missing:
                missing += 1
        assert old
        assert new
        assert old + new == 40
        assert missing
        await world.clock.sleep(10)
        assert (await world.perp.read_position(PERP)).quantity == D("-0.020")

    run_with(main, faults={"stale_read": "1", "stale_read_max_ms": 5_000})


@pytest.mark.parametrize("switch", ["duplicate_message", "drop_message", "reorder_message"])
def test_stream_messages_are_doubled_lost_or_out_of_order(switch: str):
    async def main(world: World) -> None:
        for _ in range(20):
            await world.take(Side.BUY, "0.001000", leg=Leg.SPOT)
        await world.clock.sleep(10)
        truth = [f.fill_id for f in world.fills()]
        seen = [f.fill_id for f in world.got(Fill)]
        if switch == "duplicate_message":
            assert len(seen) > len(truth)
            assert set(seen) == set(truth)
        elif switch == "drop_message":
            assert len(seen) < len(truth)
        else:
            assert sorted(seen) == sorted(truth)
            assert seen != truth

    run_with(main, faults={switch: "0.5"})


@pytest.mark.parametrize("silent", [False, True])
def test_a_scheduled_disconnect_is_loud_or_silent_and_ends(silent: bool):
    async def main(world: World) -> None:
        await world.take(Side.BUY, "0.001000", leg=Leg.SPOT)
        await world.clock.sleep(0.1)
        world.market_news.clear()
        world.account_news.clear()
        await world.take(Side.BUY, "0.001000", leg=Leg.SPOT)
        await world.clock.sleep(4)
        downs = [d.why for d in world.got(StreamDown)]
        assert downs == ([] if silent else ["DISCONNECTED"] * 4)
        quotes = world.got(Quote)
        await world.clock.sleep(0.9)
        assert not world.got(Fill)
        assert len(world.got(Quote)) == len(quotes)
        await world.clock.sleep(2)
        assert len(world.got(StreamDown)) == 4
        assert len(world.got(StreamUp)) == 4
        assert len(world.got(Quote)) > len(quotes)

    run_with(
        main,
        faults={"disconnects": [{"after_fills": 2, "down_ms": 5_000, "silent": silent}]},
    )


def test_disconnects_at_a_time_may_take_the_requests_along():
    async def main(world: World) -> None:
        await world.clock.sleep_until(world.venue.recording.start + 61 * SECOND)
        with pytest.raises(Unreachable):
            await world.spot.read_balances()
        await world.clock.sleep(5)
        await world.spot.read_balances()
        assert [n.why for n in world.got(StreamDown)] == ["DISCONNECTED"] * 2

    run_with(
        main,
        faults={
            "disconnects": [
                {"at_s": "60", "down_ms": 4_000, "stream": "market", "requests_too": True}
            ]
        },
    )


def test_seeded_disconnects_come_at_their_mean_and_can_fail_to_resubscribe():
    def count(**faults: Any) -> tuple[int, int]:
        async def main(world: World) -> None:
            await world.clock.sleep(6 * 3600)

        world = run_with(main, faults={"disconnect_every_s": "600"} | faults)
        return len(world.got(StreamDown)), len(world.got(StreamUp))

    downs, ups = count()
    assert 40 < downs < 200
    more, _ = count(resubscribe_failure="0.5")
    assert more > downs
    assert ups > downs


def test_a_reconnect_may_tell_old_fills_again():
    async def main(world: World) -> None:
        await world.take(Side.BUY, "0.001000", leg=Leg.SPOT)
        await world.clock.sleep(120)
        seen = [f.fill_id for f in world.got(Fill)]
        assert seen == ["1", "1"]

    faults = {"snapshot_replay": "1", "disconnects": [{"at_s": "60"}]}
    run_with(main, faults=faults)


def test_the_venues_clock_can_be_wrong_and_jump():
    async def main(world: World) -> None:
        offset = await world.spot.read_clock() - world.clock.now()
        assert offset == 1_500_000_000 - 20_000_000
        assert await world.check.read_clock_offset_ms() == 1_500
        with pytest.raises(Refused) as caught:
            await world.spot.place_order(
                world.order(Side.BUY, "0.002", FAR, signed_at=world.clock.now() - 1_000_000_000)
            )
        assert caught.value.code == "STALE_TIMESTAMP"
        await world.clock.sleep(60)
        assert await world.check.read_clock_offset_ms() == -3_600_000

    run_with(
        main,
        faults={"clock_offset_ms": 1_500, "clock_jumps": [{"at_s": "50", "offset_ms": -3_600_000}]},
    )


def test_partial_ioc_and_halt():
    async def partial(world: World) -> None:
        report = await world.take(Side.SELL, "0.100", leg=Leg.FUTURES)
        assert report.status is ReportedStatus.CANCELLED
        assert 0 < report.filled < D("0.1")
        assert (await world.perp.read_position(PERP)).quantity == -report.filled

    run_with(partial, faults={"partial_ioc": "1"})

    async def halted(world: World) -> None:
        await world.clock.sleep(15)
        with pytest.raises(Refused) as caught:
            await send(world, "x")
        assert caught.value.code == "HALTED"
        assert (await world.spot_feed.read_instrument(SPOT)).status.value == "halted"
        assert (await world.perp_feed.read_instrument(PERP)).status.value == "trading"
        assert [n.why for n in world.got(StreamDown)] == ["OUTAGE"]
        await world.clock.sleep(20)
        await send(world, "x")

    halt = {"market": "spot", "at_s": "10", "for_s": "20", "quotes": False}
    run_with(halted, faults={"halts": [halt]})


def test_chances_hold_only_in_their_window():
    async def main(world: World) -> None:
        with pytest.raises(OutcomeUnknown):
            await send(world, "x")
        await world.clock.sleep(60)
        await send(world, "y")

    run_with(main, faults={"request_lost": "1", "until_s": "30"})


def test_latency_takes_venue_time_both_ways_and_pushes_race_the_answer():
    async def main(world: World) -> None:
        before = after = 0
        for _ in range(40):
            world.account_news.clear()
            started = world.clock.now()
            await world.take(Side.BUY, "0.001000", leg=Leg.SPOT)
            assert 2 * 30 <= (world.clock.now() - started) // 1_000_000 <= 2 * 90
            if any(isinstance(n, OrderReport) for n in world.account_news):
                before += 1
            else:
                after += 1
            await world.clock.sleep(1)
        assert before > 3
        assert after > 3

    run_with(main, latency_ms=30, latency_max_ms=90)


def test_one_switch_leaves_the_draws_of_the_others_alone():
    def draws(**faults: Any) -> list[bool]:
        plan = FaultPlan(SimSettings(faults=faults), "", 1, 0)
        return [plan.order_fate(at).reply_lost for at in range(200)]

    alone = draws(reply_lost="0.3")
    assert alone == draws(reply_lost="0.3", request_lost="0.5", slow_processing="0.5")
    assert 30 < sum(alone) < 90
    other = FaultPlan(SimSettings(faults={"reply_lost": "0.3"}), "", 2, 0)
    assert alone != [other.order_fate(at).reply_lost for at in range(200)]


def test_unknown_and_senseless_settings_are_refused():
    for bad in (
        {"sed": 1},
        {"faults": {"request_lots": "0.1"}},
        {"faults": {"request_lost": "1.1"}},
        {"faults": {"disconnects": [{"down_ms": 1}]}},
        {"latency_ms": 50, "latency_max_ms": 20},
        {"balances": {"USDT": "NaN"}},
        {"fees": {"fee_mode": "free"}},
    ):
        with pytest.raises(ValueError):
            SimSettings(**bad)
