"""Goal: every role of the ccxt plugin over real sockets, as `ccxt:binance` and as `ccxt:bybit`.
Method: the wire simulators on the same loop, their truth, and their faults on demand.
"""

import asyncio
import contextlib
import types

import pytest
from desks import PERP, SPOT, D, ListeningDesk, heard_again
from servers import in_process

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, VenueError
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    InstrumentStatus,
    Leg,
    Mark,
    OrderReport,
    Position,
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
from hedge.model.numbers import HOUR, MS, SECOND
from hedge_ccxt import plugin
from hedge_ccxt.config import CcxtSettings
from hedge_sim.dialects.faults import Fault
from hedge_sim.dialects.server import Keys
from hedge_sim.testbeds import foreign_order

pytest.importorskip("ccxt.pro")

VENUES = ("binance", "bybit")
NOBODY = "http://127.0.0.1:1"
ENDS_AT = 1_900_000_000 * SECOND


class CcxtDesk(ListeningDesk):
    """All roles of one account over ccxt; of Bybit both legs are on one server."""

    def __init__(self, venue, servers, **settings):
        found = {
            "environment": "local",
            "spot_url": servers[Leg.SPOT].url,
            "futures_url": servers[Leg.FUTURES].url,
            "requests_per_second": 200,
            "sweep_ms": 600,
            "payments_ms": 400,
        }
        self.servers = servers
        super().__init__(f"ccxt:{venue}", plugin, CcxtSettings(**found | settings), account="main")

    def house(self, leg):
        return self.servers[leg].house

    def filled(self, leg):
        return sum(fill.quantity for fill in self.told(leg.value, Fill))


def run(venue, scenario, *, settings=None, **options):
    """Serve, open the roles, and play one scenario."""

    async def main():
        async with contextlib.AsyncExitStack() as stack:
            if venue == "binance":
                servers = {
                    Leg.SPOT: await stack.enter_async_context(
                        in_process("binance-spot", **options)
                    ),
                    Leg.FUTURES: await stack.enter_async_context(
                        in_process("binance-usdm", **options)
                    ),
                }
            else:
                server = await stack.enter_async_context(in_process("bybit", **options))
                servers = dict.fromkeys(Leg, server)
            desk = CcxtDesk(venue, servers, **(settings or {}))
            await scenario(await stack.enter_async_context(desk))

    asyncio.run(main())


@pytest.mark.parametrize("venue", VENUES)
def test_a_start_reads_and_prepares(venue):
    async def scenario(desk):
        spot = await desk.spot_feed.read_instrument(SPOT)
        perp = await desk.futures_feed.read_instrument(PERP)
        truth = desk.house(Leg.FUTURES).instrument(PERP)
        assert (spot.base, perp.settle, perp.multiplier) == ("BTC", "USDT", D(1))
        assert (perp.lot, perp.tick, perp.notional_min) == (
            truth.lot, truth.tick, truth.notional_min,
        )  # fmt: skip
        assert spot.status is perp.status is InstrumentStatus.TRADING
        with pytest.raises(Missing, match="NOCOIN"):
            await desk.spot_feed.read_instrument("NOCOIN/USDT")
        rights = await desk.account_check.read_key_rights()
        assert rights.trade and not rights.withdraw and rights.ip_bound
        assert abs(await desk.account_check.read_clock_offset_ms()) < 200
        fees = await desk.account_check.read_fees(SPOT)
        assert (fees.buy_asset, fees.taker) == ("BTC", desk.house(Leg.SPOT).fees.spot_taker)
        assert (await desk.account_check.read_fees(PERP)).taker > 0
        await desk.futures_gateway.prepare(PERP, 3)
        margin = await desk.futures_gateway.read_margin(PERP)
        assert margin.leverage == 3 and margin.free > 0 and margin.wallet == D(100_000)
        assert desk.house(Leg.FUTURES).leverage(PERP) == 3
        await desk.futures_gateway.prepare(PERP, 3)
        assert await desk.futures_gateway.read_position_mode() is PositionMode.ONE_WAY
        assert (await desk.futures_gateway.read_position(PERP)).quantity == 0
        balances = {one.asset: one for one in await desk.spot_gateway.read_balances()}
        assert balances["USDT"].total == 100_000 and balances["BTC"].free == 1
        assert abs(await desk.spot_gateway.read_clock() - desk.clock.now()) < SECOND

    run(venue, scenario)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("keys", [Keys(trade=False), Keys(only=Leg.SPOT), Keys(only=Leg.FUTURES)])
