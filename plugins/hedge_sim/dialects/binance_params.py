"""Parameters of a Binance request, read once: whatever is wrong with one is a `BinanceError`."""

import re
from decimal import Decimal, InvalidOperation

from hedge_sim.dialects.binance_errors import BinanceError, illegal, missing_parameter

DECIMALS_MAX = 8
NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)


class Params(dict[str, str]):
    """Names and values as text, in the order in which they came."""

    def text(self, name: str) -> str:
        """Return a value that must be there."""
        value = self.get(name, "")
        if not value:
            raise missing_parameter(name)
        return value

    def number(self, name: str) -> Decimal:
        """Return a plain positive or zero number that must be there."""
        value = self.text(name)
        if not NUMBER.fullmatch(value):
            raise illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
        try:
            found = Decimal(value)
        except InvalidOperation as error:
            raise missing_parameter(name) from error
        if -int(found.normalize().as_tuple().exponent) > DECIMALS_MAX:
            text = "Precision is over the maximum defined for this asset."
            raise BinanceError(-1111, f"Parameter '{name}' has too much precision. {text}")
        return found

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number; raise where it is missing and has no default."""
        value = self.get(name, "")
        if not value and default is not None:
            return default
        try:
            return int(self.text(name))
        except ValueError as error:
            raise illegal(name, r"^[0-9]{1,20}$") from error

    def flag(self, name: str) -> bool:
        value = self.get(name, "false").lower()
        if value not in ("true", "false"):
            raise illegal(name, "true|false")
        return value == "true"

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are asked for, at most ``most``."""
        return max(1, min(self.integer("limit", default), most))


def from_json(values: object) -> Params:
    """Return the parameters of a WebSocket request, if any: values as they are signed."""
    found = Params()
    if values is None:
        return found
    if not isinstance(values, dict):
        raise missing_parameter("params")
    for name, value in values.items():
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif value is not None:
            found[name] = str(value)
    return found
