"""Goal: recorded time hurries while nobody trades, is one for all servers, and outlives them;
the account's truth does too.
Method: worlds asked for times by arithmetic; servers as processes, killed and started again.
"""

import asyncio
import random
import time
from itertools import pairwise

import aiohttp
import pytest
from servers import LIFE_S, as_process, awaited, in_process, until
from test_binance_requests import ORDER, Hand, by_hand

from hedge.errors import ConfigError
from hedge.model import Leg, Order, Side, TimeInForce
from hedge.model.numbers import HOUR, MS, SECOND
from hedge_sim.dialects.clock import (
    BUSY_LINGER,
    NOTICE,
    WORLD_FILE,
    Pace,
    World,
    WorldClock,
    forget_world,
    milli_of,
)

PERP = "BTC/USDT:USDT"
START = 1_712_275_200 * SECOND
WALL = 1_800_000_000 * SECOND


def opened(path=None):
    world = World(path)
    world.open()
    return world


def test_a_world_hurries_when_idle_and_slows_for_an_order():
    world = opened()
    world.found(START, WALL, fast=20_000_000, slow=1_000)
    world.beat(WALL + MS, busy=False)
    fast_from = WALL + MS + NOTICE
    assert world.recorded_at(fast_from) - START == MS + NOTICE
    assert world.recorded_at(fast_from + SECOND) - world.recorded_at(fast_from) == 20_000 * SECOND
    busy_at = fast_from + SECOND
    world.beat(busy_at, busy=True)
    assert world.speed_at(busy_at + NOTICE) == 1_000
    world.beat(busy_at + BUSY_LINGER - 1, busy=False)
    assert world.speed_at(busy_at + BUSY_LINGER + NOTICE) == 1_000
    world.beat(busy_at + BUSY_LINGER + 1, busy=False)
    assert world.speed_at(busy_at + BUSY_LINGER + 2 * NOTICE) == 20_000_000


def test_a_world_that_waits_runs_like_ours_until_its_first_order():
    world = opened()
    world.found(START, WALL, fast=20_000_000, slow=60_000, waits=True)
    for after in range(1, 600):
        world.beat(WALL + after * SECOND, busy=False)
    wall = WALL + 600 * SECOND
    assert world.recorded_at(wall) - START == 600 * SECOND
    world.beat(wall, busy=True)
    assert world.speed_at(wall + NOTICE) == 60_000
    world.beat(wall + BUSY_LINGER + 1, busy=False)
    assert world.speed_at(wall + BUSY_LINGER + 2 * NOTICE) == 20_000_000


def test_a_world_that_waits_does_so_no_more_when_a_pace_is_given(tmp_path):
    first = opened(tmp_path / WORLD_FILE)
    first.found(START, WALL, fast=3_000_000, slow=60_000, waits=True)
    other = opened(tmp_path / WORLD_FILE)
    other.set_pace(3_000_000, 60_000, waits=True)
    other.beat(WALL + MS, busy=False)
    assert other.speed_at(WALL + MS + NOTICE) == 1_000, "a second server that was given none"
    other.set_pace(500_000, 60_000)
    other.beat(WALL + SECOND, busy=False)
    assert first.speed_at(WALL + SECOND + NOTICE) == 500_000


def test_wall_and_recorded_time_are_each_others_inverse():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    world = opened()
    world.found(START, WALL, fast=chance.randint(1_000, 30_000_000), slow=1_000)
    wall = WALL
    for _ in range(100):
        wall += chance.randint(1, 5 * SECOND)
        world.beat(wall, busy=chance.random() < 0.4)
        if chance.random() < 0.1:
            world.skip(chance.randint(1, HOUR), wall)
    times = sorted(chance.randint(WALL - HOUR, wall) for _ in range(500))
    recorded = [world.recorded_at(at) for at in times]
    assert recorded == sorted(recorded)
    for at, then in zip(times, recorded, strict=True):
        assert abs(world.wall_at(then) - at) <= 1_000  # a nanosecond of a fast world's recording


