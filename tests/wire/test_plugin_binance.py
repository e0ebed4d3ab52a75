"""The Binance plugin over the wire: what it reads and sets, its funding and its instruments.

Goal: every role does what its Protocol says, streams come back whole after whatever happens to
them, and what is not known is said to be unknown. Method: both wire simulators on the running
loop, the plugin pointed at them, one fault at a time; the truth is asked from the simulators.
"""

import itertools
import shutil
from pathlib import Path

import msgspec
import pytest
from binance_desk import desk, ed25519, run
from desks import PERP, SPOT, D

import hedge_sim
from hedge.errors import Missing, Refused
from hedge.model import (
    Fill,
    FundingPayment,
    FundingRate,
    InstrumentStatus,
    Leg,
    Mark,
    Position,
    PositionMode,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    StreamUp,
)
from hedge.model.numbers import HOUR, MS, SECOND
from hedge_binance import plugin
from hedge_binance.config import BinanceSettings
from hedge_sim.dialects.server import SIM_KEY, Keys

NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""


# -- what can be read ----------------------------------------------------------------------------


def test_the_account_is_prepared_and_read():
    async def work():
        async with desk() as it:
            it.futures.house.set_mode(PositionMode.HEDGE)
            await it.futures_gateway.prepare(PERP, 3)
            assert it.futures.house.mode is PositionMode.ONE_WAY
            assert it.futures.house.leverage(PERP) == 3
            margin = await it.futures_gateway.read_margin(PERP)
            assert (margin.leverage, margin.free, margin.ratio) == (3, 100_000, 0)
            assert (await it.futures_gateway.read_position(PERP)).quantity == 0
            assert await it.futures_gateway.read_position_mode() is PositionMode.ONE_WAY
            held = {one.asset: one for one in await it.spot_gateway.read_balances()}
            assert (held["BTC"].total, held["USDT"].total) == (1, 100_000)
            fees = await it.account_check.read_fees(SPOT)
            assert (fees.taker, fees.buy_asset) == (D("0.001"), "BTC")
            fees = await it.account_check.read_fees(PERP)
            assert (fees.maker, fees.buy_asset) == (D("0.0002"), "USDT")
            rights = await it.account_check.read_key_rights()
            assert rights.trade and not rights.withdraw and rights.ip_bound
            assert abs(await it.account_check.read_clock_offset_ms()) < 1_000

    run(work)


def test_a_position_in_hedge_mode_is_refused():
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.futures_gateway.place_order(await it.order(Leg.FUTURES, Side.SELL))
            it.futures.house.set_mode(PositionMode.HEDGE)
            with pytest.raises(Refused) as caught:
                await it.futures_gateway.prepare(PERP, 3)
            assert caught.value.code == "-4068"

    run(work)


def test_instruments_and_their_states():
    async def work():
        async with desk(server={"padding": 700}) as it:
            spot = await it.spot_feed.read_instrument(SPOT)
            assert spot.status is InstrumentStatus.TRADING
            assert len(await it.spot_feed.read_instruments()) > 500
            assert len(await it.futures_feed.read_instruments()) > 500
            perp = await it.futures_feed.read_instrument(PERP)
            assert (perp.base, perp.settle, perp.multiplier) == ("BTC", "USDT", 1)
            for feed, symbol in ((it.spot_feed, "NOPE/USDT"), (it.futures_feed, "BTC/USDT:USDC")):
                with pytest.raises(Missing, match="binance has no"):
                    await feed.read_instrument(symbol)

    run(work)


def test_a_key_that_can_transfer_is_as_good_as_one_that_can_withdraw_and_tells_its_end():
    async def work():
        ends_at = 1_900_000_000 * SECOND
        async with desk(server={"keys": Keys(transfer=True, ends_at=ends_at)}) as it:
            rights = await it.account_check.read_key_rights()
            assert rights.trade and rights.withdraw and rights.expires_at == ends_at

    run(work)


