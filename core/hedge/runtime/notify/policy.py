"""What one target is told, and when: chosen kinds, fills in digests, repeats, nothing in floods."""

from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.rows import Row
from hedge.model.numbers import SECOND
from hedge.roles import Alert
from hedge.runtime.notify.digest import Digest
from hedge.runtime.notify.said import ALARM, EVENT, WARNING, Said, said_of
from hedge.runtime.notify.standing import Standing

AGAIN_S = 60
"""Within this time of one message about a thing, the next about the same is only counted."""
ABOUT_MAX = 1_000
"""Things remembered for that; the oldest is forgotten first."""
TEXT_CHARS_MAX = 3_000
"""Telegram takes 4,096 characters of text, a Slack block 3,000."""


class _Recent(msgspec.Struct, kw_only=True):
    """When a thing was last told, and what has been held back since."""

    told_at: int
    held: int = 0
    said: Said | None = None
    at: int = 0


class Policy:
    """Pure: rows and the time go in, alerts come out."""

    def __init__(self, on: tuple[str, ...], *, digest_s: int, repeat_s: int) -> None:
        self._on = frozenset(on)
        self._digest_s = digest_s
        self._standing = Standing(repeat_s)
        self._digests: dict[str, Digest] = {}
        self._recent: OrderedDict[tuple[str, str], _Recent] = OrderedDict()
        self._count = 0

    def take(self, hedge: str, row: Row, now: int) -> Alert | None:
        """Take in one row; return what is to be said of it at once."""
        said = said_of(row)
        if isinstance(row.entry, c.SettleAlarm) and said is not None:
            loud = ALARM if self._standing.holds(hedge, row.entry.key) else WARNING
            said = msgspec.structs.replace(said, kind=loud)
        self._standing.see(hedge, row, now)
        if said is None or said.kind not in self._on:
            return None
        if isinstance(row.entry, e.FillSeen) and self._digest_s:
            digest = self._digests.setdefault(hedge, Digest(self._digest_s, now))
            digest.add(row.entry.fill, said.text, row.at)
            return None
        if said.about and self._too_soon(hedge, said, row.at, now):
            return None
        return self._alert(hedge, said, row.at, f"{row.seq}")

    def found(self, hedge: str, key: str, text: str, raised_at: int, now: int) -> None:
        """Take over an unacknowledged alarm from before this process."""
        self._standing.found(hedge, key, text, raised_at, now)

    def doubted(self, alert: Alert, now: int) -> None:
        """Hear that nobody knows whether ``alert`` arrived."""
        if alert.level == ALARM:
            self._standing.doubted(alert.hedge, alert.key.partition(":")[2], now)

    @property
    def next_at(self) -> int | None:
        """Return when `due` has something; None: not before the next row."""
        times = [digest.due_at for digest in self._digests.values()]
        times += [one.told_at + AGAIN_S * SECOND for one in self._recent.values() if one.held]
        if ALARM in self._on and self._standing.next_at is not None:
            times.append(self._standing.next_at)
        return min(times, default=None)

    def due(self, now: int, *, everything: bool = False) -> Iterator[Alert]:
        """Yield what has waited long enough; ``everything``: what waits at all, but no repeats."""
        for hedge, digest in list(self._digests.items()):
            if everything or digest.due_at <= now:
                del self._digests[hedge]
                said = Said(kind="fill", level=EVENT, text=digest.text())
                yield self._alert(hedge, said, digest.at, self._own_key("fills"))
        for (hedge, _), one in self._recent.items():
            if one.said is not None and (everything or one.told_at + AGAIN_S * SECOND <= now):
                times = f" ({one.held} times within {AGAIN_S} s)" if one.held > 1 else ""
                said = msgspec.structs.replace(one.said, text=f"{one.said.text}{times}")
                yield self._alert(hedge, said, one.at, self._own_key("again"))
                one.told_at, one.held, one.said = now, 0, None
        if ALARM in self._on and not everything:
            for hedge, key, text in self._standing.due(now):
                said = Said(kind=ALARM, level=ALARM, text=text, about=key)
                yield self._alert(hedge, said, now, "")

    def _too_soon(self, hedge: str, said: Said, at: int, now: int) -> bool:
        """Hold back what was told a moment ago; the last of it is told when the time is over."""
        known = self._recent.get((hedge, said.about))
        if known is not None and now - known.told_at < AGAIN_S * SECOND:
            known.held, known.said, known.at = known.held + 1, said, at
            return True
        self._recent.pop((hedge, said.about), None)
        self._recent[hedge, said.about] = _Recent(told_at=now)
        if len(self._recent) > ABOUT_MAX:
            self._recent.popitem(last=False)
        return False

    def _own_key(self, what: str) -> str:
        self._count += 1
        return f"{what} {self._count}"

    @staticmethod
    def _alert(hedge: str, said: Said, at: int, key: str) -> Alert:
        alarm = said.level == ALARM and said.about
        return Alert(
            key=f"{hedge}:{said.about if alarm else key}",
            level=said.level,
            hedge=hedge,
            text=said.text[:TEXT_CHARS_MAX],
            at=at,
        )
