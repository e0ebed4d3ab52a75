"""The public sockets ``/v5/public/spot`` and ``/v5/public/linear``: books, tickers, trades.

A book or a linear ticker begins with a snapshot and goes on with what changed; a spot ticker is a
snapshot each time; the best level is said again after three silent seconds (docs/v5/websocket/
public/orderbook). While the market shows no quotes the topics are silent, as in an outage.
"""

import asyncio
import itertools
from typing import Final, Protocol

from hedge.model import Fill
from hedge.model.numbers import MS, SECOND
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT, Rejection
from hedge_sim.dialects.bybit_listing import Listing
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_shapes import Row
from hedge_sim.dialects.bybit_tape import Trade, print_row
from hedge_sim.dialects.bybit_ws import INVALID_OP, SUBSCRIBED_AFTER_S, Line, answer, args_of
from hedge_sim.dialects.faults import Faults

DEPTHS: Final = {SPOT: (1, 50, 200, 1000), LINEAR: (1, 50, 200, 500, 1000)}
SPOT_ARGS_MAX: Final = 10
"""Topics in one subscription request on spot (docs/v5/ws/connect)."""
SAID_AGAIN_AFTER: Final = 3 * SECOND
Side = dict[str, str]
Levels = list[tuple[str, str]]


class Feed(Protocol):
    """One topic of one connection."""

    def frame(self, now: int) -> Row | None:
        """Return what is new since the last frame, None when nothing is."""
        ...


class BookFeed:
    """``orderbook.{depth}.{symbol}``."""

    def __init__(self, markets: Markets, listing: Listing, topic: str, depth: int) -> None:
        self._markets = markets
        self._listing = listing
        self._topic = topic
        self._depth = depth
        self._last: tuple[Side, Side] | None = None
        self._said_at = 0
        self._updates = itertools.count(1)

    def frame(self, now: int) -> Row | None:
        if self._markets.house.quote(self._listing.model_symbol) is None:
            return None
        bids, asks = (
            dict(self._markets.book(self._listing, self._depth, asks=side))
            for side in (False, True)
        )
        last, self._last = self._last, (bids, asks)
        stale = self._depth == 1 and now - self._said_at >= SAID_AGAIN_AFTER
        if last is None or stale:
            return self._make("snapshot", list(bids.items()), list(asks.items()), now)
        changed = _changes(last[0], bids), _changes(last[1], asks)
        return self._make("delta", *changed, now) if any(changed) else None

    def _make(self, kind: str, bids: Levels, asks: Levels, now: int) -> Row:
        self._said_at = now
        data = {
            "s": self._listing.symbol,
            "b": bids,
            "a": asks,
            "u": next(self._updates),
            "seq": now // 1_000,
        }
        stamp = now // MS
        return {"topic": self._topic, "type": kind, "ts": stamp, "data": data, "cts": stamp}


def _changes(before: Side, after: Side) -> Levels:
    gone = [(price, "0") for price in before if price not in after]
    return gone + [(price, size) for price, size in after.items() if before.get(price) != size]


class TickerFeed:
    """``tickers.{symbol}``; a linear one tells changes only, and with a fault nothing else."""

    def __init__(self, markets: Markets, listing: Listing, topic: str, *, delta_only: bool) -> None:
        self._markets = markets
        self._listing = listing
        self._topic = topic
        self._last: Row | None = None
        self._delta_only = delta_only

    def frame(self, now: int) -> Row | None:
        if self._markets.house.quote(self._listing.model_symbol) is None:
            return None
        row = self._markets.ticker(self._listing)
        before, self._last = self._last, row
        if before is None:
            if self._delta_only:
                return None
            return self._make("snapshot", row, now)
        changed = {name: value for name, value in row.items() if before.get(name) != value}
        if not changed:
            return None
        if self._listing.category == SPOT:
            return self._make("snapshot", row, now)
        return self._make("delta", {"symbol": self._listing.symbol} | changed, now)

    def _make(self, kind: str, row: Row, now: int) -> Row:
        data = dict(row)
        if self._listing.category == LINEAR and kind == "snapshot":
            data["tickDirection"] = "ZeroPlusTick"
        if self._listing.category == SPOT:
            for name in ("bid1Price", "bid1Size", "ask1Price", "ask1Size"):
                data.pop(name, None)
        return {
            "topic": self._topic,
            "type": kind,
            "data": data,
            "cs": now // 1_000,
            "ts": now // MS,
        }


class TradeFeed:
    """``publicTrade.{symbol}``; told by the hub."""

    def __init__(self, listing: Listing, topic: str) -> None:
        self.listing = listing
        self.topic = topic

    def frame(self, now: int) -> Row | None:
        del now
        return None

    def told(self, trade: Trade, now: int) -> Row:
        return {
            "topic": self.topic,
            "type": "snapshot",
            "ts": now // MS,
            "data": [print_row(self.listing, trade)],
        }


