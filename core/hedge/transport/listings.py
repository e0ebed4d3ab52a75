"""A venue's instruments by symbol: one place that reads, remembers and misses them."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, Protocol, TypeVar

from hedge.errors import Missing
from hedge.model import Instrument


class Listed(Protocol):
    """An instrument together with what its venue calls it."""

    @property
    def instrument(self) -> Instrument: ...


T = TypeVar("T", bound=Listed)


class Listings(Generic[T]):
    """What was read last; ``read`` returns all that the venue lists now."""

    def __init__(self, venue: str, read: Callable[[], Awaitable[Iterable[T]]]) -> None:
        self._venue = venue
        self._read = read
        self._known: dict[str, T] = {}

    async def all(self) -> tuple[T, ...]:
        """Return all, read anew."""
        self._known = {one.instrument.symbol: one for one in await self._read()}
        return tuple(self._known.values())

    async def get(self, symbol: str) -> T:
        """Return one as last read; raise `Missing` where a new reading does not list it either."""
        if symbol not in self._known:
            await self.all()
        if symbol not in self._known:
            raise Missing(f"{self._venue} has no {symbol}")
        return self._known[symbol]
