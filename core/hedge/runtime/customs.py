"""What a plugin hands over is looked at before the core sees it: its types, and that numbers are.

A plugin is somebody's code. A ``float`` for a ``Decimal``, a NaN or a text of a megabyte would
stand in the books, in the journal and in the next order. Nothing is mended here: a value is sound,
or it is said what is wrong with it.
"""

import enum
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from hedge.errors import Malformed
from hedge.model import Fill, OrderReport, Quote

DIGITS_MAX = 40
"""Before and behind the point: no price, quantity or balance of this world has as many."""
TEXT_MAX = 512
ROWS_MAX = 20_000
TIME_MAX = 2**63

Check = Callable[[Any], str]
"""Return what is wrong with a value, or ""."""
InMeasure = Callable[[tuple[Any, ...]], bool]


def fault(found: object, kind: type[msgspec.Struct] | None = None) -> str:
    """Return what is wrong with a value of a plugin, or "" for a sound one; any value may be asked.

    ``kind`` is what it must be; None: any of the model's.
    """
    if kind is not None and type(found) is not kind:
        return f"{type(found).__name__} is no {kind.__name__}"
    if not isinstance(found, msgspec.Struct):
        return f"{type(found).__name__} is none of the model's"
    return _of_struct(type(found))(found)


def sound(found: object, kind: type[msgspec.Struct]) -> None:
    """Raise `Malformed` with what is wrong with a value of a plugin."""
    wrong = fault(found, kind)
    if wrong:
        raise Malformed(f"the plugin's answer is not sound: {wrong}")


@cache
def _of_struct(kind: type[msgspec.Struct]) -> Check:
    """Return the check of a struct, with a short way for what has been seen before.

    Which types are right for its fields is found out field by field once, and then known.
    """
    hints = typing.get_type_hints(kind)
    names = kind.__struct_fields__
    checks = tuple(_of_hint(hints[name]) for name in names)
    values_of: Callable[[Any], tuple[Any, ...]] = (
        attrgetter(*names) if len(names) > 1 else lambda one: (getattr(one, names[0]),)
    )
    rule = RULES.get(kind, lambda _: "")
    flat = not any(_nests(hints[name]) for name in names)
    known: dict[tuple[type, ...], InMeasure] = {}

    def check(one: Any) -> str:
        values = values_of(one)
        types_of = tuple(map(type, values))
        in_measure = known.get(types_of)
        if in_measure is not None and in_measure(values):
            return rule(one)
        for name, value, wrong_with in zip(names, values, checks, strict=True):
            wrong = wrong_with(value)
            if wrong:
                return f"{kind.__name__}.{name}: {wrong}"
        if flat:
            known[types_of] = _in_measure(types_of)
        return rule(one)

    return check


def _nests(hint: Any) -> bool:
    """Return whether the type of a value does not say all of what must be looked at in it."""
    if typing.get_origin(hint) is not None:
        return any(_nests(one) for one in typing.get_args(hint) if one is not Ellipsis) or (
            typing.get_origin(hint) is tuple
        )
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _in_measure(kinds: tuple[type, ...]) -> InMeasure:
    """Return the check of values whose types are right: False where one may be out of measure.

    A hedge waits for it: what can be asked of all of a kind at once is.
    """
    decimals, ints, texts = (_those_of(kinds, kind) for kind in (Decimal, int, str))

    def check(values: tuple[Any, ...]) -> bool:
        for number in decimals(values):
            if not (number.is_finite() and -DIGITS_MAX < number.adjusted() < DIGITS_MAX):
                return False
        for count in ints(values):
            if not -TIME_MAX < count < TIME_MAX:
                return False
        return len("".join(texts(values))) <= TEXT_MAX

    return check


def _those_of(kinds: tuple[type, ...], kind: type) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what picks the values of one type."""
    places = [place for place, one in enumerate(kinds) if one is kind]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


def _of_hint(hint: Any) -> Check:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _any_of(tuple(_of_hint(one) for one in typing.get_args(hint)))
    if origin is tuple:
        return _rows_of(_of_hint(typing.get_args(hint)[0]))
    if hint in PLAIN:
        return PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return lambda value: "" if type(value) is hint else f"{type(value).__name__}, not {hint}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return lambda value: fault(value, hint)
    raise TypeError(f"no check of {hint}")


def _any_of(checks: tuple[Check, ...]) -> Check:
    def check(value: Any) -> str:
        wrong = ""
        for one in checks:
            wrong = one(value)
            if not wrong:
                return ""
        return wrong

    return check


def _rows_of(check: Check) -> Check:
    def every(value: Any) -> str:
        if not isinstance(value, tuple | list):
            return f"{type(value).__name__} is no tuple"
        if len(value) > ROWS_MAX:
            return f"{len(value)} rows"
        return next((wrong for wrong in map(check, value) if wrong), "")

    return every


def _decimal(value: Any) -> str:
    if type(value) is not Decimal:
        return f"{type(value).__name__} is no Decimal"
    if not value.is_finite():
        return f"{value} is no number"
    return "" if not value or -DIGITS_MAX < value.adjusted() < DIGITS_MAX else "beyond all measure"


def _text(value: Any) -> str:
    if type(value) is not str:
        return f"{type(value).__name__} is no text"
    return "" if len(value) <= TEXT_MAX else f"a text of {len(value)} characters"


def _int(value: Any) -> str:
    if type(value) is not int:
        return f"{type(value).__name__} is no int"
    return "" if -TIME_MAX < value < TIME_MAX else "beyond all measure"


def _bool(value: Any) -> str:
    return "" if type(value) is bool else f"{type(value).__name__} is no bool"


def _none(value: Any) -> str:
    return "" if value is None else f"{type(value).__name__} is not None"


PLAIN: dict[Any, Check] = {
    Decimal: _decimal,
    str: _text,
    int: _int,
    bool: _bool,
    type(None): _none,
}


def _of_fill(fill: Fill) -> str:
    return "" if fill.quantity >= 0 and fill.price >= 0 else "a negative quantity or price"


def quote_fault(quote: Quote) -> str:
    """Return what is wrong with a quote, in a third of the time: they come by the hundred."""
    bid_depth, ask_depth = quote.bid_depth, quote.ask_depth
    if (
        type(quote) is Quote
        and type(quote.bid) is type(quote.ask) is type(bid_depth) is type(ask_depth) is Decimal
        and bid_depth.is_finite()
        and ask_depth.is_finite()
        and quote.bid.adjusted() > -DIGITS_MAX
        and quote.ask.adjusted() < DIGITS_MAX
        and type(quote.bridged) is bool
        and type(quote.seen_at) is int
    ):
        return ""  # the rest is what `Quote.usable` judges
    return fault(quote, Quote) or "not a quote"


def _of_report(report: OrderReport) -> str:
    return "" if report.filled >= 0 else "a negative quantity"


RULES: dict[type, Callable[[Any], str]] = {Fill: _of_fill, OrderReport: _of_report}
"""What types cannot say. What may be odd, and the core judges (a crossed quote), is not here."""
