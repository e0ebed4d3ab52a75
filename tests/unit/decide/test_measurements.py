"""Goal: both accounts are measured once at each end of a run, whoever dies or does not answer.
Method: starts, deaths and silences around a measurement; every desk's journal is replayed after.
"""

from decimal import Decimal as D  # noqa: N817 - figures are what these tests are made of

import pytest
from desk import GOOD
from toy import FUTURES, SPOT

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide import steps
from hedge.decide.mode import Mode


@pytest.fixture
def closing(open_desk):
    """Return a desk that has unwound, and waits for its last measurement, which does not come."""
    desk = open_desk(action="single")
    desk.build()
    desk.measuring = False
    desk.funding_goes()
    desk.work(lambda: desk.mode is Mode.HALT)
    return desk


def test_equity_is_measured_at_both_ends_of_a_run(open_desk):
    desk = open_desk(action="single")
    desk.build()
    desk.funding_goes()
    desk.unwind()
    assert [x.label for x in desk.seen(c.ReadEquity)] == ["start", "built", "end"]


def test_a_death_in_the_last_measurement_is_made_good_by_the_next_start(closing):
    assert closing.held == (0, 0) and not closing.ended
    closing.measuring = True
    closing.start("single", boot="another")
    closing.unwind()
    assert closing.exit == (0, "UNWOUND")
    assert [x.label for x in closing.seen(c.ReadEquity)] == ["start", "built", "end", "end"]


def test_an_end_that_cannot_be_measured_says_so_and_comes(closing):
    closing.run(steps.CLOSING_PATIENCE_S - 1)
    assert not closing.ended and "UNMEASURED" not in [x.key for x in closing.seen(c.Notice)]
    closing.run(2)
    assert closing.exit == (0, "UNWOUND")
    assert "UNMEASURED" in [x.key for x in closing.seen(c.Notice)]


def test_no_order_waits_for_ever_for_a_measurement(open_desk):
    desk = open_desk(start=False)
    desk.measuring = False
    desk.start("single", now=True)
    desk.run(steps.EQUITY_PATIENCE_S - 2)
    assert not desk.orders() and desk.engine.reason == "EQUITY_READ"
    desk.build()
    desk.funding_goes()
    desk.run(steps.EQUITY_PATIENCE_S)
    desk.unwind()
    assert desk.exit == (0, "UNWOUND")


def test_what_is_scaled_during_the_last_measurement_is_not_ended_by_it(closing):
    closing.verb("scale", quantity=D(4))
    closing.measuring = True
    closing.funding_goes(rate=GOOD, times=1)
    closing.work(lambda: closing.mode is Mode.HALT and closing.held[0] > 3)
    closing.run(10)
    assert closing.held == (4, -4) and not closing.ended


def test_an_answer_to_an_older_question_does_not_end_the_last_measurement(closing):
    closing.measure("built")
    closing.run(1)
    assert not closing.ended
    closing.measure("end")
    closing.run(1)
    assert closing.exit == (0, "UNWOUND")


def test_a_death_in_the_first_measurement_is_made_good_by_the_next_start(open_desk):
    """A run that nobody measured at its start would be reported from its middle."""
    desk = open_desk(start=False)
    desk.measuring = False
    desk.start("single")
    desk.run(1)
    assert desk.books.run.waiting and not desk.books.equity_labels
    desk.measuring = True
    desk.start("single")
    desk.build()
    assert desk.books.equity_labels[0] == "start"
    assert [x.label for x in desk.seen(c.ReadEquity)] == ["start", "start", "built"]
    assert desk.books.run.run_id == 1


def test_a_restart_measures_no_start_twice(open_desk):
    desk = open_desk(action="single")
    desk.run(1)
    desk.start("single")
    desk.build()
    assert [x.label for x in desk.seen(c.ReadEquity)] == ["start", "built"]


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_death_that_keeps_a_part_of_the_first_rows_builds_all_the_same(open_desk, kept):
    """Of the rows that begin a build a torn write, or a machine's death, keeps the first ones."""
    desk = open_desk(action="single")
    desk.run(1)
    before = len(desk.rows)
    desk.funding()
    began = [type(row.entry) for row in desk.rows[before:]]
    assert {c.SetTarget, c.ChangeMode, c.PlaceOrder} <= set(began)
    del desk.rows[before + began.index(c.SetTarget) + kept - 1 :]
    desk.venue.orders[SPOT].clear()  # what was not written was not sent
    desk.start("single")
    desk.funding()
    desk.work(lambda: desk.mode is Mode.INVENTORY, 60)
    desk.work(lambda: desk.mode is Mode.HALT)
    assert desk.held == (10, -10)


@pytest.mark.parametrize("leg", [SPOT, FUTURES])
def test_a_measurement_that_was_read_behind_is_taken_again(closing, leg):
    """A venue's balances may lag behind its fills: such a report would not add up."""
    assert closing.seen(c.ReadEquity)[-1].label == "end"
    coins, position = closing.venue.coins, closing.venue.position
    if leg is SPOT:
        closing.venue.coins += D(1)
    else:
        closing.venue.position -= D(1)
    closing.measure("end")
    closing.venue.coins, closing.venue.position = coins, position
    assert closing.exit is None
    asked = len(closing.seen(c.ReadEquity))
    closing.measuring = True
    closing.run(5)
    assert len(closing.seen(c.ReadEquity)) == asked + 1 and closing.exit == (0, "UNWOUND")
    assert sum(isinstance(row.entry, e.EquitySeen) for row in closing.rows) == 3


@pytest.mark.parametrize("comes", [True, False])
def test_an_end_waits_for_the_fills_that_the_reads_do_not_show_yet(open_desk, comes):
    desk = open_desk(action="single")
    desk.build()
    desk.funding_goes()
    desk.work(lambda: desk.held[0] <= 1 and desk.resting() is not None)
    resting = desk.resting()
    desk.fill(told=False)
    owed = desk.venue.fills[SPOT].pop()
    desk.tell(e.OrderReported, leg=SPOT, report=resting.report(desk.now))
    desk.run(30)
    assert desk.held == (0, 0) and desk.mode is Mode.LIQUIDATION and desk.books.spot.owed
    if comes:
        desk.venue.fills[SPOT].append(owed)
        desk.run(5)
        assert not desk.books.spot.owed
    else:
        desk.run(40)
    assert desk.exit == (0, "UNWOUND")
