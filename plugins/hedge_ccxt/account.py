"""One leg's own orders, fills, position and balances: streamed where ccxt can, and swept beside it.

ccxt's streams say neither that they are subscribed nor that something was missed, and hand on the
last of several updates. So each (re)connect is followed by a reading of all that may have
happened, an order that reports more than its fills add up to has them read, and a sweep looks at
everything again every few seconds. Whoever comes first tells; nothing is told twice.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from decimal import Decimal

from hedge.errors import Malformed, Missing, VenueError
from hedge.model import (
    Balance,
    Leg,
    OrderReport,
    Position,
    StreamAlive,
    StreamDown,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import HOUR, MS, SECOND
from hedge.roles import AccountNews, AccountSink, Clock
from hedge.transport import ClockOffset, Once
from hedge_ccxt import parse
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.line import Line
from hedge_ccxt.listing import Listing
from hedge_ccxt.own_orders import OwnOrders
from hedge_ccxt.rates import Rates
from hedge_ccxt.reads import Reads
from hedge_ccxt.sdk import FAULTS

OVERLAP = 10 * SECOND
"""How far back each sweep begins before the last: a venue's REST may lag behind its streams."""
TICK = 100 * MS
SETTLED = 400 * MS
"""How long all streams must have stood before they count as subscribed."""
REDIAL_MIN, REDIAL_MAX = 200 * MS, 10 * SECOND
SOON = 150 * MS
"""After a fill, how long until position and balances are read: several fills make one reading."""
PAID_BACK = HOUR
"""How late a venue may list a settlement."""
UP = StreamUp(kind=StreamKind.ACCOUNT)
ALIVE = StreamAlive(kind=StreamKind.ACCOUNT)

log = logging.getLogger("hedge_ccxt")
Take = Callable[[list[parse.Row]], None]


