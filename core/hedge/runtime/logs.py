"""What a run prints: NDJSON or plain lines, with every secret struck out at the last moment."""

import contextlib
import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TextIO
from urllib.parse import quote

import msgspec
import structlog

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Trip
from hedge.decide.rows import Row
from hedge.model import Fill
from hedge.model.numbers import SECOND
from hedge.model.numbers import plain as figure

HIDDEN = "***"
SECRET_CHARS_MIN = 4
"""A registered secret shorter than this would strike out ordinary words."""
QUIET = ("httpx", "httpcore", "aiohttp", "urllib3", "websockets", "asyncio", "uvicorn")
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


def utc(at: int) -> str:
    """Return ns UTC as ISO 8601 with microseconds and Z."""
    whole = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % SECOND // 1000:06d}Z"


def builtins_of(value: object) -> Any:
    """Return structs, enums and Decimals as what JSON knows; money and quantities as strings."""
    match value:
        case Decimal():
            return figure(value) if value.is_finite() else str(value)
        case Enum():
            return value.value
        case msgspec.Struct():
            return {name: builtins_of(getattr(value, name)) for name in value.__struct_fields__}
        case Mapping():
            return {str(builtins_of(key)): builtins_of(item) for key, item in value.items()}
        case list() | tuple():
            return [builtins_of(item) for item in value]
        case _:
            return value


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


# -- rows ----------------------------------------------------------------------------------------


def render_row(row: Row) -> dict[str, Any]:
    """Return the fields of one journal row for a log; every row has ``at``, ``seq``, ``event``."""
    head = {"at": utc(row.at), "seq": row.seq}
    match row.entry:
        case c.PlaceOrder(order=o, purpose=purpose, observation=seen):
            return head | {
                "event": "order",
                "leg": o.leg.value,
                "side": o.side.value,
                "quantity": figure(o.quantity),
                "limit_price": figure(o.limit_price),
                "time_in_force": o.time_in_force.value,
                "reduce_only": o.reduce_only,
                "client_order_id": o.client_order_id,
                "purpose": purpose.value,
                "inventory": figure(seen.inventory),
                "position": figure(seen.position),
            }
        case e.FillSeen(fill=fill):
            return head | {"event": "fill"} | _flat(fill)
        case e.FundingPaid(payment=payment):
            return head | {"event": "funding"} | _flat(payment)
        case c.SetTrip(reason=reason, level=level, text=text):
            said = {"reason": reason, "trip": Trip(level).name, "text": text}
            return head | {"event": "trip"} | said
        case entry:
            return head | {"event": _NAMES.get(type(entry), _snake(entry))} | _flat(entry)


_NAMES: dict[type, str] = {
    c.ChangeMode: "mode",
    c.RaiseAlarm: "alarm",
    c.SettleAlarm: "alarm_settled",
    c.EndRun: "end",
    c.BookExternal: "external",
    e.OperatorAsked: "operator",
}


def _snake(entry: object) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(entry).__name__).lower()


def _flat(entry: msgspec.Struct) -> dict[str, Any]:
    """Return the scalar fields, and leave out what is nested: the journal has it."""
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "at"}
    nested = (msgspec.Struct, tuple, list, dict)
    return {k: builtins_of(v) for k, v in fields.items() if not isinstance(v, nested)}


def plain(row: Row) -> str | None:
    """Return one line for a person, or None for a row that says nothing to one."""
    match row.entry:
        case c.PlaceOrder(order=o, purpose=purpose):
            what = f"{o.leg.value} {o.side.value} {figure(o.quantity)} at {figure(o.limit_price)}"
            return f"order {what} ({purpose.value}, {o.client_order_id})"
        case e.FillSeen(fill=fill):
            return _fill(fill)
        case e.FundingPaid(payment=p):
            return f"funding {p.cash:+f} {p.asset} at rate {figure(p.rate)} on {figure(p.quantity)}"
        case c.ChangeMode(mode=mode, trigger=trigger, why=why):
            return f"mode {mode.value} by {trigger.value}" + (f": {why}" if why else "")
        case c.RaiseAlarm(key=key, level=level, text=text):
            return f"{level.upper()} {key}: {text}"
        case c.SettleAlarm(key=key):
            return f"settled {key}; waits for `hedge ack`"
        case c.SetTrip(reason=reason, level=level, text=text):
            state = Trip(level).name if level else "cleared"
            return f"trip {state} {reason}" + (f": {text}" if text else "")
        case c.BookExternal(leg=leg, quantity=quantity, reason=reason):
            return f"external {leg.value} {quantity:+f}: {reason}"
        case c.SetTarget(quantity=quantity, why=why) if quantity is not None:
            return f"target {figure(quantity)}" + (f": {why}" if why else "")
        case e.OrderRefused(leg=leg, client_order_id=order_id, code=code, text=text):
            return f"refused {leg.value} {order_id}: {code} {text}".rstrip()
        case e.OrderUnanswered(leg=leg, client_order_id=order_id, why=why):
            return f"in doubt {leg.value} {order_id}: {why}".rstrip(": ")
        case c.DeclareDead(leg=leg, client_order_id=order_id, evidence=evidence):
            return f"never came to be {leg.value} {order_id}: {evidence}"
        case e.StreamChanged(leg=leg, kind=kind, up=up, why=why):
            return f"{leg.value} {kind.value} stream {'up' if up else f'down: {why}'}"
        case e.OperatorAsked(verb=verb, subject=subject, by=by):
            return f"operator {verb.value} {subject}".rstrip() + (f" ({by})" if by else "")
        case c.Notice(text=text):
            return text
        case c.EndRun(exit_code=code, reason=reason, text=text):
            return f"end {reason} (exit {code})" + (f": {text}" if text else "")
        case _:
            return None


def _fill(fill: Fill) -> str:
    what = f"{fill.leg.value} {fill.side.value} {figure(fill.quantity)} at {figure(fill.price)}"
    fee = f", fee {figure(fill.fee)} {fill.fee_asset}" if fill.fee else ""
    kind = f" [{fill.kind.value}]" if fill.kind.value != "trade" else ""
    return f"fill {what}{fee}{kind}"
