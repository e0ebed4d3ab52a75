"""The kinds of value a configuration holds: exact numbers, venue references, names and speeds."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field

from hedge.config.dirs import NAME

NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)
MAGNITUDE_MAX = Decimal("1e15")
DECIMALS_MAX = 30
SHOWN_MAX = 40
PORT_MAX = 65_535
VENUE_REF = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9_-]{0,31})(:(?P<sub>[a-z0-9][a-z0-9_.-]{0,31}))?"
    r"(@(?P<account>[a-z0-9][a-z0-9_-]{0,63}))?",
    re.ASCII,
)
SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}", re.ASCII)
PERPETUAL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}:[A-Z0-9]{1,20}", re.ASCII)
ENVIRONMENTS = ("live", "testnet", "demo", "local")


def shown(value: Any) -> str:
    """Return a value as an error may show it: short, ASCII, on one line."""
    text = ascii(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 4]}...{text[-1]}"


def exact(text: str) -> Decimal:
    """Return the number that a text writes; raise ValueError for one that no Decimal can be."""
    try:
        return Decimal(text)
    except ArithmeticError:
        raise ValueError(f"out of range: {shown(text)}") from None


def to_decimal(value: Any) -> Decimal:
    """Convert exactly, from a string or a number; a float by its shortest text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"not a number: {shown(value)}")  # noqa: TRY004 - pydantic reads ValueError
    if isinstance(value, int) and abs(value) >= MAGNITUDE_MAX:
        raise ValueError("out of range")
    text = str(value).strip()
    if NUMBER.fullmatch(text) is None:
        raise ValueError(f"not a finite number: {shown(text)}")
    number = exact(text)
    if abs(number) >= MAGNITUDE_MAX or int(number.as_tuple().exponent) < -DECIMALS_MAX:
        raise ValueError(f"out of range: {shown(text)}")
    return number


def to_whole(value: Any) -> int:
    """Convert to an int; a text of one is taken (the environment has no other), a bool is not."""
    number = to_decimal(value)
    if number != number.to_integral_value():
        raise ValueError(f"not a whole number: {shown(value)}")
    return int(number)


def _empty_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def to_words(value: Any) -> Any:
    """Split a text at commas (the environment has no lists)."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def check_name(value: str) -> str:
    if NAME.fullmatch(value) is None:
        raise ValueError(
            f"{shown(value)} is no name: lower-case letters, digits, '-' and '_', at most 64"
        )
    return value


def check_symbol(value: str) -> str:
    if SYMBOL.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is no symbol; write it as BTC/USDT, in capitals")
    return value


def check_perpetual(value: str) -> str:
    if value and PERPETUAL.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is no perpetual; write it as BTC/USDT:USDT, in capitals")
    return value


def check_venue_ref(value: str) -> str:
    VenueRef.parse(value)
    return value


def check_speed(value: Any) -> str:
    """Accept ``real``, ``max`` or a positive factor; one times real time is ``real``."""
    if value in ("real", "max"):
        return str(value)
    try:
        factor = to_decimal(value)
    except ValueError:
        factor = Decimal(0)
    if factor <= 0:
        raise ValueError(f"{shown(value)} is no speed: real, max, or a factor above 0")
    return "real" if factor == 1 else format(factor, "f")


def check_listen(value: str) -> str:
    """Accept nothing, or a loopback address with its port (safety part 6, 11)."""
    if value:
        host, _, port = value.rpartition(":")
        if host not in ("127.0.0.1", "[::1]", "localhost") or not re.fullmatch(r"\d{1,5}", port):
            raise ValueError(f"{shown(value)} is no loopback address; write 127.0.0.1:9464")
        if not 0 < int(port) <= PORT_MAX:
            raise ValueError(f"{shown(value)}: a port is 1 to 65535")
    return value


Exact = Annotated[Decimal, BeforeValidator(to_decimal)]
Whole = Annotated[int, BeforeValidator(to_whole)]
Positive = Annotated[Exact, Field(gt=0)]
NotNegative = Annotated[Exact, Field(ge=0)]
Count = Annotated[Whole, Field(ge=1, le=10**12)]
Duration = Annotated[Whole, Field(ge=0, le=10**12)]
OptionalPositive = Annotated[Annotated[Positive, Field()] | None, BeforeValidator(_empty_is_none)]
Words = Annotated[tuple[str, ...], BeforeValidator(to_words)]
Name = Annotated[str, AfterValidator(check_name)]
Symbol = Annotated[str, AfterValidator(check_symbol)]
Perpetual = Annotated[str, AfterValidator(check_perpetual)]
VenueText = Annotated[str, AfterValidator(check_venue_ref)]
Speed = Annotated[str, BeforeValidator(check_speed)]
Listen = Annotated[str, AfterValidator(check_listen)]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRef:
    """``venue[:sub][@account]``: where a leg trades, and under whose keys."""

    name: str
    sub: str = ""
    account: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        found = VENUE_REF.fullmatch(text)
        if found is None:
            raise ValueError(f"{shown(text)} is no venue; write venue[:sub][@account]")
        parts = found.groupdict(default="")
        return cls(name=parts["name"], sub=parts["sub"], account=parts["account"])

    @property
    def venue(self) -> str:
        """Return what the hooks call ``venue``: ``binance``, ``ccxt:okx``."""
        return f"{self.name}:{self.sub}" if self.sub else self.name

    @property
    def account_name(self) -> str:
        """Return whose keys it trades with: the account named, else the venue's own."""
        return self.account or self.sub or self.name

    @property
    def slug(self) -> str:
        """Return the form that the name of a hedge and of a directory can hold."""
        parts = (self.name, self.sub, self.account)
        return "-".join(part.replace(".", "-") for part in parts if part)

    def __str__(self) -> str:
        return f"{self.venue}@{self.account}" if self.account else self.venue
