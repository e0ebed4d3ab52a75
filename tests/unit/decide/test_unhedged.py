"""Goal: what is bare is hedged, repaired or reduced, and no more is bare than there is.
Method: a hedge is missed, too small, half heard of, or under way; the desk's orders are counted.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from toy import FUTURES, SPOT, Venue

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trip
from hedge.decide.terms import AfterExternal, InventoryRule
from hedge.model import FillKind, Position, ReportedStatus, Side
from hedge.model.numbers import SECOND


def test_the_ladder_of_unhedged_time(building):
    building.script[FUTURES].extend(["miss"] * 500)
    building.fill()
    since = building.now
    building.run(9)
    assert "UNHEDGED" not in building.alarms
    building.run(2)
    assert "UNHEDGED" in building.alarms and building.books.trip == Trip.OK
    building.run(20)
    assert building.books.trips["UNHEDGED_TIME"] == Trip.FREEZE_SPOT
    building.run(90)
    assert "UNHEDGED_PAGE" in building.alarms
    assert building.resting() is None and building.now > since
    building.script[FUTURES].clear()
    building.run(3)
    assert building.engine.quantities_equal and "UNHEDGED" not in building.alarms
    assert building.books.trip == Trip.FREEZE_SPOT, "a person clears it"


def test_spot_is_reduced_after_repair_after_s(open_desk):
    desk = open_desk(limits={"repair_after_s": 300})
    desk.funding()
    desk.work(lambda: desk.held[0] > 4)
    desk.work(lambda: desk.resting() is not None)
    desk.script[FUTURES].extend(["miss"] * 2_000)
    desk.fill()
    covered = -desk.held[1]
    desk.run(295)
    assert desk.books.target == 10
    desk.work(lambda: desk.held[0] == covered, 30)
    assert "REPAIR" in desk.alarms and desk.books.target == covered
    desk.work(lambda: desk.mode is Mode.HALT)


@pytest.mark.parametrize("restarted", [False, True])
def test_no_repair_begins_while_the_hedge_may_have_been_filled(open_desk, restarted):
    desk = open_desk(limits={"repair_after_s": 120})
    desk.funding()
    desk.work(lambda: desk.held[0] > 4)
    desk.run(2)
    desk.script[FUTURES].append("swallowed fill")
    desk.reads[FUTURES] = "fail"
    desk.fill()
    if restarted:
        desk.start()
    held = desk.held[0]
    desk.run(200)
    assert desk.books.in_doubt and desk.books.target == 10 and "REPAIR" not in desk.alarms
    desk.reads[FUTURES] = ""
    desk.run(60)
    assert desk.held == (held, -held), "it had been filled: nothing was to be sold"


def test_hard_exposure_leaves_only_what_shrinks(open_desk):
    building = open_desk(limits={"after_external": AfterExternal.REHEDGE})
    building.funding()
    building.work(lambda: building.held[0] > 6)
    building.foreign(FUTURES, 5, FillKind.AUTO_DELEVERAGING)
    assert building.books.trips["UNHEDGED_NOTIONAL"] == Trip.HEDGE_ONLY
    assert building.resting() is None
    building.run(5)
    assert building.engine.quantities_equal, "the hedge shrinks it, so it goes"
    building.run(20)
    assert building.resting() is None and building.engine.reason.startswith("TRIPPED")


def test_half_filled_hedges_are_completed_at_once(building):
    building.script[FUTURES].extend(["half", "half"])
    building.fill()
    assert building.engine.quantities_equal


def test_unequal_in_halt_is_never_silent(open_desk):
    desk = open_desk(Venue(10, -10), inventory=InventoryRule.ACCOUNT)
    desk.run(10)
    assert not desk.alarms - {"POSITION_FOUND"}
    desk.venue.coins += 1
    desk.run(60)
    assert "UNEQUAL" in desk.alarms and not desk.orders()
    assert "in HALT, and delta is 1 (909.1 bp)" in desk.texts(c.RaiseAlarm)
    desk.venue.position -= 1
    desk.run(60)
    assert "UNEQUAL" not in desk.alarms


def test_a_rest_too_small_to_hedge_is_topped_up(open_desk):
    desk = open_desk(quantity=D(1), limits={"exposure_max": D(201)})
    desk.funding()
    desk.run(1)
    desk.fill(D("0.98"))
    desk.fill()
    desk.run(1)
    assert desk.engine.delta == D("0.02") and desk.books.target > 1
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.engine.equal and desk.held[0] < D("1.1")


def test_a_split_hedge_leaves_nothing_below_the_minimum(open_desk):
    desk = open_desk(futures={"notional_min": D(40)}, limits={"exposure_max": D(105)})
    desk.build()
    assert all(order.quantity * order.limit_price >= 40 for order in desk.orders(FUTURES))
    assert desk.held == (10, -10)


def test_dust_on_both_legs_ends_the_liquidation(open_desk):
    desk = open_desk(Venue("0.02", 0), inventory=InventoryRule.ACCOUNT, action="liquidation")
    desk.run(10)
    assert desk.exit == (0, "UNWOUND") and not desk.orders()
    assert desk.seen(c.EndRun)[-1].text == "left: 0.02 spot, 0 futures"


def test_a_naked_spot_with_no_futures_is_not_the_end(open_desk):
    desk = open_desk()
    desk.build()
    desk.funding_goes()
    desk.foreign(FUTURES, -desk.venue.position)
    desk.run(3)
    assert desk.exit is None and desk.held[0] > 5, "stopping at F = 0 would leave naked spot"
    desk.verb("clear", subject="*")
    desk.unwind()
    assert (desk.venue.coins, desk.venue.position) == (0, 0)


def half_heard(open_desk, futures):
    """Restore a journal that has lost its tail; of the account only the spot leg answers yet."""
    desk = open_desk()
    desk.funding()
    desk.work(lambda: desk.held[0] > 2)
    kept = len(desk.rows)
    desk.work(lambda: desk.held[0] > 6)
    desk.run(1)
    del desk.rows[kept:]
    desk.reads[FUTURES] = futures
    desk.boot()
    desk.ask("default")
    return desk


def test_half_an_account_is_no_gap(open_desk):
    desk = half_heard(open_desk, "fail")
    desk.run(1)
    assert desk.engine.delta > 3, "the spot leg was heard and the futures leg was not"
    desk.reads[FUTURES] = ""
    desk.work(lambda: desk.mode is Mode.HALT)
    assert "UNHEDGED_NOTIONAL" not in desk.books.trips and desk.held == (D(10), D(-10))


def test_half_an_account_that_stays_so_is_a_gap(open_desk):
    desk = half_heard(open_desk, "fail")
    desk.run(32)
    assert desk.books.trips["UNHEDGED_NOTIONAL"] == Trip.HEDGE_ONLY


def test_spot_is_not_sold_for_a_gap_whose_hedge_is_on_its_way(open_desk):
    desk = open_desk()
    desk.funding()
    desk.work(lambda: desk.held[0] > 4)
    desk.run(2)
    desk.script[FUTURES].append("silent")
    desk.fill()
    desk.run(1)
    assert desk.books.futures.open and desk.engine.delta > 0
    before = len(desk.orders(SPOT))
    desk.verb("scale", quantity=D(2))
    desk.run(2)
    sold = [order for order in desk.orders(SPOT)[before:] if order.side is Side.SELL]
    assert desk.books.futures.open and not sold, "both would close the same gap"


@pytest.mark.parametrize("exempt", [True, False])
def test_a_long_too_small_to_be_sold_alone_does_not_hold_up_the_hedge(open_desk, exempt):
    desk = open_desk(
        futures={"reduce_only_below_min": exempt}, limits={"after_external": AfterExternal.REHEDGE}
    )
    desk.funding()
    desk.work(lambda: desk.held[0] > 2)
    desk.run(2)
    before = len(desk.orders(FUTURES))
    desk.foreign(FUTURES, D("0.04") - desk.held[1])
    desk.run(2)
    sold = desk.orders(FUTURES)[before:]
    assert desk.held[1] == desk.venue.position == -desk.held[0]
    assert sold[0].reduce_only is exempt and all(one.side is Side.SELL for one in sold)
    assert (sold[0].quantity == D("0.04")) is exempt


def test_coins_adopted_in_the_closing_measurement_are_no_clean_end(open_desk):
    desk = open_desk(Venue(coins="5"))
    desk.build()
    desk.funding_goes()
    desk.measuring = False
    desk.work(lambda: desk.books.equity_wanted == "end")
    desk.verb("adopt", quantity=D(3))
    desk.run(1)
    desk.measuring = True
    desk.measure("end")
    desk.run(1)
    assert desk.exit == (7, "NOT_HEDGED") and desk.held[0] == 3


def test_coins_are_no_dust_before_a_price_says_so(open_desk):
    desk = open_desk(Venue(coins="5"), action="single")
    desk.build()
    desk.measuring = False
    desk.funding_goes()
    desk.work(lambda: desk.books.equity_wanted == "end")
    desk.verb("adopt", quantity=D(3))
    desk.run(3)
    desk.quoting = dict.fromkeys(desk.quoting, False)
    desk.measuring = True
    desk.start("single")
    desk.run(3)
    assert desk.held[0] == 3 and not desk.ended and desk.engine.reason.startswith("NO_PRICE")
    desk.quoting = dict.fromkeys(desk.quoting, True)
    desk.run(2)
    assert desk.exit == (7, "NOT_HEDGED")


def test_a_long_that_no_order_could_sell_does_not_keep_an_unwinding_from_its_end(open_desk):
    desk = open_desk(futures={"reduce_only_below_min": False})
    desk.build()
    desk.funding_goes()
    desk.work(lambda: desk.held[0] < 5)
    desk.foreign(FUTURES, D("0.02") - desk.held[1])
    desk.work(lambda: desk.ended, 300)
    assert desk.exit == (0, "UNWOUND") and desk.held == (0, D("0.02"))
    assert desk.texts(c.EndRun)[-1] == "left: 0 spot, 0.02 futures"


@pytest.mark.parametrize("exempt", [True, False])
def test_a_build_ends_though_it_is_too_short_by_what_no_order_could_buy_back(open_desk, exempt):
    desk = open_desk(futures={"reduce_only_below_min": exempt})
    desk.funding()
    desk.work(lambda: desk.held[0] == 10)
    desk.foreign(FUTURES, D("-0.02"))
    desk.run(2)
    desk.verb("clear", subject="*")
    desk.run(120)
    assert desk.mode is Mode.HALT and desk.engine.delta == (0 if exempt else D("-0.02"))
    desk.funding_goes()
    assert desk.mode is Mode.LIQUIDATION, "and it can be left again"


@pytest.fixture
def last_slice(open_desk):
    """Return a desk with the last slice of an unwinding at rest."""
    desk = open_desk(limits={"feed_stale_ms": 60_000})
    desk.build()
    desk.funding_goes()
    desk.work(lambda: desk.held[0] <= 1 and desk.resting() is not None)
    return desk


def test_an_unwinding_that_is_through_is_read_at_once(last_slice):
    desk, slice_ = last_slice, last_slice.resting()
    desk.run(2)
    desk.fill(desk.held[0] - D("0.02"))
    desk.sleep(0.5)
    slice_.status = ReportedStatus.CANCELLED
    desk.tell(e.OrderReported, leg=SPOT, report=slice_.report(desk.now))
    through_at = desk.now
    desk.sleep(10)
    assert desk.exit == (0, "UNWOUND") and desk.rows[-1].at - through_at < 2 * SECOND


def test_an_unwinding_reads_again_what_a_push_contradicts(last_slice):
    """The reads may lag behind the pushes: what they agreed on before is not confirmed yet."""
    desk = last_slice
    desk.fill()
    desk.stale_reads[FUTURES] = D(0)
    desk.venue.position = D(-3)
    desk.tell(e.PositionSeen, position=Position(symbol="COIN/USDT:USDT", quantity=D(-3)))
    desk.blink(1_500)
    desk.stale_reads[FUTURES] = None
    desk.run(3)
    assert not desk.ended
    desk.run(60)
    assert desk.exit == (0, "UNWOUND") and not desk.venue.position


def test_an_unwinding_is_not_over_while_a_push_contradicts_its_last_measurement(last_slice):
    desk = last_slice
    desk.measuring = False
    desk.fill()
    desk.run(3)
    assert desk.books.equity_wanted == "end"
    desk.stale_reads[FUTURES] = D(0)
    desk.venue.position = D(-3)
    desk.tell(e.PositionSeen, position=Position(symbol="COIN/USDT:USDT", quantity=D(-3)))
    desk.measure("end")
    desk.stale_reads[FUTURES] = None
    desk.run(20)
    assert desk.exit == (7, "NOT_HEDGED") and "delta is -3" in desk.texts(c.EndRun)[-1]


def test_what_lost_its_short_meanwhile_does_not_end_as_done(open_desk):
    """Coins without a hedge are somebody's business: nothing ends well beside them."""
    desk = open_desk()
    desk.build()
    desk.start("scale", request="once")
    desk.work(lambda: desk.mode is Mode.HALT)
    desk.venue.position = D(0)
    desk.start("scale", request="once")
    desk.run(90)
    assert desk.exit is None and {"UNEQUAL", "EXTERNAL_FUTURES"} <= desk.alarms


def test_a_gap_that_no_price_values_is_said(open_desk):
    """A process that has not seen one price yet; the short is gone while it is to unwind."""
    desk = open_desk()
    desk.build()
    desk.quoting = {SPOT: False, FUTURES: False}
    desk.start("default")
    desk.verb("liquidate")
    desk.run(5)
    assert desk.mode is Mode.LIQUIDATION and not desk.engine.spot_price
    desk.foreign(FUTURES, -desk.held[1], FillKind.LIQUIDATION)
    desk.run(15)
    assert "UNHEDGED" in desk.alarms