def test_a_key_has_the_right_to_each_leg_or_none(venue, keys):
    async def scenario(desk):
        assert not (await desk.account_check.read_key_rights()).trade

    run(venue, scenario, keys=keys)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("keys", [Keys(withdraw=True), Keys(transfer=True, ends_at=ENDS_AT)])
def test_a_key_that_can_withdraw_or_transfer_or_ends_says_so(venue, keys):
    async def scenario(desk):
        rights = await desk.account_check.read_key_rights()
        assert rights.trade and rights.withdraw
        assert rights.expires_at == (keys.ends_at or None)

    run(venue, scenario, keys=keys)


def test_a_simulator_that_no_leg_uses_is_asked_nothing():
    async def main():
        async with in_process("binance-usdm") as server:
            servers = {Leg.SPOT: types.SimpleNamespace(url=NOBODY), Leg.FUTURES: server}
            desk = CcxtDesk("binance", servers)
            desk.roles = ("futures_feed", "futures_gateway", "funding_source", "account_check")
            async with desk:
                assert abs(await desk.account_check.read_clock_offset_ms()) < 200
                assert (await desk.account_check.read_key_rights()).trade
                assert (await desk.account_check.read_fees(PERP)).taker > 0
                await desk.futures_gateway.prepare(PERP, 3)

    asyncio.run(main())


@pytest.mark.parametrize("venue", VENUES)
def test_both_legs_trade_and_are_heard(venue):
    async def scenario(desk):
        await desk.listen()
        mark = await desk.until("futures market", Mark)
        assert abs(mark.mark - desk.told("futures market", Quote)[-1].mid) < 500
        end, fills = await desk.trade(Leg.SPOT, Side.BUY, "0.02")
        assert (end.status, end.filled) == (ReportedStatus.FILLED, D("0.02"))
        assert {fill.fee_asset for fill in fills} == {"BTC"} and all(f.fee > 0 for f in fills)
        coins = await desk.until("spot", Balance, lambda b: b.asset == "BTC" and b.total > 1)
        assert coins.total == D("1.02") - sum(fill.fee for fill in fills)
        end, fills = await desk.trade(Leg.FUTURES, Side.SELL, "0.02")
        assert end.filled == D("0.02") and {fill.fee_asset for fill in fills} == {"USDT"}
        short = await desk.until("futures", Position, lambda p: p.quantity < 0)
        assert short.quantity == D("-0.02") and short.entry_notional < 0
        end, _ = await desk.trade(Leg.FUTURES, Side.BUY, "0.02", reduce_only=True)
        assert end.status is ReportedStatus.FILLED
        flat = desk.house(Leg.FUTURES).position(PERP).quantity
        assert flat == (await desk.futures_gateway.read_position(PERP)).quantity == 0
        nothing = desk.order(Leg.FUTURES, Side.BUY, "0.02", by="0.002", reduce_only=True)
        with pytest.raises(Refused) as refused:
            await desk.futures_gateway.place_order(nothing)
        assert refused.value.code in {"-2022", "110017"}
        heard = [f.fill_id for name in ("spot", "futures") for f in desk.told(name, Fill)]
        since = desk.clock.now() - 3_600 * SECOND
        read = [f.fill_id for f in await desk.spot_gateway.read_fills(SPOT, since)]
        read += [f.fill_id for f in await desk.futures_gateway.read_fills(PERP, since)]
        assert sorted(heard) == sorted(read), "each once, and none that REST does not know"

    run(venue, scenario)


