"""What one market of ccxt's is in our units: pure, over ccxt's market dict."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from hedge.errors import Malformed
from hedge.model import Instrument, InstrumentKind, InstrumentStatus, Leg
from hedge.model.numbers import ONE, ZERO
from hedge_ccxt.multipliers import Table, coin_of

Market = Mapping[str, Any]
FLOAT_DIGITS = 17
LARGEST = Decimal("1e20")
"""No price, quantity or balance of any venue is as large; beyond it arithmetic may overflow."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument, ccxt's symbol of it, and its units.

    One of the venue's amounts (a contract, or a coin) is ``unit`` of our base coins; one of the
    coins the venue quotes is ``multiplier`` of ours (1000SHIB: 1000).
    """

    instrument: Instrument
    leg: Leg
    market: str
    unit: Decimal = ONE
    multiplier: Decimal = ONE

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def quantity(self, amount: Decimal) -> Decimal:
        """Return base coins of the venue's amount."""
        return amount * self.unit

    def amount(self, quantity: Decimal) -> Decimal:
        """Return the venue's amount of base coins."""
        return quantity / self.unit

    def price(self, theirs: Decimal) -> Decimal:
        """Return quote per base coin."""
        return theirs / self.multiplier

    def venue_price(self, ours: Decimal) -> Decimal:
        return ours * self.multiplier


def number(value: Any, default: Decimal = ZERO) -> Decimal:
    """Return ccxt's number exactly, ``default`` for None; raise `Malformed` for what is none.

    ccxt keeps a float in order books and in some fees: its shortest form is what the venue wrote.
    """
    if value is None or value == "":
        return default
    try:
        found = value if isinstance(value, Decimal) else Decimal(str(value))
    except ArithmeticError:
        raise Malformed(f"ccxt: no number: {str(value)[:40]!r}") from None
    if not found.is_finite() or not -LARGEST < found < LARGEST:
        raise Malformed(f"ccxt: no number that could be: {str(value)[:40]!r}")
    return found


def listing_of(
    market: Market, venue: str, leg: Leg, own: Table, *, aliased: bool = True
) -> Listing | None:
    """Return the listing; None for what is neither spot nor a linear perpetual.

    ``aliased`` reads 1000X as a multiple of X; without it the base is taken as it stands. Raise
    `Malformed` for a market without a step or a tick: it cannot be traded by a machine.
    """
    perpetual = leg is Leg.FUTURES
    if not _wanted(market, perpetual=perpetual):
        return None
    theirs, quote = str(market["base"]), str(market["quote"])
    alias = perpetual and aliased
    base, multiplier = coin_of(theirs, own) if alias else (theirs, ONE)
    contract = number(market.get("contractSize"), ONE) if perpetual else ONE
    unit = contract * multiplier
    precision, limits = market["precision"], market["limits"]
    settle = str(market["settle"]) if perpetual else ""
    amounts = _limits(limits, "amount")
    maxima = [value for value in (amounts[1], _limits(limits, "market")[1]) if value > 0]
    try:
        instrument = Instrument(
            venue=venue,
            symbol=f"{base}/{quote}" + (f":{settle}" if perpetual else ""),
            kind=InstrumentKind.PERPETUAL if perpetual else InstrumentKind.SPOT,
            base=base,
            quote=quote,
            settle=settle,
            tick=number(precision.get("price")) / multiplier,
            lot=number(precision.get("amount")) * unit,
            quantity_min=amounts[0] * unit,
            quantity_max=min(maxima, default=ZERO) * unit,
            notional_min=_limits(limits, "cost")[0],
            contract_size=contract,
            multiplier=multiplier,
            status=_status(market),
            reduce_only_below_min=False,
        )
    except ValueError as error:
        raise Malformed(str(error)) from None
    return Listing(
        instrument=instrument,
        leg=leg,
        market=str(market["symbol"]),
        unit=unit,
        multiplier=multiplier,
    )


def _wanted(market: Market, *, perpetual: bool) -> bool:
    if not perpetual:
        return bool(market.get("spot"))
    return bool(
        market.get("swap")
        and market.get("linear")
        and market.get("settle") == market.get("quote")
    )  # fmt: skip


def _limits(limits: Market, name: str) -> tuple[Decimal, Decimal]:
    found = limits.get(name) or {}
    return number(found.get("min")), number(found.get("max"))


def _status(market: Market) -> InstrumentStatus:
    """Return ccxt's one word, "active"; None where the venue does not say."""
    halted = market.get("active") is False
    return InstrumentStatus.HALTED if halted else InstrumentStatus.TRADING
