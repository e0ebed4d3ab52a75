"""Goal: what a superseded run leaves behind is cancelled and hedged, and holds up no end.
Method: another start line while the venue does not cancel, or while nothing may be sent.
"""

import pytest
from desk import D
from toy import FUTURES

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.mode import Mode
from hedge.model import FillKind


@pytest.fixture
def deaf(building):
    """Return a desk with a slice of spot at a venue that no cancel reaches."""
    building.cancelling = "hang"
    return building


def test_a_cancel_that_a_dead_process_asked_for_is_asked_for_again(deaf):
    deaf.verb("pause")
    assert len(deaf.seen(c.CancelOrder)) == 1
    deaf.cancelling = "yes"
    deaf.start("default", request="r2")
    deaf.run(10)
    assert deaf.resting() is None
    assert deaf.mode is Mode.HALT and deaf.engine.volatile.begun


def test_what_fills_before_it_is_cancelled_is_hedged(deaf):
    deaf.ask("default", request="r2")
    deaf.run(1)
    deaf.fill(D("0.5"))
    deaf.run(1)
    bought, short = deaf.held
    assert short == -bought and deaf.mode is Mode.INVENTORY
    deaf.cancelling = "yes"
    deaf.run(10)
    assert deaf.mode is Mode.HALT and deaf.held == (bought, short)


@pytest.mark.parametrize("action", ["default", "scale"])
@pytest.mark.parametrize(
    ("end", "exit_code"), [(e.OperatorAsked, 7), (e.RecordingEnded, 5)], ids=["stop", "data"]
)
def test_an_end_does_not_wait_for_a_hedge_that_may_not_be_sent(deaf, action, end, exit_code):
    deaf.verb("lock")
    deaf.run(1)
    deaf.fill(D("0.5"))
    deaf.cancelling = "yes"
    deaf.start(action, request="r2")
    deaf.run(10)
    assert deaf.engine.reason.startswith("TRIPPED") and deaf.held[0] > -deaf.held[1]
    if end is e.RecordingEnded:
        deaf.tell(end)
    else:
        deaf.verb("stop")
    deaf.run(deaf.terms.execution.stop_timeout_s + 5)
    assert deaf.ended and deaf.exit[0] == exit_code


@pytest.mark.parametrize("action", ["default", "scale"])
@pytest.mark.parametrize("repair_after_s", [0, 60])
def test_a_short_that_was_lost_is_mended_as_authorised(open_desk, action, repair_after_s):
    desk = open_desk(limits={"repair_after_s": repair_after_s})
    desk.funding()
    desk.work(lambda: desk.held[0] > 3)
    desk.foreign(FUTURES, 2, FillKind.AUTO_DELEVERAGING)
    desk.run(2)
    desk.start(action, request="r2")
    desk.run(5)
    assert desk.engine.volatile.asked is None and desk.held[0] > -desk.held[1]
    if repair_after_s:
        desk.work(lambda: desk.held[0] == -desk.held[1], 200)
    else:
        desk.run(200)
        assert {"FORCED_CLOSE"} <= desk.alarms and desk.held[0] > -desk.held[1]


@pytest.mark.parametrize("action", ["default", "scale"])
def test_a_person_who_liquidates_does_not_wait_for_a_hedge_that_is_refused(deaf, action):
    deaf.script[FUTURES].extend(["refuse"] * 50)
    deaf.fill(D("0.5"))
    deaf.run(1)
    deaf.cancelling = "yes"
    deaf.start(action, request="r2")
    deaf.run(30)
    assert deaf.engine.volatile.asked is not None and deaf.held[0] > -deaf.held[1]
    deaf.verb("liquidate")
    deaf.run(5)
    assert deaf.mode is Mode.LIQUIDATION
    deaf.script[FUTURES].clear()
    deaf.unwind()
    assert deaf.exit == (0, "UNWOUND")
