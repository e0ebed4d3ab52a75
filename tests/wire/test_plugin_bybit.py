"""Goal: what the Bybit plugin reads and sets is the venue's own, and a read that fails says so.
Method: the wire simulator on the same loop, its truth, and its faults on demand.
"""

import pytest
from bybit_desk import run
from desks import PERP, SPOT, D

from hedge.errors import Missing, Refused, Unreachable
from hedge.model import (
    FundingPayment,
    FundingRate,
    InstrumentStatus,
    Leg,
    PositionMode,
    RateOrigin,
    Side,
)
from hedge.model.numbers import SECOND
from hedge_sim.dialects.server import Keys

HOUR_S = 3_600
ENDS_AT = 1_900_000_000 * SECOND


def test_a_start_reads_and_prepares():
    async def scenario(desk):
        spot = await desk.spot_feed.read_instrument(SPOT)
        perp = await desk.futures_feed.read_instrument(PERP)
        assert (spot.base, perp.settle, perp.multiplier) == ("BTC", "USDT", D(1))
        assert spot.status is perp.status is InstrumentStatus.TRADING
        for feed in (desk.spot_feed, desk.futures_feed):
            with pytest.raises(Missing, match="NOCOIN"):
                await feed.read_instrument("NOCOIN/USDT" + (":USDT" * (feed is desk.futures_feed)))
        rights = await desk.account_check.read_key_rights()
        assert rights.trade and not rights.withdraw and rights.ip_bound
        assert abs(await desk.account_check.read_clock_offset_ms()) < 200
        assert (await desk.account_check.read_fees(SPOT)).buy_asset == "BTC"
        assert (await desk.account_check.read_fees(PERP)).taker > 0
        await desk.futures_gateway.prepare(PERP, 3)
        margin = await desk.futures_gateway.read_margin(PERP)
        assert margin.leverage == 3 and margin.free > 0
        assert desk.server.house.leverage(PERP) == 3
        await desk.futures_gateway.prepare(PERP, 3)
        assert await desk.futures_gateway.read_position_mode() is PositionMode.ONE_WAY
        assert (await desk.futures_gateway.read_position(PERP)).quantity == 0
        balances = {one.asset: one for one in await desk.spot_gateway.read_balances()}
        assert balances["USDT"].total == 100_000 and balances["BTC"].free == 1
        assert abs(await desk.spot_gateway.read_clock() - desk.clock.now()) < SECOND

    run(scenario)


def test_hedge_mode_is_left_or_refused():
    async def scenario(desk):
        desk.server.house.set_mode(PositionMode.HEDGE)
        assert (await desk.futures_gateway.read_position(PERP)).quantity == 0
        assert await desk.futures_gateway.read_position_mode() is PositionMode.HEDGE
        await desk.futures_gateway.prepare(PERP, 2)
        assert desk.server.house.mode is PositionMode.ONE_WAY
        await desk.listen()
        await desk.trade(Leg.FUTURES, Side.SELL, "0.01")
        desk.server.house.set_mode(PositionMode.HEDGE)
        with pytest.raises(Refused, match="hedge mode") as refused:
            await desk.futures_gateway.prepare(PERP, 2)
        assert refused.value.code == "POSITION_MODE"

    run(scenario)


def test_every_page_of_instruments_is_read():
    async def scenario(desk):
        for feed, symbol in ((desk.spot_feed, SPOT), (desk.futures_feed, PERP)):
            found = {one.symbol for one in await feed.read_instruments()}
            assert len(found) > 1_000 and symbol in found

    run(scenario, padding=1_100)


