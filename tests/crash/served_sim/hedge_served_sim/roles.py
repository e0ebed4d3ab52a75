"""The roles of the served venue: each method is one request."""

from types import TracebackType
from typing import Self

import msgspec

from hedge.errors import Refused
from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Instrument,
    Leg,
    Order,
    OrderReport,
    Position,
    PositionMode,
)
from hedge.roles import AccountSink, FeeRates, KeyRights, Margin, MarketSink, VenueLimits
from hedge_served_sim import wire
from hedge_served_sim.link import Link


class Role:
    """What all of them share: the link, which the last one to close closes."""

    def __init__(self, link: Link) -> None:
        self.link = link

    async def __aenter__(self) -> Self:
        self.link.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self.link.close()


class Feed(Role):
    """`hedge.roles.MarketFeed` of one leg."""

    def __init__(self, link: Link, leg: Leg) -> None:
        super().__init__(link)
        self.leg = leg

    async def read_instruments(self) -> tuple[Instrument, ...]:
        return await self.link.ask(
            "GET", "/instruments", tuple[Instrument, ...], leg=self.leg.value
        )

    async def read_instrument(self, symbol: str) -> Instrument:
        return await self.link.ask(
            "GET", "/instrument", Instrument, leg=self.leg.value, symbol=symbol
        )

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        self.link.listen(wire.MARKET, self.leg, symbol, sink)


class Gateway(Role):
    """What both gateways have in common."""

    leg: Leg

    @property
    def limits(self) -> VenueLimits:
        return self.link.settings.limits

    async def listen(self, symbol: str, sink: AccountSink) -> None:
        self.link.listen(wire.ACCOUNT, self.leg, symbol, sink)

    async def place_order(self, order: Order) -> OrderReport:
        return await self.link.command("POST", "/orders", OrderReport, order)

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return await self.link.command(
            "DELETE", "/orders", OrderReport, leg=self.leg.value, symbol=symbol, id=client_order_id
        )

    async def read_clock(self) -> int:
        return await self.link.ask("GET", "/clock", int, leg=self.leg.value)

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return await self.link.ask(
            "GET", "/order", OrderReport, leg=self.leg.value, symbol=symbol, id=client_order_id
        )

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        return await self.link.ask(
            "GET", "/open", tuple[OrderReport, ...], leg=self.leg.value, symbol=symbol
        )

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        return await self.link.ask(
            "GET", "/fills", tuple[Fill, ...], leg=self.leg.value, symbol=symbol, since=since
        )

    async def read_balances(self) -> tuple[Balance, ...]:
        return await self.link.ask("GET", "/balances", tuple[Balance, ...], leg=self.leg.value)


class SpotGateway(Gateway):
    """`hedge.roles.SpotGateway`."""

    leg = Leg.SPOT


class FuturesGateway(Gateway):
    """`hedge.roles.FuturesGateway`."""

    leg = Leg.FUTURES

    async def prepare(self, symbol: str, leverage: int) -> None:
        found = await self.link.command(
            "POST", "/prepare", wire.Prepared, symbol=symbol, leverage=leverage
        )
        if found.margin.leverage != leverage or found.mode is not PositionMode.ONE_WAY:
            text = f"leverage {found.margin.leverage}, mode {found.mode.value}"
            raise Refused(f"{symbol}: {text} after setting {leverage}, one_way", code="LEVERAGE")

    async def read_position(self, symbol: str) -> Position:
        return await self.link.ask("GET", "/position", Position, symbol=symbol)

    async def read_position_mode(self) -> PositionMode:
        return await self.link.ask("GET", "/mode", PositionMode)

    async def read_margin(self, symbol: str) -> Margin:
        return await self.link.ask("GET", "/margin", Margin, symbol=symbol)


class Funding(Role):
    """`hedge.roles.FundingSource`."""

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        settled = await self.link.ask("GET", "/rate", FundingRate, symbol=symbol, origin="settled")
        self.link.listen(wire.FUNDING, Leg.FUTURES, symbol, sink)
        sink(settled)

    async def read_rate(self, symbol: str) -> FundingRate:
        return await self.link.ask("GET", "/rate", FundingRate, symbol=symbol)

    async def read_rates(self) -> tuple[FundingRate, ...]:
        return await self.link.ask("GET", "/rates", tuple[FundingRate, ...])

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        return await self.link.ask(
            "GET", "/history", tuple[FundingRate, ...], symbol=symbol, since=since, until=until
        )

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        return await self.link.ask(
            "GET", "/payments", tuple[FundingPayment, ...], symbol=symbol, since=since
        )


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What the key may do, as the venue says it."""

    trade: bool
    withdraw: bool


class Check(Role):
    """`hedge.roles.AccountCheck`."""

    async def read_key_rights(self) -> KeyRights:
        found = await self.link.ask("GET", "/key", Rights)
        return KeyRights(trade=found.trade, withdraw=found.withdraw)

    async def read_clock_offset_ms(self) -> int:
        found = await self.link.ask("GET", "/clock", int, leg=Leg.SPOT.value)
        return (found - self.link.clock.now()) // 1_000_000

    async def read_fees(self, symbol: str) -> FeeRates:
        return await self.link.ask("GET", "/fees", FeeRates, symbol=symbol)
