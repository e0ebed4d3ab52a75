"""What each of Bybit's return codes proves about a request: no, later, nothing, or not known.

Only a code that stands here as a refusal is one (Bybit docs/v5/error, and the WebSocket trade
guideline). Whatever is not listed proves nothing, and so do the codes of timeouts, of restarts
and of duplicates: an id that the venue says it knows already is to be asked for, not given up.
"""

import enum
from collections.abc import Mapping

from hedge.errors import Limited, Missing, OutcomeUnknown, Refused, Unreachable, VenueError

OK = 0


class Verdict(enum.Enum):
    """What is certain after an answer."""

    REFUSED = enum.auto()
    """Nothing was done, and asking again will not help."""
    LIMITED = enum.auto()
    """Nothing was done because of a rate limit."""
    MISSING = enum.auto()
    """The venue knows no such order or symbol."""
    UNKNOWN = enum.auto()
    """It may have been done."""


def _codes(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split())


UNKNOWN_CODES = frozenset(
    _codes("""
    429 500000
    10000 10016 10019 10403 10429
    10014 110072 170141
    20003 20006
    110079
    170001 170005 170007 170032 170035 170146 170147 170149 170150 170212 170234
""")
)
"""Listed to be read, not to be looked up: an unlisted code is judged the same."""

REFUSED_CODES = frozenset(
    _codes("""
    10001 10002 10003 10004 10005 10007 10008 10009 10010 10017 10024 10027 10028 10029 10404
    30133 30134 30135 30136 100028
    110003 110004 110005 110006 110007 110011 110012 110013 110014 110015 110016 110017 110018
    110020 110021 110022 110023 110024 110028 110029 110031 110032 110034 110035 110036 110037
    110038 110039 110040 110042 110044 110045 110046 110047 110048 110049 110050 110051 110052
    110053 110063 110066 110067 110068 110069 110070 110074 110080 110085 110086 110087 110094
    170010 170011 170019 170031 170033 170034 170036 170037 170105 170115 170116 170117 170121
    170124 170130 170131 170132 170133 170134 170135 170136 170137 170140 170148 170151 170157
    170159 170192 170193 170194 170201 170202 170207 170210 170215 170216 170217 170218 170219
    170220 170221 170223 170224 170226 170227 170228 170229 170230 170371 170372 170709
    3200320 3200403 3400139
""")
)

NOT_OPEN_CODES = frozenset(
    _codes("110001 110008 110010 110019 110030 170139 170142 170143 170190 170213")
)
"""Of a cancel: the order is not open (any more), which says nothing of what it filled."""

ADDRESS_LIMITED = 10018
"""Too many requests of this address; the others are of one endpoint, of this account."""
LIMITED_CODES = frozenset({10006, ADDRESS_LIMITED})

UNCHANGED_CODES = frozenset({"110025", "110026", "110043"})
"""Set-mode and set-leverage: it is so already."""

OWN_WORDS = {10004: "the signature is wrong"}
WORDS_MAX = 200
DIGITS_MAX = 15
"""More are no time, and `int` refuses thousands."""

LIMITED_FOR_S = 1
BANNED_FOR_S = 600
"""An address over its limit gets HTTP 403 for ten minutes (docs/v5/rate-limit), or as it says."""
ADDRESS_LIMITED_FOR_S = 5
"""The window that requests of an address are counted in, which slides."""
WAIT_MAX_S = 86_400
RESET_MAX_S = 60
"""Longer waits are a slip of a header, or of a clock: windows are seconds."""
RETRY_AFTER = "retry-after"
RESET_AT = "x-bapi-limit-reset-timestamp"
"""When the limit of an endpoint is free again, ms of the venue's time (docs/v5/rate-limit)."""

BAD_TIMESTAMP = 10002
MENDS = {
    10002: "set this machine's clock right, or raise venues.bybit.recv_window_ms",
    10003: "the API key is not known here: check the key, and venues.bybit.environment and domain",
    10004: "the API secret does not fit the key",
    10005: "give the key the right to trade this product",
    10007: "the API key is missing or does not exist",
    10009: "Bybit has banned this address",
    10010: "add this machine's address to the key",
    10024: "trade through the site of your region: venues.bybit.domain",
    10027: "Bybit has suspended trading for this account",
    10028: "the account must be a unified trading account",
    10029: "the key's symbol whitelist does not have it",
    110007: "more margin is needed",
    110012: "more margin is needed",
    110023: "the instrument can only be reduced: it is being delisted or restricted",
    110024: "close the position, then switch to one-way mode",
    110028: "cancel its open orders, then switch to one-way mode",
    110038: "leave portfolio margin mode",
    110094: "the order is below the least notional",
    170131: "more balance is needed",
}  # fmt: skip


