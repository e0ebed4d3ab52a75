"""`AccountCheck`: what the key may do, how far the clocks are apart, what trading costs."""

from collections.abc import Collection
from datetime import datetime

from hedge.errors import Malformed
from hedge.model import Leg
from hedge.model.numbers import SECOND
from hedge.roles import FeeRates, KeyRights
from hedge_bybit.listing import number
from hedge_bybit.reads import KeyInfo, Permissions
from hedge_bybit.venue import Role

ANYWHERE = "*"
"""The entry of a key that is bound to no address."""
NEVER_YEAR = 1970
"""A key that does not expire carries the epoch as its end."""
TRANSFERS = ("AccountTransfer", "SubMemberTransfer")
"""Rights that move coins to another account; a key that only reads lists them, and has none."""


class Check(Role):
    """`hedge.roles.AccountCheck`."""

    async def read_key_rights(self) -> KeyRights:
        """Return what the key may do; ``trade`` means every leg that it is used for here."""
        return self.rights_of(await self.session.reads.key_info(), self.session.legs)

    @staticmethod
    def rights_of(info: KeyInfo, legs: Collection[Leg]) -> KeyRights:
        """Return the rights (docs/v5/user/apikey-info); no ``legs``: either will do."""
        rights = [_trades(info.permissions, leg) for leg in legs or Leg]
        writes, wallet = info.read_only == 0, set(info.permissions.wallet)
        return KeyRights(
            trade=writes and (all(rights) if legs else any(rights)),
            withdraw="Withdraw" in wallet or (writes and not wallet.isdisjoint(TRANSFERS)),
            ip_bound=bool(info.ips) and ANYWHERE not in info.ips,
            expires_at=_moment(info.expired_at),
        )

    async def read_clock_offset_ms(self) -> int:
        await self.session.read_clock()
        return self.session.offset.offset_ms

    async def read_fees(self, symbol: str) -> FeeRates:
        """Return the account's rates; a spot buyer pays in the coin bought (docs/v5/enum)."""
        leg = Leg.FUTURES if ":" in symbol else Leg.SPOT
        listing = await self.session.listing(leg, symbol)
        row = await self.session.reads.fees(leg, listing.venue_symbol)
        instrument = listing.instrument
        return FeeRates(
            maker=number(row.maker_fee_rate),
            taker=number(row.taker_fee_rate),
            buy_asset=instrument.base if leg is Leg.SPOT else instrument.settle,
        )


def _trades(rights: Permissions, leg: Leg) -> bool:
    # Not "Derivatives": that says what account it is, and every key of a unified one has it.
    if leg is Leg.SPOT:
        return "SpotTrade" in rights.spot
    return "Order" in rights.contract_trade or "OptionsTrade" in rights.options  # the latter: USDC


def _moment(text: str) -> int | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(f"bybit: no date: {text[:40]!r}") from None
    return int(at.timestamp()) * SECOND if at.year > NEVER_YEAR else None
