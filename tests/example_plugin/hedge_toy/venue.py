"""The roles: orders and reads over REST, news over one WebSocket for each `listen`."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import msgspec

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable
from hedge.model import (
    Balance,
    Fill,
    FillKind,
    FundingPayment,
    FundingRate,
    Instrument,
    InstrumentKind,
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
    StreamKind,
    TimeInForce,
)  # fmt: skip
from hedge.roles import FeeRates, KeyRights, Margin, VenueContext, VenueLimits
from hedge.transport import (
    Calls,
    ClockOffset,
    HmacSigner,
    Line,
    Reply,
    Rest,
    Socket,
    SocketLimits,
)  # fmt: skip
from hedge_toy import wire
from hedge_toy.settings import ToySettings

T = TypeVar("T")
US = 1_000
"""The exchange counts in microseconds."""
LEGS = {"cash": Leg.SPOT, "perp": Leg.FUTURES}
HOW = {TimeInForce.POST_ONLY: "rest", TimeInForce.GTC: "stay", TimeInForce.IOC: "now"}
STATES = {"open": ReportedStatus.WORKING, "done": ReportedStatus.FILLED}
KINDS = {
    "deal": FillKind.TRADE, "adl": FillKind.AUTO_DELEVERAGING, "liq": FillKind.LIQUIDATION,
}  # fmt: skip
NO = frozenset({
    "KEY", "MAC", "RIGHTS", "LATE", "EARLY", "STEP", "SMALL", "LARGE", "FUNDS", "AGAIN", "TAKES",
    "SHRINK", "CLOSED", "MODE", "LEVER", "ENDED",
})  # fmt: skip
"""The words of the exchange that are a definite no; any other error is not."""
log = logging.getLogger(__name__)


class Link:
    """One account's connections, opened by its first role and closed with its last."""

    def __init__(self, context: VenueContext) -> None:
        assert isinstance(context.settings, ToySettings)
        self.settings, self.clock = context.settings, context.clock
        self.offset = ClockOffset(self.clock, grain_ns=US)
        self.rest = Rest(self.settings.url, name="toy", clock=self.clock, on_trouble=log.debug)
        self.calls = Calls[int, None](name="toy", clock=self.clock, on_trouble=log.debug)
        self.numbers = itertools.count(1)
        self.markets: dict[str, wire.Market] = {}
        self.users, self.lock, self.stack = 0, asyncio.Lock(), contextlib.AsyncExitStack()
        self._key = context.secrets.get("api_key", "")
        self._signer = HmacSigner(context.secrets.get("api_secret") or "none")

    async def open(self) -> None:
        async with self.lock:
            self.users += 1
            if self.users == 1:
                await self.stack.enter_async_context(self.rest)
                await self.learn_clock()

    async def close(self) -> None:
        self.users -= 1
        if not self.users:
            await self.stack.aclose()

    async def learn_clock(self) -> int:
        reply = await self.rest.read("GET", "/time", timeout_ms=self.settings.read_timeout_ms)
        at = judged(reply, int, Unreachable) * US
        self.offset.learn(sent=reply.sent, received=reply.received, server_at=at)
        return at

    def signed(self, text: str, at: int, valid_ms: int) -> dict[str, str]:
        mac = self._signer.sign(f"{text}\n{at // US}\n{valid_ms}".encode())
        return {"Toy-Key": self._key, "Toy-Mac": mac, "Toy-At": f"{at // US} {valid_ms}"}

    async def read(self, kind: type[T], path: str, **query: object) -> T:
        text, limit = urlencode(query), self.settings.read_timeout_ms
        headers = self.signed(f"GET {path}?{text}", self.offset.now(), limit)
        reply = await self.rest.read("GET", path, query=text, headers=headers, timeout_ms=limit)
        return judged(reply, kind, Unreachable)

    async def write(  # noqa: PLR0917 - a request, in the order of the wire
        self, kind: type[T], method: str, path: str, body: object, at: int = 0, valid: int = 2_000
    ) -> T:
        data = msgspec.json.encode(body)
        headers = self.signed(f"{method} {path} {data.decode()}", at or self.offset.now(), valid)
        limit = self.settings.ack_timeout_ms
        reply = await self.rest.write(method, path, body=data, headers=headers, timeout_ms=limit)
        return judged(reply, kind, OutcomeUnknown)

    async def market(self, symbol: str) -> wire.Market:
        if symbol not in self.markets:
            listed = await self.read(list[wire.Market], "/markets")
            self.markets = {symbol_of(one): one for one in listed}
        if symbol not in self.markets:
            raise Missing(f"toy has no {symbol}")
        return self.markets[symbol]

    async def hear(
        self, kind: StreamKind, topic: str, sink: Callable[[Any], None],
        parse: Callable[[wire.Frame], list[Any]], *, refresh: Callable[[], Any],
    ) -> None:  # fmt: skip
        """Open a socket of its own for one topic; it lives as long as the link."""

        def on_frame(_: Line, view: memoryview) -> None:
            frame = msgspec.json.decode(view, type=wire.Frame, strict=False)
            if frame.id is not None:
                self.calls.answer(frame.id, None)
            for news in parse(frame):
                sink(news)

        async def ask(line: Line, what: dict[str, object]) -> None:
            number, limit = next(self.numbers), self.settings.silence_ms
            data = msgspec.json.encode({"id": number, **what})
            await self.calls.ask(line, number, data, timeout_ms=limit, read=True)

        async def subscribe(line: Line) -> None:
            said = self.signed(f"SUB {topic}", self.offset.now(), 5_000)
            await ask(line, {"sub": topic, "auth": said})
            await refresh()

        async def probe(line: Line) -> None:
            await ask(line, {"beat": True})

        silence = self.settings.silence_ms
        url = f"ws{self.settings.url.removeprefix('http')}/live"
        socket = Socket(
            url, name=topic, clock=self.clock, on_frame=on_frame, on_trouble=log.debug,
            on_state=sink, kind=kind, resubscribe=subscribe, probe=probe,
            limits=SocketLimits(silence_max_ms=silence, probe_timeout_ms=silence),
        )  # fmt: skip
        await self.stack.enter_async_context(socket)


