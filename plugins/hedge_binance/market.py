"""Market data: best bid and ask with the depth behind them, and the marks of perpetuals.

Spot has one stream connection; USD-M has two, because ``/public`` (book) and ``/market`` (mark
price) may not share one. Source: "Important WebSocket Change Notice" of the official USD-M pages.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from hedge.errors import Refused
from hedge.model import (
    Instrument,
    Leg,
    Quote,
    StreamAlive,
    StreamDown,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import MS, ZERO
from hedge.roles import MarketSink
from hedge.transport import Calls, Line, Socket
from hedge_binance import parse, wire
from hedge_binance.instruments import Listing
from hedge_binance.link import Link, Role

Handler = Callable[[msgspec.Raw], None]
MarkSeen = Callable[[wire.MarkPrice], None]
LeftOut = Callable[[str, Refused], None]
"""Told the stream name of an instrument (``btcusdt``) that the venue takes no more."""
_ALIVE = StreamAlive(kind=StreamKind.MARKET)
_UP = StreamUp(kind=StreamKind.MARKET)
_ids = itertools.count(1)
REQUEST_EVERY_MS = 250
"""A connection that hears more than 5 messages a second is closed. Source:
binance-spot-api-docs ``web-socket-streams.md``; USD-M allows 10."""


class Channel:
    """One stream connection: its subscriptions, and where each stream's frames go."""

    def __init__(
        self,
        link: Link,
        url: str,
        name: str,
        told: "Callable[[Channel, object], None]",
        left_out: LeftOut,
    ) -> None:
        self.link = link
        self.url = url
        self.name = name
        self.socket: Socket | None = None
        self.up = False
        self._told = told
        self._left_out = left_out
        self._routes: dict[str, Handler] = {}
        self._lead: Line | None = None
        self._timeout_ms = link.settings.read_timeout_ms
        self._calls: Calls[int, wire.StreamFrame] = Calls(
            name=name, clock=link.clock, on_trouble=link.trouble
        )

    async def subscribe(self, streams: Mapping[str, Handler]) -> None:
        """Add those that are new; the connection is dialled with the first.

        Raise `Refused`: then nothing was added, and the next connection does not ask for it.
        """
        fresh = {name: handler for name, handler in streams.items() if name not in self._routes}
        self._routes |= fresh
        if self.socket is None:
            link = self.link
            self.socket = Socket(
                self._where,
                name=self.name,
                clock=link.clock,
                on_frame=self._on_frame,
                on_trouble=link.trouble,
                on_state=self._on_state,
                resubscribe=self._resubscribe,
                probe=self._probe,
                limits=link.socket_limits,
            )
            await link.stack.enter_async_context(self.socket)
        elif fresh:
            try:
                await self.socket.ask_each(lambda line: self._request(line, list(fresh)))
            except Refused:
                self._forget(fresh)
                raise

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self._routes.pop(name, None)

    async def _where(self) -> str:
        return f"{self.url}/stream?streams={'/'.join(self._routes)}"

    async def _resubscribe(self, line: Line) -> None:
        # The streams stand in the URL already; to name them again has the venue acknowledge them.
        assert self.socket is not None
        parts: dict[str, list[str]] = {}
        for name in self._routes:
            parts.setdefault(name.partition("@")[0], []).append(name)
        refused = await self.socket.ask_apart(line, parts, self._request, pause_ms=REQUEST_EVERY_MS)
        for native, error in refused.items():
            self._forget(parts[native])
            self._left_out(native, error)

    async def _request(self, line: Line, names: Sequence[str]) -> None:
        await self._ask(line, "SUBSCRIBE", list(names))

    async def _probe(self, line: Line) -> None:
        await self._ask(line, "LIST_SUBSCRIPTIONS", None)

    async def _ask(self, line: Line, method: str, params: list[str] | None) -> None:
        call_id = next(_ids)
        question = {"method": method, "id": call_id}
        payload = msgspec.json.encode(question if params is None else question | {"params": params})
        frame = await self._calls.ask(
            line, call_id, payload, timeout_ms=self._timeout_ms, read=True
        )
        if frame.error is not None:
            code, words = frame.error.code, frame.error.msg[:80]
            raise Refused(f"{self.name}: {method} {code} {words}", code=str(code))

    def _on_state(self, news: StreamUp | StreamDown | StreamAlive) -> None:
        if not isinstance(news, StreamAlive):
            self.up = isinstance(news, StreamUp)
        self._told(self, news)

    def _on_frame(self, line: Line, view: memoryview) -> None:
        frame = parse.stream_frame(bytes(view))
        handler = self._routes.get(frame.stream)
        if handler is None:
            self._on_other(line, frame)
        elif line is self._lead or self._takes_the_lead(line):
            handler(frame.data)

    def _takes_the_lead(self, line: Line) -> bool:
        """While a line is replaced both tell, and the older one's news may be late.

        A newer one that went before it was ready leads nobody: the older goes on alone.
        """
        lead = self._lead
        if lead is not None and lead.open and lead.number > line.number:
            return False
        self._lead = line
        return True

    def _on_other(self, line: Line, frame: wire.StreamFrame) -> None:
        if frame.id is not None:
            self._calls.answer(frame.id, frame)
        elif frame.stream == "!serverShutdown" or frame.e == "serverShutdown":
            if self.socket is not None:
                self.socket.rotate("serverShutdown", line)
        else:
            self._calls.stray(f"stream {frame.stream[:40]!a}")


