"""Tasks whose first step is done at once: an order leaves before anything else is looked at."""

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from typing import Any

Work = Coroutine[Any, Any, Any]


class _Rest:
    """What is left of ``work`` after its first step: a wait, or the end it has come to already."""

    __slots__ = ("_end", "_waits_for", "_work", "cancelled")

    def __init__(self, work: Work) -> None:
        self._work = work
        self._waits_for: Any = None
        self._end: BaseException | None = None
        self.cancelled: BaseException | None = None
        """What to throw where it waits, instead of an answer."""
        try:
            self._waits_for = work.send(None)
        except BaseException as end:  # noqa: BLE001 - told to who awaits it
            self._end = end

    def __await__(self) -> Generator[Any, Any, Any]:
        work, waits_for = self._work, self._waits_for
        try:
            if self._end is not None:
                raise self._end
            if self.cancelled is not None:
                waits_for = work.throw(self.cancelled)
            while True:
                try:
                    got = yield waits_for
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - a cancellation is the work's to take
                    waits_for = work.throw(error)
                else:
                    waits_for = work.send(got)
        except StopIteration as end:
            return end.value
        finally:
            work.close()


class AtOnce:
    """Begins coroutines as tasks that have run up to their first wait already.

    What `asyncio.eager_task_factory` is from Python 3.12 on, but for the task, which stands ready:
    to make one takes as long as a tenth of the way from a fill to its hedge.
    """

    def __init__(self) -> None:
        """Make the first task ready; to be called where a loop runs."""
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._make_ready()

    def _make_ready(self) -> None:
        self._given: asyncio.Future[_Rest] = self._loop.create_future()
        self._context = contextvars.copy_context()
        self._ready: asyncio.Task[Any] | None = self._loop.create_task(
            _carry(self._given), context=self._context
        )

    def begin(self, work: Work) -> "asyncio.Task[Any]":
        """Run ``work`` up to its first wait, and return the task that runs the rest.

        What it comes to before that, an error too, is the task's. Inside another task this is
        `create_task`: two cannot run at once.
        """
        loop = self._loop
        if asyncio.current_task(loop) is not None:
            return loop.create_task(work)
        if self._ready is None:
            self._make_ready()
        task, given = self._ready, self._given
        assert task is not None
        self._ready = None
        asyncio._enter_task(loop, task)  # noqa: SLF001 - documented for what runs tasks itself
        try:
            # The first step, too, belongs to the task: what it sets (a variable, a context of
            # decimals) is unset by a later one, and is nobody else's meanwhile.
            rest = self._context.run(_Rest, work)
        finally:
            asyncio._leave_task(loop, task)  # noqa: SLF001 - as its counterpart above
        given.set_result(rest)
        loop.call_soon(self._refill)
        return task

    def _refill(self) -> None:
        if self._ready is None and not self._closed:
            self._make_ready()

    def close(self) -> None:
        """Give up the task that stands ready; those that were begun are their owner's."""
        self._closed = True
        if self._ready is not None:
            self._ready.cancel()


async def _carry(given: "asyncio.Future[_Rest]") -> Any:
    try:
        rest = await given
    except asyncio.CancelledError as error:
        if given.cancelled():
            raise
        rest = given.result()
        rest.cancelled = error
    return await rest
