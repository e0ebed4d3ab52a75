"""What is unhedged, what counts as equal, and how much may be naked."""

import enum
import functools
from decimal import Decimal

from hedge.decide.terms import HedgeTerms, InventoryRule
from hedge.model.numbers import BPS, floor_to

EXPOSURE_SHARE = Decimal("0.005")
EXPOSURE_QUOTE = Decimal(500)
HARD_SHARE = Decimal("0.05")
HARD_QUOTE = Decimal(5_000)
CLIP_SHARE = Decimal("0.1")
CLIP_QUOTE = Decimal(10_000)
POSITION_SLACK = Decimal("1.02")


class Books(enum.StrEnum):
    """How a pair of legs stands, for people."""

    FLAT = "flat"
    HEDGED = "hedged"
    UNDER_HEDGED = "under-hedged"
    OVER_HEDGED = "over-hedged"
    NAKED_SPOT = "naked spot"
    NAKED_SHORT = "naked short"
    LONG_FUTURES = "long futures"


def delta(inventory: Decimal, position: Decimal, ratio: Decimal) -> Decimal:
    """Return E = S x ratio + F, base coins; positive is unhedged spot."""
    return inventory * ratio + position


def tolerance(inventory: Decimal, lot: Decimal, tolerance_bps: Decimal) -> Decimal:
    return max(tolerance_bps * BPS * abs(inventory), lot)


def equal(
    inventory: Decimal, position: Decimal, *, ratio: Decimal, lot: Decimal, tolerance_bps: Decimal
) -> bool:
    """Return whether spot is long, futures short, and what is unhedged lies below the tolerance.

    Flat on both legs is equal. Quantities are floored to the futures lot, so up to one lot remains.
    """
    if inventory < 0 or position > 0:
        return False
    gap = abs(delta(inventory, position, ratio))
    return gap < tolerance(inventory, lot, tolerance_bps)


def classify(
    inventory: Decimal, position: Decimal, *, ratio: Decimal, lot: Decimal, tolerance_bps: Decimal
) -> Books:
    if position > 0:
        return Books.LONG_FUTURES
    if equal(inventory, position, ratio=ratio, lot=lot, tolerance_bps=tolerance_bps):
        return Books.HEDGED if position else Books.FLAT
    if not position:
        return Books.NAKED_SPOT
    if inventory <= 0:
        return Books.NAKED_SHORT
    return Books.UNDER_HEDGED if delta(inventory, position, ratio) > 0 else Books.OVER_HEDGED


def target_inventory(usd: Decimal, spot_mid: Decimal, terms: HedgeTerms) -> Decimal:
    """Return a USD allocation in coins, down to the coarser of the two lots."""
    return floor_to(usd / spot_mid, terms.pair_step)


@functools.lru_cache(maxsize=64)
def hedge_min(terms: HedgeTerms, price: Decimal) -> Decimal:
    """Return the least futures order that is no less by its own limit, at the widest collar."""
    return terms.futures.instrument.smallest_order(price * (1 - terms.limits.collar_max))


@functools.lru_cache(maxsize=64)
def slice_min(terms: HedgeTerms, price: Decimal) -> Decimal:
    """Return the least spot quantity whose hedge both venues take."""
    step = terms.pair_step
    spot = terms.spot.instrument.smallest_order(price * (1 - terms.limits.collar))
    futures = hedge_min(terms, price)
    if terms.hedge_ratio != 1:
        futures = futures / terms.hedge_ratio
    least = max(spot, futures)
    floored = floor_to(least, step)
    return floored if floored == least else floored + step


@functools.lru_cache(maxsize=64)
def exposure_max(terms: HedgeTerms, price: Decimal) -> Decimal:
    """Return the naked notional allowed, in quote: safety part 5, or what was configured."""
    if terms.limits.exposure_max is not None:
        return terms.limits.exposure_max
    share = min(EXPOSURE_SHARE * terms.target_notional(price), EXPOSURE_QUOTE)
    lots = 2 * terms.pair_step * price
    minimum = 2 * max(
        terms.spot.instrument.smallest_order(price), terms.futures.instrument.smallest_order(price)
    ) * price  # fmt: skip
    # With less than this a rest that no venue takes could hold up the last slice for ever.
    rest = terms.spot.instrument.lot
    if terms.hedge_ratio != 1:
        rest += terms.futures.instrument.lot  # no common step: up to a lot stays between slices
    slices = (2 * slice_min(terms, price) * terms.hedge_ratio + rest) * price
    return max(share, lots, minimum, slices)


def hard_max(terms: HedgeTerms, price: Decimal) -> Decimal:
    """Return the unhedged notional beyond which only reducing orders leave."""
    share = min(HARD_SHARE * terms.target_notional(price), HARD_QUOTE)
    return max(share, 2 * exposure_max(terms, price))


def clip_notional(terms: HedgeTerms, price: Decimal) -> Decimal:
    """Return the largest order, in quote; never below two of the smallest hedges."""
    share = min(CLIP_SHARE * terms.target_notional(price), CLIP_QUOTE)
    return max(share, exposure_max(terms, price), 2 * slice_min(terms, price) * price)


def within_clip(notional: Decimal, terms: HedgeTerms, price: Decimal) -> bool:
    """Return whether one order may be as large; most are far below, and cost one comparison."""
    share = min(CLIP_SHARE * terms.target_notional(price), CLIP_QUOTE)
    return notional <= share or notional <= clip_notional(terms, price)


def above_hard_max(notional: Decimal, terms: HedgeTerms, price: Decimal) -> bool:
    share = min(HARD_SHARE * terms.target_notional(price), HARD_QUOTE)
    return notional > share and notional > hard_max(terms, price)


def position_cap(terms: HedgeTerms, price: Decimal, target: Decimal) -> Decimal | None:
    """Return the largest short, in coins, where a deposit could grow the inventory beyond it."""
    if terms.inventory is not InventoryRule.ACCOUNT:
        return None
    notional = notional_max(terms, price, target)
    return None if notional is None else notional / price


def notional_max(terms: HedgeTerms, price: Decimal, target: Decimal) -> Decimal | None:
    """Return the absolute cap on the position, in quote; None for a plain quantity target."""
    if terms.limits.notional_quote_max is not None:
        return terms.limits.notional_quote_max
    return None if terms.usd is None else max(terms.usd, target * price) * Decimal("1.05")
