"""The commands of a person to a running engine; each goes through its socket, none around it."""

import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from hedge.errors import NotRunning, SafetyRefusal, UsageError
from hedge.runtime import client

Name = Annotated[str | None, typer.Argument(help="The hedge; may be left out if one runs.")]
StateDir = Annotated[Path | None, typer.Option("--state-dir", help="Where the journals are.")]
RequestId = Annotated[
    str | None, typer.Option("--request-id", help="Sent twice with the same id it acts once.")
]


def stop(name: Name = None, request_id: RequestId = None, state_dir: StateDir = None) -> None:
    """Cancel our resting orders, confirm hedged, end. The position stays."""
    _send("stop", name, request_id, state_dir)


def pause(name: Name = None, request_id: RequestId = None, state_dir: StateDir = None) -> None:
    """Take no new spot risk; hedging and reducing go on."""
    _send("pause", name, request_id, state_dir)


def resume(name: Name = None, request_id: RequestId = None, state_dir: StateDir = None) -> None:
    """Go on after a pause."""
    _send("resume", name, request_id, state_dir)


def scale(
    name: Name = None,
    usd: Annotated[str, typer.Option("--usd", help="The new target, in quote.")] = "",
    request_id: RequestId = None,
    state_dir: StateDir = None,
) -> None:
    """Set a new target from --usd at the latest price."""
    if not usd:
        raise UsageError("scale needs --usd, the new target in quote")
    _send("scale", name, request_id, state_dir, usd=usd)


def adopt(
    name: Annotated[str, typer.Argument(metavar="[NAME] QTY", help="Coins already held.")],
    quantity: Annotated[str | None, typer.Argument(hidden=True)] = None,
    request_id: RequestId = None,
    state_dir: StateDir = None,
) -> None:
    """Take coins that the account already holds into the hedge."""
    hedge, amount = _last_of(name, quantity)
    _send("adopt", hedge, request_id, state_dir, quantity=amount)


def clear(
    name: Annotated[str, typer.Argument(metavar="[NAME] REASON", help="The trip's reason.")],
    reason: Annotated[str | None, typer.Argument(hidden=True)] = None,
    request_id: RequestId = None,
    state_dir: StateDir = None,
) -> None:
    """Take away one reason of the trip level, after its cause is gone."""
    hedge, subject = _last_of(name, reason)
    _send("clear", hedge, request_id, state_dir, subject=subject)


def ack(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME] [KEY]", help="The alarm's key.")
    ] = None,
    key: Annotated[str | None, typer.Argument(hidden=True)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every alarm of the hedge.")] = False,
    request_id: RequestId = None,
    state_dir: StateDir = None,
) -> None:
    """Acknowledge an alarm: it was read by a person. Its cause may still be there."""
    if everything and key is not None:
        raise UsageError("give an alarm's KEY or --all, not both")
    if everything:
        _ack_all(name, request_id, state_dir)
        return
    if name is None:
        raise UsageError("ack needs an alarm's KEY (see `hedge status`), or --all")
    hedge, subject = _last_of(name, key)
    _send("ack", hedge, request_id, state_dir, subject=subject)


def resolve(
    order: Annotated[str, typer.Argument(help="The client order id of the order in doubt.")],
    filled: Annotated[
        str, typer.Option("--filled", help="What the venue shows as filled; only 0 can be settled.")
    ] = "",
    hedge: Annotated[str | None, typer.Option("--hedge", help="The hedge it belongs to.")] = None,
    request_id: RequestId = None,
    state_dir: StateDir = None,
) -> None:
    """Settle an order in doubt that, as you saw at the venue, never came to be (--filled 0)."""
    if not filled:
        raise UsageError("resolve needs --filled 0: you looked, and the venue shows no fill of it")
    name = hedge or _owner(order, state_dir)
    _send("resolve", name, request_id, state_dir, subject=order, quantity=filled)


