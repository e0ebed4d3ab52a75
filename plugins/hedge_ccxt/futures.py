"""`FuturesGateway`: linear perpetuals of one account, in one-way mode."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hedge.errors import Refused
from hedge.model import Leg, Position, PositionMode
from hedge.model.numbers import ZERO, plain
from hedge.roles import Margin, VenueContext
from hedge_ccxt import parse
from hedge_ccxt.gateway import Gateway
from hedge_ccxt.listing import Listing, number

HEDGE_RAW = frozenset({"dual_long", "dual_short", "hedge_mode"})
"""Gate's and Bitget's words in a position's own row."""
INDEX_HEDGED = frozenset({"1", "2"})
"""Bybit's ``positionIdx`` of the two sides."""


class FuturesGateway(Gateway):
    """`hedge.roles.FuturesGateway`."""

    def __init__(self, name: str, context: VenueContext) -> None:
        super().__init__(name, context, Leg.FUTURES)
        self._used: set[str] = set()

    async def prepare(self, symbol: str, leverage: int) -> None:
        """Set one-way mode, margin mode and leverage, and read back whatever can be read."""
        listing = await self._listing(symbol)
        self._used.add(symbol)
        profile, mode = self.session.profile, self.session.settings.margin_mode
        if await self._mode(listing) is PositionMode.HEDGE:
            await self._line.set("set_position_mode", False, listing.market)
        if profile.sets_margin_mode:
            await self._line.set("set_margin_mode", mode, listing.market)
        if await self._leverage(listing) != leverage:
            await self._line.set(
                "set_leverage",
                leverage,
                listing.market,
                params=self.filled(profile.leverage_params),
            )
        found = await self._leverage(listing)
        position_mode = await self._mode(listing)
        if found != leverage or position_mode is not PositionMode.ONE_WAY:
            said = plain(found) if found is not None else "not stated"
            raise Refused(
                f"{self.session.venue}: {symbol}: leverage {said}, mode {position_mode.value}"
                f" after setting {leverage}, one_way",
                code="LEVERAGE" if position_mode is PositionMode.ONE_WAY else "POSITION_MODE",
            )

    async def _mode(self, listing: Listing) -> PositionMode:
        """Return the mode by whatever the venue says it with."""
        match self.session.profile.mode_from:
            case "fetch_position_mode":
                answer = await self._line.read("fetch_position_mode", listing.market)
                hedged = bool(answer.get("hedged"))
            case "one_way":
                hedged = False
            case _:
                hedged = any(_is_hedged(row) for row in await self._rows(listing))
        return PositionMode.HEDGE if hedged else PositionMode.ONE_WAY

    async def _rows(self, listing: Listing) -> list[parse.Row]:
        rows = parse.as_rows(await self._line.read("fetch_positions", [listing.market]))
        return [row for row in rows if row.get("symbol") == listing.market]

    async def _leverage(self, listing: Listing) -> Decimal | None:
        """Return the leverage of both sides; None where they differ or none is stated."""
        where = self.session.profile.leverage_from
        if where == "positions" or (where == "fetch_leverage" and not self._line.has(FETCH)):
            rows = await self._rows(listing)
            return _one([row.get("leverage") for row in rows])
        if where == "fetch_leverage":
            params = self.filled(self.session.profile.order_params)
            answer = await self._line.read("fetch_leverage", listing.market, params=params)
            return _one([answer.get("longLeverage"), answer.get("shortLeverage")])
        market: Mapping[str, Any] = self._line.exchange.market(listing.market)
        user = self.session.settings.wallet_address
        query = {"type": "activeAssetData", "user": user, "coin": market["baseName"]}
        answer = await self._line.read(where, query)
        return _one([(answer.get("leverage") or {}).get("value")])

    async def read_position(self, symbol: str) -> Position:
        listing = await self._listing(symbol)
        self._used.add(symbol)
        return parse.position(await self._rows(listing), listing, self.session.clock.now())

    async def read_position_mode(self) -> PositionMode:
        """Return hedge mode when any perpetual in use is in it."""
        for symbol in self._used:
            if await self._mode(await self._listing(symbol)) is PositionMode.HEDGE:
                return PositionMode.HEDGE
        if self._used or self.session.profile.mode_from != "fetch_position_mode":
            return PositionMode.ONE_WAY
        answer = await self._line.read("fetch_position_mode")
        return PositionMode.HEDGE if answer.get("hedged") else PositionMode.ONE_WAY

    async def read_margin(self, symbol: str) -> Margin:
        listing = await self._listing(symbol)
        settle = listing.instrument.settle
        cash = {one.asset: one for one in await self.read_balances()}.get(settle)
        rows = await self._rows(listing)
        ratios = [number(row["marginRatio"]) for row in rows if row.get("marginRatio") is not None]
        return Margin(
            free=max(cash.free, ZERO) if cash else ZERO,
            wallet=cash.total if cash else ZERO,
            ratio=max(ratios, default=None),
            leverage=await self._leverage(listing),
        )


FETCH = "fetchLeverage"


def _is_hedged(row: parse.Row) -> bool:
    raw: Mapping[str, Any] = row.get("info") or {}
    words = {str(raw.get(name)) for name in ("mode", "posMode", "holdMode")}
    return (
        row.get("hedged") is True
        or bool(words & HEDGE_RAW)
        or str(raw.get("positionIdx")) in INDEX_HEDGED
    )


def _one(values: list[Any]) -> Decimal | None:
    stated = {number(value) for value in values if value is not None}
    return stated.pop() if len(stated) == 1 else None
