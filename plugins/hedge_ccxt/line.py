"""One leg's instance of ccxt as we call it: bounded in time, paced by our budget, errors sorted."""

import asyncio
import logging
from typing import Any

from hedge.errors import ConfigError, Limited
from hedge.model.numbers import MS, SECOND
from hedge.roles import Clock
from hedge.transport import Bucket, RateBudget
from hedge_ccxt.config import CcxtSettings
from hedge_ccxt.errors import (
    BANNED,
    TOO_MANY,
    Answer,
    answer_of,
    code_of,
    order_error,
    read_error,
    unchanged,
)
from hedge_ccxt.profiles.profile import Profile
from hedge_ccxt.sdk import FAULTS, Note, base_error, exact, noting

REQUESTS = "requests"
PACE_MAX_MS = 1_000
"""The longest an order waits for room; after that it is refused, unsent."""

log = logging.getLogger("hedge_ccxt")


def budget_of(clock: Clock, settings: CcxtSettings) -> RateBudget:
    """Return the budget both legs of a venue draw on; ccxt's own limiter is off."""
    return RateBudget(
        clock,
        [
            Bucket(
                name=REQUESTS,
                capacity=settings.requests_per_second,
                window_ms=1_000,
                reserve=settings.requests_reserve,
            )
        ],
    )


class Line:
    """Calls of one ccxt instance, by the name of the method."""

    def __init__(
        self,
        exchange: Any,
        profile: Profile,
        settings: CcxtSettings,
        clock: Clock,
        budget: RateBudget,
    ) -> None:
        self.exchange = exchange
        self.profile = profile
        self._settings = settings
        self._clock = clock
        self._budget = budget
        self.faults = (base_error(), *FAULTS)
        self.venue = f"ccxt:{profile.name}"

    def has(self, feature: str) -> bool:
        """Return whether ccxt offers a unified method, emulated or not."""
        return bool(self.exchange.has.get(feature))

    async def read(self, method: str, *given: Any, **named: Any) -> Any:
        """Return what a method that changes nothing answers; tried twice, then an error."""
        for last in (False, True):
            await self._budget.take({REQUESTS: 1}, timeout_ms=self._settings.read_timeout_ms)
            note = Note()
            try:
                return await self._call(
                    note, self._settings.read_timeout_ms, method, *given, **named
                )
            except self.faults as error:
                answer = self._answer(error, note, sent=True)
                if last or not answer.causes & {"ServerDisconnectedError", "ClientOSError"}:
                    raise read_error(answer, self.profile.codes, self.venue) from None
        raise AssertionError("the last try returns or raises")

    async def order(
        self, method: str, *given: Any, urgent: bool, stamp_ms: int = 0, **named: Any
    ) -> Any:
        """Send a request about an order, once; what it raises says what is certain."""
        await self._pace(urgent=urgent)
        note = Note(stamp_ms=stamp_ms)
        try:
            return await self._call(note, self._settings.ack_timeout_ms, method, *given, **named)
        except self.faults as error:
            answer = self._answer(error, note, sent=note.sent)
            raise order_error(answer, self.profile.codes, self.venue) from None

    async def set(self, method: str, *given: Any, **named: Any) -> None:
        """Have a setting changed; that it was so already is as good."""
        await self._budget.take({REQUESTS: 1}, timeout_ms=self._settings.read_timeout_ms)
        note = Note()
        try:
            await self._call(note, self._settings.read_timeout_ms, method, *given, **named)
        except self.faults as error:
            answer = self._answer(error, note, sent=note.sent)
            if not unchanged(answer, self.profile.codes):
                raise order_error(answer, self.profile.codes, self.venue) from None

    async def watch(self, method: str, *given: Any) -> Any:
        """Wait for a stream's next news, however long; raise one of `faults`."""
        with exact():
            return await getattr(self.exchange, method)(*given)

    async def _call(
        self, note: Note, timeout_ms: int, method: str, *given: Any, **named: Any
    ) -> Any:
        call = getattr(self.exchange, method, None)
        if call is None:
            raise ConfigError(f"{self.venue}: ccxt has no {method} for it")
        with noting(note), exact():
            async with asyncio.timeout(timeout_ms / 1_000):
                return await call(*given, **named)

    def _answer(self, error: BaseException, note: Note, *, sent: bool) -> Answer:
        """Return what is known of a request; after one too many, send nothing for a while.

        In a ban no hedge either: each further request prolongs it.
        """
        answer = answer_of(error, sent=sent, status=note.status, retry_after_s=note.retry_after_s)
        if answer.names & TOO_MANY or code_of(answer.text) in self.profile.codes.limited:
            until = self._clock.now() + answer.retry_after_s * SECOND
            self._budget.close(until=until, urgent_too=answer.status in BANNED)
        return answer

    async def _pace(self, *, urgent: bool) -> None:
        until = self._clock.now() + PACE_MAX_MS * MS
        while wait := self._budget.try_take({REQUESTS: 1}, urgent=urgent):
            if self._clock.now() + wait > until:
                raise Limited(
                    f"{self.venue}: over our own rate limit",
                    code="PACED",
                    retry_after_s=max(1, wait // SECOND),
                )
            await self._clock.sleep_until(self._clock.now() + wait)

    # -- the sockets -----------------------------------------------------------------------------

    def connected(self) -> bool:
        """Return whether every socket of the instance is open, and there is one."""
        clients = self._sockets()
        return bool(clients) and all(one.isConnected and not one.closed() for one in clients)

    def _sockets(self) -> list[Any]:
        """Return the real ones: ccxt keeps a lock of Binance's among them, without an address."""
        return [one for url, one in (self.exchange.clients or {}).items() if "://" in url]
