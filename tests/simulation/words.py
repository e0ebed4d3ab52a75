"""Events and commands in one short line each, for the story of a seed."""

from typing import Any

import msgspec
from clockwork import BEGIN

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.model.numbers import plain


def brief(thing: Any) -> str:
    """Return one short line for an event or a command."""
    match thing:
        case c.PlaceOrder(order=o, purpose=purpose):
            only = " reduce-only" if o.reduce_only else ""
            return (
                f"PLACE {o.client_order_id} {o.leg.value} {o.side.value} {plain(o.quantity)}"
                f" @ {plain(o.limit_price)} {o.time_in_force.value}{only} ({purpose.value})"
            )
        case c.AuditLeg(leg=leg, ask_ids=ids):
            return f"AUDIT {leg.value} {' '.join(ids)}"
        case c.WakeAt(wake_at=wake_at):
            return f"WAKE {(wake_at - BEGIN) / 1e9:.3f}"
        case e.LegAudited():
            held = plain(thing.position.quantity) if thing.position else plain(
                thing.balances[0].total)  # fmt: skip
            found = " ".join(
                f"{r.client_order_id}={r.status.value}/{plain(r.filled)}" for r in thing.found
            )
            return (
                f"AUDITED {thing.leg.value} holds {held} fills={len(thing.fills)} {found}"
                f" missing={','.join(thing.missing)}"
            )
        case e.BalanceSeen(balance=balance):
            return f"BALANCE {plain(balance.total)}"
        case e.PositionSeen(position=position):
            return f"POSITION {plain(position.quantity)}"
        case e.EngineStarted(boot_id=boot, epoch=epoch):
            return f"STARTED {boot} epoch {epoch}"
        case e.OrderReported(report=r):
            return f"REPORT {r.client_order_id} {r.status.value} {plain(r.filled)}"
        case e.FillSeen(fill=f):
            return (
                f"FILL {f.fill_id} {f.leg.value} {f.side.value} {plain(f.quantity)}"
                f" {f.client_order_id} {f.kind.value}"
            )
        case _:
            fields = " ".join(
                f"{name}={value.value if hasattr(value, 'value') else value}"
                for name, value in msgspec.structs.asdict(thing).items()
                if name != "at" and value not in ("", None) and not isinstance(value, tuple)
            )
            return f"{type(thing).__name__} {fields}"[:220]
