"""What trades: names, units and grids."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial

import msgspec

from hedge.errors import Missing
from hedge.model import InstrumentKind, InstrumentStatus, Leg
from hedge.testing.cards import Group, card, expect
from hedge.testing.desk import Desk, raises
from hedge.testing.testbed import Switch

DIGITS_MAX = 18
"""More digits behind the point than any venue states: the trace of a float."""
instruments = partial(card, Group.INSTRUMENTS, trades=False)


def numbers_of(struct: object) -> Iterator[tuple[str, object]]:
    """Yield the name and value of every field that holds a number, but for times."""
    if isinstance(struct, msgspec.Struct):
        for field in struct.__struct_fields__:
            value = getattr(struct, field)
            if isinstance(value, Decimal | float) and not isinstance(value, bool):
                yield f"{type(struct).__name__}.{field}", value


def expect_exact(struct: object) -> None:
    """Fail where a number is a float, not finite, or has a float's tail."""
    for name, value in numbers_of(struct):
        expect(isinstance(value, Decimal), f"{name} is a float: {value!r}; make it Decimal(text)")
        assert isinstance(value, Decimal)
        expect(value.is_finite(), f"{name} is {value}")
        exponent = int(value.normalize().as_tuple().exponent)
        expect(-exponent <= DIGITS_MAX, f"{name} = {value}: digits of a float, not of the venue")


@instruments(
    given="a feed of each leg",
    when="read_instruments",
    then="the symbol is among them, and no symbol stands there twice",
)
async def listed(desk: Desk) -> None:
    for leg in desk.legs:
        found = [one.symbol for one in await desk.feed(leg).read_instruments()]
        expect(desk.symbols[leg] in found, f"{leg} read_instruments lacks {desk.symbols[leg]}")
        expect(len(found) == len(set(found)), f"{leg} read_instruments has a symbol twice")


@instruments(
    given="a feed of each leg",
    when="read_instrument of the symbol, and read_instruments",
    then="both tell the same units and grids",
)
async def alike(desk: Desk) -> None:
    for leg in desk.legs:
        one = await desk.feed(leg).read_instrument(desk.symbols[leg])
        (other,) = [
            found for found in await desk.feed(leg).read_instruments() if found.symbol == one.symbol
        ]
        expect(
            (one.fingerprint(), one.tick) == (other.fingerprint(), other.tick),
            f"{one.symbol}: read_instrument says {one.fingerprint()}, read_instruments"
            f" {other.fingerprint()}",
        )


@instruments(
    given="a feed of each leg",
    when="read_instrument of a symbol that nobody trades",
    then="Missing",
)
async def missing(desk: Desk) -> None:
    for leg in desk.legs:
        symbol = "NOCOINX/USDT" + (":USDT" if leg is Leg.FUTURES else "")
        await raises(
            desk.feed(leg).read_instrument(symbol), Missing, what=f"read_instrument({symbol})"
        )


@instruments(
    given="a feed of each leg",
    when="read_instrument",
    then="venue, kind, and a unified symbol BASE/QUOTE, with :SETTLE for a perpetual",
)
async def words(desk: Desk) -> None:
    for leg in desk.legs:
        one = await desk.instrument(leg)
        perpetual = leg is Leg.FUTURES
        kind = InstrumentKind.PERPETUAL if perpetual else InstrumentKind.SPOT
        expect(one.kind is kind, f"{one.symbol}: kind is {one.kind}, not {kind}")
        expect(one.venue == desk.venue, f"{one.symbol}: venue is {one.venue!a}, not {desk.venue!a}")
        unified = f"{one.base}/{one.quote}" + (f":{one.settle}" if perpetual else "")
        expect(one.symbol == unified, f"symbol {one.symbol} is not its parts: {unified}")
        expect(bool(one.settle) is perpetual, f"{one.symbol}: settle is {one.settle!a}")


@instruments(
    given="a feed of each leg",
    when="read_instruments",
    then="every number is an exact Decimal, of the digits that the venue states",
)
async def exact(desk: Desk) -> None:
    for leg in desk.legs:
        for one in await desk.feed(leg).read_instruments():
            expect_exact(one)


@instruments(
    given="a feed of each leg",
    when="read_instrument",
    then="the least quantity lies on the lot, the lot is of whole contracts, the maximum above",
)
async def grid(desk: Desk) -> None:
    for leg in desk.legs:
        one = await desk.instrument(leg)
        unit = one.contract_size * one.multiplier
        expect(not one.quantity_min % one.lot, f"{one.symbol}: quantity_min is off the lot")
        expect(
            unit == 1 or not one.lot % unit or not unit % one.lot,
            f"{one.symbol}: lot {one.lot} does not fit contract_size x multiplier = {unit};"
            " lot = venue step x contract_size x multiplier",
        )
        expect(
            not one.quantity_max or one.quantity_max >= max(one.quantity_min, one.lot),
            f"{one.symbol}: quantity_max {one.quantity_max} is below the minimum",
        )


@instruments(
    given="a market that is open",
    when="read_instrument",
    then="its status is TRADING",
)
async def trading(desk: Desk) -> None:
    for leg in desk.legs:
        one = await desk.instrument(leg)
        expect(one.status is InstrumentStatus.TRADING, f"{one.symbol} is {one.status}")


@instruments(
    given="a market that is open",
    when="the venue halts it, and read_instrument",
    then="its status is not TRADING any more",
    switches=(Switch.HALT,),
)
async def halted(desk: Desk) -> None:
    await desk.strike(Switch.HALT)
    for leg in desk.legs:
        one = await desk.feed(leg).read_instrument(desk.symbols[leg])
        expect(
            one.status is not InstrumentStatus.TRADING,
            f"{one.symbol} is halted at the venue, and read_instrument says {one.status}",
        )
