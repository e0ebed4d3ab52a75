"""Messages to one Telegram chat, and where commands are on, a poller beside them."""

import asyncio
import logging
import os
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

os.environ.setdefault("PTB_TIMEDELTA", "1")  # the SDK's own switch to its future, without warnings

from telegram import Bot, LinkPreviewOptions
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from hedge.model.numbers import SECOND
from hedge.roles import Alert, NotifierContext
from hedge_telegram.config import read_options
from hedge_telegram.errors import told
from hedge_telegram.poller import POLL_S, Poller

log = logging.getLogger("hedge_telegram")
TIMEOUT_S = 10
TEXT_CHARS_MAX = 4_096
"""https://core.telegram.org/bots/api#sendmessage"""


class Telegram:
    """A `hedge.roles.Notifier`; plain text, so nothing in a message can become markup."""

    def __init__(self, context: NotifierContext) -> None:
        self._context = context
        self._token, self._options = read_options(context)
        self._polling: asyncio.Task[None] | None = None
        self._bot: Bot

    async def __aenter__(self) -> Self:
        self._bot = Bot(
            self._token,
            base_url=f"{self._options.api.rstrip('/')}/bot",
            request=_http(TIMEOUT_S),
            get_updates_request=_http(POLL_S + TIMEOUT_S),
        )
        desk = self._context.desk
        if desk is not None:
            poller = Poller(self._bot, self._token, self._options, desk, self._context)
            self._polling = asyncio.get_running_loop().create_task(poller.run())
            self._polling.add_done_callback(_ended)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait({self._polling})
        # Without `Bot.initialize`, which asks for the bot's name and nothing that is needed,
        # `Bot.shutdown` does nothing: the connections are closed here.
        for request in (self._bot.request, self._bot._request[0]):  # noqa: SLF001 - no other way
            await request.shutdown()

    async def send(self, alert: Alert) -> None:
        """Send one message once; events make no sound."""
        try:
            await self._bot.send_message(
                self._options.chat,
                words(alert)[:TEXT_CHARS_MAX],
                disable_notification=alert.level == "event",
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        except TelegramError as error:
            raise told(error) from None  # its traceback may hold the token's URL


def words(alert: Alert) -> str:
    """Return a message as it is read on a phone."""
    lead = "" if alert.level == "event" else f"{alert.level.upper()} "
    at = datetime.fromtimestamp(alert.at // SECOND, UTC)
    return f"{lead}{alert.hedge} {at:%d %b %H:%M:%S}Z\n{alert.text}"


def _ended(polling: "asyncio.Task[None]") -> None:
    if not polling.cancelled() and (error := polling.exception()) is not None:
        log.error("commands are not heard any more, a bug: %s", type(error).__name__)


def _http(read_s: int) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=4, read_timeout=read_s, write_timeout=TIMEOUT_S,
        connect_timeout=TIMEOUT_S, pool_timeout=TIMEOUT_S,
    )  # fmt: skip