def liquidate(
    name: Name = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm without being asked.")] = False,
    max_slip_bps: Annotated[
        str | None,
        typer.Option(
            "--max-slip-bps",
            help="Refuse if the unwind is expected to slip by more: half of both spreads as they"
            " stand, in bps of a leg; fees and depth are not in it.",
        ),
    ] = None,
    request_id: RequestId = None,
    state_dir: StateDir = None,
) -> None:
    """Unwind both legs, hedged all the way. Shows the numbers and asks for their code."""
    if not yes and not sys.stdin.isatty():
        raise SafetyRefusal("liquidate asks for a typed code; without a terminal give --yes")
    engine, hedge = _engine(name, state_dir)
    reader = None if yes else _typed
    identity = request_id or _new_id()
    _say(unwind(engine, hedge, request_id=identity, max_slip_bps=max_slip_bps, reader=reader))


# -- how -----------------------------------------------------------------------------------------


def unwind(
    engine: client.Client,
    hedge: str,
    *,
    request_id: str,
    max_slip_bps: str | None,
    reader: Callable[[str], str] | None,
    out: TextIO | None = None,
) -> dict[str, Any]:
    """Ask for the preview, show it, and send its code back; ``reader`` None: agreed beforehand."""
    body = {"hedge": hedge, "request_id": request_id, "max_slip_bps": max_slip_bps}
    try:
        return engine.post("liquidate", body)
    except client.ConfirmationNeeded as needed:
        _show_preview(needed.preview, out or sys.stderr)
        code = needed.code
        if reader is not None:
            code = reader(f"type {code} to liquidate {hedge}: ").strip()
            if code != needed.code:
                raise SafetyRefusal("not confirmed; nothing was done") from None
    return engine.post("liquidate", {**body, "confirm": code})


def _show_preview(preview: Mapping[str, Any], out: TextIO) -> None:
    for key, value in preview.items():
        print(f"{key:>12}  {'unknown' if value is None else value}", file=out)


def _typed(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


def _send(
    verb: str, name: str | None, request_id: str | None, state_dir: Path | None, **fields: str
) -> None:
    engine, hedge = _engine(name, state_dir)
    body = {"hedge": hedge, "request_id": request_id or _new_id(), **fields}
    _say(engine.post(verb, body))


def _say(reply: Mapping[str, Any]) -> None:
    print(f"{reply.get('hedge')}: {reply.get('text') or 'accepted'}")


def _new_id() -> str:
    return uuid.uuid4().hex


def _engine(name: str | None, state_dir: Path | None) -> tuple[client.Client, str]:
    state = client.state_directory(state_dir)
    entry = client.find(name, client.index_directories(state))
    return client.Client(entry.socket), entry.hedge


def _last_of(first: str, second: str | None) -> tuple[str | None, str]:
    """Read ``[NAME] VALUE``: one word is the value."""
    return (None, first) if second is None else (first, second)


def _ack_all(name: str | None, request_id: str | None, state_dir: Path | None) -> None:
    engine, hedge = _engine(name, state_dir)
    shown = engine.get("/v1/status", hedge=hedge)["data"]["hedges"][0]
    keys = [alarm["key"] for alarm in shown["alarms"] if not alarm["acknowledged"]]
    identity = request_id or _new_id()
    for number, key in enumerate(keys, 1):
        body = {"hedge": hedge, "request_id": f"{identity}-{number}", "subject": key}
        engine.post("ack", body)
        print(f"{hedge}: acknowledged {key}")
    if not keys:
        print(f"{hedge}: nothing to acknowledge")


def _owner(order: str, state_dir: Path | None) -> str:
    """Return the running hedge that has this order open."""
    directories = client.index_directories(client.state_directory(state_dir))
    running = client.entries(directories)
    if not running:
        raise NotRunning("no engine is running; start one with `hedge run NAME`")
    for path in dict.fromkeys(entry.socket for entry in running):
        for hedge in client.Client(path).get("/v1/status")["data"]["hedges"]:
            if any(one["client_order_id"] == order for one in hedge["orders"]):
                return str(hedge["name"])
    raise UsageError(f"no running hedge has an open order {order!r}; name one with --hedge")
