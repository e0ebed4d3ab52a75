"""Journal rows in words and as plain data."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Trip
from hedge.decide.rows import Row
from hedge.model import Fill
from hedge.model.numbers import SECOND
from hedge.model.numbers import plain as figure


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
            said = text if code in text else f"{code} {text}".rstrip()
            return f"refused {leg.value} {order_id}: {said}"
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