def test_funding_is_told_settled_and_paid():
    async def scenario(desk):
        await desk.listen()
        await desk.trade(Leg.FUTURES, Side.SELL, "0.1")
        live = await desk.until("funding", FundingRate, lambda r: r.origin is RateOrigin.LIVE)
        assert live.interval_s == 8 * HOUR_S and live.next_at > desk.clock.now()
        assert (await desk.funding_source.read_rate(PERP)).rate == live.rate
        assert PERP in {one.symbol for one in await desk.funding_source.read_rates()}
        before = desk.clock.now()
        desk.server.house.skip(8 * HOUR_S * SECOND + SECOND)
        paid = await desk.until("futures", FundingPayment)
        settled = await desk.until(
            "funding",
            FundingRate,
            lambda r: r.origin is RateOrigin.SETTLED and r.observed_at == paid.settled_at,
        )
        assert (paid.quantity, paid.rate) == (D("-0.1"), settled.rate)
        assert (paid.cash > 0) == (settled.rate > 0), "a short is paid by a positive rate"
        logged = await desk.funding_source.read_payments(PERP, before - SECOND)
        assert [one.payment_id for one in logged] == [paid.payment_id]
        assert logged[0].cash == paid.cash == desk.server.house.payments(PERP)[-1].cash
        history = await desk.funding_source.read_history(PERP, paid.settled_at, paid.settled_at + 1)
        assert [one.rate for one in history] == [settled.rate]

    run(scenario)


def test_a_clock_that_is_wrong_by_seconds_is_no_hindrance():
    async def scenario(desk):
        assert abs(await desk.account_check.read_clock_offset_ms() - 7_000) < 200
        assert (await desk.spot_gateway.read_balances())[0].total > 0
        await desk.listen()
        shift = desk.spot_gateway.session.offset.offset_ns
        await desk.trade(Leg.SPOT, Side.BUY, "0.01", signed_at=desk.clock.now() + shift)

    run(scenario, faults=("clock_offset,ms=7000",))


def test_a_key_that_can_withdraw_says_so():
    async def scenario(desk):
        rights = await desk.account_check.read_key_rights()
        assert rights.withdraw and not rights.ip_bound

    run(scenario, keys=Keys(withdraw=True, ip_bound=False))


def test_a_key_that_can_transfer_is_as_good_as_one_that_can_withdraw_and_tells_its_end():
    async def scenario(desk):
        rights = await desk.account_check.read_key_rights()
        assert rights.trade and rights.withdraw and rights.expires_at == ENDS_AT

    run(scenario, keys=Keys(transfer=True, ends_at=ENDS_AT))


def test_a_key_that_cannot_trade_is_refused_with_the_mend():
    async def scenario(desk):
        rights = await desk.account_check.read_key_rights()
        assert not rights.trade
        with pytest.raises(Refused, match=r"10005.*right to trade"):
            await desk.futures_gateway.prepare(PERP, 3)

    run(scenario, keys=Keys(trade=False))


@pytest.mark.parametrize("only", Leg)
def test_a_right_to_one_leg_is_none_where_both_are_traded(only):
    """A key of a unified account says "DerivativesTrade" whatever it may do."""

    async def scenario(desk):
        assert not (await desk.account_check.read_key_rights()).trade

    run(scenario, keys=Keys(only=only))


@pytest.mark.parametrize(
    ("secrets", "code"),
    [
        ({"api_key": "another", "api_secret": "sim-secret"}, "10003"),
        ({"api_key": "sim-key", "api_secret": "another"}, "10004"),
    ],
)
def test_a_wrong_key_is_named_in_one_line(secrets, code):
    async def scenario(desk):
        with pytest.raises(Refused, match=code) as refused:
            await desk.account_check.read_key_rights()
        assert refused.value.code == code
        assert "another" not in str(refused.value) and "\n" not in str(refused.value)

    run(scenario, desk={"secrets": secrets})


def test_reads_that_fail_are_errors_and_never_empty():
    async def scenario(desk):
        desk.strike("busy_server", times=0)
        for read in (
            lambda: desk.futures_gateway.read_position(PERP),
            lambda: desk.spot_gateway.read_open_orders(SPOT),
            lambda: desk.spot_gateway.read_fills(SPOT, desk.clock.now()),
            desk.spot_gateway.read_balances,
            lambda: desk.spot_gateway.read_order(SPOT, "HA00000001S000001"),
        ):
            with pytest.raises(Unreachable):
                await read()

    run(scenario)
