"""Who listens to one account's news, and to whom a piece of it goes."""

from collections.abc import Callable, Iterator

from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    OrderReport,
    Position,
    StreamAlive,
    StreamDown,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import MS
from hedge.roles import AccountSink, Clock
from hedge_binance.instruments import Listing

_ALIVE = StreamAlive(kind=StreamKind.ACCOUNT)
State = StreamUp | StreamDown | StreamAlive


class Audience:
    """The sinks of one leg by native symbol; tells of life at most each heartbeat."""

    def __init__(self, clock: Clock, heartbeat_ms: int) -> None:
        self.listings: dict[str, Listing] = {}
        self._sinks: dict[str, list[AccountSink]] = {}
        self._clock = clock
        self._every = heartbeat_ms * MS
        self._told_at = 0
        self._last: State | None = None

    def add(self, listing: Listing, sink: AccountSink) -> None:
        """Take in a listener; it is told at once how the stream stands."""
        self.listings[listing.native] = listing
        self._sinks.setdefault(listing.native, []).append(sink)
        if self._last is not None:
            sink(self._last)

    def tell(self, native: str, news: Fill | OrderReport | Position | FundingPayment) -> None:
        for sink in self._sinks.get(native, ()):
            sink(news)

    def tell_balance(self, make: Callable[[Listing], Balance | None]) -> None:
        """Tell each listener of an asset that its instrument has to do with."""
        for native, listing in self.listings.items():
            found = make(listing)
            if found is not None:
                for sink in self._sinks[native]:
                    sink(found)

    def state(self, news: State) -> None:
        """Tell everybody how the stream is."""
        self._told_at = self._clock.now()
        if not isinstance(news, StreamAlive):
            self._last = news
        for sink in self._all():
            sink(news)

    def unsure(self) -> None:
        """Something came that cannot be read: say up once more, so that the core looks itself."""
        if isinstance(self._last, StreamUp):
            self.state(self._last)

    def heard(self) -> None:
        """Something came: proof of life also for those whose instrument is quiet."""
        now = self._clock.now()
        if now - self._told_at > self._every and isinstance(self._last, StreamUp):
            self._told_at = now
            for sink in self._all():
                sink(_ALIVE)

    def _all(self) -> Iterator[AccountSink]:
        for sinks in self._sinks.values():
            yield from sinks
