"""An HTTP/1.1 server on loopback that answers exactly what a test tells it, lawful or not."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Caller:
    """One accepted connection, and the requests that came over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.gone = False

    async def request(self) -> tuple[str, dict[str, str], bytes]:
        """Return the next request: its first line, its headers by lower-case name, its body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode().rstrip("\r\n").split("\r\n")
        headers = {}
        for line in rest:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return first, headers, body

    def raw(self, data: bytes) -> None:
        self.writer.write(data)


class HttpServer:
    """``async with``; ``answer(caller, first_line, headers, body)`` is called for each request."""

    def __init__(
        self,
        answer: Callable[["HttpServer", Caller], Awaitable[None]] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer or say_ok
        self.tls = tls
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.callers: list[Caller] = []
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        await self.server.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        caller = Caller(reader, writer)
        self.callers.append(caller)
        try:
            with contextlib.suppress(
                asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
            ):
                while not writer.is_closing():
                    first, headers, body = await caller.request()
                    self.requests.append(first)
                    self.headers.append(headers)
                    self.bodies.append(body)
                    await self.answer(self, caller)
        finally:
            caller.gone = True
            writer.transport.abort()
            self.tasks.discard(task)


async def say_ok(_server: HttpServer, caller: Caller) -> None:
    caller.raw(OK)


def saying(*answers: bytes | None) -> Callable[[HttpServer, Caller], Awaitable[None]]:
    """Answer the n-th request so, the last for ever; None closes without an answer."""

    async def answer(server: HttpServer, caller: Caller) -> None:
        said = answers[min(len(server.requests), len(answers)) - 1]
        if said is None:
            caller.writer.close()
        else:
            caller.raw(said)

    return answer
