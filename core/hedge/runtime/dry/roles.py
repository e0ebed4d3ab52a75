"""The roles of a dry run, laid over what the venue plugins returned: they never send an order."""

from types import TracebackType
from typing import Self

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
    Quote,
    StreamAlive,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import SECOND
from hedge.roles import (
    AccountNews,
    AccountSink,
    Clock,
    Closable,
    FeeRates,
    FundingSource,
    KeyRights,
    Margin,
    MarketFeed,
    MarketNews,
    MarketSink,
    TimerHandle,
    VenueLimits,
)
from hedge.runtime.dry.account import FEES, DryAccount

ALIVE_EVERY = 5 * SECOND
HISTORY_BACK = 24 * 3600 * SECOND
"""How far back settlements are looked for that passed while nothing ran."""


class _Over:
    """A role laid over another, which it opens and closes; over none it has nothing to open."""

    _under: Closable | None = None

    async def __aenter__(self) -> Self:
        if self._under is not None:
            await self._under.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._under is not None:
            await self._under.__aexit__(kind, error, trace)


class DryFeed(_Over):
    """A venue's own feed; the account sees each quote after the engine did."""

    def __init__(self, feed: MarketFeed, account: DryAccount, leg: Leg, clock: Clock) -> None:
        self._under = self._feed = feed
        self._account = account
        self._leg = leg
        self._clock = clock

    async def read_instruments(self) -> tuple[Instrument, ...]:
        return await self._feed.read_instruments()

    async def read_instrument(self, symbol: str) -> Instrument:
        return await self._feed.read_instrument(symbol)

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        def tee(news: MarketNews) -> None:
            sink(news)
            if isinstance(news, Quote) and news.usable:
                self._account.see(self._leg, news, self._clock.now())

        await self._feed.listen(symbol, tee)


class DryGateway(_Over):
    """Orders against the account in this process; both legs' Protocols."""

    def __init__(self, account: DryAccount, leg: Leg, symbol: str, clock: Clock) -> None:
        self._account = account
        self._leg = leg
        self._symbol = symbol
        self._clock = clock
        self._sinks: list[AccountSink] = []
        self._timer: TimerHandle | None = None
        tell = account.tell

        def told(whose: Leg, news: AccountNews) -> None:
            tell(whose, news)
            if whose is leg:
                for sink in self._sinks:
                    sink(news)

        account.tell = told

    @property
    def limits(self) -> VenueLimits:
        return VenueLimits()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def listen(self, symbol: str, sink: AccountSink) -> None:  # noqa: ARG002 - one symbol
        self._sinks.append(sink)
        sink(StreamUp(kind=StreamKind.ACCOUNT))
        self._alive()

    def _alive(self) -> None:
        for sink in self._sinks:
            sink(StreamAlive(kind=StreamKind.ACCOUNT))
        self._timer = self._clock.call_at(self._clock.now() + ALIVE_EVERY, self._alive)

    async def place_order(self, order: Order) -> OrderReport:
        return self._account.place(order, self._clock.now())

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:  # noqa: ARG002 - the role's signature
        return self._account.cancel(client_order_id, self._clock.now())

    async def read_clock(self) -> int:
        return self._clock.now()

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:  # noqa: ARG002 - the role's signature
        return self._account.find(client_order_id)

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]:  # noqa: ARG002 - the role's signature
        return tuple(one.report() for one in self._account.open(self._leg))

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        fills = self._account.fills
        return tuple(f for f in fills if f.symbol == symbol and f.filled_at >= since)

    async def read_balances(self) -> tuple[Balance, ...]:
        return self._account.balances(self._leg, self._symbol, self._clock.now())

    async def prepare(self, symbol: str, leverage: int) -> None:
        """Do nothing: there is no account whose mode or leverage could be set."""

    async def read_position(self, symbol: str) -> Position:
        return self._account.position(symbol, self._clock.now())

    async def read_position_mode(self) -> PositionMode:
        return PositionMode.ONE_WAY

    async def read_margin(self, symbol: str) -> Margin:  # noqa: ARG002 - the role's signature
        cash = self._account.cash[Leg.FUTURES]
        return Margin(free=cash, wallet=cash)


class DryFunding(_Over):
    """The venue's own rates; what is paid on them is the account's."""

    def __init__(self, source: FundingSource, account: DryAccount, clock: Clock) -> None:
        self._under = self._source = source
        self._account = account
        self._clock = clock
        self._next_at = 0

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        await self._source.listen(symbol, sink)

    async def read_rate(self, symbol: str) -> FundingRate:
        rate = await self._source.read_rate(symbol)
        if not self._next_at:
            self._next_at = rate.next_at
        return rate

    async def read_rates(self) -> tuple[FundingRate, ...]:
        return await self._source.read_rates()

    async def read_history(self, symbol: str, since: int, until: int) -> tuple[FundingRate, ...]:
        return await self._source.read_history(symbol, since, until)

    async def read_payments(self, symbol: str, since: int) -> tuple[FundingPayment, ...]:
        """Pay what was settled since, on what was held then; return it with what was known."""
        now = self._clock.now()
        if now >= self._next_at:
            for rate in await self._source.read_history(symbol, now - HISTORY_BACK, now + 1):
                self._account.settle(rate, symbol.partition(":")[2])
            self._next_at = 0  # until the next rate says when there is more to ask for
            await self.read_rate(symbol)
        return tuple(one for one in self._account.payments if one.settled_at >= since)


class DryCheck(_Over):
    """An account that may trade, and has nothing that could be withdrawn."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg

    async def read_key_rights(self) -> KeyRights:
        return KeyRights(trade=True, withdraw=False, ip_bound=True)

    async def read_clock_offset_ms(self) -> int:
        return 0

    async def read_fees(self, symbol: str) -> FeeRates:  # noqa: ARG002 - one rate for all
        return FEES[self._leg]
