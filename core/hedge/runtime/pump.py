"""The heart: one fact in, its rows written, its wishes performed; in that order, every time."""

from collections import deque
from collections.abc import Callable

from hedge.decide import commands as c
from hedge.decide.engine import Engine
from hedge.decide.events import AnyEvent
from hedge.decide.rows import AnyEntry, Row, belongs
from hedge.errors import InvariantBroken, JournalError
from hedge.journal.committer import Committer
from hedge.journal.log import JournalLog
from hedge.model import Leg

QUEUE_EVENTS_MAX = 1_000
"""Facts that may wait behind the one in hand; more means that something feeds itself."""


class Pump:
    """Feeds one engine; ``perform`` is `Effects.perform`, ``watchers`` see every row afterwards.

    What cannot be written is not performed: a failed append poisons the pump for good.
    """

    def __init__(
        self,
        engine: Engine,
        log: JournalLog,
        committer: Committer,
        *,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.engine = engine
        self.perform: Callable[[c.AnyCommand], None] = lambda _: None
        self.watchers: list[Callable[[Row], None]] = []
        self.record: Callable[[AnyEvent], None] | None = None
        self._log = log
        self._committer = committer
        self._fail = fail
        self._queue: deque[AnyEvent] = deque()
        self._busy = False
        self.failed = False

    def feed(self, event: AnyEvent) -> None:
        """Take one fact; called from sinks, timers and answers, always on the loop."""
        if self.failed:
            return
        if self._busy:
            assert len(self._queue) < QUEUE_EVENTS_MAX, "facts pile up behind one another"
            self._queue.append(event)
            return
        self._busy = True
        try:
            self._one(event)
            while self._queue and not self.failed:
                self._one(self._queue.popleft())
        except JournalError as error:
            self._stop(error)
        except AssertionError as error:
            self._stop(InvariantBroken(f"{type(error).__name__}: {error}"))
        except BaseException as error:
            # Half of a fact may be in the books, and its commands nowhere: nobody goes on from it.
            self._stop(InvariantBroken(f"{type(error).__name__}: {error}"))
            raise
        finally:
            self._busy = False

    def close(self) -> None:
        """Take nothing more: what the venues still say is for the next start to read."""
        self.failed = True

    def _stop(self, error: BaseException) -> None:
        self.failed = True
        self._queue.clear()
        self._fail(error)

    def _one(self, event: AnyEvent) -> None:
        engine = self.engine
        if self.record is not None:
            self.record(event)
        commands = engine.handle(event)
        entries: list[AnyEntry] = [event] if engine.touched and belongs(event) else []
        if not commands and not entries:
            return  # most quotes
        entries += [command for command in commands if belongs(command)]
        rows: tuple[Row, ...] = ()
        if entries:
            market = engine.market
            rows = self._log.append(
                engine.now, entries, market.mid(Leg.SPOT), market.mid(Leg.FUTURES)
            )
        for command in commands:
            self.perform(command)
        if rows:
            self._committer.wrote(len(rows))
            for watcher in self.watchers:
                for row in rows:
                    watcher(row)
