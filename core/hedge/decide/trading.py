"""Orders at last: the futures leg first, and only when it is done the next slice of spot."""

from decimal import Decimal
from typing import TYPE_CHECKING

from hedge.decide import commands as c
from hedge.decide import exposure, futures_task, risk, spot_task, steps, watch
from hedge.decide.commands import Purpose
from hedge.decide.leg_book import OrderRecord
from hedge.decide.mode import Mode, Trip
from hedge.decide.orders import OrderStatus
from hedge.decide.recovery import DIFFERS_ALARM
from hedge.decide.risk import Reason
from hedge.decide.terms import AfterExternal, millis, seconds
from hedge.model import LEGS, Leg, Order, PositionMode, Quote, Side, TimeInForce
from hedge.model.numbers import HOUR, MINUTE, SECOND, ZERO, plain

if TYPE_CHECKING:
    from hedge.decide.engine import Engine

CANCEL_ASK_AGAIN = 5 * SECOND
MISS_PAUSE = SECOND
MARGIN_FACTOR = Decimal("1.5")


def decide(engine: "Engine") -> None:
    _spot(engine, hedged=hedged(engine))


def hedge(engine: "Engine") -> bool:
    """Bring the futures leg to its target; return whether an order was issued for it."""
    before = engine.books.futures.sequence
    hedged(engine)
    return engine.books.futures.sequence > before


# -- the futures leg -----------------------------------------------------------------------------


def hedged(engine: "Engine") -> bool:
    """Bring the futures leg to its target; return whether it is there and nothing is open."""
    books, notes = engine.books, engine.volatile.legs[Leg.FUTURES]
    futures = books.futures
    if futures.open:
        _check_misses(engine)
        _end_lingering(engine)
        engine.hold(Reason.IN_DOUBT if futures.doubtful else Reason.ORDER_WORKING, "leg=futures")
        return False
    _check_misses(engine)
    terms, position = engine.terms, futures.held
    change = futures_task.need(books.mode, books.spot.held, position, terms, engine.spot_price)
    if not change:
        notes.misses = 0
        return True
    mid = engine.market.mid(Leg.FUTURES)
    if mid is None:
        engine.volatile.price_hot = True
        engine.hold(Reason.NO_PRICE, "leg=futures")
        return False
    cap = exposure.position_cap(terms, mid, books.target or ZERO)
    hedge = futures_task.plan(change, position, terms, mid, cap)
    if hedge is None:
        notes.misses = 0
        engine.hold(Reason.BELOW_MINIMUM, f"hedge={plain(change)}")
        return True
    if not hedge.reduce_only and not _may_enlarge(engine, hedge.quantity):
        return False
    if engine.now < notes.retry_at:
        engine.due(notes.retry_at)
        engine.hold(Reason.RETRY_LATER, f"leg=futures code={notes.refused_why}")
        return False
    reference = engine.market.reference()
    if reference is None:
        engine.volatile.price_hot = True
        engine.hold(Reason.REFERENCES_APART, "mark and mid differ")
        engine.due(engine.now + SECOND)
        return False
    reach = futures_task.collar(notes.misses, terms)
    limit = futures_task.limit_price(hedge.side, reference, reach, terms)
    _place(
        engine,
        leg=Leg.FUTURES,
        side=hedge.side,
        quantity=hedge.quantity,
        limit_price=limit,
        time_in_force=TimeInForce.IOC,
        reduce_only=hedge.reduce_only,
        purpose=Purpose.HEDGE,
    )
    return False


def _end_lingering(engine: "Engine") -> None:
    """Cancel a hedge that rests: an IOC order never should, and holds up the next one."""
    for record in list(engine.books.futures.open.values()):
        since = max(record.placed_at, record.cancel_asked_at, engine.volatile.started_at)
        if record.status is not OrderStatus.WORKING:
            continue
        if engine.now < since + CANCEL_ASK_AGAIN:
            engine.due(since + CANCEL_ASK_AGAIN)
            continue
        engine.issue(
            c.CancelOrder(
                leg=Leg.FUTURES, client_order_id=record.client_order_id, why="an IOC that rests"
            )
        )
        engine.due(engine.now + CANCEL_ASK_AGAIN)


