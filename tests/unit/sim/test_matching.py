"""Goal: orders do at the simulated venue what they would do at a real one.

Method: one venue on real bars and a jumping clock; orders through the gateways.
"""

from decimal import Decimal
from typing import Any

import pytest
from sim_world import PERP, SPOT, D, World, run_with

from hedge.errors import Missing, Refused
from hedge.model import (
    Balance,
    Fill,
    InstrumentStatus,
    Leg,
    OrderReport,
    PositionMode,
    ReportedStatus,
    Side,
    TimeInForce,
)

CANCELLED, FILLED, WORKING = (
    ReportedStatus.CANCELLED,
    ReportedStatus.FILLED,
    ReportedStatus.WORKING,
)


async def until_done(world: World, client_order_id: str, limit_s: int = 3600) -> OrderReport:
    for _ in range(limit_s):
        report = await world.spot.read_order(SPOT, client_order_id)
        if report.status is not WORKING:
            return report
        await world.clock.sleep(1)
    raise AssertionError("never filled")


def test_a_passive_order_never_fills_at_once_and_fills_when_the_market_trades_there():
    async def main(world: World) -> None:
        for _ in range(20):
            quote = world.quotes[SPOT]
            order = world.order(Side.BUY, "0.002", quote.bid)
            report = await world.spot.place_order(order)
            assert report.status is WORKING
            assert report.filled == 0
            done = await until_done(world, order.client_order_id)
            assert done.status is FILLED
            fill = world.fills()[-1]
            assert fill.price == order.limit_price
            assert fill.maker
            assert fill.filled_at > order.signed_at
            units = int(fill.price * 10**10)
            low, _ = world.venue.exchange.markets[SPOT].range_between(
                order.signed_at, world.clock.now()
            )
            assert low <= units

    run_with(main)


def test_an_order_far_away_stays_and_can_be_cancelled_once():
    async def main(world: World) -> None:
        order = world.order(Side.BUY, "0.002", "68000.00")
        await world.spot.place_order(order)
        await world.clock.sleep(600)
        (working,) = await world.spot.read_open_orders(SPOT)
        assert (working.side, working.quantity, working.limit_price, working.reduce_only) == (
            Side.BUY, D("0.002"), D("68000.00"), False,
        )  # fmt: skip
        usdt = next(b for b in await world.spot.read_balances() if b.asset == "USDT")
        assert usdt.locked == D("136")
        assert usdt.total == D("50000")
        report = await world.spot.cancel_order(SPOT, order.client_order_id)
        assert report.status is CANCELLED
        with pytest.raises(Refused, match="not open") as caught:
            await world.spot.cancel_order(SPOT, order.client_order_id)
        assert caught.value.code == "UNKNOWN_ORDER"

    run_with(main)


def test_post_only_that_would_take_is_refused():
    async def main(world: World) -> None:
        with pytest.raises(Refused) as caught:
            await world.spot.place_order(
                world.order(Side.BUY, "0.002", world.quotes[SPOT].ask * 1 + 20)
            )
        assert caught.value.code == "POST_ONLY_WOULD_TAKE"
        assert not world.venue.exchange.account.orders

    run_with(main)


def test_a_taking_order_walks_the_levels_and_the_rest_is_cancelled():
    async def main(world: World) -> None:
        quote = world.quotes[PERP]
        price = (quote.bid - 5).quantize(D("0.1"))
        order = world.order(Side.SELL, "1.500", price, leg=Leg.FUTURES, tif=TimeInForce.IOC)
        report = await world.perp.place_order(order)
        fills = [f for f in world.fills() if f.client_order_id == order.client_order_id]
        assert len(fills) >= 2
        prices = [f.price for f in fills]
        assert prices == sorted(prices, reverse=True)
        assert all(p >= price for p in prices)
        assert report.status in {FILLED, CANCELLED}
        assert report.filled == sum(f.quantity for f in fills)
        assert not any(f.maker for f in fills)

    run_with(main)

    async def thin(world: World) -> None:
        quote = world.quotes[PERP]
        order = world.order(Side.SELL, "0.500", quote.bid, leg=Leg.FUTURES, tif=TimeInForce.IOC)
        report = await world.perp.place_order(order)
        assert report.status is CANCELLED
        assert 0 < report.filled < D("0.5")
        again = await world.perp.read_order(PERP, order.client_order_id)
        assert again.filled == report.filled

    run_with(thin, futures={"depth_quote": "50000", "spread_bps": "0"})


