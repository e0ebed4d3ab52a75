"""Orders: placed once, with our id, in base coins, and never outside their limits."""

import asyncio
from decimal import Decimal
from functools import partial

from hedge.errors import Missing, OutcomeUnknown, Refused, Unreachable
from hedge.model import Leg, Order, OrderReport, ReportedStatus, Side, TimeInForce
from hedge.model.numbers import HOUR, ZERO
from hedge.roles import Can, LegKind
from hedge.testing.cards import Group, card, expect
from hedge.testing.desk import Desk, raises
from hedge.testing.testbed import Switch

FENCE_MAX_MS = 600_000
orders = partial(card, Group.ORDERS)


def expect_filled(desk: Desk, order: Order, filled: Decimal) -> None:
    """Compare with the venue's own books, where they can be seen."""
    truth = desk.truth()
    if truth is not None:
        found = [one.filled for one in truth.ours(order.client_order_id)]
        expect(
            found == [filled],
            f"{order.leg}: ordered {order.quantity} base coins; the plugin says {filled} filled,"
            f" and the venue {', '.join(map(str, found)) or 'knows no such order'}",
        )


async def expect_no(desk: Desk, order: Order, what: str) -> Refused | None:
    """Expect a definite no: `Refused` with a code, or an end without a fill; nothing performed."""
    refused = None
    try:
        report = await desk.place(order)
        if report.status is not ReportedStatus.CANCELLED:
            report = await desk.end_of(order)
        expect(
            report.status is ReportedStatus.CANCELLED and not report.filled,
            f"{order.leg}: {what} was taken: {report.status}, filled {report.filled}",
        )
    except Refused as error:
        refused = error
        expect(error.code, f"{order.leg}: {what}: Refused without the venue's code")
    except (OutcomeUnknown, Unreachable, Missing) as error:
        expect(
            met=False,
            text=f"{order.leg}: {what}: a definite no must be Refused, not"
            f" {type(error).__name__}: {error}",
        )
    truth = desk.truth()
    if truth is not None:
        done = [one for one in truth.ours(order.client_order_id) if one.filled or one.working]
        expect(not done, f"{order.leg}: {what} was performed at the venue")
    return refused


async def expect_refused(desk: Desk, order: Order, what: str) -> None:
    """Expect `Refused` with a code: an end without a fill is not enough."""
    expect(await expect_no(desk, order, what), f"{order.leg}: {what} must be Refused")


@orders(
    given="prices",
    when="an IOC order through the touch",
    then="it ends FILLED, with its whole quantity, in base coins after contract size",
)
async def taking(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg)
        await desk.place(order)
        end = await desk.end_of(order)
        expect(end.status is ReportedStatus.FILLED, f"{leg}: it ended {end.status}")
        expect(end.filled == order.quantity, f"{leg}: filled {end.filled}, not {order.quantity}")
        expect_filled(desk, order, end.filled)


@orders(
    given="a venue that claims Can.RESULT_ACK",
    when="an IOC order through the touch",
    then="the answer to it already says FILLED and how much",
    can=Can.RESULT_ACK,
)
async def result_ack(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg)
        report = await desk.place(order)
        expect(
            (report.status, report.filled) == (ReportedStatus.FILLED, order.quantity),
            f"{leg}: the answer says {report.status}, filled {report.filled}",
        )


@orders(
    given="no position",
    when="a BUY, and a SELL of the same quantity",
    then="the holding goes up and back",
)
async def sides(desk: Desk) -> None:
    for leg in desk.legs:
        before = await holding(desk, leg)
        order, _ = await desk.trade(leg, Side.BUY)
        more = await holding(desk, leg)
        expect(more > before, f"{leg}: after a BUY the holding is {more}, and was {before}")
        await desk.trade(leg, Side.SELL, quantity=order.quantity)
        less = await holding(desk, leg)
        expect(less < more, f"{leg}: after a SELL the holding is {less}, and was {more}")


async def holding(desk: Desk, leg: Leg) -> Decimal:
    """Return what the leg holds, in base coins."""
    if leg is Leg.FUTURES:
        position = await desk.gateway(leg).read_position(desk.symbols[leg])
        return Decimal(position.quantity)
    base = (await desk.instrument(leg)).base
    held = {one.asset: one.total for one in await desk.gateway(leg).read_balances()}
    return Decimal(held.get(base, ZERO))


