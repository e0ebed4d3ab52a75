"""Alarms that nobody has acknowledged yet, and when each is to be said again."""

from collections.abc import Iterator

import msgspec

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.model.numbers import SECOND
from hedge.runtime.notify.said import LOUD
from hedge.runtime.words import plain, utc

DOUBT_S = 60
"""How soon an alarm is repeated whose first message may never have arrived."""


class _Alarm(msgspec.Struct, kw_only=True):
    text: str
    raised_at: int
    next_at: int
    times: int = 1
    settled: bool = False


class Standing:
    """Follows the alarm rows of all hedges; the books of the core follow the same rows."""

    def __init__(self, repeat_s: int) -> None:
        self._repeat = repeat_s * SECOND
        self._alarms: dict[tuple[str, str], _Alarm] = {}

    def see(self, hedge: str, row: Row, now: int) -> None:
        """Take in one row."""
        match row.entry:
            case c.RaiseAlarm(key=key, level=level) if level in LOUD:
                self._add(hedge, key, plain(row) or key, row.at, now)
            case c.SettleAlarm(key=key) if (hedge, key) in self._alarms:
                self._alarms[hedge, key].settled = True
            case e.OperatorAsked(verb=e.Verb.ACK, subject=subject):
                for one in [one for one in self._alarms if one[0] == hedge]:
                    if subject in ("*", one[1]):
                        del self._alarms[one]
            case _:
                pass

    def found(self, hedge: str, key: str, text: str, raised_at: int, now: int) -> None:
        """Take over an alarm that stood before this process, which may never have told it."""
        if (hedge, key) not in self._alarms:
            self._add(hedge, key, text, raised_at, now)
            self.doubted(hedge, key, now)

    def holds(self, hedge: str, key: str) -> bool:
        return (hedge, key) in self._alarms

    def doubted(self, hedge: str, key: str, now: int) -> None:
        """Repeat soon: nobody knows whether the last message arrived."""
        alarm = self._alarms.get((hedge, key))
        if alarm is not None:
            alarm.next_at = min(alarm.next_at, now + DOUBT_S * SECOND)

    @property
    def next_at(self) -> int | None:
        return min((alarm.next_at for alarm in self._alarms.values()), default=None)

    def due(self, now: int) -> Iterator[tuple[str, str, str]]:
        """Yield hedge, key and text of what has to be said again."""
        for (hedge, key), alarm in self._alarms.items():
            if alarm.next_at > now:
                continue
            alarm.times += 1
            alarm.next_at = now + self._repeat
            gone = "its cause is gone; " if alarm.settled else ""
            since = f"since {utc(alarm.raised_at)[:19]}Z"
            wait = f"waits for `hedge ack {hedge} {key}`"
            yield hedge, key, f"{alarm.text}\n({gone}{since}, message {alarm.times}, {wait})"

    def _add(self, hedge: str, key: str, text: str, raised_at: int, now: int) -> None:
        next_at = now + self._repeat
        self._alarms[hedge, key] = _Alarm(text=text, raised_at=raised_at, next_at=next_at)
