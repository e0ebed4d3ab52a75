"""Goal: the clock of these tests jumps in order. Method: three timers, one of them cancelled."""

from sim_clock import JumpClock


def test_the_clock_jumps_in_order():
    clock = JumpClock(5)
    seen: list[int] = []

    async def main() -> None:
        clock.call_at(30, lambda: seen.append(30))
        clock.call_at(10, lambda: seen.append(10)).cancel()
        await clock.sleep_until(20)
        seen.append(clock.now())
        await clock.sleep_until(40)

    clock.run(main())
    assert seen == [20, 30]
