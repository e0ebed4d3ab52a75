"""A clock for these tests: virtual, it jumps to the next timer whenever the loop is idle."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class JumpClock:
    """`hedge.roles.Clock`; with ``virtual`` false it refuses `begin_at`, as a real one does."""

    def __init__(self, start: int = 0, *, virtual: bool = True) -> None:
        self._now = start
        self._virtual = virtual
        self._timers: list[tuple[int, int, Timer]] = []
        self._count = 0

    @property
    def virtual(self) -> bool:
        return self._virtual

    def now(self) -> int:
        return self._now

    def begin_at(self, at: int) -> None:
        assert self._virtual
        assert at >= self._now
        self._now = at

    def call_at(self, at: int, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        self._count += 1
        heapq.heappush(self._timers, (at, self._count, timer))
        return timer

    async def sleep_until(self, at: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call_at(at, lambda: future.done() or future.set_result(None))
        await future

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self._now + int(seconds * 1_000_000_000))

    def jump(self) -> bool:
        while self._timers:
            at, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self._now = max(self._now, at)
                timer.callback()
                return True
        return False

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run to the end in a loop of its own, jumping while nothing is ready."""

        async def drive() -> T:
            loop = asyncio.get_running_loop()
            task = loop.create_task(main)
            while not task.done():
                await asyncio.sleep(0)
                if not task.done() and not loop._ready and not self.jump():
                    raise AssertionError("nothing is left to wait for")
            return task.result()

        return asyncio.run(drive())
