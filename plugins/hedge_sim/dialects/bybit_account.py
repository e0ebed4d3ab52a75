"""The unified account as Bybit shows it: wallet, positions, key, fee rates."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from hedge.model import Balance, Leg, Position, PositionMode, Side
from hedge.model.numbers import MS, SECOND, ZERO, plain
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT
from hedge_sim.dialects.bybit_listing import PRICE_MAX, Listing
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_shapes import Row, cents, side_word
from hedge_sim.dialects.house import House
from hedge_sim.dialects.server import Keys

STABLE: Final = "USDT"
RISK_LIMIT: Final = "2000000"
BUY_SIDE: Final = 1
SELL_SIDE: Final = 2
RATE: Final = Decimal("0.0001")


class Ledger:
    """Reads the account of a house; money in the wallet's quote counts one for one as USD."""

    def __init__(self, house: House, markets: Markets, keys: Keys) -> None:
        self._house = house
        self._markets = markets
        self._keys = keys

    # The wallet

    def wallet(self, only: frozenset[str] = frozenset()) -> Row:
        """Return the account with its coins: all of them, or those named."""
        house = self._house
        margin = house.margin(STABLE)
        coins = [self._coin(balance) for balance in house.balances()]
        worth = sum((Decimal(row["usdValue"]) for row in coins), ZERO)
        cash = worth - margin.profit
        base = margin.balance or Decimal(1)
        return {
            "totalEquity": cents(worth),
            "accountIMRate": plain((margin.initial / base).quantize(RATE)),
            "accountIMRateByMp": plain((margin.initial / base).quantize(RATE)),
            "totalMarginBalance": cents(margin.balance),
            "totalInitialMargin": cents(margin.initial),
            "totalInitialMarginByMp": cents(margin.initial),
            "accountType": "UNIFIED",
            "totalAvailableBalance": cents(max(margin.free, ZERO)),
            "accountMMRate": plain((margin.maintenance / base).quantize(RATE)),
            "accountMMRateByMp": plain((margin.maintenance / base).quantize(RATE)),
            "totalPerpUPL": cents(margin.profit),
            "totalWalletBalance": cents(cash),
            "accountLTV": "0",
            "totalMaintenanceMargin": cents(margin.maintenance),
            "totalMaintenanceMarginByMp": cents(margin.maintenance),
            "coin": [row for row in coins if not only or row["coin"] in only],
        }

    def _coin(self, balance: Balance) -> Row:
        house, stable = self._house, balance.asset == STABLE
        margin = house.margin(STABLE)
        profit = margin.profit if stable else ZERO
        positions = self._initial() if stable else ZERO
        orders = max(margin.initial - positions, ZERO) if stable else ZERO
        locked = balance.locked - margin.initial if stable else balance.locked
        equity = balance.total + profit
        return {
            "coin": balance.asset,
            "equity": plain(equity),
            "usdValue": cents(equity * self._worth(balance)),
            "walletBalance": plain(balance.total),
            "free": plain(balance.free),
            "locked": plain(max(locked, ZERO)),
            "availableToWithdraw": plain(balance.free),
            "availableToBorrow": "",
            "borrowAmount": "0",
            "accruedInterest": "0",
            "totalOrderIM": cents(orders),
            "totalPositionIM": cents(positions),
            "totalPositionMM": cents(margin.maintenance if stable else ZERO),
            "unrealisedPnl": cents(profit),
            "cumRealisedPnl": cents(house.account.realised.get(balance.asset, ZERO)),
            "bonus": "0",
            "collateralSwitch": True,
            "marginCollateral": True,
            "spotHedgingQty": "0",
            "spotBorrow": "0",
        }

    def _initial(self) -> Decimal:
        """Return the initial margin of the positions alone."""
        total = ZERO
        for listing in self._markets.traded(LINEAR):
            symbol = listing.model_symbol
            value = abs(self._house.position(symbol).quantity) * self._house.mark(symbol).mark
            total += value / self._house.leverage(symbol)
        return total

    def _worth(self, balance: Balance) -> Decimal:
        if balance.asset == STABLE:
            return Decimal(1)
        if balance.rate_quote is not None:
            return balance.rate_quote
        for listing in self._markets.traded(SPOT):
            if listing.instrument.base == balance.asset:
                return self._house.last_price(listing.model_symbol)
        return ZERO

    def coin_balance(self, asset: str) -> tuple[Decimal, Decimal]:
        """Return wallet and free balance of an asset."""
        found = next((b for b in self._house.balances() if b.asset == asset), None)
        return (found.total, found.free) if found else (ZERO, ZERO)

    # Positions

    def positions(self, listing: Listing, position: Position | None = None) -> list[Row]:
        """Return the rows of a perpetual: one, or both sides in hedge mode."""
        found = position or self._house.position(listing.model_symbol)
        if self._house.mode is PositionMode.ONE_WAY:
            return [self._position(listing, found, 0)]
        flat = Position(symbol=listing.model_symbol, quantity=ZERO, updated_at=found.updated_at)
        long = found.quantity > 0
        return [
            self._position(listing, found if long else flat, BUY_SIDE),
            self._position(listing, flat if long else found, SELL_SIDE),
        ]

    def _position(self, listing: Listing, position: Position, index: int) -> Row:
        house, settings = self._house, self._house.settings
        size = listing.units(position.quantity)
        mark = house.mark(listing.model_symbol).mark
        value = abs(position.quantity) * mark
        leverage = house.leverage(listing.model_symbol)
        entry = position.entry_notional / position.quantity if size else ZERO
        price = plain(listing.wire_price(entry).quantize(Decimal("0.00000001"))) if size else "0"
        maintenance = value * settings.maintenance_margin
        at = str(position.updated_at // MS)
        return {
            "positionIdx": index,
            "riskId": 1,
            "riskLimitValue": RISK_LIMIT,
            "symbol": listing.symbol,
            "side": side_word(Side.BUY if size > 0 else Side.SELL) if size else "",
            "size": plain(abs(size)),
            "avgPrice": price,
            "entryPrice": price,
            "sessionAvgPrice": "",
            "breakEvenPrice": price if size else "",
            "positionValue": cents(abs(position.entry_notional)) if size else "",
            "tradeMode": 0,
            "positionStatus": "Normal",
            "autoAddMargin": 0,
            "adlRankIndicator": position.adl_rank or 0,
            "leverage": str(leverage),
            "positionBalance": "0",
            "markPrice": plain(listing.wire_price(mark)),
            "liqPrice": _liquidation(listing, position) if size else "",
            "bustPrice": "",
            "positionMM": cents(maintenance) if size else "",
            "positionMMByMp": cents(maintenance) if size else "",
            "positionIM": cents(value / leverage) if size else "",
            "positionIMByMp": cents(value / leverage) if size else "",
            "tpslMode": "Full",
            "takeProfit": "",
            "stopLoss": "",
            "trailingStop": "0",
            "unrealisedPnl": cents(position.quantity * mark - position.entry_notional)
            if size
            else "",
            "curRealisedPnl": "0",
            "cumRealisedPnl": cents(house.account.realised.get(listing.instrument.settle, ZERO)),
            "seq": position.updated_at // 1_000,
            "isReduceOnly": False,
            "mmrSysUpdatedTime": "",
            "leverageSysUpdatedTime": "",
            "createdTime": at,
            "updatedTime": at,
        }

    # The rest

    def fee_row(self, listing: Listing) -> Row:
        fees = self._house.fees
        spot = listing.category == SPOT
        return {
            "symbol": listing.symbol,
            "baseCoin": listing.base_coin,
            "takerFeeRate": plain(fees.spot_taker if spot else fees.futures_taker),
            "makerFeeRate": plain(fees.spot_maker if spot else fees.futures_maker),
        }

    def key(self) -> Row:
        """Return ``/v5/user/query-api``: what the key may do."""
        keys = self._keys
        # A key that only reads has the rights it was given; that it only reads stands beside them.
        permissions: dict[str, Any] = {
            "ContractTrade": ["Order", "Position"] if keys.only is not Leg.SPOT else [],
            "Spot": ["SpotTrade"] if keys.only is not Leg.FUTURES else [],
            "Wallet": ["AccountTransfer", "SubMemberTransfer"] if keys.transfer else [],
            "Options": [],
            "Derivatives": ["DerivativesTrade"],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": ["ExchangeHistory"],
            "NFT": [],
            "Affiliate": [],
            "Earn": [],
        }
        if keys.withdraw:
            permissions["Wallet"].append("Withdraw")
        return {
            "id": "1",
            "note": "simulated",
            "apiKey": keys.api_key,
            "readOnly": 0 if keys.trade else 1,
            "secret": "",
            "permissions": permissions,
            "ips": ["127.0.0.1"] if keys.ip_bound else ["*"],
            "type": 1,
            "deadlineDay": -2 if keys.ip_bound else 90,
            "expiredAt": f"{datetime.fromtimestamp(keys.ends_at / SECOND, UTC):%FT%TZ}",
            "createdAt": "2023-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": 1,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_1",
            "kycRegion": "",
        }

    def coin_rows(self) -> list[Row]:
        """Return ``/v5/asset/coin/query-info``: every coin, moved over one chain of its name."""
        return [
            {
                "name": balance.asset,
                "coin": balance.asset,
                "remainAmount": "1000000",
                "chains": [
                    {
                        "chainType": balance.asset,
                        "confirmation": "10",
                        "withdrawFee": "0.0005",
                        "depositMin": "0",
                        "withdrawMin": "0.001",
                        "chain": balance.asset,
                        "chainDeposit": "1",
                        "chainWithdraw": "1",
                        "minAccuracy": "8",
                        "withdrawPercentageFee": "0",
                        "contractAddress": "",
                        "safeConfirmNumber": "20",
                    }
                ],
            }
            for balance in self._house.balances()
        ]


def _liquidation(listing: Listing, position: Position) -> str:
    """Return the liquidation price, "" where it is beyond the prices of the instrument."""
    price = position.liquidation_price
    if price is None or listing.wire_price(price) > PRICE_MAX:
        return ""
    return plain(listing.wire_price(price))
