"""What the doctor asks: the key's rights, the clock, and what an order costs."""

from hedge.model import Leg
from hedge.model.numbers import MS, ZERO
from hedge.roles import FeeRates, KeyRights
from hedge_binance import wire
from hedge_binance.cold import Cold
from hedge_binance.instruments import Listing
from hedge_binance.link import Role

_NO_SAPI = ("testnet", "demo")
"""Environments without ``/sapi``: there the account itself is asked."""


class BinanceAccountCheck(Role):
    """`hedge.roles.AccountCheck` of both legs."""

    @property
    def _leg(self) -> Leg:
        """The market that is asked for what holds of both: one that this account is used for."""
        used = self.session.legs or set(Leg)
        return (
            Leg.SPOT if Leg.SPOT in used and self.session.settings.hosts.spot_url else Leg.FUTURES
        )

    async def read_key_rights(self) -> KeyRights:
        """Return what the key may do; ``trade`` means every leg that it is used for here.

        Source: ``GET /sapi/v1/account/apiRestrictions``. Where that is not offered (testnet, demo)
        the account's own permission is all there is, and no money is at stake.
        """
        cold = await self.session.cold(self._leg)
        if self.session.settings.environment in _NO_SAPI:
            return KeyRights(trade=await self._may_trade(cold), withdraw=False)
        found = await cold.read(wire.KeyRestrictions, lambda c: c.get_account_api_permissions(), 1)
        rights = {
            Leg.SPOT: found.enable_spot_and_margin_trading,
            Leg.FUTURES: found.enable_futures,
        }
        used = self.session.legs
        trade = all(rights[leg] for leg in used) if used else any(rights.values())
        return KeyRights(
            trade=trade,
            withdraw=found.enable_withdrawals
            or found.enable_internal_transfer
            or found.permits_universal_transfer,
            ip_bound=found.ip_restrict,
            expires_at=found.trading_authority_expiration_time * MS or None,
        )

    async def _may_trade(self, cold: Cold) -> bool:
        # A testnet has its own keys for each market: one of the other's would be refused.
        if cold.leg is Leg.SPOT:
            found = await cold.read(wire.CanTrade, lambda c: c.get_account(), 20)
        else:
            found = await cold.read(wire.CanTrade, lambda c: c.futures_account_config(), 5)
        return found.can_trade

    async def read_clock_offset_ms(self) -> int:
        """Return the venue's clock less ours."""
        cold = await self.session.cold(self._leg)
        await cold.read_clock()
        return cold.offset.offset_ms

    async def read_fees(self, symbol: str) -> FeeRates:
        """Return the rates without any discount, and what a buy pays them in."""
        if ":" in symbol:
            return await self._futures_fees(symbol)
        listing = await self.session.listing(Leg.SPOT, symbol)
        cold = await self.session.cold(Leg.SPOT)
        found = await cold.read(
            wire.SpotFees,
            lambda c: c.v3_get_account_commission(symbol=listing.native),
            20,
        )
        parts = (found.standard_commission, found.special_commission, found.tax_commission)
        extra = sum((max(part.buyer, part.seller) for part in parts), ZERO)
        return FeeRates(
            maker=sum((part.maker for part in parts), ZERO) + extra,
            taker=sum((part.taker for part in parts), ZERO) + extra,
            buy_asset=await self._buy_asset(cold, listing, found.discount),
        )

    async def _buy_asset(self, cold: Cold, listing: Listing, discount: wire.Discount) -> str:
        """Return the discount's coin when it is on and held; else the coin that is bought."""
        coin = discount.discount_asset
        on = discount.enabled_for_account and discount.enabled_for_symbol
        if coin and on:
            account = await cold.read(
                wire.SpotAccount, lambda c: c.get_account(omitZeroBalances="true"), 20
            )
            if any(row.asset == coin and row.free > 0 for row in account.balances):
                return coin
        return listing.instrument.base

    async def _futures_fees(self, symbol: str) -> FeeRates:
        listing = await self.session.listing(Leg.FUTURES, symbol)
        cold = await self.session.cold(Leg.FUTURES)
        found = await cold.read(
            wire.FuturesFees, lambda c: c.futures_commission_rate(symbol=listing.native), 20
        )
        return FeeRates(
            maker=found.maker_commission_rate,
            taker=found.taker_commission_rate,
            buy_asset=listing.instrument.settle,
        )