def test_a_wrong_key_and_a_key_with_too_much_right():
    async def work():
        keys = Keys(withdraw=True, trade=False)
        async with desk(server={"keys": keys}) as it:
            await it.spot_gateway.read_balances()
            rights = await it.account_check.read_key_rights()
            assert rights.withdraw and not rights.trade
            with pytest.raises(Refused) as caught:
                await it.spot_gateway.place_order(await it.order(Leg.SPOT))
            assert caught.value.code == "-2015"
            it.context.secrets = {"api_key": SIM_KEY, "api_secret": "wrong"}
            it.context.shared = {}
            async with plugin.hedge_futures_gateway("binance", it.context) as other:
                with pytest.raises(Refused, match="binance -1022") as caught:
                    await other.prepare(PERP, 2)
                assert "wrong" not in str(caught.value)

    run(work)


@pytest.mark.parametrize("environment", ["local", "testnet"])
def test_a_spot_market_that_no_leg_uses_is_not_asked(environment):
    """Its server may not run; on a testnet it has keys of its own."""

    async def work():
        async with desk(Leg.FUTURES) as it:
            url = it.futures.url
            ws = it.futures.ws_url
            settings = {"environment": environment, "spot_url": NOBODY, "futures_url": url}
            if environment == "testnet":
                settings |= {"futures_ws_url": f"{ws}/ws-fapi/v1", "futures_stream_url": ws}
            context = msgspec.structs.replace(
                it.context, settings=BinanceSettings(**settings), shared={}
            )
            async with (
                plugin.hedge_futures_gateway("binance", context) as gateway,
                plugin.hedge_account_check("binance", context) as check,
            ):
                await gateway.prepare(PERP, 2)
                rights = await check.read_key_rights()
                assert rights.trade and not rights.withdraw
                assert abs(await check.read_clock_offset_ms()) < 1_000
                assert (await check.read_fees(PERP)).buy_asset == "USDT"

    run(work)


def test_an_ed25519_key_signs_rest_and_both_sockets():
    async def work():
        async with desk(**ed25519()) as it:
            await it.futures_gateway.prepare(PERP, 2)
            for leg in Leg:
                over_rest = await it.gateway(leg).place_order(await it.order(leg))
                await it.listen(leg)
                over_socket = await it.gateway(leg).place_order(await it.order(leg))
                assert over_rest.status is over_socket.status is ReportedStatus.FILLED

    run(work)


# -- funding -------------------------------------------------------------------------------------


def test_funding_with_its_interval_and_its_cash():
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.listen(Leg.FUTURES)
            await it.futures_gateway.place_order(await it.order(Leg.FUTURES, Side.SELL, "0.1"))
            rates = []
            await it.funding_source.listen(PERP, rates.append)
            rate = await it.funding_source.read_rate(PERP)
            assert (rate.interval_s, rate.origin) == (8 * 3600, RateOrigin.LIVE)
            assert rate.next_at > it.clock.now()
            assert [one.symbol for one in await it.funding_source.read_rates()] == [PERP]
            now = it.clock.now()
            past = await it.funding_source.read_history(PERP, now - 48 * HOUR, now)
            assert len(past) in (5, 6, 7) and all(one.interval_s == 8 * 3600 for one in past)
            assert all(a.next_at == b.observed_at for a, b in itertools.pairwise(past))
            assert not await it.funding_source.read_payments(PERP, now - 48 * HOUR)
            await it.until(lambda: [r for r in rates if r.origin is RateOrigin.LIVE])
            it.futures.house.skip(rate.next_at - it.clock.now() + MS)
            await it.until(lambda: it.told(Leg.FUTURES, FundingPayment))
            (paid,) = it.futures.house.payments(PERP)
            told = it.told(Leg.FUTURES, FundingPayment)[0]
            assert (told.cash, told.asset, told.symbol) == (paid.cash, "USDT", PERP)
            # A jump of the recorded time moves no wall clock: the interval is not looked at here.
            assert told.quantity == D("-0.1")
            await it.until(lambda: [r for r in rates if r.origin is RateOrigin.SETTLED][1:])
            settled = [one for one in rates if one.origin is RateOrigin.SETTLED]
            assert settled[-1].observed_at > settled[0].observed_at
            assert all(isinstance(one, FundingRate) for one in rates if hasattr(one, "rate"))
            (again,) = await it.funding_source.read_payments(PERP, told.settled_at)
            assert again.payment_id == told.payment_id

    run(work)


