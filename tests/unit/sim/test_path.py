"""Goal: the path inside a bar is exactly what `hedge_sim.path` states.

Method: real bars of the bundled data and odd ones, looked at second by second.
"""

from decimal import Decimal

import pytest

from hedge.model.numbers import SECOND
from hedge_sim.path import Bar, Waves, points, price_at, range_between, to_units
from hedge_sim.recording import load


def bar(length_s: int = 28_800, at: int = 0, **prices: int) -> Bar:
    four = {"open": 1000, "high": 1100, "low": 950, "close": 1050} | prices
    units = {name: price * 10**10 for name, price in four.items()}
    return Bar(at=at, length=length_s * SECOND, volume=Decimal(1), **units)


@pytest.mark.parametrize("length_s", [20, 60, 3600, 28_800])
@pytest.mark.parametrize("seed", range(5))
def test_the_path_goes_through_open_high_low_and_close_and_stays_between(length_s: int, seed: int):
    one = bar(length_s)
    waves = Waves(seed)
    step = max(length_s // 700, 1)
    seen = [price_at(one, s * SECOND, waves) for s in range(0, length_s, step)]
    assert seen[0] == one.open
    assert price_at(one, one.end, waves) == one.close
    assert price_at(one, one.end - SECOND, waves) == one.close
    for offset, price in points(one, waves.shape(one)):
        assert price_at(one, offset, waves) == price
    assert {one.high, one.low} <= {p for _, p in points(one, waves.shape(one))}
    assert one.low <= min(seen) <= max(seen) <= one.high


def test_the_path_is_a_function_of_seed_and_time_not_of_the_order_of_questions():
    one = bar()
    times = [s * SECOND for s in range(0, 28_800, 97)]
    forwards = {t: price_at(one, t, waves) for waves in [Waves(3)] for t in times}
    backwards = {t: price_at(one, t, waves) for waves in [Waves(3)] for t in reversed(times)}
    assert forwards == backwards
    assert forwards != {t: price_at(one, t, waves) for waves in [Waves(4)] for t in times}


def test_spot_and_perpetual_turn_together_so_that_the_basis_stays_sane():
    recording = load("bundled:btc-8h")
    coin = recording.coins[0]
    waves = Waves(7)
    worst = Decimal(0)
    for at in range(recording.start, recording.end, 611 * SECOND):
        spot, perp = coin.spot.bar_at(at), coin.perp.bar_at(at)
        assert spot is not None
        assert perp is not None
        left, right = price_at(spot, at, waves), price_at(perp, at, waves)
        worst = max(worst, abs(Decimal(right - left)) / left)
    assert worst < Decimal("0.006"), worst


def test_the_range_of_an_interval_knows_the_turning_points():
    one = bar(3600)
    low, high = range_between(one, -1, one.end, Waves(1))
    assert (low, high) == (one.low, one.high)


def test_prices_far_below_a_cent_keep_their_digits():
    assert to_units(Decimal("0.0000012345")) == 12345
