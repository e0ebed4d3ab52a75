"""Named tasks that live and die together: an end that nobody asked for ends the process.

And how what we do not know is ended: `put_down` waits for no task longer than it must, `closed` for
no plugin. Neither raises what came of it: a way out has its exit code already.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

import msgspec

from hedge.errors import HedgeError, InvariantBroken, redacted

log = logging.getLogger(__name__)
T = TypeVar("T")
GRACE_S = 10
CLOSE_S = 5
"""How long a plugin may close, and how long a task may take to end once it is cancelled."""
AGAIN_S = 1
"""How long it has after a second cancel: a library may take one for an error of its own."""


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
        return await put_down(left.values(), within_s=self._grace_s)


async def put_down(
    tasks: Iterable["asyncio.Task[Any]"], *, within_s: int = CLOSE_S
) -> tuple[str, ...]:
    """Cancel, wait, cancel again; what has not ended then is said and given up. Return its names.

    What is given up does nothing more: it is thrown out of its wait. No runner waits for it.
    """
    every = list(tasks)
    left = [task for task in every if not task.done()]
    try:
        for wait_s in (within_s, min(AGAIN_S, within_s)):
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=wait_s)
            left = [task for task in left if not task.done()]
    finally:
        for task in left:
            _give_up(task)
    for task in every:
        _hear(task)
    return tuple(task.get_name() for task in left)


def _hear(task: "asyncio.Task[Any]") -> None:
    """Take an error that nobody else will: an answer that nobody waits for any more."""
    if task.done() and not task.cancelled():
        task.exception()


def _give_up(task: "asyncio.Task[Any]") -> None:
    work: Any = task.get_coro()
    what = getattr(work, "__qualname__", "")
    log.warning("%s (%s) did not end when it was cancelled: left behind", task.get_name(), what)
    # In the middle of a step, or deaf to this too: then it is only not waited for.
    with contextlib.suppress(Exception):
        work.close()
    task.add_done_callback(_hear)
    task.cancel()
    asyncio._unregister_task(task)  # noqa: SLF001 - documented for what runs tasks itself


async def ended(name: str, work: Coroutine[Any, Any, T], *, within_s: int | None = None) -> T:
    """Return what foreign ``work`` returns, or raise it; a cancel of us ends it, whatever it does.

    Raise `TimeoutError` when it is not done ``within_s``.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        await asyncio.wait({task}, timeout=within_s)
        if not task.done():
            raise TimeoutError
    finally:
        await put_down((task,))
    return task.result()


async def closed(name: str, work: Coroutine[Any, Any, object]) -> None:
    """Run what closes ``name``, for at most `CLOSE_S`; a failure of it is said, and no more."""
    try:
        await ended(name, work, within_s=CLOSE_S)
    except TimeoutError:
        log.warning("%s did not close within %d s", name, CLOSE_S)
    except Exception as error:  # noqa: BLE001 - foreign, and the exit code is not its to choose
        log.warning("%s did not close well: %s", name, redacted(f"{type(error).__name__}: {error}"))


def run_out(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` and close ``loop``, as `asyncio.Runner` does, but wait for no task for ever."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            return runner.run(work)
        finally:
            runner.run(_the_rest())


async def _the_rest() -> None:
    """End what plugins and libraries began and left."""
    await put_down(asyncio.all_tasks() - {asyncio.current_task()})
    await closed("what was iterated over", asyncio.get_running_loop().shutdown_asyncgens())
