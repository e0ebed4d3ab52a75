"""Brings up the hedges of one process, each by itself: none waits for another one's venue."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from hedge.errors import (
    HedgeError,
    InvariantBroken,
    Limited,
    Malformed,
    NotHedged,
    OutcomeUnknown,
    Unreachable,
)
from hedge.runtime.session import Session
from hedge.runtime.supervise import CLOSE_S, ended, put_down

Opener = Callable[[Session], Coroutine[Any, Any, None]]


class Openings:
    """The hedges that are on their way up, those that could not begin, and all their sessions.

    ``make`` returns an unopened session and ``open_it`` opens it; ``up`` is told when it has
    started, and ``down`` of each start that failed, also when it is then tried again.
    """

    def __init__(
        self,
        names: Iterable[str],
        *,
        virtual: bool,
        make: Callable[[str], Session],
        open_it: Opener,
        up: Callable[[Session], None],
        down: Callable[[str, HedgeError], None],
    ) -> None:
        self.failed: dict[str, HedgeError] = {}
        self._virtual = virtual
        self._make = make
        self._open_it = open_it
        self._up = up
        self._down = down
        self._sessions = {name: make(name) for name in names}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unopened = set(self._sessions)
        self._all_open = asyncio.Event()
        self._stopping = False
        self._closing = False

    @property
    def waiting(self) -> tuple[str, ...]:
        """The hedges that have neither begun nor failed."""
        return tuple(name for name, task in self._tasks.items() if not task.done())

    def lived(self, name: str) -> bool:
        """Return whether a hedge may have traded, now or before."""
        return self._sessions[name].lived

    async def begin(self) -> None:
        """Start them all; return when one runs, and in virtual time when all are through.

        If none could begin, raise what the first of them failed with.
        """
        loop = asyncio.get_running_loop()
        for name in self._sessions:
            self._tasks[name] = loop.create_task(self._bring_up(name), name=name)
            self._tasks[name].add_done_callback(self._through)
        if self._stopping:  # told so before there was anything to stop
            self.stop()
        left = set(self._tasks.values())
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():
                    task.result()  # a bug of ours, or a broken invariant: that is nobody's alone
            if not self._virtual and len(self.failed) + len(left) < len(self._tasks):
                return
        if len(self.failed) == len(self._tasks):
            raise next(self.failed[name] for name in self._tasks)

    async def through(self, name: str) -> None:
        """Wait until a hedge has begun, or failed to."""
        task = self._tasks[name]
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    def stop(self) -> None:
        """Give up what has not begun: nothing was sent, and nobody may wait for it any longer."""
        self._stopping = True
        for task in self._tasks.values():
            task.cancel()

    async def close(self) -> None:
        """End every start that is under way, then close every session, the last one first."""
        self._closing = True
        await put_down(self._tasks.values(), within_s=2 * CLOSE_S)  # they put down what they await
        async with contextlib.AsyncExitStack() as stack:
            for session in self._sessions.values():
                stack.push_async_callback(session.close)

    async def _bring_up(self, name: str) -> None:
        while not await self._tried(name):
            pass

    def _through(self, task: asyncio.Task[None]) -> None:
        """Note what was given up, wherever in its start: before the first step, in a close."""
        name = task.get_name()
        if (
            not task.cancelled()
            or self._closing
            or (self._stopping and not self._sessions[name].lived)
        ):
            return
        text = "stopped before its venues answered: its books are not confirmed"
        if not self._stopping:
            text = "its start was cancelled by nobody we know"
        self.failed[name] = NotHedged(text) if self._stopping else HedgeError(text)
        self._down(name, self.failed[name])

    async def _tried(self, name: str) -> bool:
        """Try once; return whether that was the last time, as it began or cannot."""
        session = self._sessions[name]
        try:
            await ended(f"the start of {name}", self._started(session))
        except asyncio.CancelledError:
            await session.close()  # it may have begun all the same: a library may swallow a cancel
            raise
        except InvariantBroken:
            raise
        except HedgeError as error:
            self._down(name, error)
            if not self._again(session, error):
                self.failed[name] = error
                return True
        else:
            self._up(session)
            return True
        await session.close()
        self._sessions[name] = self._make(name)
        return False

    async def _started(self, session: Session) -> None:
        await self._open(session)
        await session.start()

    async def _open(self, session: Session) -> None:
        try:
            await self._open_it(session)
        finally:
            self._unopened.discard(session.name)
            if not self._unopened:
                self._all_open.set()
        if self._virtual:  # time begins for all of them at once, where the latest journal ends
            await self._all_open.wait()

    def _again(self, session: Session, error: HedgeError) -> bool:
        """Return whether to try again: a hedge that may hold a position is not left alone.

        By itself it ends the process, and a supervisor begins anew; beside others it may not.
        """
        silent = isinstance(error, Unreachable | OutcomeUnknown | Limited | Malformed)
        return silent and session.lived and len(self._tasks) > 1 and not self._virtual
