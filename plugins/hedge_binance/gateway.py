"""What both gateways have in common: orders through the entry, reads through REST."""

import abc
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TypeVar

from hedge.errors import Missing, Unreachable
from hedge.model import Balance, Fill, Leg, Order, OrderReport
from hedge.model.numbers import MS, SECOND
from hedge.roles import AccountSink, VenueContext, VenueLimits
from hedge.transport import Line
from hedge_binance import wire
from hedge_binance.audience import Audience
from hedge_binance.cold import Cold
from hedge_binance.instruments import Listing
from hedge_binance.link import Link, Role
from hedge_binance.order_entry import OrderEntry

Row = TypeVar("Row", wire.SpotTrade, wire.FuturesTrade)
PAGE = 1_000
GAP_OVERLAP = 2 * SECOND
"""How far before a gap its filling begins: what was on its way when the line went."""
RESOLVED_MAX = 40
"""So many orders of strangers are looked up by one read of fills; the rest stay nameless."""


class Gateway(Role, abc.ABC):
    """`hedge.roles.OrderGateway` of one leg."""

    leg: Leg

    def __init__(self, context: VenueContext) -> None:
        super().__init__(context)
        self.session.legs.add(self.leg)

    @property
    def limits(self) -> VenueLimits:
        return self.session.limits

    @abc.abstractmethod
    async def stream(self) -> "AccountStream": ...

    async def cold(self) -> Cold:
        return await self.session.cold(self.leg)

    async def listen(self, symbol: str, sink: AccountSink) -> None:
        """Subscribe; the stream is dialled now, and `StreamUp` comes when it is whole."""
        listing = await self.session.listing(self.leg, symbol)
        await self.session.follow_fee_coin(listing.instrument.quote)
        stream = await self.stream()
        stream.audience.add(listing, sink)
        await stream.start()

    async def place_order(self, order: Order) -> OrderReport:
        stream = await self.stream()
        listing = await self.session.listing(self.leg, order.symbol)
        return await stream.entry.place(order, listing)

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        stream = await self.stream()
        listing = await self.session.listing(self.leg, symbol)
        return await stream.entry.cancel(listing, client_order_id)

    async def read_clock(self) -> int:
        return await (await self.cold()).read_clock()

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:
        listing = await self.session.listing(self.leg, symbol)
        entry = (await self.stream()).entry
        row = await self._order(listing, origClientOrderId=client_order_id)
        return entry.noted(row, listing)

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        listing = await self.session.listing(self.leg, symbol)
        entry = (await self.stream()).entry
        return tuple(entry.noted(row, listing) for row in await self._open_orders(listing))

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        """Return every fill at or after ``since``, with the client ids of its orders."""
        return await self.fills_of(await self.session.listing(self.leg, symbol), since)

    @abc.abstractmethod
    async def read_balances(self) -> tuple[Balance, ...]: ...

    # -- what differs ----------------------------------------------------------------------------

    @abc.abstractmethod
    async def _order(self, listing: Listing, **by: str | int) -> wire.OrderRow: ...

    @abc.abstractmethod
    async def _open_orders(self, listing: Listing) -> list[wire.OrderRow]: ...

    @abc.abstractmethod
    async def fills_of(self, listing: Listing, since: int) -> tuple[Fill, ...]: ...


class AccountStream(abc.ABC):
    """What the gateway needs of its leg's stream."""

    audience: Audience
    cold: Cold
    entry: OrderEntry

    def tell_order(self, row: wire.OrderRow) -> None:
        """Tell an order as an answer shows it."""
        listing = self.audience.listings.get(row.symbol)
        if listing is not None:
            self.audience.tell(listing.native, self.entry.noted(row, listing))

    @abc.abstractmethod
    async def start(self) -> None: ...

    async def fill_gap(self, line: Line, since: int | None) -> None:
        """Tell what a gap may have hidden: fills, then orders, then what is held."""
        if since is None:
            return
        at = since + self.cold.offset.offset_ns - GAP_OVERLAP
        for listing in list(self.audience.listings.values()):
            for fill in await self.read_fills(listing, at):
                self.audience.tell(listing.native, fill)
            for row in await self.read_open_orders(listing):
                self.tell_order(row)
        await self.tell_held(at)
        if not line.open:
            raise Unreachable("binance: the line went while its gap was filled")

    @abc.abstractmethod
    async def read_fills(self, listing: Listing, since: int) -> tuple[Fill, ...]: ...

    @abc.abstractmethod
    async def read_open_orders(self, listing: Listing) -> list[wire.OrderRow]: ...

    @abc.abstractmethod
    async def tell_held(self, since: int) -> None:
        """Tell balances, or payments and position, as they stand after a gap."""


async def all_trades(
    ask: Callable[[int, int], Awaitable[list[Row]]],
    since: int,
    until: int,
    window_ms: int,
    *,
    page: int = PAGE,
) -> list[Row]:
    """Return all rows at or after ``since`` (ns), page by page; ``ask`` takes ms, both ends in.

    A page that has all its ``page`` rows is followed from its last row's time on: rows of one
    millisecond may be split by it.
    """
    found: dict[int, Row] = {}
    start, end = since // MS, max(until, since) // MS
    while True:
        rows = await ask(start, min(start + window_ms - 1, end))
        fresh = [row for row in rows if row.id not in found]
        found.update((row.id, row) for row in fresh)
        if len(rows) >= page:
            last = max(row.time for row in rows)
            start = last if last > start or fresh else last + 1
        elif start + window_ms - 1 >= end:
            return sorted(found.values(), key=lambda row: (row.time, row.id))
        else:
            start += window_ms


async def client_ids(
    link: Link,
    leg: Leg,
    rows: "list[wire.SpotTrade] | list[wire.FuturesTrade]",
    ask: Callable[[int], Awaitable[wire.OrderRow]],
) -> dict[int, str]:
    """Return the client ids of the orders that were executed; "" where nobody can say."""
    ids = link.ids[leg]
    found = {row.order_id: ids.get(row.order_id) for row in rows}
    unknown = [order_id for order_id, known in found.items() if known is None]
    for order_id in unknown[-RESOLVED_MAX:]:
        try:
            row = await ask(order_id)
        except Missing:
            continue
        found[order_id] = row.orig_client_order_id or row.client_order_id
        ids.note(order_id, found[order_id] or "")
    return {order_id: known or "" for order_id, known in found.items()}


def rate_of(link: Link, listing: Listing, asset: str) -> Decimal | None:
    """Return what one unit of a third coin is worth in the instrument's quote."""
    return link.rates.get(f"{asset}{listing.instrument.quote}")
