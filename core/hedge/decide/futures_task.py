"""The futures leg: where it belongs, and the one order that brings it there."""

from decimal import Decimal

import msgspec

from hedge.decide import exposure
from hedge.decide.mode import Mode
from hedge.decide.terms import HedgeTerms
from hedge.model import Side
from hedge.model.numbers import ZERO, ceil_to, floor_to

WIDEN = (
    Decimal(1),
    Decimal("1.26"),
    Decimal("1.59"),
)
"""What a miss multiplies the collar by: a cube root of two each, doubled after three misses."""


class Hedge(msgspec.Struct, frozen=True, kw_only=True):
    """One order to send; ``quantity`` unsigned, base coins."""

    side: Side
    quantity: Decimal
    reduce_only: bool


def target(
    mode: Mode, inventory: Decimal, position: Decimal, terms: HedgeTerms, price: Decimal
) -> Decimal:
    """Return how short the position may be: -S x ratio; in LIQUIDATION it may only rise to zero.

    Coins that are too few to be sold keep no hedge there: both legs end flat or dust. A ``price``
    of zero is one not known yet.
    """
    wanted = -max(inventory, ZERO) * terms.hedge_ratio
    if mode is Mode.LIQUIDATION:
        if price and inventory < terms.spot.instrument.smallest_order(price):
            wanted = ZERO
        return max(wanted, min(position, ZERO))
    return wanted


def need(
    mode: Mode, inventory: Decimal, position: Decimal, terms: HedgeTerms, price: Decimal
) -> Decimal:
    """Return the signed change that is missing, whole lots only, never a coin too short.

    The position itself may lie off the grid: somebody else's trade, a lot that was changed.
    """
    lot = terms.futures.instrument.lot
    change = ceil_to(target(mode, inventory, position, terms, price) - position, lot)
    if change > 0:
        return min(change, floor_to(-position, lot))
    return change or ZERO


def plan(
    change: Decimal,
    position: Decimal,
    terms: HedgeTerms,
    price: Decimal,
    cap: Decimal | None = None,
) -> Hedge | None:
    """Return the next order for ``change``, or None when no venue would take it.

    What shrinks the position is reduce-only, stops at zero, and is exempt from the minimum; what
    enlarges it stops at ``cap`` coins. A long that is too small to be sold alone (less than a lot,
    or than the minimum where there is no such exemption) is sold with what is to be short.
    """
    instrument = terms.futures.instrument
    if not change:
        return None
    side = Side.BUY if change > 0 else Side.SELL
    exempt = instrument.reduce_only_below_min
    least = exposure.hedge_min(terms, price)
    alone = instrument.lot if exempt else least
    through = ZERO < position < alone and least <= -change
    shrinking = position * change < 0 and not through
    quantity = min(abs(change), abs(position)) if shrinking else abs(change)
    if cap is not None and not shrinking:
        quantity = min(quantity, max(cap + position if through else cap - abs(position), ZERO))
    dearest = price * (1 + terms.limits.collar_max)
    if not exposure.within_clip(quantity * dearest, terms, dearest):
        quantity = exposure.clip_notional(terms, dearest) / dearest
    quantity = floor_to(quantity, instrument.lot)
    if instrument.quantity_max:
        quantity = min(quantity, floor_to(instrument.quantity_max, instrument.lot))
    if not quantity:
        return None
    if not (shrinking and exempt):
        if quantity < least:
            return None
        rest = floor_to(abs(change) - quantity, instrument.lot)
        if ZERO < rest < least <= quantity - (least - rest):
            quantity -= least - rest  # leave nothing behind that could not be ordered
    return Hedge(side=side, quantity=quantity, reduce_only=shrinking)


def dust(position: Decimal, terms: HedgeTerms, price: Decimal) -> bool:
    """Return whether nothing is left that an order could close."""
    if abs(position) < terms.futures.instrument.lot:
        return True
    return price > 0 and plan(-position, position, terms, price) is None


def collar(misses: int, terms: HedgeTerms) -> Decimal:
    """Return how far from the reference the next order may reach, as a fraction."""
    if not misses:
        return min(terms.limits.collar, terms.limits.collar_max)
    doubled, third = divmod(misses, len(WIDEN))
    wide = terms.limits.collar * WIDEN[third] * Decimal(2 ** min(doubled, 8))
    return min(wide, terms.limits.collar_max)


def limit_price(side: Side, reference: Decimal, reach: Decimal, terms: HedgeTerms) -> Decimal:
    instrument = terms.futures.instrument
    if side is Side.BUY:
        return instrument.round_price_down(reference * (1 + reach))
    return instrument.round_price_up(reference * (1 - reach))
