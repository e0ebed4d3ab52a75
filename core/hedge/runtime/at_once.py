"""A task whose first step is done at once: an order leaves before anything else is looked at."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


class _Begun:
    """A coroutine that has run up to its first wait; to await it is to run the rest."""

    __slots__ = ("_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work = work
        self._waits_for: Any = None

    def begin(self) -> None:
        """Run it up to its first wait; an end before that is kept for who awaits it."""
        try:
            self._waits_for = self._work.send(None)
        except BaseException as end:  # noqa: BLE001 - told to who awaits it
            self._work = _ended(end)
            self._waits_for = None

    def __await__(self) -> Generator[Any, Any, Any]:
        work, waits_for = self._work, self._waits_for
        try:
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


async def _ended(end: BaseException) -> Any:
    if isinstance(end, StopIteration):
        return end.value
    raise end


async def _rest_of(begun: _Begun) -> Any:
    return await begun


def begin_at_once(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Return a task of ``work`` that has run up to its first wait already.

    What `asyncio.eager_task_factory` is from Python 3.12 on. Inside another task it is
    `create_task`: two cannot run at once.
    """
    loop = asyncio.get_running_loop()
    if asyncio.current_task(loop) is not None:
        return loop.create_task(work)
    begun = _Begun(work)
    task = loop.create_task(_rest_of(begun))
    asyncio._enter_task(loop, task)  # noqa: SLF001 - documented for what runs tasks itself
    try:
        begun.begin()
    finally:
        asyncio._leave_task(loop, task)  # noqa: SLF001
    return task
