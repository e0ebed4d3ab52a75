"""What we may still ask of a venue before it cuts us off, with a part kept for hedges."""

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from hedge.errors import Limited
from hedge.model.numbers import MS, SECOND
from hedge.roles import Clock

SLOTS = 60
"""A window is counted in so many slots: what we remember is bounded, whatever the rate."""


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``capacity`` units in any ``window_ms``; ``reserve`` of them for urgent use only."""

    name: str
    capacity: int
    window_ms: int
    reserve: int = 0


class _Window:
    """The units of one bucket in the window that ends now; never too few."""

    def __init__(self, bucket: Bucket) -> None:
        assert 0 <= bucket.reserve < bucket.capacity, f"{bucket.name}: no room beside the reserve"
        assert bucket.window_ms > 0, f"{bucket.name}: window_ms={bucket.window_ms}"
        self.bucket = bucket
        self.capacity = bucket.capacity
        self.used = 0
        self._window = bucket.window_ms * MS
        self._slot = max(1, self._window // SLOTS)
        self._slots: deque[list[int]] = deque()
        """[when the slot's last unit leaves the window, units], oldest first."""
        self._slot_ends = 0
        """When the newest of them takes no more units."""

    def at(self, now: int) -> None:
        """Forget what has left the window."""
        slots = self._slots
        while slots and slots[0][0] <= now:
            self.used -= slots.popleft()[1]

    def wait_ns(self, units: int, now: int, *, urgent: bool) -> int:
        """Return the ns until ``units`` fit, 0 when they do."""
        assert 0 <= units <= self.bucket.capacity, f"{self.bucket.name}: {units} units never fit"
        self.at(now)
        too_many = self.used + units - self.capacity + (0 if urgent else self.bucket.reserve)
        if too_many <= 0:
            return 0
        for leaves_at, leaving in self._slots:
            too_many -= leaving
            if too_many <= 0:
                return leaves_at - now
        return self._window  # the venue has made the bucket smaller than this one request

    def add(self, units: int, now: int) -> None:
        if now < self._slot_ends and self._slots:
            self._slots[-1][1] += units
        else:
            self._slot_ends = (now // self._slot + 1) * self._slot
            self._slots.append([self._slot_ends + self._window, units])
        self.used += units


class RateBudget:
    """Several buckets that one request draws on together, all or none.

    Nothing here waits inside an order: `try_take` answers at once. A bucket's window slides, so
    that no window of the venue's, however it is aligned, holds more than the capacity.
    """

    def __init__(self, clock: Clock, buckets: Sequence[Bucket]) -> None:
        self._clock = clock
        self._windows = {bucket.name: _Window(bucket) for bucket in buckets}
        assert len(self._windows) == len(buckets), "two buckets of one name"
        self._closed_until = 0
        self._closed_until_urgent = 0

    def try_take(self, costs: Mapping[str, int], *, urgent: bool = False) -> int:
        """Take ``{bucket: units}`` and return 0; or take nothing, and return the ns to wait.

        ``urgent`` is for hedges and cancels: it may use the reserve, and is let through while
        the budget is closed to the others.
        """
        now = self._clock.now()
        windows = self._windows
        wait = (self._closed_until_urgent if urgent else self._closed_until) - now
        for name, units in costs.items():
            wait = max(wait, windows[name].wait_ns(units, now, urgent=urgent))
        if wait > 0:
            return wait
        for name, units in costs.items():
            windows[name].add(units, now)
        return 0

    async def take(self, costs: Mapping[str, int], *, timeout_ms: int) -> None:
        """Wait for room and take it: for cold calls only, never for an order.

        Raise `Limited` (with ``retry_after_s``) when ``timeout_ms`` would not be enough.
        """
        until = self._clock.now() + timeout_ms * MS
        while wait := self.try_take(costs):
            opens = self._clock.now() + wait
            if opens > until:
                names = ", ".join(costs)
                raise Limited(
                    f"the rate budget of {names} is used up", retry_after_s=-(-wait // SECOND)
                )
            await self._clock.sleep_until(opens)

    def observe(
        self,
        name: str,
        *,
        used: int | None = None,
        remaining: int | None = None,
        capacity: int | None = None,
    ) -> None:
        """Learn from a reply's headers: units used in the current window, or left, or the limit.

        What the venue counts beyond our own count (others on the same address or account) is
        added to ours; our own count never shrinks by a header. ``remaining`` is measured against
        ``capacity``, which replaces the configured one only where it is smaller. A capacity of
        zero is no limit of anybody's: with ``remaining`` it is passed over.
        """
        if capacity is not None and capacity < 1:
            capacity = remaining = None
        window = self._windows[name]
        now = self._clock.now()
        window.at(now)
        if capacity is not None:
            window.capacity = min(window.bucket.capacity, capacity)
        if remaining is not None:
            used = (window.capacity if capacity is None else capacity) - remaining
        if used is not None and used > window.used:
            window.add(used - window.used, now)

    def close(self, *, until: int, urgent_too: bool = False) -> None:
        """Take nothing before ``until`` (ns of the clock): Retry-After of a 429.

        ``urgent_too`` for a ban (Binance 418, Bybit 403), where each further request prolongs it.
        """
        self._closed_until = max(self._closed_until, until)
        if urgent_too:
            self._closed_until_urgent = max(self._closed_until_urgent, until)

    def closed_until(self, *, urgent: bool = False) -> int:
        """Return when it opens again, ns of the clock; 0 when it is open."""
        until = self._closed_until_urgent if urgent else self._closed_until
        return until if until > self._clock.now() else 0

    def used(self, name: str) -> int:
        """Return the units counted in the window that ends now."""
        window = self._windows[name]
        window.at(self._clock.now())
        return window.used
