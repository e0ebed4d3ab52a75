"""What Bybit lists: an instrument under its name, in its units, and the row that describes it."""

import zlib
from decimal import Decimal
from typing import Final

import msgspec

from hedge.model import Instrument, InstrumentStatus, Leg
from hedge.model.numbers import plain
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT
from hedge_sim.dialects.bybit_shapes import Row

LEGS: Final = {SPOT: Leg.SPOT, LINEAR: Leg.FUTURES}
CATEGORY: Final = {Leg.SPOT: SPOT, Leg.FUTURES: LINEAR}
LEVERAGE_MAX: Final = 100
QUANTITY_MAX: Final = Decimal(1_190)
"""Where the exchange states no maximum."""
PRICE_MAX: Final = Decimal("1999999.8")
LAUNCHED_MS: Final = "1585526400000"
_STATUS: Final = {
    InstrumentStatus.TRADING: "Trading",
    InstrumentStatus.REDUCE_ONLY: "Trading",
    InstrumentStatus.CANCEL_ONLY: "Trading",
    InstrumentStatus.HALTED: "Settling",
    InstrumentStatus.DELISTING: "Delivering",
}


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument under its name on the wire; ``scale`` base coins are one unit of the wire."""

    instrument: Instrument
    category: str
    symbol: str
    scale: Decimal

    @property
    def model_symbol(self) -> str:
        return self.instrument.symbol

    @property
    def tick(self) -> Decimal:
        return self.instrument.tick * self.scale

    def units(self, quantity: Decimal) -> Decimal:
        """Return base coins as units of the wire."""
        return quantity / self.scale

    def coins(self, units: Decimal) -> Decimal:
        return units * self.scale

    def wire_price(self, price: Decimal) -> Decimal:
        return price * self.scale

    def coin_price(self, price: Decimal) -> Decimal:
        """Return the price of a unit as the price of a base coin."""
        return price / self.scale

    @property
    def base_coin(self) -> str:
        multiplier = self.instrument.multiplier
        return self.instrument.base if multiplier == 1 else plain(multiplier) + self.instrument.base


def listing_of(instrument: Instrument) -> Listing:
    scale = instrument.contract_size * instrument.multiplier
    prefix = "" if instrument.multiplier == 1 else plain(instrument.multiplier)
    return Listing(
        instrument=instrument,
        category=LINEAR if instrument.settle else SPOT,
        symbol=f"{prefix}{instrument.base}{instrument.quote}",
        scale=scale,
    )


def spot_row(listing: Listing, collar: Decimal) -> Row:
    """Return a spot row of ``/v5/market/instruments-info``."""
    one = listing.instrument
    most = plain(one.quantity_max or QUANTITY_MAX)
    return {
        "symbolId": zlib.crc32(listing.symbol.encode()) >> 1,
        "symbol": listing.symbol,
        "baseCoin": listing.base_coin,
        "quoteCoin": one.quote,
        "innovation": "0",
        "status": _STATUS[one.status],
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": plain(one.lot),
            "quotePrecision": plain(one.lot * one.tick),
            "minOrderQty": plain(one.quantity_min),
            "maxOrderQty": most,
            "minOrderAmt": plain(one.notional_min),
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": most,
            "maxMarketOrderQty": most,
            "postOnlyMaxLimitOrderSize": most,
        },
        "priceFilter": {"tickSize": plain(one.tick)},
        "riskParameters": {"priceLimitRatioX": plain(collar), "priceLimitRatioY": plain(collar)},
        "symbolType": "",
    }


def linear_row(listing: Listing, collar: Decimal, interval_s: int) -> Row:
    """Return a linear row of ``/v5/market/instruments-info``; the interval goes out in minutes."""
    one = listing.instrument
    most = plain(listing.units(one.quantity_max) or QUANTITY_MAX)
    scale = max(-int(listing.tick.normalize().as_tuple().exponent), 0)
    return {
        "symbol": listing.symbol,
        "contractType": "LinearPerpetual",
        "status": _STATUS[one.status],
        "baseCoin": listing.base_coin,
        "quoteCoin": one.quote,
        "settleCoin": one.settle,
        "launchTime": LAUNCHED_MS,
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(scale),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{LEVERAGE_MAX}.00",
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": plain(listing.tick),
            "maxPrice": plain(PRICE_MAX),
            "tickSize": plain(listing.tick),
        },
        "lotSizeFilter": {
            "maxOrderQty": most,
            "minOrderQty": plain(listing.units(one.quantity_min)),
            "qtyStep": plain(listing.units(one.lot)),
            "postOnlyMaxOrderQty": most,
            "maxMktOrderQty": most,
            "minNotionalValue": plain(one.notional_min),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": interval_s // 60,
        "copyTrading": "none",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": plain(collar), "priceLimitRatioY": plain(collar)},
        "symbolType": "",
    }
