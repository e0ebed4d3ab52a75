"""One account's connections, shared by its roles: opened by the first, closed with the last."""

import asyncio
import contextlib
from types import TracebackType
from typing import Generic, Self, TypeVar

from hedge.roles import VenueContext


class Session:
    """To be subclassed; ``stack`` closes whatever was entered on it when the last role is closed.

    It may be opened again afterwards.
    """

    def __init__(self, context: VenueContext) -> None:
        self.context = context
        self.clock = context.clock
        self.stack = contextlib.AsyncExitStack()
        self._users = 0
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, context: VenueContext) -> Self:
        """Return the one of all roles of the account, made at the first call."""
        key = f"{cls.__module__}.{cls.__qualname__}"
        if key not in context.shared:
            context.shared[key] = cls(context)
        found = context.shared[key]
        assert isinstance(found, cls)
        return found

    async def begin(self) -> None:
        """Open what all roles need: called once, before the first of them counts as open."""

    async def open(self) -> None:
        async with self._lock:
            if not self._users:
                try:
                    await self.begin()
                except BaseException:
                    await self.stack.aclose()
                    raise
            self._users += 1

    async def close(self) -> None:
        async with self._lock:
            self._users -= 1
            if not self._users:
                await self.stack.aclose()


S = TypeVar("S", bound=Session)


class SessionRole(Generic[S]):
    """A role over the shared session; say which in ``session_type``."""

    session_type: type[S]

    def __init__(self, context: VenueContext) -> None:
        self.session = self.session_type.of(context)

    async def __aenter__(self) -> Self:
        await self.session.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self.session.close()
