"""Executions: each once, whole, with its fee, whoever caused it."""

import asyncio
import contextlib
from decimal import Decimal
from functools import partial

from hedge.errors import Refused
from hedge.model import Fill, FillKind, Leg, Order, Side
from hedge.model.numbers import MS, SECOND, ZERO
from hedge.roles import Can, LegKind
from hedge.testing.cards import Group, card, expect
from hedge.testing.chapters.instruments import expect_exact
from hedge.testing.desk import Desk
from hedge.testing.testbed import Switch

FEE_MAX = Decimal("0.02")
"""No venue takes more of a notional."""
RECENT_S = 60
ROUNDING = Decimal("0.00000002")
fills = partial(card, Group.FILLS)
streamed = partial(fills, can=Can.USER_STREAM)


async def heard(desk: Desk, leg: Leg, order: Order) -> list[Fill]:
    """Return the order's fills as the stream tells them, each key once, once they are whole."""

    def found() -> dict[str, Fill]:
        told = desk.told(leg.value, Fill)
        return {one.key: one for one in told if one.client_order_id == order.client_order_id}

    await desk.settled(
        lambda: sum(one.quantity for one in found().values()) >= order.quantity,
        f"{leg}: the stream to tell fills of {order.quantity}",
    )
    return list(found().values())