def unresolved(engine: "Engine") -> bool:
    """Return whether a part of the short was lost, and a person is to say what becomes of it."""
    after = engine.terms.limits.after_external
    return bool(engine.books.external_at) and after is AfterExternal.ALARM


def _may_enlarge(engine: "Engine", quantity: Decimal) -> bool:
    """Return whether the short may grow: not after an unexplained loss of it, not as a runaway."""
    if unresolved(engine):
        engine.hold(Reason.EXTERNAL_UNRESOLVED, "hedge clear EXTERNAL lets it hedge again")
        return False
    runaway = watch.throttled(engine, quantity)
    if runaway:
        engine.trip("THROTTLE", Trip.LOCKED, runaway)
        engine.alarm("THROTTLE", "page", runaway)
        engine.hold(Reason.TRIPPED, "THROTTLE")
        return False
    return True


def _check_misses(engine: "Engine") -> None:
    """Count the IOC orders that got nothing, and widen; at the cap pause and alarm."""
    futures, notes = engine.books.futures, engine.volatile.legs[Leg.FUTURES]
    newest = engine.volatile.last_hedge
    if newest is None or newest.open:
        return
    engine.volatile.last_hedge = None
    if newest.filled >= newest.quantity:
        notes.misses = notes.refusals = 0
        engine.settle("HEDGE_MISSED")
        engine.settle("HEDGE_REFUSED")
        engine.settle("HEDGE_GATED")
    elif newest.status is OrderStatus.CANCELLED:
        notes.misses += 1
        if futures_task.collar(notes.misses, engine.terms) >= engine.terms.limits.collar_max:
            notes.retry_at = engine.now + MISS_PAUSE
            engine.alarm("HEDGE_MISSED", "page", f"{notes.misses} hedges in a row were not filled")
    elif newest.status is OrderStatus.REFUSED and notes.refusals >= 3:
        text = f"the futures venue refused {notes.refusals} hedges: {notes.refused_why}"
        engine.alarm("HEDGE_REFUSED", "page", text)
        engine.trip("HEDGE_REFUSED", Trip.FREEZE_SPOT, text)
    assert newest.client_order_id not in futures.open


# -- the spot leg --------------------------------------------------------------------------------


def _spot(engine: "Engine", *, hedged: bool) -> None:
    books = engine.books
    spot = books.spot
    if spot.open:
        for record in list(spot.open.values()):  # one, and whatever strayed in
            _manage(engine, record)
        return
    target = books.target
    if target is None:
        return
    left = spot_task.remaining(target, spot.held)
    side = Side.BUY if left > 0 else Side.SELL
    price = engine.spot_price
    if not left or (price and spot_task.done(target, spot.held, engine.terms, price)):
        return  # without any price the feeds are what blocks it, and says so
    blocked = _blocked(engine, side, hedged=hedged)
    if blocked is not None:
        engine.hold(*blocked)
        return
    _slice(engine, side, abs(left))


