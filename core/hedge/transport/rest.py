"""HTTP/1.1 over connections that stay open: one request, one honest outcome."""

import asyncio
import ssl
from collections.abc import Mapping
from random import Random, SystemRandom
from types import TracebackType
from typing import Self

import msgspec

from hedge.errors import OutcomeUnknown, Unreachable
from hedge.model.numbers import MS
from hedge.roles import Clock
from hedge.transport.address import default_tls, read_address, verified
from hedge.transport.backoff import Backoff
from hedge.transport.deadline import Within
from hedge.transport.http_line import Answer, Headers, HttpLine, Lost, connect
from hedge.transport.trouble import TroubleKind, Troubles, TroubleSink, described


class RestLimits(msgspec.Struct, frozen=True, kw_only=True):
    connections_max: int = 4
    """Open at once; a request beyond them waits, within its own timeout."""
    connect_timeout_ms: int = 5_000
    keep_alive_ms: int = 600_000
    """How long an unused connection may be used again; the venue may close it earlier."""
    warm_every_ms: int = 20_000
    """How often ``warm_path`` is read, so that an order finds an open connection."""
    body_bytes_max: int = 33_554_432
    head_bytes_max: int = 65_536
    read_attempts_max: int = 3
    """Of a read, within its timeout; a write has one."""
    backoff_first_ms: int = 100
    backoff_max_ms: int = 2_000


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whatever its status: a 4xx or 5xx is the plugin's to judge."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name; repeated ones joined by ", "."""
    body: bytes
    sent: int
    """`Clock.now` just before the first byte left, ns: with ``received`` a `ClockOffset` sample."""
    received: int


class _Request(msgspec.Struct):
    """A request, and when it was given to a socket: None is certainly not one byte of it."""

    method: str
    path: str
    target: str
    headers: Headers
    body: bytes
    sent: int | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Rest:
    """A session with one host. Use as ``async with``; plain http only to a loopback host."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        clock: Clock,
        on_trouble: TroubleSink,
        limits: RestLimits | None = None,
        headers: Mapping[str, str] | None = None,
        warm_path: str = "",
        tls: ssl.SSLContext | None = None,
        random: Random | None = None,
    ) -> None:
        """Take ``base_url`` as scheme, host and port; ``headers`` go with every request."""
        self._name = name
        self._clock = clock
        self._address = read_address(base_url, schemes=("http", "https"))
        self._limits = limits or RestLimits()
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        self._warm_path = warm_path
        self._tls = None if tls is None else verified(tls)
        self._random = random or SystemRandom()
        self._troubles = Troubles(name, on_trouble)
        self._idle: list[HttpLine] = []
        self._lines: set[HttpLine] = set()
        self._slots = asyncio.Semaphore(self._limits.connections_max)
        self._warmer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._address.secure and self._tls is None:
            self._tls = default_tls()
        if self._warm_path:
            self._warmer = asyncio.get_running_loop().create_task(self._keep_warm())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        if self._warmer is not None:
            self._warmer.cancel()
            await asyncio.wait({self._warmer})
        lines = tuple(self._lines)
        for line in lines:
            line.abort()
        for line in lines:
            await line.ended()

    async def read(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_ms: int,
    ) -> Reply:
        """Send a request that changes nothing; repeat it on a lost connection, capped, jittered.

        ``query`` is sent as it is, already encoded: what was signed is what is sent, each time, so
        let ``timeout_ms`` end before the signature does. Raise `Unreachable` when there was no
        usable answer within ``timeout_ms``; `ValueError` for what HTTP cannot say (a bug).
        """
        request = self._request(method, path, query, body, headers)
        limits = self._limits
        backoff = Backoff(
            self._random, first_ms=limits.backoff_first_ms, max_ms=limits.backoff_max_ms
        )
        why = "no answer"
        try:
            async with Within(self._clock, timeout_ms):
                for attempt in range(limits.read_attempts_max):
                    if attempt:
                        await self._clock.sleep_until(self._clock.now() + backoff.next_ns())
                    try:
                        return await self._attempt(request)
                    except (OSError, Lost) as error:
                        why = described(error)
                        self._troubles.tell(TroubleKind.READ, f"{request.name}: {why}", error)
        except TimeoutError:
            why = f"timeout_ms={timeout_ms} passed; {why}"
        raise Unreachable(f"{self._name}: {request.name}: {why}")

    async def write(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        timeout_ms: int,
    ) -> Reply:
        """Send a request that changes something, once.

        Raise `Unreachable` when certainly not one byte of it left (no route, refused, no name);
        `OutcomeUnknown` when it may have left and no usable answer came; `ValueError` for what
        HTTP cannot say (a bug, and nothing was sent).
        """
        request = self._request(method, path, query, body, headers)
        try:
            async with Within(self._clock, timeout_ms):
                return await self._attempt(request)
        except TimeoutError:
            why = f"no answer within timeout_ms={timeout_ms}"
        except (OSError, Lost) as error:
            why = described(error)
        kind = Unreachable if request.sent is None else OutcomeUnknown
        raise kind(f"{self._name}: {request.name}: {why}")

    def _request(
        self, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str] | None
    ) -> _Request:
        length = {"Content-Length": str(len(body))} if body or method != "GET" else {}
        said = {"Host": self._address.netloc, **self._headers, **(headers or {}), **length}
        return _Request(
            method=method,
            path=path,
            target=f"{path}?{query}" if query else path,
            headers=[(name.encode(), value.encode()) for name, value in said.items()],
            body=body,
        )

    async def _attempt(self, request: _Request) -> Reply:
        async with self._slots:
            line = await self._open_line()
            try:
                data = line.written(request.method, request.target, request.headers, request.body)
                request.sent = sent = self._clock.now()
                answer = await line.send(data)
            except BaseException:
                line.abort()
                raise
            received = line.used_at = self._clock.now()
            if line.idle:
                self._idle.append(line)
            return _reply(answer, sent, received)

    async def _open_line(self) -> HttpLine:
        """Return the connection used last, or a new one: then nothing was sent so far."""
        clock, limits = self._clock, self._limits
        while self._idle:
            line = self._idle.pop()
            young = clock.now() - line.used_at <= limits.keep_alive_ms * MS
            if young and line.idle and line.at_peace():
                return line
            line.abort()
        self._lines = {line for line in self._lines if not line.gone}
        async with Within(clock, limits.connect_timeout_ms):
            line = await connect(
                self._address,
                tls=self._tls,
                body_bytes_max=limits.body_bytes_max,
                head_bytes_max=limits.head_bytes_max,
            )
        self._lines.add(line)
        return line

    async def _keep_warm(self) -> None:
        clock, limits = self._clock, self._limits
        while True:
            await clock.sleep_until(clock.now() + limits.warm_every_ms * MS)
            try:
                await self.read("GET", self._warm_path, timeout_ms=limits.connect_timeout_ms)
            except Unreachable:
                continue  # each attempt was told


def _reply(answer: Answer, sent: int, received: int) -> Reply:
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Reply(
        status=answer.status, headers=headers, body=answer.body, sent=sent, received=received
    )