def test_what_was_jumped_over_happened_at_the_jump():
    world = opened()
    world.found(START, WALL, fast=1_000, slow=1_000)
    world.skip(HOUR, WALL + SECOND)
    assert world.wall_at(START + HOUR // 2) == WALL + SECOND + NOTICE
    assert world.recorded_at(WALL + 2 * SECOND) == START + HOUR + 2 * SECOND


def test_a_world_is_shared_and_stands_still_while_nobody_lives(tmp_path):
    path = tmp_path / WORLD_FILE
    one, other = opened(path), opened(path)
    one.found(START, WALL, fast=5_000, slow=1_000)
    other.found(START + HOUR, WALL, fast=7_000, slow=1_000)  # founded already
    one.beat(WALL + SECOND, busy=False)
    at = WALL + 3 * SECOND
    assert other.recorded_at(at) == one.recorded_at(at) and other.fast == 5_000
    one.beat(at, busy=False)
    left_at = one.recorded_at(at)
    one.close()
    other.close()
    again = opened(path)
    again.wake(at + HOUR)
    assert again.recorded_at(at + HOUR) == left_at
    again.wake(at + HOUR + SECOND)  # somebody lives: nothing stands still
    assert again.recorded_at(at + HOUR + SECOND) == left_at + SECOND
    again.close()
    path.write_bytes(b"something else" * 8)
    with pytest.raises(ConfigError):
        opened(path)


def test_only_a_world_that_nobody_runs_is_forgotten(tmp_path):
    path = tmp_path / WORLD_FILE
    assert forget_world(tmp_path)
    world = opened(path)
    world.found(START, time.time_ns(), fast=1_000, slow=1_000)
    assert not forget_world(tmp_path) and path.exists()
    world.close()
    path.unlink()
    world = opened(path)
    world.found(START, time.time_ns() - HOUR, fast=1_000, slow=1_000)
    world.close()
    assert forget_world(tmp_path) and not path.exists()


def test_a_speed_of_nothing_is_none():
    with pytest.raises(ConfigError):
        milli_of("0")


@awaited
async def test_timers_follow_the_pace():
    world = opened()
    clock = WorldClock(world, Pace(fast_milli=1_000_000, slow_milli=1_000))
    clock.begin_at(START)
    fired = []
    for name, after in (("late", 60 * SECOND), ("early", 30 * SECOND)):
        clock.call_at(START + after, lambda name=name: fired.append((name, clock.now())))
    clock.call_at(START + SECOND, lambda: fired.append(("never", 0))).cancel()
    world.beat(clock.wall(), busy=False)
    await until(lambda: len(fired) == 2)
    assert [name for name, _ in fired] == ["early", "late"]
    assert fired[0][1] >= START + 30 * SECOND and fired[1][1] >= START + 60 * SECOND
    clock.stop()


@awaited
async def test_weeks_pass_in_moments_with_every_settlement_paid_in_order():
    async with in_process("binance-usdm", speed=200_000, pulse_ms=20) as server:
        house = server.house
        quote = house.quote(PERP)
        short = Order(
            client_order_id="S", leg=Leg.FUTURES, symbol=PERP, side=Side.SELL,
            quantity=house.instrument(PERP).lot * 100, limit_price=quote.bid - quote.bid % 1 - 500,
            time_in_force=TimeInForce.IOC, signed_at=0, recv_window_ms=0,
        )  # fmt: skip
        assert house.place(short).status.value == "filled"
        slowed = house.recorded_now
        await until(lambda: len(house.payments(PERP)) >= 6, for_s=12)
        payments = house.payments(PERP)
        times = [payment.settled_at for payment in payments]
        assert times == sorted(times) and len(set(times)) == len(times)
        assert times[0] - house.clock.wall_of(slowed) > BUSY_LINGER - SECOND  # 1x after the order
        gaps = [b - a for a, b in pairwise(times[1:])]
        hurried = 8 * HOUR // 200_000
        assert all(abs(gap - hurried) < 10 * MS for gap in gaps), gaps
        cash = sum(payment.cash for payment in payments)
        assert cash == house.account.funding["USDT"]


@awaited
async def test_the_announced_settlement_does_not_move_with_the_pace():
    async with in_process("binance-usdm", pulse_ms=20) as server:
        house = server.house
        announced = house.rate(PERP).next_at
        house.world.set_pace(milli_of(20_000), milli_of(1))
        await until(lambda: house.world.speed_at(house.wall()) == milli_of(20_000))
        assert house.rate(PERP).next_at == announced
        await until(lambda: house.rate(PERP).next_at != announced, for_s=12)
        (last,) = house.funding_history(PERP, house.wall() - 5 * SECOND, house.wall())[-1:]
        assert house.rate(PERP).next_at == last.observed_at + 8 * HOUR


def test_two_processes_show_one_moment_and_a_killed_one_remembers(tmp_path):
    speed = ("--speed", "5000")
    with as_process("binance-usdm", *speed, state=tmp_path) as other:
        with as_process("binance-spot", *speed, state=tmp_path) as first:
            moments = [p.ask("GET", "/sim/world") for p in (first, other, first)]
            recorded = [moment["recorded_ms"] for moment in moments]
            assert recorded == sorted(recorded)
            first.ask("POST", "/sim/do", {"what": "deposit", "asset": "BTC", "quantity": "2"})
            truth = first.truth()
            first.kill()
        before = other.ask("GET", "/sim/world")
        port = int(first.url.rpartition(":")[2])
        with as_process("binance-spot", *speed, state=tmp_path, port=port) as again:
            assert again.url == first.url
            after = again.ask("GET", "/sim/world")
            assert after["recorded_ms"] > before["recorded_ms"]
            remembered = again.truth()
            assert remembered["balances"] == truth["balances"]
            assert remembered["deposits"]["BTC"] == "3"
            assert abs(after["wall_ms"] - time.time_ns() // MS) < 5_000
        assert again.process.returncode == 0


def test_a_new_world_begins_where_it_was_told_and_an_old_one_goes_on(tmp_path):
    begin_ms = 1_713_254_400_000
    with as_process("binance-usdm", "--from", "2024-04-16T08:00", state=tmp_path) as first:
        at_ms = first.ask("GET", "/sim/world")["recorded_ms"]
        assert 0 <= at_ms - begin_ms < LIFE_S * 1_000
        rates = asyncio.run(settled(first.url))
        assert [rate["fundingRate"] for rate in rates[-2:]] == ["0.00008676", "0.00006221"]
    with as_process("bybit", "--from", "2024-04-18", state=tmp_path) as other:
        assert 0 <= other.ask("GET", "/sim/world")["recorded_ms"] - at_ms < LIFE_S * 1_000


def test_a_new_world_whose_pace_nobody_gave_waits_for_its_first_order():
    with as_process("binance-usdm", pace=()) as server:
        until_s = time.monotonic() + 5 * BUSY_LINGER / SECOND
        speeds = [server.ask("GET", "/sim/world")["speed"]]
        asyncio.run(placed(server.url, price="68000", timeInForce="IOC"))
        while len(speeds) < 3 and time.monotonic() < until_s:
            speed = server.ask("GET", "/sim/world")["speed"]
            speeds += [speed] if speed != speeds[-1] else []
        assert speeds == [1, 60, 3_000]


def test_orders_survive_the_death_of_their_server(tmp_path):
    with as_process("binance-usdm", state=tmp_path) as first:
        port = int(first.url.rpartition(":")[2])
        resting = asyncio.run(placed(first.url, price="69500", timeInForce="GTX"))
        taken = asyncio.run(placed(first.url, price="68000", timeInForce="IOC"))
        first.kill()
    with as_process("binance-usdm", state=tmp_path, port=port) as again:
        truth = again.truth()
        assert [order["status"] for order in truth["orders"]] == ["working", "filled"]
        found, trades = asyncio.run(reads(again.url, resting["clientOrderId"]))
        assert found["orderId"] == resting["orderId"] and found["timeInForce"] == "GTX"
        assert found["time"] == resting["updateTime"]
        assert [trade["orderId"] for trade in trades] == [taken["orderId"]]
        assert truth["positions"]["BTC/USDT:USDT"]["quantity"] == "-0.010"


def test_the_end_of_a_recording_is_said(tmp_path):
    with as_process("binance-spot", state=tmp_path) as server:
        server.ask("POST", "/sim/world", {"skip_s": str(2_100 * 86_400)})
        assert server.process.stderr.readline().startswith("the recording is over")
        assert server.ask("GET", "/sim/world")["is_over"]


async def placed(url, **order):
    words = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "quantity": "0.010"} | order
    async with aiohttp.ClientSession() as http:
        status, body, _ = await Hand(At(url), http).ask("POST", "/fapi/v1/order", words)
        assert status == 200, body
        return body


async def settled(url):
    async with aiohttp.ClientSession() as http:
        hand = Hand(At(url), http)
        return (await hand.plain("/fapi/v1/fundingRate?symbol=BTCUSDT"))[1]


async def reads(url, name):
    async with aiohttp.ClientSession() as http:
        hand = Hand(At(url), http)
        order = {"symbol": "BTCUSDT", "origClientOrderId": name}
        found = (await hand.ask("GET", "/fapi/v1/openOrder", order))[1]
        return found, (await hand.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))[1]


