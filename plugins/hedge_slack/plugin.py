"""The hook of the notifier ``slack``; its SDK waits until it is asked for."""

from typing import TYPE_CHECKING

from hedge.hookspecs import hookimpl

if TYPE_CHECKING:
    from hedge.roles import Notifier, NotifierContext

NAME = "slack"


@hookimpl
def hedge_notifier(name: str, context: "NotifierContext") -> "Notifier | None":
    """Return the way to one Slack channel."""
    if name != NAME:
        return None
    from hedge_slack.notifier import Slack  # noqa: PLC0415 - brings the SDK

    return Slack(context)
