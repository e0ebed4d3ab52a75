"""Where to connect to, and the rule that nothing goes unencrypted beyond this machine."""

import asyncio
import ipaddress
import socket
import ssl
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hedge.errors import ConfigError
from hedge.roles import Clock
from hedge.transport.deadline import Within

ADDRESS_TIMEOUT_MS = 3_000
"""Of one address of a host that has several: a dead IPv6 route must not use up the attempt."""
_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_PLAIN = {"ws", "http"}


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A host that may be connected to."""

    host: str
    port: int
    secure: bool

    @property
    def netloc(self) -> str:
        """Return ``host:port``, as in a Host header; a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _PORTS["https" if self.secure else "http"]
        return host if self.port == default else f"{host}:{self.port}"


def read_address(url: str, *, schemes: tuple[str, str]) -> Address:
    """Return the host of ``url``; raise `ConfigError` for another scheme, or plain text abroad."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise ConfigError("not an address: no such host or port can be") from None
    if scheme not in schemes or not host:
        raise ConfigError(f"not a {' or '.join(schemes)} address: {scheme}://{host}")
    if scheme in _PLAIN and not is_loopback(host):
        raise ConfigError(f"{scheme}://{host}: unencrypted only to this machine")
    if parts.username is not None or parts.fragment:
        raise ConfigError(f"{scheme}://{host}: no user and no fragment can stand in an address")
    return Address(host=host, port=port or _PORTS[scheme], secure=scheme not in _PLAIN)


@cache
def default_tls() -> ssl.SSLContext:
    """Return the one context of who brings none: reading the authorities takes tens of ms."""
    return ssl.create_default_context()


def verified(tls: ssl.SSLContext) -> ssl.SSLContext:
    """Return the context; raise `ConfigError` where it would accept anybody."""
    if tls.verify_mode is not ssl.CERT_REQUIRED or not tls.check_hostname:
        raise ConfigError("TLS verification cannot be switched off")
    return tls


async def dial(clock: Clock, address: Address) -> socket.socket:
    """Return a connected TCP socket, its delay off; raise `OSError` when no address answers."""
    loop = asyncio.get_running_loop()
    failed: OSError = OSError(f"{address.host} has no address")
    for family, target in await _resolve(address):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with Within(clock, ADDRESS_TIMEOUT_MS):
                await loop.sock_connect(sock, target)
        except OSError as error:  # also the TimeoutError of one address
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


async def _resolve(address: Address) -> list[tuple[int, Any]]:
    """Return family and socket address of each; a number is not looked up, in no thread."""
    host, port = address.host, address.port
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, target) for family, _, _, _, target in found]
    return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]  # noqa: PLR2004 - IPv4's number is its name


def hang_up(sock: socket.socket) -> None:
    """End a connection whose socket a transport owns: the transport sees the end and closes it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed already: there is nobody to hang up on


def is_loopback(host: str) -> bool:
    """Return whether a host, by number or by name, is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