def test_an_ioc_that_does_not_reach_the_touch_gets_nothing():
    async def main(world: World) -> None:
        order = world.order(Side.BUY, "0.002", world.quotes[SPOT].bid - 50, tif=TimeInForce.IOC)
        report = await world.spot.place_order(order)
        assert (report.status, report.filled) == (CANCELLED, 0)

    run_with(main)


def test_volume_limits_what_a_resting_order_gets_at_a_time():
    async def main(world: World) -> None:
        order = world.order(Side.BUY, "0.05", world.quotes[SPOT].bid)
        await world.spot.place_order(order)
        report = await until_done(world, order.client_order_id, 20_000)
        assert report.status is FILLED
        parts = [f.quantity for f in world.fills()]
        assert len(parts) > 3
        assert sum(parts) == D("0.05")

    run_with(main, spot={"volume_share": "0.05"})


@pytest.mark.parametrize(
    ("leg", "quantity", "price", "code"),
    [
        (Leg.SPOT, "0.0020001", "68000.00", "LOT_SIZE"),
        (Leg.SPOT, "0.000001", "68000.00", "LOT_SIZE"),
        (Leg.SPOT, "0.002", "68000.001", "TICK_SIZE"),
        (Leg.SPOT, "0.000012", "68000.00", "MIN_NOTIONAL"),
        (Leg.SPOT, "0.002", "50000.00", "PRICE_COLLAR"),
        (Leg.SPOT, "5.000000", "68000.00", "INSUFFICIENT_BALANCE"),
        (Leg.FUTURES, "0.0015", "68000.0", "LOT_SIZE"),
        (Leg.FUTURES, "0.001", "68000.05", "TICK_SIZE"),
        (Leg.FUTURES, "9.000", "68000.0", "INSUFFICIENT_MARGIN"),
    ],
)
def test_filters_refuse_with_their_code(leg: Leg, quantity: str, price: str, code: str):
    async def main(world: World) -> None:
        gateway = world.spot if leg is Leg.SPOT else world.perp
        with pytest.raises(Refused) as caught:
            await gateway.place_order(world.order(Side.BUY, quantity, price, leg=leg))
        assert caught.value.code == code, caught.value

    run_with(main, spot={"notional_min": "1"})


def test_ids_are_unique_for_ever_and_signatures_age():
    async def main(world: World) -> None:
        order = world.order(Side.BUY, "0.002", "68000.00", name="one")
        await world.spot.place_order(order)
        await world.spot.cancel_order(SPOT, "one")
        with pytest.raises(Refused) as caught:
            await world.spot.place_order(world.order(Side.BUY, "0.002", "68000.00", name="one"))
        assert caught.value.code == "DUPLICATE_ID"
        for shift_s, code in ((-3, "STALE_TIMESTAMP"), (3, "TIMESTAMP_AHEAD")):
            late = world.order(
                Side.BUY, "0.002", "68000.00", signed_at=world.clock.now() + shift_s * 10**9
            )
            with pytest.raises(Refused) as caught:
                await world.spot.place_order(late)
            assert caught.value.code == code
            with pytest.raises(Missing):
                await world.spot.read_order(SPOT, late.client_order_id)
        for feed, symbol in ((world.spot_feed, PERP), (world.perp_feed, SPOT)):
            with pytest.raises(Missing):
                await feed.read_instrument(symbol)
        with pytest.raises(Missing):
            await world.spot_feed.listen("DOGE/USDT", lambda _: None)

    run_with(main)


def test_reduce_only_is_clipped_and_refused_without_a_position():
    async def main(world: World) -> None:
        quote = world.quotes[PERP]
        with pytest.raises(Refused) as caught:
            await world.take(Side.BUY, "0.010", leg=Leg.FUTURES, reduce_only=True)
        assert caught.value.code == "REDUCE_ONLY"
        await world.take(Side.SELL, "0.010", leg=Leg.FUTURES)
        report = await world.take(Side.BUY, "0.030", leg=Leg.FUTURES, reduce_only=True)
        assert (report.status, report.filled, report.reduce_only) == (CANCELLED, D("0.010"), True)
        position = await world.perp.read_position(PERP)
        assert (position.quantity, position.entry_notional) == (0, 0)
        assert quote.symbol == PERP

    run_with(main)


