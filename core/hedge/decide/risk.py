"""The gate every order passes, or is refused at with a code and its numbers."""

import enum

import msgspec

from hedge.decide import exposure
from hedge.decide.books import Books
from hedge.decide.commands import Observation
from hedge.decide.mode import Mode, Trip
from hedge.decide.terms import HedgeTerms, millis
from hedge.model import Leg, Order, Side
from hedge.model.numbers import ZERO, floor_to, plain


class Reason(enum.StrEnum):
    """Why nothing is sent; shown in status, in the log and in the docs."""

    # waiting
    RECOVERING = "RECOVERING"
    ENTRY_WAIT = "ENTRY_WAIT"
    BASIS_GUARD = "BASIS_GUARD"
    NO_PRICE = "NO_PRICE"
    FEED_STALE = "FEED_STALE"
    STREAM_DOWN = "STREAM_DOWN"
    IDS_LEASING = "IDS_LEASING"
    HEDGE_FIRST = "HEDGE_FIRST"
    IN_DOUBT = "IN_DOUBT"
    SETTLING = "SETTLING"
    EQUITY_READ = "EQUITY_READ"
    SPOT_RATE = "SPOT_RATE"
    RETRY_LATER = "RETRY_LATER"
    SPOT_RESTING = "SPOT_RESTING"
    HOLDINGS_DIFFER = "HOLDINGS_DIFFER"
    # refused
    MODE_HALT = "MODE_HALT"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    TRIPPED = "TRIPPED"
    VENUE_NOT_TRADABLE = "VENUE_NOT_TRADABLE"
    POSITION_MODE = "POSITION_MODE"
    MARGIN_SHORT = "MARGIN_SHORT"
    BALANCE_SHORT = "BALANCE_SHORT"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    QUANTITY_OFF_GRID = "QUANTITY_OFF_GRID"
    CLIP_ABOVE_MAX = "CLIP_ABOVE_MAX"
    NOTIONAL_ABOVE_MAX = "NOTIONAL_ABOVE_MAX"
    POSITION_ABOVE_MAX = "POSITION_ABOVE_MAX"
    EXPOSURE_ABOVE_MAX = "EXPOSURE_ABOVE_MAX"
    PRICE_OUTSIDE_COLLAR = "PRICE_OUTSIDE_COLLAR"
    REFERENCES_APART = "REFERENCES_APART"
    PRICE_RATIO = "PRICE_RATIO"
    SETTLEMENT_GUARD = "SETTLEMENT_GUARD"
    ORDER_WORKING = "ORDER_WORKING"
    WOULD_FLIP = "WOULD_FLIP"
    WOULD_OVERSELL = "WOULD_OVERSELL"
    NOT_REDUCING = "NOT_REDUCING"
    OVER_HEDGE = "OVER_HEDGE"
    EXTERNAL_UNRESOLVED = "EXTERNAL_UNRESOLVED"


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """An order that may be performed; nothing else makes a `PlaceOrder`."""

    order: Order
    observation: Observation


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


def check(order: Order, seen: Observation, books: Books, at: int) -> Approved | Refused:
    """Judge one order against everything that must hold at its creation.

    ``at`` is the time of the decision. The same function judges a journalled order again on replay.
    """
    refused = (
        _sane(order, books.terms)
        or _allowed(order, seen, books)
        or _priced(order, seen, books.terms, at)
        or (_spot(order, seen, books) if order.leg is Leg.SPOT else _futures(order, seen, books))
    )
    return refused or Approved(order=order, observation=seen)


def _sane(order: Order, terms: HedgeTerms) -> Refused | None:
    instrument = (terms.spot if order.leg is Leg.SPOT else terms.futures).instrument
    quantity, limit = order.quantity, order.limit_price
    if not (quantity.is_finite() and limit.is_finite() and quantity > 0 and limit > 0):
        return Refused(reason=Reason.QUANTITY_OFF_GRID, detail=f"quantity={quantity} limit={limit}")
    if floor_to(quantity, instrument.lot) != quantity or floor_to(limit, instrument.tick) != limit:
        return Refused(reason=Reason.QUANTITY_OFF_GRID, detail=f"quantity={quantity} limit={limit}")
    exempt = order.reduce_only and instrument.reduce_only_below_min
    if not exempt and (
        quantity < instrument.quantity_min or quantity * limit < instrument.notional_min
    ):
        return Refused(
            reason=Reason.BELOW_MINIMUM,
            detail=f"quantity={plain(quantity)} notional={plain(quantity * limit)} "
            f"min={plain(instrument.quantity_min)}/{plain(instrument.notional_min)}",
        )
    if instrument.quantity_max and quantity > instrument.quantity_max:
        return Refused(
            reason=Reason.CLIP_ABOVE_MAX,
            detail=f"quantity={plain(quantity)} max={plain(instrument.quantity_max)}",
        )
    if not exposure.within_clip(order.notional, terms, limit):
        clip = exposure.clip_notional(terms, limit)
        return Refused(
            reason=Reason.CLIP_ABOVE_MAX,
            detail=f"notional={plain(order.notional)} max={plain(clip)}",
        )
    return None


