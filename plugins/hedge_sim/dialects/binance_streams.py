"""Binance's market streams: who is subscribed to what, and what each stream says when.

Sources: binance-spot-api-docs ``web-socket-streams.md``; USD-M "Websocket Market Streams", whose
``/public`` and ``/market`` paths carry different streams since 2026-03.
"""

import re
from collections.abc import Iterable

import msgspec

from hedge.model.numbers import MS
from hedge_sim.dialects.binance_listing import Listing, fixed
from hedge_sim.dialects.binance_market import MarketData, agg_trade, interval_ms, pairs
from hedge_sim.dialects.binance_shapes import Row, ms
from hedge_sim.dialects.faults import Faults
from hedge_sim.dialects.sockets import ENCODER, Socket

NAME = re.compile(
    r"(?P<wire>[a-z0-9_]+)@(?P<kind>bookTicker|depth(?P<levels>5|10|20)?|aggTrade|trade|ticker"
    r"|miniTicker|markPrice|kline_(?P<interval>[0-9]+[smhdw]))(?:@(?P<pace>[0-9]+m?s))?",
    re.ASCII,
)
ALL = re.compile(r"!(?P<kind>bookTicker|ticker|miniTicker|markPrice)(?:@arr)?(?:@1s)?", re.ASCII)
PUBLIC = frozenset({"bookTicker", "depth", "trade"})
"""What ``/public`` carries on USD-M; everything else is on ``/market``."""
EACH_SECOND_MS = 1_000
SLOW_MARK_MS = 3_000
STREAMS_MAX = 1_024
"""A connection may listen to so many streams."""


class Stream(msgspec.Struct, frozen=True):
    """One stream name, read; ``listing`` is None for all markets."""

    name: str
    kind: str
    listing: Listing | None
    levels: int = 0
    interval: str = ""
    each_ms: int = 0
    """0: whenever the book changes."""


class Watcher(msgspec.Struct, eq=False):
    """A connection's subscriptions, in the order in which they were made."""

    combined: bool
    category: str = ""
    """public or market on USD-M, "" on spot."""
    names: dict[str, None] = {}


