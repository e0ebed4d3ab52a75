"""One account's connections, shared by its roles: opened by the first, closed with the last."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from hedge.errors import Malformed, VenueError
from hedge.roles import VenueContext


class Session:
    """To be subclassed; when the last role is closed, what was started and entered here ends.

    First the work of `start`, then all on ``stack``. It may be opened again afterwards.
    """

    def __init__(self, context: VenueContext) -> None:
        self.context = context
        self.clock = context.clock
        self.stack = contextlib.AsyncExitStack()
        self._users = 0
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, context: VenueContext, *more: Any) -> Self:
        """Return the one of all roles of the account, made of this at the first call."""
        key = f"{cls.__module__}.{cls.__qualname__}"
        if key not in context.shared:
            context.shared[key] = cls(context, *more)
        found = context.shared[key]
        assert isinstance(found, cls)
        return found

    async def begin(self) -> None:
        """Open what all roles need: called once, before the first of them counts as open."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work of the session's own; what ends it by surprise goes to the loop's handler."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        self._tasks.add(task)

        def done(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            error = None if ended.cancelled() else ended.exception()
            if error is not None:
                said = f"{type(self).__module__}: a task ended"
                loop.call_exception_handler({"message": said, "exception": error})

        task.add_done_callback(done)

    async def every(self, period: int, action: Callable[[], Awaitable[object]]) -> None:
        """Do something each ``period`` ns; what a venue answers to it never ends it."""
        while True:
            await self.clock.sleep_until(self.clock.now() + period)
            with contextlib.suppress(VenueError, Malformed):
                await action()

    async def open(self) -> None:
        async with self._lock:
            if not self._users:
                try:
                    await self.begin()
                except BaseException:
                    await self._end()
                    raise
            self._users += 1

    async def close(self) -> None:
        async with self._lock:
            self._users -= 1
            if not self._users:
                await self._end()

    async def _end(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.stack.aclose()


S = TypeVar("S", bound=Session)


class SessionRole(Generic[S]):
    """A role over the shared session; say which in ``session_type``."""

    session_type: type[S]

    def __init__(self, context: VenueContext, *more: Any) -> None:
        self.session = self.session_type.of(context, *more)

    async def __aenter__(self) -> Self:
        await self.session.open()
        try:
            await self.entered()
        except BaseException:  # nobody leaves what was not entered
            await self.session.close()
            raise
        return self

    async def entered(self) -> None:
        """Do what this role needs of the open session before it is used."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self.session.close()
