"""The kit's clock: real time, which a testbed without a server of its own may push ahead."""

import asyncio
import time
from collections.abc import Callable

from hedge.model.numbers import SECOND


class _Timer:
    """One call to come; `TimerHandle`."""

    def __init__(self, clock: "KitClock", at: int, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._at = at
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self.arm()

    def arm(self) -> None:
        """Wait for what is left; again after the clock was pushed."""
        if self._handle is not None:
            self._handle.cancel()
        left = max(0, self._at - self._clock.now()) / SECOND
        self._handle = asyncio.get_running_loop().call_later(left, self._fire)

    def _fire(self) -> None:
        self._clock.timers.discard(self)
        self._callback()

    def cancel(self) -> None:
        self._clock.timers.discard(self)
        if self._handle is not None:
            self._handle.cancel()


class KitClock:
    """`hedge.roles.Clock` for one card."""

    virtual = False

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()
        self.timers: set[_Timer] = set()

    def now(self) -> int:
        return self._offset + time.monotonic_ns()

    def begin_at(self, at: int) -> None:
        raise AssertionError(f"only a virtual clock can be told when it begins: {at}")

    def call_at(self, at: int, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(self, at, callback)
        self.timers.add(timer)
        return timer

    async def sleep_until(self, at: int) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_at(at, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    def push(self, by: int) -> None:
        """Move ``by`` ns ahead; what has become due is called from the loop."""
        self._offset += by
        for timer in tuple(self.timers):
            timer.arm()
