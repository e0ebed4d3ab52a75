"""Binance's error codes, sorted by what is certain; what is not listed is unknown.

Sources: ``errors.md`` of the official Spot documentation, "Error Codes" and "HTTP Return Codes" of
the official USD-M documentation. Three words for an order:

* refused: the venue said no, for certain;
* limited: it said no because of a limit, and when to come again;
* unknown: anything else. -1000, -1001, -1006 and -1007 are documented as such; -2010 "Duplicate
  order sent." and -4116 say that an order with our id is alive, which an order of ours sent once
  can only be itself: not a refusal, but a reason to look.
"""

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable, VenueError

NO_SUCH_ORDER = -2013
TIMESTAMP = -1021
MODE_UNCHANGED = -4059
"""No need to change the position side."""
MARGIN_TYPE_UNCHANGED = -4046
LISTEN_KEY_GONE = -1125
REJECTED_KEY = -2015
NOT_LOGGED_ON = frozenset({-1022, -1102, -1103, -1193, -2014, REJECTED_KEY})
"""How a request without key and signature is refused where nobody has logged on.

Spot misses the parameter ``apiKey`` (-1102) or says it outright (-1193), USD-M does not find the
parameter (-1103); a session whose key became invalid is revoked (-2015, without an id).
"""
_NOT_THERE = (NO_SUCH_ORDER, LISTEN_KEY_GONE)

_COMMON = {
    -1002: "the key may not do this",
    -1013: "an order filter failed",
    -1014: "unsupported combination of order parameters",
    -1020: "unsupported operation",
    TIMESTAMP: "the request came outside its window; check the clock (hedge doctor)",
    -1022: "the signature is not valid: is the secret the key's own?",
    -1100: "illegal characters in a parameter",
    -1101: "too many parameters",
    -1102: "a mandatory parameter is missing or malformed",
    -1103: "an unknown parameter",
    -1104: "not all parameters were read",
    -1105: "an empty parameter",
    -1106: "a parameter that is not required",
    -1108: "a parameter overflowed",
    -1111: "too many decimals in price or quantity",
    -1114: "time in force is not taken here",
    -1115: "invalid time in force",
    -1116: "invalid order type",
    -1117: "invalid side",
    -1118: "the client order id is empty",
    -1119: "the original client order id is empty",
    -1121: "no such symbol",
    -1128: "invalid combination of optional parameters",
    -1130: "invalid data in a parameter",
    -1131: "the window is longer than 60 s",
    -2014: "the API key is malformed",
    REJECTED_KEY: "the key is wrong, its address is not allowed, or it has no right to do this",
}
SPOT_REFUSED = {
    **_COMMON,
    -1193: "the connection is not logged on",
    -2010: "the matching engine refused the order",
    -2011: "the cancel was refused",
    -2016: "no trading window for the symbol",
}
"""Spot: HTTP and ``ws-api``."""
FUTURES_REFUSED = {
    **_COMMON,
    -1005: "this address is not on the white list",
    -1011: "this address may not use this route",
    -1109: "invalid account",
    -1122: "the symbol's status forbids it",
    -1136: "invalid newOrderRespType",
    -2011: "the cancel was refused",
    -2017: "the account's API keys are locked",
    -2018: "not enough balance",
    -2019: "not enough margin",
    -2020: "unable to fill",
    -2022: "reduce-only, and there is nothing to reduce",
    -2023: "the account is being liquidated",
    -2024: "the position is smaller",
    -2025: "too many open orders",
    -2027: "the position would exceed what this leverage allows",
    -2028: "the leverage is too small for the margin balance",
    -4000: "invalid order status",
    -4001: "the price is below zero",
    -4002: "the price is above the maximum",
    -4003: "the quantity is not above zero",
    -4004: "the quantity is below the minimum",
    -4005: "the quantity is above the maximum",
    -4013: "the price is below the minimum",
    -4014: "the price is not on the tick",
    -4015: "the client order id does not fit the rule",
    -4016: "the price is above the band",
    -4023: "the quantity is not on the step",
    -4024: "the price is below the band",
    -4028: "this leverage is not valid: set another limits.leverage",
    -4044: "the balance is not of this kind",
    -4047: "cancel the symbol's orders first, or set venues.binance.margin_type to keep",
    -4048: "close the symbol's position first, or set venues.binance.margin_type to keep",
    -4060: "invalid position side",
    -4061: "the order's position side is not the account's: it is in hedge mode",
    -4062: "reduce-only does not go with this position side",
    -4067: "cancel the account's orders, then hedge mode can be left",
    -4068: "close the account's positions, then hedge mode can be left",
    -4087: "the account may only place reduce-only orders",
    -4088: "the account may not place orders now",
    -4118: "reduce-only: the margin check failed",
    -4131: "the counterparty's best price is outside the band",
    -4140: "the symbol's status forbids opening a position",
    -4141: "the symbol is closed",
    -4167: "not in this margin type under the multi-assets mode",
    -4168: "no isolated margin under the multi-assets mode: leave it, or take crossed",
    -4164: "the notional is below the minimum",
    -4183: "the price is above the band",
    -4184: "the price is below the band",
    -4192: "a cooling-off period forbids trading",
    -4400: "quantitative rules allow reduce-only orders only",
    -4531: "the position mode of the portfolio margin account differs",
    -5022: "post-only would have taken",
    -5024: "the symbol is not in trading status",
    -5028: "the order reached the matching engine outside its window",
}
"""USD-M perpetuals: HTTP and ``ws-fapi``."""
LIMITED = {
    -1003: "too many requests",
    -1008: "the venue is overloaded and took nothing",
    -1015: "too many orders",
    -1034: "too many connections",
}
UNKNOWN = {
    -1000: "unknown error",
    -1001: "internal error",
    -1006: "unexpected response inside the venue",
    -1007: "timeout inside the venue",
    -4116: "an order with this id is open",
}
"""Listed only to be seen: what is in no table is unknown as well."""
_DUPLICATE = "duplicate"
_NOT_TAKEN = "service unavailable"
"""The text of a USD-M 503 that is documented as "a failure API operation"."""
_TOO_MANY, _BANNED, _UNAVAILABLE = 429, 418, 503
_SERVER_ERRORS = 500