class Account:
    """Follows the account's news of one instrument."""

    def __init__(
        self,
        listing: Listing,
        line: Line,
        reads: Reads,
        own: OwnOrders,
        *,
        clock: Clock,
        offset: ClockOffset,
        settings: CcxtSettings,
        rates: Rates | None = None,
    ) -> None:
        self._listing = listing
        self._line = line
        self._reads = reads
        self._own = own
        self._clock = clock
        self._offset = offset
        self._settings = settings
        self._rates = rates
        """Of a perpetual: its settlements are told here, too."""
        self._paid = Once()
        self._paid_at = 0
        self._sinks: tuple[AccountSink, ...] = ()
        self._streams = line.has("watchOrders") and line.has("watchMyTrades")
        self._standing: dict[str, int] = {}
        """Stream -> since when it has been waiting without an error."""
        self._up = False
        self._begun = offset.now()
        self._paid_since = self._begun - OVERLAP
        self._swept = self._begun
        """Everything before this moment (less `OVERLAP`) has been read."""
        self._sweep_at = 0
        self._told: dict[str, Position | tuple[Balance, ...]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, sink: AccountSink) -> None:
        self._sinks = (*self._sinks, sink)
        if self._tasks:
            if self._up:
                sink(UP)
            return
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._follow()))
        if self._streams:
            self._tasks.append(loop.create_task(self._watch("watch_orders", self._orders)))
            self._tasks.append(loop.create_task(self._watch("watch_my_trades", self._trades)))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def hurry(self) -> None:
        """Have the next sweep soon: something has happened."""
        self._sweep_at = min(self._sweep_at, self._clock.now() + SOON)

    def _tell(self, news: AccountNews) -> None:
        for sink in self._sinks:
            sink(news)

    # -- the streams -----------------------------------------------------------------------------

    async def _watch(self, method: str, take: Take) -> None:
        pause = REDIAL_MIN
        while True:
            self._standing.setdefault(method, self._clock.now())
            try:
                rows = await self._line.watch(method, self._listing.market)
                pause = REDIAL_MIN
            except self._line.faults as error:
                self._standing.pop(method, None)
                self._down(f"{method}: {type(error).__name__}")
                await self._clock.sleep_until(self._clock.now() + pause)
                pause = min(2 * pause, REDIAL_MAX)
                continue
            take(rows)

    def _orders(self, rows: list[parse.Row]) -> None:
        for row in rows:
            try:
                if parse.belongs(row, self._listing):
                    self.take_report(parse.order_report(row, self._listing, self._reads.style))
            except (Malformed, *FAULTS) as error:
                self._unsure(error)

    def _trades(self, rows: list[parse.Row]) -> None:
        for row in rows:
            try:
                if parse.belongs(row, self._listing) and not parse.is_funding(row):
                    self._take_fill(row)
            except (Malformed, *FAULTS) as error:
                self._unsure(error)

    def _unsure(self, error: Exception) -> None:
        """Say that something may have been missed, so that the core reads the account."""
        log.warning("%s: %s", self._line.venue, error)
        self.hurry()
        self._tell(UP)

    def take_report(self, report: OrderReport) -> None:
        """Tell an order's new state, if it is new."""
        merged = self._own.reported(self._listing.symbol, report)
        known = self._own.find(report.client_order_id)
        now = (known.filled, known.ended) if known is not None else None
        if known is None or known.told != now:
            self._tell(merged)
            self.hurry()
        if known is not None:
            known.told = now

    def _take_fill(self, row: parse.Row) -> None:
        fill = self._reads.fill(row, self._listing)
        if self._own.executed(fill):
            self._tell(fill)
            self.hurry()

    def _down(self, why: str) -> None:
        if self._up:
            self._up = False
            self._tell(StreamDown(kind=StreamKind.ACCOUNT, why=why))

    # -- the sweep -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Look after the streams, and read what they do not say."""
        while True:
            now = self._clock.now()
            try:
                if not self._up and self._subscribed(now):
                    await self._sweep()
                    self._up = True
                    self._tell(UP)
                elif self._up and now >= self._sweep_at:
                    await self._sweep()
                    self._tell(ALIVE)
            except (VenueError, Malformed, *FAULTS) as error:
                self._failed(error)
            await self._clock.sleep_until(self._clock.now() + TICK)

    def _failed(self, error: Exception) -> None:
        log.warning("%s: %s: %s", self._line.venue, self._listing.symbol, error)
        if not self._streams:
            self._down(str(error))
        self._sweep_at = self._clock.now() + self._settings.poll_ms * MS

    def _subscribed(self, now: int) -> bool:
        if not self._streams:
            return now >= self._sweep_at
        return (
            len(self._standing) == len(self._tasks) - 1
            and all(now - since >= SETTLED for since in self._standing.values())
            and self._line.connected()
        )

    async def _sweep(self) -> None:
        """Read fills, our open orders, position and balances; tell what is new."""
        begun, every = self._offset.now(), self._settings.sweep_ms
        if not self._streams:
            every = self._settings.poll_ms
        self._sweep_at = self._clock.now() + every * MS
        symbol = self._listing.symbol
        back = self._begun if self._own.owed(symbol) else self._swept
        for fill in await self._reads.fills(self._listing, back - OVERLAP):
            if self._own.executed(fill):
                self._tell(fill)
        await self._sweep_orders()
        await self._sweep_account()
        self._swept = begun
        if self._own.owed(symbol):
            self.hurry()

    async def _sweep_orders(self) -> None:
        known = self._own.open_of(self._listing.symbol)
        if not known:
            return
        shown = {one.client_order_id: one for one in await self._reads.open_orders(self._listing)}
        for one in known:
            report = shown.get(one.client_order_id)
            if report is None and one.venue_order_id:
                # One that the venue has purged is asked about by the core, by its own rules.
                with contextlib.suppress(Missing):
                    report = await self._reads.order(self._listing, one.client_order_id)
            if report is not None:
                self.take_report(report)

    async def _sweep_account(self) -> None:
        if self._listing.leg is Leg.FUTURES:
            at = self._clock.now()
            rows = parse.as_rows(await self._line.read("fetch_positions", [self._listing.market]))
            position = parse.position(rows, self._listing, at)
            if self._new("position", position):
                self._tell(position)
            await self._sweep_payments(position.quantity)
            return
        instrument = self._listing.instrument
        for balance in await self._reads.balances():
            if balance.asset in (instrument.base, instrument.quote) and self._new(
                balance.asset, (balance,)
            ):
                self._tell(balance)

    async def _sweep_payments(self, quantity: Decimal) -> None:
        now = self._clock.now()
        if self._rates is None or now - self._paid_at < self._settings.payments_ms * MS:
            return
        payments = await self._rates.payments(self._listing, self._paid_since, quantity)
        for paid in self._paid.new(payments):
            self._paid_since = max(self._paid_since, paid.settled_at - PAID_BACK)
            self._tell(paid)
        self._paid_at = now

    def _new(self, key: str, now: Position | tuple[Balance, ...]) -> bool:
        """Return whether it differs from what was told last, but for its time."""
        before = self._told.get(key)
        self._told[key] = now
        return before is None or _timeless(before) != _timeless(now)


def _timeless(news: Position | tuple[Balance, ...]) -> object:
    if isinstance(news, Position):
        return (news.quantity, news.entry_notional, news.liquidation_price, news.margin_ratio)
    return tuple((one.free, one.locked) for one in news)
