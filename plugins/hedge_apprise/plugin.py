"""The hook of the notifier ``apprise``; its SDK waits until it is asked for."""

from typing import TYPE_CHECKING

from hedge.hookspecs import hookimpl

if TYPE_CHECKING:
    from hedge.roles import Notifier, NotifierContext

NAME = "apprise"


@hookimpl
def hedge_notifier(name: str, context: "NotifierContext") -> "Notifier | None":
    """Return the way to whatever one Apprise URL reaches."""
    if name != NAME:
        return None
    from hedge_apprise.notifier import OneUrl  # noqa: PLC0415 - brings the SDK

    return OneUrl(context)
