"""The account's stream: whole, or said to be broken."""

from decimal import Decimal
from functools import partial

from hedge.model import (
    Balance,
    Fill,
    Leg,
    OrderReport,
    Position,
    ReportedStatus,
    Side,
    StreamDown,
    StreamKind,
    StreamUp,
)
from hedge.model.numbers import ZERO
from hedge.roles import Can, LegKind
from hedge.testing.cards import Group, card, expect
from hedge.testing.chapters.fills import heard
from hedge.testing.chapters.instruments import expect_exact
from hedge.testing.desk import ENDED, Desk
from hedge.testing.testbed import Switch

stream = partial(card, Group.STREAM, can=Can.USER_STREAM)


def is_account(news: StreamUp | StreamDown) -> bool:
    return news.kind is StreamKind.ACCOUNT


@stream(
    given="a gateway of each leg",
    when="listen",
    then="StreamUp of kind ACCOUNT, once it is subscribed",
)
async def up(desk: Desk) -> None:
    await desk.hear()


@stream(
    given="a stream",
    when="an order rests and is cancelled",
    then="both are told, with the id, and CANCELLED with nothing filled",
)
async def order_told(desk: Desk) -> None:
    await desk.hear()
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
        ours = order.client_order_id
        await desk.until(
            leg.value,
            OrderReport,
            lambda r, ours=ours: r.client_order_id == ours,  # type: ignore[misc] # binds the loop's value
            what="a report of the order that rests",
        )
        await desk.cancel(order)
        end = await desk.until(
            leg.value,
            OrderReport,
            lambda r, ours=ours: r.client_order_id == ours and r.status in ENDED,  # type: ignore[misc] # binds the loop's value
            what="the end of a cancelled order",
        )
        expect(
            (end.status, end.filled) == (ReportedStatus.CANCELLED, ZERO),
            f"{leg}: the cancelled order is told as {end.status}, filled {end.filled}",
        )


@stream(
    given="a stream",
    when="an order that takes",
    then="its reports are cumulative: filled never shrinks, and ends at the whole",
)
async def cumulative(desk: Desk) -> None:
    await desk.hear()
    for leg in desk.legs:
        order, _ = await desk.trade(leg)
        ours = order.client_order_id
        await desk.until(
            leg.value,
            OrderReport,
            lambda r, ours=ours: r.client_order_id == ours and r.status in ENDED,  # type: ignore[misc] # binds the loop's value
            what="the end of a filled order",
        )
        told = [
            one.filled for one in desk.told(leg.value, OrderReport) if one.client_order_id == ours
        ]
        expect(told == sorted(told), f"{leg}: filled is told as {', '.join(map(str, told))}")
        expect(told[-1] == order.quantity, f"{leg}: {told[-1]} of {order.quantity} is told")


@stream(
    given="a stream of a spot leg",
    when="a BUY that takes",
    then="the balance of the coin is told, as it is read",
    legs=LegKind.SPOT,
)
async def balance_told(desk: Desk) -> None:
    base = (await desk.instrument(Leg.SPOT)).base
    await desk.hear(Leg.SPOT)
    await desk.trade(Leg.SPOT, Side.BUY)
    held = {one.asset: one.total for one in await desk.spot_gateway.read_balances()}[base]
    await desk.until(
        "spot",
        Balance,
        lambda one: one.asset == base and one.total == held,
        what=f"a Balance of {base} with {held}",
    )


@stream(
    given="a stream of a futures leg",
    when="a SELL that takes",
    then="the position is told, negative, in base coins",
    legs=LegKind.FUTURES,
)
async def position_told(desk: Desk) -> None:
    await desk.hear(Leg.FUTURES)
    order, _ = await desk.trade(Leg.FUTURES, Side.SELL)
    await desk.until(
        "futures",
        Position,
        lambda one: one.quantity == -order.quantity,
        what=f"a Position of {-order.quantity}",
    )


@stream(
    given="a stream",
    when="money comes from outside",
    then="a Balance tells it",
    switches=(Switch.DEPOSIT,),
)
async def deposit_told(desk: Desk) -> None:
    await desk.hear()
    leg = desk.legs[0]
    quote = (await desk.instrument(leg)).quote
    before = {one.asset: one.total for one in await desk.gateway(leg).read_balances()}[quote]
    after = len(desk.news)
    await desk.strike(Switch.DEPOSIT)
    await desk.until(
        leg.value,
        Balance,
        lambda one: one.asset == quote and one.total == before + 100,
        what=f"a Balance of {quote} with {before + 100}",
        after=after,
    )


