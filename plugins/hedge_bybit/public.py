"""A public stream: order books and tickers of one category, kept whole over reconnects."""

from collections.abc import Callable
from decimal import Decimal
from heapq import nlargest, nsmallest
from typing import TypeVar

import msgspec

from hedge.errors import Malformed, Refused
from hedge.model import Leg, Quote, StreamAlive, StreamDown, StreamKind, StreamUp
from hedge.model.numbers import MS, ZERO
from hedge.roles import Clock
from hedge.transport import Line, Socket, SocketLimits, TroubleSink
from hedge_bybit.config import PROBE_TIMEOUT_MAX_MS, BybitSettings
from hedge_bybit.frames import PUBLIC, Level, PublicData, PublicFrame
from hedge_bybit.listing import CATEGORIES, Listing
from hedge_bybit.replies import Replies

SILENCE_MAX_MS = 2_000
"""A quiet socket is asked so often whether it lives: half the age at which a price counts as old
is more than this."""
BOOK_SILENCE_MAX_MS = 10_000
"""A perpetual's best prices come again at least every 3 s; silent for longer, they prove nothing
even on a socket that lives (docs/v5/websocket/public/orderbook)."""
DEPTH_EVERY_MS = 200
DEPTH_LEVELS = 5
READY_WAIT_MS = 5_000

T = TypeVar("T")
BookSink = Callable[[Quote], None]
StateSink = Callable[[StreamUp | StreamDown | StreamAlive], None]


class Ticker(msgspec.Struct):
    """What has been said of a perpetual so far, put together from differences."""

    mark_price: str = ""
    index_price: str = ""
    funding_rate: str = ""
    next_funding_time: str = ""
    funding_interval_hour: str = ""

    def take(self, data: PublicData, *, snapshot: bool) -> None:
        """Overlay a difference, or begin anew with a snapshot."""
        for name in self.__struct_fields__:
            value = getattr(data, name)
            if value is not None or snapshot:
                setattr(self, name, value or "")


TickerSink = Callable[[Listing, Ticker], None]


class Book:
    """The best prices of one instrument, and on spot the depth of its top five levels."""

    __slots__ = ("ask", "asks", "bid", "bids", "depth", "depth_at_ms", "heard_at")

    def __init__(self) -> None:
        self.bid: Level | None = None
        self.ask: Level | None = None
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.depth = (ZERO, ZERO)
        self.depth_at_ms = 0
        self.heard_at = 0

    def take_best(self, data: PublicData, *, snapshot: bool) -> None:
        """Take ``orderbook.1``: whole, or only the side that has changed."""
        _numbers(data)
        if snapshot:
            self.bid = self.ask = None
        for level in data.b:
            self.bid = _best(self.bid, level)
        for level in data.a:
            self.ask = _best(self.ask, level)

    def take_depth(self, data: PublicData, ts_ms: int, *, snapshot: bool) -> None:
        """Take ``orderbook.50``; the sum over the top five is made a few times a second."""
        _numbers(data)
        if snapshot:
            self.bids.clear()
            self.asks.clear()
        for side, levels in ((self.bids, data.b), (self.asks, data.a)):
            for price, quantity in levels:
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        if snapshot or ts_ms - self.depth_at_ms >= DEPTH_EVERY_MS:
            self.depth_at_ms = ts_ms
            self.depth = (
                sum((self.bids[price] for price in nlargest(DEPTH_LEVELS, self.bids)), ZERO),
                sum((self.asks[price] for price in nsmallest(DEPTH_LEVELS, self.asks)), ZERO),
            )

    def forget(self) -> None:
        """Know nothing, until a snapshot comes."""
        self.bid = self.ask = None
        self.bids.clear()
        self.asks.clear()
        self.depth = (ZERO, ZERO)


def _numbers(data: PublicData) -> None:
    """Raise Malformed for a level that is none: a NaN compares with nothing."""
    for levels in (data.b, data.a):
        for price, quantity in levels:
            if not (price.is_finite() and quantity.is_finite()):
                raise Malformed(f"bybit: a level of {price} and {quantity}")


def _best(present: Level | None, level: Level) -> Level | None:
    """Return the level after a change of it; one that was taken away leaves none."""
    if level[1]:
        return level
    return None if present is None or present[0] == level[0] else present


def _without(sinks: tuple[T, ...], gone: T) -> tuple[T, ...]:
    return tuple(one for one in sinks if one is not gone)


class Watched(msgspec.Struct):
    """One instrument, its state, and who hears of it."""

    listing: Listing
    book: Book
    ticker: Ticker
    on_book: tuple[BookSink, ...] = ()
    on_ticker: tuple[TickerSink, ...] = ()
    on_state: tuple[StateSink, ...] = ()


