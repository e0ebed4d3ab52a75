"""`AccountCheck`: what the key may do, how far the clocks are apart, what trading costs."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from hedge.errors import Malformed
from hedge.model import Leg
from hedge.model.numbers import DAY, MS, SECOND
from hedge.roles import FeeRates, KeyRights, VenueContext
from hedge_ccxt.listing import number
from hedge_ccxt.parse import at_path
from hedge_ccxt.profiles.profile import Rights
from hedge_ccxt.venue import Role

YES = frozenset({"true", "1"})
NO_ADDRESS = frozenset({"", "*", "0.0.0.0/0", "false", "none", "[]"})
NEVER = 365 * DAY
"""A key that does not end carries no end, or one in the epoch's year (Bybit)."""


class Check(Role):
    """`hedge.roles.AccountCheck`."""

    def __init__(self, name: str, context: VenueContext) -> None:
        super().__init__(name, context, Leg.SPOT, trades=False)

    async def read_key_rights(self) -> KeyRights:
        """Return the rights; where a venue cannot be asked, the key counts as able to withdraw.

        ccxt has no question of its own for this: the profile names the venue's.
        """
        rights = self.session.profile.rights
        if rights is None:
            return KeyRights(trade=True, withdraw=True)
        answer = await self.session.line(self.session.home).read(rights.method)
        return rights_of(rights, answer, self.session.trades)

    async def read_clock_offset_ms(self) -> int:
        await self.session.read_clock()
        return self.session.offset.offset_ms

    async def read_fees(self, symbol: str) -> FeeRates:
        """Return the account's rates, or where ccxt cannot ask, those of the market."""
        leg = Leg.FUTURES if ":" in symbol else Leg.SPOT
        listing = await self.session.listing(leg, symbol)
        line = self.session.line(leg)
        if line.has("fetchTradingFee"):
            row = await line.read("fetch_trading_fee", listing.market)
        else:
            row = (await self.session.markets(leg, anew=False))[listing.market]
        instrument = listing.instrument
        return FeeRates(
            maker=number(row.get("maker")),
            taker=number(row.get("taker")),
            buy_asset=instrument.base if leg is Leg.SPOT else instrument.settle,
        )


def rights_of(rights: Rights, answer: Any, legs: Collection[Leg]) -> KeyRights:
    """Return what the venue's answer says; ``trade`` means each of ``legs``, or any of no legs."""
    held = set(_words(at_path(answer, rights.path)))
    address = {text.strip().lower() for text in _texts(at_path(answer, rights.ip))}
    words = {Leg.SPOT: rights.spot, Leg.FUTURES: rights.futures}
    found = [bool(held.intersection(words[leg])) for leg in legs or Leg]
    writes = not rights.read_only or str(at_path(answer, rights.read_only)).lower() not in YES
    return KeyRights(
        trade=writes and (all(found) if legs else any(found)),
        withdraw=bool(held & set(rights.withdraw)),
        ip_bound=bool(address - NO_ADDRESS) if rights.ip else None,
        expires_at=_end(at_path(answer, rights.ends)) if rights.ends else None,
    )


def _end(found: Any) -> int | None:
    """Return ns of a venue's ms, or of its date."""
    text = str(found or 0)
    try:
        date = None if text.isdecimal() else datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(f"ccxt: no date: {text[:40]!r}") from None
    at = int(text) * MS if date is None else int(date.timestamp()) * SECOND
    return at if at > NEVER else None


def _texts(found: Any) -> Iterator[str]:
    """Yield every plain value below."""
    if isinstance(found, Mapping):
        for value in found.values():
            yield from _texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from _texts(value)
    elif found is not None:
        yield str(found)


def _words(found: Any) -> Iterator[str]:
    """Yield words of lists and of "a,b", and the names of what is true."""
    if isinstance(found, Mapping):
        for name, value in found.items():
            if isinstance(value, bool | str | int) and str(value).lower() in YES:
                yield str(name)
            elif isinstance(value, list):
                yield from _words(value)
        return
    for text in _texts(found):
        yield from (word.strip() for word in text.split(","))
