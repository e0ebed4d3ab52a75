"""Goal: one target is retried when that cannot double a message, and given up only when broken.

Method: a notifier that answers from a script, on virtual time; when what was sent is looked at.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Self

import pytest

from hedge.decide import commands as c
from hedge.decide.rows import Row
from hedge.errors import Limited, Malformed, OutcomeUnknown, Refused, Unreachable
from hedge.model.numbers import SECOND
from hedge.roles import Alert
from hedge.runtime.clock import RealClock, VirtualClock, VirtualLoop
from hedge.runtime.notify.lane import ThreadLane
from hedge.runtime.notify.policy import Policy
from hedge.runtime.notify.target import BUGS_MAX, Target

HANG = "hang"


class Scripted:
    """Answers each `send` with the next of its script: an error, a hang, or (then) nothing."""

    def __init__(self, *script: Any, opening: tuple[Any, ...] = ()) -> None:
        self.script = list(script)
        self.opening = list(opening)
        self.sent: list[tuple[int, Alert]] = []
        self.closed = 0
        self.clock: Any = None

    async def __aenter__(self) -> Self:
        if self.opening:
            raise self.opening.pop(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1

    async def send(self, alert: Alert) -> None:
        self.sent.append((self.clock.now() // SECOND if self.clock else 0, alert))
        answer = self.script.pop(0) if self.script else None
        if answer == HANG:
            await asyncio.get_running_loop().create_future()
        if answer is not None:
            raise answer

    @property
    def times(self) -> list[int]:
        return [at for at, _ in self.sent]

    @property
    def texts(self) -> list[str]:
        return [alert.text for _, alert in self.sent]


def message(key: str = "1", level: str = "event", text: str = "t", hedge: str = "btc") -> Alert:
    return Alert(key=key, level=level, hedge=hedge, text=text, at=0)


class Stage:
    """One target on virtual time, and everything it said."""

    def __init__(self, notifier: Scripted, clock: VirtualClock, secret: str) -> None:
        self.said: list[str] = []
        self.clock = clock
        notifier.clock = clock
        policy = Policy(("alarm", "mode"), digest_s=60, repeat_s=900)
        self.target = Target(
            "phone", notifier, policy, clock,
            say=self.said.append, strike=lambda text: text.replace(secret, "***"),
        )  # fmt: skip

    async def pass_s(self, seconds: int) -> None:
        await self.clock.sleep_until(self.clock.now() + seconds * SECOND)


def play(
    notifier: Scripted,
    scene: Callable[[Stage], Coroutine[Any, Any, None]],
    secret: str = "s3cret",
) -> Stage:
    loop = VirtualLoop()

    async def main() -> Stage:
        stage = Stage(notifier, VirtualClock(loop), secret)
        task = asyncio.create_task(stage.target.run())
        await scene(stage)
        stage.target.stop()
        await task
        return stage

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())


def test_what_certainly_did_not_arrive_is_sent_again_with_longer_pauses() -> None:
    notifier = Scripted(*(Unreachable("no route") for _ in range(4)))

    async def scene(stage: Stage) -> None:
        stage.target.put(message())
        await stage.pass_s(100)

    stage = play(notifier, scene)
    assert notifier.times == [0, 1, 3, 8, 18]
    assert stage.target.delivered == 1
    assert stage.said == [
        "notifier phone: not reached, will be tried again: Unreachable: no route",
        "notifier phone: works again",
    ]


def test_a_target_that_asks_to_wait_is_left_alone_for_so_long_even_by_an_alarm() -> None:
    notifier = Scripted(Limited("slow down", retry_after_s=40))

    async def scene(stage: Stage) -> None:
        stage.target.put(message())
        await stage.pass_s(10)
        stage.target.put(message("btc:X", "alarm", "fire"))
        await stage.pass_s(100)

    play(notifier, scene)
    assert list(zip(notifier.times, notifier.texts, strict=True)) == [
        (0, "t"), (40, "fire"), (40, "t"),
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [OutcomeUnknown("lost"), Malformed("?"), KeyError("x"), HANG])
def test_what_may_have_arrived_is_never_sent_twice(answer: Any) -> None:
    notifier = Scripted(answer)

    async def scene(stage: Stage) -> None:
        stage.target.put(message("1", text="one"))
        await stage.pass_s(600)
        stage.target.put(message("2", text="two"))
        await stage.pass_s(600)

    stage = play(notifier, scene)
    assert notifier.texts == ["one", "two"]
    assert stage.said[0].startswith("notifier phone: a message may be lost")
    assert not stage.target.broken


def test_an_alarm_in_doubt_comes_again_as_a_repeat_and_says_so() -> None:
    notifier = Scripted(OutcomeUnknown("lost"))
    raised = c.RaiseAlarm(key="UNHEDGED", level="page", text="delta stands")

    async def scene(stage: Stage) -> None:
        stage.target.offer("btc", Row(seq=1, at=0, entry=raised))
        await stage.pass_s(700)

    play(notifier, scene)
    assert notifier.times == [0, 60]
    assert notifier.texts[0] == "PAGE UNHEDGED: delta stands"
    assert "message 2" in notifier.texts[1]


def test_a_definite_no_is_not_repeated_and_the_next_message_goes_out() -> None:
    notifier = Scripted(Refused("chat not found"), Refused("chat not found"))

    async def scene(stage: Stage) -> None:
        for number in range(3):
            stage.target.put(message(str(number), text=str(number), hedge=f"h{number}"))
        await stage.pass_s(60)

    stage = play(notifier, scene)
    assert notifier.texts == ["0", "1", "2"]
    assert len(stage.said) == 2, "the same complaint is said once"


def test_events_keep_a_pace_and_alarms_do_not() -> None:
    notifier = Scripted()

    async def scene(stage: Stage) -> None:
        for number in range(40):
            stage.target.put(message(f"e{number}", text=f"event {number}", hedge=f"h{number % 2}"))
        await stage.pass_s(1)
        for number in range(5):
            stage.target.put(message(f"a{number}", "alarm", f"alarm {number}"))
        await stage.pass_s(200)

    play(notifier, scene)
    alarms = [at for at, alert in notifier.sent if alert.level == "alarm"]
    events = [at for at, alert in notifier.sent if alert.level == "event"]
    assert alarms == [1] * 5
    assert events == [3 * number for number in range(len(events))]
    told = "\n".join(notifier.texts)
    assert all(f"event {number}" in told for number in range(40)), "joined, not lost"


def test_a_notifier_that_raises_what_is_not_ours_is_given_up_after_a_few() -> None:
    notifier = Scripted(*(ZeroDivisionError("s3cret in it") for _ in range(50)))

    async def scene(stage: Stage) -> None:
        for number in range(20):
            stage.target.put(message(f"a{number}", "alarm"))
        await stage.pass_s(60)

    stage = play(notifier, scene)
    assert len(notifier.sent) == BUGS_MAX
    assert stage.target.broken
    assert "broken, nothing more is sent to it" in stage.said[-1]
    assert "s3cret" not in "".join(stage.said)
    assert notifier.closed == 1


def test_errors_that_alternate_with_success_never_add_up_to_broken() -> None:
    script = [answer for _ in range(20) for answer in (KeyError("x"), None)]
    notifier = Scripted(*script)

    async def scene(stage: Stage) -> None:
        for number in range(40):
            stage.target.put(message(f"a{number}", "alarm"))
        await stage.pass_s(60)

    assert not play(notifier, scene).target.broken
    assert len(notifier.sent) == 40


def test_opening_is_tried_again_and_what_came_meanwhile_is_kept() -> None:
    notifier = Scripted(opening=(Unreachable("down"), Unreachable("down")))

    async def scene(stage: Stage) -> None:
        stage.target.put(message())
        await stage.pass_s(20)

    play(notifier, scene)
    assert notifier.times == [3]
    assert notifier.closed == 1


def test_one_that_cannot_be_opened_at_all_is_broken() -> None:
    notifier = Scripted(opening=(ValueError("bad"),))

    async def scene(stage: Stage) -> None:
        stage.target.put(message())
        await stage.pass_s(20)

    assert "ValueError" in play(notifier, scene).target.broken
    assert notifier.sent == []


def test_the_end_sends_what_waits_and_is_bounded() -> None:
    notifier = Scripted()
    mode = c.EndRun(exit_code=0, reason="UNWOUND")

    async def scene(stage: Stage) -> None:
        stage.target.put(message("0", text="zero", hedge="eth"))
        await stage.pass_s(1)
        stage.target.offer("btc", Row(seq=1, at=0, entry=mode))

    play(notifier, scene)
    assert notifier.texts == ["zero", "end UNWOUND (exit 0)"]
    hanging = Scripted(*(Unreachable("down") for _ in range(50)))

    async def down(stage: Stage) -> None:
        stage.target.put(message())
        await stage.pass_s(1)

    stage = play(hanging, down)
    assert stage.clock.now() <= 7 * SECOND


def test_what_was_dropped_is_said() -> None:
    notifier = Scripted(*(Unreachable("down") for _ in range(8)))

    async def scene(stage: Stage) -> None:
        for number in range(500):
            stage.target.put(message(f"e{number}", hedge=f"h{number}"))
        await stage.pass_s(2_000)

    stage = play(notifier, scene)
    assert "notifier phone: 300 older messages were dropped" in stage.said


# -- a thread a target ---------------------------------------------------------------------------


def test_a_thread_takes_rows_in_order_and_ends_with_everything_sent() -> None:
    notifier, said = Scripted(), []

    def make() -> Target:
        policy = Policy(("mode",), digest_s=0, repeat_s=900)
        return Target("phone", notifier, policy, RealClock(), say=said.append)

    lane = ThreadLane("phone", make, say=said.append)
    lane.start()
    for number in range(50):
        entry = c.EndRun(exit_code=0, reason=f"R{number:02}")
        lane.row("btc", Row(seq=number, at=0, entry=entry))
    lane.stop()
    lane.join()
    told = "\n".join(notifier.texts).splitlines()
    assert told == [f"end R{number:02} (exit 0)" for number in range(50)]
    assert notifier.closed == 1
    assert said == []
    lane.row("btc", Row(seq=99, at=0, entry=entry))
    assert len("\n".join(notifier.texts).splitlines()) == 50, "after the end nothing is sent"


def test_a_target_that_breaks_is_told_to_the_others() -> None:
    said: list[str] = []
    ended: list[tuple[str, str]] = []

    def make() -> Target:
        policy = Policy(("mode",), digest_s=0, repeat_s=900)
        broken = Scripted(opening=(ValueError("bad"),))
        return Target("phone", broken, policy, RealClock(), say=said.append)

    lane = ThreadLane(
        "phone", make, say=said.append, ended=lambda name, why: ended.append((name, why))
    )
    lane.start()
    lane.do(lambda target: target.put(message()))
    lane.join()
    assert ended == [("phone", "ValueError: bad")]
    assert said == ["notifier phone: broken, nothing more is sent to it: ValueError: bad"]
