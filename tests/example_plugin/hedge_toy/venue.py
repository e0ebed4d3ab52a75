"""The roles: orders and reads over REST, news over one WebSocket for each `listen`."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from hedge import model
from hedge.errors import Refused, Unreachable
from hedge.model import Leg, PositionMode, Side, StreamKind, TimeInForce
from hedge.roles import FeeRates, KeyRights, Margin, VenueContext
from hedge.transport import Ask, HmacSigner, JsonLink, JsonRole, Once, Reply, Row, Verdicts
from hedge_toy import parse
from hedge_toy.parse import US, Market

T = TypeVar("T")
MARKET, ACCOUNT = StreamKind.MARKET, StreamKind.ACCOUNT
HOW = {TimeInForce.POST_ONLY: "rest", TimeInForce.GTC: "stay", TimeInForce.IOC: "now"}
NO = "KEY MAC RIGHTS LATE EARLY STEP SMALL LARGE FUNDS AGAIN TAKES SHRINK CLOSED MODE LEVER ENDED"
"""The words of the exchange that are a definite no; any other error is not."""
Rates = tuple[model.FundingRate, ...]
Sink = Callable[[Any], None]
Parser = Callable[[model.Instrument, Row], T]


class Link(JsonLink[Market]):
    """One account: how it signs, and what the exchange's words mean."""

    grain_ns, stream_path, beat = US, "/live", {"beat": True}
    verdicts = Verdicts(
        name="toy", code="no", text="why", wait="wait", refused=frozenset(NO.split()),
        missing=frozenset({"WHAT"}), limited=frozenset({"SLOWLY"}),
    )  # fmt: skip

    def __init__(self, context: VenueContext) -> None:
        super().__init__(context)
        self._key = context.secrets.get("api_key", "")
        self._signer = HmacSigner(context.secrets.get("api_secret") or "none")

    def sign(self, ask: Ask) -> dict[str, str]:
        more = f"?{ask.query}" if ask.method == "GET" else f" {ask.body.decode()}"
        stamp = f"{ask.at // US}\n{ask.valid_ms}"
        mac = self._signer.sign(f"{ask.method} {ask.path}{more}\n{stamp}".encode())
        return {"Toy-Key": self._key, "Toy-Mac": mac, "Toy-At": stamp.replace("\n", " ")}

    def subscribe(self, topic: str) -> dict[str, Any]:
        return {"sub": topic, "auth": self.signed_now("SUB", topic)}

    async def read_time(self) -> tuple[Reply, int]:
        reply = await self.rest.read("GET", "/time", timeout_ms=self.settings.read_timeout_ms)
        return reply, self.verdicts.judge(reply, int, Unreachable) * US

    async def read_markets(self) -> list[Market]:
        return await self.read(lambda rows: list(map(parse.market, rows)), "/markets")


class Role(JsonRole[Link]):
    """What all roles share."""

    session_type = Link

    async def one(self, parser: Parser[T], path: str, symbol: str) -> T:
        """Return what is made of the row about an instrument."""
        market = await self.market(symbol)
        return await self.session.read(partial(parser, market.instrument), path, m=market.id)

    async def each(
        self, parser: Parser[T], path: str, symbol: str, **query: object
    ) -> tuple[T, ...]:
        """Return what is made of each row about an instrument."""
        market = await self.market(symbol)
        made = partial(parser, market.instrument)
        return await self.session.read(lambda a: tuple(map(made, a)), path, m=market.id, **query)


class FuturesFeed(Role):
    """`MarketFeed` of the perpetual, and below of the cash market."""

    async def listen(self, symbol: str, sink: Sink) -> None:
        market = await self.market(symbol)
        take = partial(parse.prices, market.instrument, self.session.clock.now)
        await self.session.hear(MARKET, f"book:{market.id}", sink, take)


class SpotFeed(FuturesFeed):
    leg = Leg.SPOT


