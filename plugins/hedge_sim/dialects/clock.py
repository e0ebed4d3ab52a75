"""The compressed clock: recorded time that hurries while nobody trades, shared by all processes.

Wire timestamps are wall time, always. Recorded time runs along a line of segments, each with a
beginning (wall time, recorded time) and a speed, kept in one small file that every server of a
world maps into its memory: what one appends, the others see at their next look. A segment begins
a moment (`NOTICE`) after it was written, so that nobody has read past it. Any process that has an
order working calls the world busy, and it then runs at ``slow`` (1 as a rule); when nobody has for
`BUSY_LINGER`, it hurries at ``fast``. A world that waits runs like ours until its first order; one
that nobody runs stands still.
"""

import asyncio
import fcntl
import heapq
import itertools
import mmap
import os
import struct
import time
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from hedge.errors import ConfigError, writing
from hedge.model.numbers import HOUR, MS, SECOND

NOTICE: Final = 2 * MS
"""A change takes effect this much later than it is written; the file is shared memory."""
BUSY_LINGER: Final = 3 * SECOND
"""The world keeps its slow pace for so long after the last order."""
ASLEEP_AFTER: Final = 3 * SECOND
"""Who joins a world without a sign of life for so long finds it where the last sign was."""
AHEAD_MAX: Final = 2 * HOUR
"""A venue that died may have promised its truth an hour more than it lived; more is a new start."""
LOOK_EVERY: Final = 50 * MS
"""How often a waiting timer looks whether the pace has changed."""
SEGMENTS_MAX: Final = 65_536
MILLI: Final = 1_000
MAGIC: Final = int.from_bytes(b"HSIMWLD1", "little")
WORLD_FILE: Final = "sim.world"

