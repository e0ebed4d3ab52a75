"""One WebSocket connection, from its upgrade to its end."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from hedge.errors import Unreachable
from hedge.roles import Clock
from hedge.transport.address import default_tls, dial, hang_up, read_address
from hedge.transport.trouble import TroubleKind, Troubles, described

FrameSink = Callable[["Line", memoryview], None]
"""Takes each data message, on the event loop, where the socket was read: no copy, no queue.

The view is valid only until the call returns (it is released then): decode it at once, or copy
with ``bytes()``. What it raises is told as trouble; the message is lost and the reader goes on.
"""

_TEXT = WSMsgType.TEXT
_BINARY = WSMsgType.BINARY
_CONTINUATION = WSMsgType.CONTINUATION
_CLOSE = WSMsgType.CLOSE
# Not `getLogger`: it is nobody's child, so that no configuration of a host can wake it.
_QUIET = logging.Logger("picows", logging.CRITICAL + 1)  # noqa: LOG001 - see above
"""What picows would log goes to the trouble sink instead; a flood must not fill a disk."""


class Line:
    """One physical connection of a `Socket`; it is opened once and goes down once."""

    def __init__(
        self,
        *,
        number: int,
        troubles: Troubles,
        on_frame: FrameSink,
        on_down: Callable[["Line"], None],
        message_bytes_max: int,
        send_buffer_bytes_max: int,
    ) -> None:
        self.number = number
        """The count of this socket's connections, from 1: a later line has a higher one."""
        self.heard = False
        """Set by every frame but the server's pings, cleared by who watches."""
        self.spoke = False
        """Set by every data message, cleared by who watches."""
        self.why = ""
        """Why it went down."""
        self.congested = False
        self.stale = False
        """Set when the venue said that this line is about to end."""
        self._down = False
        self._on_down = on_down
        self._send_buffer_bytes_max = send_buffer_bytes_max
        self._transport: WSTransport | None = None
        self._end: asyncio.Task[None] | None = None
        self._watchers: dict[Callable[[Line], None], None] = {}
        self._listener = _Listener(self, troubles, on_frame, message_bytes_max)

    @property
    def open(self) -> bool:
        """Return whether it is connected and not closing."""
        transport = self._transport
        return not (transport is None or self._down or transport.is_close_frame_sent)

    def send(self, payload: bytes | bytearray | memoryview) -> None:
        """Send one text message at once, without waiting.

        Raise `Unreachable` when the line is not open, or has more than
        ``send_buffer_bytes_max`` unsent: then not one byte has left.
        """
        transport = self._transport
        # picows drops in silence what is sent after a close frame.
        if transport is None or self._down or self.congested or transport.is_close_frame_sent:
            raise Unreachable(f"line {self.number} is {'congested' if self.congested else 'down'}")
        transport.send(_TEXT, payload)

    def when_down(self, callback: Callable[["Line"], None]) -> None:
        """Call back once, on the loop, when this line is gone; naming it twice is naming it once.

        For a line that is gone already the call comes at once.
        """
        if self._down:
            asyncio.get_running_loop().call_soon(callback, self)
        else:
            self._watchers[callback] = None

    def forget(self, callback: Callable[["Line"], None]) -> None:
        """Take `when_down` back."""
        self._watchers.pop(callback, None)

    def drop(self, why: str) -> None:
        """Abandon the connection now, with what it had not sent; the socket makes a new one."""
        self.go_down(why)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def close(self) -> None:
        """Say good-bye and close."""
        if self._transport is not None and not self._down:
            self._transport.send_close(WSCloseCode.OK)
        self.drop("closed")

    def ping(self) -> None:
        if self._transport is not None:
            self._transport.send_ping(b"")

    async def connect(
        self,
        url: str,
        *,
        clock: Clock,
        tls: ssl.SSLContext | None,
        headers: Mapping[str, str],
        upgrade_timeout_s: float,
    ) -> None:
        """Open the connection; raise `ConfigError`, `OSError` or an error of picows."""
        address = read_address(url, schemes=("ws", "wss"))
        sock = await dial(clock, address)
        try:
            _, listener = await ws_connect(
                lambda: self._listener,
                url,
                ssl_context=(tls or default_tls()) if address.secure else None,
                disconnect_on_exception=False,
                websocket_handshake_timeout=upgrade_timeout_s,
                logger_name=_QUIET,
                enable_auto_ping=False,
                enable_auto_pong=True,
                max_frame_size=self._listener.message_bytes_max,
                extra_headers=headers,
                max_redirects=0,
                socket_factory=lambda _: sock,
            )
        except BaseException:
            self.drop("the connect was given up")
            hang_up(sock)
            raise
        # picows returns, without a listener, where the server hangs up instead of answering.
        if listener is None or self._down:
            raise Unreachable(self.why or "the server closed the connection before the upgrade")

    def connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=self._send_buffer_bytes_max)
        self._end = asyncio.get_running_loop().create_task(transport.wait_disconnected())
        self._end.add_done_callback(self._listener.ended)

    async def ended(self) -> None:
        """Wait until the socket is closed."""
        if self._end is not None:
            await asyncio.wait({self._end})

    def go_down(self, why: str) -> None:
        """Be down from now on, and say so; only the first reason counts."""
        if self._down:
            return
        self._down = True
        self.why = why
        self._listener.on_frame = _ignore
        loop = asyncio.get_running_loop()
        for watcher in self._watchers:
            loop.call_soon(watcher, self)
        self._watchers.clear()
        self._on_down(self)


