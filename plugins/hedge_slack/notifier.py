"""Messages to one Slack channel, by an incoming webhook or by a bot's token, in Block Kit."""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from hedge.errors import ConfigError, HedgeError, Limited, OutcomeUnknown, Refused, Unreachable
from hedge.model.numbers import SECOND
from hedge.roles import Alert, NotifierContext
from hedge.transport.address import read_address

TIMEOUT_S = 15
HEADER_CHARS_MAX = 150
SECTION_CHARS_MAX = 3_000
"""https://docs.slack.dev/reference/block-kit/blocks"""
CODE_CHARS_MAX = 60
MARKS = {"event": "", "warning": "\N{WARNING SIGN} ", "alarm": "\N{POLICE CARS REVOLVING LIGHT} "}
TRANSIENT = ("internal_error", "fatal_error", "service_unavailable", "request_timeout")
"""Answers of ``chat.postMessage`` after which nobody knows whether it was posted."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[notifiers.NAME.options]``; a webhook knows its channel, a bot is told."""

    channel: str = ""
    api: str = "https://slack.com/api/"
    """Another server of the Web API; unencrypted only on this machine."""


class Slack:
    """A `hedge.roles.Notifier`: with ``url`` a webhook, with ``token`` a bot.

    The SDK's own retries are off: it would send a message again whose answer was lost.
    """

    def __init__(self, context: NotifierContext) -> None:
        options = context.options(Options)
        self._url, self._token = (context.secrets.get(key, "") for key in ("url", "token"))
        self._channel, self._api = options.channel, f"{options.api.rstrip('/')}/"
        where = f"notifiers.{context.name}"
        if context.desk is not None:
            raise ConfigError(f"{where}: commands = true: nobody listens to Slack; telegram hears")
        if bool(self._url) == bool(self._token):
            raise ConfigError(f"{where}: give one secret, url (a webhook) or token (a bot)")
        if self._token and not self._channel:
            raise ConfigError(f"{where}: a bot needs options.channel")
        if self._url and self._channel:
            raise ConfigError(f"{where}: options.channel means nothing to a webhook, which has one")
        read_address(self._url or self._api, schemes=("https", "http"))
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        await self._session.close()

    async def send(self, alert: Alert) -> None:
        """Post one message once."""
        try:
            await (self._post(alert) if self._token else self._hook(alert))
        except SlackApiError as error:
            raise told(error.response) from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"no connection: {error.os_error.strerror or 'refused'}") from None
        except (TimeoutError, aiohttp.ClientError) as error:
            raise OutcomeUnknown(f"the answer was lost: {type(error).__name__}") from None

    async def _post(self, alert: Alert) -> None:
        client = AsyncWebClient(
            self._token, base_url=self._api, session=self._session, retry_handlers=[]
        )
        await client.chat_postMessage(
            channel=self._channel, text=plain_text(alert), blocks=blocks(alert), unfurl_links=False
        )

    async def _hook(self, alert: Alert) -> None:
        client = AsyncWebhookClient(self._url, session=self._session, retry_handlers=[])
        reply = await client.send(text=plain_text(alert), blocks=blocks(alert))
        said = reply.body.strip()
        if reply.status_code != HTTPStatus.OK:
            raise refused(reply.status_code, said[:CODE_CHARS_MAX], reply.headers)
        if said != "ok":
            raise OutcomeUnknown("the webhook answered something else than ok")


def told(response: Any) -> HedgeError:
    """Return our word for what the Web API answered."""
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    return refused(status, code, getattr(response, "headers", {}))


def refused(status: int, code: str, headers: Mapping[str, Any]) -> HedgeError:
    """Sort an answer that is no success; a 5xx and nonsense leave the outcome open."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = str(headers.get("Retry-After", "1"))
        return Limited("Slack asks to wait", code="429", retry_after_s=_seconds(wait))
    if code == "ratelimited":
        return Limited("Slack asks to wait", code=code, retry_after_s=30)
    definite = code and code not in TRANSIENT and status == HTTPStatus.OK
    if definite or HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refused(f"Slack says {code or status}", code=code or str(status))
    return OutcomeUnknown(f"Slack answered {status} {code}".rstrip())


def plain_text(alert: Alert) -> str:
    """Return what a notification shows; escaped, so that no text can mention anybody."""
    text = f"{alert.level} {alert.hedge}: {alert.text}"[:SECTION_CHARS_MAX]
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def blocks(alert: Alert) -> list[dict[str, Any]]:
    """Return the message in Block Kit, all of it plain text: nothing in it becomes markup."""
    at = datetime.fromtimestamp(alert.at // SECOND, UTC)
    head = f"{MARKS[alert.level]}{alert.level.upper()} {alert.hedge}"[:HEADER_CHARS_MAX]
    small = f"{at:%Y-%m-%d %H:%M:%S}Z  {alert.key}"[:SECTION_CHARS_MAX]
    title = [{"type": "header", "text": _plain(head)}] if alert.level != "event" else []
    body = alert.text if title else f"{alert.hedge}: {alert.text}"
    return [
        *title,
        {"type": "section", "text": _plain(body[:SECTION_CHARS_MAX])},
        {"type": "context", "elements": [_plain(small)]},
    ]


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 1
