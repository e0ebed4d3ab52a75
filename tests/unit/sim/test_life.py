"""Goal: funding, forced trades, outages, the end of the data and restarts go as recorded.

Method: whole stretches in jumping time; truth files cut at every byte of their last record.
"""

import bisect
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sim_clock import JumpClock
from sim_world import PERP, SECOND, SPOT, D, World, run_with

from hedge.errors import ConfigError, JournalError, LockHeld, Missing, Refused
from hedge.model import (
    Fill,
    FillKind,
    FundingPayment,
    Leg,
    Mark,
    PositionMode,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    StreamAlive,
    StreamDown,
    StreamUp,
    TimeInForce,
)
from hedge.model.numbers import HOUR
from hedge_sim.config import SimSettings
from hedge_sim.records import Accepted, Deposited
from hedge_sim.truth import (
    PAGE,
    Truth,
    fold,
    path_of,
    prices_of,
    read_records,
    read_truth,
    reset,
)


def test_funding_is_paid_at_the_recorded_times_at_the_recorded_rates():
    async def main(world: World) -> None:
        await world.take(Side.SELL, "0.100", leg=Leg.FUTURES)
        await world.clock.sleep(3 * 86_400)
        payments = await world.funding.read_payments(PERP, 0)
        assert len(payments) == 9
        rates = {s.at: s for s in world.venue.recording.coins[0].funding}
        for payment in payments:
            assert payment.rate == rates[payment.settled_at].rate
            mark = world.venue.exchange.markets[PERP].last_price(payment.settled_at)
            assert payment.cash == D("0.100") * mark * payment.rate
            assert payment.quantity == D("-0.100")
            assert payment.cash > 0
        assert world.got(FundingPayment) == list(payments)
        told = [r for r in world.funding_news if r.origin is RateOrigin.SETTLED]
        assert [r.observed_at for r in told[1:]] == [p.settled_at for p in payments]
        assert all(r.next_at == r.observed_at + 8 * HOUR for r in told)
        rate = await world.funding.read_rate(PERP)
        assert rate.origin is RateOrigin.CARRIED
        assert rate.rate == payments[-1].rate
        assert rate.observed_at <= world.clock.now() < rate.next_at
        assert (await world.funding.read_rates())[0].rate == rate.rate
        history = await world.funding.read_history(PERP, 0, world.clock.now() + 10 * HOUR)
        assert history[-1].rate == rate.rate

    run_with(main)


def test_an_idle_month_is_cheap_and_never_silent():
    async def main(world: World) -> None:
        world.market_news.clear()
        await world.clock.sleep(86_400)
        quotes = [q for q in world.got(Quote) if q.symbol == SPOT]
        gaps = [b.seen_at - a.seen_at for a, b in itertools.pairwise(quotes)]
        assert 1_400 < len(quotes) < 1_600
        assert max(gaps) <= 60 * SECOND
        assert len(world.got(StreamAlive)) > 1_400
        world.market_news.clear()
        await world.spot.place_order(world.order(Side.BUY, "0.002", "68000.00"))
        await world.clock.sleep(120)
        quotes = [q for q in world.got(Quote) if q.symbol == PERP]
        assert max(b.seen_at - a.seen_at for a, b in itertools.pairwise(quotes)) <= SECOND
        marks = world.got(Mark)
        assert marks
        assert all(abs(m.mark / m.index - 1) < D("0.01") for m in marks)

    run_with(main)


def test_any_request_brings_fresh_quotes_first():
    async def main(world: World) -> None:
        await world.clock.sleep(90.5)
        world.market_news.clear()
        world.account_news.clear()
        await world.perp.read_position(PERP)
        asked_at = world.clock.now() - 40_000_000
        assert {q.seen_at for q in world.got(Quote)} == {asked_at}
        assert len([n for n in world.account_news if isinstance(n, StreamAlive)]) == 2

    run_with(main)


def test_the_end_of_the_data_is_said_and_nothing_trades_after_it():
    async def main(world: World) -> None:
        await world.clock.sleep(86_400)
        downs = [n for n in world.market_news if isinstance(n, StreamDown)]
        assert [d.why for d in downs] == ["DATA_ENDED", "DATA_ENDED"]
        assert world.market_news[-1] is downs[-1]
        with pytest.raises(Refused) as caught:
            await world.spot.place_order(world.order(Side.BUY, "0.002", "68000.00"))
        assert caught.value.code == "HALTED"
        news: list[Any] = []
        await world.spot_feed.listen(SPOT, news.append)
        assert news[-1].why == "DATA_ENDED"

    run_with(main, end="2024-03-28T12:00", then=lambda world: world.clock.sleep(1))


