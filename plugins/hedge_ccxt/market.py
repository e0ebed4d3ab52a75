"""One instrument's best prices and marks: streamed where ccxt can, else asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from hedge.errors import Malformed, VenueError
from hedge.model import Leg, Mark, Quote, StreamDown, StreamKind, StreamUp
from hedge.model.numbers import MS, ZERO
from hedge.roles import Clock, MarketNews, MarketSink
from hedge_ccxt import parse
from hedge_ccxt.account import REDIAL_MAX, REDIAL_MIN
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.line import Line
from hedge_ccxt.listing import Listing

WATCH = "watch_"
FEATURES = {
    "watch_bids_asks": "watchBidsAsks",
    "watch_order_book": "watchOrderBook",
    "watch_mark_price": "watchMarkPrice",
    "watch_ticker": "watchTicker",
}
NEWEST = {"watch_bids_asks": "bidsasks", "watch_mark_price": "tickers", "watch_ticker": "tickers"}
"""Where ccxt keeps the last of a stream. It hands on the first of what came while nobody waited,
and drops the rest: on a late loop that price is the oldest of them. A book it keeps is one object.
"""
BOOK_LEVELS = 20
UP = StreamUp(kind=StreamKind.MARKET)

Read = Callable[[Any], Quote | Mark | None]


class Market:
    """Follows the prices of one instrument for its listeners."""

    def __init__(
        self, listing: Listing, line: Line, *, clock: Clock, settings: CcxtSettings
    ) -> None:
        self._listing = listing
        self._line = line
        self._clock = clock
        self._settings = settings
        self._sinks: tuple[MarketSink, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._up = False
        self._quoted_at = clock.now()
        self._marked: Mark | None = None

    def listen(self, sink: MarketSink) -> None:
        self._sinks = (*self._sinks, sink)
        if self._tasks:
            if self._up:
                sink(UP)
            return
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._follow(*self._quotes())))
        if self._listing.leg is Leg.FUTURES:
            marks = self._line.profile.marks
            self._tasks.append(loop.create_task(self._follow(marks, self._mark)))
        self._tasks.append(loop.create_task(self._pulse()))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _tell(self, news: MarketNews) -> None:
        for sink in self._sinks:
            sink(news)

    def _quotes(self) -> tuple[str, Read]:
        if self._line.has("watchBidsAsks"):
            return "watch_bids_asks", self._best
        if self._line.has("watchOrderBook"):
            return "watch_order_book", self._book
        return "fetch_order_book", self._book

    def _best(self, row: Any) -> Quote | None:
        return parse.quote(row, self._listing, self._clock.now())

    def _book(self, answer: Any) -> Quote | None:
        return parse.book(answer, self._listing, self._clock.now())

    def _mark(self, answer: Any) -> Mark | None:
        """Return a mark when mark or index has changed; a ticker changes for other reasons."""
        mark = parse.mark(answer, self._listing, self._clock.now())
        known = self._marked
        if mark is None or (known and (mark.mark, mark.index) == (known.mark, known.index)):
            return None
        self._marked = mark
        return mark

    async def _follow(self, method: str, read: Read) -> None:
        streamed = method.startswith(WATCH) and self._line.has(FEATURES[method])
        if method.startswith(WATCH) and not streamed:
            method = "fetch_funding_rate"
        pause = REDIAL_MIN
        while True:
            try:
                answer = await self._next(method, streamed=streamed)
                if streamed and method in NEWEST:
                    answer = getattr(self._line.exchange, NEWEST[method])[self._listing.market]
                news = read(answer)
                pause = REDIAL_MIN
            except (VenueError, Malformed, *self._line.faults) as error:
                self._down(f"{method}: {type(error).__name__}")
                await self._clock.sleep_until(self._clock.now() + pause)
                pause = min(2 * pause, REDIAL_MAX)
                continue
            if isinstance(news, Quote):
                self._quoted_at = self._clock.now()
                self._come_up()
            if news is not None:
                self._tell(news)
            if not streamed:
                await self._clock.sleep_until(self._clock.now() + self._settings.poll_ms * MS)

    def _next(self, method: str, *, streamed: bool) -> Awaitable[Any]:
        market = self._listing.market
        if method == "watch_bids_asks":
            return self._line.watch(method, [market])
        if streamed:
            return self._line.watch(method, market)
        if method == "fetch_order_book":
            return self._line.read(method, market, BOOK_LEVELS)
        return self._line.read(method, market)

    def _come_up(self) -> None:
        if not self._up:
            self._up = True
            self._tell(UP)

    def _down(self, why: str) -> None:
        if self._up:
            self._up = False
            self._tell(StreamDown(kind=StreamKind.MARKET, why=why))

    async def _pulse(self) -> None:
        """Ask for the price of a market that has been quiet: a stream that stalls says nothing."""
        quiet = self._settings.ping_ms * MS
        while True:
            await self._clock.sleep_until(self._clock.now() + quiet // 4)
            if self._clock.now() - self._quoted_at < quiet // 2:
                continue
            try:
                news = self._book(
                    await self._line.read("fetch_order_book", self._listing.market, BOOK_LEVELS)
                )
            except (VenueError, Malformed, *self._line.faults):
                continue  # no news is what the core's own limits are for
            if news is not None:
                self._quoted_at = self._clock.now()
                if self._line.has("watchBidsAsks"):  # depth now and then would look like its mean
                    news = msgspec.structs.replace(news, bid_depth=ZERO, ask_depth=ZERO)
                self._tell(news)
