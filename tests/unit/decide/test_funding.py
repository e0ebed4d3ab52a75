"""Goal: one bad print liquidates nothing; three fresh, normalised ones do, and wait to be paid.
Method: rates of every origin and quality on a built hedge; the clock stands where the test puts it.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from desk import BAD, GOOD
from toy import Venue

from hedge.decide import commands as c
from hedge.decide.mode import Mode
from hedge.decide.terms import InventoryRule
from hedge.model import RateOrigin
from hedge.model.numbers import HOUR, SECOND


@pytest.fixture
def built(open_desk):
    desk = open_desk()
    desk.build()
    desk.skip(120)
    return desk


def test_two_confirmations_and_a_good_one_start_over(built):
    built.funding_goes(times=2)
    built.funding_goes(rate=GOOD, times=1)
    built.funding_goes(times=2)
    assert built.mode is Mode.HALT and built.books.tally.below == 2
    built.funding_goes(times=1)
    assert built.mode is Mode.LIQUIDATION


@pytest.mark.parametrize(
    ("rate", "fields"),
    [
        (BAD, {"origin": RateOrigin.CARRIED}),
        ("NaN", {}),
        ("-Infinity", {}),
        (BAD, {"interval_s": 0}),
        ("0", {}),
    ],
)
def test_what_is_no_observation_below_the_threshold(built, rate, fields):
    for _ in range(6):
        built.skip(61)
        built.funding(rate, **fields)
    assert built.mode is Mode.HALT and built.books.tally.below == 0


def test_live_polls_closer_than_a_minute_are_one(built):
    built.skip(61)
    for _ in range(50):
        built.run(1)
        built.funding(BAD)
    assert built.books.tally.below == 1


def test_settlements_count_each(built):
    for _ in range(3):
        built.run(1)
        built.funding(BAD, origin=RateOrigin.SETTLED)
    assert built.mode is Mode.LIQUIDATION


def test_an_old_poll_is_no_observation(built):
    built.skip(3 * 3600)
    for minutes in (100, 80, 60):
        built.funding(BAD, seen=built.now - minutes * 60 * SECOND)
    assert built.books.tally.below == 0 and built.mode is Mode.HALT


def test_an_old_settlement_counts_once(built):
    for _ in range(5):
        built.funding(BAD, origin=RateOrigin.SETTLED, seen=built.now)
    assert built.books.tally.below == 1


def test_what_was_seen_before_a_long_silence_confirms_nothing(built):
    built.funding_goes(times=2)
    built.now += 21 * 24 * HOUR
    built.start("default")
    built.run(5)
    built.funding(BAD)
    built.run(5)
    assert built.mode is Mode.HALT and built.books.tally.below == 1, "one print after three weeks"
    built.funding_goes(times=2)
    assert built.mode is Mode.LIQUIDATION


def test_a_settlement_missed_is_no_long_silence(built):
    for hours in (8, 16, 8):
        built.now += hours * HOUR
        built.market()
        built.funding(BAD, origin=RateOrigin.SETTLED)
    assert built.books.tally.below == 3


@pytest.mark.parametrize("origin", [RateOrigin.LIVE, RateOrigin.SETTLED])
def test_a_rate_from_the_future_is_none_and_hides_none_that_follow(built, origin):
    built.funding(BAD, origin=origin, seen=built.now + 9 * HOUR)
    assert built.books.tally.below == 0
    built.funding_goes(times=1)
    assert built.books.tally.below == 1


def test_a_clock_set_back_between_two_processes_does_not_stop_the_count(built):
    built.funding_goes(times=2)
    built.now -= 24 * HOUR
    built.start("default")
    built.run(70)
    built.funding_goes(times=1)
    assert built.mode is Mode.LIQUIDATION


def test_the_tally_survives_a_restart(built):
    built.funding_goes(times=2)
    built.start("default")
    built.run(3)
    built.funding_goes(times=1)
    assert built.mode is Mode.LIQUIDATION


def test_the_exit_waits_for_a_settlement_that_pays(open_desk):
    desk = open_desk(funding={"exit_below": D("0.0001"), "enter_above": D("0.0002")})
    desk.build()
    desk.skip(120)
    desk.next_settlement = desk.now + 400 * SECOND
    desk.funding_goes(rate="0.00005")
    assert desk.mode is Mode.HALT and desk.engine.reason == "SETTLEMENT_GUARD"
    desk.run(240)
    assert desk.mode is Mode.LIQUIDATION and desk.now > desk.next_settlement


def test_the_exit_does_not_wait_to_pay(built):
    built.next_settlement = built.now + 400 * SECOND
    built.funding_goes()
    assert built.mode is Mode.LIQUIDATION


def test_min_hold_keeps_it(open_desk):
    desk = open_desk(funding={"min_hold_s": 7_200})
    desk.build()
    desk.skip(3_600)
    desk.funding_goes()
    assert desk.mode is Mode.HALT
    for _ in range(70):
        desk.funding_goes(times=1)
    assert desk.mode is Mode.LIQUIDATION


def test_the_exit_comes_when_min_hold_is_over_and_not_a_read_later(open_desk):
    desk = open_desk(funding={"min_hold_s": 3_600})
    desk.build()
    over_at = desk.books.run.opened_at + 3_600 * SECOND
    desk.skip((over_at - desk.now) // SECOND - 260)
    desk.funding_goes()
    desk.sleep(61)
    assert desk.mode is Mode.HALT and desk.now < over_at
    desk.sleep(60)
    assert desk.mode is Mode.LIQUIDATION and desk.books.moded_at - over_at < SECOND // 10


def test_no_funding_exit_while_building(open_desk):
    desk = open_desk()
    desk.funding()
    desk.work(lambda: desk.held[0] > 3)
    desk.funding_goes(times=5)
    assert desk.mode is Mode.INVENTORY
    desk.work(lambda: desk.mode is not Mode.INVENTORY)


def test_stale_funding_is_an_alarm_and_no_exit(built):
    built.funding_goes(times=2)
    built.skip(700)
    assert "FUNDING_STALE" in built.alarms and built.mode is Mode.HALT
    built.funding(GOOD)
    built.skip(31)
    assert "FUNDING_STALE" not in built.alarms


def test_eight_hours_to_one_hour_is_compared_per_eight(built):
    built.skip(61)
    built.funding("-0.00001", interval_s=3_600)
    assert built.books.tally.last_rate_8h == D("-0.00008")
    assert built.books.tally.below == 1


def test_a_rate_per_eight_hours_below_the_threshold_in_every_interval(open_desk):
    desk = open_desk(funding={"exit_below": D("0.00008"), "enter_above": D("0.0001")})
    desk.build()
    for rate, interval_s in (("0.00007", 28_800), ("0.000034", 14_400), ("0.000009", 3_600)):
        desk.skip(61)
        desk.funding(rate, interval_s=interval_s)
    assert desk.mode is Mode.LIQUIDATION


def test_exit_armed_but_unequal_is_said_until_mended(open_desk):
    desk = open_desk(Venue(10, -9), inventory=InventoryRule.ACCOUNT)
    desk.run(10)
    desk.funding_goes(times=4)
    assert "EXIT_BLOCKED" in desk.alarms and desk.mode is Mode.HALT
    desk.foreign(desk.orders and next(iter(desk.venue.fills)), 0, told=False)
    desk.venue.coins -= 1
    for _ in range(3):
        desk.funding_goes(times=1)
    assert "EXIT_BLOCKED" not in desk.alarms and desk.mode is Mode.LIQUIDATION


def test_enter_above_is_compared_per_eight_hours(open_desk):
    desk = open_desk()
    desk.funding("0.00001", interval_s=3_600)
    assert desk.mode is Mode.INVENTORY


def test_the_reason_of_the_exit_is_journalled(built):
    built.funding_goes()
    change = built.seen(c.ChangeMode)[-1]
    assert change.why == "funding -0.0001 per 8 h, 3 in a row"
    assert built.next_settlement % HOUR == built.next_settlement % HOUR
