"""Goal: no task dies in silence, and none keeps a process from its end.

Method: tasks that end in every way, also not at all, and who gets the blame. Time is virtual where
something is waited for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from hedge.errors import InvariantBroken, JournalError, NotHedged
from hedge.runtime.clock import MAX, VirtualLoop
from hedge.runtime.supervise import CLOSE_S, Ended, Supervisor, closed, ended, put_down, run_out


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

    end = supervised(start)
    assert (end.name, end.error, end.exit_code) == ("feed", error, code)
    assert end.broken is broken
    assert "feed" in end.text
    assert end.stuck == ()


def test_a_plain_return_that_nobody_asked_for_is_an_end_too() -> None:
    def start(s: Supervisor) -> None:
        s.start("pump", forever())
        s.start("feed", give(None))

    end = supervised(start)
    assert (end.name, end.exit_code) == ("feed", 1)


def test_a_task_that_returns_a_number_chose_the_exit_code() -> None:
    end = supervised(lambda s: s.start("pump", give(7)))
    assert (end.name, end.value, end.exit_code) == ("pump", 7, 7)


def test_when_all_that_may_end_have_ended_the_run_is_done() -> None:
    def start(s: Supervisor) -> None:
        s.start("btc", give(0), may_end=True)
        s.start("eth", give(None), may_end=True)

    end = supervised(start)
    assert (end.name, end.exit_code, end.text) == ("", 0, "all tasks are done")


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

    end = supervised(strange)
    assert (end.name, end.exit_code) == ("view", 1)


def test_of_two_ends_in_one_turn_the_first_is_the_cause() -> None:
    def start(s: Supervisor) -> None:
        s.start("a", fail(ValueError("first")))
        s.start("b", fail(AssertionError("second")))

    for _ in range(20):
        end = supervised(start)
        assert end.name == "a"
        assert end.later == ("b: AssertionError: second",)


async def deaf(
    times: int = 50, error: type[BaseException] = asyncio.CancelledError, after: str = ""
) -> str:
    """Swallow so many cancellations: by far more than anybody asks."""
    while times:
        try:
            await asyncio.Event().wait()
        except error:
            times -= 1
    return after


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [asyncio.CancelledError, BaseException])
def test_a_task_that_will_not_end_is_named_and_left(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def start(s: Supervisor) -> None:
        s.start("stubborn", deaf(error=error))
        await asyncio.sleep(0)
        s.start("pump", fail(ValueError("x")))

    assert supervised(start, grace_s=0).stuck == ("stubborn",)
    assert "stubborn" in caplog.text and "left behind" in caplog.text


def test_a_task_that_swallows_one_cancel_is_cancelled_again() -> None:
    async def start(s: Supervisor) -> None:
        s.start("stubborn", deaf(1))
        await asyncio.sleep(0)
        s.start("pump", fail(ValueError("x")))

    assert supervised(start, grace_s=0).stuck == ()


def test_what_is_given_up_does_nothing_more() -> None:
    done: list[str] = []

    async def on_and_on() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue
            done.append("still there")

    async def main() -> None:
        task = asyncio.create_task(on_and_on(), name="on and on")
        await asyncio.sleep(0)
        assert await put_down([task]) == ("on and on",)
        await asyncio.sleep(600)

    run_out(VirtualLoop(MAX), main())
    assert done == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [asyncio.CancelledError, BaseException])
def test_no_task_that_somebody_left_keeps_the_loop_from_its_end(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.Event().wait()

    async def main() -> int:
        asyncio.create_task(deaf(error=error), name="a library's own")  # noqa: RUF006 - that nobody keeps it is what is tested
        begun = endless()
        await anext(begun)
        asyncio.get_running_loop().begun = begun  # type: ignore[attr-defined]
        return 7

    assert run_out(VirtualLoop(MAX), main()) == 7
    assert "a library's own (deaf) did not end" in caplog.text


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (deaf, "feed of acme 1.0 did not close within 5 s"),
        (lambda: fail(ValueError("x")), "feed of acme 1.0 did not close well: ValueError: x"),
        (lambda: fail(AssertionError("y")), "did not close well: AssertionError: y"),
        (lambda: give(None), ""),
    ],
)
def test_a_plugin_that_does_not_close_is_named_and_chooses_no_exit_code(
    work: Callable[[], Awaitable[object]], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    loop = VirtualLoop(MAX)
    with caplog.at_level(logging.WARNING):
        run_out(loop, closed("feed of acme 1.0", work()))
    assert said in caplog.text and bool(said) is bool(caplog.text)
    assert loop.time() <= 2 * CLOSE_S + 2


def test_foreign_work_ends_with_who_waits_for_it() -> None:
    async def main() -> None:
        waiting = asyncio.create_task(ended("a start", deaf(1, after="has begun all the same")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await ended("a start", give(7)) == 7
        with pytest.raises(KeyError):
            await ended("a start", fail(KeyError("x")))

    run_out(VirtualLoop(MAX), main())


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
