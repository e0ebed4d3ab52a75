"""The spot leg: how large the next slice is, at what price, and when a resting one must go."""

from decimal import Decimal

import msgspec

from hedge.decide import exposure
from hedge.decide.market import Market
from hedge.decide.terms import HedgeTerms
from hedge.model import Leg, Order, Quote, Side, TimeInForce
from hedge.model.numbers import BPS, ONE, ZERO, ceil_to, floor_to


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """One child order of the spot task; ``quantity`` is what to order, fees included."""

    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: TimeInForce


class Calm(msgspec.Struct, frozen=True, kw_only=True):
    """How far the market may move before a resting order has to be looked at again."""

    buying: bool
    low: Decimal
    high: Decimal
    ask_max: Decimal
    """Where the order would outgrow the exposure budget."""
    basis_floor: Decimal
    """What the perpetual's bid must be, as a multiple of the spot ask."""

    def covers(self, spot: Quote, futures: Quote) -> bool:
        if self.buying:
            return (
                self.low <= spot.bid <= self.high
                and spot.ask <= self.ask_max
                and futures.bid >= spot.ask * self.basis_floor
            )
        return self.low <= spot.ask <= self.high and spot.ask <= self.ask_max


def calm(order: Order, terms: HedgeTerms, *, aged: bool, ask_max: Decimal) -> Calm:
    """Return the window in which ``order`` may rest; an ``aged`` one follows every tick."""
    tick = terms.spot.instrument.tick
    buying = order.side is Side.BUY
    offset = terms.execution.offset_ticks * tick
    centre = order.limit_price + offset if buying else order.limit_price - offset
    reach = ZERO if aged else order.limit_price * terms.execution.requote_bps * BPS - tick
    return Calm(
        buying=buying,
        low=centre - reach,
        high=centre + reach,
        ask_max=ask_max,
        basis_floor=ONE + terms.execution.entry_basis_bps_min * BPS,
    )


def remaining(target: Decimal, inventory: Decimal) -> Decimal:
    """Return what the task still has to buy (positive) or sell (negative), base coins."""
    return target - inventory


def smallest(terms: HedgeTerms, price: Decimal) -> Decimal:
    """Return the least spot quantity the spot venue takes."""
    return terms.spot.instrument.smallest_order(price)


def done(target: Decimal, inventory: Decimal, terms: HedgeTerms, price: Decimal) -> bool:
    """Return whether what is left is too small to order."""
    left = remaining(target, inventory)
    if left > 0:
        # Buying stops within one spot lot of the target; the gross-up may overshoot by as much.
        return left < max(terms.spot.instrument.lot, smallest(terms, price))
    return -left < smallest(terms, price)


def slice_net(
    left: Decimal,
    gap: Decimal,
    depth: Decimal,
    terms: HedgeTerms,
    *,
    price: Decimal,
    limit: Decimal,
) -> Decimal:
    """Return the next slice in coins to be held or gone, unsigned; zero when none fits.

    ``left`` is unsigned, ``gap`` the delta now, positive where the slice would add to it and
    negative where it first takes it away. At most the exposure budget less what is naked already,
    ``impact`` x depth and the clip at the ``limit`` it is ordered at; at least what both venues
    take.
    """
    step = terms.pair_step
    least = exposure.slice_min(terms, price)
    # The gross-up rounds up to a spot lot, so one of them is kept back.
    grossed = terms.spot.instrument.lot if terms.spot.fee_in_base else ZERO
    room = (exposure.exposure_max(terms, price) / price - gap) / terms.hedge_ratio - grossed
    clip = exposure.clip_notional(terms, limit) / limit
    if terms.spot.instrument.quantity_max:
        clip = min(clip, terms.spot.instrument.quantity_max)
    if grossed:
        # What arrives of the largest order that the clip allows: its gross-up lands on the lot.
        fee = max(terms.spot.maker_fee, terms.spot.taker_fee)
        clip = floor_to(clip, terms.spot.instrument.lot) * (ONE - fee)
    most = min(room, clip)
    if depth > 0:
        most = min(most, max(terms.execution.impact * depth, least))
    if left <= most and left < 2 * least:
        return left
    size = floor_to(min(most, left), step)
    if size < least:
        # Too little room for a slice whose hedge the venue takes, or only a rest is left.
        return ZERO if most < least else min(left, least)
    rest = left - size
    if ZERO < rest < least:
        # Leave nothing behind that could not be ordered.
        size = floor_to(size - least, step) if size >= 2 * least else size
    return size


def fits(terms: HedgeTerms, price: Decimal) -> bool:
    """Return whether the limits leave room for a smallest slice beside a lot that is naked yet."""
    lot = terms.futures.instrument.lot
    least = exposure.slice_min(terms, price)
    return bool(slice_net(2 * least, lot, ZERO, terms, price=price, limit=price))


def order_quantity(net: Decimal, side: Side, terms: HedgeTerms, *, crossing: bool) -> Decimal:
    """Return what to order so that ``net`` arrives: grossed up for a fee taken in the coin."""
    lot = terms.spot.instrument.lot
    if side is Side.SELL:
        return floor_to(net, lot)
    if not terms.spot.fee_in_base:
        return floor_to(net, lot)
    fee = terms.spot.taker_fee if crossing else terms.spot.maker_fee
    return ceil_to(net / (ONE - fee), lot)


def passive_price(side: Side, quote: Quote, terms: HedgeTerms) -> Decimal:
    """Return the touch, ``offset_ticks`` away from the market, never across it."""
    instrument = terms.spot.instrument
    offset = terms.execution.offset_ticks * instrument.tick
    if side is Side.BUY:
        return instrument.round_price_down(quote.bid - offset)
    return instrument.round_price_up(quote.ask + offset)


def crossing_price(side: Side, quote: Quote, terms: HedgeTerms) -> Decimal:
    """Return the price that takes, at most ``cross_bps_max`` beyond the mid."""
    instrument = terms.spot.instrument
    reach = quote.mid * terms.execution.cross_bps_max * BPS
    if side is Side.BUY:
        return instrument.round_price_down(quote.mid + reach)
    return instrument.round_price_up(quote.mid - reach)


def left_behind(side: Side, limit_price: Decimal, quote: Quote, terms: HedgeTerms) -> bool:
    """Return whether the touch has moved from a resting order by more than ``requote_bps``."""
    touch = passive_price(side, quote, terms)
    return abs(touch - limit_price) > limit_price * terms.execution.requote_bps * BPS


def basis_holds(market: Market, terms: HedgeTerms) -> bool:
    """Return whether an entry would lock in a basis no worse than ``entry_basis_bps_min``."""
    basis = market.basis_bps()
    return basis is not None and basis >= terms.execution.entry_basis_bps_min


def quote_of(market: Market) -> Quote | None:
    return market.quotes[Leg.SPOT]
