"""Goal: an alarm stands while its cause does; what is over settles it, and what comes back is said.

Method: the desk; what stands is what a person would be told again and again until it settles.
"""

from decimal import Decimal as D  # noqa: N817

import pytest
from toy import FUTURES, SPOT

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode, Trip
from hedge.decide.terms import InventoryRule
from hedge.model import FillKind, StreamKind


def raised(desk, key):
    return sum(row.entry.key == key for row in desk.rows if isinstance(row.entry, c.RaiseAlarm))


def test_margin_warns_freezes_pages_and_pages_again(open_desk):
    desk = open_desk()
    desk.build()
    for ratio, standing, trip in (
        ("0.39", set(), Trip.OK),
        ("0.4", {"MARGIN"}, Trip.OK),
        ("0.6", {"MARGIN"}, Trip.FREEZE_SPOT),
        ("0.8", {"MARGIN", "MARGIN_PAGE"}, Trip.FREEZE_SPOT),
        ("0.7", {"MARGIN", "MARGIN_PAGE"}, Trip.FREEZE_SPOT),
        ("0.5", {"MARGIN"}, Trip.FREEZE_SPOT),
        ("0.9", {"MARGIN", "MARGIN_PAGE"}, Trip.FREEZE_SPOT),
        ("0.1", set(), Trip.FREEZE_SPOT),
    ):
        desk.venue.margin_ratio = D(ratio)
        desk.skip(40)
        assert desk.alarms & {"MARGIN", "MARGIN_PAGE"} == standing, ratio
        assert desk.books.trip == trip, ratio
    assert raised(desk, "MARGIN_PAGE") == 2, "nobody acknowledged the first, and it had settled"


def test_a_position_that_is_gone_is_near_no_liquidation(open_desk):
    desk = open_desk()
    desk.build()
    desk.venue.liquidation_price, desk.venue.margin_ratio = D(110), D("0.5")
    desk.skip(40)
    assert desk.alarms >= {"LIQUIDATION_NEAR", "MARGIN"}
    desk.verb("liquidate")
    desk.work(lambda: desk.held == (0, 0) and desk.mode is Mode.HALT)
    desk.skip(40)
    assert not desk.alarms & {"LIQUIDATION_NEAR", "MARGIN"}


def test_a_short_at_the_head_of_the_queue_is_said(open_desk):
    desk = open_desk()
    desk.build()
    for rank, standing in ((3, False), (4, True), (2, False), (4, True), (None, False)):
        desk.venue.adl_rank = rank
        desk.skip(40)
        assert ("ADL_RANK" in desk.alarms) is standing, rank


def test_a_stream_that_the_last_process_missed_is_up_in_this_one(building):
    building.tell(e.StreamChanged, leg=FUTURES, kind=StreamKind.ACCOUNT, up=False, why="lost")
    building.run(40)
    assert "STREAM_DOWN_FUTURES" in building.alarms
    building.boot("boot")
    for kind in StreamKind:
        building.tell(e.StreamChanged, leg=FUTURES, kind=kind, up=True)
    building.run(3)
    assert "STREAM_DOWN_FUTURES" not in building.alarms


def test_what_a_build_lacked_is_settled_when_it_is_given_up(building):
    building.venue.margin = D(10)
    building.next_slice()
    assert "MARGIN_SHORT" in building.alarms
    building.verb("liquidate")
    assert building.mode is Mode.LIQUIDATION and "MARGIN_SHORT" not in building.alarms
    building.work(lambda: building.mode is Mode.HALT)
    assert not building.alarms


def test_a_slow_build_that_is_given_up_is_not_slow_any_more(open_desk):
    desk = open_desk(execution={"build_timeout_s": 600})
    desk.funding()
    desk.skip(660, step=4)
    assert "BUILD_SLOW" in desk.alarms
    desk.verb("liquidate")
    assert "BUILD_SLOW" not in desk.alarms


@pytest.mark.parametrize("acknowledged", [True, False])
def test_an_alarm_is_raised_again_when_its_cause_comes_back(open_desk, acknowledged):
    desk = open_desk()
    desk.build()

    for times in (1, 2):
        desk.foreign(FUTURES, 1, FillKind.AUTO_DELEVERAGING)
        desk.run(5)
        assert raised(desk, "FORCED_CLOSE") == times, "each loss of the short is a page of its own"
        if acknowledged:
            desk.verb("ack", subject="*")
            desk.verb("clear", subject="*")
        desk.skip(300)


