"""A time limit on the host's clock: what `asyncio.timeout` is on the loop's own."""

import asyncio
from types import TracebackType
from typing import Self

from hedge.model.numbers import MS
from hedge.roles import Clock, TimerHandle


class Within:
    """``async with Within(clock, timeout_ms)``: `TimeoutError` where the block takes longer."""

    _task: asyncio.Task[object]
    _timer: TimerHandle
    _cancelling: int

    def __init__(self, clock: Clock, timeout_ms: int) -> None:
        self._clock = clock
        self._timeout_ms = timeout_ms
        self._expired = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = self._clock.call_at(self._clock.now() + self._timeout_ms * MS, self._expire)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        # Only our own cancellation is a timeout; one from outside goes on as what it is.
        ours = self._expired and self._task.uncancel() <= self._cancelling
        if ours and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
