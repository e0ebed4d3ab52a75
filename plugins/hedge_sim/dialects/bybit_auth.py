"""Who asks, and whether the signature and its time are right: REST headers and the ``auth`` op.

REST signs ``timestamp + key + recv_window + (query string | body)``, a socket signs
``GET/realtime`` + expiry; both HMAC-SHA256 as hex. A request is in time while
``server_time - recv_window <= timestamp < server_time + 1000`` (docs/v5/guide "Parameters for
Authenticated Endpoints"). All times here are milliseconds.
"""

import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hedge_sim.dialects.bybit_errors import (
    Rejection,
    bad_key,
    bad_param,
    bad_sign,
    outside_window,
)

RECV_WINDOW_MS: Final = 5_000
AHEAD_MAX_MS: Final = 1_000
KEY: Final = "x-bapi-api-key"
SIGN: Final = "x-bapi-sign"
TIMESTAMP: Final = "x-bapi-timestamp"
WINDOW: Final = "x-bapi-recv-window"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key pair of the account."""

    name: str
    secret: str


def sign(secret: str, text: str | bytes) -> str:
    """Return the hex HMAC-SHA256 that Bybit's system keys sign with."""
    data = text.encode() if isinstance(text, str) else text
    return hmac.new(secret.encode(), data, "sha256").hexdigest()


def whole(text: object, name: str) -> int:
    """Return an integer parameter; raise 10001 when it is none."""
    try:
        return int(str(text))
    except ValueError:
        raise bad_param(f"{name} invalid") from None


def check_window(timestamp: int, recv_window: int, now: int) -> None:
    """Raise 10002 for a request that is too old or from the future."""
    if not now - recv_window <= timestamp < now + AHEAD_MAX_MS:
        raise outside_window(timestamp, now, recv_window)


def check_request(key: Key, headers: Mapping[str, str], payload: bytes, now: int) -> int:
    """Check a REST request (header names in lower case); return when it was signed.

    ``payload`` is the raw query string of a GET, the raw body of a POST.
    """
    if KEY not in headers or SIGN not in headers or TIMESTAMP not in headers:
        raise Rejection(10003, "API key is invalid.", status=401)
    if headers[KEY] != key.name:
        raise bad_key()
    window = headers.get(WINDOW, "")
    timestamp = whole(headers[TIMESTAMP], "timestamp")
    recv_window = whole(window, "recv_window") if window else RECV_WINDOW_MS
    check_window(timestamp, recv_window, now)
    origin = f"{headers[TIMESTAMP]}{key.name}{window}".encode() + payload
    if not hmac.compare_digest(sign(key.secret, origin), headers[SIGN].lower()):
        raise bad_sign(origin.decode(errors="replace"))
    return timestamp


def check_auth(key: Key, args: object, now: int) -> None:
    """Check the arguments of an ``auth`` op: key, expiry (ms, still ahead), signature."""
    match args:
        case [str(name), int() | float() | str() as expiry, str(signature)]:
            expires = whole(expiry, "expires")
        case _:
            raise bad_param("auth args invalid")
    if name != key.name:
        raise bad_key()
    if expires <= now:
        raise Rejection(10004, "Params Error: expires is expired")
    text = f"GET/realtime{expires}"
    if not hmac.compare_digest(sign(key.secret, text), signature.lower()):
        raise bad_sign(text)


def header_of(message: Mapping[str, Any], name: str) -> str:
    """Return a header of a trade request, whatever the case of its name."""
    header = message.get("header")
    if not isinstance(header, dict):
        return ""
    return next((str(v) for k, v in header.items() if str(k).lower() == name), "")


def check_trade_header(message: Mapping[str, Any], now: int) -> tuple[int, int]:
    """Check the time of a trade request; return when it was signed and its window."""
    stamp = header_of(message, TIMESTAMP)
    if not stamp:
        raise bad_param("header X-BAPI-TIMESTAMP is missing")
    window = header_of(message, WINDOW)
    timestamp = whole(stamp, "timestamp")
    recv_window = whole(window, "recv_window") if window else RECV_WINDOW_MS
    check_window(timestamp, recv_window, now)
    return timestamp, recv_window
