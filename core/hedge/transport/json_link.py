"""A venue of JSON over REST and WebSocket: what its roles share, but for its own words.

A plugin says how a request is signed, what the time is, what is listed, and what its codes prove;
everything a network does to that is here.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from pydantic import BaseModel, ConfigDict

from hedge.errors import Missing, OutcomeUnknown, Unreachable
from hedge.model import Instrument, InstrumentKind, Leg, Order, StreamKind
from hedge.roles import VenueContext, VenueLimits
from hedge.transport.clock_offset import ClockOffset
from hedge.transport.listings import Listed, Listings
from hedge.transport.rest import Reply, Rest
from hedge.transport.rows import Row
from hedge.transport.session import Session, SessionRole
from hedge.transport.talk import Talk
from hedge.transport.verdicts import Verdicts

T = TypeVar("T")
M = TypeVar("M", bound=Listed)
KINDS = {Leg.SPOT: InstrumentKind.SPOT, Leg.FUTURES: InstrumentKind.PERPETUAL}

log = logging.getLogger(__name__)


class JsonSettings(BaseModel):
    """``[venues.NAME]``: where it is and how patient we are; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = "live"
    url: str = ""
    recv_window_ms: int = 2_000
    """How late a request that no order gives a time to may arrive."""
    ack_timeout_ms: int = 3_000
    read_timeout_ms: int = 3_000
    silence_ms: int = 5_000
    """After how long without a message a stream is asked whether it lives."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it is to be signed, exactly as it will be sent."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    at: int
    """The time to sign with, in the venue's own, ns."""
    valid_ms: int


class JsonLink(Session, ABC, Generic[M]):
    """One account's connections; `M` is an instrument with what the venue calls it."""

    verdicts: ClassVar[Verdicts]
    grain_ns: ClassVar[int] = 1_000_000
    """The unit of the venue's clock."""
    stream_path: ClassVar[str]
    """Of its WebSocket."""
    beat: ClassVar[Mapping[str, Any]]
    """The request on it that has no other purpose than an answer."""

    def __init__(self, context: VenueContext) -> None:
        super().__init__(context)
        assert isinstance(context.settings, JsonSettings)
        self.settings: JsonSettings = context.settings
        self.offset = ClockOffset(self.clock, grain_ns=self.grain_ns)
        self.rest = Rest(
            self.settings.url, name=self.verdicts.name, clock=self.clock, on_trouble=log.debug
        )
        self.markets = Listings[M](self.verdicts.name, self.read_markets)

    @abstractmethod
    def sign(self, ask: Ask) -> Mapping[str, str]:
        """Return what makes it the account's request: the headers of one over REST."""

    @abstractmethod
    def subscribe(self, topic: str) -> Mapping[str, Any]:
        """Return the request on a new WebSocket that has the topic told; it is signed anew."""

    @abstractmethod
    async def read_time(self) -> tuple[Reply, int]:
        """Return an answer, and the venue's time in it, ns UTC."""

    @abstractmethod
    async def read_markets(self) -> Iterable[M]:
        """Return all that is listed now."""

    async def begin(self) -> None:
        """Open the REST session, and learn the venue's clock."""
        await self.stack.enter_async_context(self.rest)
        await self.learn_clock()

    async def learn_clock(self) -> int:
        """Return the venue's time, ns UTC, and learn how far ours is from it."""
        reply, at = await self.read_time()
        self.offset.learn(sent=reply.sent, received=reply.received, server_at=at)
        return at

    async def read(self, take: Callable[[Any], T], path: str, **query: object) -> T:
        """Return what ``take`` makes of the answer; `Unreachable` where there is none."""
        limit = self.settings.read_timeout_ms
        text, now = urlencode(query), self.offset.now()
        ask = Ask(method="GET", path=path, query=text, at=now, valid_ms=limit)
        reply = await self.rest.read(
            "GET", path, query=text, headers=self.sign(ask), timeout_ms=limit
        )
        return self.verdicts.judge(reply, take, Unreachable)

    async def write(
        self,
        take: Callable[[Any], T],
        method: str,
        path: str,
        body: object,
        *,
        order: Order | None = None,
    ) -> T:
        """Send what changes something, once, with the order's own time where there is one.

        Raise `OutcomeUnknown` for whatever leaves open whether it was done.
        """
        data, settings = msgspec.json.encode(body), self.settings
        at, valid_ms = self.offset.now(), settings.recv_window_ms
        if order is not None:
            at, valid_ms = order.signed_at, order.recv_window_ms
        headers = self.sign(Ask(method=method, path=path, body=data, at=at, valid_ms=valid_ms))
        limit = settings.ack_timeout_ms
        reply = await self.rest.write(method, path, body=data, headers=headers, timeout_ms=limit)
        return self.verdicts.judge(reply, take, OutcomeUnknown)

    def signed_now(self, method: str, path: str) -> Mapping[str, str]:
        """Sign what is no request over REST (a subscription) with the time it is."""
        window = self.settings.recv_window_ms
        return self.sign(Ask(method=method, path=path, at=self.offset.now(), valid_ms=window))

    async def hear(
        self,
        kind: StreamKind,
        topic: str,
        sink: Callable[[Any], None],
        take: Callable[[Row], Iterable[Any]],
    ) -> None:
        """Open a WebSocket of its own for one topic; it lives as long as the link.

        ``sink`` is told of the stream's state, and of what ``take`` makes of each row: all of it,
        or nothing of a row that makes no sense. The clock is learned anew with each connection.
        """

        def on_row(row: Row) -> None:
            for news in list(take(row)):
                sink(news)

        talk = Talk(
            f"ws{self.settings.url.removeprefix('http')}{self.stream_path}",
            verdicts=self.verdicts,
            clock=self.clock,
            kind=kind,
            on_row=on_row,
            on_state=sink,
            on_trouble=log.debug,
            subscribe=lambda: self.subscribe(topic),
            beat=self.beat,
            silence_ms=self.settings.silence_ms,
            refresh=self.learn_clock,
        )
        await self.stack.enter_async_context(talk)


L = TypeVar("L", bound=JsonLink[Any])


class JsonRole(SessionRole[L]):
    """What any role of a leg can answer from the link alone."""

    leg: ClassVar[Leg] = Leg.FUTURES

    @property
    def limits(self) -> VenueLimits:
        """Return those of the settings; a venue that sits on requests has its own to add."""
        settings = self.session.settings
        return VenueLimits(
            recv_window_ms=settings.recv_window_ms, ack_timeout_ms=settings.ack_timeout_ms
        )

    async def market(self, symbol: str) -> Any:
        """Return an instrument of this leg; `Missing` where there is none."""
        market = await self.session.markets.get(symbol)
        if market.instrument.kind is not KINDS[self.leg]:
            raise Missing(f"{self.session.verdicts.name}: {symbol} is of the other leg")
        return market

    async def read_instruments(self) -> tuple[Instrument, ...]:
        listed = (one.instrument for one in await self.session.markets.all())
        return tuple(one for one in listed if one.kind is KINDS[self.leg])

    async def read_instrument(self, symbol: str) -> Instrument:
        await self.session.markets.all()
        found: Instrument = (await self.market(symbol)).instrument
        return found

    async def read_clock(self) -> int:
        return await self.session.learn_clock()

    async def read_clock_offset_ms(self) -> int:
        await self.session.learn_clock()
        return self.session.offset.offset_ms