def test_an_acknowledged_alarm_whose_cause_stands_is_not_raised_again(building):
    building.script[FUTURES].extend(["miss"] * 2_000)
    building.fill()
    building.run(125)
    building.verb("ack", subject="*")
    building.run(300)
    assert raised(building, "UNHEDGED_PAGE") == 1
    assert building.books.alarms["UNHEDGED_PAGE"].acknowledged


def test_each_time_that_something_is_unhedged_for_long_is_paged(building):
    for times in (1, 2):
        building.script[FUTURES].extend(["miss"] * 2_000)
        building.fill()
        building.run(125)
        assert raised(building, "UNHEDGED_PAGE") == times
        building.script[FUTURES].clear()
        building.run(10)
        assert not building.alarms & {"UNHEDGED", "UNHEDGED_PAGE", "HEDGE_MISSED"}
        building.verb("clear", subject="*")
        building.work(lambda: building.resting() is not None)


def test_what_told_of_a_trip_settles_when_a_person_clears_it(building):
    for times in (1, 2):
        building.verb("lock", subject="LOOKING")
        assert raised(building, "LOCKED_LOOKING") == times and "LOCKED_LOOKING" in building.alarms
        building.verb("clear", subject="LOOKING")
        assert "LOCKED_LOOKING" not in building.alarms


@pytest.mark.parametrize(
    ("kind", "key"),
    [(FillKind.AUTO_DELEVERAGING, "FORCED_CLOSE"), (FillKind.TRADE, "EXTERNAL_FUTURES")],
)
def test_what_told_of_a_lost_short_settles_when_a_person_clears_it(open_desk, kind, key):
    desk = open_desk()
    desk.build()
    desk.foreign(FUTURES, 1, kind)
    desk.run(5)
    assert key in desk.alarms
    desk.verb("clear", subject="EXTERNAL")
    assert key not in desk.alarms


def reads_of_spot(desk):
    return sum(asked.leg is SPOT for asked in desk.seen(c.AuditLeg))


def test_a_difference_that_no_second_read_confirms_is_said(open_desk):
    """A ban comes behind the first read of coins that nobody hedges."""
    desk = open_desk(inventory=InventoryRule.ACCOUNT)
    desk.funding()
    desk.work(lambda: desk.held[0] > 2)
    desk.venue.coins += 3
    before = reads_of_spot(desk)
    desk.work(lambda: reads_of_spot(desk) > before)
    desk.reads = {SPOT: "fail", FUTURES: "fail"}
    desk.run(12)
    assert "DIFFERS_SPOT" in desk.alarms
    desk.reads = {SPOT: "", FUTURES: ""}
    desk.run(12)
    assert "DIFFERS_SPOT" not in desk.alarms and desk.engine.inventory == desk.venue.coins


def test_a_difference_that_the_fill_behind_it_explains_is_not_said(open_desk):
    """Balances may be a moment ahead of their fills; then no read comes for a while."""
    desk = open_desk(inventory=InventoryRule.ACCOUNT)
    desk.funding()
    desk.work(lambda: desk.held[0] > 2 and desk.resting() is not None)
    desk.run(2)
    before = reads_of_spot(desk)
    desk.stale_reads[SPOT] = desk.venue.coins + desk.resting().order.quantity
    while reads_of_spot(desk) == before:
        desk.run(1)
    desk.reads = {SPOT: "fail", FUTURES: "fail"}
    desk.fill()
    desk.run(30)
    assert "DIFFERS_SPOT" not in desk.alarms


def test_an_account_that_is_read_seldom_is_not_unreadable(open_desk):
    """A request may wait for a first price; an idle account is read while it does."""
    desk = open_desk(limits={"audit_halt_ms": 900_000})
    desk.build()
    desk.quoting[SPOT] = False
    desk.boot("boot")
    desk.run(20)
    desk.verb("scale", quantity=D(2))
    desk.skip(120)
    assert desk.books.asked and "UNREADABLE" not in desk.alarms


def test_what_a_person_waits_for_is_no_idle_hedge(open_desk):
    """An account of an idle hedge may be silent for longer than one that a request waits for."""
    desk = open_desk()
    desk.build()
    desk.venue.coins += 5
    desk.skip(40)
    desk.reads = {SPOT: "fail", FUTURES: "fail"}
    desk.skip(40)
    desk.venue.coins += 5
    desk.verb("adopt", quantity=D(10))
    desk.skip(50)
    assert "UNREADABLE" not in desk.alarms
    desk.skip(15)
    assert "UNREADABLE" in desk.alarms
