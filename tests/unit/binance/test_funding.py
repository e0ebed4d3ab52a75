"""Settlements and what they paid, with the interval that each of them ended.

Goal: a change from 8 h to 4 h to 1 h is followed, and cash, rate and position belong together.
Method: rows as the venue gives them, a few milliseconds late as they are.
"""

import itertools
from decimal import Decimal

from binance_cases import futures, pepe

from hedge.model.numbers import HOUR, MS
from hedge_binance.funding import payment_of, settled_rates
from hedge_binance.wire import Income, SettledRate

START = 1_790_006_400_000
H_MS = HOUR // MS
D = Decimal


def rows(*hours, rate="0.0001", mark="60000"):
    return [SettledRate("BTCUSDT", START + hour * H_MS + hour % 7, D(rate), mark) for hour in hours]


def test_intervals_follow_the_settlements():
    found = settled_rates(rows(0, 8, 16, 20, 24, 25, 26), futures(), START * MS)
    assert [one.interval_s // 3600 for one in found] == [8, 8, 8, 4, 4, 1, 1]
    assert all(a.next_at == b.observed_at for a, b in itertools.pairwise(found))
    assert found[-1].next_at == found[-1].observed_at + HOUR


def test_what_lies_before_the_range_only_tells_the_interval():
    found = settled_rates(rows(0, 4, 8), futures(), (START + 3 * H_MS) * MS)
    assert [one.interval_s // 3600 for one in found] == [4, 4]


def test_a_single_settlement_has_the_documented_default():
    (found,) = settled_rates(rows(0), futures(), 0)
    assert found.interval_s == 8 * 3600
    after_a_hole = settled_rates(rows(0, 100), futures(), 0)
    assert after_a_hole[1].interval_s == 8 * 3600, "100 h are a hole, not an interval"


def test_cash_tells_the_position_it_was_paid_on():
    income = Income(
        "BTCUSDT", "FUNDING_FEE", D("1.2"), "USDT", START + 12 * H_MS + 2_000, 987_654_321
    )
    paid = payment_of(income, rows(0, 8, 12, 16), futures())
    assert (paid.cash, paid.rate, paid.quantity) == (D("1.2"), D("0.0001"), D("-0.2"))
    assert (paid.interval_s, paid.payment_id) == (4 * 3600, "987654321")
    long = payment_of(
        Income("BTCUSDT", "FUNDING_FEE", D("-1.2"), "USDT", START, "7"), rows(0), futures()
    )
    assert long.quantity == D("0.2")


def test_a_bundle_is_paid_on_in_coins():
    income = Income("1000PEPEUSDT", "FUNDING_FEE", D("0.5"), "USDT", START, 1)
    paid = payment_of(income, rows(0, mark="0.0125"), pepe())
    assert paid.quantity == -400_000_000


def test_cash_without_a_settlement_is_still_cash():
    income = Income("BTCUSDT", "FUNDING_FEE", D("1.2"), "USDT", START, 1)
    paid = payment_of(income, [], futures())
    assert (paid.cash, paid.rate, paid.quantity) == (D("1.2"), 0, 0)
    no_mark = payment_of(income, rows(0, mark=""), futures())
    assert (no_mark.rate, no_mark.quantity) == (D("0.0001"), 0)