@orders(
    given="prices",
    when="a POST_ONLY order away from the touch",
    then="WORKING, with the venue's id, and it stands in read_open_orders",
)
async def resting(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.resting(leg)
        report = await desk.place(order)
        expect(report.status is ReportedStatus.WORKING, f"{leg}: it is {report.status}")
        expect(report.venue_order_id, f"{leg}: the report has no venue_order_id")
        expect_filled(desk, order, ZERO)
        found = await desk.gateway(leg).read_open_orders(order.symbol)
        ids = [one.client_order_id for one in found]
        expect(ids == [order.client_order_id], f"{leg}: read_open_orders says {ids}")
        await desk.cancel(order)


@orders(
    given="an order that rests",
    when="read_order",
    then="side, quantity and price as they were ordered, where the venue echoes them",
)
async def echo(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
        report = await desk.read(order)
        for name in ("side", "quantity", "limit_price", "reduce_only"):
            said, meant = getattr(report, name), getattr(order, name)
            expect(said in (None, meant), f"{leg}: {name} was {meant}, and comes back as {said}")
        await desk.cancel(order)


@orders(
    given="an order that rests",
    when="cancel_order",
    then="CANCELLED with nothing filled, and it is gone from read_open_orders",
)
async def cancel(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
        await desk.cancel(order)
        end = await desk.end_of(order)
        expect(
            (end.status, end.filled) == (ReportedStatus.CANCELLED, ZERO),
            f"{leg}: after its cancel it is {end.status}, filled {end.filled}",
        )
        found = await desk.gateway(leg).read_open_orders(order.symbol)
        expect(not found, f"{leg}: read_open_orders still has it")
        truth = desk.truth()
        if truth is not None:
            expect(
                not any(one.working for one in truth.ours(order.client_order_id)),
                f"{leg}: the venue still works it",
            )


@orders(
    given="an order that has ended",
    when="cancel_order",
    then="Refused: it is not open; read_order still tells its fills",
)
async def cancel_ended(desk: Desk) -> None:
    for leg in desk.legs:
        order, _ = await desk.trade(leg)
        await raises(
            desk.cancel(order),
            Refused,
            what=f"{leg}: cancel_order of a filled order",
        )
        report = await desk.read(order)
        expect(report.filled == order.quantity, f"{leg}: read_order lost its fills")


@orders(
    given="an id that was never sent",
    when="read_order",
    then="Missing",
)
async def read_missing(desk: Desk) -> None:
    for leg in desk.legs:
        await raises(
            desk.gateway(leg).read_order(desk.symbols[leg], "HK00000000X00FFFF"),
            Missing,
            what=f"{leg}: read_order of an id that was never sent",
        )


@orders(
    given="an id that was never sent",
    when="cancel_order",
    then="Refused or Missing",
)
async def cancel_missing(desk: Desk) -> None:
    for leg in desk.legs:
        await raises(
            desk.gateway(leg).cancel_order(desk.symbols[leg], "HK00000000X00FFFF"),
            Refused,
            Missing,
            what=f"{leg}: cancel_order of an id that was never sent",
        )


@orders(
    given="prices",
    when="a POST_ONLY order through the touch",
    then="Refused, or ended without a fill: it never takes",
)
async def post_only(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg, how=TimeInForce.POST_ONLY)
        await expect_no(desk, order, "a POST_ONLY that would take")


@orders(
    given="prices",
    when="an IOC order that does not reach the touch",
    then="it ends CANCELLED without a fill, and never rests",
)
async def ioc_never_rests(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg, by=Decimal("-0.02"))
        await expect_no(desk, order, "an IOC that does not reach")
        found = await desk.gateway(leg).read_open_orders(order.symbol)
        expect(not found, f"{leg}: the rest of an IOC order rests")


@orders(
    given="prices",
    when="a GTC order away from the touch",
    then="it rests until it is cancelled",
)
async def gtc(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg, Side.BUY, by=Decimal("-0.02"), how=TimeInForce.GTC)
        report = await desk.place(order)
        expect(report.status is ReportedStatus.WORKING, f"{leg}: it is {report.status}")
        await desk.cancel(order)


@orders(
    given="an order that rests",
    when="another with the same id",
    then="Refused (or OutcomeUnknown: the first one lives), and the venue has one order",
)
async def duplicate_id(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
        await raises(
            desk.send(order),
            Refused,
            OutcomeUnknown,
            what=f"{leg}: the same id again",
        )
        truth = desk.truth()
        if truth is not None:
            count = len(truth.ours(order.client_order_id))
            expect(count == 1, f"{leg}: the venue has {count} orders with one id")
        await desk.cancel(order)


@orders(
    given="prices",
    when="an order of a lot and a half",
    then="Refused with the venue's code; the plugin never rounds a quantity",
)
async def off_the_lot(desk: Desk) -> None:
    for leg in desk.legs:
        await expect_refused(desk, await desk.off_the_lot(leg), "a quantity off the lot")


@orders(
    given="prices",
    when="an order of more than the account can pay",
    then="Refused with the venue's code",
)
async def too_large(desk: Desk) -> None:
    for leg in desk.legs:
        instrument = await desk.instrument(leg)
        order = await desk.order(leg)
        large = instrument.round_quantity(Decimal(10**9) / order.limit_price)
        order = await desk.order(leg, quantity=large)
        await expect_refused(desk, order, "an order of a thousand millions")


@orders(
    given="an order signed an hour ago",
    when="place_order",
    then="Refused by the venue: signed_at is what is sent, so that a stall cannot send late",
)
async def stale(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg)
        order = await desk.order(leg, signed_at=order.signed_at - HOUR)
        await expect_refused(desk, order, "an order signed an hour ago")


@orders(
    given="no position",
    when="a reduce-only order",
    then="Refused, or ended without a fill",
    legs=LegKind.FUTURES,
)
async def reduce_only_flat(desk: Desk) -> None:
    order = await desk.order(Leg.FUTURES, Side.BUY, reduce_only=True)
    await expect_no(desk, order, "a reduce-only order without a position")


@orders(
    given="a short position",
    when="a reduce-only BUY of twice as much",
    then="the position is never long",
    legs=LegKind.FUTURES,
)
async def reduce_only_never_flips(desk: Desk) -> None:
    order, _ = await desk.trade(Leg.FUTURES, Side.SELL)
    twice = await desk.order(Leg.FUTURES, Side.BUY, quantity=2 * order.quantity, reduce_only=True)
    try:
        await desk.place(twice)
        await desk.end_of(twice)
    except Refused:
        pass
    held = await holding(desk, Leg.FUTURES)
    expect(held <= 0, f"a reduce-only BUY made the position long: {held}")


@orders(
    given="prices",
    when="two orders at once",
    then="each gets the report of its own",
)
async def two_at_once(desk: Desk) -> None:
    for leg in desk.legs:
        placed = [await desk.resting(leg), await desk.resting(leg, times=8)]
        reports = await asyncio.gather(*(desk.place(one) for one in placed))
        expect(
            len({report.venue_order_id for report in reports}) == len(placed),
            f"{leg}: both reports name one order of the venue's",
        )
        for order in placed:
            seen: OrderReport = await desk.read(order)
            expect(
                seen.quantity in (None, order.quantity),
                f"{leg}: {order.client_order_id} was {order.quantity}, and is {seen.quantity}",
            )
            await desk.cancel(order)


@orders(
    given="a market with less than is ordered",
    when="an IOC order that gets a part",
    then="it ends CANCELLED, and keeps its part",
    switches=(Switch.PARTIAL,),
)
async def partial_fill(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg)
        await desk.strike(Switch.PARTIAL)
        await desk.place(order)
        end = await desk.end_of(order)
        expect(
            end.status is ReportedStatus.CANCELLED and 0 < end.filled < order.quantity,
            f"{leg}: got a part of {order.quantity}; told {end.status}, filled {end.filled}",
        )
        expect_filled(desk, order, end.filled)
        await desk.fills_of(order, end.filled)
        await desk.testbed.clear()


@orders(
    given="a gateway of each leg",
    when="limits",
    then="all times are positive, and an order is certainly dead within ten minutes",
)
async def limits(desk: Desk) -> None:
    for leg in desk.legs:
        found = desk.gateway(leg).limits
        for name in found.__struct_fields__:
            expect(getattr(found, name) >= 0, f"{leg}: VenueLimits.{name} is negative")
        expect(found.ack_timeout_ms > 0, f"{leg}: VenueLimits.ack_timeout_ms is zero")
        expect(found.recv_window_ms > 0, f"{leg}: VenueLimits.recv_window_ms is zero")
        expect(found.fence_ms <= FENCE_MAX_MS, f"{leg}: fence_ms is {found.fence_ms}")
