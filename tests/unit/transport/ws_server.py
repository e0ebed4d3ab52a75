"""A WebSocket server on loopback that does exactly what a test tells it, lawful or not."""

import asyncio
import base64
import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes, kind: int = TEXT, *, fin: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | kind])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65_536:
        return head + bytes([126]) + struct.pack("!H", size) + payload
    return head + bytes([127]) + struct.pack("!Q", size) + payload


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.request = b""
        self.got: list[bytes] = []
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.closes: list[bytes] = []
        self.gone = False
        self.answer_pings = True
        self.server: WsServer

    def text(self, payload: bytes | str) -> None:
        self.raw(frame(payload.encode() if isinstance(payload, str) else payload))

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def ping(self, payload: bytes) -> None:
        self.raw(frame(payload, PING))

    def close(self, code: int, reason: bytes = b"") -> None:
        self.raw(frame(struct.pack("!H", code) + reason, CLOSE))

    def reset(self) -> None:
        """End it with a RST and no close frame."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def deafen(self) -> None:
        """Be half open from now on: nothing is read, nothing is said, nothing is closed."""
        self.writer.transport.pause_reading()

    async def upgrade(self) -> None:
        self.request = await self.reader.readuntil(b"\r\n\r\n")
        key = next(
            line.partition(b":")[2].strip()
            for line in self.request.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
        self.raw(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    async def listen(self) -> None:
        """Take what the client says until it is gone."""
        while True:
            first, second = await self.reader.readexactly(2)
            assert second & 0x80, "a client masks"
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            mask = await self.reader.readexactly(4)
            masked = await self.reader.readexactly(size)
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked))
            self.take(first & 0x0F, payload)

    def take(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self.pings.append(payload)
            if self.answer_pings:
                self.raw(frame(payload, PONG))
        elif kind == PONG:
            self.pongs.append(payload)
        elif kind == CLOSE:
            self.closes.append(payload)
        else:
            self.got.append(payload)
            self.server.on_text(self, payload)


Behaviour = Callable[[Peer], Awaitable[None]]


async def behave(peer: Peer) -> None:
    await peer.upgrade()
    await peer.listen()


async def hang_up_unanswered(peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")


class WsServer:
    """``async with``; ``behaviour`` may be changed between two connections."""

    def __init__(self, behaviour: Behaviour = behave, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.behaviour = behaviour
        self.on_text: Callable[[Peer, bytes], None] = lambda peer, text: None
        self.peers: list[Peer] = []
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/ws"

    @property
    def alive(self) -> list[Peer]:
        return [peer for peer in self.peers if not peer.gone]

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Refuse from now on; the port stays known."""
        self.server.close()
        for peer in self.alive:
            peer.writer.transport.abort()
        await self.server.wait_closed()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        peer = Peer(reader, writer)
        peer.server = self
        self.peers.append(peer)
        try:
            with contextlib.suppress(
                asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
            ):
                await self.behaviour(peer)
        finally:
            peer.gone = True
            writer.transport.abort()
            self.tasks.discard(task)
