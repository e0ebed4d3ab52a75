"""What a phone shows of a hedge: status, report and previews in a few short lines."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hedge.model.numbers import plain
from hedge.runtime.client import worries

UNKNOWN = "unknown"


def status_lines(shown: Mapping[str, Any]) -> Iterator[str]:
    """Say what `/v1/status` shows of one hedge."""
    base = str(shown["symbol"]).partition("/")[0]
    paused = ", paused" if shown.get("paused") else ""
    yield f"{shown['name']}: {shown['mode']}, {shown['phase']}{paused}, trip {shown['trip']}"
    yield f"spot {_of(shown, 'inventory')} {base} on {shown['spot_venue']}"
    yield f"futures {_of(shown, 'position')} {base} on {shown['futures_venue']}"
    yield f"delta {_of(shown, 'delta')} ({_of(shown, 'delta_bps')} bp)"
    yield f"funding received {_of(shown, 'funding_received')}, fees paid {_of(shown, 'fees_paid')}"
    if shown.get("funding_rate") is not None:
        yield f"funding rate {_of(shown, 'funding_rate')}"
    if shown.get("liquidation_distance") is not None:
        percent = Decimal(shown["liquidation_distance"]) * 100
        yield f"liquidation is {plain(percent.quantize(Decimal('0.1')))} % away"
    for order in shown.get("orders") or ():
        yield f"open: {order_line(order)}"
    found = worries(shown)
    yield from (f"! {worry}" for worry in found)
    if not found:
        yield "nothing is wrong"


def order_line(order: Mapping[str, Any]) -> str:
    what = f"{order['leg']} {order['side']} {order['quantity']} at {order['limit_price']}"
    return f"{what}, {order['filled']} filled ({order['status']})"


def report_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Say what `/v1/report` attributes, in the report's own order and words."""
    from hedge.report.render import LINES  # noqa: PLC0415 - not before somebody asks

    for key, label in LINES:
        if data.get(key) is not None:
            yield f"{label} {_signed(data[key])}"
    if data.get("unexplained") is not None:
        yield f"unexplained {_signed(data['unexplained'])} ({data.get('status', '')})"


def preview_lines(verb: str, shown: Mapping[str, Any]) -> Iterator[str]:
    """Say which orders a command cancels and which it leads to, from what is known now."""
    for order in shown.get("orders") or ():
        yield f"cancels {order_line(order)}"
    if not shown.get("orders"):
        yield "no order is open"
    if verb == "stop":
        yield f"keeps spot {_of(shown, 'inventory')}, futures {_of(shown, 'position')}"
        yield f"delta {_of(shown, 'delta')}; then the engine ends"
        return
    base = str(shown["symbol"]).partition("/")[0]
    for leg, held, mid in (
        ("spot", "inventory", "spot_mid"),
        ("futures", "position", "futures_mid"),
    ):
        quantity = shown.get(held)
        if quantity is None:
            yield f"{leg} on {shown[f'{leg}_venue']}: {UNKNOWN}"
            continue
        amount = Decimal(quantity)
        if amount:
            side = "SELL" if amount > 0 else "BUY"
            yield (
                f"{leg} {side} {plain(abs(amount))} {base} on {shown[f'{leg}_venue']},"
                f" {_value(amount, shown.get(mid))}"
            )
    yield f"basis {_of(shown, 'basis_bps')} bp"


def _value(amount: Decimal, mid: object) -> str:
    if mid is None:
        return "no price known"
    value = (abs(amount) * Decimal(str(mid))).quantize(Decimal("0.01"))
    return f"about {plain(value)} at mid {mid}"


def _of(shown: Mapping[str, Any], key: str) -> str:
    value = shown.get(key)
    return UNKNOWN if value is None else str(value)


def _signed(value: object) -> str:
    return f"{Decimal(str(value)):+f}"
