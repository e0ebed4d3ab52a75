"""What of the account can be set: leverage, position mode, margin mode; and read back."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hedge.model import Leg, PositionMode
from hedge.model.numbers import MS
from hedge_sim.dialects.bybit_errors import LINEAR, Rejection, bad_param, refusal
from hedge_sim.dialects.bybit_listing import LEVERAGE_MAX, Listing
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_params import Params, number_of, text_of, traded_category_of
from hedge_sim.dialects.bybit_shapes import Row
from hedge_sim.dialects.house import House

CROSS: Final = "REGULAR_MARGIN"
_MODES: Final = {"0": PositionMode.ONE_WAY, "3": PositionMode.HEDGE}
_MARGIN_MODES: Final = (CROSS, "ISOLATED_MARGIN", "PORTFOLIO_MARGIN")
Write = Callable[[Params], Row]


class Settings:
    """The writes that are no orders; one position mode holds for the whole account."""

    def __init__(self, house: House, markets: Markets) -> None:
        self._house = house
        self._markets = markets
        self.on_change: Callable[[Listing], None] = lambda _listing: None
        """Called when the leverage of a perpetual has changed."""

    def reads(self) -> dict[str, Write]:
        return {"/v5/account/info": self.info}

    def writes(self) -> dict[str, Write]:
        return {
            "/v5/position/set-leverage": self.set_leverage,
            "/v5/position/switch-mode": self.switch_mode,
            "/v5/position/switch-isolated": self.switch_isolated,
            "/v5/account/set-margin-mode": self.set_margin_mode,
        }

    def info(self, _: Params) -> Row:
        """Return ``/v5/account/info``: a unified account 2.0, cross margin."""
        return {
            "unifiedMarginStatus": 5,
            "marginMode": CROSS,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
            "updatedTime": str(self._house.world.segments[0].wall // MS),
            "dcpStatus": "OFF",
            "timeWindow": 0,
            "smpGroup": 0,
        }

    def _perpetual(self, params: Params) -> Listing:
        if traded_category_of(params) != LINEAR:
            raise Rejection(10001, "Illegal category")
        return self._markets.listing(LINEAR, text_of(params, "symbol"))

    def set_leverage(self, params: Params) -> Row:
        """Set it; 110043 where it is that already, 110013 above the maximum."""
        listing = self._perpetual(params)
        buy, sell = number_of(params, "buyLeverage"), number_of(params, "sellLeverage")
        if buy is None or sell is None:
            raise bad_param("buyLeverage or sellLeverage is empty")
        if buy != sell and self._house.mode is PositionMode.ONE_WAY:
            raise Rejection(10001, "buy leverage not equal sell leverage")
        if buy > LEVERAGE_MAX:
            raise refusal(LINEAR, "LEVERAGE")
        if buy < 1 or buy % 1:
            raise Rejection(10001, "leverage invalid")
        if self._house.leverage(listing.model_symbol) == buy:
            raise Rejection(110043, "leverage not modified")
        self._house.set_leverage(listing.model_symbol, int(buy))
        self.on_change(listing)
        return {}

    def switch_mode(self, params: Params) -> Row:
        """Switch between one-way and hedge mode; refused while anything is held or works."""
        if traded_category_of(params) != LINEAR:
            raise Rejection(10001, "Illegal category")
        symbol, coin = text_of(params, "symbol"), text_of(params, "coin")
        if not symbol and not coin:
            raise bad_param("symbol or coin is required")
        if symbol:
            self._markets.listing(LINEAR, symbol)
        mode = _MODES.get(text_of(params, "mode"))
        if mode is None:
            raise bad_param("mode invalid")
        if mode is self._house.mode:
            raise Rejection(110025, "Position mode is not modified")
        if any(self._held(one) for one in self._markets.traded(LINEAR)):
            raise Rejection(
                110024, "You have an existing position, so position mode cannot be switched"
            )
        if self._house.open_orders(Leg.FUTURES):
            raise Rejection(110028, "Open orders exist, so you cannot change position mode")
        self._house.set_mode(mode)
        return {}

    def _held(self, listing: Listing) -> Decimal:
        return self._house.position(listing.model_symbol).quantity

    def switch_isolated(self, params: Params) -> Row:
        """Refuse: a unified account has one margin mode (docs/v5/position/cross-isolate)."""
        self._perpetual(params)
        raise Rejection(100028, "unified account is forbidden")

    def set_margin_mode(self, params: Params) -> Row:
        """Take cross margin, which it has; the simulated account knows no other."""
        mode = text_of(params, "setMarginMode")
        if mode not in _MARGIN_MODES:
            raise bad_param("setMarginMode invalid")
        if mode != CROSS:
            raise Rejection(3400045, "Set margin mode failed")
        return {"reasons": []}
