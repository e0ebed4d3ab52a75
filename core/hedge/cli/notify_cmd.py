"""``hedge notify``: whether messages arrive, target by target."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hedge.cli.options import ConfigPath, Json
from hedge.cli.output import print_json, say, table_lines
from hedge.errors import ConfigError, HedgeError, UsageError, VenueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hedge.config.settings import NotifierSettings, Settings
    from hedge.plugins import PluginHost

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Notifiers.")
TEXT = "This is a test: messages of hedge arrive here. Nothing has happened."


class Nobody:
    """A `hedge.roles.CommandDesk` that is not asked: during a test nobody is listened to."""

    async def answer(self, line: str, **_: str) -> str:
        return f"{line}: during a test nobody is listened to"


@app.callback()
def notify() -> None:
    """Look after the messages to people."""


@app.command("test")
def send_test(
    names: Annotated[list[str] | None, typer.Argument(help="Only these notifiers.")] = None,
    as_json: Json = False,
    config: ConfigPath = None,
) -> int:
    """Send one message to each target, and say what came of each; exit 4 when one failed."""
    from hedge.config import resolve
    from hedge.errors import redact_with
    from hedge.plugins.host import load_plugins
    from hedge.runtime.logs import Redactor, set_up
    from hedge.runtime.notify.notifications import notifier_secrets

    resolved = resolve(environ=os.environ, cwd=Path.cwd(), config_path=config)
    for warning in resolved.warnings:
        say(f"warning: {warning}")
    wanted = _wanted(resolved.settings, names or [])
    redactor = Redactor(notifier_secrets(resolved.settings))
    redact_with(redactor.text)
    set_up(as_json=False, redactor=redactor, messages=sys.stderr)
    host = load_plugins((), allow=resolved.settings.plugins.allow, lock=resolved.place)
    results = asyncio.run(_send_all(host, wanted, redactor.text))
    rows = [
        {"name": name, "plugin": wanted[name].plugin, "result": result}
        for name, result in results.items()
    ]
    if as_json:
        print_json("hedge.notify.test/1", rows)
    else:
        for line in table_lines([(row["name"], row["plugin"], row["result"]) for row in rows]):
            print(line)
    return 0 if set(results.values()) == {"delivered"} else VenueError.exit_code


def _wanted(settings: "Settings", names: list[str]) -> "dict[str, NotifierSettings]":
    known = settings.notifiers
    if not known:
        raise ConfigError("there is no [notifiers.NAME] in the configuration")
    for name in names:
        if name not in known:
            raise UsageError(f"no notifier {name!a}; there is {', '.join(known)}")
    return {name: known[name] for name in names or known}


async def _send_all(
    host: "PluginHost", wanted: "dict[str, NotifierSettings]", strike: "Callable[[str], str]"
) -> dict[str, str]:
    """Send to all at once; one that hangs keeps nobody but itself waiting."""
    results = await asyncio.gather(
        *(_send(host, name, settings, strike) for name, settings in wanted.items())
    )
    return dict(zip(wanted, results, strict=True))


async def _send(
    host: "PluginHost", name: str, settings: "NotifierSettings", strike: "Callable[[str], str]"
) -> str:
    from hedge.roles import Alert
    from hedge.runtime.clock import RealClock
    from hedge.runtime.notify.notifications import make_notifier
    from hedge.runtime.notify.target import GRACE_S, SEND_TIMEOUT_S, bounded

    clock = RealClock()
    alert = Alert(key="test", level="event", hedge=name, text=TEXT, at=clock.now())
    try:
        if settings.commands:  # made as a start makes it, to be judged; it is never opened
            make_notifier(host, name, settings, clock, Nobody())
        notifier: Any = make_notifier(host, name, settings, clock)[0]
    except HedgeError as error:
        return _result(error, strike)
    failed = await bounded(notifier.__aenter__(), SEND_TIMEOUT_S)
    if failed is None:
        failed = await bounded(notifier.send(alert), SEND_TIMEOUT_S)
        await bounded(notifier.__aexit__(None, None, None), GRACE_S)
    return "delivered" if failed is None else _result(failed, strike)


def _result(error: BaseException, strike: "Callable[[str], str]") -> str:
    from hedge.errors import OutcomeUnknown, Refused, Unreachable

    words = {Refused: "refused", Unreachable: "not reached", OutcomeUnknown: "not known"}
    said = next((word for kind, word in words.items() if isinstance(error, kind)), "failed")
    text = strike(" ".join(str(error).split())) or type(error).__name__
    return f"{said}: {text}"
