"""A thread a target: whatever a notifier does to its loop, it does not do to the engine's."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from hedge.decide.rows import Row
from hedge.roles import Alert
from hedge.runtime.notify.said import TELLING
from hedge.runtime.notify.target import DRAIN_S, GRACE_S, Target
from hedge.runtime.supervise import Supervisor

ROWS_MAX = 1_000
"""Rows that may wait for a target's thread to look; beyond it rows are lost to it, and counted."""
JOIN_S = DRAIN_S + GRACE_S

Step = Callable[[Target], object]


class Lane(Protocol):
    """How rows get to a target; nothing here waits, raises, or comes back."""

    def row(self, hedge: str, row: Row) -> None: ...

    def do(self, step: Step) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self) -> None: ...


class ThreadLane:
    """The lane of a live engine. ``make`` builds the target on the thread's own loop."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Target],
        *,
        say: Callable[[str], None],
        ended: Callable[[str, str], None] = lambda _name, _why: None,
    ) -> None:
        self.name = name
        self.lost = 0
        self._make = make
        self._say = say
        self._ended = ended
        self._steps: deque[Step] = deque()
        self._awake = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"notify {name}", daemon=True)

    def row(self, hedge: str, row: Row) -> None:
        """Hand one row over; called in the pump, so it only appends and wakes."""
        if isinstance(row.entry, TELLING):
            self.do(lambda target: target.offer(hedge, row))

    def do(self, step: Step) -> None:
        """Have something done on the target's thread, in order."""
        if len(self._steps) >= ROWS_MAX:
            self.lost += 1
            return
        self._steps.append(step)
        if not self._awake and self._loop is not None:
            self._awake = True
            with contextlib.suppress(RuntimeError):  # its loop has ended: nobody listens any more
                self._loop.call_soon_threadsafe(self._drain)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(JOIN_S)

    def stop(self) -> None:
        """Ask it to send what waits and to end."""
        self._steps.append(Target.stop)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._drain)

    def join(self) -> None:
        """Wait for its end; one that does not come is left to the end of the process."""
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            self._say(f"notifier {self.name}: did not end within {JOIN_S} s, left behind")
        if self.lost:
            self._say(f"notifier {self.name}: {self.lost} rows came faster than it looked at them")

    def _live(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._target = self._make()
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        self._drain()
        supervisor = Supervisor()
        supervisor.start(self.name, self._target.run(), may_end=True)
        ended = await supervisor.run()
        why = self._target.broken or (ended.text if ended.error is not None else "")
        if why:
            self._ended(self.name, why)
            if not self._target.broken:
                self._say(f"notifier {self.name}: stopped, a bug: {type(ended.error).__name__}")

    def _drain(self) -> None:
        self._awake = False
        while self._steps:
            self._steps.popleft()(self._target)


class InlineLane:
    """The lane of a simulation: the target runs on the engine's own loop and virtual time."""

    def __init__(self, target: Target) -> None:
        self.name = target.name
        self.target = target
        self._supervisor = Supervisor()
        self._task: asyncio.Task[object] | None = None

    def row(self, hedge: str, row: Row) -> None:
        if isinstance(row.entry, TELLING):
            self.target.offer(hedge, row)

    def do(self, step: Step) -> None:
        step(self.target)

    def start(self) -> None:
        self._supervisor.start(self.name, self.target.run(), may_end=True)
        self._task = asyncio.get_running_loop().create_task(self._supervisor.run())

    def stop(self) -> None:
        self.target.stop()

    def join(self) -> None:
        """Nothing to wait for here: see `drained`."""

    async def drained(self) -> None:
        """Wait until the target has ended."""
        if self._task is not None:
            await self._task


def down_alert(name: str, why: str, at: int) -> Alert:
    """Return what the other targets are told of one that ended."""
    text = f"the notifier {name} does not work any more: {why}"
    return Alert(key=f"notifier {name}", level="warning", hedge="", text=text, at=at)
