"""The venue's two streams: who listens, whether anything gets through, and in which order."""

from collections import deque
from collections.abc import Callable
from typing import Any

from hedge.model import Fill, Leg, StreamAlive, StreamDown, StreamKind, StreamUp
from hedge.roles import Clock
from hedge_sim.config import Disconnect
from hedge_sim.faults import FaultPlan

Sink = Callable[[Any], None]
REPLAYED = 5
"""So many fills are told again by a snapshot replay."""


class Stream:
    """One stream with its sinks by leg and symbol."""

    def __init__(self, kind: StreamKind, clock: Clock, plan: FaultPlan, shift: int) -> None:
        self.kind = kind
        self.live = True
        self.on_up: Callable[[], None] = lambda: None
        self._sinks: dict[tuple[Leg, str], list[Sink]] = {}
        self._clock = clock
        self._plan = plan
        self._shift = shift
        self._alive = StreamAlive(kind=kind)
        self._said_up = True
        self._last = 0
        self._queue: deque[tuple[Leg, str, object]] = deque()
        self._session = 0

    def add(self, leg: Leg, symbol: str, sink: Sink) -> None:
        self._sinks.setdefault((leg, symbol), []).append(sink)
        if self._said_up:
            sink(StreamUp(kind=self.kind))

    def has(self, leg: Leg, symbol: str) -> bool:
        return (leg, symbol) in self._sinks

    def listened(self) -> list[tuple[Leg, str]]:
        return list(self._sinks)

    def push(self, leg: Leg, symbol: str, news: object) -> None:
        """Deliver at once, if the stream lives."""
        if self.live:
            for sink in self._sinks.get((leg, symbol), ()):
                sink(news)

    def post(self, leg: Leg, symbol: str, news: object, after: int) -> None:
        """Deliver through the seeded network, ``after`` ns and a latency from now."""
        if not self.live or (leg, symbol) not in self._sinks:
            return
        now = self._clock.now()
        session = self._session

        def deliver() -> None:
            if self._session == session:
                self.push(leg, symbol, news)

        def deliver_next() -> None:
            # Timers a nanosecond apart may fire in either order; the queue does not.
            if self._session == session:
                self.push(*self._queue.popleft())

        for delay, ordered in self._plan.deliveries(now - self._shift):
            at = max(now + after + delay, now + 1)
            if ordered:
                at = self._last = max(self._last + 1, at)
                self._queue.append((leg, symbol, news))
            self._clock.call_at(at, deliver_next if ordered else deliver)

    def alive(self) -> None:
        if self.live:
            for sinks in self._sinks.values():
                for sink in sinks:
                    sink(self._alive)

    def tell_all(self, news: object) -> None:
        """Deliver whatever the state: the client's own knowledge of its connection."""
        for sinks in self._sinks.values():
            for sink in sinks:
                sink(news)

    def disconnect(self, event: Disconnect, now: int) -> int:
        """Go down; return when to call `reconnect`."""
        self.live = False
        self._session += 1
        self._queue.clear()
        if not event.silent and self._said_up:
            self._said_up = False
            self.tell_all(StreamDown(kind=self.kind, why="DISCONNECTED"))
        return now + max(event.down_ms, 1) * 1_000_000

    def reconnect(self, now: int) -> int | None:
        """Come up again; return when to try anew if the subscription failed."""
        if self._said_up:
            self.tell_all(StreamDown(kind=self.kind, why="SILENT"))
        self._said_up = True
        self.tell_all(StreamUp(kind=self.kind))
        if self._plan.hit("resubscribe_failure", now - self._shift):
            return now + max(self._plan.faults.resubscribe_retry_ms, 1) * 1_000_000
        self.live = True
        self.on_up()
        return None

    def replay(self, fills: list[Fill]) -> None:
        for fill in fills[-REPLAYED:]:
            self.push(fill.leg, fill.symbol, fill)
