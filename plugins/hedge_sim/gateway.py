"""The roles of the simulated venue: thin objects over one shared `SimVenue`."""

from types import TracebackType
from typing import Self

from hedge.errors import Missing, Refused
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
    StreamDown,
    StreamKind,
)
from hedge.model.numbers import MS
from hedge.roles import AccountSink, FeeRates, KeyRights, Margin, MarketSink, VenueLimits
from hedge_sim.account import Placed
from hedge_sim.checks import fee_asset_of_buy
from hedge_sim.records import leg_of
from hedge_sim.venue import DATA_ENDED, SimVenue
from hedge_sim.wire import Moment, ask, command


class SimRole:
    """What all roles share: the venue, which the last one to close closes."""

    def __init__(self, venue: SimVenue) -> None:
        self.venue = venue

    async def __aenter__(self) -> Self:
        await self.venue.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self.venue.close()


class SimFeed(SimRole):
    """`MarketFeed` of one leg."""

    def __init__(self, venue: SimVenue, leg: Leg) -> None:
        super().__init__(venue)
        self.leg = leg

    def _instrument(self, symbol: str, at: int) -> Instrument:
        market = self.venue.exchange.markets.get(symbol)
        if market is None or leg_of(symbol) is not self.leg:
            raise Missing(f"sim has no {self.leg.value} market {symbol}")
        return market.instrument_at(at, halted=self.venue.exchange.halted(symbol, at))

    async def read_instruments(self) -> tuple[Instrument, ...]:
        def perform(moment: Moment) -> tuple[Instrument, ...]:
            found = [s for s in self.venue.exchange.markets if leg_of(s) is self.leg]
            return tuple(self._instrument(symbol, moment.at) for symbol in found)

        return await ask(self.venue, perform)

    async def read_instrument(self, symbol: str) -> Instrument:
        return await ask(self.venue, lambda moment: self._instrument(symbol, moment.at))

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        """Subscribe, and see quotes at once."""
        await self.read_instrument(symbol)
        venue = self.venue
        venue.market_stream.add(self.leg, symbol, sink)
        if venue.ended:
            sink(StreamDown(kind=StreamKind.MARKET, why=DATA_ENDED))
            return
        venue.stay_awake()
        venue.show(again=True)
        venue.arm()


class SimGateway(SimRole):
    """What both gateways have in common."""

    leg: Leg

    @property
    def limits(self) -> VenueLimits:
        return self.venue.limits

    def _known(self, symbol: str) -> None:
        if leg_of(symbol) is not self.leg or symbol not in self.venue.exchange.markets:
            raise Missing(f"sim has no {self.leg.value} market {symbol}")

    async def listen(self, symbol: str, sink: AccountSink) -> None:
        await ask(self.venue, lambda _: self._known(symbol))
        self.venue.account_stream.add(self.leg, symbol, sink)

    async def place_order(self, order: Order) -> OrderReport:
        exchange = self.venue.exchange

        def perform(moment: Moment) -> OrderReport:
            if order.leg is not self.leg:
                raise Missing(f"{order.symbol} is of the other leg")
            self._known(order.symbol)
            arrived = exchange.stamp(moment.arrived)
            return exchange.place(order, moment.at, arrived, moment.fate.ioc_share)

        return await command(self.venue, perform)

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        exchange = self.venue.exchange
        return await command(
            self.venue, lambda moment: exchange.cancel(symbol, client_order_id, moment.at)
        )

    async def read_clock(self) -> int:
        return await ask(self.venue, lambda moment: self.venue.exchange.stamp(moment.at))

    def _report(self, placed: Placed, moment: Moment) -> OrderReport | None:
        as_of = None if moment.as_of is None else moment.as_of + self.venue.shift
        return placed.report(self.venue.exchange.stamp(moment.as_of or moment.at), as_of)

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:
        def perform(moment: Moment) -> OrderReport:
            placed = self.venue.exchange.account.orders.get(client_order_id)
            if placed is None or placed.order.symbol != symbol:
                raise Missing(f"no order {client_order_id}")
            report = self._report(placed, moment)
            if report is None:
                raise Missing(f"no order {client_order_id}")
            return report

        return await ask(self.venue, perform)

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        def perform(moment: Moment) -> tuple[OrderReport, ...]:
            self._known(symbol)
            account = self.venue.exchange.account
            orders = account.open if moment.as_of is None else account.orders
            found = [self._report(p, moment) for p in orders.values() if p.order.symbol == symbol]
            return tuple(r for r in found if r is not None and r.status.value == "working")

        return await ask(self.venue, perform)

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        def perform(moment: Moment) -> tuple[Fill, ...]:
            self._known(symbol)
            exchange = self.venue.exchange
            until = exchange.stamp(moment.at if moment.as_of is None else moment.as_of)
            return tuple(
                fill
                for fill in exchange.account.fills
                if fill.symbol == symbol
                and fill.filled_at >= since
                and (moment.as_of is None or fill.filled_at <= until)
            )

        return await ask(self.venue, perform)

    async def read_balances(self) -> tuple[Balance, ...]:
        def perform(moment: Moment) -> tuple[Balance, ...]:
            old = None if moment.as_of is None else self.venue.snapshot(moment.as_of)
            return self.venue.exchange.balances(moment.at) if old is None else old[1]

        return await ask(self.venue, perform)


