"""A venue's clock as seen from here: its offset from ours, and how wrong that may be."""

from collections import deque

import msgspec

from hedge.model.numbers import DAY, MS
from hedge.roles import Clock

UNKNOWN_NS = 365 * DAY
STRANGE_MAX = 3
"""So many samples in a row that contradict what we knew are believed: a clock was set."""
_PPM = 1_000_000


class _Sample(msgspec.Struct, frozen=True):
    """The offset was ``middle`` +- ``half`` (ns) at local time ``at``."""

    at: int
    middle: int
    half: int


class ClockOffset:
    """Server time minus local time, from request and reply times; the tightest sample wins.

    The server read its clock somewhere between ``sent`` and ``received``, so one sample bounds
    the offset from both sides, and the smallest round trip bounds it best (as NTP's clock filter,
    RFC 5905 section 10). The bound of an old sample widens by ``drift_ppm``.
    """

    def __init__(
        self, clock: Clock, *, window_ms: int = 600_000, drift_ppm: int = 100, grain_ns: int = MS
    ) -> None:
        """Keep samples for ``window_ms``; the server's times are cut down to ``grain_ns``."""
        self._clock = clock
        self._window = window_ms * MS
        self._drift_ppm = drift_ppm
        self._grain = grain_ns
        self._best: deque[_Sample] = deque()
        """Each better than all before it were it not younger; the first is the best now."""
        self._strange: list[_Sample] = []
        self._offset = 0

    def learn(self, *, sent: int, received: int, server_at: int) -> None:
        """Take one sample, ns: ``sent``, ``received`` of `Clock.now`; ``server_at`` of theirs."""
        assert sent <= received, f"received {sent - received} ns before it was sent"
        low, high = server_at - received, server_at + self._grain - sent
        sample = _Sample(received, (low + high) // 2, (high - low + 1) // 2)
        if self._best and self._contradicts(sample, self._best[0]):
            self._strange.append(sample)
            if len(self._strange) < STRANGE_MAX:
                return
            self._best.clear()
            for one in self._strange:
                if not self._contradicts(one, sample):
                    self._keep(one)
        else:
            self._keep(sample)
        self._strange.clear()
        self._offset = self._best[0].middle

    def _keep(self, sample: _Sample) -> None:
        best = self._best
        while best and self._rank(best[-1]) >= self._rank(sample):
            best.pop()
        best.append(sample)
        while best[0].at < sample.at - self._window:
            best.popleft()

    def _rank(self, sample: _Sample) -> int:
        # Every bound widens at one pace, so that the order of two samples never changes.
        return sample.half * _PPM - sample.at * self._drift_ppm

    def _half_at(self, sample: _Sample, at: int) -> int:
        return sample.half + abs(at - sample.at) * self._drift_ppm // _PPM + 1

    def _contradicts(self, sample: _Sample, other: _Sample) -> bool:
        apart = abs(sample.middle - other.middle)
        return apart > sample.half + self._half_at(other, sample.at)

    @property
    def known(self) -> bool:
        """Return whether there is a sample; without one the offset counts as zero."""
        return bool(self._best)

    @property
    def offset_ns(self) -> int:
        """Return server minus local, ns: positive when the venue's clock is ahead."""
        return self._offset

    @property
    def offset_ms(self) -> int:
        """Return `offset_ns` in ms, rounded to the nearest."""
        return (self._offset + MS // 2) // MS

    @property
    def error_ns(self) -> int:
        """Return how far `offset_ns` may be from the truth, ns; a year while not `known`.

        Samples that contradict the offset count in full until they are believed or refuted.
        """
        if not self._best:
            return UNKNOWN_NS
        now = self._clock.now()
        return max(
            abs(sample.middle - self._offset) + self._half_at(sample, now)
            for sample in (self._best[0], *self._strange)
        )

    def now(self) -> int:
        """Return the venue's time, ns UTC."""
        return self._clock.now() + self._offset

    def now_ms(self) -> int:
        """Return the venue's time, ms UTC: what a request is stamped and signed with."""
        return (self._clock.now() + self._offset) // MS
