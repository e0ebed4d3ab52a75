"""The hook of the notifier ``telegram``; its SDK waits until it is asked for."""

from typing import TYPE_CHECKING

from hedge.hookspecs import hookimpl

if TYPE_CHECKING:
    from hedge.roles import Notifier, NotifierContext

NAME = "telegram"


@hookimpl
def hedge_notifier(name: str, context: "NotifierContext") -> "Notifier | None":
    """Return the way to one Telegram chat."""
    if name != NAME:
        return None
    from hedge_telegram.notifier import Telegram  # noqa: PLC0415 - brings the SDK

    return Telegram(context)
