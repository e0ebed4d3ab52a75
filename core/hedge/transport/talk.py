"""A `Socket` of JSON on which requests carry a number, and their answers the same one."""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from hedge.errors import Malformed, Unreachable
from hedge.model import StreamKind
from hedge.roles import Clock
from hedge.transport.calls import Calls
from hedge.transport.line import Line
from hedge.transport.rows import Row, read_json
from hedge.transport.trouble import TroubleSink
from hedge.transport.verdicts import Verdicts
from hedge.transport.websocket import Socket, SocketLimits, StateSink

Words = Mapping[str, Any]


class Talk:
    """Subscribes at each connect, asks when it is silent, and hands over every row."""

    def __init__(
        self,
        url: str,
        *,
        verdicts: Verdicts,
        clock: Clock,
        kind: StreamKind,
        on_row: Callable[[Row], None],
        on_state: StateSink,
        on_trouble: TroubleSink,
        subscribe: Callable[[], Words],
        beat: Words,
        silence_ms: int,
        number: str = "id",
        refresh: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """Set up; nothing is opened yet.

        ``subscribe()``: the request that a new connection begins with; the stream is up when it
        is answered, and ``refresh()`` has returned. ``beat``: the request that proves, after
        ``silence_ms`` without a message, that the venue's end lives. ``number``: the field of a
        request's number. A row with a code (`Verdicts.code`) is the error of the request whose
        number it has; without a number it is told as trouble, and who waits runs out of time.
        """
        self._verdicts = verdicts
        self._on_row = on_row
        self._number = number
        self._silence_ms = silence_ms
        self._subscribe = subscribe
        self._beat = beat
        self._refresh = refresh
        self._numbers = itertools.count(1)
        self._calls = Calls[int, None](name=verdicts.name, clock=clock, on_trouble=on_trouble)
        self._socket = Socket(
            url,
            name=verdicts.name,
            clock=clock,
            on_frame=self._take,
            on_trouble=on_trouble,
            on_state=on_state,
            kind=kind,
            resubscribe=self._begin,
            probe=self._prove,
            limits=SocketLimits(silence_max_ms=silence_ms, probe_timeout_ms=silence_ms),
        )

    async def __aenter__(self) -> Self:
        await self._socket.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self._socket.__aexit__(kind, error, trace)

    def _take(self, _: Line, view: memoryview) -> None:
        row = read_json(view)
        if not isinstance(row, Row):
            raise Malformed(f"{self._verdicts.name}: no row")
        number = row.whole(self._number) if self._number in row else None
        if self._verdicts.code in row:
            self._calls.fail(number, self._verdicts.error(row, Unreachable))
        elif number is not None:
            self._calls.answer(number, None)
        self._on_row(row)

    async def _ask(self, line: Line, words: Words) -> None:
        number = next(self._numbers)
        data = msgspec.json.encode({self._number: number, **words})
        await self._calls.ask(line, number, data, timeout_ms=self._silence_ms, read=True)

    async def _begin(self, line: Line) -> None:
        await self._ask(line, self._subscribe())
        if self._refresh is not None:
            await self._refresh()

    async def _prove(self, line: Line) -> None:
        await self._ask(line, self._beat)
