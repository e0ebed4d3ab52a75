"""From ``exchangeInfo`` to `Instrument`: grids, minimums, states, and coins sold in thousands."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from hedge.errors import Missing, Refused
from hedge.model import Instrument, InstrumentKind, InstrumentStatus
from hedge.model.numbers import ONE, ZERO, plain
from hedge_binance.config import coin_of
from hedge_binance.wire import Filter, SymbolRow

VENUE = "binance"
MULTIPLIERS: dict[str, tuple[str, int]] = {
    "1000BONK": ("BONK", 1_000),
    "1000CAT": ("CAT", 1_000),
    "1000CHEEMS": ("CHEEMS", 1_000),
    "1000FLOKI": ("FLOKI", 1_000),
    "1000LUNC": ("LUNC", 1_000),
    "1000PEPE": ("PEPE", 1_000),
    "1000RATS": ("RATS", 1_000),
    "1000SATS": ("SATS", 1_000),
    "1000SHIB": ("SHIB", 1_000),
    "1000WHY": ("WHY", 1_000),
    "1000X": ("X", 1_000),
    "1000XEC": ("XEC", 1_000),
    "1MBABYDOGE": ("BABYDOGE", 1_000_000),
    "1000000BOB": ("BOB", 1_000_000),
    "1000000MOG": ("MOG", 1_000_000),
}
"""The venue's base -> the coin, and how many of it one unit is. Never guessed from a name: what is
not listed here or in the settings keeps its own name, and the ratio of prices confirms the rest."""
RATIO_OFF_MAX = Decimal("0.1")
"""How far perpetual / spot may be from the multiplier before it is disbelieved."""
PERPETUAL_ENDS_AT = 4_133_404_800_000
"""``deliveryDate`` of what is not to be delisted: 2100-12-25."""
_PERPETUAL = "PERPETUAL"
_TRADING = "TRADING"
_ENDING = {"PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE"}


class Coins:
    """What the venue's names of assets mean, in coins."""

    def __init__(self, more: Mapping[str, Decimal] | None = None) -> None:
        self._units = {name: (coin, Decimal(units)) for name, (coin, units) in MULTIPLIERS.items()}
        for name, units in (more or {}).items():
            self._units[name] = (coin_of(name, units), units)

    def of(self, asset: str) -> tuple[str, Decimal]:
        """Return the coin, and how many of it one unit of ``asset`` is."""
        return self._units.get(asset, (asset, ONE))


class Listing(msgspec.Struct, frozen=True):
    """One instrument under both names; quantities of the venue are in units of ``native_base``."""

    native: str
    native_base: str
    instrument: Instrument
    units: Decimal = ONE

    @property
    def symbol(self) -> str:
        return self.instrument.symbol

    def coins(self, quantity: Decimal) -> Decimal:
        return quantity if self.units is ONE else quantity * self.units

    def per_coin(self, price: Decimal) -> Decimal:
        return price if self.units is ONE else price / self.units

    def native_quantity(self, coins: Decimal) -> Decimal:
        return coins if self.units is ONE else coins / self.units

    def native_price(self, price: Decimal) -> Decimal:
        return price if self.units is ONE else price * self.units


def spot_listing(row: SymbolRow, coins: Coins) -> Listing:
    """Return a spot symbol as an instrument."""
    coin, units = coins.of(row.base_asset)
    return _listing(row, coin, units, symbol=f"{coin}/{row.quote_asset}", settle="")


def futures_listing(row: SymbolRow, coins: Coins) -> Listing | None:
    """Return a perpetual as an instrument, None for a contract that is delivered."""
    if row.contract_type != _PERPETUAL:
        return None
    coin, units = coins.of(row.base_asset)
    settle = row.margin_asset or row.quote_asset
    symbol = f"{coin}/{row.quote_asset}:{settle}"
    return _listing(row, coin, units, symbol=symbol, settle=settle)


