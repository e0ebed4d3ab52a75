"""From an engine to the one frozen picture that every view shows."""

from decimal import Decimal

from hedge.decide import exposure, funding_policy
from hedge.decide.engine import Engine
from hedge.decide.mode import Mode, Trip
from hedge.model import Leg
from hedge.model.numbers import BPS, MS
from hedge.runtime import slip
from hedge.runtime.snapshot import AlarmView, HedgeSnapshot, OrderView


def snapshot(engine: Engine, *, spot_venue: str, futures_venue: str, at: int) -> HedgeSnapshot:
    """Return how the hedge stands at ``at``; what is not known yet is None, never zero."""
    books, market, terms = engine.books, engine.market, engine.terms
    known = engine.legs_known
    spot_mid, futures_mid = market.mid(Leg.SPOT), market.mid(Leg.FUTURES)
    gap = engine.delta
    base = engine.inventory * terms.hedge_ratio
    tolerance = exposure.tolerance(
        engine.inventory, terms.futures.instrument.lot, terms.limits.tolerance_bps
    )
    rate = market.funding
    liquidation, margin_ratio = _margin(engine)
    armed, why = exit_state(engine)
    return HedgeSnapshot(
        name=terms.name,
        at=at,
        symbol=terms.spot.instrument.symbol,
        spot_venue=spot_venue,
        futures_venue=futures_venue,
        action=books.run.action.value if books.run.run_id else "",
        mode=books.mode.value,
        phase=phase(engine),
        reason=engine.reason,
        trip=Trip(books.trip).name,
        trip_reasons=dict(books.trip_texts),
        paused=books.paused,
        inventory=engine.inventory if known else None,
        position=engine.position if known else None,
        spot_target=books.target,
        delta=gap if known else None,
        delta_bps=gap / base / BPS if known and base else None,
        delta_quote=gap * spot_mid if known and spot_mid else None,
        tolerance=tolerance,
        equal=engine.equal,
        exit_armed=armed,
        exit_reason=why,
        funding_rate=rate.rate if rate else None,
        funding_interval_s=rate.interval_s if rate else None,
        funding_apr=rate.apr if rate and rate.usable else None,
        funding_next_at=rate.next_at if rate else None,
        funding_received=books.funding_cash,
        fees_paid=books.spot.fees + books.futures.fees,
        liquidation_price=liquidation,
        liquidation_distance=(
            abs(liquidation - futures_mid) / futures_mid if liquidation and futures_mid else None
        ),
        margin_ratio=margin_ratio,
        spot_mid=spot_mid,
        futures_mid=futures_mid,
        basis_bps=market.basis_bps(),
        unwind_slip_bps=slip.slip_bps(engine, at),
        unwind_beyond_depth=slip.beyond_depth(engine) if known else "",
        spot_stream_age_ms=_age(engine, Leg.SPOT, at),
        futures_stream_age_ms=_age(engine, Leg.FUTURES, at),
        spot_clock_offset=engine.volatile.clock_offset.get(Leg.SPOT),
        futures_clock_offset=engine.volatile.clock_offset.get(Leg.FUTURES),
        reconciled_at=_reconciled_at(engine),
        exposure_max=exposure.exposure_max(terms, spot_mid) if spot_mid else None,
        unhedged_max=engine.volatile.unhedged_max,
        orders=_orders(engine),
        alarms=_alarms(engine),
    )


def phase(engine: Engine) -> str:
    """Return one word for what the hedge is about."""
    books = engine.books
    if books.ended:
        return "ended"
    if not engine.volatile.recovered:
        return "recovering"
    if books.stopping_at:
        return "stopping"
    if books.run.waiting:
        return "waiting"
    words = {Mode.HALT: "watching", Mode.INVENTORY: "building", Mode.LIQUIDATION: "unwinding"}
    return words[books.mode]


def exit_state(engine: Engine) -> tuple[bool, str]:
    """Return whether the funding exit would go off now if funding said so, and why not."""
    if engine.books.mode is not Mode.HALT:
        return False, f"no funding exit in {engine.books.mode.value}"
    if not engine.equal:
        return False, engine.describe_delta() if engine.legs_known else "a leg is not known"
    heard = engine.market.funding_heard_at
    if not funding_policy.fresh(heard, engine.now, engine.terms.funding):
        return False, "funding is too old"
    tally = engine.books.tally
    need = engine.terms.funding.exit_confirmations
    return True, f"{min(tally.below, need)} of {need} observations below"


def _margin(engine: Engine) -> tuple[Decimal | None, Decimal | None]:
    """Return the liquidation price and the margin ratio, as the last read has them.

    Read of another position than the one held now they say nothing: of a smaller one, as in a
    build, both look safer than they are.
    """
    audit = engine.volatile.legs[Leg.FUTURES].last
    position = audit.position if audit is not None else None
    if audit is None or position is None or position.quantity != engine.position:
        return None, None
    return position.liquidation_price, audit.margin_ratio


def _age(engine: Engine, leg: Leg, at: int) -> int | None:
    heard = engine.market.market_heard_at[leg]
    return (at - heard) // MS if heard else None


def _reconciled_at(engine: Engine) -> int | None:
    reads = [notes.last.at for notes in engine.volatile.legs.values() if notes.last is not None]
    return min(reads) if len(reads) == len(Leg) else None


def _orders(engine: Engine) -> tuple[OrderView, ...]:
    return tuple(
        OrderView(
            client_order_id=record.client_order_id,
            leg=book.leg.value,
            side=record.side.value if record.side else "",
            quantity=record.quantity,
            limit_price=record.order.limit_price if record.order else Decimal(0),
            filled=record.filled,
            status=record.status.value,
            placed_at=record.placed_at,
        )
        for book in engine.leg_books()
        for record in book.open.values()
    )


def _alarms(engine: Engine) -> tuple[AlarmView, ...]:
    return tuple(
        AlarmView(
            key=alarm.key,
            level=alarm.level,
            text=alarm.text,
            raised_at=alarm.raised_at,
            settled=alarm.settled,
            acknowledged=alarm.acknowledged,
        )
        for alarm in engine.books.alarms.values()
    )