def verdict(code: int) -> Verdict:
    """Return what ``retCode`` proves of an order that was to be placed."""
    if code in REFUSED_CODES:
        return Verdict.REFUSED
    if code in LIMITED_CODES:
        return Verdict.LIMITED
    if code in NOT_OPEN_CODES:
        return Verdict.MISSING
    return Verdict.UNKNOWN


def say(code: int, message: str) -> str:
    """Return one line: the venue, the code, its words, and the mend where one is known.

    Of a wrong signature Bybit says what should have been signed, with the key in it: that is kept
    to ourselves.
    """
    words = OWN_WORDS.get(code) or " ".join(message.split())[:WORDS_MAX]
    mend = MENDS.get(code)
    return f"bybit {code}: {words}" + (f" ({mend})" if mend else "")


def command_error(code: int, message: str, *, retry_after_s: int = LIMITED_FOR_S) -> VenueError:
    """Return the error of a request that was to change something (placing, cancelling, setting).

    An order that is not open is `Refused`: that is a definite no to a cancel, and placing cannot
    meet it.
    """
    text = say(code, message)
    match verdict(code):
        case Verdict.REFUSED | Verdict.MISSING:
            return Refused(text, code=str(code))
        case Verdict.LIMITED:
            return Limited(text, code=str(code), retry_after_s=retry_after_s)
        case Verdict.UNKNOWN:
            return OutcomeUnknown(text)


def read_error(code: int, message: str, *, retry_after_s: int = LIMITED_FOR_S) -> VenueError:
    """Return the error of a request that changes nothing: nothing is in doubt after it."""
    text = say(code, message)
    if code == BAD_TIMESTAMP:  # nothing is wrong with the question: ask again
        return Unreachable(text)
    match verdict(code):
        case Verdict.REFUSED:
            return Refused(text, code=str(code))
        case Verdict.MISSING:
            return Missing(text)
        case Verdict.LIMITED:
            return Limited(text, code=str(code), retry_after_s=retry_after_s)
        case Verdict.UNKNOWN:
            return Unreachable(text)


HTTP_OK = 200
HTTP_FORBIDDEN = 403
HTTP_LIMITED = 429
HTTP_REFUSALS = {
    401: "the API key is not accepted: check key, secret, environment and domain",
    404: "no such path, or the account's mode does not have this product",
}
"""Nothing behind the door has seen such a request (docs/v5/error, "HTTP Code")."""


def wait_s(headers: Mapping[str, str], now_ms: int) -> int:
    """Return how long an answer's headers ask to wait, 0 where they do not; ``now_ms`` venue's.

    Names are in lower case, or of a mapping that does not tell cases apart.
    """
    after, reset = headers.get(RETRY_AFTER, ""), headers.get(RESET_AT, "")
    wait = 0
    if after.isdecimal():
        wait = min(int(after[:DIGITS_MAX]), WAIT_MAX_S)
    if reset.isdecimal():
        until_free_s = -(-(int(reset[:DIGITS_MAX]) - now_ms) // 1_000)
        wait = max(wait, min(until_free_s, RESET_MAX_S))
    return wait


def status_error(status: int, *, read: bool, retry_after_s: int = 0) -> VenueError:
    """Return the error of an HTTP answer that is not 200, whatever its body says.

    A 403 is the address' ban and a 429 a limit, but neither proves that an order was not taken
    (10403 and 10429 are their like in a body): only a read is told to wait.
    """
    text = f"bybit HTTP {status}"
    if status in HTTP_REFUSALS:
        return Refused(f"{text} ({HTTP_REFUSALS[status]})", code=str(status))
    if not read:
        return OutcomeUnknown(text)
    if status == HTTP_FORBIDDEN:
        return Limited(
            f"{text} (the address is over its limit, or Bybit does not serve its country)",
            code=str(status),
            retry_after_s=retry_after_s or BANNED_FOR_S,
        )
    if status == HTTP_LIMITED:
        return Limited(text, code=str(status), retry_after_s=max(retry_after_s, LIMITED_FOR_S))
    return Unreachable(text)
