"""The bounded queue of one target: alarms first, waiting events of one hedge joined to one."""

from collections import deque

import msgspec

from hedge.model.numbers import SECOND
from hedge.roles import Alert
from hedge.runtime.notify.policy import TEXT_CHARS_MAX
from hedge.runtime.notify.said import ALARM, EVENT, WARNING

ALERTS_MAX = 200
"""Messages that may wait for one target; beyond it the least and oldest is dropped, and counted."""
AGE_MAX_S = 3_600
"""An event that could not be delivered within an hour is history: the report has it."""


class _Waiting(msgspec.Struct):
    alert: Alert
    since: int


class Outbox:
    """Nothing leaves it before it is `done`: a message that has to be sent again is still here."""

    def __init__(self, alerts_max: int = ALERTS_MAX) -> None:
        self._alerts_max = alerts_max
        self._queues: dict[str, deque[_Waiting]] = {
            level: deque() for level in (ALARM, WARNING, EVENT)
        }
        self.dropped = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def alarmed(self) -> bool:
        """Return whether an alarm waits."""
        return bool(self._queues[ALARM])

    def put(self, alert: Alert, now: int) -> None:
        """Take a message; one with the same key that still waits is replaced by it."""
        queue = self._queues[alert.level]
        for one in queue:
            if one.alert.key == alert.key:
                one.alert = alert
                return
        queue.append(_Waiting(alert, now))
        while len(self) > self._alerts_max:
            least = next(level for level in (EVENT, WARNING, ALARM) if self._queues[level])
            self._queues[least].popleft()
            self.dropped += 1

    def first(self, now: int) -> Alert | None:
        """Return what is to be sent next, and keep it."""
        for level in (WARNING, EVENT):
            queue = self._queues[level]
            while queue and now - queue[0].since > AGE_MAX_S * SECOND:
                queue.popleft()
                self.dropped += 1
        for level, queue in self._queues.items():
            if queue:
                if level != ALARM:
                    _join(queue)
                return queue[0].alert
        return None

    def done(self, alert: Alert) -> None:
        """Forget a message that was sent, or never can be; one that replaced it stays."""
        queue = self._queues[alert.level]
        for number, one in enumerate(queue):
            if one.alert == alert:
                del queue[number]
                return


def _join(queue: deque[_Waiting]) -> None:
    """Make one message of the first and of all that follow it about the same hedge."""
    first = queue[0].alert
    texts, left = [first.text], TEXT_CHARS_MAX - len(first.text)
    while len(queue) > 1 and queue[1].alert.hedge == first.hedge:
        left -= len(queue[1].alert.text) + 1
        if left < 0:
            break
        texts.append(queue[1].alert.text)
        del queue[1]
    if len(texts) > 1:
        queue[0].alert = msgspec.structs.replace(first, text="\n".join(texts))
