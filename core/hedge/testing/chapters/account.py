"""The account: balances, position, margin, modes, the key and the clock."""

from decimal import Decimal
from functools import partial

from hedge.errors import HedgeError, Refused
from hedge.model import Leg, PositionMode, Side
from hedge.model.numbers import MS, SECOND, ZERO
from hedge.roles import LegKind
from hedge.testing.cards import Failed, Group, card, expect
from hedge.testing.chapters.instruments import expect_exact
from hedge.testing.desk import Desk, raises
from hedge.testing.testbed import AHEAD_MS, Switch

NEAR_MS = 400
NEAR_S = 5
LEVERAGE = 3
LEVERAGE_MAX = 125
account = partial(card, Group.ACCOUNT)
futures = partial(account, legs=LegKind.FUTURES)


@account(
    given="money on the account",
    when="read_balances",
    then="each asset once, exact, as the venue has it",
)
async def balances(desk: Desk) -> None:
    for leg in desk.legs:
        found = await desk.gateway(leg).read_balances()
        expect(any(one.total > 0 for one in found), f"{leg}: read_balances has no money")
        names = [one.asset for one in found]
        expect(len(names) == len(set(names)), f"{leg}: an asset twice: {names}")
        truth = desk.truth()
        for one in found:
            expect_exact(one)
            has = truth.balances[leg].get(one.asset) if truth is not None else None
            if has is not None:
                expect(one.total == has, f"{leg}: {one.asset} is {one.total}, and truly {has}")


@account(
    given="a spot leg",
    when="a BUY rests, and read_balances",
    then="its quote is locked: free is less, the total is the same",
    legs=LegKind.SPOT,
)
async def locked(desk: Desk) -> None:
    quote = (await desk.instrument(Leg.SPOT)).quote
    before = {one.asset: one for one in await desk.spot_gateway.read_balances()}[quote]
    order = await desk.resting(Leg.SPOT)
    await desk.place(order)
    after = {one.asset: one for one in await desk.spot_gateway.read_balances()}[quote]
    expect(after.free < before.free, f"free {quote} is still {after.free} while a BUY rests")
    expect(after.total == before.total, f"{quote}: {before.total} became {after.total}")
    await desk.cancel(order)


@futures(
    given="no position",
    when="read_position",
    then="a quantity of zero, never Missing",
)
async def flat(desk: Desk) -> None:
    found = await desk.futures_gateway.read_position(desk.symbols[Leg.FUTURES])
    expect(found.quantity == 0, f"a flat position is {found.quantity}")
    expect(found.symbol == desk.symbols[Leg.FUTURES], f"it is of {found.symbol!a}")


@futures(
    given="no position",
    when="a SELL that takes, and read_position",
    then="negative, in base coins after contract size, as the venue has it, with its cost",
)
async def short(desk: Desk) -> None:
    order, found = await desk.trade(Leg.FUTURES, Side.SELL)
    position = await desk.futures_gateway.read_position(order.symbol)
    expect_exact(position)
    expect(
        position.quantity == -order.quantity,
        f"sold {order.quantity} base coins, and the position is {position.quantity}",
    )
    truth = desk.truth()
    if truth is not None:
        expect(position.quantity == truth.position, f"the venue has {truth.position}")
    cost = sum((one.signed_quantity * one.price for one in found), ZERO)
    expect(
        abs(position.entry_notional - cost) <= abs(cost) / 1_000,
        f"entry_notional is {position.entry_notional}; the cost of the short is {cost}",
    )


@futures(
    given="a futures account",
    when="read_margin",
    then="wallet and free cash, exact, and not more free than there is",
)
async def margin(desk: Desk) -> None:
    symbol = desk.symbols[Leg.FUTURES]
    found = await desk.futures_gateway.read_margin(symbol)
    expect_exact(found)
    expect(found.wallet > 0 and found.free > 0, f"free {found.free}, wallet {found.wallet}")
    order, _ = await desk.trade(Leg.FUTURES, Side.SELL)
    after = await desk.futures_gateway.read_margin(symbol)
    bound = order.notional / (after.leverage or LEVERAGE_MAX) / 2
    expect(found.free - after.free >= bound, "a short binds margin, and free is not less by it")
    expect(
        after.ratio is None or 0 <= after.ratio < 1,
        f"ratio {after.ratio}: maintenance margin / margin balance, 1 = liquidated",
    )


