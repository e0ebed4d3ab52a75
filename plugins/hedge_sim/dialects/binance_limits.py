"""Binance's own rate limits: request weight per IP and orders per account, with their headers.

The numbers are mainnet's as exchangeInfo states them (recorded 2025-08): spot 6000 weight per
minute and 100 orders per 10 s, USD-M 2400 weight per minute and 300 orders per 10 s.
"""

import msgspec

from hedge_sim.dialects import binance_errors as says

MINUTE_MS = 60_000
DAY_MS = 86_400_000
STRIKES_MAX = 10
"""So many requests after a 429 are a ban."""
BAN_S = 120


class Limit(msgspec.Struct, frozen=True):
    """One row of exchangeInfo's ``rateLimits``."""

    kind: str
    interval: str
    number: int
    limit: int

    @property
    def length_ms(self) -> int:
        unit = {"SECOND": 1_000, "MINUTE": MINUTE_MS, "DAY": DAY_MS}[self.interval]
        return unit * self.number

    @property
    def short(self) -> str:
        return f"{self.number}{self.interval[0]}"

    def row(self) -> dict[str, object]:
        return {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }


WEIGHT, ORDERS = "REQUEST_WEIGHT", "ORDERS"
SPOT_LIMITS = (
    Limit(WEIGHT, "MINUTE", 1, 6_000),
    Limit(ORDERS, "SECOND", 10, 100),
    Limit(ORDERS, "DAY", 1, 200_000),
    Limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
)
USDM_LIMITS = (
    Limit(WEIGHT, "MINUTE", 1, 2_400),
    Limit(ORDERS, "MINUTE", 1, 1_200),
    Limit(ORDERS, "SECOND", 10, 300),
)


class Meter:
    """Counts in fixed windows; ``factor`` widens every limit, 0 lifts them all."""

    def __init__(self, limits: tuple[Limit, ...], factor: int) -> None:
        self.limits = tuple(
            msgspec.structs.replace(limit, limit=limit.limit * max(factor, 1)) for limit in limits
        )
        self._lifted = factor == 0
        self._counts: dict[Limit, tuple[int, int]] = {}
        self._strikes = 0
        self._banned_until = 0

    def spend(self, weight: int, orders: int, now_ms: int) -> None:
        """Count one request; raise -1003 or -1015 where it is too much."""
        if now_ms < self._banned_until:
            left_s = -(-(self._banned_until - now_ms) // 1_000)
            raise says.banned(left_s, self._banned_until)
        for limit in self.limits:
            cost = {WEIGHT: weight, ORDERS: orders}.get(limit.kind, 1)
            if not cost:
                continue
            number, used = self._window(limit, now_ms)
            if used + cost > limit.limit and not self._lifted:
                self._refuse(limit, number, now_ms)
            self._counts[limit] = (number, used + cost)

    def _window(self, limit: Limit, now_ms: int) -> tuple[int, int]:
        number = now_ms // limit.length_ms
        known, used = self._counts.get(limit, (number, 0))
        return number, used if known == number else 0

    def _refuse(self, limit: Limit, number: int, now_ms: int) -> None:
        if limit.kind == ORDERS:
            raise says.too_many_orders()
        self._strikes += 1
        if self._strikes > STRIKES_MAX:
            self._strikes = 0
            self._banned_until = now_ms + BAN_S * 1_000
            raise says.banned(BAN_S, self._banned_until)
        left_ms = (number + 1) * limit.length_ms - now_ms
        raise says.limited(-(-left_ms // 1_000))

    def headers(self, now_ms: int) -> dict[str, str]:
        """Return what every REST answer carries."""
        found = {}
        for limit in self.limits:
            used = str(self._window(limit, now_ms)[1])
            if limit.kind == WEIGHT:
                found["X-MBX-USED-WEIGHT"] = found[f"X-MBX-USED-WEIGHT-{limit.short}"] = used
            elif limit.kind == ORDERS:
                found[f"X-MBX-ORDER-COUNT-{limit.short}"] = used
        return found

    def rows(self, now_ms: int, kind: str = "") -> list[dict[str, object]]:
        """Return what every WebSocket answer carries: the limits with their counts."""
        return [
            limit.row() | {"count": self._window(limit, now_ms)[1]}
            for limit in self.limits
            if limit.kind in ((kind,) if kind else (WEIGHT, ORDERS))
        ]
