"""The way to the venue: one request at a time, each outcome named, and the one stream of news."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable, VenueError
from hedge.model import Leg, StreamDown, StreamKind, StreamUp
from hedge.model.numbers import MS
from hedge.roles import VenueContext
from hedge_served_sim import wire
from hedge_served_sim.http import Connection, NoAnswerError, NotSentError
from hedge_served_sim.settings import ServedSettings

T = TypeVar("T")
Sink = Callable[[Any], None]
OK = 200
LIMITED = 429
TEAPOT = 418
CLIENT_ERRORS = range(400, 500)
STATES = {wire.MARKET: StreamKind.MARKET, wire.ACCOUNT: StreamKind.ACCOUNT}

_problem = msgspec.json.Decoder(wire.Problem).decode
_line = msgspec.json.Decoder(wire.Line).decode


class SurpriseError(RuntimeError):
    """What nobody foresaw; carries the answer as it came, as careless code does."""


class Link:
    """What all roles of one account share; opened by the first of them, closed by the last."""

    def __init__(self, context: VenueContext) -> None:
        assert isinstance(context.settings, ServedSettings)
        self.settings: ServedSettings = context.settings
        self.clock = context.clock
        self._key = context.secrets.get("api_key", "")
        self._secret = context.secrets.get("api_secret", "")
        self._users = 0
        self._sinks: dict[tuple[str, Leg, str], list[Sink]] = {}
        self._follower: asyncio.Task[None] | None = None
        self._up = False

    def open(self) -> None:
        self._users += 1

    async def close(self) -> None:
        self._users -= 1
        if self._users == 0 and self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
            self._follower = None

    # -- requests --------------------------------------------------------------------------------

    def _headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        sign = wire.signature(self._secret, method, target, body)
        return {wire.KEY_HEADER: self._key, wire.SIGN_HEADER: sign}

    async def ask(
        self, method: str, path: str, kind: type[T], body: object = None, **query: object
    ) -> T:
        """Ask for something that changes nothing."""
        limit_s = self.settings.read_timeout_ms / 1000
        try:
            async with asyncio.timeout(limit_s):
                return await self._exchange(method, path, kind, body, query)
        except TimeoutError:
            raise Unreachable(f"no answer within {limit_s} s") from None
        except (NotSentError, NoAnswerError, msgspec.MsgspecError, OutcomeUnknown) as error:
            raise Unreachable(f"{method} {path}: {error}") from None

    async def command(
        self, method: str, path: str, kind: type[T], body: object = None, **query: object
    ) -> T:
        """Ask for something that changes the account: sent once, and in doubt without an answer."""
        try:
            return await self._exchange(method, path, kind, body, query)
        except NotSentError as error:
            raise Unreachable(f"not sent: {error}") from None
        except (NoAnswerError, msgspec.MsgspecError, SurpriseError) as error:
            raise OutcomeUnknown(type(error).__name__) from None

    async def _exchange(
        self, method: str, path: str, kind: type[T], body: object, query: dict[str, object]
    ) -> T:
        target = f"{path}?{urlencode(query)}" if query else path
        data = b"" if body is None else msgspec.json.encode(body)
        async with Connection(self.settings.port) as connection:
            status, headers = await connection.send(
                method, target, self._headers(method, target, data), data
            )
            answer = await connection.body(headers)
        if status == OK:
            return msgspec.json.decode(answer, type=kind)
        raise _error(status, answer)

    # -- the stream ------------------------------------------------------------------------------

    def listen(self, channel: str, leg: Leg, symbol: str, sink: Sink) -> None:
        self._sinks.setdefault((channel, leg, symbol), []).append(sink)
        if self._follower is None:
            self._follower = asyncio.get_running_loop().create_task(self._follow())
        elif self._up and channel in STATES:
            sink(StreamUp(kind=STATES[channel]))

    async def _follow(self) -> None:
        """Stay connected: whatever ends the stream is news, and the next connection is sought."""
        while True:
            why = "CLOSED"
            try:
                await self._stream()
            except (NotSentError, NoAnswerError, VenueError) as error:
                why = str(error)
            except (msgspec.MsgspecError, SurpriseError, KeyError) as error:
                why = type(error).__name__
            self._up = False
            for channel, kind in STATES.items():
                self._tell(channel, StreamDown(kind=kind, why=why))
            await self.clock.sleep_until(self.clock.now() + self.settings.reconnect_ms * MS)

    async def _stream(self) -> None:
        target = "/stream"
        async with Connection(self.settings.port) as connection:
            async with asyncio.timeout(self.settings.silence_ms / 1000) as limit:
                status, headers = await connection.send(
                    "GET", target, self._headers("GET", target, b"")
                )
                limit.reschedule(None)
            if status != OK:
                raise _error(status, await connection.body(headers))
            self._up = True
            for channel, kind in STATES.items():
                self._tell(channel, StreamUp(kind=kind))
            async for raw in connection.lines(self.settings.silence_ms / 1000):
                line = _line(raw)
                news = msgspec.json.decode(line.news, type=wire.NEWS[line.kind])
                for sink in self._sinks.get((line.channel, line.leg, line.symbol), ()):
                    sink(news)

    def _tell(self, channel: str, news: object) -> None:
        for (listened, _, _), sinks in self._sinks.items():
            if listened == channel:
                for sink in sinks:
                    sink(news)


def _error(status: int, answer: bytes) -> Exception:
    """Name an answer that is not 200; only a code of our table is a definite no."""
    if status == TEAPOT:
        return SurpriseError(f"HTTP {status}: {answer.decode('utf-8', 'replace')}")
    if status not in CLIENT_ERRORS:
        return OutcomeUnknown(f"HTTP {status}")
    try:
        problem = _problem(answer)
    except msgspec.MsgspecError:
        return OutcomeUnknown(f"HTTP {status}, not readable")
    if problem.code == wire.MISSING:
        return Missing(problem.message)
    if problem.code == wire.LIMITED and status == LIMITED:
        return Limited(problem.message, code=problem.code, retry_after_s=problem.retry_after_s)
    if problem.code in wire.REFUSALS:
        return Refused(problem.message, code=problem.code)
    return OutcomeUnknown(f"HTTP {status} {problem.code}")