class PublicSession:
    """One connection to one category."""

    def __init__(self, line: Line, markets: Markets, faults: Faults, category: str) -> None:
        self.line = line
        self.category = category
        self._markets = markets
        self._faults = faults
        self._feeds: dict[str, Feed] = {}

    def heard(self, message: Row) -> None:
        now = self._markets.house.wall()
        match message.get("op"):
            case "ping":
                pong = answer(self.line, message, "ping", success=True, words="pong")
                self.line.send(pong, now)
            case "subscribe":
                self._subscribe(message, now)
            case "unsubscribe":
                for topic in args_of(message):
                    self._feeds.pop(str(topic), None)
                self.line.send(answer(self.line, message, "unsubscribe", success=True), now)
            case _:
                self.line.send(answer(self.line, message, "", success=False, words=INVALID_OP), now)

    def _subscribe(self, message: Row, now: int) -> None:
        topics = [str(arg) for arg in args_of(message)]
        try:
            feeds = self._feeds_of(topics)
        except Rejection as rejection:
            words = str(rejection)
            refusal = answer(self.line, message, "subscribe", success=False, words=words)
            self.line.send(refusal, now)
            return
        words = "subscribe" if self.category == SPOT else ""
        ack = answer(self.line, message, "subscribe", success=True, words=words)
        loop = asyncio.get_running_loop()
        loop.call_later(SUBSCRIBED_AFTER_S, self._begin, feeds, ack)

    def _begin(self, feeds: dict[str, Feed], ack: Row) -> None:
        """Acknowledge a subscription and send what it begins with."""
        now = self._markets.house.wall()
        first = [one for one in (feed.frame(now) for feed in feeds.values()) if one is not None]
        races = self._faults.hit("subscribe_race", "subscribe") is not None
        for frame in (*first, ack) if races else (ack, *first):
            self.line.send(frame, now)
        self._feeds |= feeds

    def _feeds_of(self, topics: list[str]) -> dict[str, Feed]:
        if self.category == SPOT and len(topics) > SPOT_ARGS_MAX:
            raise Rejection(10001, f"args size >{SPOT_ARGS_MAX}")
        return {topic: self._feed(topic) for topic in topics}

    def _feed(self, topic: str) -> Feed:
        kind, _, rest = topic.partition(".")
        if topic in self._feeds:
            raise Rejection(10001, f"error:already subscribed,topic:{topic}")
        delta_only = self._faults.hit("delta_only", topic) is not None
        if kind == "tickers":
            return TickerFeed(self._markets, self._listing(rest), topic, delta_only=delta_only)
        if kind == "publicTrade":
            return TradeFeed(self._listing(rest), topic)
        word, _, symbol = rest.partition(".")
        depth = int(word) if word.isdigit() else 0
        if kind != "orderbook" or depth not in DEPTHS.get(self.category, ()):
            raise Rejection(10001, f"error:handler not found,topic:{topic}")
        return BookFeed(self._markets, self._listing(symbol), topic, depth)

    def _listing(self, symbol: str) -> Listing:
        try:
            return self._markets.listing(self.category, symbol)
        except Rejection:
            raise Rejection(10001, f"Invalid symbol :[{symbol}]") from None

    def pulse(self) -> None:
        now = self._markets.house.wall()
        for feed in self._feeds.values():
            frame = feed.frame(now)
            if frame is not None:
                self.line.send(frame, now)

    def told(self, listing: Listing, trade: Trade, now: int) -> None:
        feed = self._feeds.get(f"publicTrade.{listing.symbol}")
        if listing.category == self.category and isinstance(feed, TradeFeed):
            self.line.send(feed.told(trade, now), now)


class PublicHub:
    """All public connections; looks at each market once a pulse and tells them its trades."""

    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self.sessions: set[PublicSession] = set()

    def pulse(self) -> None:
        for category in (SPOT, LINEAR):
            for listing in self._markets.traded(category):
                trade = self._markets.tapes.look(listing)
                if trade is not None:
                    self._tell(listing, trade)
        for session in list(self.sessions):
            session.pulse()

    def own(self, fill: Fill) -> None:
        """Put a fill of the account on the tape."""
        listing = self._markets.by_model(fill.symbol)
        self._tell(listing, self._markets.tapes.own(listing, fill))

    def _tell(self, listing: Listing, trade: Trade) -> None:
        now = self._markets.house.wall()
        for session in list(self.sessions):
            session.told(listing, trade, now)