class At:
    """A server of which only the address is known."""

    def __init__(self, url):
        self.url = url


@awaited
async def test_a_halt_and_a_hedge_mode_account_are_shown_and_refused():
    halt = {"halts": [{"market": "spot", "at_s": 0, "for_s": 3_600}]}
    async with by_hand(sim={"faults": halt}) as hand:
        info = (await hand.plain("/api/v3/exchangeInfo"))[1]["symbols"][0]
        assert info["status"] == "BREAK"
        status, body, _ = await hand.ask("POST", "/api/v3/order", ORDER)
        assert (status, body["code"], body["msg"]) == (400, -1013, "Market is closed.")
    async with by_hand("binance-usdm") as hand:
        hedge = {"dualSidePosition": "true"}
        assert (await hand.ask("POST", "/fapi/v1/positionSide/dual", hedge))[0] == 200
        assert (await hand.ask("POST", "/fapi/v1/positionSide/dual", hedge))[1]["code"] == -4059
        mode = (await hand.ask("GET", "/fapi/v1/positionSide/dual"))[1]
        assert mode == {"dualSidePosition": True}
        assert (await hand.ask("POST", "/fapi/v1/order", ORDER))[1]["code"] == -4061


@awaited
async def test_two_venues_of_one_world_reach_its_end_together(tmp_path):
    stretch = {"start": "2024-04-05T00:00", "end": "2024-04-09T00:00"}
    shared = {"world_dir": tmp_path, "speed": 400_000, "pulse_ms": 20, "sim": stretch}
    async with (
        in_process("binance-spot", **shared) as spot,
        in_process("binance-usdm", **shared) as usdm,
    ):
        houses = (spot.house, usdm.house)
        assert abs(houses[0].recorded_now - houses[1].recorded_now) < HOUR
        await until(lambda: spot.house.is_over and usdm.house.is_over, for_s=20)
        assert spot.house.quote("BTC/USDT") is None
        assert spot.house.world.segments == usdm.house.world.segments
