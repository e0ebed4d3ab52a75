"""The private side of REST: orders, executions, positions and the account."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hedge.model.numbers import MS, plain
from hedge_sim.dialects.bybit_account import STABLE, Ledger
from hedge_sim.dialects.bybit_books import Books
from hedge_sim.dialects.bybit_desk import Known, OrderDesk
from hedge_sim.dialects.bybit_errors import LINEAR, SPOT, Rejection, bad_param, unknown_symbol
from hedge_sim.dialects.bybit_log import log_row
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_pages import page, span
from hedge_sim.dialects.bybit_params import Params, category_of, text_of, which_of, whole_of
from hedge_sim.dialects.bybit_shapes import Row, order_row

CLOSED_KEPT: Final = 500
"""So many closed orders ``/v5/order/realtime`` still has (docs/v5/order/open-order)."""


class AccountReads:
    """Orders, executions, positions and the account."""

    def __init__(
        self,
        markets: Markets,
        desk: OrderDesk,
        books: Books,
        ledger: Ledger,
        now_ms: Callable[[], int],
    ) -> None:
        self._markets = markets
        self._desk = desk
        self._books = books
        self._ledger = ledger
        self._now_ms = now_ms

    def table(self) -> dict[str, Callable[[Params], Row]]:
        return {
            "/v5/order/realtime": self.open_orders,
            "/v5/order/history": self.order_history,
            "/v5/execution/list": self.executions,
            "/v5/position/list": self.positions,
            "/v5/account/wallet-balance": self.wallet,
            "/v5/account/fee-rate": self.fee_rates,
            "/v5/account/transaction-log": self.transactions,
            "/v5/user/query-api": lambda _: self._ledger.key(),
            "/v5/asset/coin/query-info": self.coins,
            "/v5/asset/transfer/query-account-coins-balance": self.coin_balances,
            "/v5/asset/transfer/query-account-coin-balance": self.coin_balance,
        }

    # Orders

    def open_orders(self, params: Params) -> Row:
        """Return open orders, or by id whatever is still remembered."""
        category = category_of(params)
        if text_of(params, "orderId") or text_of(params, "orderLinkId"):
            found = self._by_id(params, category, is_recent=True)
        else:
            _needs_filter(params, category)
            opened, closed = self._desk.sorted_out(category)
            if whole_of(params, "openOnly", 0) == 1:
                opened = [known for known in closed if not known.is_restored][-CLOSED_KEPT:]
            found = [known for known in opened if self._wanted(params, known)]
        return self._orders(params, category, found)

    def order_history(self, params: Params) -> Row:
        """Return closed orders of a span of time by their creation."""
        category = category_of(params)
        start, end = span(params, self._now_ms())
        if text_of(params, "orderId") or text_of(params, "orderLinkId"):
            found = self._by_id(params, category, is_recent=False)
            found = [known for known in found if not self._desk.is_open(known)]
        else:
            found = [
                known
                for known in self._desk.sorted_out(category)[1]
                if self._wanted(params, known) and start <= known.created_at // MS <= end
            ]
        word = text_of(params, "orderStatus")
        if word:
            found = [known for known in found if self._desk.wire(known).word == word]
        return self._orders(params, category, found)

    def _orders(self, params: Params, category: str, found: list[Known]) -> Row:
        rows, cursor = page(found, params, 20, 50)
        return {
            "category": category,
            "list": [order_row(self._desk.wire(known)) for known in rows],
            "nextPageCursor": cursor,
        }

    def _by_id(self, params: Params, category: str, *, is_recent: bool) -> list[Known]:
        known = self._desk.find(which_of(params, category))
        if known is None or (is_recent and known.is_restored and not self._desk.is_open(known)):
            return []
        return [known]

    @staticmethod
    def _wanted(params: Params, known: Known) -> bool:
        one = known.listing
        return (
            text_of(params, "symbol") in {"", one.symbol}
            and text_of(params, "baseCoin") in {"", one.base_coin}
            and text_of(params, "settleCoin") in {"", one.instrument.settle}
        )

    # Executions and the log

    def executions(self, params: Params) -> Row:
        category = category_of(params)
        start, end = span(params, self._now_ms())
        symbol, kind = text_of(params, "symbol"), text_of(params, "execType")
        base = text_of(params, "baseCoin")
        link, order_id = text_of(params, "orderLinkId"), text_of(params, "orderId")
        found = [
            entry
            for entry in self._books.entries
            if entry.listing.category == category
            and symbol in {"", entry.listing.symbol}
            and base in {"", entry.listing.base_coin}
            and kind in {"", entry.kind}
            and start <= entry.at // MS <= end
            and (not order_id or (entry.known is not None and entry.known.order_id == order_id))
            and (
                not link
                or (entry.known is not None and entry.known.ticket.order_link_id == link)
            )
        ]  # fmt: skip
        rows, cursor = page(found, params, 50, 100)
        return {
            "category": category,
            "list": [self._books.row(entry) for entry in rows],
            "nextPageCursor": cursor,
        }

    def transactions(self, params: Params) -> Row:
        start, end = span(params, self._now_ms())
        category, kind = text_of(params, "category"), text_of(params, "type")
        currency, base = text_of(params, "currency"), text_of(params, "baseCoin")
        found = [
            line
            for line in self._books.lines()
            if category in {"", line.entry.listing.category}
            and kind in {"", line.kind}
            and currency in {"", line.currency}
            and base in {"", line.entry.listing.base_coin}
            and start <= line.entry.at // MS <= end
        ]
        rows, cursor = page(found[::-1], params, 20, 50)
        return {"list": [log_row(line) for line in rows], "nextPageCursor": cursor}

    # Positions and balances

    def positions(self, params: Params) -> Row:
        """Return a symbol's rows even when flat, of a settle coin only what is held."""
        category, symbol = category_of(params), text_of(params, "symbol")
        if category == SPOT:
            raise Rejection(10001, "Illegal category")
        settle = text_of(params, "settleCoin")
        if category == LINEAR and not symbol and not settle:
            raise bad_param("symbol or settleCoin is required")
        rows: list[Row] = []
        if category == LINEAR and symbol:
            rows = self._ledger.positions(self._markets.listing(category, symbol))
        elif category == LINEAR:
            for one in self._markets.traded(category):
                if one.instrument.settle == settle:
                    rows += [row for row in self._ledger.positions(one) if row["side"]]
        return {"category": category, "list": rows, "nextPageCursor": ""}

    def wallet(self, params: Params) -> Row:
        if text_of(params, "accountType") != "UNIFIED":
            raise Rejection(10001, "accountType only support UNIFIED.")
        coins = frozenset(text_of(params, "coin").split(",")) - {""}
        return {"list": [self._ledger.wallet(coins)]}

    def fee_rates(self, params: Params) -> Row:
        """Return the rates of what is listed, whether it trades or not."""
        category, symbol = category_of(params), text_of(params, "symbol")
        base = "" if symbol else text_of(params, "baseCoin")
        rows = [
            self._ledger.fee_row(one)
            for one in self._markets.listings(category)
            if symbol in {"", one.symbol} and base in {"", one.base_coin}
        ]
        if symbol and not rows:
            raise unknown_symbol(category, symbol)
        return {"category": category, "list": rows}

    def coins(self, params: Params) -> Row:
        coin = text_of(params, "coin")
        return {"rows": [r for r in self._ledger.coin_rows() if coin in {"", r["coin"]}]}

    def coin_balances(self, params: Params) -> Row:
        kind = text_of(params, "accountType")
        names = [c for c in text_of(params, "coin").split(",") if c] or [STABLE]
        return {
            "accountType": kind,
            "memberId": "1",
            "balance": [self._moneys(kind, name) for name in names],
        }

    def coin_balance(self, params: Params) -> Row:
        kind, coin = text_of(params, "accountType"), text_of(params, "coin")
        row = self._moneys(kind, coin)
        return {"accountType": kind, "accountId": "1", "memberId": "1", "balance": row}

    def _moneys(self, kind: str, coin: str) -> Row:
        """Everything lies in the unified wallet; the funding wallet is empty."""
        total, free = self._ledger.coin_balance(coin) if kind == "UNIFIED" else (Decimal(0),) * 2
        return {
            "coin": coin,
            "transferBalance": plain(free),
            "walletBalance": plain(total),
            "bonus": "",
        }


def _needs_filter(params: Params, category: str) -> None:
    names = ("symbol", "baseCoin", "settleCoin")
    if category == LINEAR and not any(text_of(params, name) for name in names):
        raise bad_param("symbol, settleCoin or baseCoin are empty")
