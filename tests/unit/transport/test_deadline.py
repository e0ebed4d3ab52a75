"""Goal: a time limit ends its block with `TimeoutError`, and never takes another's cancellation.
Method: a task that waits for ever, a clock moved by hand, and cancellations from both sides.
"""

import asyncio

import pytest
from hand_clock import HandClock, run, turns

from hedge.transport.deadline import Within


async def limited(clock, ends):
    try:
        async with Within(clock, 1_000):
            await asyncio.Event().wait()
    except TimeoutError:
        task = asyncio.current_task()
        ends.append(("timeout", task.cancelling()))
        await turns(3)
    except asyncio.CancelledError:
        ends.append("cancelled")
        raise


def test_a_block_that_takes_too_long_ends_with_a_timeout_and_the_task_goes_on():
    async def main():
        clock, ends = HandClock(), []
        task = asyncio.ensure_future(limited(clock, ends))
        await turns(3)
        clock.advance(999)
        await turns(3)
        assert not ends
        clock.advance(1)
        await task
        assert ends == [("timeout", 0)]

    run(main())


@pytest.mark.parametrize("first", ["clock", "other"])
def test_a_cancellation_from_outside_goes_on_even_in_the_moment_of_the_timeout(first):
    async def main():
        clock, ends = HandClock(), []
        task = asyncio.ensure_future(limited(clock, ends))
        await turns(3)
        if first == "clock":
            clock.advance(1_000)
            task.cancel()
        else:
            task.cancel()
            clock.advance(1_000)
        await asyncio.wait({task})
        assert task.cancelled() and ends == ["cancelled"]

    run(main())


def test_what_ends_in_time_leaves_no_timer():
    async def main():
        clock = HandClock()
        async with Within(clock, 1_000):
            pass
        with pytest.raises(KeyError):
            async with Within(clock, 1_000):
                raise KeyError
        assert clock.due == []

    run(main())
