"""The shell's own pulse: watchdog, kill-switch files, free disk, memory, loop lag."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

from hedge.decide import events as e
from hedge.model.numbers import MS, SECOND
from hedge.roles import Clock
from hedge.runtime.machine import free_bytes, resident_bytes
from hedge.runtime.sdnotify import SdNotify
from hedge.runtime.session import Session

LAG_WARN = 250 * MS
LAG_FREEZE = 2 * SECOND
DISK_FREE_MIN = 1 << 30
DISK_SHARE_MIN = 20
"""Freeze below one twentieth of the disk, or below a gibibyte."""
MEASURE_EVERY = 60 * SECOND
SETTLED_AFTER = 10 * 60 * SECOND
"""How long after the start the memory is what later memory is compared with."""
GROWTH_MIN = 128 << 20
"""Bytes; less than this is no growth, whatever it began with."""
PULSE_MAX = SECOND // 2
"""Whatever ``run.tick_ms`` says: a kill file holds within a second (safety I21)."""
REMIND_EVERY = 15 * 60 * SECOND
"""How often an alarm that nobody has acknowledged is said again."""


class Ticker:
    """Once a tick, and each `PULSE_MAX` at the least, for all ``sessions`` of that moment.

    Not where time is ``unpaced``: there a tick would mean nothing.
    """

    def __init__(
        self,
        sessions: Collection[Session],
        clock: Clock,
        notify: SdNotify,
        say: Callable[[str], None],
        *,
        unpaced: bool = False,
        free: Callable[[Path], tuple[int, int]] = free_bytes,
        resident: Callable[[], int] = resident_bytes,
    ) -> None:
        self._unpaced = unpaced
        self._free = free
        self._resident = resident
        self._began_at = clock.now()
        self._settled = 0
        self._say = say
        self._sessions = sessions
        self._clock = clock
        self._notify = notify
        self._measured_at = 0
        self._reminded_at = clock.now()

    async def run(self, tick: int) -> None:
        if self._unpaced:
            await asyncio.get_running_loop().create_future()
        while True:
            due = self._clock.now() + min(tick, PULSE_MAX)
            await self._clock.sleep_until(due)
            self._lag(self._clock.now() - due)
            measuring = self._clock.now() - self._measured_at >= MEASURE_EVERY
            for session in self._sessions:
                if not session.over:
                    session.heed_kill_files()
                    if measuring:
                        self._disk(session)
            if measuring:
                self._memory()
                self._measured_at = self._clock.now()
            self._remind()
            self._notify.watchdog()

    def _alarm(self, session: Session, key: str, level: str, text: str, freeze: str = "") -> None:
        session.pump.feed(
            e.ShellAlarmed(at=self._clock.now(), key=key, level=level, text=text, freeze=freeze)
        )

    def _lag(self, late: int) -> None:
        if late < LAG_WARN:
            return
        freeze = "LOOP_LAG" if late >= LAG_FREEZE else ""
        for session in self._sessions:
            if not session.over:
                text = f"the event loop was {late // MS} ms late"
                self._alarm(session, "LOOP_LAG", "warning", text, freeze)

    def _remind(self) -> None:
        now = self._clock.now()
        if now - self._reminded_at < REMIND_EVERY:
            return
        self._reminded_at = now
        for session in self._sessions:
            for alarm in session.engine.books.alarms.values():
                if not (alarm.settled or alarm.acknowledged):
                    self._say(f"{session.name}: still: {alarm.level} {alarm.key}: {alarm.text}")

    def _disk(self, session: Session) -> None:
        free, total = self._free(session.directory)
        if free < DISK_FREE_MIN or free * DISK_SHARE_MIN < total:
            text = f"{free // (1 << 20)} MiB are left on the disk of {session.directory}"
            self._alarm(session, "DISK", "alarm", text, "DISK")

    def _memory(self) -> None:
        """Say when the process has grown to twice its size (F57): what ends it then is the host."""
        resident = self._resident()
        if self._clock.now() - self._began_at < SETTLED_AFTER:
            return
        self._settled = self._settled or resident
        if resident <= max(2 * self._settled, self._settled + GROWTH_MIN):
            return
        text = f"{resident >> 20} MiB are held, {self._settled >> 20} ten minutes after the start"
        for session in self._sessions:
            if not session.over:
                self._alarm(session, "MEMORY", "alarm", text)
