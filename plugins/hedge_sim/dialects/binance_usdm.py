"""Binance's USD-M account requests: balances, positions, margin, settings, trades, income."""

from decimal import Decimal

from hedge.errors import Refused
from hedge.model import Leg, Position, PositionMode
from hedge.model.numbers import MS, ZERO
from hedge_sim.dialects import binance_errors as says
from hedge_sim.dialects import binance_shapes as shapes
from hedge_sim.dialects.binance_account import NEVER_MS, page_of
from hedge_sim.dialects.binance_listing import Listing, Listings, fixed
from hedge_sim.dialects.binance_params import Params
from hedge_sim.dialects.binance_shapes import Row, ms
from hedge_sim.dialects.house import House
from hedge_sim.dialects.server import Keys

INCOME_MAX = 1_000
SYMBOLS_MAX = 100
"""Settlements of one moment get different ids for so many symbols."""
FUNDING, COMMISSION, REALISED = "FUNDING_FEE", "COMMISSION", "REALIZED_PNL"


class UsdmAccount:
    """The account as ``/fapi`` shows it; one-way positions in cross margin."""

    def __init__(self, house: House, listings: Listings, keys: Keys) -> None:
        self._house = house
        self._listings = listings
        self._keys = keys

    # Balances

    def _cash(self) -> Row:
        margin = self._house.margin()
        free = fixed(max(margin.free, ZERO))
        return {
            "walletBalance": fixed(margin.wallet),
            "unrealizedProfit": fixed(margin.profit),
            "marginBalance": fixed(margin.balance),
            "maintMargin": fixed(margin.maintenance),
            "initialMargin": fixed(margin.initial),
            "positionInitialMargin": fixed(margin.initial - self._order_margin()),
            "openOrderInitialMargin": fixed(self._order_margin()),
            "crossWalletBalance": fixed(margin.wallet),
            "crossUnPnl": fixed(margin.profit),
            "availableBalance": free,
            "maxWithdrawAmount": free,
        }

    def _order_margin(self) -> Decimal:
        total = ZERO
        for view in self._house.open_orders(Leg.FUTURES):
            order = view.order
            if not order.reduce_only:
                left = (order.quantity - view.filled) * order.limit_price
                total += left / self._house.leverage(order.symbol)
        return min(total, self._house.margin().initial)

    def balance(self, _: Params) -> list[Row]:
        """Return ``GET /fapi/v3/balance``."""
        cash = self._cash()
        return [
            {
                "accountAlias": "SgsR",
                "asset": "USDT",
                "balance": cash["walletBalance"],
                "crossWalletBalance": cash["crossWalletBalance"],
                "crossUnPnl": cash["crossUnPnl"],
                "availableBalance": cash["availableBalance"],
                "maxWithdrawAmount": cash["maxWithdrawAmount"],
                "marginAvailable": True,
                "updateTime": self._house.wall() // MS,
            }
        ]

    def account_v3(self, _: Params) -> Row:
        """Return ``GET /fapi/v3/account``: positions only where there is one."""
        cash = self._cash()
        now = self._house.wall() // MS
        positions = []
        for listing in self._listings.trading:
            position = self._house.position(listing.symbol)
            if position.quantity:
                positions.append(self._account_row(listing, position))
        return self._totals(cash) | {
            "assets": [{"asset": "USDT"} | cash | {"updateTime": now}],
            "positions": positions,
        }

    def account_v2(self, _: Params) -> Row:
        """Return ``GET /fapi/v2/account``: every position, flat ones too."""
        cash = self._cash()
        now = self._house.wall() // MS
        return (
            {
                "feeTier": 0,
                "canTrade": self._keys.may_trade(Leg.FUTURES),
                "canDeposit": True,
                "canWithdraw": self._keys.withdraw,
                "updateTime": 0,
                "multiAssetsMargin": False,
                "tradeGroupId": -1,
            }
            | self._totals(cash)
            | {
                "assets": [{"asset": "USDT"} | cash | {"marginAvailable": True, "updateTime": now}],
                "positions": [
                    self._account_row(listing, self._house.position(listing.symbol))
                    | {
                        "leverage": str(self._house.leverage(listing.symbol)),
                        "entryPrice": self._entry(listing, self._house.position(listing.symbol)),
                        "maxNotional": "250000",
                        "bidNotional": "0",
                        "askNotional": "0",
                    }
                    for listing in self._listings.trading
                ],
            }
        )

    @staticmethod
    def _totals(cash: Row) -> Row:
        return {
            "totalInitialMargin": cash["initialMargin"],
            "totalMaintMargin": cash["maintMargin"],
            "totalWalletBalance": cash["walletBalance"],
            "totalUnrealizedProfit": cash["unrealizedProfit"],
            "totalMarginBalance": cash["marginBalance"],
            "totalPositionInitialMargin": cash["positionInitialMargin"],
            "totalOpenOrderInitialMargin": cash["openOrderInitialMargin"],
            "totalCrossWalletBalance": cash["crossWalletBalance"],
            "totalCrossUnPnl": cash["crossUnPnl"],
            "availableBalance": cash["availableBalance"],
            "maxWithdrawAmount": cash["maxWithdrawAmount"],
        }

    # Positions

    def _entry(self, listing: Listing, position: Position) -> str:
        return fixed(shapes.entry_price(position) * listing.scale, 5)

    def _margins(self, listing: Listing, position: Position) -> tuple[Decimal, Decimal, Decimal]:
        """Return profit, initial and maintenance margin of one position."""
        mark = self._house.mark(listing.symbol).mark
        value = abs(position.quantity) * mark
        initial = (value / self._house.leverage(listing.symbol)).quantize(Decimal("1e-8"))
        profit = position.quantity * mark - position.entry_notional
        return profit, initial, value * self._house.settings.maintenance_margin

    def _account_row(self, listing: Listing, position: Position) -> Row:
        profit, initial, maintenance = self._margins(listing, position)
        mark = self._house.mark(listing.symbol).mark
        return {
            "symbol": listing.wire,
            "positionSide": "BOTH",
            "positionAmt": listing.quantity_text(position.quantity),
            "unrealizedProfit": fixed(profit),
            "isolated": False,
            "isolatedMargin": "0",
            "notional": fixed(position.quantity * mark),
            "isolatedWallet": "0",
            "initialMargin": fixed(initial),
            "maintMargin": fixed(maintenance),
            "positionInitialMargin": fixed(initial),
            "openOrderInitialMargin": "0",
            "updateTime": self._updated(listing),
        }

    def _updated(self, listing: Listing) -> int:
        return max(
            (ms(f.filled_at) for f in self._house.fills(Leg.FUTURES, listing.symbol)), default=0
        )

    def _chosen(self, params: Params) -> list[Listing]:
        wire = params.get("symbol", "")
        return [self._listings.of_wire(wire)] if wire else list(self._listings.trading)

    def position_v3(self, params: Params) -> list[Row]:
        """Return ``GET /fapi/v3/positionRisk``: positions and markets with open orders only."""
        found = []
        for listing in self._chosen(params):
            position = self._house.position(listing.symbol)
            if not position.quantity and not self._house.open_orders(Leg.FUTURES, listing.symbol):
                continue
            row = self._risk(listing, position)
            profit, initial, maintenance = self._margins(listing, position)
            del profit
            found.append(
                row
                | {
                    "marginAsset": listing.instrument.settle,
                    "initialMargin": fixed(initial),
                    "maintMargin": fixed(maintenance),
                    "positionInitialMargin": fixed(initial),
                    "openOrderInitialMargin": "0",
                    "adl": position.adl_rank or 0,
                    "bidNotional": "0",
                    "askNotional": "0",
                }
            )
        return found

    def position_v2(self, params: Params) -> list[Row]:
        """Return ``GET /fapi/v2/positionRisk``: every market, with leverage and margin type."""
        return [
            self._risk(listing, self._house.position(listing.symbol))
            | {
                "leverage": str(self._house.leverage(listing.symbol)),
                "maxNotionalValue": "250000",
                "marginType": "cross",
                "isAutoAddMargin": "false",
            }
            for listing in self._chosen(params)
        ]

    def _risk(self, listing: Listing, position: Position) -> Row:
        mark = self._house.mark(listing.symbol).mark
        profit = position.quantity * mark - position.entry_notional
        liquidation = position.liquidation_price or ZERO
        return {
            "symbol": listing.wire,
            "positionSide": "BOTH",
            "positionAmt": listing.quantity_text(position.quantity),
            "entryPrice": self._entry(listing, position),
            "breakEvenPrice": self._entry(listing, position),
            "markPrice": fixed(mark * listing.scale),
            "unRealizedProfit": fixed(profit),
            "liquidationPrice": listing.price_text(liquidation) if liquidation else "0",
            "isolatedMargin": "0",
            "notional": fixed(position.quantity * mark),
            "isolatedWallet": "0",
            "updateTime": self._updated(listing),
        }

    def adl_quantile(self, params: Params) -> object:
        rows = [
            {
                "symbol": listing.wire,
                "adlQuantile": {"BOTH": self._house.position(listing.symbol).adl_rank or 0},
            }
            for listing in self._chosen(params)
        ]
        return rows[0] if params.get("symbol") else rows

    # Configuration

    def set_leverage(self, params: Params) -> Row:
        listing = self._listings.of_wire(params.text("symbol"))
        leverage = params.integer("leverage")
        try:
            self._house.set_leverage(listing.symbol, leverage)
        except Refused as error:
            raise says.BinanceError(-4028, f"Leverage {leverage} is not valid") from error
        return {"symbol": listing.wire, "leverage": leverage, "maxNotionalValue": "1000000"}

    def set_margin_type(self, params: Params) -> Row:
        """Take CROSSED, which it always is; an isolated position is not simulated."""
        self._listings.of_wire(params.text("symbol"))
        kind = params.text("marginType")
        if kind == "CROSSED":
            raise says.BinanceError(-4046, "No need to change margin type.")
        if kind != "ISOLATED":
            raise says.BinanceError(-4055, "Invalid margin type")
        raise says.BinanceError(-4168, "Unable to adjust to isolated-margin mode.")

    def position_mode(self, _: Params) -> Row:
        return {"dualSidePosition": self._house.mode is PositionMode.HEDGE}

    def set_position_mode(self, params: Params) -> Row:
        params.text("dualSidePosition")
        wanted = PositionMode.HEDGE if params.flag("dualSidePosition") else PositionMode.ONE_WAY
        if wanted is self._house.mode:
            raise says.BinanceError(-4059, "No need to change position side.")
        if self._house.open_orders(Leg.FUTURES):
            text = "Position side cannot be changed if there exists open orders."
            raise says.BinanceError(-4067, text)
        if any(self._house.position(one.symbol).quantity for one in self._listings.trading):
            text = "Position side cannot be changed if there exists position."
            raise says.BinanceError(-4068, text)
        self._house.set_mode(wanted)
        return {"code": 200, "msg": "success"}

    def multi_assets(self, _: Params) -> Row:
        return {"multiAssetsMargin": False}

    def account_config(self, _: Params) -> Row:
        """Return ``GET /fapi/v1/accountConfig``."""
        return {
            "feeTier": 0,
            "canTrade": self._keys.may_trade(Leg.FUTURES),
            "canDeposit": True,
            "canWithdraw": self._keys.withdraw,
            "dualSidePosition": self._house.mode is PositionMode.HEDGE,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def symbol_config(self, params: Params) -> list[Row]:
        """Return ``GET /fapi/v1/symbolConfig``."""
        return [
            {
                "symbol": listing.wire,
                "marginType": "CROSSED",
                "isAutoAddMargin": "false",
                "leverage": self._house.leverage(listing.symbol),
                "maxNotionalValue": "1000000",
            }
            for listing in self._chosen(params)
        ]

    def leverage_brackets(self, params: Params) -> list[Row]:
        """Return one bracket a market, with the simulated maintenance margin."""
        ratio = self._house.settings.maintenance_margin.normalize()
        bracket = {
            "bracket": 1,
            "initialLeverage": 125,
            "notionalCap": 1_000_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": float(ratio),
            "cum": 0.0,
        }
        return [{"symbol": one.wire, "brackets": [bracket]} for one in self._chosen(params)]

    def commission(self, params: Params) -> Row:
        listing = self._listings.of_wire(params.text("symbol"))
        fees = self._house.fees
        return {
            "symbol": listing.wire,
            "makerCommissionRate": fixed(fees.futures_maker, 6),
            "takerCommissionRate": fixed(fees.futures_taker, 6),
            "rpiCommissionRate": "0.000050",
        }

    # History

    def trades(self, params: Params) -> list[Row]:
        """Return ``GET /fapi/v1/userTrades``."""
        self._house.bring_up()
        rows = []
        for listing in self._chosen(params):
            for fill in self._house.fills(Leg.FUTURES, listing.symbol):
                profit = self._house.realised_of(fill)
                rows.append(shapes.usdm_trade(listing, fill, profit))
        number = params.integer("orderId", 0)
        if number:
            rows = [row for row in rows if row["orderId"] == number]
        return page_of(rows, params, "id", 500, 1_000)

    def income(self, params: Params) -> list[Row]:
        """Return ``GET /fapi/v1/income``: funding, commissions and realised profit."""
        rows: list[Row] = []
        for place, listing in enumerate(self._chosen(params)):
            for payment in self._house.payments(listing.symbol):
                at, asset = ms(payment.settled_at), payment.asset
                number = at * SYMBOLS_MAX + place
                rows.append(_income(listing, FUNDING, payment.cash, asset, at, number=number))
            for fill in self._house.fills(Leg.FUTURES, listing.symbol):
                at, number = ms(fill.filled_at), shapes.trade_id(fill)
                rows.append(
                    _income(listing, COMMISSION, -fill.fee, fill.fee_asset, at, number=number)
                )
                profit = self._house.realised_of(fill)
                if profit:
                    settle = listing.instrument.settle
                    rows.append(_income(listing, REALISED, profit, settle, at, number=number))
        kind = params.get("incomeType", "")
        rows = [row for row in rows if kind in ("", row["incomeType"])]
        rows.sort(key=lambda row: (row["time"], row["tranId"]))
        limit = params.limit(100, INCOME_MAX)
        begin, end = params.integer("startTime", 0), params.integer("endTime", NEVER_MS)
        rows = [row for row in rows if begin <= row["time"] <= end]
        page = params.integer("page", 1)
        if "page" in params or begin:
            return rows[(page - 1) * limit : page * limit]
        return rows[-limit:]


def _income(
    listing: Listing, kind: str, cash: Decimal, asset: str, at_ms: int, *, number: int
) -> Row:
    trade = kind != FUNDING
    return {
        "symbol": listing.wire,
        "incomeType": kind,
        "income": fixed(cash),
        "asset": asset,
        "time": at_ms,
        "info": str(number) if trade else kind,
        "tranId": number,
        "tradeId": str(number) if trade else "",
    }
