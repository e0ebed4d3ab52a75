"""Prices: quotes, marks, and the state of their stream."""

import asyncio
from functools import partial

from hedge.model import Leg, Mark, Quote, StreamDown, StreamUp
from hedge.model.numbers import SECOND
from hedge.roles import Can, LegKind
from hedge.testing.cards import Failed, Group, card, expect
from hedge.testing.chapters.instruments import expect_exact
from hedge.testing.desk import Desk
from hedge.testing.testbed import Switch

NEAR_S = 5
MARK_APART = 20
"""A mark or index further than a part in so many from the middle is another instrument's."""
market = partial(card, Group.MARKET, trades=False)


def name_of(leg: Leg) -> str:
    return f"{leg.value} market"


@market(
    given="a feed of each leg",
    when="listen",
    then="a Quote of this symbol, bid below ask, in exact numbers",
)
async def quote(desk: Desk) -> None:
    for leg in desk.legs:
        found = await desk.hear_market(leg)
        expect(found.symbol == desk.symbols[leg], f"a quote of {found.symbol!a} was told")
        expect_exact(found)


@market(given="a feed of each leg", when="listen", then="StreamUp is told")
async def up(desk: Desk) -> None:
    for leg in desk.legs:
        await desk.hear_market(leg)
        await desk.until(name_of(leg), StreamUp)


@market(
    given="a feed of each leg",
    when="listen, and wait for two quotes",
    then="seen_at is the host's time in ns, within 5 s, and never goes back",
)
async def fresh(desk: Desk) -> None:
    for leg in desk.legs:
        await desk.hear_market(leg)
        await desk.settled(
            lambda leg=leg: len(desk.told(name_of(leg), Quote)) > 1,  # type: ignore[misc] # a default binds the loop's value
            f"two quotes of {leg.value}",
        )
        times = [found.seen_at for found in desk.told(name_of(leg), Quote)]
        expect(times == sorted(times), f"{leg}: Quote.seen_at goes back")
        apart = abs(times[-1] - desk.clock.now()) / SECOND
        expect(apart < NEAR_S, f"{leg}: Quote.seen_at is {apart:.0f} s from now; it is ns UTC")


@market(
    given="a feed of perpetuals",
    when="listen",
    then="a Mark, its mark and index within 5 % of the middle",
    legs=LegKind.FUTURES,
)
async def mark(desk: Desk) -> None:
    mid = (await desk.hear_market(Leg.FUTURES)).mid
    found = await desk.until(name_of(Leg.FUTURES), Mark)
    expect_exact(found)
    for word, price in (("mark", found.mark), ("index", found.index)):
        expect(
            abs(price - mid) * MARK_APART <= mid, f"Mark.{word} is {price}, and the middle {mid}"
        )


@market(
    given="a venue that claims Can.DEPTH",
    when="listen",
    then="quotes carry both depths, in base coins",
    can=Can.DEPTH,
)
async def depth(desk: Desk) -> None:
    for leg in desk.legs:
        await desk.hear_market(leg)
        await desk.until(
            name_of(leg),
            Quote,
            lambda found: found.bid_depth > 0 and found.ask_depth > 0,
            what="a quote with bid_depth and ask_depth",
        )


@market(
    given="a feed that listens",
    when="every stream is reset",
    then="StreamDown, StreamUp, and a new Quote",
    switches=(Switch.CUT,),
)
async def cut(desk: Desk) -> None:
    await broken(desk, Switch.CUT)


@market(
    given="a feed that listens",
    when="every stream goes silent, without an end",
    then="StreamDown by the plugin's own watch, StreamUp, and a new Quote",
    switches=(Switch.HALF_OPEN,),
)
async def half_open(desk: Desk) -> None:
    await broken(desk, Switch.HALF_OPEN)


async def broken(desk: Desk, switch: Switch) -> None:
    """Break the streams, and expect each feed to say so and to come back."""
    for leg in desk.legs:
        await desk.hear_market(leg)
        await desk.until(name_of(leg), StreamUp)
    before = len(desk.news)
    await desk.strike(switch)
    for leg in desk.legs:
        name = name_of(leg)
        await desk.until(name, StreamDown, after=before)
        await desk.until(name, StreamUp, after=before, what="StreamUp after StreamDown")
        down = next(
            number
            for number, (told, news) in enumerate(desk.news)
            if number >= before and told == name and isinstance(news, StreamDown)
        )
        await desk.until(name, Quote, lambda q: q.usable, after=down, what="a quote after the gap")


@market(
    given="a feed that listens",
    when="the roles are closed",
    then="nothing more is told",
)
async def silence(desk: Desk) -> None:
    for leg in desk.legs:
        await desk.hear_market(leg)
    await desk.close()
    after = len(desk.news)
    await asyncio.sleep(0.3)
    told = [news for _, news in desk.news[after:] if isinstance(news, Quote | Mark)]
    if told:
        raise Failed(f"after __aexit__ it still tells: {type(told[0]).__name__}")