@stream(
    given="an order that rests",
    when="the venue ends it by itself",
    then="its end is told",
    switches=(Switch.VENUE_CANCELS,),
)
async def venue_cancels(desk: Desk) -> None:
    await desk.hear()
    orders = []
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
        orders.append(order)
    await desk.strike(Switch.VENUE_CANCELS)
    for order in orders:
        ours = order.client_order_id
        await desk.until(
            order.leg.value,
            OrderReport,
            lambda r, ours=ours: (
                r.client_order_id == ours  # type: ignore[misc] # binds the loop's value
                and r.status is ReportedStatus.CANCELLED
            ),
            what="the end of an order that the venue cancelled",
        )


async def comes_back(desk: Desk, switch: Switch, *, says_down: bool = True) -> None:
    """Break the streams, and expect that they say so, come back, and tell what follows."""
    await desk.hear()
    before = len(desk.news)
    await desk.strike(switch)
    for leg in desk.legs:
        if says_down:
            await desk.until(leg.value, StreamDown, is_account, after=before)
            await desk.until(
                leg.value, StreamUp, is_account, what="StreamUp after StreamDown", after=before
            )
        story = [type(news) for told, news in desk.news[before:] if told == leg.value]
        states = [kind for kind in story if kind in (StreamUp, StreamDown)]
        expect(
            not states or states[0] is StreamDown,
            f"{leg}: StreamUp is told without a StreamDown before it",
        )
    for leg in desk.legs:
        order = await desk.order(leg)
        await desk.place(order)
        await heard(desk, leg, order)


@stream(
    given="a stream",
    when="it is reset",
    then="StreamDown, StreamUp, and what is traded then is told",
    switches=(Switch.CUT,),
)
async def cut(desk: Desk) -> None:
    await comes_back(desk, Switch.CUT)


@stream(
    given="a stream",
    when="it goes silent without an end",
    then="StreamDown by the plugin's own watch, StreamUp, and what is traded then is told",
    switches=(Switch.HALF_OPEN,),
)
async def half_open(desk: Desk) -> None:
    await comes_back(desk, Switch.HALF_OPEN)


@stream(
    given="a stream",
    when="the venue closes it in good order",
    then="it comes back, and what is traded then is told",
    switches=(Switch.CLOSE,),
)
async def closed(desk: Desk) -> None:
    await comes_back(desk, Switch.CLOSE)


@stream(
    given="a stream",
    when="it says something that cannot be read",
    then="the reader goes on: what is traded then is told",
    switches=(Switch.NONSENSE,),
)
async def nonsense(desk: Desk) -> None:
    await comes_back(desk, Switch.NONSENSE, says_down=False)


@stream(
    given="a venue that tells an order's events before it answers",
    when="an order that takes",
    then="the answer is of this order, and its fills are told once",
    switches=(Switch.EVENT_FIRST,),
)
async def event_first(desk: Desk) -> None:
    await desk.hear()
    for leg in desk.legs:
        await desk.strike(Switch.EVENT_FIRST)
        order = await desk.order(leg)
        await desk.place(order)
        found = await heard(desk, leg, order)
        told = sum((one.quantity for one in found), Decimal(0))
        expect(told == order.quantity, f"{leg}: fills of {told} for {order.quantity}")


@stream(
    given="a stream",
    when="it is reset, and somebody trades while it is down",
    then="StreamUp is told, and read_fills has what was missed",
    legs=LegKind.FUTURES,
    switches=(Switch.CUT, Switch.FOREIGN_FUTURES),
)
async def gap(desk: Desk) -> None:
    await desk.hear(Leg.FUTURES)
    before = len(desk.news)
    await desk.strike(Switch.CUT)
    await desk.strike(Switch.FOREIGN_FUTURES)
    await desk.until("futures", StreamDown, is_account, after=before)
    await desk.until("futures", StreamUp, is_account, after=before)

    async def look() -> Fill | None:
        found = await desk.read_fills(Leg.FUTURES)
        return found[0] if found else None

    await desk.eventually(look, "read_fills to have what was traded in the gap")


@stream(
    given="a stream of each leg",
    when="orders that take",
    then="every number that is told is an exact Decimal",
)
async def exact(desk: Desk) -> None:
    await desk.hear()
    for leg in desk.legs:
        order = await desk.order(leg)
        await desk.place(order)
        await heard(desk, leg, order)
    for _, news in desk.news:
        expect_exact(news)
