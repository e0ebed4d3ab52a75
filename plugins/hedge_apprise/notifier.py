"""Messages through Apprise: any of its services, by one URL, in a thread with a time limit."""

import asyncio
import logging
import re
import threading
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

import apprise
import msgspec

from hedge.errors import ConfigError, HedgeError, Limited, OutcomeUnknown, Refused, Unreachable
from hedge.roles import Alert, NotifierContext

TIMEOUT_S = 20
LIMITED_S = 30
KINDS = {
    "event": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "alarm": apprise.NotifyType.FAILURE,
}
NOT_SENT = re.compile(
    r"NewConnectionError|ConnectTimeoutError|NameResolutionError|Connection refused"
)
"""Words in Apprise's own log after which nothing can have left this machine."""
CODE = re.compile(r"\berror=(\d{3})\b")
NO = ("no", "false", "0", "off", "n", "f", "disable", "deny", "never", "none")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[notifiers.NAME.options]``: there are none; everything stands in the secret ``url``."""


def _listen() -> None:
    """Keep Apprise's log to ourselves: it names URLs, and only its details say what went wrong."""
    log = logging.getLogger("apprise")
    log.propagate = False
    log.setLevel(logging.DEBUG)
    if not log.handlers:
        log.addHandler(logging.NullHandler())


class OneUrl:
    """A `hedge.roles.Notifier`; one URL, so that a retry repeats it for nobody else."""

    def __init__(self, context: NotifierContext) -> None:
        context.options(Options)
        where = f"notifiers.{context.name}"
        if context.desk is not None:
            raise ConfigError(f"{where}: commands = true: Apprise only sends; telegram hears")
        url = context.secrets.get("url", "")
        if not url:
            name = f"notifiers__{context.name}__url"
            raise ConfigError(f"{where}: no url; it belongs into the secret file {name}")
        if any(word.lower() in NO for word in parse_qs(url.partition("?")[2]).get("verify", ())):
            raise ConfigError(f"{where}: TLS verification cannot be switched off (verify=no)")
        _listen()
        asset = apprise.AppriseAsset(app_id="hedge", storage_mode="memory", secure_logging=True)
        self._apprise = apprise.Apprise(asset=asset)
        if not self._apprise.add(url) or len(self._apprise) != 1:
            scheme = url.partition(":")[0][:20]
            raise ConfigError(f"{where}: Apprise cannot read this url as one target ({scheme}://)")
        self._busy = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Leave nothing open: Apprise connects for each message."""

    async def send(self, alert: Alert) -> None:
        """Send one message once; Apprise says yes or no, and its log says what the no means."""
        if self._busy:
            raise Unreachable("still busy with the message before")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[HedgeError | None] = loop.create_future()

        def finish(found: HedgeError | None) -> None:
            self._busy = False
            if not done.done():
                done.set_result(found)

        def work() -> None:
            found = self._notify(alert)
            if not loop.is_closed():
                loop.call_soon_threadsafe(finish, found)

        self._busy = True
        # A daemon, unlike an executor's thread: one that hangs does not hold up the process's end.
        threading.Thread(target=work, name="apprise", daemon=True).start()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                error = await done
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {TIMEOUT_S} s") from None
        if error is not None:
            raise error

    def _notify(self, alert: Alert) -> HedgeError | None:
        lines: list[str] = []
        result = self._apprise.notify(
            body=alert.text,
            title=f"{alert.level} {alert.hedge}".strip(),
            notify_type=KINDS[alert.level],
            body_format=apprise.NotifyFormat.TEXT,
            log_callback=lambda entry, _service: lines.append(str(entry.message)),
            log_level=logging.DEBUG,
        )
        return None if result else told(lines)


def told(lines: list[str]) -> HedgeError:
    """Return what a failure's log says; when it says nothing certain, nobody knows."""
    text = " ".join(lines)
    if NOT_SENT.search(text):
        return Unreachable("no connection to the service")
    code = CODE.search(text)
    if code is None:
        return OutcomeUnknown("Apprise says only that it failed")
    status = int(code[1])
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Limited("the service asks to wait", code=code[1], retry_after_s=LIMITED_S)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refused(f"the service answered {status}", code=code[1])
    return OutcomeUnknown(f"the service answered {status}")