class SimSpotGateway(SimGateway):
    """`SpotGateway` of the account."""

    leg = Leg.SPOT


class SimFuturesGateway(SimGateway):
    """`FuturesGateway` of the account."""

    leg = Leg.FUTURES

    async def prepare(self, symbol: str, leverage: int) -> None:
        exchange = self.venue.exchange

        def perform(moment: Moment) -> None:
            self._known(symbol)
            if exchange.account.mode is not PositionMode.ONE_WAY:
                if exchange.account.holding(symbol).quantity:
                    raise Refused("hedge mode, with a position", code="POSITION_MODE")
                exchange.set_mode(PositionMode.ONE_WAY, moment.at)
            exchange.set_leverage(symbol, leverage, moment.at)

        await command(self.venue, perform)
        margin = await self.read_margin(symbol)
        mode = await self.read_position_mode()
        if margin.leverage != leverage or mode is not PositionMode.ONE_WAY:
            found = f"leverage {margin.leverage}, mode {mode.value}"
            raise Refused(f"{symbol}: {found} after setting {leverage}, one_way", code="LEVERAGE")

    async def read_position(self, symbol: str) -> Position:
        def perform(moment: Moment) -> Position:
            self._known(symbol)
            old = None if moment.as_of is None else self.venue.snapshot(moment.as_of)
            return (
                self.venue.exchange.position(symbol, moment.at) if old is None else old[2][symbol]
            )

        return await ask(self.venue, perform)

    async def read_position_mode(self) -> PositionMode:
        return await ask(self.venue, lambda _: self.venue.exchange.account.mode)

    async def read_margin(self, symbol: str) -> Margin:
        def perform(moment: Moment) -> Margin:
            self._known(symbol)
            return self.venue.exchange.margin(symbol, moment.at)

        return await ask(self.venue, perform)


class SimFundingSource(SimRole):
    """`FundingSource`: the recorded settlements up to now, and the last one as the estimate."""

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        venue = self.venue
        rate = await ask(venue, lambda moment: venue.funding.settled_at(symbol, moment.at))
        venue.funding.add(symbol, sink)
        sink(rate)

    async def read_rate(self, symbol: str) -> FundingRate:
        funding = self.venue.funding
        return await ask(self.venue, lambda moment: funding.carried_at(symbol, moment.at))

    async def read_rates(self) -> tuple[FundingRate, ...]:
        funding = self.venue.funding

        def perform(moment: Moment) -> tuple[FundingRate, ...]:
            return tuple(funding.carried_at(symbol, moment.at) for symbol in funding.symbols)

        return await ask(self.venue, perform)

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        venue = self.venue

        def perform(moment: Moment) -> tuple[FundingRate, ...]:
            last = min(until - venue.shift, moment.at + 1)
            return venue.funding.history(symbol, since - venue.shift, last)

        return await ask(venue, perform)

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        def perform(_: Moment) -> tuple[FundingPayment, ...]:
            payments = self.venue.exchange.account.payments
            return tuple(p for p in payments if p.symbol == symbol and p.settled_at >= since)

        return await ask(self.venue, perform)


class SimAccountCheck(SimRole):
    """`AccountCheck`: may trade, may not withdraw."""

    async def read_key_rights(self) -> KeyRights:
        return await ask(self.venue, lambda _: KeyRights(trade=True, withdraw=False, ip_bound=True))

    async def read_clock_offset_ms(self) -> int:
        return await ask(self.venue, lambda _: self.venue.exchange.clock_offset // MS)

    async def read_fees(self, symbol: str) -> FeeRates:
        fees = self.venue.settings.fees

        def perform(_: Moment) -> FeeRates:
            if symbol not in self.venue.exchange.markets:
                raise Missing(f"sim does not trade {symbol}")
            spot = leg_of(symbol) is Leg.SPOT
            return FeeRates(
                maker=fees.spot_maker if spot else fees.futures_maker,
                taker=fees.spot_taker if spot else fees.futures_taker,
                buy_asset=fee_asset_of_buy(fees, symbol),
            )

        return await ask(self.venue, perform)
