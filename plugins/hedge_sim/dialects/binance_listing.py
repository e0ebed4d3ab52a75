"""Symbols, units and number texts of a Binance market, and its entry in exchangeInfo.

A perpetual of ``1000SHIB`` counts thousands of coins: wire quantity = coins / scale and wire
price = price x scale. Shapes as recorded from mainnet (2025-08) and in binance-spot-api-docs.
"""

from decimal import Decimal

import msgspec

from hedge.model import Instrument, InstrumentKind, InstrumentStatus, Leg
from hedge.model.numbers import ONE, plain
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects.house import House

CASH_DIGITS = 8
SPOT_MAX = Decimal(9_000)
USDM_MAX = Decimal(1_000)
MARKET_PART = 8
STATUS = {
    InstrumentStatus.TRADING: "TRADING",
    InstrumentStatus.REDUCE_ONLY: "TRADING",
    InstrumentStatus.CANCEL_ONLY: "CANCEL_ONLY",
    InstrumentStatus.HALTED: "BREAK",
    InstrumentStatus.DELISTING: "BREAK",
}
USDM_STATUS = STATUS | {
    InstrumentStatus.HALTED: "PENDING_TRADING",
    InstrumentStatus.DELISTING: "SETTLING",
}
FOREVER_MS = 4_133_404_800_000
"""A perpetual's ``deliveryDate``."""


def fixed(value: Decimal, digits: int = CASH_DIGITS) -> str:
    """Return a number with at least so many digits after the point; nothing is rounded away.

    The venue rounds to 8; the simulator's account is exact, and a report over it must add up.
    """
    exponent = int(value.as_tuple().exponent)
    if -exponent > digits:
        value = value.normalize()
        exponent = int(value.as_tuple().exponent)
    return format(value, f".{max(digits, -exponent)}f")


def digits_of(step: Decimal) -> int:
    """Return how many digits after the point a grid has."""
    return max(0, -int(step.normalize().as_tuple().exponent))


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One market as the wire names and counts it."""

    symbol: str
    wire: str
    scale: Decimal
    instrument: Instrument
    price_digits: int
    quantity_digits: int
    trades: bool = True
    """False for padding: it has filters and nothing else."""

    @property
    def futures(self) -> bool:
        return self.instrument.kind is InstrumentKind.PERPETUAL

    @property
    def wire_base(self) -> str:
        base = self.instrument.base
        return base if self.scale == ONE else f"{plain(self.scale)}{base}"

    @property
    def quantity_max(self) -> Decimal:
        """Return the largest order in coins: the venue's default where the market has none."""
        default = USDM_MAX if self.futures else SPOT_MAX
        return self.instrument.quantity_max or default * self.scale

    @property
    def market_quantity_max(self) -> Decimal:
        """Return the largest MARKET order in coins; on perpetuals it is smaller."""
        return self.quantity_max / MARKET_PART if self.futures else self.quantity_max

    def price_text(self, price: Decimal) -> str:
        return fixed(price * self.scale, self.price_digits)

    def quantity_text(self, quantity: Decimal) -> str:
        return fixed(quantity / self.scale, self.quantity_digits)

    def price(self, wire: Decimal) -> Decimal:
        return wire / self.scale

    def quantity(self, wire: Decimal) -> Decimal:
        return wire * self.scale


def listing_of(instrument: Instrument, *, trades: bool) -> Listing:
    """Return the listing; spot numbers have eight digits, a perpetual's those of its grid."""
    futures = instrument.kind is InstrumentKind.PERPETUAL
    scale = instrument.contract_size * instrument.multiplier if futures else ONE
    base = instrument.base if scale == ONE else f"{plain(scale)}{instrument.base}"
    return Listing(
        symbol=instrument.symbol,
        wire=base + instrument.quote,
        scale=scale,
        instrument=instrument,
        price_digits=digits_of(instrument.tick * scale) if futures else CASH_DIGITS,
        quantity_digits=digits_of(instrument.lot / scale) if futures else CASH_DIGITS,
        trades=trades,
    )


