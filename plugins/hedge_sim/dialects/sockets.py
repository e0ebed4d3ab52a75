"""One port for both: the HTTP server's connections, and a WebSocket that a fault can take apart.

A WebSocket here is synchronous on the way out, its transport can be reset or left half open, and
nothing of it waits. uvicorn takes such classes for its ``http`` and ``ws`` settings.
"""

import asyncio
import os
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.requests import Request as HttpRequest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

MESSAGE_MAX = 1 << 20
WRITE_BUFFER_MAX = 8 << 20
"""A reader that falls behind by more is cut off."""
ENCODER = msgspec.json.Encoder()
TRY_AGAIN_LATER = 1012
NORMAL = 1000


class Hearer(Protocol):
    """What a socket tells its dialect; all of it at once, nothing of it waits."""

    ping_every_s: float
    """The server's own pings; 0 for a venue that sends none."""

    def accepts(self, path: str) -> bool:
        """Return False for a path that is no WebSocket here: the handshake is refused with 404."""
        ...

    def joined(self, socket: "Socket") -> None:
        """Hear of a new connection, right after its handshake."""
        ...

    def heard(self, socket: "Socket", data: bytes) -> None:
        """Take one text message."""
        ...

    def left(self, socket: "Socket") -> None:
        """Hear that a connection is gone; called once for each that joined."""
        ...


class Socket(asyncio.Protocol):
    """One WebSocket connection; bound to its `Hearer` by `bound_to`."""

    hearer: ClassVar[Hearer]
    sockets: ClassVar[set["Socket"]]

    def __init__(self, config: object, server_state: ServerState, app_state: object) -> None:
        del config, app_state
        self._state = server_state
        self._conn = ServerProtocol(max_size=MESSAGE_MAX)
        self._ping: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._joined = False
        self.path = ""
        self.query: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        """By lower-case name."""
        self.session: Any = None
        """The dialect's own state of this connection."""
        self.is_frozen = False

    # On the way out

    @property
    def is_open(self) -> bool:
        return self._joined and self._conn.state is State.OPEN

    def send(self, message: object) -> None:
        """Send as JSON; a closed or frozen socket swallows it."""
        self.send_raw(ENCODER.encode(message))

    def send_raw(self, data: bytes) -> None:
        if not self.is_open or self.is_frozen:
            return
        if self._transport.get_write_buffer_size() > WRITE_BUFFER_MAX:
            self.abort()
            return
        self._conn.send_text(data)
        self._write()

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake."""
        if self.is_open and not self.is_frozen:
            self._conn.send_close(code, reason)
            self._write()

    def abort(self) -> None:
        """Reset the connection: no close frame."""
        self._transport.abort()

    def freeze(self) -> None:
        """Leave it half open: from now on nothing is read, nothing is sent, and nobody is told."""
        self.is_frozen = True
        self._transport.pause_reading()

    def _write(self) -> None:
        for data in self._conn.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    # On the way in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of a TCP connection it is one, though uvloop's does not say so.
        self._transport = cast("asyncio.Transport", transport)
        self._state.connections.add(self)  # type: ignore[arg-type] # uvicorn names its own classes

    def data_received(self, data: bytes) -> None:
        if self.is_frozen:
            return
        self._conn.receive_data(data)
        for event in self._conn.events_received():
            if isinstance(event, Request):
                self._shake_hands(event)
            elif isinstance(event, Frame):
                self._take(event)
        self._write()
        if self._conn.close_expected():
            self._transport.close()

    def eof_received(self) -> bool:
        self._conn.receive_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._state.connections.discard(self)
        if self._ping is not None:
            self._ping.cancel()
        if self._joined:
            self._joined = False
            self.sockets.discard(self)
            self.hearer.left(self)

    def shutdown(self) -> None:
        """Close because the server ends; uvicorn calls it."""
        if self.is_frozen:
            self.abort()
            return
        self.close(TRY_AGAIN_LATER)
        self._transport.close()

    def _shake_hands(self, request: Request) -> None:
        path, _, query = request.path.partition("?")
        self.path = unquote(path)
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        self.headers = {name.lower(): value for name, value in request.headers.raw_items()}
        response: Response = (
            self._conn.accept(request)
            if self.hearer.accepts(self.path)
            else self._conn.reject(404, "no such stream\n")
        )
        self._conn.send_response(response)
        if response.status_code != 101:  # noqa: PLR2004 - Switching Protocols
            return
        self._write()
        self._joined = True
        self.sockets.add(self)
        self._ping_later()
        self.hearer.joined(self)

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.CONT, Opcode.BINARY):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                data = b"".join(self._parts)
                self._parts.clear()
                self.hearer.heard(self, data)

    def _ping_later(self) -> None:
        if self.hearer.ping_every_s:
            loop = asyncio.get_running_loop()
            self._ping = loop.call_later(self.hearer.ping_every_s, self._send_ping)

    def _send_ping(self) -> None:
        if self.is_open and not self.is_frozen:
            self._conn.send_ping(os.urandom(4))
            self._write()
            self._ping_later()


def bound_to(hearer: Hearer) -> type[Socket]:
    """Return a class of sockets of its own, with the set of those that are open."""
    return type("BoundSocket", (Socket,), {"hearer": hearer, "sockets": set()})


class Connection(H11Protocol):
    """uvicorn's HTTP connection, which a fault can find again and reset."""

    peers: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        super().connection_made(transport)
        if self.client is not None:
            self.peers[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.client is not None:
            self.peers.pop(self.client, None)


def reset(request: HttpRequest) -> None:
    """Reset the connection of a request, so that it gets no answer."""
    assert request.client is not None
    transport = Connection.peers.get((request.client.host, request.client.port))
    if transport is not None:
        transport.abort()
