"""One target: its policy, its queue, its retries, and what is said when it does not work."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hedge.decide.rows import Row
from hedge.errors import (
    HedgeError,
    Limited,
    Malformed,
    OutcomeUnknown,
    PluginError,
    Refused,
    Unreachable,
    redacted,
)
from hedge.model.numbers import MS, SECOND
from hedge.roles import Alert, Clock, Notifier
from hedge.runtime.notify.outbox import Outbox
from hedge.runtime.notify.policy import Policy
from hedge.runtime.notify.said import ALARM

SEND_TIMEOUT_S = 30
GRACE_S = 5
"""How long a call may take to end after it was cancelled; one that does not is never made again."""
PAUSES_S = (1, 2, 5, 10, 30, 60)
LIMITED_S_MAX = 3_600
PACE_MS = 3_000
"""Between two messages that are no alarms: twenty a minute is what Telegram lets into a group."""
BUGS_MAX = 5
"""Foreign exceptions in a row after which a notifier counts as broken."""
DRAIN_S = 5
REASON_CHARS_MAX = 300


class Target:
    """Runs on one loop; `offer`, `found` and `stop` are called there, and none of them waits."""

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        policy: Policy,
        clock: Clock,
        *,
        say: Callable[[str], None],
        strike: Callable[[str], str] = redacted,
    ) -> None:
        self.name = name
        self.delivered = 0
        self.broken = ""
        """Why nothing is sent to it any more; "" while it works or may work again."""
        self._notifier = notifier
        self._policy = policy
        self._clock = clock
        self._say = say
        self._strike = strike
        self._outbox = Outbox()
        self._news = asyncio.Event()
        self._stop_at: int | None = None
        self._opened = False
        self._failures = 0
        self._bugs = 0
        self._complained = ""
        self._not_before = 0
        self._paced_until = 0

    # -- what comes in ---------------------------------------------------------------------------

    def offer(self, hedge: str, row: Row) -> None:
        """Take in one journal row."""
        alert = self._policy.take(hedge, row, self._clock.now())
        if alert is not None:
            self.put(alert)
        self._news.set()

    def put(self, alert: Alert) -> None:
        """Take in a message as it is."""
        if not self.broken:
            self._outbox.put(alert, self._clock.now())
            self._news.set()

    def found(self, hedge: str, key: str, text: str, raised_at: int) -> None:
        """Take over an unacknowledged alarm from before this process."""
        self._policy.found(hedge, key, text, raised_at, self._clock.now())
        self._news.set()

    def stop(self) -> None:
        """Send what waits, within `DRAIN_S`, and end."""
        self._stop_at = self._clock.now() + DRAIN_S * SECOND
        self._news.set()

    # -- what goes out ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Send until stopped, or until the notifier turns out to be broken."""
        try:
            while not self.broken:
                now = self._clock.now()
                stopping = self._stop_at is not None
                for due in self._policy.due(now, everything=stopping):
                    self._outbox.put(due, now)
                alert = self._outbox.first(now)
                if stopping and (alert is None or now >= (self._stop_at or 0)):
                    return
                ready_at = self._policy.next_at if alert is None else self._ready_at(alert)
                if alert is None or ((ready_at or 0) > now):
                    await self._wait(ready_at)
                elif await self._open():
                    await self._deliver(alert)
        finally:
            if self._opened:
                await bounded(self._notifier.__aexit__(None, None, None), GRACE_S)

    def _ready_at(self, alert: Alert) -> int:
        """Return when ``alert`` may go; an alarm keeps no pace, and neither does the last word."""
        unpaced = alert.level == ALARM or self._stop_at is not None
        return max(self._not_before, 0 if unpaced else self._paced_until)

    async def _wait(self, until: int | None) -> None:
        self._news.clear()
        times = [at for at in (until, self._stop_at) if at is not None]
        timer = self._clock.call_at(min(times), self._news.set) if times else None
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _open(self) -> bool:
        if not self._opened:
            error = await bounded(self._notifier.__aenter__(), SEND_TIMEOUT_S)
            if error is None:
                self._opened = True
            elif isinstance(error, Unreachable | OutcomeUnknown | Limited):
                self._later(error)
            else:
                self._break(error)
        return self._opened

    async def _deliver(self, alert: Alert) -> None:
        error = await bounded(self._notifier.send(alert), SEND_TIMEOUT_S)
        now = self._clock.now()
        if error is None:
            self._outbox.done(alert)
            self._arrived()
        elif isinstance(error, Limited | Unreachable):
            self._later(error)  # it certainly did not arrive
            return
        else:
            # Refused: it never will. Anything else: nobody knows, and no message is sent twice;
            # an alarm comes again by itself, and says that it is a repeat.
            self._outbox.done(alert)
            if not isinstance(error, Refused):
                self._policy.doubted(alert, now)
            self._complain(f"a message may be lost: {self._why(error)}")
            self._blame(error)
        if alert.level != ALARM:
            self._paced_until = now + PACE_MS * MS

    def _arrived(self) -> None:
        self.delivered += 1
        self._failures = self._bugs = 0
        if self._complained:
            self._complained = ""
            self._say(f"notifier {self.name}: works again")
        dropped, self._outbox.dropped = self._outbox.dropped, 0
        if dropped:
            self._say(f"notifier {self.name}: {dropped} older messages were dropped")

    def _later(self, error: HedgeError) -> None:
        if isinstance(error, Limited):
            pause_s = min(max(1, error.retry_after_s), LIMITED_S_MAX)
        else:
            pause_s = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        self._not_before = self._clock.now() + pause_s * SECOND
        self._complain(f"not reached, will be tried again: {self._why(error)}")

    def _blame(self, error: BaseException) -> None:
        if isinstance(error, PluginError):
            self._break(error)
        elif isinstance(error, Refused | OutcomeUnknown | Malformed):
            self._bugs = 0
        else:
            self._bugs += 1
            if self._bugs >= BUGS_MAX:
                self._break(error)

    def _break(self, error: BaseException) -> None:
        self.broken = self._why(error)
        self._say(f"notifier {self.name}: broken, nothing more is sent to it: {self.broken}")

    def _complain(self, text: str) -> None:
        """Say it once, until the target works again or fails in another way."""
        if self._complained != text:
            self._complained = text
            self._say(f"notifier {self.name}: {text}")

    def _why(self, error: BaseException) -> str:
        text = self._strike(" ".join(str(error).split()))[:REASON_CHARS_MAX]
        return f"{type(error).__name__}: {text}" if text else type(error).__name__


async def bounded(work: Coroutine[Any, Any, object], limit_s: int) -> BaseException | None:
    """Run a plugin's coroutine for at most ``limit_s``; return what it raised, whatever it is.

    `OutcomeUnknown` when it did not end in time, `PluginError` when it did not even end after it
    was cancelled: then it still runs, and must not be called again.
    """
    task = asyncio.get_running_loop().create_task(_tamed(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
        if done:
            return OutcomeUnknown("it cancelled itself") if task.cancelled() else task.exception()
    finally:
        task.cancel()
    done, _ = await asyncio.wait({task}, timeout=GRACE_S)
    if done:
        if not task.cancelled():
            task.exception()  # what it says on the way down is no news
        return OutcomeUnknown(f"no answer within {limit_s} s")
    return PluginError(f"no answer within {limit_s} s, and it cannot be cancelled")


async def _tamed(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise PluginError(f"it raised {type(error).__name__}") from error
