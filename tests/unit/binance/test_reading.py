"""Reading all pages, and summing up early news.

Goal: no trade is lost or doubled at a page's edge, and ``TRADE_LITE`` never tells too much.
Method: random histories served page by page by the venue's rules; the seed stands in the message.
"""

import asyncio
import random
from decimal import Decimal

import pytest

from hedge.model.numbers import MS
from hedge_binance.futures import LiteFills
from hedge_binance.gateway import all_trades
from hedge_binance.link import IDS_KEPT, OrderIds
from hedge_binance.wire import SpotTrade

DAY_MS = 86_400_000


def trade(number, at):
    one = Decimal(1)
    return SpotTrade(number, 1, one, one, one, "BTC", at, is_buyer=True, is_maker=False)


@pytest.mark.parametrize("seed", range(20))
def test_every_trade_is_read_once(seed):
    draw = random.Random(seed)
    page = draw.choice([3, 5, 10])
    start = 1_790_000_000_000
    days = draw.choice([0.01, 0.5, 3])
    count = draw.choice([0, 1, page, 37])
    times = sorted(start + draw.randrange(int(days * DAY_MS)) for _ in range(count))
    if draw.random() < 0.5:
        times = [at - at % 60_000 for at in times]  # several in one millisecond
    history = [trade(n, at) for n, at in enumerate(times)]
    counts = {at: times.count(at) for at in times}
    asked = 0

    async def ask(begin, end):
        nonlocal asked
        asked += 1
        assert begin <= end < begin + DAY_MS, f"seed {seed}: beyond 24 h"
        return [row for row in history if begin <= row.time <= end][:page]

    until = (start + int(days * DAY_MS)) * MS
    found = asyncio.run(all_trades(ask, start * MS, until, DAY_MS, page=page))
    wanted = [row.id for row in history if row.time >= start]
    if max(counts.values(), default=0) < page:
        assert [row.id for row in found] == wanted, f"seed {seed}"
    assert asked <= 2 * count + days + 4, f"seed {seed}"


def test_a_time_ahead_of_the_venue_is_asked_once():
    async def ask(begin, end):
        assert begin <= end
        return []

    assert asyncio.run(all_trades(ask, 5_000 * MS, 4_000 * MS, DAY_MS)) == []


def test_lite_sums_up_and_never_twice():
    lite = LiteFills()
    assert lite.add(1, 10, Decimal(2)) == 2
    assert lite.add(1, 10, Decimal(2)) is None
    assert lite.add(1, 11, Decimal(3)) == 5
    lite.know(1, 13, Decimal(3), Decimal(9))
    assert lite.add(1, 12, Decimal(1)) is None, "the full news had counted it"
    assert lite.add(1, 14, Decimal(1)) == 10
    assert lite.add(2, 1, Decimal(4)) == 4


def test_early_word_that_comes_after_the_end_of_its_order_counts_nothing():
    """The end names no execution: what it had filled was added once more when its word came."""
    lite = LiteFills()
    lite.know(1, 0, Decimal(0), Decimal(1))
    assert lite.add(1, 10, Decimal(1)) is None
    assert lite.add(1, 10, Decimal(1)) is None


@pytest.mark.parametrize("seed", range(50))
def test_lite_never_says_more_than_is_filled(seed):
    """Fills, their early words and the order's end come in any order, doubled and with gaps."""
    chance = random.Random(seed)
    sizes = [Decimal(chance.randint(1, 5)) for _ in range(8)]
    total = sum(sizes)
    news, so_far = [], Decimal(0)
    for number, size in enumerate(sizes, 1):
        so_far += size
        news += [("lite", number, size, None)] * chance.randint(0, 2)
        news += [("full", number, size, so_far)] * chance.randint(0, 2)
    news += [("full", 0, Decimal(0), total)]
    chance.shuffle(news)
    lite, told = LiteFills(), Decimal(0)
    for kind, number, size, cumulative in news:
        if kind == "full":
            lite.know(1, number, size, cumulative)
        elif (found := lite.add(1, number, size)) is not None:
            assert told < found <= total, f"seed {seed}"
            told = found


def test_lite_forgets_the_oldest():
    lite = LiteFills()
    for order_id in range(1_000):
        lite.add(order_id, 1, Decimal(1))
    assert lite.add(999, 2, Decimal(1)) == 2
    assert lite.add(0, 2, Decimal(1)) == 1, "less than the truth, never more"


def test_ids_are_kept_and_bounded():
    ids = OrderIds()
    for order_id in range(IDS_KEPT + 5):
        ids.note(order_id, f"C{order_id}")
    assert ids.get(0) is None and ids.get(IDS_KEPT) == f"C{IDS_KEPT}"