@pytest.mark.parametrize(
    ("fees", "asset", "fee"),
    [
        ({}, "BTC", "0.00001"),
        ({"fee_mode": "quote"}, "USDT", None),
        ({"fee_mode": "coin", "coin_price": "500"}, "BNB", None),
    ],
)
def test_fees_in_three_ways(fees: dict[str, str], asset: str, fee: str | None):
    async def main(world: World) -> None:
        before = {b.asset: b.total for b in await world.spot.read_balances()}
        await world.take(Side.BUY, "0.010000", leg=Leg.SPOT)
        fills = world.fills()
        assert {f.fee_asset for f in fills} == {asset}
        paid = sum(f.fee for f in fills)
        cost = sum(f.quantity * f.price for f in fills)
        if fee is not None:
            assert paid == D(fee)
        after = {b.asset: b.total for b in await world.spot.read_balances()}
        assert after["BTC"] == D("0.01") - (paid if asset == "BTC" else 0)
        assert after["USDT"] == before["USDT"] - cost - (paid if asset == "USDT" else 0)
        if asset == "BNB":
            assert after["BNB"] == before["BNB"] - paid
            assert abs(paid * 500 - cost * D("0.001")) < D("0.00001")
            assert fills[0].fee_rate_quote == 500
            bnb = next(b for b in world.got(Balance) if b.asset == "BNB")
            assert bnb.rate_quote == 500
        rates = await world.check.read_fees(SPOT)
        assert rates.buy_asset == asset
        await world.take(Side.SELL, "0.005000", leg=Leg.SPOT)
        assert world.fills()[-1].fee_asset == ("BNB" if asset == "BNB" else "USDT")

    run_with(main, fees=fees, balances={"USDT": "50000", "BNB": "1"})


def test_what_happens_is_told_and_the_answers_agree():
    async def main(world: World) -> None:
        report = await world.take(Side.SELL, "0.010", leg=Leg.FUTURES)
        await world.clock.sleep(1)
        fills = world.got(Fill)
        assert [f.key for f in fills] == [f.key for f in world.fills()]
        told = [r for r in world.got(OrderReport) if r.client_order_id == report.client_order_id]
        assert told[-1].filled == report.filled
        assert await world.perp.read_fills(PERP, 0) == tuple(fills)
        assert await world.perp.read_position_mode() is PositionMode.ONE_WAY
        await world.perp.prepare(PERP, 2)
        margin = await world.perp.read_margin(PERP)
        assert margin.leverage == 2
        rights = await world.check.read_key_rights()
        assert rights.trade
        assert not rights.withdraw
        instrument = await world.perp_feed.read_instrument(PERP)
        assert instrument.status is InstrumentStatus.TRADING
        assert (instrument.tick, instrument.lot) == (D("0.1"), D("0.001"))

    run_with(main)


def test_one_account_is_one_venue_and_two_accounts_are_two():
    shared: dict[str, Any] = {}
    left, right = World(shared=shared), World(shared=shared)
    assert left.venue is right.venue
    assert left.venue is left.perp_feed.venue
    assert World(account="a").venue is not World(account="b").venue


def test_the_same_seed_gives_the_same_world_and_another_seed_another():
    def story(seed: int) -> list[str]:
        async def main(world: World) -> None:
            for _ in range(3):
                order = world.order(Side.BUY, "0.002", world.quotes[SPOT].bid)
                await world.spot.place_order(order)
                await world.clock.sleep(60)

        world = run_with(main, seed=seed)
        return [repr(n) for n in (*world.market_news, *world.account_news)]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_depth_and_quotes_lie_on_the_grid():
    async def main(world: World) -> None:
        await world.clock.sleep(600)
        for quote in world.quotes.values():
            assert quote.usable
            assert quote.bid_depth > 0
        assert world.quotes[PERP].bid % D("0.1") == 0
        assert world.quotes[SPOT].ask % D("0.01") == Decimal(0)
        levels = world.venue.exchange.markets[PERP].levels(world.clock.now(), asks=True)
        five = sum(level.quantity for level in levels[:5])
        assert five == world.venue.exchange.markets[PERP].quote(world.clock.now()).ask_depth

    run_with(main)


def test_contract_size_and_multiplier_scale_the_lot_in_coins():
    async def main(world: World) -> None:
        instrument = await world.perp_feed.read_instrument(PERP)
        assert instrument.lot == D("0.010")
        with pytest.raises(Refused) as caught:
            await world.take(Side.SELL, "0.005", leg=Leg.FUTURES)
        assert caught.value.code == "LOT_SIZE"
        await world.take(Side.SELL, "0.020", leg=Leg.FUTURES)
        assert (await world.perp.read_position(PERP)).quantity == D("-0.020")

    run_with(main, futures={"contract_size": "10"})
