"""The options of a Telegram notifier: where messages go, and from where commands may come."""

import msgspec

from hedge.errors import ConfigError
from hedge.roles import NotifierContext
from hedge.transport.address import read_address


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[notifiers.NAME.options]``."""

    chat: int | str
    """The chat that messages go to: its number, or ``@channel``."""
    allow: tuple[int, ...] = ()
    """The chats whose commands are taken; the number of any other that tries is in the log."""
    api: str = "https://api.telegram.org"
    """Another server of the Bot API; unencrypted only on this machine."""


def read_options(context: NotifierContext) -> tuple[str, Options]:
    """Return the token and the options; raise `ConfigError` naming what is wrong."""
    options = context.options(Options)
    where = f"notifiers.{context.name}"
    read_address(options.api, schemes=("https", "http"))
    token = context.secrets.get("token", "")
    if not token:
        raise ConfigError(f"{where}: no token; it belongs into the secret file {_file(context)}")
    if context.desk is not None and not options.allow:
        raise ConfigError(f"{where}: commands = true needs options.allow, the chats they come from")
    return token, options


def _file(context: NotifierContext) -> str:
    return f"notifiers__{context.name}__token"