class _Listener(WSListener):
    """What picows calls; the first lines of ``on_ws_frame`` are the hot path."""

    def __init__(
        self, line: Line, troubles: Troubles, on_frame: FrameSink, message_bytes_max: int
    ) -> None:
        self.line = line
        self.troubles = troubles
        self.on_frame = on_frame
        self.message_bytes_max = message_bytes_max
        self._parts: bytearray | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.line.connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        self.line.heard = True
        if kind == _TEXT and frame.fin:
            self._hand_over(frame.get_payload_as_memoryview())
        else:
            self._other(transport, frame, kind)

    def _hand_over(self, view: memoryview) -> None:
        self.line.spoke = True
        try:
            try:
                self.on_frame(self.line, view)
            finally:
                # The memory behind it is overwritten by the next read: a view that was kept must
                # fail where it is used, and not read another message's bytes.
                view.release()
        except asyncio.CancelledError as error:
            # Of a future that the callback looked at: no task runs here that could be cancelled,
            # and this one picows would not end.
            self.troubles.tell(TroubleKind.FRAME, described(error), error)
        except BaseException as error:
            self.troubles.tell(TroubleKind.FRAME, described(error), error)
            raise  # picows, told not to disconnect, ends it here

    def _other(self, transport: WSTransport, frame: WSFrame, kind: WSMsgType) -> None:
        if kind == _CLOSE:
            code = frame.get_close_code()
            reason = frame.get_close_reason() or ""
            transport.send_close(WSCloseCode.OK)
            self.line.drop(f"closed by the server: {int(code.value)} {reason}".rstrip())
        elif kind == _BINARY and frame.fin:
            self._hand_over(frame.get_payload_as_memoryview())
        elif kind in (_TEXT, _BINARY, _CONTINUATION):
            self._assemble(frame, first=kind != _CONTINUATION)

    def _assemble(self, frame: WSFrame, *, first: bool) -> None:
        if first is (self._parts is not None):
            self._refuse("a fragment out of place")
            return
        parts = bytearray() if self._parts is None else self._parts
        if len(parts) + frame.payload_size > self.message_bytes_max:
            self._refuse(f"a message of more than message_bytes_max={self.message_bytes_max}")
            return
        parts += frame.get_payload_as_memoryview()
        self._parts = None if frame.fin else parts
        if frame.fin:
            self._hand_over(memoryview(parts))

    def _refuse(self, text: str) -> None:
        self._parts = None
        self.troubles.tell(TroubleKind.PROTOCOL, text)
        self.line.drop(text)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self.line.go_down("the connection was lost")

    def ended(self, end: "asyncio.Task[None]") -> None:
        """Tell why picows ended it, where it was picows."""
        if not end.cancelled() and (error := end.exception()) is not None:
            self.troubles.tell(TroubleKind.PROTOCOL, described(error), error)

    def pause_writing(self) -> None:
        self.line.congested = True

    def resume_writing(self) -> None:
        self.line.congested = False


def _ignore(_line: Line, _view: memoryview) -> None:
    """Take what is still in the buffer of a line that is down."""
