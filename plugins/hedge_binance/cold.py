"""The cold path: python-binance's `AsyncClient`, with honest outcomes and typed answers.

The SDK builds the URL, signs and keeps the connections; what it would do with an answer is
replaced: the body is decoded once, typed; an error is sorted by `codes`; the clock offset is
measured all the time and not once; requests draw on a budget that keeps a part for orders.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec
from binance.async_client import AsyncClient  # type: ignore[import-untyped]  # the SDK has no types

from hedge.errors import Limited, Malformed, OutcomeUnknown, Unreachable, VenueError
from hedge.model import Leg
from hedge.model.numbers import MS, SECOND
from hedge.roles import Clock
from hedge.transport import Bucket, ClockOffset, RateBudget
from hedge_binance import wire
from hedge_binance.codes import TIMESTAMP, order_error, read_error
from hedge_binance.config import BinanceSettings
from hedge_binance.parse import decoder
from hedge_binance.sign import Key

T = TypeVar("T")
Ask = Callable[["SdkClient"], Awaitable[Any]]
WEIGHT, ORDERS = "weight", "orders"
WEIGHTS = {Leg.SPOT: 6_000, Leg.FUTURES: 2_400}
"""Request weight a minute: ``rateLimits`` of the two ``exchangeInfo`` (2025-08)."""
RESERVE = 5
"""One part in so many is kept for hedges and cancels."""
CONNECTIONS_MAX = 8
KEEP_ALIVE_S = 600
"""aiohttp's own 15 s would cost the next order a new TLS connection."""
CLOCK_EVERY = 20 * SECOND
"""How often the clock is asked, which also keeps a connection warm."""
BODY_BYTES_MAX = 33_554_432
_OK = range(200, 300)
_BANNED = 418
_AT, _WINDOW = "_signed_ms", "_window_ms"

_error_body = msgspec.json.Decoder(wire.ErrorBody).decode
_server_time = decoder(wire.ServerTime)


class AnswerError(Exception):
    """An HTTP answer that is not a success, as it came."""

    def __init__(self, status: int, code: int, text: str, retry_after_s: int) -> None:
        super().__init__(f"HTTP {status} {code}")
        self.status = status
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s


