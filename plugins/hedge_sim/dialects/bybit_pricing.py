"""A market order as the venue makes it a limit order, and what the book has for an order; pure.

The venue bounds a market order by a band (docs/v5/order/create-order); here it goes to the end of
the levels that it needs, and no further than the band or its own slippage tolerance.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from hedge.model import Order, Side
from hedge.model.numbers import ONE, ZERO, ceil_to, floor_to
from hedge_sim.dialects.bybit_errors import refusal
from hedge_sim.dialects.bybit_listing import Listing
from hedge_sim.dialects.bybit_params import Ticket
from hedge_sim.market import Level

MARKET_BAND: Final = Decimal("0.03")
"""How far from the touch a market order may go at most."""
MARKET_SLACK: Final = Decimal("0.001")
"""Beyond the worst level it needs, for the moment between the look and the match."""


def market_order(
    ticket: Ticket, listing: Listing, levels: Sequence[Level]
) -> tuple[Decimal, Decimal]:
    """Return quantity (base coins) and limit of a market order; raise `Rejection`.

    ``levels`` are those it takes from, best first. An order by value takes what the value buys.
    """
    one, buying = listing.instrument, ticket.side is Side.BUY
    if not levels:
        raise refusal(ticket.category, "HALTED")
    left = ticket.quantity if ticket.in_quote else listing.coins(ticket.quantity)
    found, worst = ZERO, levels[0].price
    for level in levels:
        if left <= 0:
            break
        worst = level.price
        part = min(level.quantity, left / worst if ticket.in_quote else left)
        found += part
        left -= part * worst if ticket.in_quote else part
    quantity = floor_to(found, one.lot) if ticket.in_quote else listing.coins(ticket.quantity)
    if not quantity:
        raise refusal(ticket.category, "MIN_NOTIONAL")
    bound = _furthest(ticket, levels[0].price, one.tick)
    if buying:
        return quantity, floor_to(min(worst * (ONE + MARKET_SLACK), bound), one.tick)
    return quantity, ceil_to(max(worst * (ONE - MARKET_SLACK), bound), one.tick)


def _furthest(ticket: Ticket, touch: Decimal, tick: Decimal) -> Decimal:
    if ticket.slippage is None:
        return touch * (ONE + MARKET_BAND * ticket.side.sign)
    kind, value = ticket.slippage
    if kind == "TickSize":
        return touch + value * tick * ticket.side.sign
    return touch * (ONE + value / 100 * ticket.side.sign)


def within(order: Order, levels: Sequence[Level]) -> Decimal:
    """Return how much the book has for an order, up to its price."""
    buying = order.side is Side.BUY
    found = (
        level.quantity
        for level in levels
        if (level.price <= order.limit_price if buying else level.price >= order.limit_price)
    )
    return sum(found, ZERO)
