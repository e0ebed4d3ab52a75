"""Goal: the two tables of states are complete, and a step they do not have is refused by name.
Method: every pair of the whole product; the few laws of each table are checked over all of them.
"""

from itertools import product

import pytest

from hedge.decide import mode as m
from hedge.decide import orders as o
from hedge.decide.mode import Mode, Trigger
from hedge.decide.orders import OPEN, OrderStatus, OrderTrigger

MODE_PAIRS = list(product(Mode, Trigger))
ORDER_PAIRS = list(product(OrderStatus, OrderTrigger))
ENDED = set(OrderStatus) - OPEN


@pytest.mark.parametrize(("mode", "trigger"), MODE_PAIRS)
def test_each_mode_pair_is_lawful_or_refused_naming_both(mode, trigger):
    if (mode, trigger) in m.TRANSITIONS:
        assert m.step(mode, trigger) is m.TRANSITIONS[mode, trigger]
        return
    with pytest.raises(m.UnlawfulStepError) as refused:
        m.step(mode, trigger)
    assert mode.value in str(refused.value) and trigger.value in str(refused.value)


@pytest.mark.parametrize(("status", "trigger"), ORDER_PAIRS)
def test_each_order_pair_is_lawful_or_refused_naming_both(status, trigger):
    if (status, trigger) in o.TRANSITIONS:
        assert o.advance(status, trigger) is o.TRANSITIONS[status, trigger]
        return
    with pytest.raises(o.UnlawfulOrderStepError) as refused:
        o.advance(status, trigger)
    assert status.value in str(refused.value) and trigger.value in str(refused.value)


def test_both_refusals_are_broken_invariants():
    assert issubclass(m.UnlawfulStepError, AssertionError)
    assert issubclass(o.UnlawfulOrderStepError, AssertionError)


def test_a_funding_exit_begins_in_halt_only():
    begins = {mode for mode, trigger in m.TRANSITIONS if trigger is Trigger.FUNDING_EXIT}
    assert begins == {Mode.HALT}


def test_every_verb_of_a_person_is_lawful_in_every_mode():
    verbs = ("STOP", "PAUSE", "RESUME", "ADOPT", "ACK", "CLEAR", "RESOLVE", "SCALE", "LIQUIDATE")
    for verb, mode in product(verbs, Mode):
        assert (mode, Trigger[verb]) in m.TRANSITIONS, (verb, mode)


def test_only_the_end_of_a_liquidation_is_unwound_and_every_mode_can_be_left():
    assert [k for k in m.TRANSITIONS if k[1] is Trigger.UNWOUND] == [
        (Mode.LIQUIDATION, Trigger.UNWOUND)
    ]
    for mode in Mode:
        assert any(before is mode and after is not mode for (before, _), after in steps())


def steps():
    return m.TRANSITIONS.items()


def test_only_an_order_in_doubt_is_ever_buried():
    buried = [status for status, trigger in o.TRANSITIONS if trigger is OrderTrigger.BURIED]
    assert buried == [OrderStatus.DOUBTFUL]


def test_what_has_ended_is_only_brought_back_by_the_venue_showing_it():
    for (status, trigger), after in o.TRANSITIONS.items():
        if status in ENDED and after in OPEN:
            assert status in (OrderStatus.REFUSED, OrderStatus.DEAD), (status, trigger)
            assert trigger is OrderTrigger.SEEN_WORKING


def test_silence_never_ends_an_order():
    silent = (OrderTrigger.UNANSWERED, OrderTrigger.RESTARTED, OrderTrigger.VANISHED)
    for status, trigger in product(OPEN, silent):
        assert o.advance(status, trigger) in OPEN, (status, trigger)


@pytest.mark.parametrize(("status", "trigger"), ORDER_PAIRS)
def test_to_hear_it_twice_is_to_hear_it_once(status, trigger):
    if (status, trigger) not in o.TRANSITIONS or trigger is OrderTrigger.BURIED:
        return
    once = o.advance(status, trigger)
    if trigger is OrderTrigger.VANISHED and status is OrderStatus.WORKING:
        assert once is OrderStatus.DOUBTFUL
    assert o.advance(once, trigger) is once