@pytest.mark.parametrize("venue", VENUES)
def test_an_account_that_is_opened_again_is_heard_again(venue):
    run(venue, heard_again)


@pytest.mark.parametrize("venue", VENUES)
def test_resting_orders_are_found_cancelled_and_gone_and_a_no_has_its_code(venue):
    async def scenario(desk):
        await desk.listen()
        late = desk.order(Leg.SPOT, Side.BUY, "0.01", signed_at=desk.clock.now() - 5 * SECOND)
        with pytest.raises(Refused) as refused:
            await desk.spot_gateway.place_order(late)
        assert refused.value.code in {"-1021", "10002"}, "signed when it was decided"
        with pytest.raises(Refused):
            await desk.spot_gateway.place_order(desk.order(Leg.SPOT, Side.BUY, "80", by="0.001"))
        for leg, symbol in ((Leg.SPOT, SPOT), (Leg.FUTURES, PERP)):
            gateway = desk.gateway(leg)
            maker = desk.order(leg, Side.BUY, "0.01", by="-0.02", how=TimeInForce.POST_ONLY)
            placed = await gateway.place_order(maker)
            assert placed.status is ReportedStatus.WORKING and placed.venue_order_id
            (shown,) = await gateway.read_open_orders(symbol)
            assert (shown.client_order_id, shown.quantity) == (maker.client_order_id, D("0.01"))
            found = await gateway.read_order(symbol, maker.client_order_id)
            assert found.limit_price == maker.limit_price
            ended = await gateway.cancel_order(symbol, maker.client_order_id)
            assert (ended.status, ended.filled) == (ReportedStatus.CANCELLED, 0)
            assert await gateway.read_open_orders(symbol) == ()
            with pytest.raises(Refused):
                await gateway.cancel_order(symbol, maker.client_order_id)
            with pytest.raises(Missing):
                await gateway.read_order(symbol, "HA00000001S0FFFFF")
        assert not desk.told("spot", Fill)

    run(venue, scenario)


UNKNOWN = {
    "binance": {"unknown_performed": True, "unknown_refused": False, "drop_in_flight": True},
    "bybit": {"unknown_performed": True, "unknown_refused": False, "late_answer": True},
}
"""A fault, and whether the order lives in spite of it."""


@pytest.mark.parametrize(
    ("venue", "fault"), [(venue, fault) for venue, faults in UNKNOWN.items() for fault in faults]
)
def test_an_order_without_an_answer_is_in_doubt_and_can_be_asked_for(venue, fault):
    lives = UNKNOWN[venue][fault]

    async def scenario(desk):
        await desk.listen()
        server = desk.servers[Leg.FUTURES]
        server.faults.set(Fault(name=fault, times=1, match="order", ms=1_500))
        order = desk.order(Leg.FUTURES, Side.SELL, "0.01", by="0.002")
        with pytest.raises(OutcomeUnknown):
            await desk.futures_gateway.place_order(order)
        assert server.faults.struck.get(fault) == 1
        if lives:
            report = await desk.futures_gateway.read_order(PERP, order.client_order_id)
            assert (report.status, report.filled) == (ReportedStatus.FILLED, D("0.01"))
            fill = await desk.until("futures", Fill)
            assert fill.client_order_id == order.client_order_id
        else:
            with pytest.raises(Missing):
                await desk.futures_gateway.read_order(PERP, order.client_order_id)
        held = desk.house(Leg.FUTURES).position(PERP).quantity
        assert held == (D("-0.01") if lives else 0), "sent once, whatever happened"

    run(venue, scenario, settings={"ack_timeout_ms": 700})


