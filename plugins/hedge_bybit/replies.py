"""Asking on a stream socket: one operation of a kind at a time, matched by its name.

Bybit does not echo the request's id in every answer (auth has none, a public pong says ``ping``),
so at most one of each kind is under way on a line.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from hedge.errors import Refused
from hedge.roles import Clock
from hedge.transport import Calls, Line, TroubleSink
from hedge_bybit.frames import STREAM_REPLY, StreamReply

OPERATIONS = {"pong": "ping"}
"""What an answer calls itself, where it is not what was asked."""
ARGS_MAX = 10
"""Spot takes so many topics in one request (docs/v5/ws/connect)."""
LINES_KEPT = 3
"""So many connections may overlap: one that is left, one that is ready, one that is being made."""


class Replies:
    """The requests and answers of one stream socket."""

    def __init__(
        self, name: str, clock: Clock, on_trouble: TroubleSink, *, timeout_ms: int
    ) -> None:
        self._name = name
        self._timeout_ms = timeout_ms
        self._calls: Calls[str, StreamReply] = Calls(name=name, clock=clock, on_trouble=on_trouble)
        self._one_at_a_time = asyncio.Lock()
        self._sent = 0
        self._done: dict[int, set[str]] = {}

    def take(self, line: Line, view: memoryview) -> None:
        """Take a message that is no news; raise what the decoder raises where it is no answer."""
        reply = STREAM_REPLY.decode(view)
        operation = OPERATIONS.get(reply.op, reply.op)
        self._calls.answer(f"{operation} {line.number}", reply)

    async def ask(self, line: Line, operation: str, message: bytes) -> None:
        """Have one operation done; raise `Refused` where the venue says no."""
        reply = await self._calls.ask(
            line, f"{operation} {line.number}", message, timeout_ms=self._timeout_ms, read=True
        )
        if not reply.success or reply.ret_code:
            code = str(reply.ret_code or operation)
            words = reply.ret_msg or "no reason given"
            raise Refused(f"bybit {code}: {self._name}: {operation}: {words}", code=code)

    async def subscribe(self, line: Line, topics: Sequence[str]) -> None:
        """Subscribe to what the line does not have yet, in as many requests as it takes."""
        async with self._one_at_a_time:
            done = self._done_on(line)
            wanted = [topic for topic in topics if topic not in done]
            for first in range(0, len(wanted), ARGS_MAX):
                some = wanted[first : first + ARGS_MAX]
                self._sent += 1
                request = {"req_id": f"{self._sent}", "op": "subscribe", "args": some}
                await self.ask(line, "subscribe", msgspec.json.encode(request))
                done.update(some)

    def _done_on(self, line: Line) -> set[str]:
        """Return the topics of a line: to subscribe twice is refused by the venue."""
        for number in [one for one in self._done if one <= line.number - LINES_KEPT]:
            del self._done[number]
        return self._done.setdefault(line.number, set())

    async def ping(self, line: Line) -> None:
        """Have the venue's end of the stream answer."""
        await self.ask(line, "ping", b'{"req_id":"ping","op":"ping"}')
