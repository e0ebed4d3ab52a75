"""One hedge in lines for a person: what matters first, and no digit is ever cut."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from hedge.runtime.client import worries

SECOND_NS = 1_000_000_000
HOUR_S = 3600
GAP = "  "
UNKNOWN = "unknown"
Parts = list[tuple[int, str]]
"""Pieces of a line with their priority; the highest number is the first to go."""


class Line(NamedTuple):
    text: str
    alarming: bool = False


def lines(hedge: Mapping[str, Any], width: int | None = None) -> list[Line]:
    """Return the lines of one hedge, as `/v1/status` shows it; ``width`` None: no limit."""
    body = [_books(hedge), _funding(hedge), _exit(hedge), _margin(hedge), _streams(hedge)]
    found = [Line(fit(_head(hedge), width))]
    found += [Line(GAP + fit(parts, width and width - len(GAP))) for parts in body if parts]
    if hedge.get("reason"):
        found.append(Line(f"{GAP}waits: {hedge['reason']}"))
    found += [Line(GAP + text) for text in _orders(hedge)]
    found += [Line(f"{GAP}! {text}", alarming=True) for text in worries(hedge)]
    return found


def fit(parts: Parts, width: int | None) -> str:
    """Join the parts, leaving out the least important ones until they fit; the first stays."""
    kept = [(priority, index, text) for index, (priority, text) in enumerate(parts) if text]
    while width is not None and len(kept) > 1 and _length(kept) > width:
        kept.remove(max(kept))
    return GAP.join(text for _, _, text in kept)


def _length(kept: Sequence[tuple[int, int, str]]) -> int:
    return sum(len(text) for _, _, text in kept) + len(GAP) * (len(kept) - 1)


def clock(at: int) -> str:
    return f"{datetime.fromtimestamp(at // SECOND_NS, UTC):%Y-%m-%d %H:%M:%S}Z"


def shown(value: object) -> str:
    return UNKNOWN if value is None else str(value)


def rounded(value: object, factor: int = 1) -> str:
    """Return a ratio times ``factor`` with two places; never used for what is traded."""
    if value is None:
        return UNKNOWN
    places = Decimal("0.01")
    return f"{(Decimal(str(value)) * factor).quantize(places, ROUND_HALF_EVEN):f}"


def _head(hedge: Mapping[str, Any]) -> Parts:
    venues = GAP.join(str(hedge.get(key)) for key in ("spot_venue", "futures_venue"))
    from_journal = hedge.get("source") == "journal"
    seen = f"(journal, last row {clock(hedge['at'])})" if from_journal and hedge.get("at") else ""
    return [
        (0, str(hedge.get("name"))),
        (1, str(hedge.get("mode") or "")),
        (2, str(hedge.get("phase") or "")),
        (2, "PAUSED" if hedge.get("paused") else ""),
        (2, seen),
        (3, str(hedge.get("symbol") or "")),
        (4, venues if hedge.get("spot_venue") else ""),
        (5, str(hedge.get("action") or "")),
    ]


def _books(hedge: Mapping[str, Any]) -> Parts:
    parts = [
        (0, f"spot {shown(hedge.get('inventory'))}"),
        (0, f"futures {shown(hedge.get('position'))}"),
        (1, f"delta {shown(hedge.get('delta'))}"),
    ]
    if hedge.get("delta_bps") is not None:
        parts.append((2, f"{rounded(hedge['delta_bps'])} bps"))
    if hedge.get("delta_quote") is not None:
        parts.append((3, f"{rounded(hedge['delta_quote'])} quote"))
    if hedge.get("tolerance") is not None:
        parts.append((4, f"tolerance {hedge['tolerance']}"))
    if hedge.get("spot_target") is not None:
        parts.append((5, f"target {hedge['spot_target']}"))
    return parts


def _funding(hedge: Mapping[str, Any]) -> Parts:
    parts: Parts = []
    if hedge.get("funding_rate") is not None:
        per = int(hedge.get("funding_interval_s") or 0)
        every = f" per {per // HOUR_S} h" if per else ""
        parts.append((2, f"rate {hedge['funding_rate']}{every}"))
    if hedge.get("funding_apr") is not None:
        parts.append((1, f"APR {rounded(hedge['funding_apr'], 100)} %"))
    if hedge.get("funding_next_at"):
        parts.append((4, f"next {clock(hedge['funding_next_at'])}"))
    received, fees = hedge.get("funding_received"), hedge.get("fees_paid")
    if received is not None:
        parts.append((0, f"funding {received}"))
    if fees is not None:
        parts.append((0, f"fees {fees}"))
    if received is not None and fees is not None:
        parts.append((3, f"net {Decimal(received) - Decimal(fees):f}"))
    return parts


def _exit(hedge: Mapping[str, Any]) -> Parts:
    if hedge.get("source") == "journal":
        return []
    why = f": {hedge['exit_reason']}" if hedge.get("exit_reason") else ""
    return [(0, f"exit {'armed' if hedge.get('exit_armed') else 'not armed'}{why}")]


def _margin(hedge: Mapping[str, Any]) -> Parts:
    parts: Parts = []
    if hedge.get("liquidation_distance") is not None:
        parts.append((0, f"liquidation {rounded(hedge['liquidation_distance'], 100)} % away"))
    if hedge.get("liquidation_price") is not None:
        parts.append((1, f"at {hedge['liquidation_price']}"))
    if hedge.get("margin_ratio") is not None:
        parts.append((2, f"margin ratio {rounded(hedge['margin_ratio'], 100)} %"))
    if hedge.get("basis_bps") is not None:
        parts.append((3, f"basis {rounded(hedge['basis_bps'])} bps"))
    return parts


def _streams(hedge: Mapping[str, Any]) -> Parts:
    ages = [(leg, hedge.get(f"{leg}_stream_age_ms")) for leg in ("spot", "futures")]
    return [(0, f"{leg} stream {age} ms") for leg, age in ages if age is not None]


def _orders(hedge: Mapping[str, Any]) -> list[str]:
    orders = hedge.get("orders") or ()
    doubtful = sum(1 for order in orders if order.get("status") == "doubtful")
    found = [f"orders: {len(orders)} open, {doubtful} in doubt"] if orders else []
    for order in orders:
        what = f"{order['leg']} {order['side']} {order['quantity']} at {order['limit_price']}"
        done = f"filled {order['filled']}, {order['status']}"
        found.append(f"{GAP}{order['client_order_id']}  {what}  {done}")
    return found
