"""What was told already: streams repeat themselves, and each fill and payment counts once."""

from collections import OrderedDict
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
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    def new(self, found: Iterable[T]) -> list[T]:
        """Return those that were not seen before, and remember them."""
        fresh = []
        for one in found:
            if one.key not in self._seen:
                self._seen[one.key] = None
                fresh.append(one)
        while len(self._seen) > self._kept:
            self._seen.popitem(last=False)
        return fresh