class PublicStream:
    """One socket for all instruments of one category."""

    def __init__(
        self, leg: Leg, *, clock: Clock, settings: BybitSettings, on_trouble: TroubleSink
    ) -> None:
        self._leg = leg
        self._clock = clock
        name = f"bybit public {CATEGORIES[leg]}"
        self._replies = Replies(name, clock, on_trouble, timeout_ms=settings.read_timeout_ms)
        self._topics: dict[str, None] = {}
        self._watched: dict[str, Watched] = {}
        self.socket = Socket(
            f"{settings.hosts.public}/v5/public/{CATEGORIES[leg]}",
            name=name,
            clock=clock,
            on_frame=self._on_frame,
            on_trouble=on_trouble,
            on_state=self._on_state,
            kind=StreamKind.MARKET,
            resubscribe=self._resubscribe,
            probe=self._replies.ping,
            limits=SocketLimits(
                silence_max_ms=SILENCE_MAX_MS, probe_timeout_ms=PROBE_TIMEOUT_MAX_MS
            ),
        )
        self._is_open = False

    async def watch_book(self, listing: Listing, sink: BookSink, on_state: StateSink) -> None:
        """Hand on the best prices of one instrument, and the state of the stream.

        Raise `Refused` where the venue refuses the topic, which is then as if never asked for. One
        that a later connection is refused is told as `StreamDown`, and nothing after it.
        """
        topics = [f"orderbook.1.{listing.venue_symbol}"]
        if self._leg is Leg.SPOT:
            topics.append(f"orderbook.50.{listing.venue_symbol}")
        watched = self._watch(listing)
        watched.on_book = (*watched.on_book, sink)
        watched.on_state = (*watched.on_state, on_state)
        was_up = self.socket.ready
        try:
            await self._want(topics)
        except Refused:
            watched.on_book = _without(watched.on_book, sink)
            watched.on_state = _without(watched.on_state, on_state)
            raise
        if was_up and self.socket.ready:
            on_state(StreamUp(kind=StreamKind.MARKET))

    async def watch_ticker(self, listing: Listing, sink: TickerSink) -> None:
        """Hand on what is said of a perpetual: marks and funding; raise as `watch_book` does."""
        watched = self._watch(listing)
        watched.on_ticker = (*watched.on_ticker, sink)
        if watched.ticker.mark_price:
            sink(listing, watched.ticker)
        try:
            await self._want([f"tickers.{listing.venue_symbol}"])
        except Refused:
            watched.on_ticker = _without(watched.on_ticker, sink)
            raise

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            await self.socket.__aexit__(None, None, None)

    def _watch(self, listing: Listing) -> Watched:
        found = self._watched.get(listing.venue_symbol)
        if found is None:
            found = Watched(listing, Book(), Ticker())
            self._watched[listing.venue_symbol] = found
        return found

    async def _want(self, topics: list[str]) -> None:
        wanted = [topic for topic in topics if topic not in self._topics]
        self._topics.update(dict.fromkeys(wanted))
        if not self._is_open:
            self._is_open = True
            await self.socket.__aenter__()
        elif wanted:
            try:
                await self.socket.ask_each(lambda line: self._replies.subscribe(line, wanted))
            except Refused:  # else each new line would be refused with it, for all
                for topic in wanted:
                    self._topics.pop(topic, None)
                raise

    async def _resubscribe(self, line: Line) -> None:
        parts: dict[str, list[str]] = {}
        for topic in self._topics:
            parts.setdefault(topic.rpartition(".")[2], []).append(topic)
        refused = await self.socket.ask_apart(line, parts, self._replies.subscribe)
        for symbol, error in refused.items():
            for topic in parts[symbol]:
                self._topics.pop(topic, None)
            self._leave_out(symbol, error)

    def _leave_out(self, symbol: str, error: Refused) -> None:
        """Whoever hears of the instrument is told that no more comes; the others go on."""
        watched = self._watched.pop(symbol, None)
        for sink in watched.on_state if watched is not None else ():
            sink(StreamDown(kind=StreamKind.MARKET, why=str(error)))

    def _on_state(self, news: StreamUp | StreamDown | StreamAlive) -> None:
        strict = self._leg is Leg.FUTURES
        told_since = self._clock.now() - BOOK_SILENCE_MAX_MS * MS if strict else 0
        for watched in self._watched.values():
            if isinstance(news, StreamDown):
                watched.book.forget()
            elif isinstance(news, StreamAlive) and watched.book.heard_at < told_since:
                continue
            for sink in watched.on_state:
                sink(news)

    def _on_frame(self, line: Line, view: memoryview) -> None:
        try:
            frame = PUBLIC.decode(view)
        except msgspec.ValidationError:
            self._replies.take(line, view)
            return
        topic = frame.topic
        if topic.startswith("orderbook.1."):
            self._best(frame)
        elif topic.startswith("orderbook."):
            watched = self._watched.get(frame.data.s)
            if watched is not None:
                watched.book.take_depth(frame.data, frame.ts, snapshot=frame.type == "snapshot")
        elif topic.startswith("tickers."):
            self._ticker(frame)

    def _best(self, frame: PublicFrame) -> None:
        data = frame.data
        watched = self._watched.get(data.s)
        if watched is None:
            return
        book, listing = watched.book, watched.listing
        book.take_best(data, snapshot=frame.type == "snapshot")
        book.heard_at = now = self._clock.now()
        bid, ask = book.bid, book.ask
        if bid is None or ask is None:
            return
        depth = book.depth
        quote = Quote(
            symbol=listing.symbol,
            bid=listing.price(bid[0]),
            ask=listing.price(ask[0]),
            bid_depth=listing.quantity(depth[0] or bid[1]),
            ask_depth=listing.quantity(depth[1] or ask[1]),
            seen_at=now,
        )
        for sink in watched.on_book:
            sink(quote)

    def _ticker(self, frame: PublicFrame) -> None:
        watched = self._watched.get(frame.data.symbol)
        if watched is None:
            return
        watched.ticker.take(frame.data, snapshot=frame.type == "snapshot")
        for sink in watched.on_ticker:
            sink(watched.listing, watched.ticker)
