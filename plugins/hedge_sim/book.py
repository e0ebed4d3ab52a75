"""Matching, pure: what a taking order gets from a finite book, and when a resting order fills.

A taking order walks the levels, best first, up to its limit. A resting order fills only when the
recorded market trades to its price or through it after the order came to rest, and then at its own
price and no more than the volume allows.
"""

from decimal import Decimal

from hedge.model import Side
from hedge.model.numbers import ZERO, floor_to
from hedge_sim.market import Level


def crosses(side: Side, limit_price: Decimal, bid: Decimal, ask: Decimal) -> bool:
    """Return True when an order at this price would take at once."""
    return limit_price >= ask if side is Side.BUY else limit_price <= bid


def walk(
    levels: list[Level], side: Side, quantity: Decimal, limit_price: Decimal, taken: Decimal = ZERO
) -> list[tuple[Decimal, Decimal]]:
    """Return (price, quantity) a level; ``taken`` is what the book has already lost."""
    found: list[tuple[Decimal, Decimal]] = []
    for level in levels:
        if quantity <= 0:
            break
        if level.price > limit_price if side is Side.BUY else level.price < limit_price:
            break
        gone = min(taken, level.quantity)
        taken -= gone
        part = min(level.quantity - gone, quantity)
        if part > 0:
            found.append((level.price, part))
            quantity -= part
    return found


def traded_to(side: Side, limit_units: int, low: int, high: int) -> bool:
    """Return True when the recorded market traded at the price of a resting order, or through."""
    return low <= limit_units if side is Side.BUY else high >= limit_units


def passive_part(remaining: Decimal, budget: Decimal | None, lot: Decimal) -> Decimal:
    """Return how much of a resting order fills; a market that trades at all fills one lot."""
    if budget is None:
        return remaining
    return min(remaining, max(floor_to(budget, lot), lot))


def part_of(quantity: Decimal, share: Decimal, lot: Decimal) -> Decimal:
    """Return a part of an order on the lot grid, at least one lot and less than all if it can."""
    part = max(floor_to(quantity * share, lot), lot)
    return min(part, quantity)
