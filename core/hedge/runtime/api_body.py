"""The body of a command: bounded, flat, without surprises; and the code that confirms one."""

import json
import re
import secrets
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import msgspec

from hedge.decide.events import Verb
from hedge.errors import SafetyRefusal, UsageError
from hedge.model.numbers import SECOND
from hedge.runtime.client import nearest

BODY_BYTES_MAX = 4096
TEXT_CHARS_MAX = 200
NUMBER_CHARS_MAX = 40
EXPONENT_MAX = 18
CONFIRM_S = 60
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_NEEDED: dict[Verb, tuple[str, ...]] = {
    Verb.SCALE: ("usd",),
    Verb.ADOPT: ("quantity",),
    Verb.ACK: ("subject",),
    Verb.CLEAR: ("subject",),
    Verb.RESOLVE: ("subject", "quantity"),
}
_OPTIONAL: dict[Verb, tuple[str, ...]] = {
    Verb.LIQUIDATE: ("confirm", "max_slip_bps"),
    Verb.FREEZE: ("subject",),
    Verb.LOCK: ("subject",),
}
_COMMON = ("hedge", "request_id")
_NUMBERS = ("usd", "quantity", "max_slip_bps")


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a body said; ``hedge`` may be left out where only one runs."""

    hedge: str = ""
    request_id: str = ""
    subject: str = ""
    usd: Decimal | None = None
    quantity: Decimal | None = None
    confirm: str = ""
    max_slip_bps: Decimal | None = None


def parse(verb: Verb, body: bytes) -> Ask:
    """Return the body of ``verb``, or raise, naming what is wrong with it."""
    raw = _flat_object(body)
    allowed = (*_COMMON, *_NEEDED.get(verb, ()), *_OPTIONAL.get(verb, ()))
    for key in raw:
        if key in Ask.__struct_fields__ and key not in allowed:
            raise UsageError(f"{key!r} means nothing to {verb.value}")
        if key not in allowed:
            near = nearest(key, allowed)
            hint = f"; did you mean {near!r}?" if near else f"; known: {', '.join(allowed)}"
            raise UsageError(f"unknown key {key[:TEXT_CHARS_MAX]!r}{hint}")
    for key in _NEEDED.get(verb, ()):
        if raw.get(key) in (None, ""):
            raise UsageError(f"{verb.value} needs {key!r}")
    given: dict[str, Any] = {
        key: _number(key, value) if key in _NUMBERS else _text(key, value)
        for key, value in raw.items()
        if value is not None
    }
    ask = Ask(**given)
    if ask.request_id and not _REQUEST_ID.fullmatch(ask.request_id):
        raise UsageError("request_id takes at most 128 printable ASCII characters, no spaces")
    if (ask.usd is not None and not ask.usd) or (verb is Verb.ADOPT and not ask.quantity):
        raise UsageError(f"{verb.value} needs more than zero")
    if verb is Verb.RESOLVE and ask.quantity:
        # The core can only bury an order by hand; burying one that filled would lose the fill.
        raise SafetyRefusal("an order that filled is settled by its fills, which the audit reads")
    return ask


def _flat_object(body: bytes) -> dict[str, object]:
    if len(body) > BODY_BYTES_MAX:
        raise UsageError(f"the body is longer than {BODY_BYTES_MAX} bytes")
    try:
        raw = json.loads(
            body or b"{}",
            parse_int=Decimal,
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_no_twins,
        )
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise UsageError(f"the body is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise UsageError("the body must be one JSON object")
    return raw


def _no_constant(name: str) -> NoReturn:
    raise UsageError(f"{name} is not a number")


def _no_twins(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise UsageError(f"key {key[:TEXT_CHARS_MAX]!r} stands twice")
        found[key] = value
    return found


def _number(key: str, raw: object) -> Decimal:
    if not isinstance(raw, str | Decimal) or len(str(raw)) > NUMBER_CHARS_MAX:
        raise UsageError(f"{key} must be a number, best as a string")
    try:
        value = Decimal(raw)
    except InvalidOperation:
        raise UsageError(f"{key} is not a number: {raw!r}") from None
    if not value.is_finite() or value.is_signed() or abs(value.adjusted()) > EXPONENT_MAX:
        raise UsageError(f"{key} must be a finite number, not negative and of a sane size: {raw}")
    return value


def _text(key: str, raw: object) -> str:
    if not isinstance(raw, str) or len(raw) > TEXT_CHARS_MAX or not raw.isprintable():
        raise UsageError(f"{key} must be one line of text, at most {TEXT_CHARS_MAX} characters")
    return raw


class Confirmations:
    """One pending code a hedge; valid once, for a minute of real time, for one guess."""

    def __init__(self, monotonic_ns: Callable[[], int], new_code: Callable[[], str] | None) -> None:
        self._monotonic_ns = monotonic_ns
        self._new_code = new_code or (lambda: f"{secrets.randbelow(10**6):06d}")
        self._pending: dict[str, tuple[str, int]] = {}

    def issue(self, hedge: str) -> str:
        """Return a new code; the one before it is void."""
        code = self._new_code()
        self._pending[hedge] = (code, self._monotonic_ns())
        return code

    def check(self, hedge: str, code: str) -> None:
        """Use up the pending code, or raise `SafetyRefusal` saying why it does not count."""
        pending = self._pending.pop(hedge, None)
        if pending is None:
            raise SafetyRefusal("nothing waits for a confirmation; ask for a preview first")
        issued, at = pending
        if self._monotonic_ns() - at > CONFIRM_S * SECOND:
            raise SafetyRefusal(f"the code is older than {CONFIRM_S} s; ask for a new preview")
        if not secrets.compare_digest(issued.encode(), code.encode()):
            raise SafetyRefusal("that is not the code of the preview; ask for a new one")