class Listings:
    """Every market of one leg, by either name."""

    def __init__(self, house: House, leg: Leg) -> None:
        self._house = house
        self._leg = leg
        self._by_wire: dict[str, Listing] = {}
        self._by_symbol: dict[str, Listing] = {}

    def load(self) -> None:
        """Read the instruments, once the house is open."""
        if self._by_wire:
            return
        found = self._house.instruments(self._leg)
        real = len(found) - self._house.padding
        for number, instrument in enumerate(found):
            listing = listing_of(instrument, trades=number < real)
            self._by_wire[listing.wire] = listing
            self._by_symbol[listing.symbol] = listing

    @property
    def all(self) -> tuple[Listing, ...]:
        self.load()
        return tuple(self._by_wire.values())

    @property
    def trading(self) -> tuple[Listing, ...]:
        return tuple(listing for listing in self.all if listing.trades)

    def of_wire(self, wire: str) -> Listing:
        """Return the market with this name on the wire; raise -1121."""
        self.load()
        found = self._by_wire.get(wire)
        if found is None:
            raise says.bad_symbol()
        return found

    def known(self, wire: str) -> Listing | None:
        self.load()
        return self._by_wire.get(wire)

    def of_symbol(self, symbol: str) -> Listing:
        self.load()
        return self._by_symbol[symbol]


def spot_entry(listing: Listing, status: InstrumentStatus) -> dict[str, object]:
    """Return one element of ``symbols`` of ``GET /api/v3/exchangeInfo``."""
    one = listing.instrument
    return {
        "symbol": listing.wire,
        "status": STATUS[status],
        "baseAsset": one.base,
        "baseAssetPrecision": 8,
        "quoteAsset": one.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _spot_filters(listing),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _spot_filters(listing: Listing) -> list[dict[str, object]]:
    one = listing.instrument
    most = fixed(listing.quantity_max)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": fixed(one.tick),
            "maxPrice": "1000000.00000000",
            "tickSize": fixed(one.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": fixed(max(one.quantity_min, one.lot)),
            "maxQty": most,
            "stepSize": fixed(one.lot),
        },
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": most,
            "stepSize": "0.00000000",
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "1.05",
            "bidMultiplierDown": "0.95",
            "askMultiplierUp": "1.05",
            "askMultiplierDown": "0.95",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": fixed(one.notional_min),
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]


def usdm_entry(listing: Listing, status: InstrumentStatus) -> dict[str, object]:
    """Return one element of ``symbols`` of ``GET /fapi/v1/exchangeInfo``."""
    one = listing.instrument
    step = listing.quantity_text(one.lot)
    least = listing.quantity_text(max(one.quantity_min, one.lot))
    most = plain(listing.quantity_max / listing.scale)
    return {
        "symbol": listing.wire,
        "pair": listing.wire,
        "contractType": "PERPETUAL",
        "deliveryDate": FOREVER_MS,
        "onboardDate": 1_569_398_400_000,
        "status": USDM_STATUS[status],
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.wire_base,
        "quoteAsset": one.quote,
        "marginAsset": one.settle,
        # Not the grid: a plugin that rounds to these places is wrong (venues.md 3.1).
        "pricePrecision": listing.price_digits + 1,
        "quantityPrecision": listing.quantity_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": listing.price_text(one.tick),
                "maxPrice": "4529764",
                "tickSize": listing.price_text(one.tick),
            },
            {"filterType": "LOT_SIZE", "minQty": least, "maxQty": most, "stepSize": step},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": least,
                "maxQty": plain(listing.market_quantity_max / listing.scale),
                "stepSize": step,
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": plain(one.notional_min)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
            {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "GTX"],
        "permissionSets": ["GRID", "COPY"],
    }
