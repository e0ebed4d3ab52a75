"""Keeping the disk and the tables behind the log, without anybody ever waiting for either."""

import collections
import contextlib
import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from hedge.errors import JournalError
from hedge.journal.log import JournalLog
from hedge.journal.table import BATCH, Projection, TablesBusy

Callback = Callable[[], None]
OnError = Callable[[BaseException], None]
Post = Callable[[Callback], object]
"""Runs a callback in the engine's thread: ``loop.call_soon_threadsafe``."""

CLOSE_S = 5


class Committer(Protocol):
    """What the runtime tells of the log. Nothing here blocks an append."""

    def wrote(self, rows: int = 1) -> None:
        """Note that rows were appended."""

    def sync_then(self, callback: Callback) -> None:
        """Sync what is appended by now, then call back; on a failure ``on_error`` instead."""

    def close(self) -> bool:
        """Sync and project what is left; return whether all of it was done in time."""


class InlineCommitter:
    """Does its work at once, in the caller's thread: for virtual time.

    Without a projection only the syncs remain, which is what a fault simulation needs.
    """

    def __init__(
        self,
        log: JournalLog,
        projection: Projection | None = None,
        *,
        every: int = BATCH,
        on_error: OnError,
    ) -> None:
        assert every > 0
        self._log = log
        self._projection = projection
        self._every = every
        self._on_error = on_error
        self._waiting = 0

    def wrote(self, rows: int = 1) -> None:
        self._waiting += rows
        if self._waiting >= self._every:
            self._commit()

    def sync_then(self, callback: Callback) -> None:
        try:
            self._log.sync()
        except JournalError as error:
            self._on_error(error)
            return
        callback()

    def close(self) -> bool:
        """Commit what is left, and close the projection; the log is its owner's to close."""
        done = self._commit()
        if self._projection is not None:
            self._projection.close()
        return done

    def _commit(self) -> bool:
        self._waiting = 0
        try:
            self._log.sync()
            if self._projection is not None:
                self._projection.catch_up()
        except JournalError as error:
            self._on_error(error)
            return False
        return True


class ThreadCommitter:
    """A daemon thread that wakes every ``commit_ms``, and at once for a `sync_then`.

    The tables never hold a row that is not synced, so tables that are ahead of their log prove that
    the log was exchanged. ``on_error`` is called once, by ``post``; afterwards nothing is taken.
    """

    def __init__(
        self,
        log: JournalLog,
        projection: Callable[[], Projection] | None = None,
        *,
        commit_ms: int = 50,
        post: Post,
        on_error: OnError,
    ) -> None:
        """Start; ``projection`` opens the tables, in the thread (None: those beside the log)."""
        assert commit_ms > 0
        self._log = log
        self._open = projection or functools.partial(Projection.open, log.path.parent)
        self._commit_s = commit_ms / 1000
        self._post = post
        self._on_error = on_error
        self._callbacks: collections.deque[Callback] = collections.deque()
        self._wake = threading.Event()
        self._closing = False
        self._failed = ""
        self._synced = 0
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def wrote(self, rows: int = 1) -> None:
        """Do nothing: the thread looks by itself."""

    def sync_then(self, callback: Callback) -> None:
        if self._failed or self._closing:
            raise JournalError(self._failed or f"{self._log.path}: the committer is closed")
        self._callbacks.append(callback)
        self._wake.set()

    def close(self, timeout_s: int = CLOSE_S) -> bool:
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._failed

    def _run(self) -> None:
        with _Reporting(self._fail), contextlib.ExitStack() as stack:
            closing, projection = False, None
            while not closing:
                self._wake.wait(self._commit_s)
                self._wake.clear()
                closing = self._closing
                self._sync()
                if projection is None:
                    with contextlib.suppress(TablesBusy):  # the next time, then
                        projection = stack.enter_context(self._open())
                while projection and projection.catch_up(rows_max=BATCH, until_seq=self._synced):
                    if self._callbacks:
                        self._sync()

    def _sync(self) -> None:
        """Sync for everybody who asked before it began, and for the tables."""
        callbacks = [self._callbacks.popleft() for _ in range(len(self._callbacks))]
        last = self._log.next_seq - 1
        if not callbacks and last == self._synced:
            return
        self._log.sync()
        self._synced = last
        for callback in callbacks:
            self._tell(callback)

    def _fail(self, error: BaseException) -> None:
        self._failed = str(error) or repr(error)
        self._tell(functools.partial(self._on_error, error))

    def _tell(self, callback: Callback) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            self._post(callback)


class _Reporting:
    """Hands whatever ends the thread to the supervisor: a thread that dies unseen is F27."""

    def __init__(self, report: OnError) -> None:
        self._report = report

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is not None:
            self._report(error)
        return True
