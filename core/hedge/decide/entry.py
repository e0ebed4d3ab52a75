"""The way in: whether a waiting run may begin to build now, waits, or can never begin."""

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import exposure, funding_policy, spot_task, steps
from hedge.decide.mode import Trigger
from hedge.decide.risk import Reason
from hedge.decide.terms import Action
from hedge.model import Leg
from hedge.model.numbers import ZERO, plain

if TYPE_CHECKING:
    from hedge.decide.engine import Engine


def enter(engine: "Engine") -> None:
    """Begin a build when fresh funding is worth it (H2, H8), or it was ordered to begin now."""
    terms, books = engine.terms, engine.books
    mid = engine.market.mid(Leg.SPOT)
    rate = engine.market.funding
    fresh = funding_policy.fresh(engine.market.funding_heard_at, engine.now, terms.funding)
    worth = rate is not None and fresh and rate.per_8h > terms.funding.enter_above
    ordered = engine.volatile.enter_now or books.run.action is Action.SCALE
    if not worth and not ordered:
        have = plain(rate.per_8h) if rate is not None and fresh else "unknown"
        engine.hold(Reason.ENTRY_WAIT, f"funding={have} min={plain(terms.funding.enter_above)}")
        if "ENTRY_WAIT" not in engine.volatile.noticed:
            engine.volatile.noticed.add("ENTRY_WAIT")
            engine.issue(c.Notice(key="ENTRY_WAIT", text=engine.reason))
        return
    if mid is None:
        engine.hold(Reason.NO_PRICE, "leg=spot")
        engine.volatile.price_hot = True
        return
    ratio = engine.market.price_ratio()
    if ratio is None:
        engine.hold(Reason.NO_PRICE, "leg=futures")
        engine.volatile.price_hot = True
        return
    if not engine.market.same_coin():
        text = f"futures / spot price is {plain(ratio.quantize(Decimal('0.0001')))}: another coin?"
        engine.issue(c.EndRun(exit_code=5, reason="PRICE_RATIO", text=text))
        return
    target = terms.quantity
    if target is None:
        assert terms.usd is not None
        target = exposure.target_inventory(terms.usd, mid, terms)
    if target < exposure.slice_min(terms, mid):
        least = exposure.slice_min(terms, mid)
        text = (
            f"target {plain(target)} is below the minimums of the venues: at least {plain(least)},"
            f" about {plain((least * mid).to_integral_value(ROUND_CEILING))} in quote"
        )
        engine.issue(c.EndRun(exit_code=5, reason="BELOW_MINIMUM", text=text))
        return
    if not spot_task.fits(terms, mid):
        room, least = exposure.exposure_max(terms, mid), exposure.slice_min(terms, mid) * mid
        text = f"exposure_max {plain(room)} has no room for the smallest slice of {plain(least)}"
        engine.issue(c.EndRun(exit_code=5, reason="EXPOSURE_BELOW_MINIMUM", text=text))
        return
    if not (books.spot.held or books.futures.held):  # what holds something waits instead
        if text := _not_trading(engine):
            engine.issue(c.EndRun(exit_code=5, reason="NOT_TRADING", text=text))
            return
        if text := _funds_short(engine, target * mid):
            engine.issue(c.EndRun(exit_code=5, reason="FUNDS_SHORT", text=text))
            return
    engine.volatile.enter_now = False
    trigger = Trigger.SCALE if books.run.action is Action.SCALE else Trigger.BUILD
    target_set = c.SetTarget(quantity=target, price=mid, why=books.run.action.value)
    steps.change_mode(engine, trigger, f"target {plain(target)}", target=target_set)


def _not_trading(engine: "Engine") -> str:
    for leg, notes in engine.volatile.legs.items():
        if notes.last is not None and not notes.last.tradable:
            instrument = engine.books.leg(leg).terms.instrument
            where = f"{instrument.venue} {instrument.symbol}"
            return f"{where} is not trading: wait, or choose another symbol"
    return ""


def _funds_short(engine: "Engine", notional: Decimal) -> str:
    """Return what an account lacks for the whole ``notional``, or ""."""
    terms = engine.terms
    spot, futures = (engine.volatile.legs[leg].last for leg in (Leg.SPOT, Leg.FUTURES))
    if spot is not None:
        quote = terms.spot.instrument.quote
        free = sum((row.free for row in spot.balances if row.asset == quote), ZERO)
        if free < notional:
            return _transfer(terms.spot.instrument.venue, quote, free, notional)
    if futures is not None and futures.margin_free is not None:
        wanted, settle = notional / terms.limits.leverage, terms.futures.instrument.settle
        if futures.margin_free < wanted:
            return _transfer(terms.futures.instrument.venue, settle, futures.margin_free, wanted)
    return ""


def _transfer(venue: str, asset: str, free: Decimal, wanted: Decimal) -> str:
    short = (wanted - free).to_integral_value(ROUND_CEILING)
    return f"{venue}: {plain(free)} {asset} free, {plain(wanted)} needed: transfer {short} {asset}"
