"""Whether a line still lives: a ping where nothing comes, and a probe where nobody speaks."""

import asyncio
from collections.abc import Awaitable, Callable

from hedge.model.numbers import MS
from hedge.roles import Clock, TimerHandle
from hedge.transport.deadline import Within
from hedge.transport.line import Line
from hedge.transport.trouble import described

Step = Callable[[Line], Awaitable[None]]


class Pulse:
    """Drops a line that is half open: no frame, no pong, and no end that TCP would tell of."""

    def __init__(self, line: Line, clock: Clock, *, idle_ms: int, pong_timeout_ms: int) -> None:
        self._line = line
        self._clock = clock
        self._idle_ms = idle_ms
        self._pong_timeout_ms = pong_timeout_ms
        self._asked = False
        self._looked_at = clock.now()
        self._whole_at = self._looked_at
        self._timer = self._arm(idle_ms)

    @property
    def whole_at(self) -> int:
        """Return a time, ns of the clock, until which nothing that was sent to us is missing."""
        return self._looked_at if self._line.heard else self._whole_at

    def stop(self) -> None:
        self._whole_at = self.whole_at
        self._timer.cancel()

    def _arm(self, wait_ms: int) -> TimerHandle:
        return self._clock.call_at(self._clock.now() + wait_ms * MS, self._look)

    def _look(self) -> None:
        line = self._line
        # What was heard came after the last look, in order: up to that look nothing is missing.
        self._whole_at = self.whole_at
        self._looked_at = self._clock.now()
        if line.heard:
            line.heard = self._asked = False
        elif self._asked:
            line.drop(f"no pong within pong_timeout_ms={self._pong_timeout_ms}")
            return
        else:
            self._asked = True
            line.ping()
        self._timer = self._arm(self._pong_timeout_ms if self._asked else self._idle_ms)


class Watch:
    """Drops a line whose TCP lives and whose application does not; tells of each proof of life."""

    def __init__(
        self,
        line: Line,
        clock: Clock,
        *,
        silence_max_ms: int,
        probe_timeout_ms: int,
        probe: Step | None,
        on_alive: Callable[[], None],
    ) -> None:
        self._line = line
        self._clock = clock
        self._silence_max_ms = silence_max_ms
        self._probe_timeout_ms = probe_timeout_ms
        self._probe = probe
        self._on_alive = on_alive
        self._probing: asyncio.Task[None] | None = None
        self._stopped = False
        self._timer = self._arm()

    def stop(self) -> None:
        self._stopped = True
        self._timer.cancel()
        if self._probing is not None:
            self._probing.cancel()

    def _arm(self) -> TimerHandle:
        return self._clock.call_at(self._clock.now() + self._silence_max_ms * MS, self._look)

    def _look(self) -> None:
        if self._line.spoke:
            self._alive()
        elif self._probe is None:
            self._timer = self._arm()
        else:
            self._probing = asyncio.get_running_loop().create_task(self._ask(self._probe))
            self._probing.add_done_callback(self._asked)

    async def _ask(self, probe: Step) -> None:
        async with Within(self._clock, self._probe_timeout_ms):
            await probe(self._line)

    def _asked(self, probing: "asyncio.Task[None]") -> None:
        error = None if probing.cancelled() else probing.exception()
        if self._stopped or probing.cancelled():
            return
        if error is None:
            self._alive()
        elif isinstance(error, TimeoutError):
            self._line.drop(f"silent, no answer within probe_timeout_ms={self._probe_timeout_ms}")
        else:
            self._line.drop(f"silent, and the probe failed: {described(error)}")

    def _alive(self) -> None:
        # The probe's own answer is no news: the next look is to ask again.
        self._line.spoke = False
        self._on_alive()
        self._timer = self._arm()
