"""Goal: a failing seed is told with the few faults that it needs, the same way each time.

Method: an engine with a planted bug, in worlds with many faults; what is left must still fail, must
need the fault that the bug is about, and must not fail with one fault less.
"""

import pytest
from episode import run
from shrinking import shrink

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.engine import Engine
from hedge.decide.events import AnyEvent

LOOKED_AT = range(1, 60)


class Believer(Engine):
    """Takes every missing answer for a refusal, and sends the order again."""

    def handle(self, event: AnyEvent) -> tuple[c.AnyCommand, ...]:
        if isinstance(event, e.OrderUnanswered):
            event = e.OrderRefused(
                at=event.at,
                leg=event.leg,
                client_order_id=event.client_order_id,
                code="-1008",
            )
        return super().handle(event)


@pytest.fixture(scope="module")
def failing() -> int:
    for seed in LOOKED_AT:
        if run(seed, engine=Believer).violations and not run(seed).violations:
            return seed
    raise AssertionError("the planted bug is never seen")


def test_what_is_left_is_needed(failing: int):
    whole = run(failing, engine=Believer)
    small = shrink(failing, engine=Believer)
    kind = whole.violations[0].split()[0]
    assert small.result.violations[0].split()[0] == kind
    assert sum(small.result.struck.values()) - len(small.spared) < sum(whole.struck.values())
    left = [
        (name, n)
        for name, count in small.result.struck.items()
        for n in range(1, count + 1)
        if (name, n) not in small.spared
    ]
    assert left, "the bug needs a lost or a late answer"
    for strike in left:
        again = run(failing, engine=Believer, without=small.without, spared=small.spared | {strike})
        broke = again.violations[0].split()[0] if again.violations else ""
        assert broke != kind, f"{strike} could still go: {small.needed}"


def test_it_is_made_small_the_same_way_twice(failing: int):
    one, two = shrink(failing, engine=Believer), shrink(failing, engine=Believer)
    assert one[:2] == two[:2]
    assert one.result.hash == two.result.hash


def test_a_seed_that_holds_is_not_made_small():
    with pytest.raises(ValueError, match="does not fail"):
        shrink(1)