def _allowed(order: Order, seen: Observation, books: Books) -> Refused | None:
    book = books.leg(order.leg)
    if books.mode is Mode.HALT:
        return Refused(reason=Reason.MODE_HALT)
    if book.doubtful:
        return Refused(reason=Reason.IN_DOUBT, detail=f"leg={order.leg.value}")
    if book.open:
        return Refused(reason=Reason.ORDER_WORKING, detail=next(iter(book.open)))
    trip = books.trip
    if trip == Trip.OK:
        return None
    if trip >= Trip.LOCKED:
        return Refused(reason=Reason.TRIPPED, detail="LOCKED")
    gap = exposure.delta(seen.inventory, seen.position, books.terms.hedge_ratio)
    change = order.signed_quantity
    if order.leg is Leg.SPOT:
        change *= books.terms.hedge_ratio
    shrinks = abs(gap + change) < abs(gap)
    unwinding = books.mode is Mode.LIQUIDATION and order.side is Side.SELL
    if trip == Trip.FREEZE_SPOT and (order.leg is Leg.FUTURES or shrinks or unwinding):
        return None
    if trip == Trip.HEDGE_ONLY and shrinks:
        return None
    return Refused(reason=Reason.TRIPPED, detail=Trip(trip).name)


def _priced(order: Order, seen: Observation, terms: HedgeTerms, at: int) -> Refused | None:
    if order.leg is Leg.SPOT:
        bid, ask, seen_at = seen.spot_bid, seen.spot_ask, seen.spot_seen_at
        limit_ms = terms.limits.feed_stale_ms
    else:
        bid, ask, seen_at = seen.futures_bid, seen.futures_ask, seen.futures_seen_at
        limit_ms = terms.limits.feed_dead_ms
    if not ZERO < bid < ask:
        return Refused(reason=Reason.NO_PRICE, detail=f"leg={order.leg.value}")
    if at - seen_at > millis(limit_ms):
        return Refused(
            reason=Reason.FEED_STALE,
            detail=f"leg={order.leg.value} age_ms={(at - seen_at) // 1_000_000} max={limit_ms}",
        )
    mid = (bid + ask) / 2
    bound = terms.limits.collar_max if order.leg is Leg.FUTURES else terms.limits.collar
    reach = mid * bound + terms.spot.instrument.tick
    outside = (
        order.limit_price > mid + reach
        if order.side is Side.BUY
        else order.limit_price < mid - reach
    )
    if outside:
        return Refused(
            reason=Reason.PRICE_OUTSIDE_COLLAR,
            detail=f"limit={plain(order.limit_price)} mid={plain(mid)} collar={bound}",
        )
    return None


def _spot(order: Order, seen: Observation, books: Books) -> Refused | None:
    terms = books.terms
    if order.side is Side.SELL:
        if order.quantity > seen.inventory:
            return Refused(
                reason=Reason.WOULD_OVERSELL,
                detail=f"quantity={plain(order.quantity)} inventory={plain(seen.inventory)}",
            )
    elif books.mode is Mode.LIQUIDATION:
        return Refused(reason=Reason.NOT_REDUCING, detail="spot buy in LIQUIDATION")
    gap = exposure.delta(seen.inventory, seen.position, terms.hedge_ratio)
    after = gap + order.signed_quantity * terms.hedge_ratio
    worst = max(abs(gap), abs(after))
    if abs(after) <= abs(gap):
        return None
    room = exposure.exposure_max(terms, seen.spot_mid)
    # A grossed-up buy receives less than it asks for; one lot of the spot leg covers the rounding.
    slack = terms.spot.instrument.lot * seen.spot_mid
    if terms.spot.fee_in_base and order.side is Side.BUY:
        slack += order.notional * max(terms.spot.maker_fee, terms.spot.taker_fee)
    if worst * seen.spot_mid > room + slack:
        return Refused(
            reason=Reason.EXPOSURE_ABOVE_MAX,
            detail=f"exposure={plain(worst * seen.spot_mid)} max={plain(room)}",
        )
    if order.side is Side.BUY:
        target = books.target or ZERO
        cap = exposure.notional_max(terms, seen.spot_mid, target)
        held = (seen.inventory + order.quantity) * seen.spot_mid
        if cap is not None and held > cap + slack:
            return Refused(
                reason=Reason.NOTIONAL_ABOVE_MAX, detail=f"notional={plain(held)} max={plain(cap)}"
            )
    return None


def _futures(order: Order, seen: Observation, books: Books) -> Refused | None:
    terms = books.terms
    lot = terms.futures.instrument.lot
    position = seen.position
    after = position + order.signed_quantity
    reducing = abs(after) < abs(position) and position * after >= 0
    if reducing != order.reduce_only:
        return Refused(
            reason=Reason.NOT_REDUCING, detail=f"position={plain(position)} after={plain(after)}"
        )
    if order.reduce_only and position * after < 0:
        return Refused(
            reason=Reason.WOULD_FLIP, detail=f"position={plain(position)} after={plain(after)}"
        )
    if order.side is Side.BUY and after > 0:
        return Refused(reason=Reason.WOULD_FLIP, detail=f"after={plain(after)}")
    if books.mode is Mode.LIQUIDATION and not (order.side is Side.BUY and order.reduce_only):
        return Refused(reason=Reason.NOT_REDUCING, detail="only reduce-only buys in LIQUIDATION")
    if reducing:
        return None
    # An order that enlarges the short: never beyond the coins that are certainly there (I3).
    certain = seen.inventory - books.spot.pending_side(Side.SELL)
    if -after > max(certain, ZERO) * terms.hedge_ratio + lot:
        return Refused(
            reason=Reason.OVER_HEDGE,
            detail=f"short={plain(-after)} inventory={plain(certain)}",
        )
    cap = exposure.position_cap(terms, seen.futures_mid, books.target or ZERO)
    if cap is not None and -after > cap + lot:
        return Refused(
            reason=Reason.NOTIONAL_ABOVE_MAX, detail=f"short={plain(-after)} max={plain(cap)}"
        )
    ceiling = exposure.POSITION_SLACK * max(seen.inventory, books.target or ZERO) + lot
    if abs(after) > ceiling:
        return Refused(
            reason=Reason.POSITION_ABOVE_MAX, detail=f"short={plain(-after)} max={plain(ceiling)}"
        )
    return None
