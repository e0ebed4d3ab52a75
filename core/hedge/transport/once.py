"""What was told already: streams repeat themselves, and a fill counts once."""

from collections.abc import Hashable, Iterable
from typing import Protocol, TypeVar

KEPT = 8_192


class Keyed(Protocol):
    @property
    def key(self) -> Hashable: ...


T = TypeVar("T", bound=Keyed)


class Once:
    """Remembers the last ``kept`` keys."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._seen: dict[Hashable, None] = {}

    def new(self, found: Iterable[T]) -> list[T]:
        """Return those that were not seen before, and remember them."""
        fresh = []
        for one in found:
            if one.key not in self._seen:
                self._seen[one.key] = None
                fresh.append(one)
        while len(self._seen) > self._kept:
            del self._seen[next(iter(self._seen))]
        return fresh
