"""Requests and their replies over a socket: each is answered, late, or of unknown outcome."""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

from hedge.errors import OutcomeUnknown, Unreachable, VenueError
from hedge.model.numbers import MS
from hedge.roles import Clock, TimerHandle
from hedge.transport.line import Line
from hedge.transport.trouble import TroubleKind, Troubles, TroubleSink

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

PENDING_MAX = 1_000


class _Pending(Generic[T]):
    """One request that waits for its reply."""

    __slots__ = ("due", "future", "line", "read")

    def __init__(self, line: Line, future: "asyncio.Future[T]", due: int, *, read: bool) -> None:
        self.line = line
        self.future = future
        self.due = due
        self.read = read


class Calls(Generic[K, T]):
    """Matches replies to requests by id; ``K`` is the id's type, ``T`` the parsed reply's.

    The plugin's frame callback parses a frame once and hands replies to `answer`, `fail` or
    (no id) `stray`; none of the three ever raises.
    """

    def __init__(
        self, *, name: str, clock: Clock, on_trouble: TroubleSink, pending_max: int = PENDING_MAX
    ) -> None:
        self._name = name
        self._clock = clock
        self._troubles = Troubles(name, on_trouble)
        self._pending_max = pending_max
        self._pending: dict[K, _Pending[T]] = {}
        self._timer: TimerHandle | None = None
        self._timer_at = 0

    @property
    def pending(self) -> int:
        """Return how many wait."""
        return len(self._pending)

    async def ask(
        self, line: Line, call_id: K, payload: bytes, *, timeout_ms: int, read: bool = False
    ) -> T:
        """Send ``payload`` once, and return the reply that `answer` is given for ``call_id``.

        The wait is registered before the send, and the send happens before this first suspends.
        Raise `Unreachable` when it certainly was not sent (the line is not open, ``pending_max``
        calls wait already); `OutcomeUnknown` when no reply came in ``timeout_ms`` or the line
        dropped (for ``read=True``, which changes nothing: `Unreachable`); and what `fail` was
        given. An id that waits already is a bug of the caller.
        """
        pending = self._pending
        assert call_id not in pending, f"{self._name}: call {call_id} waits already"
        if len(pending) >= self._pending_max:
            raise Unreachable(f"{self._name}: pending_max={self._pending_max} calls wait already")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        due = self._clock.now() + timeout_ms * MS
        pending[call_id] = _Pending(line, future, due, read=read)
        try:
            line.send(payload)
            # Before this suspends nothing can come: an answer is at least a turn of the loop away.
            line.when_down(self._line_down)
            self._watch(due)
            return await future
        finally:
            pending.pop(call_id, None)

    def answer(self, call_id: K | None, reply: T) -> bool:
        """Hand over the reply; False, and a `STRAY` trouble, where nobody waits for it."""
        waiting = self._take(call_id)
        if waiting is None:
            return False
        waiting.set_result(reply)
        return True

    def fail(self, call_id: K | None, error: VenueError) -> bool:
        """Raise ``error`` in who waits; False, and a `STRAY` trouble, where nobody does."""
        waiting = self._take(call_id)
        if waiting is None:
            return False
        waiting.set_exception(error)
        return True

    def stray(self, text: str) -> None:
        """Tell of a reply without an id; ``text`` is the venue's code, not the whole payload."""
        self._troubles.tell(TroubleKind.STRAY, text)

    def _take(self, call_id: K | None) -> "asyncio.Future[T] | None":
        # An id of a type that cannot be hashed is as unknown as any other.
        known = call_id is not None and isinstance(call_id, Hashable)
        waiting = self._pending.pop(call_id, None) if known and call_id is not None else None
        if waiting is None or waiting.future.done():
            self.stray(f"a reply to {call_id!r}, for which nobody waits"[:200])
            return None
        return waiting.future

    def _line_down(self, line: Line) -> None:
        lost = [call_id for call_id, call in self._pending.items() if call.line is line]
        for call_id in lost:
            self._give_up(call_id, f"the line dropped: {line.why}")

    def _watch(self, due: int) -> None:
        # One timer for all, at the first deadline: answers come long before it, and a timer for
        # each call would be made only to be cancelled.
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._clock.call_at(due, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.now()
        late = [call_id for call_id, call in self._pending.items() if call.due <= now]
        for call_id in late:
            self._give_up(call_id, "no reply in time")
        if self._pending:
            self._watch(min(call.due for call in self._pending.values()))

    def _give_up(self, call_id: K, why: str) -> None:
        call = self._pending.pop(call_id)
        kind = Unreachable if call.read else OutcomeUnknown
        if not call.future.done():
            call.future.set_exception(kind(f"{self._name}: {why}"))
