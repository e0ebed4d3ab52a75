"""Errors: ours, by blame, with the venue's code, and never with a key."""

from functools import partial

from hedge.errors import Limited, Missing, Refused, VenueError
from hedge.model import Leg
from hedge.roles import VenueContext
from hedge.testing.cards import Group, card, expect
from hedge.testing.desk import Desk, raises
from hedge.testing.testbed import Switch

errors = partial(card, Group.ERRORS)
WORDS_MAX = 500
"""Letters of one error."""
WRONG = "WRONGkey0123456789abcdefWRONGkey0123456789ab"


@errors(
    given="a rate limit that is used up",
    when="an order",
    then="Limited, with the seconds to wait; nothing is performed, nothing sent again",
    switches=(Switch.RATE_LIMIT,),
)
async def limited(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg)
        await desk.strike(Switch.RATE_LIMIT)
        error = await raises(desk.send(order), Limited, what=f"{leg}: an order over the limit")
        expect(error.retry_after_s >= 1, f"{leg}: retry_after_s is {error.retry_after_s}")
        count = sum(one.leg is leg for one in desk.testbed.truth().orders)
        expect(not count, f"{leg}: it was sent again: the venue performed {count}")
        await desk.testbed.clear()


@errors(
    given="an order that is off the rules",
    when="place_order",
    then="Refused in one line of words, with the venue's code, and without a key",
)
async def one_line(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.off_the_lot(leg)
        error = await raises(desk.send(order), Refused, what=f"{leg}: off the lot")
        text = str(error)
        expect(
            text and "\n" not in text and len(text) < WORDS_MAX, f"{leg}: its words are {text!a}"
        )
        expect(error.code, f"{leg}: Refused without a code")
        for secret in desk.context.secrets.values():
            expect(secret not in text, f"{leg}: an error holds a key")


@errors(
    given="a symbol that the venue does not trade",
    when="an order, and reads",
    then="Refused or Missing; no KeyError, no empty answer from listen",
)
async def unknown_symbol(desk: Desk) -> None:
    for leg in desk.legs:
        symbol = "NOCOINX/USDT" + (":USDT" if leg is Leg.FUTURES else "")
        order = await desk.order(leg)
        order = await desk.order(leg, symbol=symbol, quantity=order.quantity)
        calls = {
            "place_order": desk.send(order),
            "read_fills": desk.gateway(leg).read_fills(symbol, desk.clock.now()),
            "read_open_orders": desk.gateway(leg).read_open_orders(symbol),
        }
        if leg is Leg.FUTURES:
            calls["read_position"] = desk.gateway(leg).read_position(symbol)
        for name, call in calls.items():
            await raises(call, Refused, Missing, what=f"{leg}: {name} of {symbol}")


@errors(
    given="a key that the venue does not know",
    when="a read and an order",
    then="Refused, and no word of the key",
)
async def wrong_key(desk: Desk) -> None:
    context = VenueContext(
        settings=desk.context.settings,
        clock=desk.clock,
        environment=desk.context.environment,
        account="wrong",
        secrets=dict.fromkeys(desk.context.secrets, WRONG),
        shared={},
    )
    if not context.secrets:
        return  # a venue without keys: nobody can have a wrong one
    order = await desk.order(desk.legs[0])
    hook = f"{desk.legs[0].value}_gateway"
    try:
        role, _ = getattr(desk.host, hook)(desk.venue, context)
        async with role as gateway:
            calls = {
                "read_balances": gateway.read_balances(),
                "place_order": gateway.place_order(order),
            }
            for name, call in calls.items():
                error = await raises(call, Refused, what=f"{name} with a wrong key")
                expect(WRONG not in str(error), f"{name}: the error holds the key")
    except VenueError as error:  # an opening that asks already
        expect(isinstance(error, Refused), f"opening with a wrong key: {type(error).__name__}")
        expect(WRONG not in str(error), "the error holds the key")