@pytest.mark.parametrize("venue", VENUES)
def test_a_ban_is_obeyed_by_hedges_too(venue):
    async def scenario(desk):
        await desk.listen()
        gateway, faults = desk.futures_gateway, desk.servers[Leg.FUTURES].faults
        faults.set(Fault(name="ban", ms=60_000))
        with pytest.raises(VenueError):
            await gateway.read_position(PERP)
        await asyncio.gather(  # what was on its way hears it as well
            *(gateway.read_balances() for _ in range(5)), return_exceptions=True
        )
        struck = faults.struck["ban"]
        for ask in (gateway.read_position, gateway.read_open_orders):
            with pytest.raises(Limited):
                await ask(PERP)
        with pytest.raises(Limited, match="over our own rate limit"):
            await gateway.place_order(desk.order(Leg.FUTURES, Side.SELL, "0.01"))
        assert faults.struck["ban"] == struck, "each request would prolong it"

    run(venue, scenario)


@pytest.mark.parametrize("venue", VENUES)
def test_a_cut_stream_comes_back_and_what_was_missed_is_told(venue):
    async def scenario(desk):
        await desk.listen()
        for one in list(desk.servers[Leg.SPOT].sockets):
            one.close()
        order = desk.order(Leg.SPOT, Side.BUY, "0.02", by="0.002")
        await desk.spot_gateway.place_order(order)
        await desk.until("spot", StreamDown)
        fill = await desk.until("spot", Fill)
        assert fill.client_order_id == order.client_order_id
        await desk.until("spot", StreamUp, since=1)
        await desk.until("spot", StreamAlive)
        quotes = len(desk.told("spot market", Quote))
        await desk.until("spot market", Quote, since=quotes)

    run(venue, scenario)


@pytest.mark.parametrize("venue", VENUES)
def test_a_fill_counts_once_whatever_the_streams_lose_and_repeat(venue):
    async def scenario(desk):
        await desk.listen()
        for name in ("drop_event", "duplicate", "reorder", "event_first"):
            for leg, side in ((Leg.SPOT, Side.BUY), (Leg.FUTURES, Side.SELL)):
                faults = desk.servers[leg].faults
                faults.set(Fault(name=name, times=2, ms=300))
                heard = desk.filled(leg)
                await desk.gateway(leg).place_order(desk.order(leg, side, "0.02", by="0.002"))
                await desk.until(
                    leg.value,
                    Fill,
                    lambda _, leg=leg, heard=heard: desk.filled(leg) == heard + D("0.02"),
                )
                assert faults.struck.get(name), f"{name} did not strike"
                faults.set(Fault(name=name, rate=D(0)))
        since = desk.clock.now() - 3_600 * SECOND
        for leg, symbol in ((Leg.SPOT, SPOT), (Leg.FUTURES, PERP)):
            heard = [one.fill_id for one in desk.told(leg.value, Fill)]
            read = [one.fill_id for one in await desk.gateway(leg).read_fills(symbol, since)]
            assert sorted(heard) == sorted(read), "each once, and none is missing"

    run(venue, scenario)


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_that_the_venue_has_purged_does_not_stop_the_sweep(venue):
    async def scenario(desk):
        await desk.listen()
        purged = OrderReport(
            client_order_id="HA00000001S0000FF",
            venue_order_id="4711",
            status=ReportedStatus.WORKING,
            filled=D(0),
        )
        desk.spot_feed.session.own(Leg.SPOT).reported(SPOT, purged)
        alive = len(desk.told("spot", StreamAlive))
        await desk.until("spot", StreamAlive, since=alive)

    run(venue, scenario)


def best(venue, bid):
    """Return a frame of the venue's stream of best prices; a number far off tells it apart."""
    if venue == "binance":
        return {"e": "bookTicker", "u": 1, "s": "BTCUSDT", "T": 1, "E": 1,
                "b": bid, "B": "1", "a": "99999", "A": "1"}  # fmt: skip
    data = {"s": "BTCUSDT", "b": [[bid, "1"]], "a": [["99999", "1"]], "u": 1, "seq": 1}
    return {"topic": "orderbook.1.BTCUSDT", "type": "snapshot", "ts": 1, "data": data}