class SpotGateway(Role):
    """`SpotGateway`, and what the other one shares with it."""

    leg = Leg.SPOT

    async def listen(self, symbol: str, sink: Sink) -> None:
        market, told = await self.market(symbol), Once()
        of = market.instrument

        def take(row: Row) -> list[Any]:
            found: list[Any] = told.new([parse.fill(of, one) for one in row.rows("deals")])
            found += [parse.report(of, one) for one in row.rows("orders")]
            found += [parse.balance(one) for one in row.rows("purse")]
            found += [parse.position(of, one) for one in row.rows("stakes")]
            return found + [parse.payment(of, one) for one in row.rows("paid")]

        await self.session.hear(ACCOUNT, f"mine:{market.id}", sink, take)

    async def place_order(self, order: model.Order) -> model.OrderReport:
        market = await self.market(order.symbol)
        of = market.instrument
        body = {
            "m": market.id, "way": "B" if order.side is Side.BUY else "S",
            "n": str((order.quantity / of.lot).normalize()),
            "p": str((order.limit_price / of.tick).normalize()),
            "how": HOW[order.time_in_force], "shrink": order.reduce_only,
        }  # fmt: skip
        path = f"/orders/{order.client_order_id}"
        return await self.session.write(partial(parse.report, of), "PUT", path, body, order=order)

    async def cancel_order(self, symbol: str, client_order_id: str) -> model.OrderReport:
        market = await self.market(symbol)
        path, made = f"/orders/{client_order_id}", partial(parse.report, market.instrument)
        return await self.session.write(made, "DELETE", path, {"m": market.id})

    async def read_order(self, symbol: str, client_order_id: str) -> model.OrderReport:
        return await self.one(parse.report, f"/orders/{client_order_id}", symbol)

    async def read_open_orders(self, symbol: str) -> tuple[model.OrderReport, ...]:
        return await self.each(parse.report, "/orders", symbol)

    async def read_fills(self, symbol: str, since: int) -> tuple[model.Fill, ...]:
        first, after, found = -(-since // US), 0, list[model.Fill]()
        while page := await self.each(parse.fill, "/deals", symbol, since=first, after=after):
            found += page
            after = int(page[-1].fill_id)
        return tuple(found)

    async def read_balances(self) -> tuple[model.Balance, ...]:
        return await self.session.read(lambda rows: tuple(map(parse.balance, rows)), "/purse")


class FuturesGateway(SpotGateway):
    """`FuturesGateway`."""

    leg = Leg.FUTURES

    async def prepare(self, symbol: str, leverage: int) -> None:
        market = await self.market(symbol)
        for body in ({"mode": "net"}, {"m": market.id, "lever": leverage}):
            await self.session.write(lambda row: row, "POST", "/account", body)
        mode, margin = await self.read_position_mode(), await self.read_margin(symbol)
        if mode is not PositionMode.ONE_WAY or margin.leverage != leverage:
            raise Refused(f"toy: mode {mode.value}, leverage {margin.leverage}", code="LEVER")

    async def read_position(self, symbol: str) -> model.Position:
        return await self.one(parse.position, "/stake", symbol)

    async def read_position_mode(self) -> PositionMode:
        mode = await self.session.read(lambda row: row.text("mode"), "/account")
        return PositionMode.ONE_WAY if mode == "net" else PositionMode.HEDGE

    async def read_margin(self, symbol: str) -> Margin:
        await self.market(symbol)
        return await self.session.read(parse.margin, "/account")


class FundingSource(Role):
    """`FundingSource`."""

    async def listen(self, symbol: str, sink: Sink) -> None:
        market = await self.market(symbol)
        topic, made = f"rate:{market.id}", partial(parse.rate, market.instrument)
        await self.session.hear(MARKET, topic, sink, lambda row: map(made, row.rows("rates")))

    async def read_rate(self, symbol: str) -> model.FundingRate:
        return await self.one(parse.rate, "/rate", symbol)

    async def read_rates(self) -> Rates:
        return tuple([await self.read_rate(one.symbol) for one in await self.read_instruments()])

    async def read_history(self, symbol: str, since: int, until: int) -> Rates:
        first, last = -(-since // US), -(-until // US)
        return await self.each(parse.rate, "/rates", symbol, since=first, until=last)

    async def read_payments(self, symbol: str, since: int) -> tuple[model.FundingPayment, ...]:
        return await self.each(parse.payment, "/paid", symbol, since=-(-since // US))


class AccountCheck(Role):
    """`AccountCheck`."""

    async def read_key_rights(self) -> KeyRights:
        rights = await self.session.read(lambda row: row.texts("rights"), "/account")
        return KeyRights(trade="trade" in rights, withdraw="withdraw" in rights)

    async def read_fees(self, symbol: str) -> FeeRates:
        market = await self.session.markets.get(symbol)
        return await self.session.read(parse.fees, "/fees", m=market.id)