@futures(
    given="a futures account",
    when="prepare, twice",
    then="the leverage is set at the venue, and read back",
)
async def prepare(desk: Desk) -> None:
    symbol = desk.symbols[Leg.FUTURES]
    for _ in range(2):
        await desk.futures_gateway.prepare(symbol, LEVERAGE)
    found = await desk.futures_gateway.read_margin(symbol)
    expect(found.leverage == LEVERAGE, f"prepared for {LEVERAGE}, and leverage is {found.leverage}")
    truth = desk.truth()
    if truth is not None and truth.leverage is not None:
        expect(truth.leverage == LEVERAGE, f"the venue has leverage {truth.leverage}")
    mode = await desk.futures_gateway.read_position_mode()
    expect(mode is PositionMode.ONE_WAY, f"the position mode is {mode}")


@futures(
    given="a futures account in hedge mode",
    when="read_position, read_position_mode, and prepare",
    then="HEDGE; then ONE_WAY, or Refused",
    standing=(Switch.HEDGE_MODE,),
)
async def hedge_mode(desk: Desk) -> None:
    await desk.futures_gateway.read_position(desk.symbols[Leg.FUTURES])
    mode = await desk.futures_gateway.read_position_mode()
    expect(mode is PositionMode.HEDGE, f"the account is in hedge mode, and it is read as {mode}")
    try:
        await desk.futures_gateway.prepare(desk.symbols[Leg.FUTURES], LEVERAGE)
    except Refused:
        return
    mode = await desk.futures_gateway.read_position_mode()
    expect(mode is PositionMode.ONE_WAY, f"prepare left the account in {mode}, and did not refuse")


@account(
    given="an account",
    when="read_fees",
    then="fractions of a notional, and the asset that a spot BUY pays in",
)
async def fees(desk: Desk) -> None:
    for leg in desk.legs:
        found = await desk.account_check.read_fees(desk.symbols[leg])
        expect_exact(found)
        for name in ("maker", "taker"):
            rate = getattr(found, name)
            expect(
                abs(rate) < Decimal("0.02"),
                f"{leg}: {name} is {rate}; a fraction, not per cent",
            )
        expect(found.taker > 0, f"{leg}: a taker fee of {found.taker}")
        if leg is Leg.SPOT:
            expect(found.buy_asset, "spot: buy_asset is empty")


@account(
    given="a key that may trade, and no more",
    when="read_key_rights",
    then="trade, and not withdraw",
)
async def key(desk: Desk) -> None:
    found = await desk.account_check.read_key_rights()
    expect(found.trade, "the key may trade, and read_key_rights says no")
    expect(not found.withdraw, "the key may not withdraw, and read_key_rights says it may")


@account(
    given="a key that may withdraw",
    when="read_key_rights",
    then="withdraw: the doctor warns of it",
    standing=(Switch.KEY_WITHDRAWS,),
)
async def key_withdraws(desk: Desk) -> None:
    found = await desk.account_check.read_key_rights()
    expect(found.withdraw, "the key may withdraw, and read_key_rights does not say so")


@account(
    given="a key that may not trade",
    when="read_key_rights, and an order",
    then="not trade; the order is Refused",
    standing=(Switch.KEY_READS_ONLY,),
)
async def key_reads_only(desk: Desk) -> None:
    found = await desk.account_check.read_key_rights()
    expect(not found.trade, "the key may not trade, and read_key_rights says it may")
    for leg in desk.legs:
        order = await desk.order(leg)
        await raises(desk.send(order), Refused, what=f"{leg}: an order with this key")


@account(
    given="a venue",
    when="read_clock, and read_clock_offset_ms",
    then="the venue's time in ns, and an offset near zero",
)
async def clock(desk: Desk) -> None:
    offset = await desk.account_check.read_clock_offset_ms()
    truth = desk.truth()
    expect(truth is None or abs(offset) < NEAR_MS, f"both clocks agree; the offset is {offset} ms")
    for leg in desk.legs:
        apart = abs(await desk.gateway(leg).read_clock() - desk.clock.now()) / SECOND
        expect(apart < NEAR_S, f"{leg}: read_clock is {apart:.0f} s from now; it is ns UTC")


@account(
    given="a venue whose clock is 7 s ahead",
    when="read_clock_offset_ms, and an order signed in the venue's time",
    then="7000, and the order is taken: requests are signed in the venue's time",
    standing=(Switch.CLOCK_AHEAD,),
)
async def clock_ahead(desk: Desk) -> None:
    offset = await desk.account_check.read_clock_offset_ms()
    expect(
        abs(offset - AHEAD_MS) < NEAR_MS,
        f"the venue is {AHEAD_MS} ms ahead, and read_clock_offset_ms says {offset}",
    )
    for leg in desk.legs:
        order = await desk.order(leg, ahead_ns=AHEAD_MS * MS)
        try:
            await desk.place(order)
        except HedgeError as error:
            raise Failed(f"{leg}: an order in the venue's time: {error}") from None
        end = await desk.end_of(order)
        expect(end.filled == order.quantity, f"{leg}: it ended {end.status}")
