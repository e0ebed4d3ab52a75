"""A small HTTP and WebSocket server whose connections can be cut, frozen and closed at will."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Lost(Exception):
    """The answer is not to be sent: the connection is cut."""


class Connection:
    """One client; a WebSocket after its upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.is_socket = self.frozen = False
        self.topics: set[str] = set()

    async def request(self) -> tuple[str, str, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return method, target, headers, body

    def reply(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)

    def upgrade(self, headers: dict[str, str]) -> None:
        key = hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()
        self.writer.write(
            b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n"
        )
        self.is_socket = True

    async def frame(self) -> bytes | None:
        """Return the next text; None at its end. Pings are answered unless it is frozen."""
        while True:
            first, second = await self.reader.readexactly(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
            mask = await self.reader.readexactly(4)
            data = await self.reader.readexactly(size)
            text = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
            if first & 15 == 8:
                return None
            if first & 15 == 9:
                self.send(text, kind=10)
            elif not self.frozen and first & 15 == 1:
                return text

    def send(self, data: bytes, kind: int = 1) -> None:
        if not self.frozen and not self.writer.is_closing():
            size = len(data)
            head = bytes([128 | kind, size]) if size < 126 else bytes([128 | kind, 126])
            more = b"" if size < 126 else size.to_bytes(2)
            self.writer.write(head + more + data)

    def tell(self, what: dict[str, Any]) -> None:
        self.send(json.dumps(what).encode())

    def cut(self) -> None:
        self.writer.transport.abort()


Answer = Callable[[str, str, dict[str, str], bytes], Awaitable[tuple[int, bytes]]]
Hear = Callable[[Connection, bytes], None]


class Server:
    """Serves on a free port of the loopback."""

    def __init__(self, answer: Answer, hear: Hear) -> None:
        self._answer, self._hear = answer, hear
        self.connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for one in self.connections:
            one.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def sockets(self) -> list[Connection]:
        return [one for one in self.connections if one.is_socket]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection, task = Connection(reader, writer), asyncio.current_task()
        assert task is not None
        self.connections.add(connection)
        self._tasks.add(task)
        try:
            await self._talk(connection)
        except (Lost, OSError, EOFError, asyncio.CancelledError):
            connection.cut()
        finally:
            self.connections.discard(connection)
            self._tasks.discard(task)
            writer.close()

    async def _talk(self, connection: Connection) -> None:
        while True:
            method, target, headers, body = await connection.request()
            if "upgrade" in headers:
                connection.upgrade(headers)
                break
            connection.reply(*await self._answer(method, target, headers, body))
        while (text := await connection.frame()) is not None:
            self._hear(connection, text)