def test_an_outage_of_the_recording_stops_quotes_and_orders_and_ends():
    async def main(world: World) -> None:
        await world.clock.sleep(5 * 3600 + 1200)
        downs = [n.why for n in world.market_news if isinstance(n, StreamDown)]
        assert downs == ["OUTAGE"]
        assert len(world.got(StreamUp)) == 2 + 2 + 1
        hole = (1_670_889_600 + 4 * 3600 + 54 * 60, 1_670_889_600 + 5 * 3600 + 10 * 60)
        seen = [q.seen_at // SECOND for q in world.got(Quote) if q.symbol == PERP]
        assert not [s for s in seen if hole[0] <= s < hole[1]]
        assert any(q.bridged for q in world.got(Quote))

    run_with(main, data="bundled:btc-minute")


def test_orders_in_an_outage_are_refused():
    async def main(world: World) -> None:
        at = 1_670_889_600 + 5 * 3600
        await world.clock.sleep_until(at * SECOND)
        with pytest.raises(Refused) as caught:
            await world.perp.place_order(
                world.order(Side.SELL, "0.002", "17000.0", leg=Leg.FUTURES)
            )
        assert caught.value.code == "HALTED"
        instrument = await world.perp_feed.read_instrument(PERP)
        assert instrument.status.value == "halted"

    run_with(main, data="bundled:btc-minute")


def test_negative_funding_costs_the_short():
    async def main(world: World) -> None:
        await world.take(Side.SELL, "0.010", leg=Leg.FUTURES)
        await world.clock.sleep(9 * 3600)
        (payment,) = await world.funding.read_payments(PERP, 0)
        assert payment.rate == D("-0.00022398")
        assert payment.cash < 0

    run_with(main, data="bundled:btc-minute")


def test_too_much_leverage_is_liquidated_with_a_fill_of_its_kind():
    async def main(world: World) -> None:
        await world.perp.prepare(PERP, 100)
        await world.take(Side.SELL, "0.200", leg=Leg.FUTURES)
        position = await world.perp.read_position(PERP)
        assert position.liquidation_price is not None
        assert world.quotes[PERP].ask < position.liquidation_price < 72_000
        await world.clock.sleep(20 * 86_400)
        (fill,) = [f for f in world.got(Fill) if f.kind is FillKind.LIQUIDATION]
        assert fill.side is Side.BUY
        assert fill.client_order_id.startswith("autoclose-")
        assert (await world.perp.read_position(PERP)).quantity == 0
        assert world.venue.exchange.account.balance("USDT") >= 0

    run_with(main, balances={"USDT": "300"})


def test_deleveraging_on_demand_closes_a_part_without_a_fee():
    async def main(world: World) -> None:
        await world.take(Side.SELL, "0.100", leg=Leg.FUTURES)
        await world.clock.sleep(200)
        (fill,) = [f for f in world.got(Fill) if f.kind is FillKind.AUTO_DELEVERAGING]
        assert (fill.quantity, fill.fee, fill.side) == (D("0.030"), 0, Side.BUY)
        assert (await world.perp.read_position(PERP)).quantity == D("-0.070")

    run_with(main, faults={"deleveragings": [{"at_s": "100", "share": "0.3"}]})


def test_scheduled_events_fire_once_and_change_the_account():
    async def main(world: World) -> None:
        await world.take(Side.SELL, "0.100", leg=Leg.FUTURES)
        await world.clock.sleep(30)
        assert await world.perp.read_position_mode() is PositionMode.HEDGE
        with pytest.raises(Refused) as caught:
            await world.take(Side.SELL, "0.100", leg=Leg.FUTURES)
        assert caught.value.code == "POSITION_MODE"
        balances = {b.asset: b.total for b in await world.spot.read_balances()}
        assert balances["BTC"] == D("0.5")
        assert (await world.perp.read_position(PERP)).quantity == 0

    faults = {
        "mode_flips": [{"at_s": "20"}],
        "balance_changes": [{"at_s": "15", "asset": "BTC", "quantity": "0.5"}],
        "liquidations": [{"after_fills": 1}],
    }
    run_with(main, faults=faults)


# The truth


async def trade(world: World) -> None:
    for _ in range(3):
        await world.take(Side.BUY, "0.010000", leg=Leg.SPOT)
        await world.take(Side.SELL, "0.009", leg=Leg.FUTURES)
    await world.clock.sleep(9 * 3600)
    await world.spot.place_order(world.order(Side.BUY, "0.002", "68000.00", name="rests"))
    await world.clock.sleep(2)


def state(account: Any) -> dict[str, Any]:
    seen = dict(vars(account))
    orders = {
        name: (p.order, p.venue_order_id, p.status, p.filled, p.why, p.history)
        for name, p in account.orders.items()
    }
    seen["orders"], seen["open"] = orders, sorted(account.open)
    return seen


def test_a_restart_meets_the_same_venue_at_the_same_or_a_later_time(tmp_path: Path):
    seen: dict[str, Any] = {}

    async def first(world: World) -> None:
        await trade(world)
        seen["now"] = world.clock.now()
        # What a SIGKILL leaves is what is in the file now: taken before anything is closed.
        seen["bytes"] = path_of(tmp_path).read_bytes()
        seen["state"] = state(world.venue.exchange.account)
        seen["equity"] = world.venue.exchange.equity(seen["now"], "USDT")

    run_with(first, state_dir=tmp_path)
    path_of(tmp_path).write_bytes(seen["bytes"])
    truth = read_truth(path_of(tmp_path))
    assert state(truth.account) == seen["state"]
    assert truth.clock >= seen["now"]
    assert truth.funding["USDT"] > 0
    assert truth.positions[PERP].quantity == D("-0.027")
    assert len(truth.fills_of("rests")) == 0
    assert truth.equity("USDT", *prices_of(SimSettings(), seen["now"])) == seen["equity"]

    async def second(world: World) -> None:
        assert seen["now"] <= world.venue.at() <= seen["now"] + 2 * SECOND
        report = await world.spot.read_order(SPOT, "rests")
        assert report.status.value == "working"
        after = state(world.venue.exchange.account)
        for key in ("sessions", "last_at"):
            after.pop(key)
            seen["state"].pop(key)
        assert after == seen["state"]
        with pytest.raises(Refused) as caught:
            await world.spot.place_order(world.order(Side.BUY, "0.002", "68000.00", name="rests"))
        assert caught.value.code == "DUPLICATE_ID"

    run_with(second, state_dir=tmp_path)


def test_a_settlement_before_the_kill_is_not_paid_again_nor_on_a_later_position(tmp_path: Path):
    async def first(world: World) -> None:
        await world.clock.sleep(8 * 3600 + 10)
        await world.take(Side.SELL, "0.050", leg=Leg.FUTURES)
        await world.clock.sleep(5)

    run_with(first, state_dir=tmp_path)

    async def second(world: World) -> None:
        assert await world.funding.read_payments(PERP, 0) == ()
        await world.clock.sleep(8 * 3600)
        assert len(await world.funding.read_payments(PERP, 0)) == 1

    run_with(second, state_dir=tmp_path)


def test_a_torn_last_record_is_cut_at_every_byte(tmp_path: Path):
    run_with(trade, state_dir=tmp_path)
    path = path_of(tmp_path)
    whole = path.read_bytes()
    records = read_records(path)
    (tmp_path / "less").mkdir()
    short = path_of(tmp_path / "less")
    cuts = 0
    for cut in range(len(whole) - 1, PAGE, -1):
        short.write_bytes(whole[:cut])
        found = read_records(short)
        if len(found) < len(records) - 1:
            break
        cuts += 1
        assert found == records[:-1]
        assert state(fold(found)) == state(fold(records[:-1]))
    assert cuts > 20
    short.write_bytes(whole[: len(whole) - 3])

    async def main(world: World) -> None:
        assert "rests" not in world.venue.exchange.account.orders
        assert len(world.fills()) == 6

    run_with(main, state_dir=tmp_path / "less")
    assert read_records(short)[: len(records) - 1] == records[:-1]


def test_a_taking_order_cut_off_before_its_end_does_not_rest(tmp_path: Path):
    run_with(trade, state_dir=tmp_path)
    path = path_of(tmp_path)
    whole = path.read_bytes()
    records = read_records(path)

    def taking(record: Any) -> bool:
        ioc = TimeInForce.IOC
        return isinstance(record, Accepted) and record.order.time_in_force is ioc

    kept = max(number for number, record in enumerate(records) if taking(record)) + 1
    sizes = range(len(whole))
    cut = bisect.bisect_left(sizes, kept, PAGE, key=lambda n: len(scanned(tmp_path, whole[:n])))
    path.write_bytes(whole[:cut])

    async def main(world: World) -> None:
        assert await world.perp.read_open_orders(PERP) == ()

    run_with(main, state_dir=tmp_path)
    last = list(read_truth(path).orders.values())[-1]
    assert (last.status, last.filled, last.why) == (ReportedStatus.CANCELLED, 0, "ioc")


def scanned(tmp_path: Path, data: bytes) -> list[Any]:
    short = tmp_path / "scanned"
    short.write_bytes(data)
    return read_records(short)


def test_damage_another_world_and_a_second_owner_are_errors(tmp_path: Path):
    run_with(trade, state_dir=tmp_path)
    path = path_of(tmp_path)
    whole = path.read_bytes()

    async def nothing(_: World) -> None:
        return

    for settings in ({"seed": 8}, {"data": "bundled:eth-8h"}, {"end": "2024-04-20"}):
        with pytest.raises(ConfigError, match="--sim-reset"):
            run_with(nothing, state_dir=tmp_path, **settings)
    path.write_bytes(whole[: PAGE + 20] + b"x" + whole[PAGE + 21 :])
    with pytest.raises(ConfigError, match="damaged"):
        run_with(nothing, state_dir=tmp_path)
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(ConfigError, match="not the truth"):
        run_with(nothing, state_dir=tmp_path)
    path.write_bytes(whole[:100])
    with pytest.raises(ConfigError, match="damaged"):
        run_with(nothing, state_dir=tmp_path)
    path.write_bytes(whole)

    async def owner(_: World) -> None:
        async with World(tmp_path):
            raise AssertionError("a second owner")

    with pytest.raises(LockHeld):
        run_with(owner, state_dir=tmp_path)
    assert reset(tmp_path) == 1
    run_with(nothing, state_dir=tmp_path, seed=8)


CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from hedge.model import Leg, Side
from sim_world import World, run_with

async def main(world):
    await world.take(Side.BUY, "0.010000", leg=Leg.SPOT)
    await world.take(Side.SELL, "0.009", leg=Leg.FUTURES)
    print(world.clock.now(), flush=True)
    at = world.clock.now() + 30_000_000
    world.clock.call_at(at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    await world.take(Side.SELL, "0.009", leg=Leg.FUTURES)

run_with(main, state_dir=sys.argv[1])
"""


def test_a_process_killed_between_an_order_and_its_answer_leaves_the_truth(tmp_path: Path):
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", CHILD, str(tmp_path), here]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    truth = read_truth(path_of(tmp_path))
    assert truth.clock >= int(done.stdout)
    assert len(truth.orders) == 3
    assert truth.positions[PERP].quantity == D("-0.018")

    async def main(world: World) -> None:
        assert world.clock.now() >= int(done.stdout)
        assert (await world.perp.read_position(PERP)).quantity == D("-0.018")

    run_with(main, state_dir=tmp_path)


def test_two_accounts_are_two_venues_with_two_truths_and_one_market(tmp_path: Path):
    clock = JumpClock()
    left = World(tmp_path, clock=clock, account="a")
    right = World(tmp_path, clock=clock, account="b")

    async def main() -> None:
        async with left, right:
            await left.listen()
            await right.listen()
            await clock.sleep(10)
            assert left.quotes == right.quotes
            await left.take(Side.BUY, "0.010000", leg=Leg.SPOT)
            await right.take(Side.SELL, "0.010", leg=Leg.FUTURES)
            await clock.sleep(9 * 3600)

    clock.run(main())
    spot, perp = (read_truth(path_of(tmp_path, name)) for name in "ab")
    assert spot.balances["BTC"] == D("0.00999")
    assert not spot.payments
    assert perp.positions[PERP].quantity == D("-0.010")
    assert len(perp.payments) == 1


def test_in_real_time_the_recording_begins_now():
    async def main(world: World) -> None:
        assert world.venue.shift == 10**18 - world.venue.recording.start
        assert world.quotes[SPOT].seen_at >= 10**18
        await world.take(Side.SELL, "0.050", leg=Leg.FUTURES)
        await world.clock.sleep(9 * 3600)
        (payment,) = await world.funding.read_payments(PERP, 0)
        assert payment.settled_at == 10**18 + 8 * HOUR

    run_with(main, clock=JumpClock(10**18, virtual=False))


def test_what_the_venue_does_not_know_is_missing():
    async def main(world: World) -> None:
        for ask in (
            world.funding.read_rate,
            world.perp.read_position,
            world.perp.read_margin,
            world.perp.read_open_orders,
            world.check.read_fees,
        ):
            with pytest.raises(Missing):
                await ask("DOGE/USDT:USDT")

    run_with(main)


def test_a_full_disk_is_said_and_the_truth_stays_whole(tmp_path, room):
    path = tmp_path / "sim-main.truth"
    record = Deposited(at=1, asset="USDT", quantity=D("1"), why="initial")
    truth = Truth(path)
    for size in (0, PAGE - 1):
        with room(size), pytest.raises(JournalError, match="cannot keep the venue's truth"):
            truth.open()
    truth.open()
    truth.append(record)
    with room(path.stat().st_size + 7), pytest.raises(JournalError, match="cannot keep"):
        truth.append(record)
    with pytest.raises(JournalError):  # there is room again, behind a part of a record
        truth.append(record)
    truth.close()
    assert read_records(path) == [record]
    with pytest.raises(ConfigError, match="cannot keep"):
        Truth(tmp_path / "missing" / "sim-main.truth").open()
