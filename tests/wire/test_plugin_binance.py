"""The Binance plugin over the wire: its roles against the simulated venue's own protocol.

Goal: every role does what its Protocol says, streams come back whole after whatever happens to
them, and what is not known is said to be unknown. Method: both wire simulators on the running
loop, the plugin pointed at them, one fault at a time; the truth is asked from the simulators.
"""

import asyncio
import base64
import contextlib
import itertools
import shutil
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from servers import in_process

import hedge_sim
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
    StreamAlive,
    StreamDown,
    StreamUp,
    TimeInForce,
)
from hedge.model.numbers import HOUR, MS, SECOND
from hedge.roles import VenueContext
from hedge.runtime.clock import RealClock
from hedge_binance import plugin
from hedge_binance.config import BinanceSettings
from hedge_sim.dialects.faults import Fault
from hedge_sim.dialects.server import SIM_KEY, SIM_SECRET, Keys

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
LIMIT_S = 15
NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""
D = Decimal
TAKING = D("0.005")
"""How far beyond the touch an order is put that is to be filled."""


class Desk:
    """All roles of one account, what they were told, and the two servers behind them."""

    def __init__(self, spot, futures, **settings):
        self.spot, self.futures = spot, futures
        self.clock = RealClock()
        found = {
            "environment": "local",
            "spot_url": spot.url if spot else "",
            "futures_url": futures.url if futures else "",
            "heartbeat_ms": 250,
            "silence_ms": 1_000,
            "ack_timeout_ms": 300,
        }
        self.context = VenueContext(
            settings=BinanceSettings(**(found | settings)),
            clock=self.clock,
            environment="local",
            secrets={"api_key": SIM_KEY, "api_secret": SIM_SECRET},
            shared={},
        )
        self.quotes, self.account = [], {Leg.SPOT: [], Leg.FUTURES: []}
        self.market = []
        self._numbers = itertools.count(1)

    async def __aenter__(self):
        self.stack = contextlib.AsyncExitStack()
        names = ("spot_feed", "futures_feed", "spot_gateway", "futures_gateway")
        for name in (*names, "funding_source", "account_check"):
            role = getattr(plugin, f"hedge_{name}")("binance", self.context)
            setattr(self, name, await self.stack.enter_async_context(role))
        return self

    async def __aexit__(self, *_):
        await self.stack.aclose()

    @property
    def link(self):
        return self.context.shared["binance"]

    def gateway(self, leg):
        return self.spot_gateway if leg is Leg.SPOT else self.futures_gateway

    def server(self, leg):
        return self.spot if leg is Leg.SPOT else self.futures

    async def listen(self, leg):
        """Listen to the account, and wait until its stream and its order socket stand."""
        symbol = SPOT if leg is Leg.SPOT else PERP
        await self.gateway(leg).listen(symbol, self.account[leg].append)
        await self.until(lambda: self.told(leg, StreamUp))
        stream = await self.gateway(leg).stream()
        await self.until(lambda: stream.entry.socket.ready)
        return stream

    def told(self, leg, kind):
        return [news for news in self.account[leg] if isinstance(news, kind)]

    async def until(self, condition):
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 - what is awaited happens in a server
                await asyncio.sleep(0.005)

    async def touch(self, leg):
        listing = await self.link.listing(leg, SPOT if leg is Leg.SPOT else PERP)
        return listing.per_coin(await self.link.read_mid(leg, listing.native))

    async def order(self, leg, side=Side.BUY, quantity="0.01", *, away="0", **changes):
        """Return an order that takes, or one that is ``away`` from the middle and rests."""
        symbol = SPOT if leg is Leg.SPOT else PERP
        instrument = (await self.link.listing(leg, symbol)).instrument
        mid = await self.touch(leg)
        shift = -D(away) if D(away) else TAKING
        price = mid * (1 + side.sign * shift)
        number = next(self._numbers)
        found = {
            "client_order_id": f"HA1B2C0001{leg.value[0].upper()}{number:06X}",
            "leg": leg,
            "symbol": symbol,
            "side": side,
            "quantity": D(quantity),
            "limit_price": instrument.round_price_down(price),
            "time_in_force": TimeInForce.POST_ONLY if D(away) else TimeInForce.IOC,
            "signed_at": self.clock.now(),
            "recv_window_ms": 2_000,
        }
        return Order(**(found | changes))


@contextlib.asynccontextmanager
async def desk(leg=None, *, server=None, faults=(), **settings):
    """Open both servers, or that of one leg, and the roles over them."""
    spot, futures = leg is not Leg.FUTURES, leg is not Leg.SPOT
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for wanted, dialect in ((spot, "binance-spot"), (futures, "binance-usdm")):
            one = in_process(dialect, faults=faults, **(server or {})) if wanted else None
            found.append(None if one is None else await stack.enter_async_context(one))
        yield await stack.enter_async_context(Desk(*found, **settings))