def order_error(
    code: int, text: str, *, futures: bool, status: int = 0, retry_after_s: int = 0
) -> VenueError:
    """Return what an error answer to an order or a cancel means.

    ``status`` is HTTP's (or the WebSocket API's copy of it), 0 where there is none; ``text`` the
    venue's message.
    """
    message = _say(code, text, status)
    if status in (_TOO_MANY, _BANNED) or code in LIMITED:
        return Limited(message, code=str(code or status), retry_after_s=max(retry_after_s, 1))
    if futures and status == _UNAVAILABLE and not code and _NOT_TAKEN in text.lower():
        return Unreachable(message)
    table = FUTURES_REFUSED if futures else SPOT_REFUSED
    if status >= _SERVER_ERRORS or code not in table or _DUPLICATE in text.lower():
        return OutcomeUnknown(message)
    return Refused(message, code=str(code))


def read_error(
    code: int, text: str, *, futures: bool, status: int = 0, retry_after_s: int = 0
) -> VenueError:
    """Return what an error answer to a read means: two codes say that a thing is not there."""
    if code in _NOT_THERE and status < _SERVER_ERRORS:
        return Missing(_say(code, text, status))
    if code == TIMESTAMP:  # nothing is wrong with the question: ask again, by a fresh clock
        return Unreachable(_say(code, text, status))
    error = order_error(code, text, futures=futures, status=status, retry_after_s=retry_after_s)
    if isinstance(error, OutcomeUnknown):
        return Unreachable(str(error))
    return error


def _say(code: int, text: str, status: int) -> str:
    known = FUTURES_REFUSED.get(code) or SPOT_REFUSED.get(code) or LIMITED.get(code)
    number = f"{code}" if code else f"HTTP {status}"
    said = " ".join(text.split())[:200]
    return f"binance {number}: {said}" + (f" ({known})" if known else "")
