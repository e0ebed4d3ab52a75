"""JSON read field by field: numbers exact, and `Malformed`, by name, where it is not as documented.

For what is read now and then; a hot stream is better decoded into a plugin's own `msgspec.Struct`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from hedge.errors import Malformed

SHOWN_MAX = 40
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Row:
    """One object of a venue's answer; what is read of it is there and of its kind, or it raises."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __contains__(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return self._fields.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text; a whole number (an id) as text."""
        found = self._of(name, str | int)
        return found if isinstance(found, str) else str(found)

    def number(self, name: str) -> Decimal:
        """Return a number, written as one or as text."""
        found = self._of(name, str | int | Decimal)
        try:
            number = Decimal(found)
        except ArithmeticError:
            raise self._wrong(name) from None
        if not number.is_finite():
            raise self._wrong(name)
        return number

    def whole(self, name: str) -> int:
        """Return a whole number, written as one or as text."""
        number = self.number(name)
        if number != number.to_integral_value():
            raise self._wrong(name)
        return int(number)

    def flag(self, name: str) -> bool:
        found = self._fields.get(name)
        if not isinstance(found, bool):
            raise self._wrong(name)
        return found

    def maybe(self, name: str) -> Decimal | None:
        """Return a number, None where there is none."""
        return self.number(name) if name in self else None

    def texts(self, name: str) -> list[str]:
        found = self._fields.get(name)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self._wrong(name)
        return found

    def row(self, name: str) -> "Row":
        found = self._fields.get(name)
        if not isinstance(found, dict):
            raise self._wrong(name)
        return Row(found)

    def rows(self, name: str) -> list["Row"]:
        """Return the objects of a list; none where it is not there."""
        found = self._fields.get(name) or []
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self._wrong(name)
        return [Row(one) for one in found]

    def _of(self, name: str, kind: Any) -> Any:
        found = self._fields.get(name)
        if not isinstance(found, kind) or isinstance(found, bool):
            raise self._wrong(name)
        return found

    def _wrong(self, name: str) -> Malformed:
        return Malformed(f"{name} is {self._fields.get(name)!a}"[: SHOWN_MAX + len(name)])


def read_json(data: bytes | memoryview) -> Any:
    """Return a `Row` of an object, a list of them of a list of objects, anything else as it is."""
    try:
        found = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise Malformed(f"no JSON: {error}") from None
    if isinstance(found, dict):
        return Row(found)
    if isinstance(found, list) and all(isinstance(one, dict) for one in found):
        return [Row(one) for one in found]
    return found
