"""What both ends must agree on: paths, codes of refusals, and the lines of the stream."""

import hashlib
import hmac
from typing import Any, Final

import msgspec

from hedge.model import (
    Balance,
    Fill,
    FundingPayment,
    FundingRate,
    Leg,
    Mark,
    OrderReport,
    Position,
    PositionMode,
    Quote,
    StreamAlive,
    StreamDown,
    StreamUp,
)
from hedge.roles import Margin

HOST: Final = "127.0.0.1"
KEY_HEADER: Final = "x-served-key"
SIGN_HEADER: Final = "x-served-sign"
LINE_MAX: Final = 1 << 16

MARKET: Final = "market"
ACCOUNT: Final = "account"
FUNDING: Final = "funding"

REFUSALS: Final = frozenset(
    {
        "DUPLICATE_ID", "STALE_TIMESTAMP", "TIMESTAMP_AHEAD", "HALTED", "LOT_SIZE", "TICK_SIZE",
        "MIN_NOTIONAL", "QUANTITY_MAX", "PRICE_COLLAR", "POST_ONLY_WOULD_TAKE", "REDUCE_ONLY",
        "POSITION_MODE", "INSUFFICIENT_BALANCE", "INSUFFICIENT_MARGIN", "UNKNOWN_ORDER",
        "LEVERAGE", "BAD_KEY",
    }
)  # fmt: skip
"""Codes by which a 4xx is a definite no; everything else is an unknown outcome."""
LIMITED: Final = "RATE_LIMIT"
MISSING: Final = "MISSING"

NEWS: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (
        Quote,
        Mark,
        FundingRate,
        FundingPayment,
        Fill,
        OrderReport,
        Balance,
        Position,
        StreamUp,
        StreamDown,
        StreamAlive,
    )
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not 200."""

    code: str
    message: str
    retry_after_s: int = 1


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the stream; ``news`` is of the type that ``kind`` names in `NEWS`."""

    channel: str
    leg: Leg
    symbol: str
    kind: str
    news: msgspec.Raw


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What the account is set to, read back."""

    margin: Margin
    mode: PositionMode


def signature(secret: str, method: str, target: str, body: bytes) -> str:
    text = b"\n".join((method.encode(), target.encode(), body))
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
