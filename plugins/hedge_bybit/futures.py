"""`FuturesGateway`: linear perpetuals of the unified account, in one-way mode."""

import asyncio
from decimal import Decimal

from hedge.errors import Refused, Unreachable
from hedge.model import Leg, Position, PositionMode
from hedge.model.numbers import ZERO, plain
from hedge.roles import Margin
from hedge_bybit import parse
from hedge_bybit.cold import Ask
from hedge_bybit.errors import UNCHANGED_CODES
from hedge_bybit.frames import CoinRow, PositionRow, WalletRow
from hedge_bybit.gateway import Gateway
from hedge_bybit.listing import LINEAR, Listing, number

UNIFIED_STATUSES = frozenset({3, 4, 5, 6})
"""``unifiedMarginStatus`` of unified accounts (docs/v5/enum)."""
PORTFOLIO = "PORTFOLIO_MARGIN"
ONE_WAY = 0
"""``mode`` of /v5/position/switch-mode: merged single."""
SETTLES = ("USDT", "USDC")


class FuturesGateway(Gateway):
    """`hedge.roles.FuturesGateway`."""

    leg = Leg.FUTURES

    async def prepare(self, symbol: str, leverage: int) -> None:
        """Set what differs, and read all of it back, whether it was set or not."""
        listing = await self._listing(symbol)
        await self._check_account()
        rows = await self._rows(listing)
        if parse.is_hedge_mode(rows):
            await self._leave_hedge_mode(listing, rows)
            rows = await self._rows(listing)
        if _leverage_of(rows) != leverage:
            await self._set(
                lambda http: http.set_leverage(
                    category=LINEAR,
                    symbol=listing.venue_symbol,
                    buyLeverage=str(leverage),
                    sellLeverage=str(leverage),
                )
            )
            rows = await self._rows(listing)
        mode = "hedge" if parse.is_hedge_mode(rows) else "one_way"
        found = _leverage_of(rows)
        if found != leverage or mode != "one_way":
            said = plain(found) if found is not None else "not stated"
            code = "LEVERAGE" if mode == "one_way" else "POSITION_MODE"
            raise Refused(
                f"bybit {code}: {symbol}: leverage {said}, mode {mode} after setting {leverage},"
                " one_way: set them at the venue",
                code=code,
            )
        self.session.prepared.add(symbol)

    async def _check_account(self) -> None:
        info = await self.session.reads.account_info()
        if info.unified_margin_status not in UNIFIED_STATUSES:
            raise Refused(
                "bybit ACCOUNT_TYPE: a classic account: upgrade it to a unified trading account",
                code="ACCOUNT_TYPE",
            )
        if info.margin_mode == PORTFOLIO:
            raise Refused(
                "bybit MARGIN_MODE: portfolio margin knows no leverage:"
                " switch to cross or isolated margin",
                code="MARGIN_MODE",
            )

    async def _leave_hedge_mode(self, listing: Listing, rows: list[PositionRow]) -> None:
        if any(number(row.size) for row in rows):
            raise Refused(
                f"bybit POSITION_MODE: {listing.venue_symbol} is in hedge mode with a position:"
                " close it, then switch to one-way mode",
                code="POSITION_MODE",
            )
        await self._set(
            lambda http: http.switch_position_mode(
                category=LINEAR, symbol=listing.venue_symbol, mode=ONE_WAY
            )
        )

    async def _set(self, ask: Ask) -> None:
        """Have a setting changed; that it was so already is as good."""
        try:
            await self.session.cold.command(ask)
        except Refused as error:
            if error.code not in UNCHANGED_CODES:
                raise

    async def _rows(self, listing: Listing) -> list[PositionRow]:
        return await self.session.reads.positions(listing.venue_symbol)

    async def read_position(self, symbol: str) -> Position:
        listing = await self._listing(symbol)
        wallet, rows = await asyncio.gather(self.session.reads.wallet(), self._rows(listing))
        if not rows:
            raise Unreachable(f"bybit: no position row of {listing.venue_symbol}")
        return parse.position(rows, listing, parse.margin_ratio(wallet))

    async def read_position_mode(self) -> PositionMode:
        """Return hedge mode when any perpetual in use, or any with a position, is in it."""
        reads = self.session.reads
        rows: list[PositionRow] = []
        for symbol in {*self.session.prepared, *self._listings}:
            rows += await self._rows(await self._listing(symbol))
        if not rows:
            for settle in SETTLES:
                rows += await reads.positions(settle=settle)
        return PositionMode.HEDGE if parse.is_hedge_mode(rows) else PositionMode.ONE_WAY

    async def read_margin(self, symbol: str) -> Margin:
        listing = await self._listing(symbol)
        wallet, rows = await asyncio.gather(self.session.reads.wallet(), self._rows(listing))
        settle = listing.instrument.settle
        coin = next((row for row in wallet.coin if row.coin == settle), CoinRow(coin=settle))
        return Margin(
            free=_free(wallet, coin),
            wallet=number(coin.wallet_balance) - number(coin.spot_borrow),
            ratio=parse.margin_ratio(wallet),
            leverage=_leverage_of(rows),
        )


def _leverage_of(rows: list[PositionRow]) -> Decimal | None:
    """Return the leverage of both sides; None where they differ or none is stated."""
    stated = {number(row.leverage) for row in rows if row.leverage}
    return stated.pop() if len(stated) == 1 else None


def _free(wallet: WalletRow, coin: CoinRow) -> Decimal:
    """Return the margin that is free: the account's under cross margin, in USD; else the coin's.

    Under isolated margin the account states none.
    """
    if wallet.total_available_balance:
        return number(wallet.total_available_balance)
    return max(parse.balance(coin).free, ZERO)
