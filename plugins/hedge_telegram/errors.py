"""Which errors of the Bot API mean that a message did not arrive, never will, or may have."""

from datetime import timedelta

import httpx
from telegram import error as t

from hedge.errors import HedgeError, Limited, OutcomeUnknown, Refused, Unreachable

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Nothing of the request left this machine."""


def told(error: t.TelegramError) -> HedgeError:
    """Return our word for an error of python-telegram-bot.

    Source: https://core.telegram.org/bots/api#making-requests (``error_code``, ``parameters``).
    """
    match error:
        case t.RetryAfter():
            return Limited(str(error), code="429", retry_after_s=seconds(error))
        case t.ChatMigrated(new_chat_id=moved):
            return Refused(f"the chat has become {moved}: set options.chat", code="400")
        case t.InvalidToken() | t.EndPointNotFound():
            return Refused("Telegram does not know this bot: is the token right?", code="401")
        case t.Forbidden():
            return Refused(f"{error}: write to the bot first, or let it into the chat", code="403")
        case t.BadRequest():
            return Refused(str(error), code="400")
        case t.Conflict():
            return Refused(str(error), code="409")
        case t.NetworkError() if isinstance(error.__cause__, NOT_SENT):
            return Unreachable(str(error))
        case _:
            return OutcomeUnknown(str(error))


def seconds(error: t.RetryAfter) -> int:
    """Return how long the flood control asks to wait."""
    wait = error.retry_after
    return max(1, round(wait.total_seconds()) if isinstance(wait, timedelta) else wait)
