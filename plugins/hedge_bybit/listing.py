"""What one instrument is called on Bybit, and how its numbers become ours: pure."""

from decimal import Decimal

import msgspec

from hedge.errors import Malformed
from hedge.model import Instrument, InstrumentKind, InstrumentStatus, Leg
from hedge.model.numbers import ONE, ZERO
from hedge_bybit.frames import Row
from hedge_bybit.multipliers import base_of

SPOT = "spot"
LINEAR = "linear"
CATEGORIES = {Leg.SPOT: SPOT, Leg.FUTURES: LINEAR}
MINUTE_S = 60
STATUSES = {
    "Trading": InstrumentStatus.TRADING,
    "PreLaunch": InstrumentStatus.HALTED,
    "Delivering": InstrumentStatus.DELISTING,
    "Closed": InstrumentStatus.HALTED,
}
LARGEST = Decimal("1e20")
"""No price, quantity or balance of any venue is as large; beyond it arithmetic may overflow."""


class PriceFilter(Row, frozen=True, kw_only=True):
    tick_size: str


class LotFilter(Row, frozen=True, kw_only=True):
    """Of both categories: linear has ``qtyStep``, spot has ``basePrecision``."""

    qty_step: str = ""
    base_precision: str = ""
    min_order_qty: str = ""
    min_order_amt: str = ""
    min_notional_value: str = ""
    max_order_qty: str = ""
    max_mkt_order_qty: str = ""
    post_only_max_order_qty: str = ""
    max_limit_order_qty: str = ""
    max_market_order_qty: str = ""


class InstrumentRow(Row, frozen=True, kw_only=True):
    """One row of /v5/market/instruments-info."""

    symbol: str
    status: str
    base_coin: str
    quote_coin: str
    settle_coin: str = ""
    contract_type: str = ""
    is_pre_listing: bool = False
    funding_interval: int = 0
    """Minutes."""
    price_filter: PriceFilter
    lot_size_filter: LotFilter


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument with its names, and its unit: ``multiplier`` of our coins in one of theirs."""

    instrument: Instrument
    leg: Leg
    venue_symbol: str
    multiplier: Decimal = ONE
    funding_interval_s: int = 0

    @property
    def category(self) -> str:
        return CATEGORIES[self.leg]

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def quantity(self, venue_quantity: Decimal) -> Decimal:
        """Return base coins; a `1000SHIB` of theirs is 1000 SHIB of ours."""
        return venue_quantity if self.multiplier == ONE else venue_quantity * self.multiplier

    def price(self, venue_price: Decimal) -> Decimal:
        """Return quote per base coin."""
        return venue_price if self.multiplier == ONE else venue_price / self.multiplier

    def venue_quantity(self, quantity: Decimal) -> Decimal:
        return quantity if self.multiplier == ONE else quantity / self.multiplier

    def venue_price(self, price: Decimal) -> Decimal:
        return price if self.multiplier == ONE else price * self.multiplier


def number(text: str | None, default: Decimal = ZERO) -> Decimal:
    """Return a number of the venue's, ``default`` for an empty one; raise `Malformed`."""
    if not text:
        return default
    try:
        value = Decimal(text)
    except ArithmeticError:
        raise Malformed(f"bybit: no number: {text[:40]!r}") from None
    if not value.is_finite() or not -LARGEST < value < LARGEST:
        raise Malformed(f"bybit: no number that could be: {text[:40]!r}")
    return value


def listing_of(row: InstrumentRow, leg: Leg) -> Listing | None:
    """Return the listing; None for what is neither spot nor a linear perpetual.

    The minimum of the stated maxima is ``quantity_max``: of limit, market and post-only orders,
    so that whatever the order becomes it is not refused for its size.
    """
    if leg is Leg.FUTURES and row.contract_type != "LinearPerpetual":
        return None
    base, multiplier = base_of(row.base_coin) if leg is Leg.FUTURES else (row.base_coin, ONE)
    lots = row.lot_size_filter
    settle = row.settle_coin or (row.quote_coin if leg is Leg.FUTURES else "")
    symbol = f"{base}/{row.quote_coin}" + (f":{settle}" if leg is Leg.FUTURES else "")
    maxima = [
        value
        for text in (
            lots.max_order_qty, lots.max_mkt_order_qty, lots.post_only_max_order_qty,
            lots.max_limit_order_qty, lots.max_market_order_qty,
        )
        if (value := number(text)) > 0
    ]  # fmt: skip
    status = STATUSES.get(row.status, InstrumentStatus.HALTED)
    if row.is_pre_listing and status is InstrumentStatus.TRADING:
        status = InstrumentStatus.HALTED
    step = number(lots.qty_step if leg is Leg.FUTURES else lots.base_precision)
    try:
        instrument = Instrument(
            venue="bybit",
            symbol=symbol,
            kind=InstrumentKind.PERPETUAL if leg is Leg.FUTURES else InstrumentKind.SPOT,
            base=base,
            quote=row.quote_coin,
            settle=settle,
            tick=number(row.price_filter.tick_size) / multiplier,
            lot=step * multiplier,
            quantity_min=number(lots.min_order_qty) * multiplier,
            quantity_max=min(maxima, default=ZERO) * multiplier,
            notional_min=number(lots.min_notional_value or lots.min_order_amt),
            multiplier=multiplier,
            status=status,
            reduce_only_below_min=leg is Leg.FUTURES,
        )
    except ValueError as error:
        raise Malformed(str(error)) from None
    return Listing(
        instrument=instrument,
        leg=leg,
        venue_symbol=row.symbol,
        multiplier=multiplier,
        funding_interval_s=row.funding_interval * MINUTE_S,
    )
