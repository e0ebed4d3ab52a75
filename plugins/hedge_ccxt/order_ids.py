"""Our order ids as each venue takes them, and back: a pure, reversible coding.

Ours are at most 23 characters of 0-9 and A-Z, and begin with a letter other than T. That goes
everywhere but to Hyperliquid, which takes 128 bits as ``0x`` and 32 hex digits; Gate wants ``t-``
before it, which ccxt adds when it places (and leaves out for an id that begins with "t").
"""

import enum
import string

from hedge.errors import Missing

DIGITS = string.digits + string.ascii_uppercase
BASE = len(DIGITS)
LENGTH_MAX = 23
"""36 ** 24 is below 2 ** 128: the digit that keeps leading zeros comes on top."""
MARK = "1"
GATE_PREFIX = "t-"
HEX_LENGTH = 34


class IdStyle(enum.Enum):
    """How a venue wants an id of ours."""

    PLAIN = enum.auto()
    GATE = enum.auto()
    """As plain when it is placed, with the prefix when it is asked for."""
    HEX = enum.auto()


def lawful(client_order_id: str) -> bool:
    """Return whether every venue takes the id, in its own style."""
    return (
        0 < len(client_order_id) <= LENGTH_MAX
        and client_order_id[0] != "T"
        and all(letter in DIGITS for letter in client_order_id)
    )


def to_place(style: IdStyle, client_order_id: str) -> str:
    """Return the id as ccxt is to send it with a new order; raise `Missing` for no id of ours."""
    if not lawful(client_order_id):
        raise Missing(f"ccxt: no order id that every venue takes: {client_order_id[:40]!r}")
    if style is IdStyle.HEX:
        return f"0x{int(MARK + client_order_id, BASE):032x}"
    return client_order_id


def to_ask(style: IdStyle, client_order_id: str) -> str:
    """Return the id as a placed order is asked for, or cancelled, by it."""
    placed = to_place(style, client_order_id)
    return GATE_PREFIX + placed if style is IdStyle.GATE else placed


def from_venue(style: IdStyle, text: str | None) -> str:
    """Return our id of the venue's word for it; what is not ours comes back as it is."""
    if not text:
        return ""
    if style is IdStyle.GATE:
        return text.removeprefix(GATE_PREFIX)
    if style is not IdStyle.HEX or len(text) != HEX_LENGTH or not text.startswith("0x"):
        return text
    try:
        value = int(text, 16)
    except ValueError:
        return text
    found = ""
    while value:
        value, digit = divmod(value, BASE)
        found = DIGITS[digit] + found
    ours = found[1:]
    return ours if found[:1] == MARK and lawful(ours) else text
