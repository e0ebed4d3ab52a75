"""Orders as Bybit takes them: accepted, amended and cancelled on the exchange of a house.

What the exchange does not know is kept here. An accepted post-only order that would take is
cancelled by the venue, not refused: it lives as a `Known` without an order of the exchange. An
amended order is cancelled and placed anew under the same ids on the wire (the exchange's own id
gets a repetition number). A market order is a limit order to the end of the book it needs. Of an
order that was placed before a restart only what the exchange kept is left: it shows as a limit
order.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from hedge.errors import Missing, Refused
from hedge.model import Fill, Leg, Order, PositionMode, ReportedStatus, Side, TimeInForce
from hedge.model.numbers import ONE, ZERO, floor_to, plain
from hedge_sim.dialects.bybit_errors import (
    SPOT,
    Rejection,
    bad_param,
    refusal,
    rejection_of,
    unknown_order,
    unknown_symbol,
    wrong_position_idx,
)
from hedge_sim.dialects.bybit_listing import CATEGORY, LEGS, QUANTITY_MAX, Listing
from hedge_sim.dialects.bybit_market import Markets
from hedge_sim.dialects.bybit_params import (
    FOK,
    GTC,
    IOC,
    LIMIT,
    MARKET,
    POST_ONLY,
    Change,
    Ticket,
    Which,
)
from hedge_sim.dialects.bybit_pricing import market_order, within
from hedge_sim.dialects.bybit_shapes import POST_ONLY_TOOK, WireOrder, uid
from hedge_sim.dialects.house import GENERATION, House, OrderView
from hedge_sim.market import Level

ANONYMOUS: Final = "~"
"""Begins the exchange's id of an order without an orderLinkId; not allowed in one."""
OPEN_MAX: Final = 500
_TIME: Final = {
    GTC: TimeInForce.GTC,
    IOC: TimeInForce.IOC,
    FOK: TimeInForce.IOC,
    POST_ONLY: TimeInForce.POST_ONLY,
}
_WORD: Final = {TimeInForce.GTC: GTC, TimeInForce.IOC: IOC, TimeInForce.POST_ONLY: POST_ONLY}


class Known(msgspec.Struct, kw_only=True):
    """One order of the account under its ids on the wire."""

    ticket: Ticket
    listing: Listing
    order_id: str
    client_id: str
    created_at: int
    """Wall ns."""
    numbers: list[str] = []
    """The exchange's ids of its generations, oldest first; none when it never got there."""
    last_price: Decimal = ZERO
    why: str = ""
    """Overrules why the exchange ended it."""
    ghost: WireOrder | None = None
    told: dict[str, tuple[Decimal, Decimal]] = {}
    """By generation: quantity and notional that the streams have told."""
    told_fees: dict[str, Decimal] = {}
    realised: Decimal = ZERO
    """Profit of the positions it closed in the life of this process."""
    is_restored: bool = False
    """Placed before this process: once closed, only the order history has it."""

    @property
    def category(self) -> str:
        return self.listing.category


