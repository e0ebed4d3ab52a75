"""What trades on a venue: units, grids and minimums of one instrument."""

import enum
import functools
from decimal import Decimal

import msgspec

from hedge.model.numbers import ONE, ZERO, ceil_to, floor_to, plain, toward_zero

COIN_APART_MAX = Decimal("0.05")
"""Further apart than this, two prices are not of one coin, or a multiplier is wrong."""


class InstrumentKind(enum.StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"


class InstrumentStatus(enum.StrEnum):
    TRADING = "trading"
    REDUCE_ONLY = "reduce_only"
    CANCEL_ONLY = "cancel_only"
    HALTED = "halted"
    DELISTING = "delisting"


class Instrument(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """One instrument of one venue; every quantity is in base coins, after contract size.

    ``lot`` = venue step x ``contract_size`` x ``multiplier``: a perpetual of 1000PEPE with a step
    of one contract has ``multiplier`` 1000 and ``lot`` 1000. ``tick`` and ``notional_min`` are in
    quote per base coin and quote. A zero maximum means that the venue states none.
    """

    venue: str
    symbol: str
    kind: InstrumentKind
    base: str
    quote: str
    settle: str = ""
    tick: Decimal
    lot: Decimal
    quantity_min: Decimal = ZERO
    quantity_max: Decimal = ZERO
    notional_min: Decimal = ZERO
    contract_size: Decimal = ONE
    multiplier: Decimal = ONE
    status: InstrumentStatus = InstrumentStatus.TRADING
    reduce_only_below_min: bool = True
    """Reduce-only orders are exempt from ``notional_min`` (Binance -4164 text, Bybit linear)."""

    def __post_init__(self) -> None:
        for name in ("tick", "lot", "contract_size", "multiplier"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value <= 0:
                raise ValueError(f"{self.venue} {self.symbol}: {name} must be positive: {value}")

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """Round to the lot, never enlarging the magnitude."""
        return toward_zero(quantity, self.lot)

    def round_price_down(self, price: Decimal) -> Decimal:
        return floor_to(price, self.tick)

    def round_price_up(self, price: Decimal) -> Decimal:
        return ceil_to(price, self.tick)

    def smallest_order(self, price: Decimal) -> Decimal:
        """Return the least quantity the venue takes at ``price``, on the lot grid."""
        return _smallest_order(self, price)

    def fingerprint(self) -> str:
        """Return what must not change while a hedge is open (F38): units and grids, as one word."""
        return "/".join(
            (
                self.venue, self.symbol, self.base, self.quote, self.settle,
                plain(self.lot), plain(self.contract_size), plain(self.multiplier),
            )
        )  # fmt: skip


@functools.lru_cache(maxsize=64)  # every rule asks it of the same few prices
def _smallest_order(instrument: Instrument, price: Decimal) -> Decimal:
    lot = instrument.lot
    least = ceil_to(instrument.quantity_min, lot) if instrument.quantity_min else lot
    if instrument.notional_min:
        least = max(least, ceil_to(instrument.notional_min / price, lot))
    return least


def same_coin(perpetual: Decimal, spot: Decimal, multiplier: Decimal = ONE) -> bool:
    """Return whether a perpetual at this price can be of ``multiplier`` coins at the spot price.

    Within 5 %: a basis is less, and a wrong multiplier is off by a power of ten.
    """
    if perpetual <= 0 or spot <= 0:
        return False
    return abs(perpetual / (spot * multiplier) - 1) <= COIN_APART_MAX