@pytest.mark.parametrize("venue", VENUES)
def test_of_several_prices_that_came_at_once_the_last_is_told(venue):
    async def scenario(desk):
        await desk.listen()
        exchange = desk.spot_feed.session.line(Leg.FUTURES).exchange
        (client,) = (
            one for one in exchange.clients.values() if any("bidask:" in key for key in one.futures)
        )
        ours = []
        while not ours:  # the venue's own next price may come between
            before = len(desk.told("futures market", Quote))
            for bid in ("1.1", "2.2", "3.3"):  # as after a turn of the loop that took long
                exchange.handle_message(client, best(venue, bid))
            await desk.until("futures market", Quote, since=before)
            ours = [one for one in desk.told("futures market", Quote) if one.ask == 99_999]
        assert ours[0].bid == D("3.3")

    run(venue, scenario)


@pytest.mark.parametrize("venue", VENUES)
def test_cash_is_without_the_profit_of_an_open_position(venue):
    async def scenario(desk):
        await desk.listen()
        house = desk.house(Leg.FUTURES)
        await desk.trade(Leg.FUTURES, Side.SELL, "0.5")
        for _ in range(2):
            house.skip(3 * HOUR)  # the market moves
            await desk.until("futures market", Quote, since=len(desk.told("futures market", Quote)))
            wallet = house.margin().wallet
            assert house.margin().profit
            cash = {one.asset: one.total for one in await desk.futures_gateway.read_balances()}
            assert cash["USDT"] == (await desk.futures_gateway.read_margin(PERP)).wallet == wallet

    run(venue, scenario)


@pytest.mark.parametrize("venue", VENUES)
def test_funding_has_its_interval_and_its_cash(venue):
    async def scenario(desk):
        house = desk.house(Leg.FUTURES)
        await desk.listen()
        await desk.trade(Leg.FUTURES, Side.SELL, "0.5")
        await desk.funding_source.listen(PERP, desk.sink("funding"))
        live = await desk.until("funding", FundingRate, lambda r: r.origin is RateOrigin.LIVE)
        assert (live.rate, live.interval_s) == (house.rate(PERP).rate, 8 * 3_600)
        (listed,) = await desk.funding_source.read_rates()
        assert (listed.rate, listed.next_at) == (live.rate, live.next_at)
        since = house.wall() - 30 * HOUR
        settled = await desk.funding_source.read_history(PERP, since, house.wall() + 1)
        assert settled and {one.interval_s for one in settled} == {8 * 3_600}
        house.skip(9 * HOUR)
        cash = await desk.until("futures", FundingPayment)
        paid = await desk.funding_source.read_payments(PERP, since)
        assert cash.payment_id == paid[0].payment_id and cash.quantity == D("-0.5")
        assert [one.cash for one in paid] == [one.cash for one in house.payments()]

    run(venue, scenario)


def test_no_execution_lies_between_two_milliseconds(monkeypatch):
    """A full page is asked for again in two halves; what is told to the ms is in one of them."""

    async def scenario(desk):
        house, instrument = desk.house(Leg.SPOT), desk.house(Leg.SPOT).instrument(SPOT)
        now, price = house.wall(), house.quote(SPOT).bid // instrument.tick * instrument.tick - 500
        first = house.clock.now()
        for number in range(130):
            at = first + number // 65 * MS
            monkeypatch.setattr(house.clock, "now", lambda at=at: at)
            house.place(foreign_order(Leg.SPOT, number, price, now))
        monkeypatch.undo()
        found = await desk.spot_gateway.read_fills(SPOT, now - HOUR)
        assert len({fill.key for fill in found}) == len(found) == 130

    run("bybit", scenario)