def _listing(row: SymbolRow, coin: str, units: Decimal, *, symbol: str, settle: str) -> Listing:
    filters = {one.filter_type: one for one in row.filters}
    none = Filter(filter_type="")
    lots = filters.get("LOT_SIZE", none)
    market = filters.get("MARKET_LOT_SIZE", none)
    # A zero step or tick switches that rule off: then the precision is the grid.
    step = lots.step_size or ONE.scaleb(-row.base_asset_precision)
    tick = filters.get("PRICE_FILTER", none).tick_size or ONE.scaleb(-row.quote_precision)
    # Ours are limit orders, but the smaller of both maxima is never wrong, and a zero is none.
    largest = [size for size in (lots.max_qty, market.max_qty) if size]
    least = [filters.get(name, none) for name in ("MIN_NOTIONAL", "NOTIONAL")]
    units = ONE if units == 1 else units
    return Listing(
        native=row.symbol,
        native_base=row.base_asset,
        units=units,
        instrument=Instrument(
            venue=VENUE,
            symbol=symbol,
            kind=InstrumentKind.PERPETUAL if settle else InstrumentKind.SPOT,
            base=coin,
            quote=row.quote_asset,
            settle=settle,
            tick=_bare(tick / units),
            lot=_bare(step * units),
            quantity_min=lots.min_qty * units,
            quantity_max=min(largest, default=ZERO) * units,
            notional_min=max(max(one.min_notional, one.notional) for one in least),
            multiplier=units,
            status=_status(row),
            reduce_only_below_min=bool(settle),
        ),
    )


def _bare(grid: Decimal) -> Decimal:
    """Return the number without trailing zeros: the venue may write the same grid in two ways."""
    return Decimal(plain(grid))


def _status(row: SymbolRow) -> InstrumentStatus:
    if row.status == _TRADING:
        if row.delivery_date and row.delivery_date < PERPETUAL_ENDS_AT and row.contract_type:
            return InstrumentStatus.DELISTING
        return InstrumentStatus.TRADING
    if row.status == "CANCEL_ONLY":
        return InstrumentStatus.CANCEL_ONLY
    if row.status in _ENDING:
        return InstrumentStatus.DELISTING
    # Also for a word that nobody has documented: what is not known to trade does not.
    return InstrumentStatus.HALTED


def listings(rows: Iterable[SymbolRow], coins: Coins, *, futures: bool) -> dict[str, Listing]:
    """Return every instrument by its unified symbol."""
    found: dict[str, Listing] = {}
    for row in rows:
        listing = futures_listing(row, coins) if futures else spot_listing(row, coins)
        if listing is None:
            continue
        known = found.get(listing.symbol)
        # Where the coin trades both ways, the one that trades; else the bundle gives way.
        if known is None or (_open(listing), listing.units == 1) > (_open(known), known.units == 1):
            found[listing.symbol] = listing
    return found


def _open(listing: Listing) -> bool:
    return listing.instrument.status is InstrumentStatus.TRADING


def find(found: Mapping[str, Listing], symbol: str) -> Listing:
    """Return the listing; raise `Missing` with a near name where there is one."""
    listing = found.get(symbol)
    if listing is None:
        base = symbol.partition("/")[0]
        near = sorted(one for one in found if one.partition("/")[0] == base)[:3]
        hint = f"; it has {', '.join(near)}" if near else ""
        raise Missing(f"binance has no {symbol}{hint}")
    return listing


def confirm_units(listing: Listing, price: Decimal, coin_price: Decimal) -> None:
    """Check that ``price`` of the bundle over the coin's is its multiplier; else `Refused`."""
    ratio = price / coin_price
    if abs(ratio / listing.units - 1) > RATIO_OFF_MAX:
        raise Refused(
            f"{listing.native}: one is said to be {listing.units} {listing.instrument.base}, but"
            f" the prices {price} and {coin_price} say {ratio.quantize(ONE)};"
            " see [venues.binance.multipliers]",
            code="MULTIPLIER",
        )
