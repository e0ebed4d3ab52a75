"""No answer is not a no: what was sent and not answered is OutcomeUnknown, and never sent again."""

from functools import partial

from hedge.errors import HedgeError, Missing, OutcomeUnknown, Refused, Unreachable
from hedge.model import Leg, Order, OrderReport, ReportedStatus
from hedge.model.numbers import SECOND
from hedge.testing.cards import Failed, Group, card, expect
from hedge.testing.desk import Desk, raises
from hedge.testing.testbed import Switch

PATIENCE_S = 2
"""How much longer than ``ack_timeout_ms`` an unanswered order may keep its caller."""
ambiguity = partial(card, Group.AMBIGUITY)


async def struck(desk: Desk, leg: Leg, switch: Switch) -> Order:
    """Place an order that the switch strikes; expect `OutcomeUnknown`, in time."""
    order = await desk.order(leg)
    await desk.strike(switch)
    began = desk.clock.now()
    await raises(desk.send(order), OutcomeUnknown, what=f"{leg}: place_order")
    took = (desk.clock.now() - began) / SECOND
    limit = desk.gateway(leg).limits.ack_timeout_ms / 1_000 + PATIENCE_S
    expect(took <= limit, f"{leg}: place_order kept its caller {took:.1f} s, allowed {limit:.1f}")
    await desk.testbed.clear()
    return order


async def performed(desk: Desk, switch: Switch) -> None:
    """Each leg: unknown, then found by a read, and performed once."""
    for leg in desk.legs:
        await desk.hear(leg)
        order = await struck(desk, leg, switch)

        async def look(order: Order = order) -> OrderReport | None:
            try:
                return await desk.read(order)
            except (Missing, Unreachable):
                return None

        await desk.eventually(look, f"{leg}: read_order to find what was performed")
        end = await desk.end_of(order)
        expect(end.status is ReportedStatus.FILLED, f"{leg}: it ended {end.status}")
        expect_once(desk, order)


def expect_once(desk: Desk, order: Order) -> None:
    """Expect that nothing but this order was performed on its leg, and that once."""
    truth = desk.testbed.truth()
    count = sum(one.leg is order.leg for one in truth.orders)
    expect(
        len(truth.ours(order.client_order_id)) == 1 and count == 1,
        f"{order.leg}: the venue performed {count} orders; one was placed: never send again",
    )


async def not_performed(desk: Desk, switch: Switch) -> None:
    """Each leg: unknown, then Missing by a read, and nothing performed."""
    for leg in desk.legs:
        await desk.hear(leg)
        order = await struck(desk, leg, switch)
        await raises(desk.read(order), Missing, what=f"{leg}: read_order of what never arrived")
        count = sum(one.leg is leg for one in desk.testbed.truth().orders)
        expect(not count, f"{leg}: the order was sent again: the venue performed {count}")


@ambiguity(
    given="an order that is performed",
    when="its answer is lost with the connection",
    then="OutcomeUnknown; read_order finds it; the venue performed it once",
    switches=(Switch.REPLY_LOST,),
)
async def reply_lost(desk: Desk) -> None:
    await performed(desk, Switch.REPLY_LOST)


@ambiguity(
    given="an order that never arrives",
    when="the connection breaks under it",
    then="OutcomeUnknown; read_order says Missing; it is not sent again",
    switches=(Switch.REQUEST_LOST,),
)
async def request_lost(desk: Desk) -> None:
    await not_performed(desk, Switch.REQUEST_LOST)


@ambiguity(
    given="an order that is performed",
    when="the venue answers that it does not know (a 5xx)",
    then="OutcomeUnknown, never Refused; read_order finds it",
    switches=(Switch.ERROR_PERFORMED,),
)
async def error_performed(desk: Desk) -> None:
    await performed(desk, Switch.ERROR_PERFORMED)


@ambiguity(
    given="an order that is not performed",
    when="the venue answers that it does not know (a 5xx)",
    then="OutcomeUnknown; read_order says Missing; it is not sent again",
    switches=(Switch.ERROR_REFUSED,),
)
async def error_refused(desk: Desk) -> None:
    await not_performed(desk, Switch.ERROR_REFUSED)


