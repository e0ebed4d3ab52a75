"""Named tasks that live and die together: an end that nobody asked for ends the process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from hedge.errors import HedgeError, InvariantBroken

GRACE_S = 10


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Why `Supervisor.run` came back: the first task that ended unasked, or "" when all were done.

    ``later`` are the errors of others on the way down; ``stuck`` the tasks that did not end within
    the grace after they were cancelled.
    """

    name: str
    value: object = None
    error: Exception | None = None
    later: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Return whether an invariant of ours broke: stop on purpose, with 13."""
        return isinstance(self.error, AssertionError | InvariantBroken)

    @property
    def exit_code(self) -> int:
        """Return the cause's exit code; a task that returns an int has chosen its own."""
        if self.broken:
            return InvariantBroken.exit_code
        if isinstance(self.error, HedgeError):
            return self.error.exit_code
        if self.error is not None:
            return HedgeError.exit_code
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        return HedgeError.exit_code if self.name else 0

    @property
    def text(self) -> str:
        if self.error is not None:
            return f"{self.name}: {type(self.error).__name__}: {self.error}"
        return f"{self.name} ended" if self.name else "all tasks are done"


class Supervisor:
    """``start`` everything, then ``run``; ``release`` a task whose end is wanted.

    The order of two ends in one turn of the loop is the order in which they happened, so the same
    run has the same cause under any loop.
    """

    def __init__(self, *, grace_s: int = GRACE_S) -> None:
        self._grace_s = grace_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._released: set[str] = set()
        self._first: Ended | None = None
        self._later: list[str] = []
        self._news = asyncio.Event()

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks that are still running, in the order of their start."""
        return tuple(name for name, task in self._tasks.items() if not task.done())

    def start(self, name: str, work: Coroutine[Any, Any, object], *, may_end: bool = False) -> None:
        """Run ``work`` under ``name``; ``may_end``: a plain return of it is no news."""
        if name in self.names:
            work.close()
            raise ValueError(f"a task named {name!r} is running already")
        self._released.discard(name)
        if may_end:
            self._released.add(name)
        task = asyncio.get_running_loop().create_task(self._watch(name, work), name=name)
        task.add_done_callback(lambda done: self._gone(name, done))
        self._tasks[name] = task

    def release(self, name: str) -> None:
        """Say that the end of ``name`` is asked for; an exception from it still counts."""
        self._released.add(name)

    def cancel(self, name: str) -> None:
        """End one task on purpose."""
        self.release(name)
        if name in self._tasks:
            self._tasks[name].cancel()

    async def run(self) -> Ended:
        """Return the first cause once every other task is down, or "" when all ended as asked."""
        try:
            while self._first is None and self.names:
                self._news.clear()
                await self._news.wait()
        finally:
            stuck = await self._down()
        first = self._first or Ended(name="")
        return msgspec.structs.replace(first, later=tuple(self._later), stuck=stuck)

    async def _watch(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        try:
            value = await work
        except Exception as error:  # noqa: BLE001 - the supervisor is where everything arrives
            self._note(Ended(name=name, error=error))
        else:
            if name not in self._released:
                self._note(Ended(name=name, value=value))

    def _note(self, ended: Ended) -> None:
        if self._first is None:
            self._first = ended
        elif ended.error is not None:
            self._later.append(ended.text)
        self._news.set()

    def _gone(self, name: str, task: asyncio.Task[None]) -> None:
        """Catch what `_watch` cannot: a cancellation from outside, and a task never begun."""
        if task.cancelled() and name not in self._released:
            self._note(Ended(name=name, error=HedgeError("cancelled by nobody we know")))
        self._news.set()

    async def _down(self) -> tuple[str, ...]:
        left = {name: task for name, task in self._tasks.items() if not task.done()}
        self._released.update(left)
        for task in left.values():
            task.cancel()
        if left:
            await asyncio.wait(left.values(), timeout=self._grace_s)
        return tuple(name for name, task in left.items() if not task.done())
