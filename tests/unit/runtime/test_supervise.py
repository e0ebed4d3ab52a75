"""Goal: no task dies in silence. Method: tasks that end in every way, and who gets the blame."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hedge.errors import InvariantBroken, JournalError, NotHedged
from hedge.runtime.supervise import Ended, Supervisor


async def forever() -> None:
    await asyncio.Event().wait()


async def fail(error: BaseException) -> None:
    raise error


async def give(value: object) -> object:
    return value


def supervised(set_up: Callable[[Supervisor], Awaitable[None] | None], grace_s: int = 1) -> Ended:
    async def main() -> Ended:
        supervisor = Supervisor(grace_s=grace_s)
        waiting = set_up(supervisor)
        if waiting is not None:
            await waiting
        return await supervisor.run()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "code", "broken"),
    [
        (AssertionError("delta"), 13, True),
        (InvariantBroken("sequence"), 13, True),
        (NotHedged("0.1 BTC"), 7, False),
        (JournalError("disk full"), 12, False),
        (KeyError("x"), 1, False),
    ],
)
def test_an_exception_ends_everything_under_its_name(
    error: Exception, code: int, broken: bool
) -> None:
    def start(s: Supervisor) -> None:
        s.start("pump", forever())
        s.start("feed", fail(error))

    ended = supervised(start)
    assert (ended.name, ended.error, ended.exit_code) == ("feed", error, code)
    assert ended.broken is broken
    assert "feed" in ended.text
    assert ended.stuck == ()


def test_a_plain_return_that_nobody_asked_for_is_an_end_too() -> None:
    def start(s: Supervisor) -> None:
        s.start("pump", forever())
        s.start("feed", give(None))

    ended = supervised(start)
    assert (ended.name, ended.exit_code) == ("feed", 1)


def test_a_task_that_returns_a_number_chose_the_exit_code() -> None:
    ended = supervised(lambda s: s.start("pump", give(7)))
    assert (ended.name, ended.value, ended.exit_code) == ("pump", 7, 7)


def test_when_all_that_may_end_have_ended_the_run_is_done() -> None:
    def start(s: Supervisor) -> None:
        s.start("btc", give(0), may_end=True)
        s.start("eth", give(None), may_end=True)

    ended = supervised(start)
    assert (ended.name, ended.exit_code, ended.text) == ("", 0, "all tasks are done")


def test_an_asked_for_cancel_is_no_news_but_a_strange_one_is() -> None:
    async def asked(s: Supervisor) -> None:
        s.start("view", forever())
        await asyncio.sleep(0)
        s.cancel("view")

    assert supervised(asked).name == ""

    async def strange(s: Supervisor) -> None:
        s.start("view", forever())
        s.start("pump", forever())
        await asyncio.sleep(0)
        next(t for t in asyncio.all_tasks() if t.get_name() == "view").cancel()

    ended = supervised(strange)
    assert (ended.name, ended.exit_code) == ("view", 1)


def test_of_two_ends_in_one_turn_the_first_is_the_cause() -> None:
    def start(s: Supervisor) -> None:
        s.start("a", fail(ValueError("first")))
        s.start("b", fail(AssertionError("second")))

    for _ in range(20):
        ended = supervised(start)
        assert ended.name == "a"
        assert ended.later == ("b: AssertionError: second",)


def test_a_task_that_will_not_end_is_named_and_left() -> None:
    async def stubborn() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def start(s: Supervisor) -> None:
        s.start("stubborn", stubborn())
        await asyncio.sleep(0)
        s.start("pump", fail(ValueError("x")))

    ended = supervised(start, grace_s=0)
    assert ended.stuck == ("stubborn",)


def test_a_cancel_of_run_takes_the_tasks_along() -> None:
    async def main() -> tuple[str, ...]:
        supervisor = Supervisor()
        supervisor.start("pump", forever())
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return supervisor.names

    assert asyncio.run(main()) == ()


def test_two_tasks_cannot_share_a_name() -> None:
    def start(s: Supervisor) -> None:
        s.start("pump", give(0), may_end=True)
        with pytest.raises(ValueError, match="pump"):
            s.start("pump", forever())

    supervised(start)
