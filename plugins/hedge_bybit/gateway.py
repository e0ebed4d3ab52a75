"""What both gateways have in common: orders, fills and balances of the unified account."""

from hedge.errors import Missing
from hedge.model import Balance, Fill, Leg, Order, OrderReport
from hedge.model.numbers import MS
from hedge.roles import AccountSink, VenueContext, VenueLimits
from hedge_bybit import parse
from hedge_bybit.listing import Listing
from hedge_bybit.venue import Role


class Gateway(Role):
    """`hedge.roles.OrderGateway` of one leg."""

    leg: Leg

    def __init__(self, context: VenueContext) -> None:
        super().__init__(context)
        self.session.legs.add(self.leg)
        self._listings: dict[str, Listing] = {}
        _ = self.session.access  # without a key there is no gateway: said before anything opens

    @property
    def limits(self) -> VenueLimits:
        return self.session.settings.limits

    async def _listing(self, symbol: str) -> Listing:
        found = self._listings.get(symbol)
        if found is None:
            found = self._listings[symbol] = await self.session.listing(self.leg, symbol)
        return found

    async def listen(self, symbol: str, sink: AccountSink) -> None:
        """Subscribe to the account's news of ``symbol``, and have the order entry open."""
        listing = await self._listing(symbol)
        await self.session.entry()
        await self.session.user().listen(listing, sink)

    async def place_order(self, order: Order) -> OrderReport:
        """Send once; nothing is awaited before the bytes have left, unless the rate is used up."""
        if order.leg is not self.leg:
            raise Missing(f"bybit: {order.symbol} is of the other leg")
        listing = self._listings.get(order.symbol) or await self._listing(order.symbol)
        entry = self.session.open_entry or await self.session.entry()
        return await entry.place(order, listing)

    async def cancel_order(self, symbol: str, client_order_id: str) -> OrderReport:
        listing = self._listings.get(symbol) or await self._listing(symbol)
        entry = self.session.open_entry or await self.session.entry()
        return await entry.cancel(listing, client_order_id)

    async def read_clock(self) -> int:
        return await self.session.read_clock()

    async def read_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return await self.session.read_order(await self._listing(symbol), client_order_id)

    async def read_open_orders(self, symbol: str) -> tuple[OrderReport, ...]:
        listing = await self._listing(symbol)
        rows = await self.session.reads.open_orders(self.leg, listing.venue_symbol)
        return tuple(parse.order_report(row, listing) for row in rows)

    async def read_fills(self, symbol: str, since: int) -> tuple[Fill, ...]:
        """Return the account's executions; the venue's times are whole milliseconds."""
        listing = await self._listing(symbol)
        own = self.session.own
        # A fill of this very millisecond may carry a time before `since`.
        rows = await self.session.reads.executions(self.leg, listing.venue_symbol, since // MS * MS)
        return tuple(
            parse.fill(row, listing, own.client_order_id(row.order_id))
            for row in rows
            if row.exec_type != parse.FUNDING
        )

    async def read_balances(self) -> tuple[Balance, ...]:
        """Return every coin of the unified account: one pot for both legs."""
        wallet = await self.session.reads.wallet()
        at = self.session.clock.now()
        return tuple(parse.balance(row, at) for row in wallet.coin)
