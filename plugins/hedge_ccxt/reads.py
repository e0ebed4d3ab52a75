"""What is asked of one leg's account, typed: orders by our id, executions of any stretch."""

from collections.abc import Sequence
from typing import Any

from hedge.errors import Missing
from hedge.model import Balance, Fill, OrderReport, ReportedStatus
from hedge.model.numbers import HOUR, MS
from hedge.roles import Clock
from hedge.transport import ClockOffset
from hedge_ccxt import parse
from hedge_ccxt.line import Line
from hedge_ccxt.listing import Listing
from hedge_ccxt.order_ids import IdStyle, to_ask
from hedge_ccxt.own_orders import OwnOrders

HALVINGS_MAX = 40
AHEAD_MS = 60_000
"""How far beyond the venue's time, as we know it, the newest executions are looked for."""
NAMES_MAX = 50
"""Orders whose names one reading of fills asks for, the newest; later readings ask for more."""


class Reads:
    """Questions about one leg of one account; raises as `Line.read` does."""

    def __init__(self, line: Line, own: OwnOrders, clock: Clock, offset: ClockOffset) -> None:
        self.line = line
        self._own = own
        self._clock = clock
        self._offset = offset

    @property
    def style(self) -> IdStyle:
        return self.line.profile.ids

    def handle(self, client_order_id: str) -> tuple[str | None, dict[str, str]]:
        """Return ccxt's two places for an id: its own argument, and the parameters."""
        profile = self.line.profile
        asked = to_ask(profile.ids, client_order_id)
        return (None, {profile.id_param: asked}) if profile.id_param else (asked, {})

    async def order(self, listing: Listing, client_order_id: str) -> OrderReport:
        """Return one order by our id; raise `Missing` when the venue has it in no book."""
        own_id, params = self.handle(client_order_id)
        for lookup in self.line.profile.lookups:
            try:
                if lookup.is_list:
                    rows = await self.line.read(
                        lookup.method, listing.market, None, None, params=params
                    )
                else:
                    rows = [
                        await self.line.read(lookup.method, own_id, listing.market, params=params)
                    ]
            except Missing:
                continue
            for row in rows:
                report = parse.order_report(row, listing, self.style)
                if report.client_order_id == client_order_id:
                    return self._own.reported(listing.symbol, report)
        raise Missing(f"{self.line.venue}: no order {client_order_id}")

    async def balances(self) -> tuple[Balance, ...]:
        answer = parse.as_row(await self.line.read("fetch_balance"))
        return parse.balances(answer, self._clock.now(), self.line.profile.profits)

    async def open_orders(self, listing: Listing) -> tuple[OrderReport, ...]:
        rows = parse.as_rows(await self.line.read("fetch_open_orders", listing.market))
        return tuple(parse.order_report(row, listing, self.style) for row in rows)

    async def fills(self, listing: Listing, since: int) -> tuple[Fill, ...]:
        """Return every fill with ``filled_at >= since``, oldest first.

        Which end of a stretch a full page shows differs between venues: a full page is asked for
        again in two halves, which finds all of it either way.
        """
        profile = self.line.profile
        now_ms = self._offset.now_ms() + AHEAD_MS
        first, window = since // MS, profile.trades_window_h * HOUR // MS
        rows: dict[tuple[str, str], Any] = {}
        while first <= now_ms:
            last = min(first + window - 1, now_ms)
            for row in await self._trades(listing, first, last, HALVINGS_MAX):
                rows[str(row.get("id")), str(row.get("side"))] = row
            first = last + 1
        if not profile.trades_named:
            await self._learn_names(listing, {str(row.get("order") or "") for row in rows.values()})
        found = (self.fill(row, listing) for row in rows.values() if not parse.is_funding(row))
        return tuple(
            sorted((one for one in found if one.filled_at >= since // MS * MS), key=_moment)
        )

    async def _trades(
        self, listing: Listing, first: int, last: int, halvings: int
    ) -> Sequence[parse.Row]:
        page = self.line.profile.page
        rows = parse.as_rows(
            await self.line.read(
                "fetch_my_trades", listing.market, first, page, params={"until": last}
            )
        )
        if len(rows) < page or first >= last or not halvings:
            return rows
        middle = (first + last) // 2
        older = await self._trades(listing, first, middle, halvings - 1)
        return [*older, *await self._trades(listing, middle + 1, last, halvings - 1), *rows]

    async def _learn_names(self, listing: Listing, orders: set[str]) -> None:
        """Ask what the orders are called: ours of an earlier start, and those of the venue."""
        unknown = sorted(one for one in orders if one and not self._own.names(one))
        for order_id in unknown[-NAMES_MAX:]:
            try:
                row = await self.line.read("fetch_order", order_id, listing.market)
            except Missing:
                self._own.learn(order_id, "")
            else:
                self._own.learn(order_id, parse.client_id(parse.as_row(row), self.style))

    def fill(self, row: parse.Row, listing: Listing) -> Fill:
        """Return one execution under our order id where we know it."""
        known = self._own.client_order_id(str(row.get("order") or ""))
        return parse.fill(row, listing, known or parse.client_id(row, self.style))

    async def cancel(self, listing: Listing, client_order_id: str) -> None:
        """Ask to cancel, once; raise `Refused` when it is not open."""
        own_id, params = self.handle(client_order_id)
        await self.line.order("cancel_order", own_id, listing.market, urgent=True, params=params)

    async def ended(self, listing: Listing, client_order_id: str) -> OrderReport:
        """Return an order that was just cancelled; a venue may need a moment to show its end."""
        report = await self.order(listing, client_order_id)
        for _ in range(ENDED_TRIES):
            if report.status is not ReportedStatus.WORKING:
                break
            await self._clock.sleep_until(self._clock.now() + ENDED_EVERY)
            report = await self.order(listing, client_order_id)
        return report


ENDED_TRIES = 5
ENDED_EVERY = 200 * MS


def _moment(fill: Fill) -> int:
    return fill.filled_at
