"""One HTTP/1.1 connection: the bytes are h11's, the socket is asyncio's, the outcome is told."""

import asyncio
import select
import ssl
from collections.abc import Sequence
from typing import cast

import h11
import msgspec

from hedge.transport.address import Address

Headers = Sequence[tuple[bytes, bytes]]


class Lost(Exception):
    """The connection ended, or broke the protocol or a bound, before a whole answer was there."""


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Headers
    body: bytes


class HttpLine(asyncio.Protocol):
    """A connection that serves one request at a time, again and again until somebody closes it."""

    def __init__(self, *, body_bytes_max: int, head_bytes_max: int) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=head_bytes_max)
        self._body_bytes_max = body_bytes_max
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._head: h11.Response | None = None
        self._body = bytearray()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.used_at = 0
        """When its last answer came, ns of the clock; kept by the session."""

    @property
    def idle(self) -> bool:
        """Return whether a request could be sent: open, and nobody waits."""
        return self._transport is not None and self._http.our_state is h11.IDLE

    @property
    def gone(self) -> bool:
        """Return whether the socket is closed."""
        return self._closed.done()

    def at_peace(self) -> bool:
        """Ask the kernel whether nothing came that the loop has not seen: an end, above all.

        A request that is not begun on such a connection is certainly not sent.
        """
        if self._transport is None:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def written(self, method: str, target: str, headers: Headers, body: bytes) -> bytes:
        """Return the request's bytes, unsent; raise `ValueError` where HTTP cannot say it."""
        try:
            request = h11.Request(method=method, target=target, headers=list(headers))
            parts = [
                self._http.send(request),
                self._http.send(h11.Data(data=body)) if body else b"",
                self._http.send(h11.EndOfMessage()),
            ]
        except h11.LocalProtocolError:
            # Not h11's words: they show the value, and that can be a key.
            raise ValueError("not a lawful HTTP/1.1 request") from None
        return b"".join(part for part in parts if part)

    def send(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send what `written` made; the future gets the answer, or raises `Lost`."""
        assert self._transport is not None and self._waiting is None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def abort(self) -> None:
        """Close at once; whoever waits gets `Lost`."""
        self._end("aborted")

    async def ended(self) -> None:
        """Wait until the socket is closed."""
        await self._closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:
            # An answer to nothing (a 408 to an idle connection): it must not meet our next request.
            self._end("bytes out of turn")
            return
        self._read(data)

    def eof_received(self) -> bool:
        if self._waiting is not None:
            self._read(b"")  # the end of the connection can be the end of the body
        self._end("closed by the server")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the connection was lost" if exc is None else f"{type(exc).__name__}")
        self._closed.set_result(None)

    def _read(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while self._take(self._http.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            self._end(f"not HTTP/1.1: {error}" if data else "closed by the server")

    def _take(self, event: object) -> bool:
        """Take one event; return whether to ask for another."""
        if isinstance(event, h11.Response):
            self._head = event
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._body_bytes_max:
                self._end(f"an answer of more than body_bytes_max={self._body_bytes_max}")
                return False
        elif isinstance(event, h11.EndOfMessage):
            self._answered()
            return False
        elif not isinstance(event, h11.InformationalResponse):
            return False
        return True

    def _answered(self) -> None:
        head, waiting = self._head, self._waiting
        assert head is not None and waiting is not None
        answer = Answer(head.status_code, list(head.headers), bytes(self._body))
        self._head, self._waiting = None, None
        self._body.clear()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            if self._http.trailing_data[0]:
                self._end("bytes out of turn")
        else:
            self._end("the server wants it closed")
        if not waiting.done():
            waiting.set_result(answer)

    def _end(self, why: str) -> None:
        transport, self._transport = self._transport, None
        waiting, self._waiting = self._waiting, None
        if transport is not None:
            transport.abort()
        if waiting is not None and not waiting.done():
            waiting.set_exception(Lost(why))


async def connect(
    address: Address, *, tls: ssl.SSLContext | None, body_bytes_max: int, head_bytes_max: int
) -> HttpLine:
    """Return an open connection (the loop puts its delay off); raise `OSError`."""
    # Not a socket of ours: uvloop closes one behind our back where the handshake fails.
    _, line = await asyncio.get_running_loop().create_connection(
        lambda: HttpLine(body_bytes_max=body_bytes_max, head_bytes_max=head_bytes_max),
        address.host,
        address.port,
        ssl=tls,
    )
    return line