def run(work):
    async def limited():
        async with asyncio.timeout(LIMIT_S):
            await work()

    asyncio.run(limited())


def legs():
    return pytest.mark.parametrize("leg", list(Leg), ids=lambda leg: leg.value)


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
    cryptography = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    private = ed25519.Ed25519PrivateKey.generate()
    der = private.private_bytes(
        cryptography.Encoding.DER,
        cryptography.PrivateFormat.PKCS8,
        cryptography.NoEncryption(),
    )
    public = private.public_key().public_bytes(
        cryptography.Encoding.PEM, cryptography.PublicFormat.SubjectPublicKeyInfo
    )

    async def work():
        async with desk(server={"keys": Keys(public_key=public.decode())}) as it:
            it.context.secrets = {
                "api_key": SIM_KEY,
                "private_key": base64.b64encode(der).decode(),
            }
            it.link._secrets = dict(it.context.secrets)
            await it.futures_gateway.prepare(PERP, 2)
            for leg in Leg:
                over_rest = await it.gateway(leg).place_order(await it.order(leg))
                await it.listen(leg)
                over_socket = await it.gateway(leg).place_order(await it.order(leg))
                assert over_rest.status is over_socket.status is ReportedStatus.FILLED

    run(work)


# -- orders --------------------------------------------------------------------------------------


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


# -- streams -------------------------------------------------------------------------------------


def order_of(news, *kinds):
    return [type(one) for one in news if isinstance(one, kinds)]


@legs()
def test_a_gap_is_filled_before_the_stream_is_up_again(leg):
    async def work():
        async with desk(leg) as it:
            stream = await it.listen(leg)
            server = it.server(leg)
            server.faults.set(Fault(name="drop_event"))
            taking = await it.order(leg)
            await it.gateway(leg).place_order(taking)
            resting = await it.order(leg, away="0.01")
            await it.gateway(leg).place_order(resting)
            await it.until(lambda: len(server.house.fills(leg)) == 1)
            assert not it.told(leg, Fill)
            server.faults.clear()
            server.act(Fault(name="cut"))
            await it.until(lambda: len(it.told(leg, StreamUp)) == 2)
            shown = order_of(it.account[leg], StreamUp, StreamDown, Fill)
            assert shown == [StreamUp, StreamDown, Fill, StreamUp]
            (fill,) = it.told(leg, Fill)
            assert fill.client_order_id == taking.client_order_id
            reports = {one.client_order_id: one for one in it.told(leg, OrderReport)}
            assert reports[resting.client_order_id].status is ReportedStatus.WORKING
            held = it.told(leg, Balance if leg is Leg.SPOT else Position)
            assert held, "what is held is told with the gap"
            assert it.link.troubles
            await it.until(lambda: stream.entry.socket.ready)
            assert (await it.gateway(leg).place_order(await it.order(leg))).filled

    run(work)


@legs()
def test_a_half_open_line_is_noticed(leg):
    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            it.server(leg).act(Fault(name="half_open"))
            begun = time.monotonic()
            await it.until(lambda: it.told(leg, StreamDown))
            assert time.monotonic() - begun < 3
            await it.until(lambda: len(it.told(leg, StreamUp)) == 2)

    run(work)


def test_an_expired_listen_key_is_a_gap():
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.listen(Leg.FUTURES)
            it.futures.act(Fault(name="listen_key_expired"))
            await it.until(lambda: len(it.told(Leg.FUTURES, StreamUp)) == 2)
            (down,) = it.told(Leg.FUTURES, StreamDown)
            assert "listenKeyExpired" in down.why
            await it.futures_gateway.place_order(await it.order(Leg.FUTURES))
            await it.until(lambda: it.told(Leg.FUTURES, Fill))

    run(work)


def test_a_listen_key_is_kept_whatever_else_was_read():
    """Neither a read budget that is used up nor a limit of the venue's drops the stream."""

    async def work():
        async with desk(Leg.FUTURES) as it:
            stream = await it.listen(Leg.FUTURES)
            budget = stream.cold.budget
            while not budget.try_take({"weight": 1}):
                pass
            await it.until(lambda: len(it.told(Leg.FUTURES, StreamAlive)) >= 3)
            budget.close(until=it.clock.now() + 3_600 * SECOND, urgent_too=True)
            heard = len(it.told(Leg.FUTURES, StreamAlive))
            await it.until(lambda: len(it.told(Leg.FUTURES, StreamAlive)) >= heard + 3)
            assert not it.told(Leg.FUTURES, StreamDown)

    run(work)