class MarketStreams:
    """All subscriptions of all connections; `pulse` sends what is due."""

    def __init__(self, market: MarketData, faults: Faults, *, futures: bool) -> None:
        self._market = market
        self._faults = faults
        self._futures = futures
        self._watchers: dict[Socket, Watcher] = {}
        self._streams: dict[str, Stream] = {}
        self._said_at: dict[str, int] = {}

    # Who listens

    def join(self, socket: Socket, names: Iterable[str], *, combined: bool, category: str) -> None:
        """Take a connection with the streams its path names."""
        self._watchers[socket] = Watcher(combined, category, dict.fromkeys(names))
        for name in self._watchers[socket].names:
            self._first(socket, name)

    def leave(self, socket: Socket) -> None:
        self._watchers.pop(socket, None)

    def __contains__(self, socket: Socket) -> bool:
        return socket in self._watchers

    def is_combined(self, socket: Socket) -> bool:
        return self._watchers[socket].combined

    def heard(self, socket: Socket, message: Row) -> None:
        """Take SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY or GET_PROPERTY."""
        watcher, number = self._watchers[socket], message.get("id")
        given = message.get("params", [])
        answer: Row = {"result": None, "id": number}
        match message.get("method"):
            case "SUBSCRIBE" if _are_names(given) and len(watcher.names) < STREAMS_MAX:
                self._subscribe(socket, watcher, given, answer)
                return
            case "UNSUBSCRIBE" if _are_names(given):
                for name in given:
                    watcher.names.pop(name, None)
            case "LIST_SUBSCRIPTIONS":
                answer["result"] = list(watcher.names)
            case "SET_PROPERTY" if isinstance(given, list) and given[:1] == ["combined"]:
                watcher.combined = given[1:] == [True]
            case "GET_PROPERTY":
                answer["result"] = watcher.combined
            case _:
                text = "Invalid request: unknown variant"
                answer = {"error": {"code": 2, "msg": text}, "id": number}
        socket.send(answer)

    def _subscribe(self, socket: Socket, watcher: Watcher, names: list[str], answer: Row) -> None:
        racing = self._faults.hit("subscribe_race", "SUBSCRIBE") is not None
        if not racing:
            socket.send(answer)
        for name in names:
            watcher.names[name] = None
            self._first(socket, name)
        if racing:
            socket.send(answer)

    def _first(self, socket: Socket, name: str) -> None:
        """Tell a new subscriber how things stand, where a stream tells a state."""
        stream = self._stream(name)
        if stream is None or stream.kind in ("aggTrade", "trade") or _is_difference(stream):
            return
        if self._faults.hit("delta_only", name) is None and self._carries(socket, stream):
            for frame in self._frames(stream):
                self._send(socket, name, frame)

    def _carries(self, socket: Socket, stream: Stream) -> bool:
        category = self._watchers[socket].category
        return category in ("", "public" if stream.kind in PUBLIC else "market")

    def _stream(self, name: str) -> Stream | None:
        known = self._streams.get(name)
        if known is None:
            known = self._parsed(name)
            if known is not None:
                self._streams[name] = known
        return known

    def _parsed(self, name: str) -> Stream | None:
        """Read a name; None for one that does not exist, which is acknowledged and stays mute."""
        found = ALL.fullmatch(name)
        if found is not None:
            each_ms = 0 if found["kind"] == "bookTicker" else EACH_SECOND_MS
            return Stream(name, found["kind"], None, each_ms=each_ms)
        found = NAME.fullmatch(name)
        listing = self._market.listings.known(found["wire"].upper()) if found else None
        if found is None or listing is None or not listing.trades:
            return None
        kind = "depth" if found["kind"].startswith("depth") else found["kind"].partition("_")[0]
        each_ms = 0 if kind in ("bookTicker", "depth") else EACH_SECOND_MS
        if kind == "markPrice" and found["pace"] != "1s":
            each_ms = SLOW_MARK_MS
        levels, interval = int(found["levels"] or 0), found["interval"] or ""
        return Stream(name, kind, listing, levels, interval, each_ms)

    # What is said

    def pulse(self) -> None:
        """Refresh the books that are watched, and send what is due."""
        wanted: dict[str, list[Socket]] = {}
        for socket, watcher in self._watchers.items():
            for name in watcher.names:
                wanted.setdefault(name, []).append(socket)
        now = self._market.house.wall() // MS
        changed = {one.symbol for one in self._watched(wanted) if self._market.refresh(one)}
        for name, sockets in wanted.items():
            stream = self._stream(name)
            if stream is None or not self._is_due(stream, changed, now):
                continue
            carried = [socket for socket in sockets if self._carries(socket, stream)]
            for frame in self._frames(stream, changed) if carried else ():
                for socket in carried:
                    self._send(socket, name, frame)

    def _watched(self, names: Iterable[str]) -> Iterable[Listing]:
        """Return the markets whose books are shown; once asked for by REST, a book stays fresh."""
        streams = [stream for name in names if (stream := self._stream(name)) is not None]
        if any(stream.listing is None for stream in streams):
            return self._market.listings.trading
        found = {s.listing.symbol: s.listing for s in streams if s.listing is not None}
        return found.values()

    def _is_due(self, stream: Stream, changed: set[str], now: int) -> bool:
        if not stream.each_ms:
            return bool(changed) if stream.listing is None else stream.listing.symbol in changed
        if now - self._said_at.get(stream.name, 0) < stream.each_ms:
            return False
        self._said_at[stream.name] = now
        return True

    def _send(self, socket: Socket, name: str, frame: bytes) -> None:
        if self._watchers[socket].combined:
            frame = b'{"stream":"' + name.encode() + b'","data":' + frame + b"}"
        socket.send_raw(frame)

    def _frames(self, stream: Stream, changed: set[str] | None = None) -> list[bytes]:
        """Return what a stream says now; ``changed`` limits a stream of all books to those."""
        if stream.listing is not None:
            row = self._row(stream, stream.listing)
            return [] if row is None else [ENCODER.encode(row)]
        rows = [
            self._row(stream, listing)
            for listing in self._market.listings.trading
            if stream.each_ms or changed is None or listing.symbol in changed
        ]
        if stream.each_ms:
            return [ENCODER.encode(rows)]
        return [ENCODER.encode(row) for row in rows]

    def _row(self, stream: Stream, listing: Listing) -> Row | None:
        now = self._market.house.wall() // MS
        match stream.kind:
            case "bookTicker":
                return self._book_ticker(listing, now)
            case "depth":
                return self._depth(stream, listing, now)
            case "aggTrade" | "trade":
                return self._trade(stream, listing, now)
            case "ticker":
                return self._ticker(listing, now)
            case "miniTicker":
                return self._mini_ticker(listing, now)
            case "kline":
                return self._kline(stream, listing, now)
            case _:
                return self._mark_price(listing, now) if self._futures else None

    def _book_ticker(self, listing: Listing, now: int) -> Row:
        best, book = self._market.book_ticker_row(listing), self._market.book(listing)
        row: Row = {
            "u": book.id,
            "s": listing.wire,
            "b": best["bidPrice"],
            "B": best["bidQty"],
            "a": best["askPrice"],
            "A": best["askQty"],
        }
        return {"e": "bookTicker"} | row | {"T": now, "E": now} if self._futures else row

    def _depth(self, stream: Stream, listing: Listing, now: int) -> Row:
        book = self._market.book(listing)
        if stream.levels and not self._futures:
            bids, asks = pairs(book.bids, stream.levels), pairs(book.asks, stream.levels)
            return {"lastUpdateId": book.id, "bids": bids, "asks": asks}
        bids = pairs(book.bids, stream.levels) if stream.levels else pairs(book.changed_bids)
        asks = pairs(book.asks, stream.levels) if stream.levels else pairs(book.changed_asks)
        row: Row = {"e": "depthUpdate", "E": now}
        if self._futures:
            row["T"] = now
        row |= {"s": listing.wire, "U": book.first_id, "u": book.id}
        if self._futures:
            row["pu"] = book.previous_id
        return row | {"b": bids, "a": asks}

    def _trade(self, stream: Stream, listing: Listing, now: int) -> Row | None:
        trade = self._market.trade(listing, now - EACH_SECOND_MS)
        if trade is None:
            return None
        head: Row = {"e": stream.kind, "E": now, "s": listing.wire}
        row = agg_trade(listing, trade)
        if stream.kind == "aggTrade":
            if self._futures:
                del row["M"]
            return head | row
        names = ("p", "q", "T", "m") if self._futures else ("p", "q", "T", "m", "M")
        found = head | {"t": trade.id} | {name: row[name] for name in names}
        return found | {"X": "MARKET"} if self._futures else found

    def _ticker(self, listing: Listing, now: int) -> Row:
        row = self._market.ticker_row(listing)
        short = {
            "p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice",
            "x": "prevClosePrice", "c": "lastPrice", "Q": "lastQty", "b": "bidPrice",
            "B": "bidQty", "a": "askPrice", "A": "askQty", "o": "openPrice", "h": "highPrice",
            "l": "lowPrice", "v": "volume", "q": "quoteVolume", "O": "openTime",
            "C": "closeTime", "F": "firstId", "L": "lastId", "n": "count",
        }  # fmt: skip
        if self._futures:
            for name in "xbBaA":
                del short[name]
        head: Row = {"e": "24hrTicker", "E": now, "s": listing.wire}
        return head | {key: row[name] for key, name in short.items()}

    def _mini_ticker(self, listing: Listing, now: int) -> Row:
        row = self._market.ticker_row(listing)
        short = {"c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice"}
        short |= {"v": "volume", "q": "quoteVolume"}
        head: Row = {"e": "24hrMiniTicker", "E": now, "s": listing.wire}
        return head | {key: row[name] for key, name in short.items()}

    def _kline(self, stream: Stream, listing: Listing, now: int) -> Row | None:
        length = interval_ms(stream.interval)
        row = self._market.kline(listing, now // length * length, length)
        if row is None:
            return None
        at, opened, high, low, close, volume, until, cash, count, bought, spent, _ = row
        candle: Row = {
            "t": at, "T": until, "s": listing.wire, "i": stream.interval, "f": 0, "L": 0,
            "o": opened, "c": close, "h": high, "l": low, "v": volume, "n": count, "x": False,
            "q": cash, "V": bought, "Q": spent, "B": "0",
        }  # fmt: skip
        return {"e": "kline", "E": now, "s": listing.wire, "k": candle}

    def _mark_price(self, listing: Listing, now: int) -> Row:
        house = self._market.house
        mark, rate = house.mark(listing.symbol), house.rate(listing.symbol)
        return {
            "e": "markPriceUpdate",
            "E": now,
            "s": listing.wire,
            "p": fixed(mark.mark * listing.scale),
            "ap": fixed(mark.mark * listing.scale),
            "P": fixed(mark.index * listing.scale),
            "i": fixed(mark.index * listing.scale),
            "r": fixed(rate.rate),
            "T": ms(rate.next_at),
        }


def _are_names(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(name, str) for name in given)


def _is_difference(stream: Stream) -> bool:
    return stream.kind == "depth" and not stream.levels