def test_of_two_settlements_at_once_both_are_told():
    async def work():
        async with desk(Leg.FUTURES) as it:
            rates = []
            await it.funding_source.listen(PERP, rates.append)
            await it.until(lambda: [r for r in rates if r.origin is RateOrigin.LIVE])
            for _ in range(2):
                before = it.futures.house.recorded_now
                it.futures.house.skip(8 * HOUR)
                await it.until(lambda: it.futures.house.recorded_now > before + 8 * HOUR)  # noqa: B023 - awaited in this turn
            await it.until(lambda: [r for r in rates if r.origin is RateOrigin.SETTLED][1:])
            told = [rate for rate in rates if rate.origin is RateOrigin.SETTLED]
            first, now = told[0].observed_at, it.clock.now()
            found = it.futures.house.funding_history(PERP, first, now)
            assert [one.rate for one in told] == [one.rate for one in found] and len(found) == 3

    run(work)


# -- several instruments, and bundles ------------------------------------------------------------


def two_coins(folder):
    """Lay two bundled recordings together, as a folder of the user's would be."""
    source = Path(hedge_sim.__file__).parent / "data"
    for coin, kind in itertools.product(("BTC", "ETH"), ("spot", "perp", "funding")):
        found = source / f"{coin}-USDT.{kind}.bybit.csv.gz"
        shutil.copy(found, folder / f"{coin}-USDT.{kind}.csv.gz")
    return {"data": str(folder), "start": "2024-04-01"}


def test_a_second_instrument_joins_streams_that_are_open(tmp_path):
    sim = two_coins(tmp_path)

    async def work():
        async with desk(Leg.FUTURES, server={"sim": sim}) as it:
            news, other = [], "ETH/USDT:USDT"
            await it.futures_feed.listen(PERP, news.append)
            await it.until(lambda: any(isinstance(one, StreamUp) for one in news))
            await it.futures_feed.listen(other, news.append)
            await it.funding_source.listen(other, news.append)
            await it.listen(Leg.FUTURES)
            await it.futures_gateway.listen(other, it.account[Leg.FUTURES].append)

            def heard(kind):
                return any(isinstance(one, kind) and one.symbol == other for one in news)

            await it.until(lambda: heard(Quote) and heard(Mark) and heard(FundingRate))
            channels = it.link.markets[Leg.FUTURES]
            assert channels._book_channel.socket.connects == 1
            assert channels._mark_channel.socket.connects == 1
            assert len(it.told(Leg.FUTURES, StreamUp)) == 2, "each listener is told how it stands"
            assert {rate.symbol for rate in await it.funding_source.read_rates()} == {PERP, other}

    run(work)


def test_a_bundle_of_a_thousand_trades_in_coins():
    async def work():
        sim = {"futures": {"multiplier": "1000", "lot": "0.000001"}}
        more = {"multipliers": {"1000BTC": "1000"}}
        async with desk(server={"sim": sim}, **more) as it:
            instrument = await it.futures_feed.read_instrument(PERP)
            assert (instrument.multiplier, instrument.lot) == (1000, D("0.001"))
            await it.futures_gateway.prepare(PERP, 2)
            await it.listen(Leg.FUTURES)
            mid = await it.touch(Leg.SPOT)
            order = await it.order(Leg.FUTURES, Side.SELL)
            done = await it.futures_gateway.place_order(order)
            assert (done.filled, done.quantity) == (D("0.01"), D("0.01"))
            assert abs(done.limit_price - order.limit_price) < 1
            await it.until(lambda: it.told(Leg.FUTURES, Fill) and it.told(Leg.FUTURES, Position))
            (fill,) = it.told(Leg.FUTURES, Fill)
            assert fill.quantity == D("0.01") and abs(fill.price / mid - 1) < D("0.02")
            position = await it.futures_gateway.read_position(PERP)
            assert position.quantity == D("-0.01")
            assert abs(position.entry_notional + fill.quantity * fill.price) < D("0.01")
            assert it.told(Leg.FUTURES, Position)[-1].quantity == D("-0.01")

    run(work)
