"""Bybit's REST questions, one function each, all pages, typed; answers by `pybit`."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import msgspec

from hedge.errors import Missing, Refused
from hedge.model import Leg
from hedge.model.numbers import DAY, MS
from hedge_bybit.cold import Cold
from hedge_bybit.frames import ExecutionRow, OrderRow, PositionRow, Row, WalletRow
from hedge_bybit.listing import CATEGORIES, LINEAR, InstrumentRow
from hedge_bybit.parse import FundingRow

R = TypeVar("R")

PAGES_MAX = 1_000
WINDOW = 7 * DAY
"""Executions and log entries are asked for in stretches of at most seven days."""
KEPT_FOR = 730 * DAY
"""Bybit keeps two years."""
UNIFIED = "UNIFIED"
NO_SUCH_SYMBOL = frozenset({"10001", "10029", "170121"})
"""Answers to a symbol that the category does not have; 10001 is that of any wrong parameter."""


class Page(msgspec.Struct, Generic[R], frozen=True, kw_only=True, rename="camel"):
    """One page of rows, and where the next one begins; an answer without rows is no empty one."""

    rows: list[R] = msgspec.field(name="list")
    next_page_cursor: str | None = None


class FeeRow(Row, frozen=True, kw_only=True):
    symbol: str = ""
    maker_fee_rate: str
    taker_fee_rate: str


class TickerRow(Row, frozen=True, kw_only=True):
    """Of /v5/market/tickers; spot has the prices only."""

    symbol: str
    last_price: str = ""
    mark_price: str = ""
    index_price: str = ""
    funding_rate: str = ""
    next_funding_time: str = ""
    funding_interval_hour: str = ""


class SettledRow(Row, frozen=True, kw_only=True):
    symbol: str
    funding_rate: str
    funding_rate_timestamp: str


class Permissions(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    contract_trade: list[str] = []
    spot: list[str] = []
    wallet: list[str] = []
    options: list[str] = []


class KeyInfo(Row, frozen=True, kw_only=True):
    """Of /v5/user/query-api."""

    read_only: int
    permissions: Permissions
    ips: list[str] = msgspec.field(default_factory=list)
    expired_at: str = ""
    uta: int = 0


class AccountInfo(Row, frozen=True, kw_only=True):
    """Of /v5/account/info."""

    margin_mode: str = ""
    unified_margin_status: int = 0


class Reads:
    """Everything that is asked and changes nothing; raises as `Cold.read` does."""

    def __init__(self, cold: Cold, now: Callable[[], int]) -> None:
        self._cold = cold
        self._now = now

    async def _page(self, method: str, kind: type[R], query: dict[str, object]) -> Page[R]:
        def ask(http: Any) -> Any:
            return getattr(http, method)(**query)

        page: Page[R] = await self._cold.read(ask, cast("type[Page[R]]", Page[kind]))  # type: ignore[valid-type] # a type at run time
        return page

    async def _rows(self, method: str, kind: type[R], **query: object) -> list[R]:
        """Return the rows of all pages of one of pybit's methods.

        A page without rows, or a cursor that comes again, is the end.
        """
        found: list[R] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await self._page(method, kind, {**query, "cursor": cursor})
            found += page.rows
            if not page.next_page_cursor or page.next_page_cursor == cursor or not page.rows:
                break
            cursor = page.next_page_cursor
        return found

    async def instruments(self, leg: Leg) -> list[InstrumentRow]:
        """Return all instruments of one category; linear has more than a page of them."""
        limit = 1_000 if leg is Leg.FUTURES else None
        return await self._rows(
            "get_instruments_info", InstrumentRow, category=CATEGORIES[leg], limit=limit
        )

    async def instrument(self, leg: Leg, venue_symbol: str) -> InstrumentRow | None:
        """Return one instrument, None where the category does not have it."""
        rows = await self._of_symbol("get_instruments_info", InstrumentRow, leg, venue_symbol)
        return next((row for row in rows if row.symbol == venue_symbol), None)

    async def _of_symbol(self, method: str, kind: type[R], leg: Leg, venue_symbol: str) -> list[R]:
        """Return no rows where the venue says that the category has no such symbol."""
        try:
            return await self._rows(method, kind, category=CATEGORIES[leg], symbol=venue_symbol)
        except Missing:
            return []
        except Refused as error:
            if error.code in NO_SUCH_SYMBOL:
                return []
            raise

    async def order(self, leg: Leg, venue_symbol: str, client_order_id: str) -> OrderRow | None:
        """Return an order by our id; None where neither of the two books has it.

        /v5/order/realtime forgets closed orders when Bybit restarts; /v5/order/history does not.
        """
        for method in ("get_open_orders", "get_order_history"):
            try:
                rows = await self._rows(
                    method,
                    OrderRow,
                    category=CATEGORIES[leg],
                    symbol=venue_symbol,
                    orderLinkId=client_order_id,
                )
            except Missing:
                continue
            for row in rows:
                if row.order_link_id == client_order_id:
                    return row
        return None

    async def open_orders(self, leg: Leg, venue_symbol: str) -> list[OrderRow]:
        return await self._rows(
            "get_open_orders",
            OrderRow,
            category=CATEGORIES[leg],
            symbol=venue_symbol,
            openOnly=0,
            limit=50,
        )

    def _windows(self, since: int) -> list[tuple[int, int]]:
        """Return (start, end) in ms that cover ``since`` ... now, oldest first."""
        now = self._now()
        start = max(since, now - KEPT_FOR)
        windows: list[tuple[int, int]] = []
        while start <= now:
            end = min(start + WINDOW - MS, now + DAY)
            windows.append((start // MS, end // MS))
            start = end + MS
        return windows

    async def executions(
        self, leg: Leg, venue_symbol: str, since: int, kind: str | None = None
    ) -> list[ExecutionRow]:
        """Return the account's executions with ``exec_time >= since`` (ns), oldest first.

        ``kind`` is an ``execType``, None for all.
        """
        found: dict[tuple[str, str], ExecutionRow] = {}
        for start_ms, end_ms in self._windows(since):
            rows = await self._rows(
                "get_executions",
                ExecutionRow,
                category=CATEGORIES[leg],
                symbol=venue_symbol,
                execType=kind,
                startTime=start_ms,
                endTime=end_ms,
                limit=100,
            )
            found |= {(row.exec_id, row.side): row for row in rows}
        return sorted(found.values(), key=lambda row: int(row.exec_time))

    async def settlements(self, settle: str, since: int) -> list[FundingRow]:
        """Return funding that was paid or received in ``settle``, oldest first."""
        found: list[FundingRow] = []
        for start_ms, end_ms in self._windows(since):
            found += await self._rows(
                "get_transaction_log",
                FundingRow,
                accountType=UNIFIED,
                category=LINEAR,
                currency=settle,
                type="SETTLEMENT",
                startTime=start_ms,
                endTime=end_ms,
                limit=50,
            )
        return sorted(found, key=lambda row: int(row.transaction_time))

    async def positions(self, venue_symbol: str = "", settle: str = "") -> list[PositionRow]:
        """Return one symbol's positions, flat or not; or all that are not flat in one coin."""
        which: dict[str, object] = (
            {"symbol": venue_symbol} if venue_symbol else {"settleCoin": settle}
        )
        return await self._rows("get_positions", PositionRow, category=LINEAR, limit=200, **which)

    async def wallet(self) -> WalletRow:
        """Return the unified account; raise `Missing` where there is none."""
        page = await self._page("get_wallet_balance", WalletRow, {"accountType": UNIFIED})
        if not page.rows:
            raise Missing("bybit: the account has no unified wallet")
        return page.rows[0]

    async def fees(self, leg: Leg, venue_symbol: str) -> FeeRow:
        query: dict[str, object] = {"category": CATEGORIES[leg], "symbol": venue_symbol}
        rows = (await self._page("get_fee_rates", FeeRow, query)).rows
        if not rows:
            raise Missing(f"bybit: no fee rate of {venue_symbol}")
        return next((row for row in rows if row.symbol == venue_symbol), rows[0])

    async def ticker(self, leg: Leg, venue_symbol: str) -> TickerRow | None:
        """Return the prices of one symbol, None where the category does not have it."""
        rows = await self._of_symbol("get_tickers", TickerRow, leg, venue_symbol)
        return rows[0] if rows else None

    async def tickers(self, leg: Leg) -> list[TickerRow]:
        return await self._rows("get_tickers", TickerRow, category=CATEGORIES[leg])

    async def settled_rates(
        self, venue_symbol: str, start_ms: int, end_ms: int
    ) -> list[SettledRow]:
        """Return at most 200 settled rates of ``start_ms <= time <= end_ms``, newest first."""
        return await self._rows(
            "get_funding_rate_history",
            SettledRow,
            category=LINEAR,
            symbol=venue_symbol,
            startTime=start_ms,
            endTime=end_ms,
            limit=200,
        )

    async def key_info(self) -> KeyInfo:
        return await self._cold.read(lambda http: http.get_api_key_information(), KeyInfo)

    async def account_info(self) -> AccountInfo:
        return await self._cold.read(lambda http: http.get_account_info(), AccountInfo)
