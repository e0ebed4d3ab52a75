"""The host's time: real, hurried, or virtual; the same asyncio code runs on all three."""

import asyncio
import contextvars
import heapq
import selectors
import time
from collections.abc import Callable
from typing import Any

from hedge.model.numbers import SECOND

MAX = 0
"""A factor of zero: never wait, jump from timer to timer."""
LOOK_EACH = 32
"""At `MAX` the real sockets are looked at in each so many steps."""


class _HurriedSelector(selectors.DefaultSelector):
    """A selector that turns waiting into the passing of virtual time."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        if loop.factor != MAX:
            # Only waiting lets time pass: a slow machine falls behind, and times nothing out.
            began_ns = time.monotonic_ns()
            scaled = None if timeout is None else max(0, timeout) / loop.factor
            ready: list[tuple[selectors.SelectorKey, int]] = super().select(scaled)
            if ready or timeout is None:
                loop.ns += (time.monotonic_ns() - began_ns) * loop.factor
            elif timeout > 0:
                loop.jump(timeout)
            return ready
        if timeout is None:
            return super().select(None)
        # Real sockets (the status API) are looked at now and then; never looking would starve
        # them, and looking at each of a million steps would cost more than the steps.
        loop.polls += 1
        ready = super().select(0) if loop.polls % LOOK_EACH == 0 else []
        if not ready and timeout > 0:
            loop.jump(timeout)
        return ready


class _Timer(asyncio.TimerHandle):
    """A timer with its exact time and its place in the order of asking."""

    due_ns = 0
    place = (0, 0)
    """Its time and its number, in one object: a loop compares its timers all the time."""
    _scheduled: bool

    def __lt__(self, other: "_Timer") -> bool:  # type: ignore[override] # no other kind is kept
        return self.place < other.place


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock runs up to ``factor`` times as fast; at `MAX` it jumps.

    Deterministic as long as what runs on it starts no thread: timers fire in the order of their
    times, and of two at one time the one that was asked for first.
    """

    def __init__(self, factor: int = MAX) -> None:
        self.factor = factor
        self.ns = 0
        self.polls = 0
        self.asked = 0
        selector = _HurriedSelector()
        selector.loop = self
        super().__init__(selector)
        # The base class adds this to the time to see what is due; at 2**24 s its nanosecond is lost
        # in the rounding of a double, and nothing would ever be due again.
        self._clock_resolution = 0.000_001

    def time(self) -> float:
        return self.ns / SECOND

    def jump(self, timeout: float) -> None:
        """Move to the first timer, exactly; ``timeout`` is what the loop would have waited."""
        scheduled: list[_Timer] = getattr(self, "_scheduled")  # noqa: B009 - the base class's heap
        first = scheduled[0].due_ns if scheduled else self.ns + round(timeout * SECOND)
        self.ns = max(self.ns + 1, first)

    def call_at(  # type: ignore[override] # typeshed's TypeVarTuple, which adds nothing here
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at_ns(-(-when * SECOND // 1), callback, *args, context=context)

    def call_at_ns(
        self,
        due_ns: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call at an exact time; what is asked first is called first."""
        due = int(due_ns)
        timer = _Timer(due / SECOND, callback, args, self, context)
        timer.due_ns = due
        self.asked += 1
        timer.place = (due, self.asked)
        heapq.heappush(getattr(self, "_scheduled"), timer)  # noqa: B009 - the stubs of typeshed do not know it
        timer._scheduled = True  # noqa: SLF001 - as the base class does
        return timer


class VirtualClock:
    """`hedge.roles.Clock` on a `VirtualLoop`; ``begin_at`` sets what its zero means."""

    virtual = True

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._epoch = 0

    def now(self) -> int:
        return self._epoch + self._loop.ns

    def begin_at(self, at: int) -> None:
        self._epoch = max(self._epoch, at - self._loop.ns)

    def call_at(self, at: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_at_ns(at - self._epoch, callback)

    async def sleep_until(self, at: int) -> None:
        if at <= self.now():
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = self._loop.create_future()
        timer = self.call_at(at, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()


class RealClock:
    """`hedge.roles.Clock` of a live process: wall time once, and the monotonic clock ever after.

    A wall clock that is set back or forward while we run changes nothing (F54).
    """

    virtual = False

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        return self._offset + time.monotonic_ns()

    def begin_at(self, at: int) -> None:
        raise AssertionError(f"only a virtual clock can be told when it begins: {at}")

    def call_at(self, at: int, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(0, at - self.now()) / SECOND, callback)

    async def sleep_until(self, at: int) -> None:
        await asyncio.sleep(max(0, at - self.now()) / SECOND)


def new_loop(*, virtual: bool, factor: int) -> asyncio.AbstractEventLoop:
    """Return the loop to run on: virtual when every role allows it, else uvloop where it is."""
    if virtual:
        return VirtualLoop(factor)
    try:
        import uvloop  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.new_event_loop()
    loop: Any = uvloop.new_event_loop()
    assert isinstance(loop, asyncio.AbstractEventLoop)
    return loop