_HEAD = 64
_SEGMENT = struct.Struct("=qqq")
_SIZE = _HEAD + SEGMENTS_MAX * _SEGMENT.size
_MAGIC, _COUNT, _BUSY_UNTIL, _ALIVE_AT, _FAST, _SLOW, _WAITS = range(7)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast recorded time runs, in thousandths: while idle, and while anybody trades."""

    fast_milli: int = MILLI
    slow_milli: int = MILLI
    begin_at: int = 0
    """Where a new world begins (recorded ns), unless that is before its recording."""
    waits: bool = False
    """Whether a new world runs like ours until its first order."""


class Segment(msgspec.Struct, frozen=True):
    """From ``wall`` on, recorded time runs from ``recorded`` at ``milli`` / 1000 its speed."""

    wall: int
    recorded: int
    milli: int

    def recorded_at(self, wall: int) -> int:
        return self.recorded + (wall - self.wall) * self.milli // MILLI

    def wall_at(self, recorded: int) -> int:
        return self.wall + (recorded - self.recorded) * MILLI // self.milli


class World:
    """The line of segments; without a path it lives in this process only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = -1
        self._map: mmap.mmap | None = None
        self._slots = memoryview(b"")
        self._segments: list[Segment] = []

    def open(self) -> None:
        """Map the file, creating an empty one; raise ConfigError where it is not a world."""
        if self._path is None:
            self._map = mmap.mmap(-1, _SIZE)
        else:
            with writing(f"cannot open the world in {self._path}"):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if os.fstat(self._file).st_size < _SIZE:
                    os.ftruncate(self._file, _SIZE)
                self._map = mmap.mmap(self._file, _SIZE)
        self._slots = memoryview(self._map)[:_HEAD].cast("q")
        if self._slots[_COUNT] and self._slots[_MAGIC] != MAGIC:
            self.close()
            raise ConfigError(f"{self._path} is not the world of a simulated venue")

    def close(self) -> None:
        self._slots.release()
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def is_founded(self) -> bool:
        return self._slots[_COUNT] > 0

    def is_alive(self, wall: int) -> bool:
        """Return whether a server has given a sign of life lately."""
        return self.is_founded and wall - self._slots[_ALIVE_AT] <= ASLEEP_AFTER

    @property
    def segments(self) -> list[Segment]:
        """Return every segment so far; the last one may begin a moment from now."""
        known, count = len(self._segments), self._slots[_COUNT]
        if known < count:
            assert self._map is not None
            for number in range(known, count):
                raw = _SEGMENT.unpack_from(self._map, _HEAD + number * _SEGMENT.size)
                self._segments.append(Segment(*raw))
        return self._segments

    def recorded_at(self, wall: int) -> int:
        """Return the recorded time at a wall time; 0 while the world is not founded.

        What lies before the world's beginning passed as it was recorded, at a speed of 1.
        """
        segments = self.segments
        if not segments:
            return 0
        place = bisect_right(segments, wall, key=lambda segment: segment.wall)
        if not place:
            return segments[0].recorded - (segments[0].wall - wall)
        return segments[place - 1].recorded_at(wall)

    def wall_at(self, recorded: int) -> int:
        """Return when a recorded moment was, or will be if the pace stays as it is."""
        segments = self.segments
        place = bisect_right(segments, recorded, key=lambda segment: segment.recorded)
        if not place:
            return segments[0].wall - (segments[0].recorded - recorded)
        wall = segments[place - 1].wall_at(recorded)
        # A moment that was jumped over was at the jump.
        return min(wall, segments[place].wall) if place < len(segments) else wall

    @property
    def fast(self) -> int:
        return self._slots[_FAST]

    @property
    def slow(self) -> int:
        return self._slots[_SLOW]

    def speed_at(self, wall: int) -> int:
        """Return thousandths of the recorded speed at a wall time."""
        place = bisect_right(self.segments, wall, key=lambda segment: segment.wall)
        return self._segments[place - 1].milli if place else 0

    # Changes: under the file's lock, and told to nobody

    def found(self, recorded: int, wall: int, fast: int, slow: int, *, waits: bool = False) -> None:
        """Begin the world at a recorded time, unless somebody has."""
        with self._locked():
            if self.is_founded:
                return
            self._slots[_MAGIC] = MAGIC
            self._slots[_FAST], self._slots[_SLOW] = fast, slow
            self._slots[_ALIVE_AT], self._slots[_WAITS] = wall, waits
            self._append(Segment(wall, recorded, MILLI if waits else slow))

    def set_pace(self, fast: int, slow: int, *, waits: bool = False) -> None:
        """Change the pace; a world that ``waits`` goes on waiting, if it did."""
        with self._locked():
            self._slots[_FAST], self._slots[_SLOW] = fast, slow
            self._slots[_WAITS] &= waits

    def beat(self, wall: int, *, busy: bool) -> None:
        """Say that we live, and whether we trade; change the pace where it is due."""
        self._slots[_ALIVE_AT] = max(self._slots[_ALIVE_AT], wall)
        if busy:
            self._slots[_BUSY_UNTIL] = max(self._slots[_BUSY_UNTIL], wall + BUSY_LINGER)
        if self.segments and self.segments[-1].milli != self._wanted(wall):
            with self._locked():
                wanted, begin = self._wanted(wall), wall + NOTICE
                last = self.segments[-1]
                if last.milli != wanted and begin > last.wall:
                    self._append(Segment(begin, last.recorded_at(begin), wanted))

    def _wanted(self, wall: int) -> int:
        if self._slots[_WAITS] and not self._slots[_BUSY_UNTIL]:
            return MILLI
        return self.slow if self._slots[_BUSY_UNTIL] > wall else self.fast

    def wake(self, wall: int) -> None:
        """Go on from where the last process left off, if nobody has been alive since."""
        with self._locked():
            if not self.is_founded:
                return
            alive = self._slots[_ALIVE_AT]
            last = self.segments[-1]
            if wall - alive > ASLEEP_AFTER and wall > last.wall:
                self._append(Segment(wall, last.recorded_at(max(alive, last.wall)), self.slow))
                self._slots[_ALIVE_AT] = wall

    def skip(self, by: int, wall: int) -> None:
        """Jump ``by`` ns of recorded time ahead, a moment after ``wall``."""
        with self._locked():
            last = self.segments[-1]
            begin = max(wall + NOTICE, last.wall + 1)
            self._append(Segment(begin, last.recorded_at(begin) + by, last.milli))

    def _append(self, segment: Segment) -> None:
        assert self._map is not None
        count = self._slots[_COUNT]
        if count >= SEGMENTS_MAX:
            raise ConfigError(
                f"the world has changed its pace {SEGMENTS_MAX} times; start a new one"
            )
        place = _HEAD + count * _SEGMENT.size
        _SEGMENT.pack_into(self._map, place, segment.wall, segment.recorded, segment.milli)
        self._slots[_COUNT] = count + 1

    def _locked(self) -> "_Lock":
        return _Lock(self._file)


