"""`pybit` in two threads of its own: everything that is not in a hurry.

Its retries are switched off (it would sleep for seconds, and send an order twice), its clock is
replaced by the venue's, and whatever it raises becomes an error of `hedge.errors`.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from pybit.exceptions import (  # type: ignore[import-untyped] # pybit has no types
    FailedRequestError,
    InvalidRequestError,
)
from pybit.unified_trading import HTTP  # type: ignore[import-untyped] # pybit has no types
from requests.exceptions import ConnectTimeout, RequestException

from hedge.errors import ConfigError, Malformed, OutcomeUnknown, Unreachable
from hedge.transport import ClockOffset
from hedge_bybit.access import Access
from hedge_bybit.allowance import Allowance
from hedge_bybit.errors import command_error, read_error, status_error

THREADS = 2
NO_CODE = -1
"""pybit replaces an empty set of codes to retry by its own; this code does not exist."""
SPARE_S = 2
"""How much longer than its timeout a request may hold a thread before nobody waits any more."""

T = TypeVar("T")
Ask = Callable[[Any], Any]
"""Calls one method of `pybit.unified_trading.HTTP`, in a thread."""


class _Session(HTTP):  # type: ignore[misc] # pybit has no types
    """pybit's session, stamped with the venue's time and signed by our key."""

    def __init__(
        self, url: str, access: Access | None, offset: ClockOffset, **options: Any
    ) -> None:
        super().__init__(
            max_retries=1,
            retry_codes={NO_CODE},
            return_response_headers=True,
            logging_level=logging.CRITICAL,
            **options,
        )
        self.endpoint = url
        self._access = access
        self._offset = offset

    def _prepare_headers(
        self, payload: str, recv_window: int, content_type: str = "application/json"
    ) -> dict[str, str]:
        if self._access is None:
            raise ConfigError("bybit: this needs an account with api_key and api_secret")
        headers = self._access.headers(self._offset.now_ms(), recv_window, payload)
        return headers | {"Content-Type": content_type}


class Cold:
    """Calls of pybit that can be awaited; open and close it."""

    def __init__(
        self,
        url: str,
        access: Access | None,
        offset: ClockOffset,
        allowance: Allowance,
        *,
        timeout_ms: int,
        recv_window_ms: int,
    ) -> None:
        self._url = url
        self._host = urlsplit(url).netloc
        """What is said of an error: the words of pybit's may hold a whole address."""
        self._access = access
        self._offset = offset
        self._recv_window_ms = recv_window_ms
        self._allowance = allowance
        self._timeout_ms = timeout_ms
        self._local = threading.local()
        self._threads: ThreadPoolExecutor | None = None

    def open(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bybit-cold")

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def read(self, ask: Ask, kind: type[T]) -> T:
        """Return the ``result`` of an answer; raise what `read_error` makes of anything else."""
        try:
            return await self._run(ask, kind)
        except InvalidRequestError as error:
            raise read_error(*_words(error), retry_after_s=self._heard_code(error)) from None
        except FailedRequestError as error:
            wait_s = self._heard_status(error)
            raise status_error(int(error.status_code), read=True, retry_after_s=wait_s) from None
        except (RequestException, TimeoutError) as error:
            raise Unreachable(f"bybit: {self._host}: {type(error).__name__}") from None

    async def command(self, ask: Ask) -> None:
        """Have something changed, once; raise what `command_error` makes of a refusal."""
        try:
            await self._run(ask, dict[str, Any])
        except InvalidRequestError as error:
            raise command_error(*_words(error), retry_after_s=self._heard_code(error)) from None
        except FailedRequestError as error:
            self._heard_status(error)
            raise status_error(int(error.status_code), read=False) from None
        except ConnectTimeout:
            raise Unreachable(f"bybit: no connection to {self._host}") from None
        except (RequestException, TimeoutError, Malformed) as error:
            raise OutcomeUnknown(f"bybit: {self._host}: {type(error).__name__}") from None

    async def _run(self, ask: Ask, kind: type[T]) -> T:
        threads = self._threads
        if threads is None:
            raise Unreachable("bybit: not open")
        await self._allowance.take(timeout_ms=self._timeout_ms)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_ms / 1_000 + SPARE_S):
            answer = await loop.run_in_executor(threads, self._ask, ask)
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise Malformed(f"bybit: {error}") from None

    def _ask(self, ask: Ask) -> Any:
        session: _Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _Session(
                self._url,
                self._access,
                self._offset,
                timeout=self._timeout_ms / 1_000,
                recv_window=self._recv_window_ms,
            )
        try:
            answer, _, _ = ask(session)
            return answer["result"]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            # What pybit raises for JSON that is no answer of Bybit's.
            raise Malformed(f"bybit: {type(error).__name__} in an answer") from None

    def _heard_code(self, error: InvalidRequestError) -> int:
        return self._allowance.heard(error.resp_headers or {}, code=int(error.status_code))

    def _heard_status(self, error: FailedRequestError) -> int:
        return self._allowance.heard(error.resp_headers or {}, status=int(error.status_code))


def _words(error: InvalidRequestError) -> tuple[int, str]:
    return int(error.status_code), str(error.message)
