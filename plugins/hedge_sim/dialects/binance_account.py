"""Binance's spot account requests: balances, trades, commissions; and the rights of the key."""

from hedge.model import Leg
from hedge.model.numbers import MS, ONE
from hedge_sim.dialects import binance_shapes as shapes
from hedge_sim.dialects.binance_listing import Listings, fixed
from hedge_sim.dialects.binance_params import Params
from hedge_sim.dialects.binance_shapes import Row
from hedge_sim.dialects.house import House
from hedge_sim.dialects.server import Keys

UID = 354_937_868
ZERO8 = shapes.ZERO8
NEVER_MS = 1 << 62


def page_of(rows: list[Row], params: Params, key: str, default: int, most: int) -> list[Row]:
    """Return a page: from an id or a start the first rows, else the last; oldest first."""
    begin, end = params.integer("startTime", 0), params.integer("endTime", NEVER_MS)
    least = params.integer("fromId", 0)
    found = [row for row in rows if begin <= row["time"] <= end and int(row[key]) >= least]
    limit = params.limit(default, most)
    return found[:limit] if begin or least else found[-limit:]


class KeyRights:
    """What is said of the key itself."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def restrictions(self, _: Params) -> Row:
        """Return ``GET /sapi/v1/account/apiRestrictions``."""
        keys = self._keys
        ends = {"tradingAuthorityExpirationTime": keys.ends_at // MS} if keys.ends_at else {}
        return {
            **ends,
            "ipRestrict": keys.ip_bound,
            "createTime": 1_698_645_219_000,
            "enableReading": True,
            "enableWithdrawals": keys.withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": keys.may_trade(Leg.FUTURES),
            "permitsUniversalTransfer": keys.transfer,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": keys.may_trade(Leg.SPOT),
            "enablePortfolioMarginTrading": False,
        }


class SpotAccount:
    """The account as ``/api/v3`` shows it."""

    def __init__(self, house: House, listings: Listings, keys: Keys) -> None:
        self._house = house
        self._listings = listings
        self._keys = keys

    def account(self, params: Params) -> Row:
        fees = self._house.fees
        bare = params.flag("omitZeroBalances")
        return {
            "makerCommission": int(fees.spot_maker * 10_000),
            "takerCommission": int(fees.spot_taker * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": fixed(fees.spot_maker),
                "taker": fixed(fees.spot_taker),
                "buyer": ZERO8,
                "seller": ZERO8,
            },
            "canTrade": self._keys.may_trade(Leg.SPOT),
            "canWithdraw": self._keys.withdraw,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self._house.wall() // MS,
            "accountType": "SPOT",
            "balances": [
                {"asset": b.asset, "free": fixed(b.free), "locked": fixed(b.locked)}
                for b in self._house.balances()
                if b.total or not bare
            ],
            "permissions": ["SPOT"],
            "uid": UID,
        }

    def commission(self, params: Params) -> Row:
        listing = self._listings.of_wire(params.text("symbol"))
        fees = self._house.fees
        nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), ZERO8)
        coin = fees.fee_mode == "coin"
        return {
            "symbol": listing.wire,
            "standardCommission": nothing
            | {"maker": fixed(fees.spot_maker), "taker": fixed(fees.spot_taker)},
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": coin,
                "enabledForSymbol": coin,
                "discountAsset": fees.coin,
                # The simulated fee in a coin is the whole fee: no discount.
                "discount": fixed(ONE),
            },
        }

    def trade_fees(self, params: Params) -> list[Row]:
        """Return ``GET /sapi/v1/asset/tradeFee``."""
        wire = params.get("symbol", "")
        chosen = [self._listings.of_wire(wire)] if wire else self._listings.trading
        fees = self._house.fees
        rates = {
            "makerCommission": fixed(fees.spot_maker),
            "takerCommission": fixed(fees.spot_taker),
        }
        return [{"symbol": listing.wire} | rates for listing in chosen]

    def trades(self, params: Params) -> list[Row]:
        """Return ``myTrades``."""
        listing = self._listings.of_wire(params.text("symbol"))
        self._house.bring_up()
        rows = [shapes.spot_trade(listing, f) for f in self._house.fills(Leg.SPOT, listing.symbol)]
        number = params.integer("orderId", 0)
        if number:
            rows = [row for row in rows if row["orderId"] == number]
        return page_of(rows, params, "id", 500, 1_000)

    def bnb_burn(self, _: Params) -> Row:
        """Return ``GET /sapi/v1/bnbBurn``."""
        return {"spotBNBBurn": self._house.fees.fee_mode == "coin", "interestBNBBurn": False}