def judged(reply: Reply, kind: type[T], unsure: type[Exception]) -> T:
    """Return what was asked for; a definite no is `Refused`, anything unclear is ``unsure``."""
    try:
        if reply.status < 300:
            return msgspec.json.decode(reply.body, type=kind, strict=False)
        no = msgspec.json.decode(reply.body, type=wire.No)
    except msgspec.MsgspecError as error:
        raise unsure(f"toy: HTTP {reply.status}: {error}") from error
    if no.no == "WHAT":
        raise Missing(f"toy: {no.why}")
    if no.no == "SLOWLY":
        raise Limited(f"toy: {no.why}", code=no.no, retry_after_s=no.wait)
    if no.no in NO:
        raise Refused(f"toy: {no.no} {no.why}", code=no.no)
    raise unsure(f"toy: HTTP {reply.status} {no.no} {no.why}")


def symbol_of(market: wire.Market) -> str:
    symbol = f"{market.coin}/{market.money}"
    return symbol if market.kind == "cash" else f"{symbol}:{market.money}"


class Role:
    """What all roles share."""

    def __init__(self, link: Link, kind: str = "perp") -> None:
        self.link, self.kind = link, kind

    async def __aenter__(self) -> Self:
        await self.link.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.close()

    async def market(self, symbol: str) -> wire.Market:
        market = await self.link.market(symbol)
        if market.kind != self.kind:
            raise Missing(f"toy: {symbol} is of the other leg")
        return market


class Feed(Role):
    """`MarketFeed` of one leg."""

    async def read_instruments(self) -> tuple[Instrument, ...]:
        listed = await self.link.read(list[wire.Market], "/markets")
        return tuple(self.instrument(one) for one in listed if one.kind == self.kind)

    async def read_instrument(self, symbol: str) -> Instrument:
        found = {one.symbol: one for one in await self.read_instruments()}
        if symbol not in found:
            raise Missing(f"toy has no {symbol}")
        return found[symbol]

    def instrument(self, one: wire.Market) -> Instrument:
        cash = one.kind == "cash"
        return Instrument(
            venue="toy", symbol=symbol_of(one), base=one.coin, quote=one.money,
            kind=InstrumentKind.SPOT if cash else InstrumentKind.PERPETUAL,
            settle="" if cash else one.money, tick=one.tick, lot=one.unit,
            contract_size=Decimal(1) if cash else one.unit, quantity_min=one.least * one.unit,
            quantity_max=one.most * one.unit, notional_min=one.worth,
            status=InstrumentStatus.TRADING if one.open else InstrumentStatus.HALTED,
        )  # fmt: skip

    async def listen(self, symbol: str, sink: Callable[[Any], None]) -> None:
        market = await self.market(symbol)

        def parse(frame: wire.Frame) -> list[Any]:
            book, now = frame.book, self.link.clock.now()
            if book is None:
                return []
            tick, unit = market.tick, market.unit
            quote = Quote(
                symbol=symbol, bid=book.bid * tick, ask=book.ask * tick, seen_at=now,
                bid_depth=book.bids * unit, ask_depth=book.asks * unit,
            )  # fmt: skip
            if book.mark is None:
                return [quote]
            return [quote, Mark(symbol=symbol, mark=book.mark, index=book.index, seen_at=now)]

        async def nothing() -> None: ...

        await self.link.hear(StreamKind.MARKET, f"book:{market.id}", sink, parse, refresh=nothing)


