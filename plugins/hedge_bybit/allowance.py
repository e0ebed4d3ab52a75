"""What Bybit still lets this address ask by REST, and when it wants to be left alone.

Streams and the order socket have limits of their own: a ban of the address does not touch them.
"""

from collections.abc import Mapping

from hedge.errors import Limited
from hedge.model.numbers import SECOND
from hedge.roles import Clock
from hedge.transport import Bucket, ClockOffset, RateBudget
from hedge_bybit.errors import (
    ADDRESS_LIMITED,
    ADDRESS_LIMITED_FOR_S,
    BANNED_FOR_S,
    HTTP_FORBIDDEN,
    HTTP_LIMITED,
    LIMITED_CODES,
    LIMITED_FOR_S,
    OK,
    wait_s,
)

ADDRESS = "address"
COLD = "cold"
"""Buckets; orders draw on the first alone."""
ADDRESS_REQUESTS = 400
ADDRESS_WINDOW_MS = 5_000
"""Bybit bans an address for ten minutes at 600 in five seconds (docs/v5/rate-limit)."""
COLD_REQUESTS = 40
"""In a second; the account's endpoints take 50 each."""
BANNED = "BANNED"


class Allowance:
    """One for all requests of a session; raises `Limited` instead of asking too much."""

    def __init__(self, clock: Clock, offset: ClockOffset) -> None:
        self._clock = clock
        self._offset = offset
        self._budget = RateBudget(
            clock,
            [
                Bucket(name=ADDRESS, capacity=ADDRESS_REQUESTS, window_ms=ADDRESS_WINDOW_MS),
                Bucket(name=COLD, capacity=COLD_REQUESTS, window_ms=1_000),
            ],
        )

    async def take(self, *, timeout_ms: int) -> None:
        """Wait for room for a request that is not urgent."""
        self._check_open()
        await self._budget.take({ADDRESS: 1, COLD: 1}, timeout_ms=timeout_ms)

    def take_order(self) -> None:
        """Count an order or a cancel, which never waits; in a ban it would prolong it."""
        self._check_open()
        self._budget.try_take({ADDRESS: 1}, urgent=True)

    def _check_open(self) -> None:
        until = self._budget.closed_until(urgent=True)
        if until:
            after_s = max(-(-(until - self._clock.now()) // SECOND), 1)
            raise Limited(
                f"bybit: this address is over its limit: nothing is asked for {after_s} s",
                code=BANNED,
                retry_after_s=after_s,
            )

    def heard(self, headers: Mapping[str, str], *, status: int = 0, code: int = OK) -> int:
        """Ask nothing before a limit is over that an answer tells of; return the s, 0 for none.

        While the address is over its own limit (403, 10018) not even an order is sent by REST.
        """
        asked_s = wait_s(headers, self._offset.now_ms())
        if status == HTTP_FORBIDDEN:
            return self._close(asked_s or BANNED_FOR_S, urgent_too=True)
        if code == ADDRESS_LIMITED:
            return self._close(max(asked_s, ADDRESS_LIMITED_FOR_S), urgent_too=True)
        if status == HTTP_LIMITED:
            return self._close(max(asked_s, LIMITED_FOR_S))
        if code not in LIMITED_CODES:
            return 0
        # Of one endpoint: where the venue does not say for how long, the others may be asked.
        return self._close(asked_s) if asked_s else LIMITED_FOR_S

    def _close(self, seconds: int, *, urgent_too: bool = False) -> int:
        until = self._clock.now() + seconds * SECOND
        self._budget.close(until=until, urgent_too=urgent_too)
        return seconds
