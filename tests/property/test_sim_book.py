"""Goal: no path leaves its bar, no match gives more than there is or a worse price than allowed.

Method: Hypothesis draws bars, books and orders.
"""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from hedge.model import Side
from hedge.model.numbers import SECOND
from hedge_sim.book import crosses, part_of, passive_part, traded_to, walk
from hedge_sim.market import Level
from hedge_sim.path import Bar, Waves, points, price_at, range_between

units = st.integers(10**8, 10**16)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, left, right, high = sorted(draw(st.lists(units, min_size=4, max_size=4)))
    if draw(st.booleans()):
        left, right = right, left
    length = draw(st.sampled_from([20, 60, 300, 3600, 28_800, 86_400])) * SECOND
    return Bar(
        at=draw(st.integers(0, 10**6)) * length, length=length, open=left, high=high, low=low,
        close=right, volume=Decimal(1),
    )  # fmt: skip


@given(bars(), st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_path_stays_in_its_bar_and_meets_its_points(bar: Bar, seed: int, part: int):
    waves = Waves(seed)
    at = bar.at + bar.length * part // 10**6
    assert bar.low <= price_at(bar, at, waves) <= bar.high
    for offset, price in points(bar, waves.shape(bar)):
        assert price_at(bar, bar.at + offset, waves) == price
    low, high = range_between(bar, bar.at - 1, bar.end, waves)
    assert (low, high) == (bar.low, bar.high)


books = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 1000)), min_size=1, max_size=20)


@given(
    books, st.sampled_from(Side), st.integers(1, 5000), st.integers(1, 600), st.integers(0, 3000)
)
def test_a_walk_takes_best_first_within_limit_and_book(
    rows: list[tuple[int, int]], side: Side, quantity: int, limit: int, taken: int
):
    rows = sorted(
        {price: (price, size) for price, size in rows}.values(), reverse=side is Side.SELL
    )
    levels = [Level(Decimal(price), Decimal(size)) for price, size in rows]
    fills = walk(levels, side, Decimal(quantity), Decimal(limit), Decimal(taken))
    got = sum((part for _, part in fills), Decimal(0))
    prices = [price for price, _ in fills]
    assert prices == sorted(prices, reverse=side is Side.SELL)
    reachable = sum(
        size for price, size in rows if (price <= limit if side is Side.BUY else price >= limit)
    )
    assert got == min(quantity, max(reachable - taken, 0))
    assert all(part > 0 for _, part in fills)
    assert bool(fills) <= crosses(side, Decimal(limit), levels[0].price, levels[0].price)


@given(st.sampled_from(Side), st.integers(1, 100), st.integers(1, 100), st.integers(0, 50))
def test_a_resting_order_needs_a_trade_at_its_price(side: Side, limit: int, low: int, wide: int):
    high = low + wide
    met = traded_to(side, limit, low, high)
    assert met == any(p <= limit if side is Side.BUY else p >= limit for p in range(low, high + 1))


@given(st.integers(1, 1000), st.one_of(st.none(), st.integers(0, 2000)), st.integers(1, 99))
def test_parts_are_on_the_lot_and_never_too_much(lots: int, budget: int | None, share: int):
    lot = Decimal("0.001")
    room = lots * lot
    part = passive_part(room, None if budget is None else Decimal(budget) / 3000, lot)
    assert 0 < part <= room
    assert part % lot == 0
    cut = part_of(room, Decimal(share) / 100, lot)
    assert 0 < cut <= room
    assert cut % lot == 0
