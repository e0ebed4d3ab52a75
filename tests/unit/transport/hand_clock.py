"""A clock that moves only when a test moves it, and waiting for a condition of real sockets."""

import asyncio
import gc
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import Any

MS = 1_000_000
WAIT_MAX_S = 10
RUN_MAX_S = 30
START = 1_700_000_000_000 * MS


class Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class HandClock:
    """`hedge.roles.Clock`; `advance` fires what falls due, in order."""

    virtual = False

    def __init__(self, start: int = START) -> None:
        self._now = start
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()

    def now(self) -> int:
        return self._now

    def begin_at(self, at: int) -> None:
        raise AssertionError(at)

    def call_at(self, at: int, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        heapq.heappush(self._timers, (at, next(self._order), timer))
        return timer

    async def sleep_until(self, at: int) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_at(at, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    @property
    def due(self) -> list[int]:
        """Return in how many ms each timer falls due, soonest first."""
        return sorted((at - self._now) // MS for at, _, t in self._timers if t.callback)

    def advance(self, ms: float) -> None:
        until = self._now + int(ms * MS)
        while self._timers and self._timers[0][0] <= until:
            at, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self._now = max(self._now, at)
                timer.callback()
        self._now = until


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Let the loop run until ``condition`` holds."""
    give_up = time.monotonic() + WAIT_MAX_S
    while not condition():
        if time.monotonic() > give_up:
            raise AssertionError(f"never happened: {what or condition}")
        await asyncio.sleep(0)


async def turns(count: int = 200) -> None:
    """Let the loop run a while: for what must not happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until_after(clock: HandClock, condition: Callable[[], object], ms: int = 50) -> None:
    """Move the clock on, a little at a time, until ``condition`` holds."""
    give_up = time.monotonic() + WAIT_MAX_S
    while not condition():
        if time.monotonic() > give_up:
            raise AssertionError(f"never happened: {condition}; timers due in {clock.due} ms")
        await turns(20)
        if not condition():
            clock.advance(ms)


def run(main: Coroutine[Any, Any, None], complaints: list[str] | None = None) -> None:
    """Run a test to its end; nothing may be left running, and the loop may not have complained."""
    said: list[str] = [] if complaints is None else complaints

    async def bounded() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _, context: said.append(str(context.get("exception") or context["message"]))
        )
        await asyncio.wait_for(main, RUN_MAX_S)
        await turns(5)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left

    asyncio.run(bounded())
    gc.collect()
    assert complaints is not None or not said, said
