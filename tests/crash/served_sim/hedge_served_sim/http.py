"""One HTTP request on a connection of its own, so that it is always clear whether it has left.

HTTP/1.0: an answer ends with its connection, and a stream is an answer that does not end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Self

from hedge_served_sim.wire import HOST, LINE_MAX

STATUS_PARTS = 2


class NotSentError(Exception):
    """No connection: not one byte of the request has left."""


class NoAnswerError(Exception):
    """The request was written, and no whole answer came."""


class Connection:
    """One connection; closed on the way out, whatever that is."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        try:
            self._reader, self._writer = await asyncio.open_connection(
                HOST, self._port, limit=LINE_MAX
            )
        except OSError as error:
            raise NotSentError(f"{HOST}:{self._port}: {error.strerror or error}") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str]]:
        """Write the request; return status and headers of the answer."""
        lines = [
            f"{method} {target} HTTP/1.0",
            f"host: {HOST}:{self._port}",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        try:
            self._writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            await self._writer.drain()
            first = (await self._line()).split(" ", STATUS_PARTS)
            found: dict[str, str] = {}
            while line := await self._line():
                name, _, value = line.partition(":")
                found[name.strip().lower()] = value.strip()
            return int(first[1]), found
        except (OSError, ValueError, IndexError) as error:
            raise NoAnswerError(f"{method}: {type(error).__name__}") from None

    async def _line(self) -> str:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise NoAnswerError("the connection ended before the answer")
        return line.decode("latin-1").strip()

    async def body(self, headers: Mapping[str, str]) -> bytes:
        """Return the whole body; half of one is no answer."""
        try:
            length = int(headers["content-length"])
            return await self._reader.readexactly(length)
        except (OSError, EOFError, KeyError, ValueError) as error:
            raise NoAnswerError(f"half an answer: {type(error).__name__}") from None

    async def lines(self, silence_s: float) -> AsyncIterator[bytes]:
        """Yield the lines of a stream until it ends; raise where it breaks or falls silent."""
        while True:
            try:
                # Not `wait_for`: up to Python 3.11 it can lose a cancellation.
                async with asyncio.timeout(silence_s):
                    line = await self._reader.readline()
            except TimeoutError:
                raise NoAnswerError("SILENT") from None
            except (OSError, ValueError) as error:
                raise NoAnswerError(type(error).__name__) from None
            if not line.endswith(b"\n"):
                return
            yield line