class OrderDesk:
    """Every order of the account; ids are looked up in the whole life of the account."""

    def __init__(self, house: House, markets: Markets) -> None:
        self._house = house
        self._markets = markets
        self._by_id: dict[str, Known] = {}
        self._by_link: dict[tuple[str, str], Known] = {}
        self._by_number: dict[str, Known] = {}
        self._loaded = False
        self._names = itertools.count(1)
        self.on_ghost: Callable[[Known], None] = lambda _known: None
        """Called a turn after an order was accepted and ended without reaching the exchange."""

    # Looking up

    def sorted_out(self, category: str) -> tuple[list[Known], list[Known]]:
        """Return the open and the closed orders of a category, oldest first."""
        self._load()
        self._house.bring_up()
        working = {placed.venue_order_id for placed in self._house.account.open.values()}
        opened: list[Known] = []
        closed: list[Known] = []
        for known in self._by_id.values():
            if known.category == category:
                works = known.ghost is None and known.numbers[-1] in working
                (opened if works else closed).append(known)
        return opened, closed

    def by_view(self, view: OrderView) -> Known | None:
        """Return the order of a view of the house, None for a forced trade."""
        self._load()
        known = self._by_number.get(view.venue_order_id)
        if known is None and view.venue_order_id:
            known = self._remember(view)
        return known

    def by_fill(self, fill: Fill) -> Known | None:
        """Return the order of a fill, None for a forced trade."""
        self._load()
        return self._by_number.get(fill.venue_order_id)

    def find(self, which: Which) -> Known | None:
        """Return an order by its id, or else by the caller's; None when there is no such."""
        self._load()
        if which.order_id:
            known = self._by_id.get(which.order_id)
        else:
            known = self._by_link.get((which.category, which.order_link_id))
        if known is None or known.category != which.category:
            return None
        return known if which.symbol in ("", known.listing.symbol) else None

    def is_open(self, known: Known) -> bool:
        return known.ghost is None and self._newest(known).status is ReportedStatus.WORKING

    def _newest(self, known: Known) -> OrderView:
        return self._house.order_by_number(known.listing.model_symbol, known.numbers[-1])

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        found = [view for leg in Leg for view in self._house.orders(leg)]
        for view in sorted(found, key=lambda one: one.number):
            known = self._remember(view)
            known.told[view.venue_order_id] = (view.filled, view.filled_notional)
            for fill in self._house.fills_of(view):
                _add(known.told_fees, fill.fee_asset, fill.fee)

    def _remember(self, view: OrderView) -> Known:
        """Take in an order of the exchange that was placed before this process."""
        leg, client_id = view.order.leg, view.client_order_id
        before = self._by_link.get((CATEGORY[leg], client_id))
        if before is not None:
            before.numbers.append(view.venue_order_id)
            self._by_number[view.venue_order_id] = before
            return before
        listing = self._markets.by_model(view.order.symbol)
        ticket = Ticket(
            category=listing.category,
            symbol=listing.symbol,
            side=view.order.side,
            order_type=LIMIT,
            time_in_force=_WORD[view.order.time_in_force],
            quantity=listing.units(view.order.quantity),
            price=listing.wire_price(view.order.limit_price),
            reduce_only=view.order.reduce_only,
            order_link_id="" if client_id.startswith(ANONYMOUS) else client_id,
        )
        known = self._keep(ticket, listing, client_id, view.venue_order_id)
        known.created_at = view.placed_at
        known.is_restored = True
        return known

    def _keep(self, ticket: Ticket, listing: Listing, client_id: str, number: str) -> Known:
        salt = str(self._house.world.segments[0].wall)
        known = Known(
            ticket=ticket,
            listing=listing,
            order_id=uid(salt, "order", number or client_id),
            client_id=client_id,
            created_at=self._house.wall(),
            numbers=[number] if number else [],
            last_price=listing.wire_price(self._house.last_price(listing.model_symbol)),
        )
        self._by_id[known.order_id] = known
        self._by_link[listing.category, client_id] = known
        if number:
            self._by_number[number] = known
        return known

    # What an order looks like

    def wire(self, known: Known) -> WireOrder:
        """Return an order as it is now."""
        if known.ghost is not None:
            return known.ghost
        symbol = known.listing.model_symbol
        views = [self._house.order_by_number(symbol, number) for number in known.numbers]
        fees: dict[str, Decimal] = {}
        for view in views:
            for fill in self._house.fills_of(view):
                _add(fees, fill.fee_asset, fill.fee)
        earlier = sum((v.filled for v in views[:-1]), ZERO)
        spent = sum((v.filled_notional for v in views[:-1]), ZERO)
        return self._made(known, views[-1], fees, earlier=earlier, spent=spent)

    def wire_at(self, known: Known, view: OrderView) -> WireOrder:
        """Return an order as it was right after what ``view`` tells; for the streams."""
        others = [t for number, t in known.told.items() if number != view.venue_order_id]
        known.told[view.venue_order_id] = (view.filled, view.filled_notional)
        earlier, spent = sum((t[0] for t in others), ZERO), sum((t[1] for t in others), ZERO)
        return self._made(known, view, dict(known.told_fees), earlier=earlier, spent=spent)

    def _made(
        self, known: Known, view: OrderView, fees: dict[str, Decimal],
        *, earlier: Decimal, spent: Decimal,
    ) -> WireOrder:  # fmt: skip
        listing = known.listing
        ended = view.status is ReportedStatus.CANCELLED
        return WireOrder(
            ticket=known.ticket,
            order_id=known.order_id,
            created_at=known.created_at,
            updated_at=view.updated_at,
            quantity=listing.units(earlier + view.order.quantity),
            price=listing.wire_price(view.order.limit_price),
            status=view.status,
            why=known.why if ended and known.why else view.why,
            filled=listing.units(earlier + view.filled),
            value=spent + view.filled_notional,
            fees=fees,
            last_price=known.last_price,
            realised=known.realised,
        )

    # Create

    def create(self, ticket: Ticket, *, share: Decimal | None = None) -> Known:
        """Accept an order or raise `Rejection`.

        With a ``share`` a taking order gets that part of itself, and the rest is rejected.
        """
        self._load()
        house = self._house
        listing = self._markets.listing(ticket.category, ticket.symbol)
        self._check_mode(ticket)
        client_id = ticket.order_link_id or f"{ANONYMOUS}{house.wall()}{next(self._names)}"
        if (ticket.category, client_id) in self._by_link:
            raise refusal(ticket.category, "DUPLICATE_ID")
        order = self._order_of(ticket, listing, client_id)
        self._check_size(ticket, listing, order)
        if ticket.time_in_force == FOK and self._within(order) < order.quantity:
            return self._ghost(ticket, listing, order, "ioc")
        if ticket.time_in_force == POST_ONLY or not (share and self._within(order)):
            share = None
        if share is not None:  # what is left over must not rest
            order = msgspec.structs.replace(order, time_in_force=TimeInForce.IOC)
        try:
            view = house.place(order, ioc_share=share)
        except (Refused, Missing) as error:
            if isinstance(error, Refused) and error.code == "POST_ONLY_WOULD_TAKE":
                return self._ghost(ticket, listing, order, POST_ONLY_TOOK)
            raise self._rejected(listing, order, error) from error
        known = self._keep(ticket, listing, client_id, view.venue_order_id)
        known.created_at = view.placed_at
        known.why = "" if share is None else "reject"
        return known

    def _check_mode(self, ticket: Ticket) -> None:
        """Refuse an index that is not of the mode; hedge mode is shown, not traded."""
        if ticket.category == SPOT:
            return
        if self._house.mode is not PositionMode.ONE_WAY or ticket.position_idx:
            raise wrong_position_idx()

    def _order_of(self, ticket: Ticket, listing: Listing, client_id: str) -> Order:
        if ticket.order_type == MARKET:
            levels = self._facing(listing.model_symbol, ticket.side)
            quantity, price = market_order(ticket, listing, levels)
        else:
            assert ticket.price is not None
            quantity = listing.coins(ticket.quantity)
            price = listing.coin_price(ticket.price)
        return Order(
            client_order_id=client_id,
            leg=LEGS[ticket.category],
            symbol=listing.model_symbol,
            side=ticket.side,
            quantity=quantity,
            limit_price=price,
            time_in_force=_TIME[ticket.time_in_force],
            reduce_only=ticket.reduce_only,
            signed_at=0,
            recv_window_ms=0,
        )

    def _facing(self, symbol: str, side: Side) -> list[Level]:
        """Return the levels that an order of a side takes from."""
        return self._house.levels(symbol, asks=side is Side.BUY)

    def _within(self, order: Order) -> Decimal:
        return within(order, self._facing(order.symbol, order.side))

    def _check_size(self, ticket: Ticket, listing: Listing, order: Order) -> None:
        """Refuse what is beyond the venue's stated sizes, in words the exchange has not."""
        one = listing.instrument
        most = listing.units(one.quantity_max) or QUANTITY_MAX
        if listing.units(order.quantity) > most:
            raise refusal(ticket.category, "QUANTITY_MAX")
        exempt = order.reduce_only and one.reduce_only_below_min
        if order.quantity < one.quantity_min and not order.quantity % one.lot and not exempt:
            raise refusal(ticket.category, "QUANTITY_MIN")
        working = self._house.account.open.values()
        if sum(placed.order.symbol == order.symbol for placed in working) >= OPEN_MAX:
            raise Rejection(110020, "Not allowed to have more than 500 active orders.")

    def _ghost(self, ticket: Ticket, listing: Listing, order: Order, why: str) -> Known:
        known = self._keep(ticket, listing, order.client_order_id, "")
        now = self._house.wall()
        known.ghost = WireOrder(
            ticket=ticket, order_id=known.order_id, created_at=now, updated_at=now,
            quantity=listing.units(order.quantity), price=listing.wire_price(order.limit_price),
            status=ReportedStatus.CANCELLED, why=why, last_price=known.last_price,
        )  # fmt: skip
        asyncio.get_running_loop().call_soon(lambda: self.on_ghost(known))
        return known

    def _rejected(self, listing: Listing, order: Order, error: Refused | Missing) -> Rejection:
        if isinstance(error, Missing):
            return unknown_symbol(listing.category, listing.symbol)
        if error.code == "PRICE_COLLAR" and listing.category == SPOT:
            side = "BUY" if order.side is Side.BUY else "SELL"
            collar = self._markets.collar(listing) * order.side.sign
            limit = self._house.last_price(order.symbol) * (ONE + collar)
            return refusal(
                SPOT, f"PRICE_COLLAR_{side}", limit=plain(floor_to(limit, listing.instrument.tick))
            )
        return rejection_of(listing.category, error)

    # Amend and cancel

    def amend(self, which: Which, change: Change) -> Known:
        """Change quantity or price of an open order; raise `Rejection`.

        The order is cancelled and placed anew; what is refused then leaves it as it was.
        """
        self._house.bring_up()
        known = self._open(which)
        wire, listing = self.wire(known), known.listing
        quantity = wire.quantity if change.quantity is None else change.quantity
        price = wire.price if change.price is None else change.price
        if (quantity, price) == (wire.quantity, wire.price):
            raise Rejection(10001, "order not modified")
        if quantity <= wire.filled:
            raise _too_little()
        new = self._again(known, self._newest(known), quantity - wire.filled, price)
        self._check_size(known.ticket, listing, new)
        ended = self._stop(known)
        filled = self.wire(known).filled
        if quantity <= filled:
            self._resume(known, ended)
            raise _too_little()
        try:
            new = self._again(known, ended, quantity - filled, price)
            self._continue(known, self._house.place(new))
        except Refused as error:
            if error.code != "POST_ONLY_WOULD_TAKE":
                self._resume(known, ended)
                raise self._rejected(listing, new, error) from error
            known.why = POST_ONLY_TOOK
        known.ticket = msgspec.structs.replace(known.ticket, quantity=quantity, price=price)
        return known

    def _again(self, known: Known, view: OrderView, units: Decimal, price: Decimal) -> Order:
        """Return the next generation of an order: what is still to do, at a price."""
        return msgspec.structs.replace(
            view.order,
            client_order_id=f"{known.client_id}{GENERATION}{len(known.numbers) + 1}",
            quantity=known.listing.coins(units),
            limit_price=known.listing.coin_price(price),
        )

    def _resume(self, known: Known, ended: OrderView) -> None:
        """Place the rest of an order again; where the market has left it, it stays cancelled."""
        listing = known.listing
        units = listing.units(ended.order.quantity - ended.filled)
        order = self._again(known, ended, units, listing.wire_price(ended.order.limit_price))
        with contextlib.suppress(Refused):
            self._continue(known, self._house.place(order))

    def _continue(self, known: Known, view: OrderView) -> None:
        known.numbers.append(view.venue_order_id)
        self._by_number[view.venue_order_id] = known

    def cancel(self, which: Which) -> Known:
        """End an open order; raise the category's "no such order" where it is not open."""
        known = self._open(which)
        self._stop(known)
        return known

    def _stop(self, known: Known) -> OrderView:
        try:
            return self._house.cancel(known.listing.model_symbol, known.client_id)
        except Refused as error:
            raise rejection_of(known.category, error) from error

    def _open(self, which: Which) -> Known:
        if not which.symbol:
            raise bad_param("symbol is empty")
        self._markets.listing(which.category, which.symbol)
        known = self.find(which)
        if known is None or not self.is_open(known):
            raise unknown_order(which.category)
        return known


def _too_little() -> Rejection:
    words = "The number of contracts modified cannot be less than or equal to the filled quantity"
    return Rejection(110064, words)


def _add(where: dict[str, Decimal], key: str, value: Decimal) -> None:
    where[key] = where.get(key, ZERO) + value