async def same_told_and_read(desk: Desk, leg: Leg) -> None:
    """Trade, and expect that stream and read tell the same executions, by the same key."""
    order = await desk.order(leg)
    await desk.place(order)
    told = {one.key: one for one in await heard(desk, leg, order)}
    await asyncio.sleep(0.1)
    whole = sum(
        one.quantity
        for one in {f.key: f for f in desk.told(leg.value, Fill)}.values()
        if one.client_order_id == order.client_order_id
    )
    expect(whole == order.quantity, f"{leg}: {order.quantity} was traded, {whole} told")
    read = {one.key: one for one in await desk.fills_of(order, order.quantity)}
    expect(
        sorted(told) == sorted(read), f"{leg}: told as {sorted(told)}, and read as {sorted(read)}"
    )
    for key, one in told.items():
        other = read[key]
        expect(
            (one.quantity, one.price, one.side, one.filled_at // MS)
            == (other.quantity, other.price, other.side, other.filled_at // MS),
            f"{leg}: fill {key} is told as {one.quantity} at {one.price}, read as"
            f" {other.quantity} at {other.price}",
        )


@streamed(
    given="an account's stream",
    when="an order that takes",
    then="the stream and read_fills tell the same executions under the same keys",
)
async def told_and_read(desk: Desk) -> None:
    await desk.hear()
    for leg in desk.legs:
        await same_told_and_read(desk, leg)


@streamed(
    given="a stream that tells each execution twice",
    when="an order that takes",
    then="by its key each counts once",
    switches=(Switch.DUPLICATE,),
)
async def duplicated(desk: Desk) -> None:
    await desk.hear()
    await desk.strike(Switch.DUPLICATE)
    for leg in desk.legs:
        await same_told_and_read(desk, leg)


@streamed(
    given="a stream that tells executions after what follows them",
    when="an order that takes",
    then="all are told all the same",
    switches=(Switch.REORDER,),
)
async def reordered(desk: Desk) -> None:
    await desk.hear()
    await desk.strike(Switch.REORDER)
    for leg in desk.legs:
        await same_told_and_read(desk, leg)


@fills(
    given="an order that took",
    when="read_fills",
    then="leg, symbol, side, kind TRADE, a price within the limit, an id, and exact numbers",
)
async def whole(desk: Desk) -> None:
    for leg in desk.legs:
        for side in (Side.BUY, Side.SELL):
            order, found = await desk.trade(leg, side)
            total = sum(one.quantity for one in found)
            expect(
                total == order.quantity,
                f"{leg}: fills of {total} were read for {order.quantity} base coins",
            )
            for one in found:
                expect_exact(one)
                expect((one.leg, one.symbol) == (leg, order.symbol), f"{leg}: of {one.symbol}")
                expect(one.side is side, f"{leg}: a fill of a {side} says {one.side}")
                expect(one.kind is FillKind.TRADE, f"{leg}: its kind is {one.kind}")
                expect(one.fill_id, f"{leg}: a fill without fill_id")
                worse = (one.price - order.limit_price) * side.sign
                expect(worse <= 0, f"{leg}: filled at {one.price}, limit {order.limit_price}")
                apart = abs(one.filled_at - desk.clock.now()) / SECOND
                expect(
                    apart < RECENT_S, f"{leg}: filled_at is {apart:.0f} s from now; it is ns UTC"
                )


@fills(
    given="a futures leg",
    when="an order that takes",
    then="the fee is paid in the settle asset, a fraction of the notional",
    legs=LegKind.FUTURES,
)
async def futures_fee(desk: Desk) -> None:
    instrument = await desk.instrument(Leg.FUTURES)
    _, found = await desk.trade(Leg.FUTURES, Side.SELL)
    for one in found:
        expect(one.fee_asset == instrument.settle, f"its fee_asset is {one.fee_asset!a}")
        limit = one.quantity * one.price * FEE_MAX
        expect(abs(one.fee) <= limit, f"a fee of {one.fee} on {one.quantity} at {one.price}")
        expect(one.fee, "a fee of zero: read it from the venue, or read_fees must say zero too")


@fills(
    given="a spot leg",
    when="a BUY and a SELL that take",
    then="both balances change by what was traded, less the fee in its own asset",
    legs=LegKind.SPOT,
)
async def spot_identity(desk: Desk) -> None:
    instrument = await desk.instrument(Leg.SPOT)
    for side in (Side.BUY, Side.SELL):
        before = await totals(desk)
        _, found = await desk.trade(Leg.SPOT, side)
        wanted = dict(before)
        for one in found:
            notional = one.quantity * one.price
            for asset, change in (
                (instrument.base, one.signed_quantity),
                (instrument.quote, -notional * side.sign),
                (one.fee_asset, -one.fee),
            ):
                wanted[asset] = wanted.get(asset, ZERO) + change

        async def look(wanted: dict[str, Decimal] = wanted) -> bool | None:
            after = await totals(desk)
            return (
                all(
                    abs(after.get(asset, ZERO) - total) <= ROUNDING
                    for asset, total in wanted.items()
                )
                or None
            )

        fees = ", ".join(f"{one.fee} {one.fee_asset}" for one in found)
        await desk.eventually(
            look, f"the balances to change by a {side} with fees {fees}", for_s=2.0
        )


async def totals(desk: Desk) -> dict[str, Decimal]:
    return {one.asset: one.total for one in await desk.spot_gateway.read_balances()}


@fills(
    given="an account that pays its spot fees in a third coin",
    when="an order that takes",
    then="fee_asset is that coin, and fee_rate_quote (or its Balance) says what it is worth",
    legs=LegKind.SPOT,
    standing=(Switch.FEE_COIN,),
)
async def fee_coin(desk: Desk) -> None:
    await desk.hear(Leg.SPOT)
    instrument = await desk.instrument(Leg.SPOT)
    order = await desk.order(Leg.SPOT)
    await desk.place(order)
    for one in await desk.fills_of(order, order.quantity):
        expect(
            one.fee_asset not in (instrument.base, instrument.quote, ""),
            f"the fee was paid in a third coin, and fee_asset is {one.fee_asset!a}",
        )

    async def look() -> Fill | None:
        rates = {b.asset: b.rate_quote for b in await desk.spot_gateway.read_balances()}
        for one in await desk.fills_of(order, order.quantity):
            if rate := one.fee_rate_quote or rates.get(one.fee_asset):
                worth = one.fee * rate
                limit = one.quantity * one.price * FEE_MAX
                expect(0 < worth <= limit, f"the fee is worth {worth}")
                return one
        return None

    await desk.eventually(look, "fee_rate_quote, or Balance.rate_quote, of the fee's coin")


@fills(
    given="an account that others trade on too",
    when="a foreign execution",
    then="read_fills and the stream tell it, and never under an id of ours",
    legs=LegKind.SPOT,
    switches=(Switch.FOREIGN_SPOT,),
)
async def foreign_spot(desk: Desk) -> None:
    await foreign(desk, Leg.SPOT, Switch.FOREIGN_SPOT)


@fills(
    given="an account that others trade on too",
    when="a foreign execution in the perpetual",
    then="read_fills and the stream tell it, and never under an id of ours",
    legs=LegKind.FUTURES,
    switches=(Switch.FOREIGN_FUTURES,),
)
async def foreign_futures(desk: Desk) -> None:
    await foreign(desk, Leg.FUTURES, Switch.FOREIGN_FUTURES)


async def foreign(desk: Desk, leg: Leg, switch: Switch) -> None:
    """Let somebody else trade, and expect that it is told and read as foreign."""
    await desk.hear(leg)
    ours, _ = await desk.trade(leg)
    await desk.strike(switch)

    async def look() -> Fill | None:
        found = [
            one for one in await desk.read_fills(leg) if one.client_order_id != ours.client_order_id
        ]
        return found[0] if found else None

    found = await desk.eventually(look, f"{leg}: read_fills to have the foreign execution")
    expect(
        not found.client_order_id.startswith("HK"),
        f"{leg}: a foreign fill says {found.client_order_id!a}",
    )
    if Can.USER_STREAM in desk.spec.can:
        await desk.until(
            leg.value, Fill, lambda one: one.key == found.key, what="the foreign execution"
        )


@fills(
    given="an execution at a known time",
    when="read_fills from that very time, and from later",
    then="it is in the first, and not in the second",
)
async def since(desk: Desk) -> None:
    for leg in desk.legs:
        _, found = await desk.trade(leg)
        last = max(one.filled_at for one in found)
        gateway, symbol = desk.gateway(leg), desk.symbols[leg]
        keys = {one.key for one in await gateway.read_fills(symbol, last)}
        expect(found[-1].key in keys, f"{leg}: read_fills(since=filled_at) leaves the fill out")
        later = [one.key for one in await gateway.read_fills(symbol, last + 5 * MS)]
        expect(not later, f"{leg}: read_fills tells fills from before since")


@fills(
    given="more executions than one page of the venue holds",
    when="read_fills",
    then="all of them, each once",
    switches=(Switch.MANY_FILLS,),
)
async def every_page(desk: Desk) -> None:
    leg = desk.legs[0]
    before = len(await desk.read_fills(leg))
    await desk.strike(Switch.MANY_FILLS)
    filled = sum(one.filled for one in desk.testbed.truth().orders if one.leg is leg)
    expect(not before, f"{leg}: fills before anything was traded")
    found = await desk.read_fills(leg)
    read = sum(one.quantity for one in found)
    expect(read == filled, f"{leg}: {filled} was traded, and read_fills has {read}: read all pages")
    expect(len({one.key for one in found}) == len(found), f"{leg}: read_fills has a key twice")


@fills(
    given="an order that rests",
    when="the market takes it",
    then="its fill says maker, and the order FILLED",
    switches=(Switch.TAKEN,),
)
async def maker(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.resting(leg)
        await desk.place(order)
        await desk.strike(Switch.TAKEN)
        end = await desk.end_of(order)
        expect(end.filled == order.quantity, f"{leg}: filled {end.filled} of {order.quantity}")
        found = await desk.fills_of(order, end.filled)
        expect(all(one.maker for one in found), f"{leg}: a maker's fill does not say maker")


@fills(
    given="a short position",
    when="half of it is auto-deleveraged",
    then="a fill of that kind is read and told, without an id of ours",
    legs=LegKind.FUTURES,
    switches=(Switch.DELEVERAGE,),
)
async def deleveraged(desk: Desk) -> None:
    await forced(desk, Switch.DELEVERAGE, FillKind.AUTO_DELEVERAGING)


@fills(
    given="a short position",
    when="it is liquidated",
    then="a fill of that kind is read and told, without an id of ours",
    legs=LegKind.FUTURES,
    switches=(Switch.LIQUIDATE,),
)
async def liquidated(desk: Desk) -> None:
    await forced(desk, Switch.LIQUIDATE, FillKind.LIQUIDATION)


async def forced(desk: Desk, switch: Switch, kind: FillKind) -> None:
    """Have the venue close the short, and expect a fill that says why."""
    await desk.hear(Leg.FUTURES)
    order, _ = await desk.trade(Leg.FUTURES, Side.SELL)
    await desk.strike(switch)

    async def look() -> Fill | None:
        found = [
            one
            for one in await desk.read_fills(Leg.FUTURES)
            if one.client_order_id != order.client_order_id
        ]
        return found[0] if found else None

    found = await desk.eventually(look, f"read_fills to have the {kind}")
    expect(found.kind is kind, f"its kind is {found.kind}, not {kind}")
    expect(found.side is Side.BUY, f"what closes a short is a BUY, not a {found.side}")
    if Can.USER_STREAM in desk.spec.can:
        await desk.until(
            "futures", Fill, lambda one: one.kind is kind, what=f"a fill of kind {kind}"
        )


@fills(
    given="an order that was refused",
    when="read_fills",
    then="nothing",
)
async def none(desk: Desk) -> None:
    for leg in desk.legs:
        order = await desk.order(leg)
        order = await desk.order(leg, signed_at=order.signed_at - 3_600 * SECOND)
        with contextlib.suppress(Refused):
            await desk.place(order)
        found = await desk.read_fills(leg)
        expect(not found, f"{leg}: nothing was traded, and read_fills has {len(found)}")
