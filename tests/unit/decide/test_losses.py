"""Goal: what is lost in a day trips at its bounds, is not forgotten, and flattens only with leave.
Method: the perpetual's price goes against a hedge that rests; the trips of its desk are counted.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from toy import FUTURES, SPOT

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trip
from hedge.model import FillKind
from hedge.model.numbers import HOUR, SECOND


def hedged(open_desk, **options):
    """Return a desk that has built its hedge, whose prices have been looked at since."""
    desk = open_desk(**options)
    desk.build()
    desk.run(70)
    return desk


def quote(desk, *, spot, futures):
    """Change both legs' prices; the mark goes with the perpetual's."""
    desk.venue.price = D(spot)
    desk.venue.futures_price = desk.venue.mark_price = D(futures)


def test_losses_freeze_then_lock(open_desk):
    desk = open_desk()
    desk.build()
    desk.skip(120)
    desk.venue.futures_price = D("101.2")
    desk.run(40)
    assert desk.books.trips["LOSS"] == Trip.FREEZE_SPOT
    desk.venue.futures_price = D("102.5")
    desk.run(40)
    assert desk.books.trips["LOSS"] == Trip.LOCKED and "LOSS" in desk.alarms


def test_a_days_loss_is_not_forgotten_by_a_restart(open_desk):
    desk = open_desk()
    desk.build()
    desk.skip(120)
    lose(desk, "100.8")
    assert "LOSS" not in desk.books.trips
    desk.start()
    desk.run(40)
    lose(desk, "101.2")
    assert desk.books.trips["LOSS"] == Trip.FREEZE_SPOT, "0.8 before the start and 0.4 after it"
    desk.verb("clear", subject="LOSS")
    desk.start()
    desk.run(40)
    assert "LOSS" not in desk.books.trips, "what a person has cleared stays so"


def test_a_loss_of_the_day_before_does_not_count(open_desk):
    desk = open_desk()
    desk.build()
    desk.skip(120)
    lose(desk, "100.8")
    for _ in range(25):
        desk.skip(3600)
    desk.start()
    desk.run(40)
    lose(desk, "101.2")
    assert "LOSS" not in desk.books.trips


@pytest.mark.parametrize("late", [SPOT, FUTURES])
def test_a_price_that_comes_two_seconds_after_the_other_legs_is_no_loss(open_desk, late):
    desk = hedged(open_desk, limits={"audit_halt_ms": 1_000})
    for new in (110, 100) * 20:
        old = desk.venue.price
        quote(desk, spot=old if late is SPOT else new, futures=new if late is SPOT else old)
        desk.run(2)
        quote(desk, spot=new, futures=new)
        desk.run(7)
    assert "LOSS" not in desk.books.trips and "LOSS" not in desk.alarms


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_an_old_price_shows_no_loss_and_freezes_by_itself_until_it_is_known(open_desk, leg):
    desk = hedged(open_desk)
    desk.quoting[leg] = False
    quote(desk, spot=97 if leg is FUTURES else 100, futures=103 if leg is SPOT else 100)
    desk.run(120)
    assert "LOSS" not in desk.books.trips and desk.books.trips["DATA_AGE"] >= Trip.FREEZE_SPOT
    desk.start()
    desk.quoting[leg] = True
    quote(desk, spot=97, futures=97)
    desk.run(120)
    assert "LOSS" not in desk.books.trips, "both legs had moved"
    desk.venue.futures_price = desk.venue.mark_price = D("99.5")
    desk.run(40)
    assert desk.books.trips["LOSS"] == Trip.LOCKED, "and now only one has"


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_what_an_old_price_seemed_to_gain_is_no_loss_after_a_restart(open_desk, leg):
    desk = hedged(open_desk)
    desk.quoting[leg] = False
    quote(desk, spot=103 if leg is FUTURES else 100, futures=97 if leg is SPOT else 100)
    desk.skip(3_700)
    desk.verb("pause")
    desk.verb("resume")
    desk.quoting[leg] = True
    quote(desk, spot=100, futures=100)
    desk.start()
    desk.run(120)
    assert "LOSS" not in desk.books.trips


@pytest.mark.parametrize("late", [SPOT, FUTURES])
def test_a_gain_that_only_one_look_of_the_hour_shows_is_no_loss_for_a_day(open_desk, late):
    desk = open_desk()
    desk.build()
    desk.skip(120)
    venue, losses = desk.venue, desk.engine.volatile.losses
    known, moved = len(losses.samples), D(97 if late is SPOT else 103)
    desk.skip((losses.samples[-1][0] + HOUR - desk.now) // SECOND - 10)
    setattr(venue, "futures_price" if late is SPOT else "price", moved)
    setattr(venue, "price" if late is SPOT else "futures_price", D(100))
    while len(losses.samples) == known:
        desk.run(1)
    quote(desk, spot=moved, futures=moved)
    desk.run(60)
    desk.start()
    desk.run(60)
    assert "LOSS" not in desk.books.trips and "LOSS" not in desk.alarms
    lose(desk, moved + D("1.2"))
    assert desk.books.trips["LOSS"] == Trip.FREEZE_SPOT


def lose(desk, *prices):
    for price in prices:
        desk.venue.futures_price = D(price)
        desk.run(40)


def test_a_loss_flattens_where_that_was_authorised(open_desk):
    desk = open_desk(limits={"flatten_on_loss": True})
    desk.build()
    desk.skip(120)
    lose(desk, "102.5")
    assert desk.books.trips["LOSS"] == Trip.LOCKED and desk.mode is Mode.HALT
    lose(desk, "103.5", "102.5")
    assert desk.mode is Mode.LIQUIDATION and "LOSS_FLATTEN" in desk.alarms
    desk.unwind()
    assert desk.held == (0, 0) and desk.exit == (0, "UNWOUND")
    assert desk.books.trips["LOSS"] == Trip.FREEZE_SPOT, "a person clears it, not the unwinding"
    desk.venue.futures_price = None
    desk.start("default", request="once more")
    desk.verb("clear", subject="LOSS")
    desk.verb("ack", subject="*")
    desk.build()
    desk.skip(120)
    lose(desk, "102.5")
    assert desk.books.trips["LOSS"] == Trip.LOCKED, "the bounds hold for the next hedge as well"


@pytest.mark.parametrize("verb", ["", "lock"])
def test_a_loss_never_flattens_without_leave_or_on_another_lock(open_desk, verb):
    desk = open_desk(limits={"flatten_on_loss": bool(verb)})
    desk.build()
    desk.skip(120)
    if verb:
        desk.verb(verb)
    lose(desk, "103.5", "104")
    assert desk.mode is Mode.HALT and desk.held == (D(10), D(-10))
    assert desk.books.trips["LOSS"] == Trip.LOCKED


def test_fills_that_never_come_switch_off_no_loss_limit_and_are_not_looked_for_for_ever(building):
    resting = building.resting()
    odd = building.venue.fill(resting, resting.order.quantity, building.now, FillKind.UNKNOWN)
    building.tell(e.FillSeen, fill=odd)
    building.tell(e.OrderReported, leg=SPOT, report=resting.report(building.now))
    building.run(5)
    building.verb("clear", subject="*")
    building.work(lambda: building.mode is Mode.HALT)
    building.run(60)
    asked = len(building.seen(c.AuditLeg))
    building.run(300)
    assert len(building.seen(c.AuditLeg)) - asked <= 22, "two legs, each half a minute"
    building.skip(3_700)
    assert building.now - building.seen(c.AuditLeg)[-1].fills_since < 200 * SECOND
    building.run(70)
    assert "LOSS" not in building.books.trips
    building.venue.futures_price = building.venue.mark_price = D(103)
    building.run(40)
    assert building.books.trips["LOSS"] == Trip.LOCKED, "ten coins short lost three each, of 1,000"


def test_a_loss_that_a_person_has_cleared_lets_the_hedge_be_unwound_until_more_is_lost(open_desk):
    desk = hedged(open_desk)
    desk.venue.futures_price = desk.venue.mark_price = D(103)
    desk.run(40)
    assert desk.books.trips["LOSS"] == Trip.LOCKED
    desk.verb("clear", subject="LOSS")
    desk.run(40)
    assert desk.books.trip == Trip.OK
    desk.venue.futures_price = desk.venue.mark_price = D("105.5")
    desk.run(40)
    assert desk.books.trips["LOSS"] == Trip.LOCKED, "another 25 were lost, of 1,000"
    desk.verb("clear", subject="LOSS")
    desk.verb("liquidate")
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")