class SdkClient(AsyncClient):  # type: ignore[misc]  # the SDK is not typed
    """python-binance's client; answers come as bytes, and requests are stamped by ``stamp``."""

    def __init__(
        self,
        key: Key | None,
        settings: BinanceSettings,
        *,
        sapi_url: str,
        stamp: Callable[[], int],
        heard: Callable[[Any], None],
    ) -> None:
        limit = aiohttp.ClientTimeout(total=settings.read_timeout_ms / 1_000)
        super().__init__(
            api_key=key.api_key if key else None,
            api_secret=key.secret or None if key else None,
            private_key=key.pem or None if key else None,
            requests_params={"timeout": limit},
            session_params={
                "connector": aiohttp.TCPConnector(
                    limit=CONNECTIONS_MAX, keepalive_timeout=KEEP_ALIVE_S
                )
            },
        )
        hosts = settings.hosts
        self.API_URL = f"{hosts.spot_url}/api"
        self.MARGIN_API_URL = f"{sapi_url}/sapi"
        self.FUTURES_URL = f"{hosts.futures_url}/fapi"
        self._stamp = stamp
        self._window_ms = settings.read_window_ms
        self._heard = heard

    def _generate_signature(self, data: dict[str, Any], uri_encode: bool = True) -> str:
        # The SDK stamps with its own clock, measured once; an order is stamped by its decision.
        data["timestamp"] = data.pop(_AT, None) or self._stamp()
        data["recvWindow"] = data.pop(_WINDOW, self._window_ms)
        signature: str = super()._generate_signature(data, uri_encode)
        return signature

    async def _handle_response(self, response: aiohttp.ClientResponse) -> bytes:
        self._heard(response.headers)
        body = await _whole(response)
        if response.status in _OK:
            return body
        try:
            error = _error_body(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            error = wire.ErrorBody(msg=body[:100].decode("ascii", "replace"))
        retry = response.headers.get("Retry-After", "")
        raise AnswerError(
            response.status, error.code, error.msg, int(retry) if retry.isdecimal() else 0
        )


def _buckets(leg: Leg, settings: BinanceSettings) -> tuple[Bucket, Bucket]:
    weight = WEIGHTS[leg]
    orders = settings.spot_orders_10s if leg is Leg.SPOT else settings.futures_orders_10s
    return (
        Bucket(name=WEIGHT, capacity=weight, window_ms=60_000, reserve=weight // RESERVE),
        Bucket(name=ORDERS, capacity=orders, window_ms=10_000, reserve=orders // RESERVE),
    )


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    left = BODY_BYTES_MAX
    async for part in response.content.iter_any():
        left -= len(part)
        if left < 0:
            raise aiohttp.ClientPayloadError(f"more than {BODY_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _lost(error: Exception) -> str:
    """Say what could not be reached; of other errors the class: an address holds a signature."""
    name = type(error).__name__
    if not isinstance(error, aiohttp.ClientConnectorError):
        return name
    cause: OSError | None = getattr(error, "os_error", None)  # a certificate's has none
    why = cause.strerror if cause is not None and cause.strerror else name
    return f"cannot reach {error.host}:{error.port}: {why}"


class Cold:
    """REST of one market."""

    def __init__(self, leg: Leg, key: Key | None, settings: BinanceSettings, clock: Clock) -> None:
        self.leg = leg
        self.offset = ClockOffset(clock)
        self.budget = RateBudget(clock, _buckets(leg, settings))
        self._futures = leg is Leg.FUTURES
        self._key = key
        self._settings = settings
        self._clock = clock
        self._client: SdkClient | None = None
        self._asked_at = 0

    async def __aenter__(self) -> Self:
        hosts = self._settings.hosts
        # Binance has /sapi on the spot host alone; a simulated market is its own whole venue.
        own = self._futures and self._settings.environment == "local"
        self._client = SdkClient(
            self._key,
            self._settings,
            sapi_url=hosts.futures_url if own else hosts.spot_url,
            stamp=self.offset.now_ms,
            heard=self._heard,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        if self._client is not None:
            await self._client.close_connection()
            self._client = None

    def _heard(self, headers: Any) -> None:
        used = headers.get("X-MBX-USED-WEIGHT-1M", "")
        if used.isdecimal():
            self.budget.observe(WEIGHT, used=int(used))
        count = headers.get("X-MBX-ORDER-COUNT-10S", "")
        if count.isdecimal():
            self.budget.observe(ORDERS, used=int(count))

    def _open(self) -> SdkClient:
        if self._client is None:
            raise Unreachable("binance: closed")
        return self._client

    # -- the clock -------------------------------------------------------------------------------

    async def read_clock(self) -> int:
        """Return the venue's time (ns), and learn the offset by it."""
        client = self._open()
        sent = self._clock.now()
        call = client.futures_time if self._futures else client.get_server_time
        found = _server_time(await self._read(lambda _: call(), 1))
        self.learn_clock(sent, found.server_time)
        return found.server_time * MS

    def learn_clock(self, sent: int, server_ms: int) -> None:
        """Take a sample: ``sent`` ns of our clock, received now."""
        self._asked_at = now = self._clock.now()
        self.offset.learn(sent=sent, received=now, server_at=server_ms * MS)

    async def _fresh_clock(self) -> None:
        """Signed reads need the venue's time; without an answer the last offset serves."""
        if self.offset.known and self._clock.now() - self._asked_at <= 3 * CLOCK_EVERY:
            return
        try:
            await self.read_clock()
        except (VenueError, Malformed):
            if not self.offset.known:
                raise

    # -- requests --------------------------------------------------------------------------------

    async def read(
        self, kind: type[T], ask: Ask, weight: int, *, signed: bool = True, urgent: bool = False
    ) -> T:
        """Ask for something that changes nothing; ``urgent`` may use what is kept for orders.

        Raise `Unreachable` without a usable answer, `Refused`, `Limited`, or `Missing` (-2013).
        """
        if signed:
            await self._fresh_clock()
        return _decode(kind, await self._read(ask, weight, urgent=urgent))

    async def _read(self, ask: Ask, weight: int, *, urgent: bool = False) -> Any:
        if not urgent or self.budget.try_take({WEIGHT: weight}, urgent=True):
            await self.budget.take({WEIGHT: weight}, timeout_ms=self._settings.read_timeout_ms)
        try:
            return await ask(self._open())
        except AnswerError as answer:
            self._brake(answer)
            if answer.code == TIMESTAMP:
                self._asked_at = 0
            raise read_error(
                answer.code,
                answer.text,
                futures=self._futures,
                status=answer.status,
                retry_after_s=answer.retry_after_s,
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"binance: {_lost(error)}") from None

    async def command(
        self,
        kind: type[T],
        ask: Ask,
        *,
        weight: int = 0,
        fine: tuple[int, ...] = (),
        stamped_already: bool = False,
    ) -> T | None:
        """Ask for a change, once; None where the venue answered with a code in ``fine``.

        An offset that is known serves, however old: to ask first could use up the time that the
        core gives a cancel. It is asked for all the time beside.
        Raise `Unreachable` when nothing left this machine, `OutcomeUnknown` when nobody knows.
        """
        client = self._open()
        self.check_open()
        if not (stamped_already or self.offset.known):
            await self.read_clock()
        self.budget.try_take({WEIGHT: weight}, urgent=True)
        try:
            body = await ask(client)
        except AnswerError as answer:
            if answer.code in fine:
                return None
            raise self._sorted(answer) from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"binance: not sent, {_lost(error)}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknown(f"binance: {type(error).__name__}") from None
        try:
            return _decode(kind, body)
        except Malformed as error:
            raise OutcomeUnknown(str(error)) from None

    def _sorted(self, answer: AnswerError) -> VenueError:
        self._brake(answer)
        return order_error(
            answer.code,
            answer.text,
            futures=self._futures,
            status=answer.status,
            retry_after_s=answer.retry_after_s,
        )

    def _brake(self, answer: AnswerError) -> None:
        self.limited(answer.status, answer.retry_after_s)

    def limited(self, status: int, retry_after_s: int) -> None:
        """Ask nothing before a limit is over; under a ban (418) not even an order."""
        if status in (429, _BANNED):
            until = self._clock.now() + max(retry_after_s, 1) * SECOND
            self.budget.close(until=until, urgent_too=status == _BANNED)

    def check_open(self) -> None:
        """Raise `Limited` under a ban, which each further request would prolong."""
        until = self.budget.closed_until(urgent=True)
        if until:
            after_s = max(-(-(until - self._clock.now()) // SECOND), 1)
            raise Limited("binance: banned for a while", code="BANNED", retry_after_s=after_s)

    def take_order(self, *, urgent: bool) -> None:
        """Draw one order from the budget; raise `Limited` instead of being refused by the venue."""
        wait = self.budget.try_take({ORDERS: 1}, urgent=urgent)
        if wait:
            after_s = -(-wait // SECOND)
            raise Limited("binance: our own order budget", code="BUDGET", retry_after_s=after_s)


def stamped(fields: dict[str, str], *, at_ms: int, window_ms: int) -> dict[str, Any]:
    """Return parameters that are signed with this time and window instead of the clock's."""
    return {**fields, _AT: at_ms, _WINDOW: window_ms}


_decoders: dict[Any, Callable[[bytes], Any]] = {}


def _decode(kind: type[T], body: bytes) -> T:
    decode = _decoders.get(kind)
    if decode is None:
        decode = _decoders[kind] = decoder(kind)
    found: T = decode(body)
    return found
