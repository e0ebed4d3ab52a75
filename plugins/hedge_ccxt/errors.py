"""What each answer proves about a request: our own table first, ccxt's classes behind it.

ccxt sorts by what a person should do about an error, we by what is certain after it: its
``InvalidOrder`` of Bybit's 170146 is a timeout of the matching engine, its ``ExchangeError`` of
10016 a restart, and whatever it calls ``OperationFailed`` (timeouts, 5xx, rate limits, broken
answers) says nothing of an order that had left. Only a code that the profile lists, or a class
that cannot be anything else, is a refusal; what is not listed is not known.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable, VenueError

WORDS_MAX = 200
LIMITED_FOR_S = 2
BANNED = frozenset({403, 418})
"""HTTP's status for an address that asks too often (Bybit, Binance), where ccxt says it is that."""
BANNED_FOR_S = 600
"""Bybit's ban lasts at least so long, and names no time (docs/v5/rate-limit)."""
SERVER_ERROR = 500
_HOST = re.compile(r"://([A-Za-z0-9.-]+(?::\d+)?)(?=[/?\s]|$)", re.ASCII)
CERTAIN = frozenset({"InsufficientFunds", "AuthenticationError", "OrderImmediatelyFillable"})
"""Classes of ccxt (and what is below them) that only a definite no is sorted into."""
NOT_THERE = frozenset({"OrderNotFound"})
NO_SYMBOL = frozenset({"BadSymbol"})
TOO_MANY = frozenset({"RateLimitExceeded", "DDoSProtection"})
NETWORK = "OperationFailed"
NOTHING_LEFT = frozenset({"ClientConnectorError", "gaierror", "ConnectionRefusedError"})
"""Causes after which no byte of the request has left this machine."""
SAME = frozenset({"NoChange", "MarginModeAlreadySet"})
"""A setting that is so already."""


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's own codes by what they prove, as text; a code belongs in one of the sets."""

    refused: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    """No such order, or it is not open (any more)."""
    unknown: frozenset[str] = frozenset()
    """Stronger than ccxt's class; what is in no set is judged the same unless `CERTAIN`."""
    same: frozenset[str] = frozenset()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one request that raised."""

    names: frozenset[str]
    """Of the error's class and its bases."""
    text: str
    causes: frozenset[str] = frozenset()
    sent: bool = True
    """Whether a request that changes something had been handed to the connection."""
    status: int = 0
    """HTTP's, 0 where there was none."""
    retry_after_s: int = LIMITED_FOR_S
    """How long to send nothing, where it was one request too many."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def answer_of(error: BaseException, *, sent: bool, status: int, retry_after_s: int = 0) -> Answer:
    """Return what is known of a request; without ``retry_after_s`` the wait is our own."""
    causes: set[str] = set()
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < WORDS_MAX:
        causes |= {one.__name__ for one in type(cause).__mro__}
        cause = cause.__cause__ or cause.__context__
    return Answer(
        names=frozenset(one.__name__ for one in type(error).__mro__),
        text=str(error),
        causes=frozenset(causes),
        sent=sent,
        status=status,
        retry_after_s=retry_after_s or (BANNED_FOR_S if status in BANNED else LIMITED_FOR_S),
    )


def code_of(text: str) -> str:
    """Return the venue's own code of ccxt's message (the venue's id, and its body), "" without.

    The inner code of OKX (``sCode``) before the outer, which is 1 for whatever failed.
    """
    begin = text.find("{")
    if begin < 0:
        return ""
    try:
        body: Any = msgspec.json.decode(text[begin : text.rfind("}") + 1])
    except msgspec.DecodeError:
        return ""
    inner = body.get("data")
    first = inner[0] if isinstance(inner, list) and inner and isinstance(inner[0], dict) else {}
    return next(_texts(first.get("sCode"), *(body.get(k) for k in _KEYS)), "")


_KEYS = ("retCode", "code", "label", "error_code")


def _texts(*values: Any) -> Iterator[str]:
    return (str(one) for one in values if isinstance(one, str | int) and str(one))


def unchanged(answer: Answer, codes: Codes) -> bool:
    """Return whether a setting was refused because it is so already."""
    return bool(answer.names & SAME) or code_of(answer.text) in codes.same


def order_error(answer: Answer, codes: Codes, venue: str) -> VenueError:
    """Return the error of a request that was to place, cancel or set something."""
    code = code_of(answer.text)
    said = _say(answer, code, venue)
    if not answer.sent or answer.causes & NOTHING_LEFT:
        if NETWORK in answer.names or answer.causes & NOTHING_LEFT:
            return Unreachable(said)
        return Refused(said, code="NOT_SENT")
    if code in codes.unknown or answer.status >= SERVER_ERROR:
        return OutcomeUnknown(said)
    if code in codes.limited:
        return Limited(said, code=code, retry_after_s=answer.retry_after_s)
    if code in codes.refused or code in codes.missing:
        return Refused(said, code=code)
    if NETWORK in answer.names:
        return OutcomeUnknown(said)
    if found := sorted(answer.names & (CERTAIN | NOT_THERE)):
        return Refused(said, code=code or found[0])
    return OutcomeUnknown(said)


def read_error(answer: Answer, codes: Codes, venue: str) -> VenueError:
    """Return the error of a request that changes nothing."""
    code = code_of(answer.text)
    said = _say(answer, code, venue)
    if code in codes.missing or answer.names & (NOT_THERE | NO_SYMBOL):
        return Missing(said)
    if code in codes.limited or answer.names & TOO_MANY:
        return Limited(said, code=code, retry_after_s=answer.retry_after_s)
    if code in codes.refused or answer.names & CERTAIN:
        return Refused(said, code=code)
    return Unreachable(said)


def _say(answer: Answer, code: str, venue: str) -> str:
    """Return one line; of an address, which carries key and signature, the host alone."""
    body = answer.text[answer.text.find("{") :] if code else ""
    if not code and "://" not in answer.text:
        body = answer.text  # ccxt's own words, said before anything was sent
    elif not code and (host := _HOST.search(answer.text)) is not None:
        body = host[1]
    status = f" HTTP {answer.status}" if answer.status >= SERVER_ERROR else ""
    kind = "" if code else " " + (min(answer.names & CERTAIN, default="") or _kind(answer))
    return f"{venue}{status}{' ' + code if code else kind}: {' '.join(body.split())}"[:WORDS_MAX]


def _kind(answer: Answer) -> str:
    known = ("RequestTimeout", "ExchangeNotAvailable", "OrderNotFound", "BadSymbol", "InvalidOrder")
    return next((name for name in known if name in answer.names), "no answer that is understood")
