"""Word to systemd over ``$NOTIFY_SOCKET``: ready, alive, stopping, and one line of status."""

import contextlib
import os
import socket
from collections.abc import Mapping

STATUS_CHARS_MAX = 200


class SdNotify:
    """Silent where no socket is set, and whenever the send fails: telling is never worth a stop."""

    def __init__(self, address: str = "", watchdog_us: int = 0) -> None:
        self._address = address
        self._watchdog_us = watchdog_us

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] = os.environ, pid: int | None = None
    ) -> "SdNotify":
        """Read ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``, the latter only if it is meant for us."""
        text = environ.get("WATCHDOG_USEC", "")
        meant = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
        watchdog = int(text) if meant and text.isascii() and text.isdigit() else 0
        return cls(environ.get("NOTIFY_SOCKET", ""), watchdog)

    @property
    def enabled(self) -> bool:
        return self._address.startswith(("/", "@"))

    @property
    def watchdog_ns(self) -> int | None:
        """How often to call `watchdog`: half of systemd's limit, in ns; None: not asked for."""
        return self._watchdog_us * 500 if self.enabled and self._watchdog_us > 0 else None

    def ready(self, status: str = "") -> None:
        self._send("READY=1", status)

    def watchdog(self) -> None:
        self._send("WATCHDOG=1")

    def starting(self, for_s: int, status: str) -> None:
        """Ask for ``for_s`` more before the start counts as failed (sd_notify(3))."""
        self._send(f"EXTEND_TIMEOUT_USEC={for_s * 1_000_000}", status)

    def stopping(self, status: str = "") -> None:
        self._send("STOPPING=1", status)

    def status(self, text: str) -> None:
        self._send("", text)

    def _send(self, state: str, status: str = "") -> None:
        if not self.enabled:
            return
        lines = [state] if state else []
        if status:
            lines.append("STATUS=" + " ".join(status.split())[:STATUS_CHARS_MAX])
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), address)
