"""Money flows: funding rates with their interval, and the cash of each settlement."""

from functools import partial

from hedge.model import FundingPayment, FundingRate, Leg, RateOrigin, Side
from hedge.model.numbers import DAY, HOUR, SECOND
from hedge.roles import LegKind
from hedge.testing.cards import Group, card, expect
from hedge.testing.chapters.instruments import expect_exact
from hedge.testing.desk import Desk
from hedge.testing.testbed import Switch

money = partial(card, Group.MONEY, legs=LegKind.FUTURES)
public = partial(card, Group.MONEY, legs=LegKind.FUTURES, trades=False)
RATE_MAX = 1
NEAR_S = 5


def expect_rate(desk: Desk, rate: FundingRate) -> None:
    """Expect a rate that can be used: of this symbol, a fraction, with its interval."""
    symbol = desk.symbols[Leg.FUTURES]
    expect(rate.symbol == symbol, f"a rate of {rate.symbol!a} for {symbol}")
    expect_exact(rate)
    expect(abs(rate.rate) < RATE_MAX, f"rate {rate.rate}: a fraction per interval, not per cent")
    expect(0 < rate.interval_s <= DAY // SECOND, f"interval_s is {rate.interval_s}")


@public(
    given="a perpetual",
    when="read_rate",
    then="a fraction per interval_s, and next_at in the future, within one interval",
)
async def rate(desk: Desk) -> None:
    found = await desk.funding_source.read_rate(desk.symbols[Leg.FUTURES])
    expect_rate(desk, found)
    left = (found.next_at - desk.clock.now()) / SECOND
    expect(
        -NEAR_S < left <= found.interval_s + NEAR_S,
        f"next_at is {left:.0f} s from now, the interval {found.interval_s} s",
    )


@public(
    given="a venue of perpetuals",
    when="read_rates",
    then="the symbol is among them once, with its interval",
)
async def rates(desk: Desk) -> None:
    symbol = desk.symbols[Leg.FUTURES]
    found = [one for one in await desk.funding_source.read_rates() if one.symbol == symbol]
    expect(len(found) == 1, f"read_rates has {symbol} {len(found)} times")
    expect_rate(desk, found[0])
    other = await desk.funding_source.read_rate(symbol)
    expect(
        found[0].interval_s == other.interval_s,
        f"read_rates says {found[0].interval_s} s, read_rate {other.interval_s} s",
    )


@public(
    given="a perpetual",
    when="listen",
    then="a FundingRate is told",
)
async def rate_told(desk: Desk) -> None:
    symbol = desk.symbols[Leg.FUTURES]
    await desk.funding_source.listen(symbol, desk.sink("funding"))
    expect_rate(desk, await desk.until("funding", FundingRate))


@public(
    given="settlements in the past",
    when="read_history of a day, and of the second half of it",
    then="SETTLED rates, oldest first, since <= observed_at < until",
)
async def history(desk: Desk) -> None:
    symbol, now = desk.symbols[Leg.FUTURES], desk.clock.now()
    found = await desk.funding_source.read_history(symbol, now - 3 * DAY, now + SECOND)
    times = [one.observed_at for one in found]
    expect(times == sorted(set(times)), "read_history is not oldest first, each once")
    for one in found:
        expect_rate(desk, one)
        expect(one.origin is RateOrigin.SETTLED, f"a rate of history is {one.origin}")
    if found:
        last = times[-1]
        until = await desk.funding_source.read_history(symbol, now - 3 * DAY, last)
        expect(all(one.observed_at < last for one in until), "read_history: until is exclusive")
        since = await desk.funding_source.read_history(symbol, last, last + 1)
        expect([one.observed_at for one in since] == [last], "read_history: since is inclusive")


@money(
    given="a short position",
    when="a funding settlement",
    then="one payment: the position, its cash with the rate's sign (a short is paid by a"
    " positive rate), on the wallet",
    switches=(Switch.SETTLE,),
)
async def settlement(desk: Desk) -> None:
    symbol = desk.symbols[Leg.FUTURES]
    order, _ = await desk.trade(Leg.FUTURES, Side.SELL)
    settle = (await desk.instrument(Leg.FUTURES)).settle
    since = desk.clock.now() - SECOND
    before = desk.testbed.truth().balances[Leg.FUTURES][settle]
    await desk.strike(Switch.SETTLE)

    async def look() -> FundingPayment | None:
        found = await desk.funding_source.read_payments(symbol, since)
        return found[0] if found else None

    paid = await desk.eventually(look, "read_payments to have the settlement")
    expect_exact(paid)
    expect(paid.asset == settle, f"it is paid in {paid.asset!a}")
    expect(paid.quantity == -order.quantity, f"paid on {paid.quantity}, held {-order.quantity}")
    expect((paid.cash > 0) == (paid.rate > 0), f"cash {paid.cash} at rate {paid.rate} on a short")
    expect(paid.interval_s > 0, f"its interval_s is {paid.interval_s}")
    change = desk.testbed.truth().balances[Leg.FUTURES][settle] - before
    expect(paid.cash == change, f"the wallet changed by {change}, and the payment says {paid.cash}")


@money(
    given="a short position, and two settlements",
    when="read_payments from the second",
    then="the second alone; ids differ, oldest first",
    switches=(Switch.SETTLE,),
)
async def payments_since(desk: Desk) -> None:
    symbol = desk.symbols[Leg.FUTURES]
    await desk.trade(Leg.FUTURES, Side.SELL)
    begin = desk.clock.now() - SECOND
    for count in (1, 2):
        await desk.strike(Switch.SETTLE)

        async def look(count: int = count) -> bool | None:
            return True if len(await read(begin)) >= count else None

        async def read(since: int) -> tuple[FundingPayment, ...]:
            found: tuple[FundingPayment, ...] = await desk.funding_source.read_payments(
                symbol, since
            )
            return found

        await desk.eventually(look, f"{count} payments")
    paid = await desk.funding_source.read_payments(symbol, begin)
    expect(len({one.payment_id for one in paid}) == len(paid), "two payments have one payment_id")
    times = [one.settled_at for one in paid]
    expect(times == sorted(times), "read_payments is not oldest first")
    later = await desk.funding_source.read_payments(symbol, times[-1])
    ids = [one.payment_id for one in later]
    expect(ids == [paid[-1].payment_id], f"read_payments(since=the last) has {len(ids)}")


@money(
    given="no position",
    when="a funding settlement",
    then="no payment, and a settled rate in read_history",
    switches=(Switch.SETTLE,),
)
async def flat_pays_nothing(desk: Desk) -> None:
    symbol, since = desk.symbols[Leg.FUTURES], desk.clock.now() - HOUR
    before = len(await desk.funding_source.read_history(symbol, since, since + DAY))
    await desk.strike(Switch.SETTLE)

    async def look() -> bool | None:
        found = await desk.funding_source.read_history(symbol, since, desk.clock.now() + DAY)
        return True if len(found) > before else None

    await desk.eventually(look, "read_history to have the settlement")
    paid = await desk.funding_source.read_payments(symbol, since)
    expect(not paid, f"without a position read_payments has {len(paid)}")
