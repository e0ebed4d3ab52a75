"""The ground under the status API: sockets of our own, uvicorn on the engine's loop, the door."""

import asyncio
import os
import secrets
import shutil
import socket
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from hedge.errors import ConfigError, SafetyRefusal, UsageError, unwritten, writing
from hedge.runtime.client import PRIVATE_FILE, private_directory

HEAD_BYTES_MAX = 16_384
CONNECTIONS_MAX = 64
SUN_PATH_BYTES_MAX = 107
"""108 with the closing NUL."""
CLOSING_TURNS = 50
ACCEPTING_TURNS = 5
"""After so many turns of the loop, at most, an accepted socket is a connection (asyncio)."""
PORT_MAX = 65_535
LOOPBACK = "127.0.0.1"


# -- sockets -------------------------------------------------------------------------------------


class UnixSocket:
    """A listening place that only our user can reach: mode 0600 in a directory of mode 0700."""

    def __init__(self, runtime_dir: Path, *, fallback: Path = Path("/tmp")) -> None:  # noqa: S108 - a directory of our own is made in it, mode 0700
        directory = private_directory(runtime_dir / ".sockets")
        name = f"{os.getpid()}-{secrets.token_hex(2)}"
        self.path = directory / name
        self._own: Path | None = None
        if len(os.fsencode(self.path)) > SUN_PATH_BYTES_MAX:
            with writing(f"cannot make a directory in {fallback}"):
                self._own = Path(tempfile.mkdtemp(prefix="hedge-", dir=fallback))
            self.path = self._own / "s"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(self.sock.fileno(), PRIVATE_FILE)  # Linux binds with these bits
            self.sock.bind(os.fsencode(self.path))
            self.path.chmod(PRIVATE_FILE)
        except OSError as error:
            self.close()
            raise unwritten(f"cannot bind {self.path}", error) from None
        self.sock.setblocking(False)

    def close(self) -> None:
        self.sock.close()
        self.path.unlink(missing_ok=True)
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)


def loopback_socket(listen: str) -> socket.socket:
    """Bind ``[metrics] listen``; anything but 127.0.0.1 and a port is a configuration error."""
    host, _, port = listen.rpartition(":")
    if host != LOOPBACK or not (port.isascii() and port.isdigit()) or int(port) > PORT_MAX:
        raise ConfigError(f'[metrics] listen = "{listen}": only "{LOOPBACK}:PORT" is served')
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, int(port)))
        sock.listen()  # only this keeps another from binding it too
    except OSError as error:
        sock.close()
        raise ConfigError(f'[metrics] listen = "{listen}": {error.strerror}') from None
    sock.setblocking(False)
    return sock


# -- uvicorn, without its clock and its signals --------------------------------------------------


class _Guarded(H11Protocol):
    """Counts connections, knows who called, and lets a request drop its own connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # asyncio's own says BaseTransport
        super().connection_made(transport)
        by = _caller(transport)
        if by is None or len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        self.app_state = {"by": by, "drop": transport.abort}


def _caller(transport: asyncio.Transport) -> str | None:
    """Name the process behind a Unix socket; None: a user who is neither ours nor root."""
    sock = transport.get_extra_info("socket")
    if sock.family != socket.AF_UNIX:
        return "loopback"
    size = struct.calcsize("3i")
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, uid, _ = struct.unpack("3i", raw)
    return f"uid {uid} pid {pid}" if uid in (0, os.geteuid()) else None


class Listener:
    """One uvicorn server on one bound socket; starts and stops without a timer."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            http=_Guarded,
            ws="none",
            loop="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            headers=[("connection", "close"), ("cache-control", "no-store")],
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)

    async def start(self, sock: socket.socket) -> None:
        """Serve from now on; the loop itself does the rest (no ``main_loop``: it ticks)."""
        await self._server.startup(sockets=[sock])
        await self._server.on_tick(0)

    async def close(self) -> None:
        """Let answers that are ready go out, then cut what is left."""
        state = self._server.server_state
        # One that is accepted, and finds its server closed, asyncio 3.11 never closes.
        for _ in range(ACCEPTING_TURNS):
            await asyncio.sleep(0)
        for server in getattr(self._server, "servers", ()):
            server.close()
        await _turns(lambda: not state.tasks)
        for connection in list(state.connections):
            connection.transport.abort()
        await _turns(lambda: not state.connections and not state.tasks)
        for task in list(state.tasks):
            task.cancel()
        await _turns(lambda: not state.tasks)


async def _turns(done: Callable[[], bool]) -> None:
    for _ in range(CLOSING_TURNS):
        if done():
            return
        await asyncio.sleep(0)


# -- the door ------------------------------------------------------------------------------------


class Door:
    """Answers only requests for our own names, and none that a web page could have sent."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope.get("headers", [])
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if any(name == b"origin" for name, _ in headers):
            refusal = failure("requests with an Origin are refused", SafetyRefusal.exit_code, 403)
            await refusal(scope, receive, send)
        elif len(hosts) != 1 or hosts[0] not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            refusal = failure(f"the Host must be {known}", UsageError.exit_code, 421)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def failure(text: str, exit_code: int, status: int, **more: object) -> JSONResponse:
    """Return the one shape of an error."""
    return JSONResponse({"error": text, "exit_code": exit_code, **more}, status)