def forget_world(folder: Path) -> bool:
    """Remove the world of a folder unless a server runs it; return whether there is none now."""
    path = folder / WORLD_FILE
    if not path.exists():
        return True
    world = World(path)
    world.open()
    try:
        if world.is_alive(time.time_ns()):
            return False
    finally:
        world.close()
    path.unlink()
    return True


class _Lock:
    """The file's lock between processes; nothing where there is no file."""

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> None:
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)


class WorldTimer:
    """A callback at a recorded time."""

    __slots__ = ("at", "callback", "cancelled", "order")

    def __init__(self, at: int, order: int, callback: Callable[[], None]) -> None:
        self.at = at
        self.order = order
        self.callback = callback
        self.cancelled = False

    def __lt__(self, other: "WorldTimer") -> bool:
        return (self.at, self.order) < (other.at, other.order)

    def cancel(self) -> None:
        self.cancelled = True


class WorldClock:
    """`hedge.roles.Clock` whose time is the recorded one; `wall` is everybody else's."""

    virtual = True
    """The venue must not invent a shift: recorded time is what this clock shows."""

    def __init__(self, world: World, pace: Pace) -> None:
        self.world = world
        self._pace = pace
        self._timers: list[WorldTimer] = []
        self._orders = itertools.count()
        self._wake: asyncio.TimerHandle | None = None
        self._last_wall = 0
        self._last = 0

    def wall(self) -> int:
        """Return wall time, ns UTC; never goes back within a process."""
        self._last_wall = max(self._last_wall, time.time_ns())
        return self._last_wall

    def now(self) -> int:
        """Return recorded time, ns UTC; never goes back. 0 before the world is founded."""
        self._last = max(self._last, self.world.recorded_at(self.wall()))
        return self._last

    def wall_of(self, recorded: int) -> int:
        """Return the wall time of a recorded moment (see `World.wall_at`)."""
        return self.world.wall_at(recorded)

    def begin_at(self, at: int) -> None:
        """Found the world at ``at``, or later as its pace says; jump to ``at`` from far behind."""
        wall, pace = self.wall(), self._pace
        self.world.found(
            max(at, pace.begin_at), wall, pace.fast_milli, pace.slow_milli, waits=pace.waits
        )
        behind = at - self.world.recorded_at(wall)
        if behind > AHEAD_MAX:
            self.world.skip(behind, wall)

    def call_at(self, at: int, callback: Callable[[], None]) -> WorldTimer:
        timer = WorldTimer(at, next(self._orders), callback)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._arm()
        return timer

    async def sleep_until(self, at: int) -> None:
        done = asyncio.Event()
        timer = self.call_at(at, done.set)
        try:
            await done.wait()
        finally:
            timer.cancel()

    def stop(self) -> None:
        """Forget every timer."""
        self._timers.clear()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def _arm(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
        wait = min(max(self.wall_of(self._timers[0].at) - self.wall(), 0), LOOK_EVERY)
        self._wake = asyncio.get_running_loop().call_later(wait / SECOND, self._fire)

    def _fire(self) -> None:
        self._wake = None
        now = self.now()
        while self._timers and self._timers[0].at <= now:
            timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                timer.callback()
        while self._timers and self._timers[0].cancelled:
            heapq.heappop(self._timers)
        if self._timers and self._wake is None:
            self._arm()


def milli_of(speed: Decimal | int | str) -> int:
    """Return a speed in thousandths; raise ConfigError below 0.001."""
    milli = int(Decimal(speed) * MILLI)
    if milli < 1:
        raise ConfigError(f"speed {speed}: at least 0.001")
    return milli
