"""What a run prints: NDJSON or plain lines, with every secret struck out at the last moment."""

import contextlib
import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TextIO
from urllib.parse import quote

import structlog

from hedge.decide.rows import Row
from hedge.runtime.words import builtins_of, plain, render_row, utc

HIDDEN = "***"
SECRET_CHARS_MIN = 4
"""A registered secret shorter than this would strike out ordinary words."""
QUIET = (
    "httpx", "httpcore", "aiohttp", "urllib3", "websockets", "asyncio", "uvicorn",
    "telegram", "slack_sdk", "apprise",
)  # fmt: skip
_NAME = r"(?:[a-z0-9_-]*(?:api[_-]?key|signature|secret|password|passphrase|token)|key|sign)"
_PATTERNS = (
    (re.compile(rf"(?i)\b({_NAME}=)[^&\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)([\"']{_NAME}[\"']\s*:\s*)([\"']).*?\2"), rf"\1\2{HIDDEN}\2"),
    (re.compile(r"\bbot\d+:[\w-]+"), f"bot{HIDDEN}"),
    (re.compile(r"(?i)\b((?:x-mbx-apikey|x-bapi-(?:api-key|sign)|authorization):\s*).+"), r"\1***"),
)
_SECRET_FIELD = re.compile(
    r"(?i)^.*(?:api_?key|signature|secret|password|passphrase|token|authorization)$"
)


# -- secrets -------------------------------------------------------------------------------------


class Redactor:
    """Strikes out registered secrets, signed query strings, auth headers and bot URLs."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Register one exact secret, in the forms in which it may be printed."""
        if len(secret) >= SECRET_CHARS_MIN:
            forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
            self._secrets = sorted(forms.union(self._secrets), key=lambda one: (-len(one), one))

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text

    def value(self, value: object) -> Any:
        """Redact strings at any depth; a field that is named like a secret goes whole."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {
                    self.text(str(key)): HIDDEN
                    if item and _SECRET_FIELD.match(str(key))
                    else self.value(item)
                    for key, item in value.items()
                }
            case list() | tuple():
                return [self.value(item) for item in value]
            case _:
                kept = value is None or isinstance(value, bool | int | float)
                return value if kept else self.text(str(value))

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
        """Do so as a structlog processor."""
        return self.value(builtins_of(event))


# -- the set-up ----------------------------------------------------------------------------------


def set_up(
    *,
    as_json: bool,
    redactor: Redactor,
    data: TextIO | None = None,
    messages: TextIO | None = None,
    level: int = logging.INFO,
) -> None:
    """Send our log and that of every library through the redactor.

    NDJSON goes to ``data`` (stdout), one object a line; plain lines are messages (stderr).
    """
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _stamp,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redactor,
            _as_json if as_json else _as_line,
        ],
    )
    stream = (data or sys.stdout) if as_json else (messages or sys.stderr)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.raiseExceptions = False  # a closed stdout must neither stop us nor flood stderr
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _stamp(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
    event.setdefault("at", utc(time.time_ns()))
    return event


def _as_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {key: event[key] for key in ("at", "hedge", "event", "level") if key in event}
    return json.dumps({**first, **event}, ensure_ascii=False, allow_nan=False, default=str)


def _as_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    lead = " ".join(str(event.pop(key)) for key in ("at", "level", "hedge") if key in event)
    text, trace = event.pop("event", ""), event.pop("exception", "")
    rest = " ".join(f"{key}={value}" for key, value in event.items())
    return f"{lead} {text} {rest}".rstrip() + (f"\n{trace}" if trace else "")


class RowLog:
    """Prints journal rows as they come: NDJSON through the log, or one plain line on ``data``."""

    def __init__(self, redactor: Redactor, *, as_json: bool, data: TextIO | None = None) -> None:
        self._redactor = redactor
        self._as_json = as_json
        self._data = data
        self._log = structlog.get_logger("hedge.rows")

    def write(self, hedge: str, row: Row) -> None:
        if self._as_json:
            fields = render_row(row)
            self._log.info(fields.pop("event"), hedge=hedge, **fields)
        elif (line := plain(row)) is not None:
            text = self._redactor.text(f"{utc(row.at)[:19]}Z {hedge} {line}")
            # A reader that went away is no reason to leave a position alone.
            with contextlib.suppress(OSError):
                print(text, file=self._data or sys.stdout, flush=True)