class Gateway(Role):
    """`SpotGateway`, and what the other one shares with it."""

    @property
    def limits(self) -> VenueLimits:
        return VenueLimits(ack_timeout_ms=self.link.settings.ack_timeout_ms)

    async def listen(self, symbol: str, sink: Callable[[Any], None]) -> None:
        market = await self.market(symbol)
        told: set[str] = set()

        def once(fills: list[Fill]) -> list[Fill]:
            new = [one for one in fills if one.key not in told]
            told.update(one.key for one in new)
            return new

        def parse(frame: wire.Frame) -> list[Any]:
            found: list[Any] = once([fill(market, one) for one in frame.deals])
            found += [report(market, one) for one in frame.orders]
            found += [balance(one) for one in frame.purse]
            found += [position(market, one) for one in frame.stakes]
            return found + [payment(market, one) for one in frame.paid]

        await self.link.hear(
            StreamKind.ACCOUNT, f"mine:{market.id}", sink, parse, refresh=self.link.learn_clock
        )

    async def place_order(self, order: Order) -> OrderReport:
        market = await self.market(order.symbol)
        body = {
            "m": market.id, "way": "B" if order.side is Side.BUY else "S",
            "n": str((order.quantity / market.unit).normalize()),
            "p": str((order.limit_price / market.tick).normalize()),
            "how": HOW[order.time_in_force], "shrink": order.reduce_only,
        }  # fmt: skip
        path = f"/orders/{order.client_order_id}"
        at, valid = order.signed_at, order.recv_window_ms
        return report(market, await self.link.write(wire.Order, "PUT", path, body, at, valid))

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        market = await self.market(symbol)
        path = f"/orders/{client_order_id}"
        return report(market, await self.link.write(wire.Order, "DELETE", path, {"m": market.id}))

    async def read_clock(self) -> int:
        return await self.link.learn_clock()

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:
        market = await self.market(symbol)
        path = f"/orders/{client_order_id}"
        return report(market, await self.link.read(wire.Order, path, m=market.id))

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        market = await self.market(symbol)
        found = await self.link.read(list[wire.Order], "/orders", m=market.id)
        return tuple(report(market, one) for one in found)

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        market, found, after = await self.market(symbol), list[Fill](), 0
        while page := await self.link.read(
            list[wire.Deal], "/deals", m=market.id, since=-(-since // US), after=after
        ):
            found += [fill(market, one) for one in page]
            after = page[-1].seq
        return tuple(found)

    async def read_balances(self) -> tuple[Balance, ...]:
        return tuple(map(balance, await self.link.read(list[wire.Coin], "/purse")))


class FuturesGateway(Gateway):
    """`FuturesGateway`."""

    async def prepare(self, symbol: str, leverage: int) -> None:
        market = await self.market(symbol)
        await self.link.write(wire.Account, "POST", "/account", {"mode": "net"})
        await self.link.write(wire.Account, "POST", "/account", {"m": market.id, "lever": leverage})
        now = await self.link.read(wire.Account, "/account")
        if (now.mode, now.lever) != ("net", leverage):
            raise Refused(f"toy: mode {now.mode}, leverage {now.lever}", code="LEVER")

    async def read_position(self, symbol: str) -> Position:
        market = await self.market(symbol)
        return position(market, await self.link.read(wire.Stake, "/stake", m=market.id))

    async def read_position_mode(self) -> PositionMode:
        mode = (await self.link.read(wire.Account, "/account")).mode
        return PositionMode.ONE_WAY if mode == "net" else PositionMode.HEDGE

    async def read_margin(self, symbol: str) -> Margin:
        await self.market(symbol)
        now = await self.link.read(wire.Account, "/account")
        return Margin(
            free=now.free, wallet=now.wallet, ratio=now.ratio, leverage=Decimal(now.lever)
        )


class Funding(Role):
    """`FundingSource`."""

    async def listen(self, symbol: str, sink: Callable[[Any], None]) -> None:
        market = await self.market(symbol)

        def parse(frame: wire.Frame) -> list[Any]:
            return [rate(market, one) for one in frame.rates]

        async def nothing() -> None: ...

        await self.link.hear(StreamKind.MARKET, f"rate:{market.id}", sink, parse, refresh=nothing)

    async def read_rate(self, symbol: str) -> FundingRate:
        market = await self.market(symbol)
        return rate(market, await self.link.read(wire.Rate, "/rate", m=market.id))

    async def read_rates(self) -> tuple[FundingRate, ...]:
        listed = await self.link.read(list[wire.Market], "/markets")
        return tuple([await self.read_rate(symbol_of(m)) for m in listed if m.kind == "perp"])

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        market = await self.market(symbol)
        first, last = -(-since // US), -(-until // US)
        found = await self.link.read(
            list[wire.Rate], "/rates", m=market.id, since=first, until=last
        )
        return tuple(rate(market, one) for one in found)

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        market, first = await self.market(symbol), -(-since // US)
        found = await self.link.read(list[wire.Paid], "/paid", m=market.id, since=first)
        return tuple(payment(market, one) for one in found)


class Check(Role):
    """`AccountCheck`."""

    async def read_key_rights(self) -> KeyRights:
        rights = (await self.link.read(wire.Account, "/account")).rights
        return KeyRights(trade="trade" in rights, withdraw="withdraw" in rights)

    async def read_clock_offset_ms(self) -> int:
        await self.link.learn_clock()
        return self.link.offset.offset_ms

    async def read_fees(self, symbol: str) -> FeeRates:
        market = await self.link.market(symbol)
        fees = await self.link.read(wire.Fees, "/fees", m=market.id)
        return FeeRates(maker=fees.maker, taker=fees.taker, buy_asset=fees.coin)


def side(way: str) -> Side:
    return Side.BUY if way == "B" else Side.SELL


def report(market: wire.Market, one: wire.Order) -> OrderReport:
    return OrderReport(
        client_order_id=one.cid, venue_order_id=str(one.no), side=side(one.way),
        status=STATES.get(one.state, ReportedStatus.CANCELLED), filled=one.done * market.unit,
        quantity=one.n * market.unit, limit_price=one.p * market.tick, reduce_only=one.shrink,
        reported_at=one.at * US,
    )  # fmt: skip


def fill(market: wire.Market, one: wire.Deal) -> Fill:
    return Fill(
        leg=LEGS[market.kind], symbol=symbol_of(market), fill_id=str(one.seq), side=side(one.way),
        client_order_id=one.cid, venue_order_id=str(one.no), quantity=one.n * market.unit,
        price=one.p * market.tick, fee=one.fee, fee_asset=one.coin, fee_rate_quote=one.worth,
        maker=one.maker, kind=KINDS.get(one.why, FillKind.UNKNOWN), filled_at=one.at * US,
    )  # fmt: skip


def balance(one: wire.Coin) -> Balance:
    return Balance(asset=one.coin, free=one.free, locked=one.held, rate_quote=one.worth)


def position(market: wire.Market, one: wire.Stake) -> Position:
    cost, size = one.cost, one.n * market.unit
    return Position(
        symbol=symbol_of(market), quantity=size, entry_notional=cost, liquidation_price=one.liq
    )


def payment(market: wire.Market, one: wire.Paid) -> FundingPayment:
    return FundingPayment(
        payment_id=str(one.seq), symbol=symbol_of(market), rate=one.rate, interval_s=one.every,
        quantity=one.n * market.unit, cash=one.cash, asset=one.coin, settled_at=one.at * US,
    )  # fmt: skip


def rate(market: wire.Market, one: wire.Rate) -> FundingRate:
    return FundingRate(
        symbol=symbol_of(market), rate=one.rate, interval_s=one.every, next_at=one.next * US,
        observed_at=one.at * US, origin=RateOrigin.LIVE if one.live else RateOrigin.SETTLED,
    )  # fmt: skip
