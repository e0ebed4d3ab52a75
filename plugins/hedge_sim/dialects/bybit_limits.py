"""Requests a second: one rolling window for each endpoint and category, told in every reply.

Rates: docs/v5/rate-limit, the default level (create, amend and cancel 20/s on spot and 10/s on
linear; reads of orders, fills, positions and balances 50/s). Beyond the rate the answer is 10006
with the moment at which a place is free again.
"""

from collections import deque
from decimal import Decimal
from typing import Final

import msgspec

from hedge_sim.dialects.bybit_errors import SPOT

WINDOW_MS: Final = 1_000
ORDERS: Final = ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch")
_SPOT_ORDERS = 20
_LINEAR_ORDERS = 10
_RATES: Final = {
    "cancel-all": 10,
    "/v5/position/set-leverage": 10,
    "/v5/position/switch-mode": 10,
    "/v5/account/fee-rate": 10,
    "/v5/account/transaction-log": 30,
    "/v5/user/query-api": 10,
    "/v5/asset/coin/query-info": 5,
}
_READS = 50
LIFTED: Final = 1_000_000


class Standing(msgspec.Struct, frozen=True):
    """What the headers say: the limit, what is left of it, and when a place is free (ms)."""

    limit: int
    left: int
    reset_at: int
    is_over: bool = False

    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_at),
        }


def rate_of(name: str, category: str) -> int:
    """Return requests a second for an order operation or a path."""
    if name in ORDERS:
        return _SPOT_ORDERS if category == SPOT else _LINEAR_ORDERS
    return _RATES.get(name, _READS)


class Limits:
    """The windows of one account; ``factor`` multiplies every rate, 0 lifts them all."""

    def __init__(self, factor: int = 1) -> None:
        self.scale = Decimal(factor or LIFTED)
        self._windows: dict[tuple[str, bool], deque[int]] = {}

    def take(self, name: str, category: str, now: int, count: int = 1) -> Standing:
        """Take ``count`` places at ``now`` (ms); one that is over takes none."""
        limit = max(int(rate_of(name, category) * self.scale), 1)
        count = min(count, limit)
        window = self._windows.setdefault((name, category == SPOT), deque())
        while window and window[0] <= now - WINDOW_MS:
            window.popleft()
        if len(window) + count > limit:
            free_at = window[len(window) + count - limit - 1] + WINDOW_MS
            return Standing(limit, 0, max(free_at, now + 1), is_over=True)
        window.extend([now] * count)
        return Standing(limit, limit - len(window), now)
