"""What meets a request before and after it is performed: limits, rights, and the wire's faults."""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from hedge.model import Leg
from hedge_sim.dialects.bybit_errors import (
    Rejection,
    internal_error,
    no_permission,
    outside_window,
)
from hedge_sim.dialects.bybit_limits import Limits, Standing
from hedge_sim.dialects.bybit_listing import LEGS
from hedge_sim.dialects.bybit_shapes import Row
from hedge_sim.dialects.faults import Faults
from hedge_sim.dialects.house import House
from hedge_sim.dialects.server import Keys

IP_REQUESTS_MAX: Final = 600
IP_WINDOW_MS: Final = 5_000
IP_BAN_MS: Final = 600_000
"""600 requests in 5 s of one address, then 403 for ten minutes (docs/v5/rate-limit)."""
PART: Final = Decimal("0.5")
"""What an order gets that is then rejected."""


class Answer(msgspec.Struct, kw_only=True):
    """What goes back for one request, and how."""

    result: Row | None = None
    rejection: Rejection | None = None
    retExtInfo: Row = {}  # noqa: N815 - as the wire calls it
    delay_ms: int = 0
    is_cut: bool = False
    """The connection is reset instead of answering."""
    is_nameless: bool = False
    """The answer does not say which request it is of."""


Perform = Callable[[Decimal | None], Answer]
"""Performs an order operation; the number cuts what a taking order gets."""


class Gate:
    """Limits and faults of one server."""

    def __init__(self, house: House, faults: Faults, keys: Keys, limits: Limits) -> None:
        self._house = house
        self._faults = faults
        self._keys = keys
        self.limits = limits
        self._recent: deque[int] = deque()
        self._banned_until = 0

    def now_ms(self) -> int:
        """Return the venue's clock, which a fault may have set wrong."""
        offset = self._faults.on("clock_offset")
        return self._house.wall() // 1_000_000 + (offset.duration_ms if offset else 0)

    def check_address(self, operation: str) -> None:
        """Count a request of this address; raise HTTP 403 while it is banned."""
        now = self._house.wall() // 1_000_000
        fault = self._faults.hit("ban", operation)
        if fault is not None:
            self._banned_until = now + fault.duration_ms
        window = self._recent
        window.append(now)
        while window[0] <= now - IP_WINDOW_MS:
            window.popleft()
        if len(window) > IP_REQUESTS_MAX * self.limits.scale:
            self._banned_until = max(self._banned_until, now + IP_BAN_MS)
        if now < self._banned_until:
            left_s = -(-(self._banned_until - now) // 1_000)
            raise Rejection(10018, "403, access too frequent", status=403, retry_after_s=left_s)

    def check_time(self, operation: str, signed: int, window: int) -> None:
        """Raise 10002 where the fault wants it."""
        if self._faults.hit("bad_timestamp", operation):
            raise outside_window(signed, self.now_ms(), window)

    def check_rights(self, category: str) -> None:
        """Raise 10005 where the key may not trade the category (not spot: a contract)."""
        if not self._keys.may_trade(LEGS.get(category, Leg.FUTURES)):
            raise no_permission()

    def standing(self, name: str, category: str, operation: str, count: int = 1) -> Standing:
        """Take places in a window of the limits; what is over says so."""
        now = self.now_ms()
        fault = self._faults.hit("rate_limit", operation)
        if fault is not None:
            taken = self.limits.take(name, category, now, 0)
            return Standing(taken.limit, 0, now + fault.duration_ms, is_over=True)
        return self.limits.take(name, category, now, count)

    def is_busy(self, operation: str) -> bool:
        """Return True where a read is answered with 502."""
        return self._faults.hit("busy_server", operation) is not None

    def order(self, operation: str, perform: Perform, *, nameless: bool = False) -> Answer:
        """Perform an order operation through the faults that may meet it."""
        hit = self._faults.hit
        if hit("drop_before", operation):
            return Answer(is_cut=True)
        if hit("unknown_refused", operation):
            return Answer(rejection=internal_error())
        if nameless and hit("null_error", operation):
            return Answer(rejection=internal_error(), is_nameless=True)
        late = hit("late_error", operation)
        if late is not None:
            return Answer(rejection=internal_error(), delay_ms=late.duration_ms)
        creates = "create" in operation
        share = PART if creates and hit("partial_then_reject", operation) else None
        try:
            answer = perform(share)
        except Rejection as rejection:
            return Answer(rejection=rejection)
        if hit("drop_in_flight", operation):
            return Answer(is_cut=True)
        if hit("unknown_performed", operation):
            return Answer(rejection=internal_error())
        late = hit("late_answer", operation)
        if late is not None:
            answer.delay_ms = late.duration_ms
        if hit("event_first", operation):
            self._house.flush()
        return answer
