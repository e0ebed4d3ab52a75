"""The way of one request to the venue and of its answer back, through latency and faults."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from hedge.errors import Limited, OutcomeUnknown, Refused, Unreachable, VenueError
from hedge.model.numbers import MS
from hedge_sim.faults import RequestFate
from hedge_sim.venue import SimVenue

T = TypeVar("T")


class Moment:
    """What a request is performed with; times are the recording's."""

    __slots__ = ("arrived", "as_of", "at", "fate")

    def __init__(self, at: int, arrived: int, fate: RequestFate) -> None:
        self.at = at
        self.arrived = arrived
        """The venue checks the age of a signature on arrival, before it lets a request wait."""
        self.fate = fate
        self.as_of: int | None = at - fate.stale if fate.stale else None


class Request(Generic[T]):
    """One request; `answer` resolves to the result, the refusal, or what the client makes of it."""

    def __init__(self, venue: SimVenue, perform: Callable[[Moment], T], *, mutates: bool) -> None:
        self._venue = venue
        self._perform = perform
        self._mutates = mutates
        at = venue.at()
        self._fate = venue.plan.order_fate(at) if mutates else venue.plan.read_fate(at)
        self._answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._arrived = 0

    async def answer(self) -> T:
        venue, fate, clock = self._venue, self._fate, self._venue.clock
        now = clock.now()
        venue.advance(now)
        venue.show()
        cut = now < venue.unreachable_until
        if cut or fate.read_error:
            # Time must pass, or whoever tries again at once would try for ever.
            await clock.sleep_until(now + fate.out + fate.back + MS)
            raise Unreachable("sim cannot be reached" if cut else "HTTP 502 on a read")
        timeout = clock.call_at(now + venue.limits.ack_timeout_ms * MS, self._time_out)
        if not fate.lost:
            clock.call_at(now + fate.out, self._arrive)
        try:
            return await self._answer
        finally:
            timeout.cancel()

    def _time_out(self) -> None:
        text = f"no answer within {self._venue.limits.ack_timeout_ms} ms"
        self._fail(OutcomeUnknown(text) if self._mutates else Unreachable(text))

    def _fail(self, error: VenueError) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)

    def _arrive(self) -> None:
        venue, fate = self._venue, self._fate
        self._arrived = venue.at()
        if venue.is_closed:
            return
        left_s = venue.plan.limited_for(self._arrived, struck=fate.rate_limit)
        if left_s:
            error = Limited(f"wait {left_s} s", code="RATE_LIMIT", retry_after_s=left_s)
            self._back(lambda: self._fail(error))
        elif fate.error_refused:
            self._back(lambda: self._fail(OutcomeUnknown("HTTP 503")))
        elif fate.reject_code:
            refused = Refused(fate.reject_code.lower(), code=fate.reject_code)
            self._back(lambda: self._fail(refused))
        elif fate.slow:
            venue.clock.call_at(venue.clock.now() + fate.slow, self._process)
        else:
            self._process()

    def _process(self) -> None:
        venue, fate = self._venue, self._fate
        if venue.is_closed:
            return
        venue.advance(venue.clock.now())
        error: VenueError | None = None
        try:
            result = self._perform(Moment(venue.at(), self._arrived, fate))
        except VenueError as refused:
            error = refused
        if self._mutates:
            venue.stay_awake()
            venue.drain()
            venue.arm()
        if fate.reply_lost:
            return
        if fate.error_accepted:
            self._back(lambda: self._fail(OutcomeUnknown("HTTP 503, status unknown")))
        elif error is not None:
            found = error
            self._back(lambda: self._fail(found))
        else:
            self._back(lambda: self._succeed(result))

    def _succeed(self, result: T) -> None:
        if not self._answer.done():
            self._answer.set_result(result)

    def _back(self, deliver: Callable[[], None]) -> None:
        clock = self._venue.clock
        clock.call_at(clock.now() + self._fate.back, deliver)


async def ask(venue: SimVenue, perform: Callable[[Moment], T]) -> T:
    """Read something."""
    return await Request(venue, perform, mutates=False).answer()


async def command(venue: SimVenue, perform: Callable[[Moment], T]) -> T:
    """Change something; what gets no answer is `OutcomeUnknown`."""
    return await Request(venue, perform, mutates=True).answer()