class Book:
    """Best bid and ask of one instrument, with the depth the last depth frame showed."""

    def __init__(self, link: Link, listing: Listing, *, futures: bool) -> None:
        self.listing = listing
        self.sinks: list[MarketSink] = []
        self._now = link.clock.now
        self._futures = futures
        self._bid_depth: Decimal = ZERO
        self._ask_depth: Decimal = ZERO

    def on_ticker(self, data: msgspec.Raw) -> None:
        ticker = parse.book_ticker(data)
        per_coin = self.listing.per_coin
        quote = Quote(
            symbol=self.listing.symbol,
            bid=per_coin(ticker.bid),
            ask=per_coin(ticker.ask),
            bid_depth=self._bid_depth,
            ask_depth=self._ask_depth,
            seen_at=self._now(),
        )
        for sink in self.sinks:
            sink(quote)

    def on_depth(self, data: msgspec.Raw) -> None:
        found = parse.futures_depth(data) if self._futures else parse.spot_depth(data)
        self._bid_depth = parse.depth(found.bids, self.listing)
        self._ask_depth = parse.depth(found.asks, self.listing)


class Marks:
    """The mark price of one perpetual, to feeds and to the funding source."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.sinks: list[MarketSink] = []
        self.seen: list[MarkSeen] = []

    def on_mark(self, data: msgspec.Raw) -> None:
        news = parse.mark_price(data)
        if self.sinks:
            mark = parse.mark(news, self.listing)
            for sink in self.sinks:
                sink(mark)
        for seen in self.seen:
            seen(news)


class Market:
    """The streams of one leg."""

    def __init__(self, link: Link, leg: Leg) -> None:
        self.link = link
        self.leg = leg
        self._futures = leg is Leg.FUTURES
        self._books: dict[str, Book] = {}
        self._marks: dict[str, Marks] = {}
        self._sinks: list[MarketSink] = []
        self._told_up = False
        self._told_at = 0
        self._every = link.settings.heartbeat_ms * MS
        hosts = link.settings.hosts
        if self._futures:
            url = hosts.futures_stream_url
            self._book_channel = self._channel(f"{url}/public", "binance futures book")
            self._mark_channel = self._channel(f"{url}/market", "binance futures marks")
        else:
            self._book_channel = self._channel(hosts.spot_stream_url, "binance spot book")
            self._mark_channel = self._book_channel

    def _channel(self, url: str, name: str) -> Channel:
        return Channel(self.link, url, name, self._state, self._leave_out)

    async def listen(self, listing: Listing, sink: MarketSink) -> None:
        """Tell quotes, and a perpetual's marks.

        Raise `Refused` where the venue refuses a stream; then nothing is told. One that a later
        connection is refused is told as `StreamDown`, and nothing after it.
        """
        book = self._books.get(listing.native)
        if book is None:
            book = self._books[listing.native] = Book(self.link, listing, futures=self._futures)
        marks = self._marks_of(listing) if self._futures else None
        hearing = [book.sinks] if marks is None else [book.sinks, marks.sinks]
        for sinks in hearing:
            sinks.append(sink)
        name = listing.native.lower()
        streams = {f"{name}@bookTicker": book.on_ticker, f"{name}@depth5@100ms": book.on_depth}
        try:
            await self._book_channel.subscribe(streams)
            if marks is not None:
                await self._follow(marks)
        except Refused:
            for sinks in hearing:
                _without(sinks, sink)
            raise
        if sink in book.sinks:  # else it was left out meanwhile, and told so
            self._sinks.append(sink)
            if self._told_up:
                sink(_UP)

    async def listen_marks(self, listing: Listing, seen: MarkSeen) -> None:
        """Hand the mark price's frames to the funding source."""
        marks = self._marks_of(listing)
        marks.seen.append(seen)
        await self._follow(marks)

    def _marks_of(self, listing: Listing) -> Marks:
        return self._marks.setdefault(listing.native, Marks(listing))

    async def _follow(self, marks: Marks) -> None:
        name = marks.listing.native.lower()
        await self._mark_channel.subscribe({f"{name}@markPrice@1s": marks.on_mark})

    def _leave_out(self, name: str, error: Refused) -> None:
        """Whoever hears of the instrument is told that no more comes; the others go on."""
        native = name.upper()
        found = (self._books.get(native), self._marks.get(native))
        hearing = [one.sinks for one in found if one is not None]
        for sink in tuple(hearing[0]):  # who hears of the marks hears of the book
            for sinks in (*hearing, self._sinks):
                _without(sinks, sink)
            sink(StreamDown(kind=StreamKind.MARKET, why=str(error)))

    def _state(self, _: Channel, news: object) -> None:
        """Say up when all that was dialled is up, down when the first of it goes."""
        if isinstance(news, StreamAlive):
            now = self.link.clock.now()
            if self._told_up and now - self._told_at >= self._every // 2:  # two channels, one word
                self._tell(_ALIVE)
            return
        dialled = [c for c in (self._book_channel, self._mark_channel) if c.socket is not None]
        if all(channel.up for channel in dialled):
            if not self._told_up:
                self._told_up = True
                self._tell(_UP)
        elif self._told_up and isinstance(news, StreamDown):
            self._told_up = False
            self._tell(news)

    def _tell(self, news: StreamUp | StreamDown | StreamAlive) -> None:
        self._told_at = self.link.clock.now()
        for sink in self._sinks:
            sink(news)


def _without(sinks: list[MarketSink], gone: MarketSink) -> None:
    with contextlib.suppress(ValueError):  # left out, and refused as well
        sinks.remove(gone)


async def market_of(link: Link, leg: Leg) -> Market:
    """Return the one set of streams of a leg."""
    found = link.markets.get(leg)
    if found is None:
        found = link.markets[leg] = Market(link, leg)
    return found


class Feed(Role):
    """`hedge.roles.MarketFeed` of one leg."""

    leg: Leg

    async def read_instruments(self) -> tuple[Instrument, ...]:
        found = await self.session.read_listings(self.leg)
        return tuple(listing.instrument for listing in found.values())

    async def read_instrument(self, symbol: str) -> Instrument:
        """Return the instrument as it is now; a bundle's multiplier is confirmed by prices."""
        return (await self.session.read_listing(self.leg, symbol)).instrument

    async def listen(self, symbol: str, sink: MarketSink) -> None:
        listing = await self.session.listing(self.leg, symbol)
        await (await market_of(self.session, self.leg)).listen(listing, sink)


class SpotFeed(Feed):
    """The spot market."""

    leg = Leg.SPOT


class FuturesFeed(Feed):
    """The USD-M perpetuals."""

    leg = Leg.FUTURES
