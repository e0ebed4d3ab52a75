"""Goal: no window holds more than its capacity, hedges find their reserve, waits are true.
Method: random requests against a plain list of what was let through, on a clock moved by hand.
"""

import asyncio

import pytest
from hand_clock import MS, HandClock, run, turns
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import Limited
from hedge.transport import Bucket, RateBudget

steps = st.lists(
    st.tuples(st.integers(0, 4_000), st.integers(1, 12), st.booleans()), min_size=1, max_size=80
)


@given(
    steps=steps,
    capacity=st.integers(12, 60),
    reserve=st.integers(0, 11),
    window_ms=st.sampled_from([7, 1_000, 60_000]),
)
def test_no_window_is_overdrawn_and_the_reserve_is_for_the_urgent(
    steps, capacity, reserve, window_ms
):
    clock = HandClock()
    bucket = Bucket(name="w", capacity=capacity, window_ms=window_ms, reserve=reserve)
    budget = RateBudget(clock, [bucket])
    taken = []
    for pause_ms, units, urgent in steps:
        clock.advance(pause_ms)
        wait = budget.try_take({"w": units}, urgent=urgent)
        room = capacity if urgent else capacity - reserve
        within = sum(u for at, u in taken if at > clock.now() - window_ms * MS)
        if wait == 0:
            taken.append((clock.now(), units))
            assert within + units <= room
        elif units <= room:
            assert 0 < wait <= window_ms * MS * 61 // 60 + 1
            # Counted in slots, it may remember a little longer than it must, never more.
            longer = sum(u for at, u in taken if at > clock.now() - window_ms * MS * 61 // 60 - 1)
            assert longer + units > room
    for end, _ in taken:
        assert sum(u for at, u in taken if end - window_ms * MS < at <= end) <= capacity


@given(steps=steps, capacity=st.integers(12, 60))
def test_after_the_wait_there_is_room(steps, capacity):
    clock = HandClock()
    budget = RateBudget(clock, [Bucket(name="w", capacity=capacity, window_ms=1_000)])
    for pause_ms, units, urgent in steps:
        clock.advance(pause_ms / 10)
        wait = budget.try_take({"w": units}, urgent=urgent)
        if wait:
            clock.advance((wait - 1) / MS)
            assert budget.try_take({"w": units}, urgent=urgent) > 0 or wait <= 1 * MS
            clock.advance(wait / MS + 0.000_002)
            assert budget.try_take({"w": units}, urgent=urgent) == 0


def two(clock):
    return RateBudget(
        clock,
        [
            Bucket(name="weight", capacity=100, window_ms=60_000, reserve=20),
            Bucket(name="orders", capacity=10, window_ms=1_000),
        ],
    )


def test_of_several_buckets_all_are_taken_or_none():
    budget = two(HandClock())
    assert budget.try_take({"weight": 1, "orders": 10}) == 0
    assert 0 < budget.try_take({"weight": 1, "orders": 1}) <= 1_017 * MS
    assert (budget.used("weight"), budget.used("orders")) == (1, 10)


def test_a_hedge_goes_through_where_a_read_must_wait():
    budget = two(HandClock())
    assert budget.try_take({"weight": 80}) == 0
    assert budget.try_take({"weight": 1}) > 0
    assert budget.try_take({"weight": 20}, urgent=True) == 0
    assert budget.try_take({"weight": 1}, urgent=True) > 0


def test_what_others_use_on_our_address_counts_and_a_header_never_lends_us_more():
    clock = HandClock()
    budget = two(clock)
    assert budget.try_take({"weight": 10}) == 0
    budget.observe("weight", used=70)
    assert budget.used("weight") == 70
    budget.observe("weight", used=0)
    assert budget.used("weight") == 70
    assert budget.try_take({"weight": 11}) > 0
    budget.observe("orders", remaining=2, capacity=20)
    assert budget.used("orders") == 18 and budget.try_take({"orders": 1}) > 0
    clock.advance(62_000)
    assert (budget.used("weight"), budget.used("orders")) == (0, 0)


def test_a_venue_that_lowers_its_limit_is_obeyed():
    clock = HandClock()
    budget = two(clock)
    budget.observe("orders", remaining=3, capacity=5)
    assert budget.used("orders") == 2
    assert budget.try_take({"orders": 3}) == 0
    assert budget.try_take({"orders": 1}) > 0
    assert budget.try_take({"orders": 9}) == 1_000 * MS, "more than it holds: ask again later"
    clock.advance(2_000)
    budget.observe("orders", remaining=50, capacity=50)
    assert budget.try_take({"orders": 10}) == 0
    assert budget.try_take({"orders": 1}) > 0, "never beyond what is configured"


@pytest.mark.parametrize("capacity", [0, -5])
def test_a_limit_of_nothing_is_passed_over(capacity):
    """Believed, it would hold up every order for ever: only an order's answer says another."""
    budget = RateBudget(HandClock(), [Bucket(name="create", capacity=10, window_ms=1_000)])
    budget.observe("create", remaining=0, capacity=capacity)
    assert [budget.try_take({"create": 1}, urgent=True) for _ in range(10)] == [0] * 10
    assert budget.try_take({"create": 1}, urgent=True) > 0, "and its own limit holds"


def test_told_to_wait_reads_wait_and_a_ban_stops_everything():
    clock = HandClock()
    budget = two(clock)
    budget.close(until=clock.now() + 5_000 * MS)
    assert budget.try_take({"weight": 1}) == 5_000 * MS
    assert budget.closed_until() == clock.now() + 5_000 * MS
    assert budget.closed_until(urgent=True) == 0
    assert budget.try_take({"weight": 1}, urgent=True) == 0
    budget.close(until=clock.now() + 2_000 * MS, urgent_too=True)
    assert budget.try_take({"weight": 1}, urgent=True) == 2_000 * MS
    assert budget.try_take({"weight": 1}) == 5_000 * MS, "the longer word holds"
    clock.advance(5_000)
    assert budget.closed_until() == 0
    assert budget.try_take({"weight": 1}) == 0


def test_a_cold_call_waits_for_room_or_says_how_long():
    async def main():
        clock = HandClock()
        budget = two(clock)
        await budget.take({"weight": 80}, timeout_ms=0)
        with pytest.raises(Limited, match="weight is used up") as refused:
            await budget.take({"weight": 5}, timeout_ms=59_000)
        assert 60 <= refused.value.retry_after_s <= 62
        waiting = asyncio.ensure_future(budget.take({"weight": 5}, timeout_ms=120_000))
        await turns(3)
        clock.advance(59_000)
        await turns(3)
        assert not waiting.done()
        clock.advance(3_000)
        await waiting
        assert budget.used("weight") == 5

    run(main())


def test_what_it_remembers_is_bounded():
    clock = HandClock()
    budget = RateBudget(clock, [Bucket(name="w", capacity=10**9, window_ms=60_000)])
    for _ in range(20_000):
        budget.try_take({"w": 1})
        clock.advance(7)
    assert len(budget._windows["w"]._slots) <= 62
    assert 60_000 // 7 <= budget.used("w") <= 61_100 // 7


@pytest.mark.parametrize(
    "bucket",
    [
        Bucket(name="w", capacity=10, window_ms=1_000, reserve=10),
        Bucket(name="w", capacity=10, window_ms=0),
        Bucket(name="w", capacity=10, window_ms=1_000, reserve=-1),
    ],
)
def test_a_bucket_that_makes_no_sense_is_refused(bucket):
    with pytest.raises(AssertionError, match="w: "):
        RateBudget(HandClock(), [bucket])