@ambiguity(
    given="an order that is performed",
    when="its answer comes after ack_timeout_ms",
    then="OutcomeUnknown in time, and the late answer harms no later order",
    switches=(Switch.REPLY_LATE,),
)
async def reply_late(desk: Desk) -> None:
    await performed(desk, Switch.REPLY_LATE)
    for leg in desk.legs:
        order = await desk.order(leg)
        await desk.place(order)
        await desk.end_of(order)


@ambiguity(
    given="an order that is performed",
    when="its answer does not parse",
    then="OutcomeUnknown, never Malformed or a crash; read_order finds it",
    switches=(Switch.REPLY_GARBLED,),
)
async def reply_garbled(desk: Desk) -> None:
    await performed(desk, Switch.REPLY_GARBLED)


@ambiguity(
    given="an order that rests",
    when="its cancel is performed and the answer is lost",
    then="OutcomeUnknown, or Refused where it asks again; read_order says CANCELLED",
    switches=(Switch.CANCEL_REPLY_LOST,),
)
async def cancel_reply_lost(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
        await desk.strike(Switch.CANCEL_REPLY_LOST)
        await raises(
            desk.cancel(order),
            OutcomeUnknown,
            Refused,
            what=f"{leg}: cancel_order",
        )
        await desk.testbed.clear()
        end = await desk.end_of(order)
        expect(end.status is ReportedStatus.CANCELLED, f"{leg}: it is {end.status}")


@ambiguity(
    given="a venue whose servers fail",
    when="each of the reads",
    then="Unreachable: never an empty list, a zero, or Missing",
    switches=(Switch.READS_FAIL,),
)
async def reads_fail(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
    await desk.strike(Switch.READS_FAIL)
    for leg in desk.legs:
        gateway, symbol = desk.gateway(leg), desk.symbols[leg]
        reads = {
            "read_order": gateway.read_order(symbol, order.client_order_id),
            "read_open_orders": gateway.read_open_orders(symbol),
            "read_fills": gateway.read_fills(symbol, desk.clock.now() - SECOND),
            "read_balances": gateway.read_balances(),
        }
        if leg is Leg.FUTURES:
            reads["read_position"] = gateway.read_position(symbol)
            reads["read_margin"] = gateway.read_margin(symbol)
        for name, read in reads.items():
            await raises(read, Unreachable, what=f"{leg}: {name} on a 5xx")


@ambiguity(
    given="a venue that nobody can reach",
    when="place_order, and a read",
    then="Unreachable (or OutcomeUnknown where it may have left); the read is Unreachable",
    switches=(Switch.GONE,),
)
async def gone(desk: Desk) -> None:
    for leg in desk.legs:
        await desk.hear_market(leg)
        await desk.instrument(leg)
    orders = [await desk.order(leg) for leg in desk.legs]
    await desk.strike(Switch.GONE)
    for order in orders:
        await raises(
            desk.gateway(order.leg).read_balances(),
            Unreachable,
            what=f"{order.leg}: read_balances of a venue that is gone",
        )
        await raises(
            desk.send(order),
            Unreachable,
            OutcomeUnknown,
            what=f"{order.leg}: place_order at a venue that is gone",
        )


@ambiguity(
    given="streams that were just reset",
    when="an order at that moment",
    then="a report, Unreachable or OutcomeUnknown, and reads agree with the venue afterwards",
    switches=(Switch.CUT,),
)
async def order_in_a_gap(desk: Desk) -> None:
    for leg in desk.legs:
        await desk.hear(leg)
        order = await desk.order(leg)
        await desk.strike(Switch.CUT)
        try:
            await desk.place(order)
        except (Unreachable, OutcomeUnknown):
            pass
        except HedgeError as error:
            raise Failed(f"{leg}: {type(error).__name__} from an order in a gap: {error}") from None

        async def look(order: Order = order) -> bool | None:
            known = desk.testbed.truth().ours(order.client_order_id)
            try:
                report = await desk.read(order)
            except Missing:
                return None if known else True
            except Unreachable:
                return None
            return True if known and known[0].filled == report.filled else None

        await desk.eventually(look, f"{leg}: read_order to agree with the venue")
