"""Goal: every role of the Bybit plugin over real sockets: what it sends, tells, and never guesses.
Method: the wire simulator on the same loop, its truth, and its faults on demand.
"""

import asyncio
import contextlib
from collections import Counter
from decimal import Decimal

import pytest
from servers import in_process

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    FundingRate,
    InstrumentStatus,
    Leg,
    Mark,
    Order,
    OrderReport,
    Position,
    PositionMode,
    Quote,
    RateOrigin,
    ReportedStatus,
    Side,
    StreamDown,
    StreamUp,
    TimeInForce,
)
from hedge.model.numbers import MS, SECOND
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock
from hedge_bybit import plugin
from hedge_bybit.config import BybitSettings
from hedge_sim.dialects.faults import Fault
from hedge_sim.dialects.server import Keys

D = Decimal
SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
WAIT_S = 8
HOUR_S = 3_600


class Desk:
    """All roles of one account, opened, and all that they were told."""

    def __init__(self, server, *, secrets=None, **settings):
        self.server = server
        self.clock = RealClock()
        found = {"environment": "local", "rest_url": server.url, "stream_url": server.ws_url}
        self.context = VenueContext(
            settings=BybitSettings(**found | settings),
            clock=self.clock,
            environment="local",
            account="main",
            secrets=secrets or {"api_key": "sim-key", "api_secret": "sim-secret"},
            shared={},
        )
        self.news: list[tuple[str, object]] = []
        self._told = asyncio.Event()
        self._numbers = {Leg.SPOT: 0, Leg.FUTURES: 0}

    async def __aenter__(self):
        self.stack = contextlib.AsyncExitStack()
        make = {
            "spot_feed": plugin.hedge_spot_feed,
            "futures_feed": plugin.hedge_futures_feed,
            "spot": plugin.hedge_spot_gateway,
            "futures": plugin.hedge_futures_gateway,
            "funding": plugin.hedge_funding_source,
            "check": plugin.hedge_account_check,
        }
        for name, hook in make.items():
            role = hook("bybit", self.context)
            setattr(self, name, await self.stack.enter_async_context(role))
        return self

    async def __aexit__(self, *error):
        await self.stack.aclose()

    def sink(self, name):
        def take(news):
            self.news.append((name, news))
            self._told.set()

        return take

    async def listen(self):
        await self.spot_feed.listen(SPOT, self.sink("spot market"))
        await self.futures_feed.listen(PERP, self.sink("futures market"))
        await self.spot.listen(SPOT, self.sink("spot"))
        await self.futures.listen(PERP, self.sink("futures"))
        await self.funding.listen(PERP, self.sink("funding"))
        for name in ("spot", "futures"):
            await self.until(name, StreamUp)
        for name in ("spot market", "futures market"):
            await self.until(name, Quote)
        trade = self.spot.venue.open_entry.socket
        if trade is not None:
            await trade.wait_ready(timeout_ms=WAIT_S * 1_000)

    def told(self, name, kind):
        return [news for told, news in self.news if told == name and isinstance(news, kind)]

    async def until(self, name, kind, wanted=lambda _: True):
        """Return the first news of a kind that is wanted, as soon as it has come."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self._told.clear()
                for news in self.told(name, kind):
                    if wanted(news):
                        return news
                await self._told.wait()

    async def more(self):
        """Return when anything more is told."""
        self._told.clear()
        await self._told.wait()

    def quote(self, leg):
        return self.told("spot market" if leg is Leg.SPOT else "futures market", Quote)[-1]

    def order(self, leg, side, quantity, *, by="0", how=TimeInForce.IOC, **more):
        """Return an order ``by`` (a fraction) through the touch; negative stays away from it."""
        self._numbers[leg] += 1
        quote = self.quote(leg)
        touch = quote.ask if side is Side.BUY else quote.bid
        price = touch * (1 + D(by) * side.sign)
        tick = D("0.01") if leg is Leg.SPOT else D("0.1")
        symbol = SPOT if leg is Leg.SPOT else PERP
        found = {
            "client_order_id": f"HA00000001{leg.value[0].upper()}{self._numbers[leg]:06X}",
            "leg": leg,
            "symbol": symbol,
            "side": side,
            "quantity": D(quantity),
            "limit_price": price // tick * tick,
            "time_in_force": how,
            "signed_at": self.clock.now(),
            "recv_window_ms": 2_000,
        }
        return Order(**found | more)

    def gateway(self, leg):
        return self.spot if leg is Leg.SPOT else self.futures

    async def trade(self, leg, side, quantity, *, by="0.002", **more):
        """Place a taking order, and return its end and its fills once all of them came."""
        order = self.order(leg, side, quantity, by=by, **more)
        await self.gateway(leg).place_order(order)
        name = leg.value
        ours = order.client_order_id
        end = await self.until(
            name,
            OrderReport,
            lambda r: r.client_order_id == ours and r.status is not ReportedStatus.WORKING,
        )

        def filled(_):
            fills = [f for f in self.told(name, Fill) if f.client_order_id == ours]
            return sum((f.quantity for f in fills), D(0)) >= end.filled

        await self.until(name, Fill, filled)
        return end, [f for f in self.told(name, Fill) if f.client_order_id == ours]

    def strike(self, name, **fields):
        self.server.faults.set(Fault(name=name, **{"times": 1} | fields))

    def struck(self, name):
        return self.server.faults.struck.get(name, 0)


def run(scenario, *, faults=(), desk=None, **server):
    """Serve, open the roles, and play one scenario."""

    async def main():
        async with (
            in_process("bybit", faults=faults, **server) as serving,
            Desk(serving, **(desk or {})) as opened,
        ):
            await scenario(opened)

    asyncio.run(main())


def test_a_start_reads_and_prepares():
    async def scenario(desk):
        spot = await desk.spot_feed.read_instrument(SPOT)
        perp = await desk.futures_feed.read_instrument(PERP)
        assert (spot.base, perp.settle, perp.multiplier) == ("BTC", "USDT", D(1))
        assert spot.status is perp.status is InstrumentStatus.TRADING
        for feed in (desk.spot_feed, desk.futures_feed):
            with pytest.raises(Missing, match="NOCOIN"):
                await feed.read_instrument("NOCOIN/USDT" + (":USDT" * (feed is desk.futures_feed)))
        rights = await desk.check.read_key_rights()
        assert rights.trade and not rights.withdraw and rights.ip_bound
        assert abs(await desk.check.read_clock_offset_ms()) < 200
        assert (await desk.check.read_fees(SPOT)).buy_asset == "BTC"
        assert (await desk.check.read_fees(PERP)).taker > 0
        await desk.futures.prepare(PERP, 3)
        margin = await desk.futures.read_margin(PERP)
        assert margin.leverage == 3 and margin.free > 0
        assert desk.server.house.leverage(PERP) == 3
        await desk.futures.prepare(PERP, 3)
        assert await desk.futures.read_position_mode() is PositionMode.ONE_WAY
        assert (await desk.futures.read_position(PERP)).quantity == 0
        balances = {one.asset: one for one in await desk.spot.read_balances()}
        assert balances["USDT"].total == 100_000 and balances["BTC"].free == 1
        assert abs(await desk.spot.read_clock() - desk.clock.now()) < SECOND

    run(scenario)


def test_hedge_mode_is_left_or_refused():
    async def scenario(desk):
        desk.server.house.set_mode(PositionMode.HEDGE)
        assert (await desk.futures.read_position(PERP)).quantity == 0
        assert await desk.futures.read_position_mode() is PositionMode.HEDGE
        await desk.futures.prepare(PERP, 2)
        assert desk.server.house.mode is PositionMode.ONE_WAY
        await desk.listen()
        await desk.trade(Leg.FUTURES, Side.SELL, "0.01")
        desk.server.house.set_mode(PositionMode.HEDGE)
        with pytest.raises(Refused, match="hedge mode") as refused:
            await desk.futures.prepare(PERP, 2)
        assert refused.value.code == "POSITION_MODE"

    run(scenario)


def test_every_page_of_instruments_is_read():
    async def scenario(desk):
        for feed, symbol in ((desk.spot_feed, SPOT), (desk.futures_feed, PERP)):
            found = {one.symbol for one in await feed.read_instruments()}
            assert len(found) > 1_000 and symbol in found

    run(scenario, padding=1_100)


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
        read = await desk.futures.read_position(PERP)
        assert (read.quantity, read.entry_notional) == (short.quantity, short.entry_notional)
        end, _ = await desk.trade(Leg.FUTURES, Side.BUY, "0.02", reduce_only=True)
        assert end.status is ReportedStatus.FILLED
        truth = desk.server.house.position(PERP).quantity
        assert truth == (await desk.futures.read_position(PERP)).quantity == 0
        order = desk.order(Leg.FUTURES, Side.BUY, "0.02", by="0.002", reduce_only=True)
        with pytest.raises(Refused) as refused:
            await desk.futures.place_order(order)
        assert refused.value.code == "110017"
        heard = [f.fill_id for name in ("spot", "futures") for f in desk.told(name, Fill)]
        since = desk.clock.now() - 3_600 * SECOND
        read = [f.fill_id for f in await desk.spot.read_fills(SPOT, since)]
        read += [f.fill_id for f in await desk.futures.read_fills(PERP, since)]
        assert sorted(heard) == sorted(read), "each once, and none that REST does not know"
        kinds = [type(news) for name, news in desk.news if name == "futures"]
        early = kinds.index(OrderReport) < kinds.index(Fill)
        assert early is fast, "a quantity first, and its fee behind"

    run(scenario, desk={"fast_executions": fast})


def test_resting_orders_are_found_cancelled_and_gone():
    async def scenario(desk):
        await desk.listen()
        gateway = desk.spot
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
                await desk.spot.place_order(desk.order(Leg.SPOT, Side.BUY, **order))
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
            await desk.futures.place_order(order)
        assert desk.struck(fault) == 1
        if lives:
            report = await desk.futures.read_order(PERP, order.client_order_id)
            assert (report.status, report.filled) == (ReportedStatus.FILLED, D("0.01"))
            ours = [
                fill
                for fill in await desk.futures.read_fills(PERP, order.signed_at - SECOND)
                if fill.client_order_id == order.client_order_id
            ]
            assert sum(fill.quantity for fill in ours) == D("0.01")
        else:
            with pytest.raises(Missing):
                await desk.futures.read_order(PERP, order.client_order_id)
        held = desk.server.house.position(PERP).quantity
        assert held == (D("-0.01") if lives else 0), "sent once, whatever happened"
        trade = desk.spot.venue.open_entry.socket
        await trade.wait_ready(timeout_ms=WAIT_S * 1_000)
        end, _ = await desk.trade(Leg.FUTURES, Side.SELL, "0.01")
        assert end.status is ReportedStatus.FILLED, "and trading goes on"

    run(scenario, desk={"ack_timeout_ms": 400})


def test_a_late_timestamp_is_refused_and_a_rate_limit_says_so():
    async def scenario(desk):
        await desk.listen()
        late = desk.order(Leg.SPOT, Side.BUY, "0.01", signed_at=desk.clock.now() - 5 * SECOND)
        with pytest.raises(Refused, match="10002"):
            await desk.spot.place_order(late)
        desk.strike("rate_limit", match="create")
        with pytest.raises(Limited) as limited:
            await desk.spot.place_order(desk.order(Leg.SPOT, Side.BUY, "0.01"))
        assert limited.value.code == "10006" and limited.value.retry_after_s >= 1
        assert not desk.told("spot", Fill)

    run(scenario)


SLOW = {"futures_orders_per_second": 2, "spot_orders_per_second": 2, "orders_reserve": 0}


def test_the_wait_for_the_rate_is_no_part_of_the_wait_for_an_answer():
    async def scenario(desk):
        await desk.listen()
        for _ in range(2):
            await desk.futures.place_order(desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002"))
        desk.strike("late_answer", match="create", ms=800)
        begun = desk.clock.now()
        async with asyncio.timeout(desk.futures.limits.ack_timeout_ms / 1_000):
            order = desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002")
            report = await desk.futures.place_order(order)
        assert report.client_order_id == order.client_order_id
        assert desk.clock.now() - begun > 1_100 * MS, "it waited for both"

    run(scenario, desk=SLOW | {"ack_timeout_ms": 1_100})


def test_an_order_that_would_arrive_after_its_window_is_refused_unsent():
    async def scenario(desk):
        await desk.listen()
        for _ in range(2):
            await desk.futures.place_order(desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002"))
        begun = desk.clock.now()
        with pytest.raises(Limited) as limited:
            await desk.futures.place_order(desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002"))
        assert limited.value.code == "RATE_BUDGET"
        assert desk.clock.now() - begun < 500 * MS, "said at once"
        assert len(desk.server.house.orders(Leg.FUTURES)) == 2

    run(scenario, desk=SLOW | {"recv_window_ms": 800})


def test_more_orders_than_the_limit_are_paced_and_none_is_refused():
    async def scenario(desk):
        await desk.listen()
        orders = [desk.order(Leg.FUTURES, Side.SELL, "0.001", by="0.002") for _ in range(13)]
        begun = desk.clock.now()
        placed = await asyncio.gather(*(desk.futures.place_order(one) for one in orders))
        assert len(placed) == 13
        assert desk.clock.now() - begun > SECOND // 2, "ten a second, the venue's limit"
        assert desk.server.house.position(PERP).quantity == D("-0.013")

    run(scenario)


def test_orders_by_rest_where_there_is_no_order_socket():
    async def scenario(desk):
        await desk.listen()
        assert desk.spot.venue.open_entry.socket is None
        end, fills = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.status is ReportedStatus.FILLED and fills
        maker = desk.order(Leg.FUTURES, Side.SELL, "0.01", by="-0.02", how=TimeInForce.POST_ONLY)
        await desk.futures.place_order(maker)
        ended = await desk.futures.cancel_order(PERP, maker.client_order_id)
        assert ended.status is ReportedStatus.CANCELLED
        with pytest.raises(Refused, match="110001"):
            await desk.futures.cancel_order(PERP, maker.client_order_id)
        desk.strike("unknown_performed", match="create")
        order = desk.order(Leg.SPOT, Side.BUY, "0.01", by="0.002")
        with pytest.raises(OutcomeUnknown, match="10016"):
            await desk.spot.place_order(order)
        assert (await desk.spot.read_order(SPOT, order.client_order_id)).filled == D("0.01")

    run(scenario, desk={"use_websocket_orders": False})


def test_what_happened_during_a_gap_is_told_before_the_stream_is_up_again():
    async def scenario(desk):
        await desk.listen()
        resting = desk.order(Leg.SPOT, Side.BUY, "0.02", by="-0.02", how=TimeInForce.GTC)
        await desk.spot.place_order(resting)
        await desk.trade(Leg.FUTURES, Side.SELL, "0.02")
        await desk.until("spot", OrderReport, lambda r: r.status is ReportedStatus.WORKING)
        desk.news.clear()
        desk.server.act(Fault(name="cut"))
        for name in ("spot", "futures"):
            await desk.until(name, StreamDown)
        # While nobody listens the venue ends an order of ours, and takes half of the position.
        house = desk.server.house
        (view,) = house.open_orders(Leg.SPOT)
        house.cancel(SPOT, view.client_order_id)
        assert house.deleverage(PERP, D("0.01"))
        for name in ("spot", "futures"):
            await desk.until(name, StreamUp)
        assert story(desk, "spot") == ["StreamDown", "OrderReport", "StreamUp"]
        (report,) = desk.told("spot", OrderReport)
        assert report.client_order_id == resting.client_order_id
        assert report.status is ReportedStatus.CANCELLED
        assert story(desk, "futures") == ["StreamDown", "Fill", "Position", "StreamUp"]
        (fill,) = desk.told("futures", Fill)
        assert (fill.kind, fill.quantity) == (FillKind.AUTO_DELEVERAGING, D("0.01"))
        assert desk.told("futures", Position)[-1].quantity == D("-0.01")
        await desk.until("spot market", StreamUp)
        await desk.spot.venue.open_entry.socket.wait_ready(timeout_ms=WAIT_S * 1_000)
        end, _ = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.status is ReportedStatus.FILLED

    run(scenario)


def story(desk, told):
    kinds = OrderReport | Fill | Position | StreamUp | StreamDown
    return [
        type(news).__name__ for name, news in desk.news if name == told and isinstance(news, kinds)
    ]


@pytest.mark.parametrize("fault", ["half_open", "day_close", "server_shutdown"])
def test_every_end_of_a_socket_is_followed_by_a_new_one(fault):
    async def scenario(desk):
        await desk.listen()
        order = desk.order(Leg.FUTURES, Side.SELL, "0.01", by="0.002")
        desk.news = [one for one in desk.news if isinstance(one[1], Quote)]
        desk.server.act(Fault(name=fault, ms=300))
        if fault == "server_shutdown":
            with pytest.raises(OutcomeUnknown, match="10019"):
                await desk.futures.place_order(order)
        for name in ("spot", "futures"):
            await desk.until(name, StreamUp)
        await desk.spot.venue.open_entry.socket.wait_ready(timeout_ms=WAIT_S * 1_000)
        if fault != "half_open":  # quiet for two seconds before anybody asks
            for name in ("spot market", "futures market"):
                await desk.until(name, StreamUp)
        last = desk.order(Leg.FUTURES, Side.SELL, "0.01", limit_price=order.limit_price)
        await desk.futures.place_order(last)
        await desk.until("futures", Fill, lambda f: f.client_order_id == last.client_order_id)
        assert desk.server.house.position(PERP).quantity == D("-0.01")

    run(scenario, desk={"ping_s": 1})


def test_what_is_told_twice_or_out_of_order_counts_once():
    async def scenario(desk):
        await desk.listen()
        for name in ("duplicate", "reorder", "event_first"):
            desk.strike(name, times=0)
        for side in (Side.BUY, Side.SELL, Side.BUY):
            end, fills = await desk.trade(Leg.SPOT, side, "0.01")
            assert sum(fill.quantity for fill in fills) == end.filled == D("0.01")
        assert desk.struck("duplicate") and desk.struck("event_first")
        ids = Counter(fill.fill_id for fill in desk.told("spot", Fill))
        assert set(ids.values()) == {1}

    run(scenario)


def test_a_partly_filled_order_that_is_rejected_keeps_its_part():
    async def scenario(desk):
        await desk.listen()
        desk.strike("partial_then_reject", match="create")
        end, fills = await desk.trade(Leg.FUTURES, Side.SELL, "0.02")
        assert end.status is ReportedStatus.CANCELLED and 0 < end.filled < D("0.02")
        assert sum(fill.quantity for fill in fills) == end.filled
        assert desk.server.house.position(PERP).quantity == -end.filled

    run(scenario)


def test_a_ticker_that_never_begins_with_a_snapshot():
    async def scenario(desk):
        await desk.listen()
        mark = await desk.until("futures market", Mark)
        assert mark.mark > 0

    run(scenario, faults=("delta_only",))


def test_funding_is_told_settled_and_paid():
    async def scenario(desk):
        await desk.listen()
        await desk.trade(Leg.FUTURES, Side.SELL, "0.1")
        live = await desk.until("funding", FundingRate, lambda r: r.origin is RateOrigin.LIVE)
        assert live.interval_s == 8 * HOUR_S and live.next_at > desk.clock.now()
        assert (await desk.funding.read_rate(PERP)).rate == live.rate
        assert PERP in {one.symbol for one in await desk.funding.read_rates()}
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
        logged = await desk.funding.read_payments(PERP, before - SECOND)
        assert [one.payment_id for one in logged] == [paid.payment_id]
        assert logged[0].cash == paid.cash == desk.server.house.payments(PERP)[-1].cash
        history = await desk.funding.read_history(PERP, paid.settled_at, paid.settled_at + 1)
        assert [one.rate for one in history] == [settled.rate]

    run(scenario)


def test_liquidation_is_recognised():
    async def scenario(desk):
        await desk.listen()
        await desk.trade(Leg.FUTURES, Side.SELL, "0.05")
        assert desk.server.house.liquidate(PERP)
        fill = await desk.until("futures", Fill, lambda f: f.kind is not FillKind.TRADE)
        assert (fill.kind, fill.client_order_id) == (FillKind.LIQUIDATION, "")
        flat = await desk.until("futures", Position, lambda p: p.quantity == 0)
        assert flat.liquidation_price is None

    run(scenario)


def test_a_clock_that_is_wrong_by_seconds_is_no_hindrance():
    async def scenario(desk):
        assert abs(await desk.check.read_clock_offset_ms() - 7_000) < 200
        assert (await desk.spot.read_balances())[0].total > 0
        await desk.listen()
        shift = desk.spot.venue.offset.offset_ns
        await desk.trade(Leg.SPOT, Side.BUY, "0.01", signed_at=desk.clock.now() + shift)

    run(scenario, faults=("clock_offset,ms=7000",))


def test_a_key_that_can_withdraw_says_so():
    async def scenario(desk):
        rights = await desk.check.read_key_rights()
        assert rights.withdraw and not rights.ip_bound

    run(scenario, keys=Keys(withdraw=True, ip_bound=False))


def test_a_key_that_cannot_trade_is_refused_with_the_mend():
    async def scenario(desk):
        rights = await desk.check.read_key_rights()
        assert not rights.trade
        with pytest.raises(Refused, match=r"10005.*right to trade"):
            await desk.futures.prepare(PERP, 3)

    run(scenario, keys=Keys(trade=False))


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
            await desk.check.read_key_rights()
        assert refused.value.code == code
        assert "another" not in str(refused.value) and "\n" not in str(refused.value)

    run(scenario, desk={"secrets": secrets})


def test_reads_that_fail_are_errors_and_never_empty():
    async def scenario(desk):
        desk.strike("busy_server", times=0)
        for read in (
            lambda: desk.futures.read_position(PERP),
            lambda: desk.spot.read_open_orders(SPOT),
            lambda: desk.spot.read_fills(SPOT, desk.clock.now()),
            desk.spot.read_balances,
            lambda: desk.spot.read_order(SPOT, "HA00000001S000001"),
        ):
            with pytest.raises(Unreachable):
                await read()

    run(scenario)


def test_a_connection_is_replaced_without_a_gap():
    async def scenario(desk):
        await desk.listen()
        venue = desk.spot.venue
        sockets = (
            venue.user().socket,
            venue.open_entry.socket,
            venue.public(Leg.SPOT).socket,
            venue.public(Leg.FUTURES).socket,
        )
        before = [socket.line.number for socket in sockets]
        for socket in sockets:
            socket.rotate("the day is over")
        end, _ = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.filled == D("0.01"), "while two connections stand side by side"
        async with asyncio.timeout(WAIT_S):
            while any(now.line.number == then for now, then in zip(sockets, before, strict=True)):
                await desk.more()
        end, _ = await desk.trade(Leg.SPOT, Side.SELL, "0.01")
        assert end.filled == D("0.01")
        assert not [news for _, news in desk.news if isinstance(news, StreamDown)]
        assert set(Counter(fill.fill_id for fill in desk.told("spot", Fill)).values()) == {1}

    run(scenario)


def nonsense(**changes):
    row = {
        "category": "spot", "symbol": "BTCUSDT", "orderId": "x", "execId": "x", "side": "Buy",
        "execPrice": "1", "execQty": "1", "execType": "Trade", "execTime": "1700000000000",
    }  # fmt: skip
    return {"topic": "execution", "data": [row | changes]}


UNREADABLE = (
    nonsense(execPrice="cheap"),
    nonsense(execTime="soon"),
    nonsense(side=3),
    {"topic": "a.topic.of.tomorrow", "data": []},
    {"topic": "order"},
    [],
)


def test_a_message_that_cannot_be_read_makes_the_core_look_for_itself():
    async def scenario(desk):
        await desk.listen()
        (private,) = [one for one in desk.server.sockets if one.path == "/v5/private"]
        for frame in UNREADABLE:
            desk.news = [one for one in desk.news if isinstance(one[1], Quote)]
            private.session.line.send(frame, desk.clock.now())
            for name in ("spot", "futures"):
                await desk.until(name, StreamUp)
        end, _ = await desk.trade(Leg.SPOT, Side.BUY, "0.01")
        assert end.filled == D("0.01"), "and the reader goes on"
        assert not desk.told("spot", StreamDown)

    run(scenario)