def _blocked(engine: "Engine", side: Side, *, hedged: bool) -> tuple[str, str] | None:
    """Return why no spot slice may begin now (behaviour: before every spot slice)."""
    books, now = engine.books, engine.now
    limits = engine.terms.limits
    # Not while a hedge is on its way: both would close the same gap.
    repairing = engine.delta > 0 and side is Side.SELL and not books.futures.open
    if books.in_doubt:
        return Reason.IN_DOUBT, ""
    if books.stopping_at or engine.volatile.recording_ended_at:
        return Reason.STOPPING, ""
    if books.paused and side is Side.BUY:
        return Reason.PAUSED, ""
    if not hedged and not repairing:
        return Reason.HEDGE_FIRST, "" if engine.reason else engine.describe_delta()
    if steps.equity_open(engine):
        return Reason.EQUITY_READ, ""
    unwinding = books.mode is Mode.LIQUIDATION and side is Side.SELL
    reducing = repairing or (unwinding and books.trip == Trip.FREEZE_SPOT)
    if books.trip >= Trip.LOCKED or (books.trip and not reducing):
        why = ", ".join(books.trips)
        if unwinding:
            engine.alarm("UNWIND_BLOCKED", "page", f"the unwinding waits for `hedge clear`: {why}")
        return Reason.TRIPPED, why
    engine.settle("UNWIND_BLOCKED")
    for leg in LEGS:
        if not engine.market.connected(leg):
            return Reason.STREAM_DOWN, f"leg={leg.value}"
        if engine.market.age(leg, now) > millis(limits.feed_stale_ms):
            engine.volatile.price_hot = True
            engine.volatile.dirty(leg)
            engine.due(now + millis(limits.feed_stale_ms) // 2)
            return Reason.FEED_STALE, f"leg={leg.value}"
    for leg, notes in engine.volatile.legs.items():
        if side is Side.BUY and notes.differs_for(now) >= DIFFERS_ALARM:
            return Reason.HOLDINGS_DIFFER, f"leg={leg.value}"
    if side is Side.BUY and not engine.market.same_coin():
        engine.volatile.price_hot = True
        return Reason.PRICE_RATIO, f"ratio={engine.market.price_ratio()}"
    retry_at = engine.volatile.legs[Leg.SPOT].retry_at
    if now < retry_at:
        engine.due(retry_at)
        return Reason.RETRY_LATER, engine.volatile.legs[Leg.SPOT].refused_why
    paced = _paced(engine) if side is Side.BUY else ""  # what reduces is exempt
    if paced:
        return Reason.SPOT_RATE, paced
    if side is Side.BUY and not spot_task.basis_holds(engine.market, engine.terms):
        engine.volatile.price_hot = True
        engine.volatile.progress_at = now
        basis = engine.market.basis_bps()
        shown = plain(basis.quantize(Decimal("0.1"))) if basis is not None else "unknown"
        return (
            Reason.BASIS_GUARD,
            f"bps={shown} min={plain(engine.terms.execution.entry_basis_bps_min)}",
        )
    return _venues_ready(engine)


def _venues_ready(engine: "Engine") -> tuple[str, str] | None:
    for leg, note in engine.volatile.legs.items():
        if note.last is not None and not note.last.tradable:
            return Reason.VENUE_NOT_TRADABLE, f"leg={leg.value}"
    audit = engine.volatile.legs[Leg.FUTURES].last
    if audit is not None and audit.position_mode is PositionMode.HEDGE:
        engine.alarm("POSITION_MODE", "alarm", "the futures account is in hedge mode")
        return Reason.POSITION_MODE, "hedge mode"
    engine.settle("POSITION_MODE")
    return None


def _paced(engine: "Engine") -> str:
    """Return which order rate would be exceeded, or ""; asks to be woken when it will not be."""
    placed, now = engine.volatile.spot_placed, engine.now
    while placed and now - placed[0] > HOUR:
        placed.pop(0)
    limits = engine.terms.limits
    for most, window, word in (
        (limits.spot_orders_per_minute, MINUTE, "minute"),
        (limits.spot_orders_per_hour, HOUR, "hour"),
    ):
        if len(placed) >= most and now - placed[-most] <= window:
            engine.due(placed[-most] + window + 1)
            return f"{most} per {word}"
    return ""


def _slice(engine: "Engine", side: Side, left: Decimal) -> None:
    quote = spot_task.quote_of(engine.market)
    assert quote is not None
    terms, books = engine.terms, engine.books
    gap = engine.delta
    if side is Side.SELL and gap > 0:
        # Under-hedged: first down to what the short covers, then both together (H9, B7).
        covered = gap / terms.hedge_ratio
        if covered >= exposure.slice_min(terms, quote.mid):
            left = min(left, covered)
    patience = engine.volatile.progress_at + seconds(terms.execution.patience_s)
    crossing = engine.now >= patience
    if crossing:
        limit = spot_task.crossing_price(side, quote, terms)
    else:
        limit = spot_task.passive_price(side, quote, terms)
    depth = engine.market.depth(selling=side is Side.SELL)
    net = spot_task.slice_net(left, gap * side.sign, depth, terms, price=quote.mid, limit=limit)
    if not net:
        engine.hold(Reason.EXPOSURE_ABOVE_MAX, engine.describe_delta())
        engine.volatile.price_hot = True
        return
    if side is Side.SELL:
        net = min(net, books.spot.held)
    quantity = spot_task.order_quantity(net, side, terms, crossing=crossing)
    if crossing:
        engine.volatile.progress_at = engine.now
    else:
        engine.due(patience)
    short = _short_of(engine, side, quantity, limit)
    if short is not None:
        engine.hold(*short)
        return
    _place(
        engine,
        leg=Leg.SPOT,
        side=side,
        quantity=quantity,
        limit_price=limit,
        time_in_force=TimeInForce.IOC if crossing else TimeInForce.POST_ONLY,
        reduce_only=False,
        purpose=Purpose.BUILD if side is Side.BUY else Purpose.UNWIND,
    )


def _short_of(
    engine: "Engine", side: Side, quantity: Decimal, limit: Decimal
) -> tuple[str, str] | None:
    """Return which account lacks the means for this slice and its hedge, 1.5 times over."""
    if side is Side.SELL:
        return None
    notional = quantity * limit
    audit = engine.volatile.legs[Leg.FUTURES].last
    if audit is not None and audit.margin_free is not None:
        wanted = notional * MARGIN_FACTOR / engine.terms.limits.leverage
        if audit.margin_free < wanted:
            text = f"free={plain(audit.margin_free)} needed={plain(wanted)}"
            engine.alarm("MARGIN_SHORT", "alarm", text)
            return Reason.MARGIN_SHORT, text
        engine.settle("MARGIN_SHORT")
    spot = engine.volatile.legs[Leg.SPOT].last
    if spot is not None:
        quote_asset = engine.terms.spot.instrument.quote
        free = sum((b.free for b in spot.balances if b.asset == quote_asset), ZERO)
        if free < notional:
            text = f"{quote_asset} free={plain(free)} needed={plain(notional)}"
            engine.alarm("BALANCE_SHORT", "alarm", text)
            return Reason.BALANCE_SHORT, text
        engine.settle("BALANCE_SHORT")
    return None


def _manage(engine: "Engine", record: OrderRecord) -> None:
    """Keep, cancel or wait for the spot order that is open."""
    if record.status is OrderStatus.DOUBTFUL:
        engine.hold(Reason.IN_DOUBT, record.client_order_id)
        return
    if record.status is OrderStatus.INTENDED or record.order is None:
        engine.hold(Reason.ORDER_WORKING, record.client_order_id)
        if record.order is not None or record.status is OrderStatus.INTENDED:
            return
    if record.cancel_asked_at:
        again = record.cancel_asked_at + CANCEL_ASK_AGAIN
        if engine.now < again:
            engine.due(again)
            engine.hold(Reason.ORDER_WORKING, f"cancelling {record.client_order_id}")
            return
        engine.volatile.dirty(Leg.SPOT)
    why = _cancel_why(engine, record)
    if why:
        engine.issue(c.CancelOrder(leg=Leg.SPOT, client_order_id=record.client_order_id, why=why))
        engine.due(engine.now + CANCEL_ASK_AGAIN)
    else:
        engine.volatile.price_hot = True
        engine.hold(Reason.SPOT_RESTING, record.client_order_id)


def _cancel_why(engine: "Engine", record: OrderRecord) -> str:
    """Return why a resting spot order must go now, or "" to let it rest."""
    books, order, now = engine.books, record.order, engine.now
    if order is None or record.cancel_asked_at:
        return "stray" if order is None else "again"
    leaving = books.stopping_at or engine.volatile.recording_ended_at
    if books.target is None or leaving or books.mode is Mode.HALT:
        return "no task"
    if books.paused and order.side is Side.BUY:
        return "paused"
    left = spot_task.remaining(books.target, books.spot.held)
    if left * order.side.sign <= 0:
        return "target reached"
    gap = engine.delta
    coming = record.remaining * engine.terms.hedge_ratio
    shrinks = gap * order.side.sign < 0 and coming <= abs(gap)
    unwinding = books.mode is Mode.LIQUIDATION and order.side is Side.SELL
    if books.trip and not shrinks and not (unwinding and books.trip == Trip.FREEZE_SPOT):
        return "tripped"
    if books.futures.doubtful and not shrinks:
        return "futures in doubt"
    quote = spot_task.quote_of(engine.market)
    for leg in LEGS:
        if not engine.market.connected(leg):
            return f"{leg.value} stream down"
        if engine.market.age(leg, now) > millis(engine.terms.limits.feed_stale_ms):
            return f"{leg.value} prices stale"
    assert quote is not None
    worst = abs(gap + order.side.sign * coming)
    room = exposure.exposure_max(engine.terms, quote.mid)
    slack = engine.terms.spot.instrument.lot + record.quantity * engine.terms.spot.maker_fee
    if not shrinks and worst > room / quote.mid + slack and worst > abs(gap):
        return "exposure"
    ask_max = room / (worst - slack) if worst > slack else order.limit_price * 2
    return _requote_why(engine, record, order, quote, ask_max=ask_max)


def _requote_why(
    engine: "Engine", record: OrderRecord, order: Order, quote: Quote, *, ask_max: Decimal
) -> str:
    terms, now = engine.terms, engine.now
    if order.side is Side.BUY and not spot_task.basis_holds(engine.market, terms):
        return "basis"
    if spot_task.left_behind(order.side, order.limit_price, quote, terms):
        return "touch moved"
    age_due = record.placed_at + seconds(terms.execution.requote_s)
    touch = spot_task.passive_price(order.side, quote, terms)
    if now >= age_due and touch != order.limit_price:
        return "requote"
    patience = engine.volatile.progress_at + seconds(terms.execution.patience_s)
    if now >= patience:
        return "patience"
    engine.due(age_due if now < age_due else now + 5 * SECOND)
    engine.due(patience)
    hedged = abs(engine.delta) < terms.futures.instrument.lot
    if hedged and not engine.books.trip and len(engine.books.spot.open) == 1:
        aged = now >= age_due
        engine.volatile.calm = spot_task.calm(order, terms, aged=aged, ask_max=ask_max)
    return ""


# -- both ----------------------------------------------------------------------------------------


def _place(
    engine: "Engine",
    *,
    leg: Leg,
    side: Side,
    quantity: Decimal,
    limit_price: Decimal,
    time_in_force: TimeInForce,
    reduce_only: bool,
    purpose: Purpose,
) -> None:
    """Give an order its id, let the gate judge it, and issue it; or say why not."""
    book = engine.books.leg(leg)
    if book.lease_left <= 0:
        engine.hold(Reason.IDS_LEASING, f"leg={leg.value}")
        engine.volatile.lease_waits += 1
        return
    order = Order(
        client_order_id=book.next_id(engine.terms.prefix),
        leg=leg,
        symbol=book.terms.instrument.symbol,
        side=side,
        quantity=quantity,
        limit_price=limit_price,
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        signed_at=engine.now + engine.volatile.clock_offset.get(leg, 0),
        recv_window_ms=book.terms.recv_window_ms,
    )
    seen = engine.market.observe(engine.inventory, engine.position)
    judged = risk.check(order, seen, engine.books, engine.now)
    if isinstance(judged, risk.Refused):
        engine.hold(judged.reason, judged.detail)
        engine.volatile.price_hot = True
        engine.due(engine.now + SECOND)
        _alarm_refusal(engine, leg, judged)
        return
    command = c.PlaceOrder(order=judged.order, purpose=purpose, observation=judged.observation)
    engine.issue(command)
    if leg is Leg.FUTURES:
        engine.volatile.last_hedge = book.orders[order.client_order_id]
    else:
        engine.volatile.spot_placed.append(engine.now)


def _alarm_refusal(engine: "Engine", leg: Leg, refused: risk.Refused) -> None:
    """A hedge that our own gate refuses is a person's business at once."""
    if leg is Leg.FUTURES and refused.reason is not Reason.FEED_STALE:
        engine.alarm("HEDGE_GATED", "page", str(refused))