@legs()
def test_a_shutdown_that_is_announced_costs_nothing(leg):
    async def work():
        async with desk(leg) as it:
            stream = await it.listen(leg)
            socket = stream.entry.socket if leg is Leg.SPOT else stream.private
            number = socket.line.number
            it.server(leg).act(Fault(name="server_shutdown", ms=600))
            await it.until(lambda: socket.ready and socket.line.number > number)
            await it.gateway(leg).place_order(await it.order(leg))
            await it.until(lambda: it.told(leg, Fill))
            assert not it.told(leg, StreamDown)

    run(work)


@legs()
def test_doubled_and_disordered_news_are_one_fact(leg):
    async def work():
        async with desk(leg) as it:
            await it.listen(leg)
            server = it.server(leg)
            server.faults.set(Fault(name="duplicate"))
            server.faults.set(Fault(name="event_first"))
            await it.gateway(leg).place_order(await it.order(leg))
            await it.until(lambda: len(it.told(leg, Fill)) == 2)
            assert len({fill.key for fill in it.told(leg, Fill)}) == 1
            server.faults.clear()
            server.faults.set(Fault(name="reorder", ms=30))
            second = await it.order(leg)
            await it.gateway(leg).place_order(second)
            await it.until(
                lambda: [
                    f for f in it.told(leg, Fill) if f.client_order_id == second.client_order_id
                ]
            )
            reports = [
                one
                for one in it.told(leg, OrderReport)
                if one.client_order_id == second.client_order_id
            ]
            assert max(one.filled for one in reports) == second.quantity

    run(work)


def test_early_news_of_a_hedge_come_first():
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.listen(Leg.FUTURES)
            order = await it.order(Leg.FUTURES, Side.SELL)
            await it.futures_gateway.place_order(order)
            await it.until(lambda: it.told(Leg.FUTURES, Position))
            news = it.account[Leg.FUTURES]
            early = next(n for n in news if isinstance(n, OrderReport) and n.filled)
            assert news.index(early) < news.index(it.told(Leg.FUTURES, Fill)[0])
            assert early.limit_price is None, "TRADE_LITE, not the full news"
            (position,) = it.told(Leg.FUTURES, Position)
            assert position.quantity == D("-0.01")

    run(work)


@pytest.mark.parametrize("kind", [FillKind.AUTO_DELEVERAGING, FillKind.LIQUIDATION])
def test_what_the_venue_forces_is_recognised(kind):
    async def work():
        async with desk(Leg.FUTURES) as it:
            await it.listen(Leg.FUTURES)
            await it.futures_gateway.place_order(await it.order(Leg.FUTURES, Side.SELL, "0.1"))
            await it.until(lambda: it.told(Leg.FUTURES, Fill))
            house = it.futures.house
            if kind is FillKind.AUTO_DELEVERAGING:
                assert house.deleverage(PERP, D("0.04"))
            else:
                assert house.liquidate(PERP)
            await it.until(lambda: len(it.told(Leg.FUTURES, Fill)) == 2)
            forced = it.told(Leg.FUTURES, Fill)[1]
            assert (forced.kind, forced.side) == (kind, Side.BUY)
            read = await it.futures_gateway.read_fills(PERP, it.clock.now() - HOUR)
            assert read[-1].kind is kind, "also where the trade names only its order"

    run(work)


def test_quiet_accounts_are_heard_of():
    async def work():
        async with desk() as it:
            for leg in Leg:
                await it.listen(leg)
            await it.until(lambda: all(len(it.told(leg, StreamAlive)) >= 2 for leg in Leg))
            assert not any(it.told(leg, StreamDown) for leg in Leg)

    run(work)


def test_quotes_and_marks():
    async def work():
        async with desk() as it:
            news = []
            await it.spot_feed.listen(SPOT, news.append)
            await it.futures_feed.listen(PERP, news.append)

            def seen(kind, symbol):
                return [n for n in news if isinstance(n, kind) and n.symbol == symbol]

            await it.until(lambda: seen(Mark, PERP))
            await it.until(
                lambda: all(seen(Quote, s) and seen(Quote, s)[-1].bid_depth for s in (SPOT, PERP))
            )
            quote = seen(Quote, SPOT)[-1]
            assert quote.usable and quote.ask_depth > 0
            await it.until(lambda: len([n for n in news if isinstance(n, StreamUp)]) == 2)
            it.futures.act(Fault(name="cut"))
            await it.until(lambda: any(isinstance(n, StreamDown) for n in news))
            await it.until(lambda: len([n for n in news if isinstance(n, StreamUp)]) == 3)
            count = len(seen(Quote, PERP))
            await it.until(lambda: len(seen(Quote, PERP)) > count)

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
