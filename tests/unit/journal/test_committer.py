"""Goal: what is behind the log catches up, and a failure is heard. Method: the inline port on the
faulty disk; the thread with a queue for a loop, waited on and never slept for.
"""

import contextlib
import errno
import queue
import sqlite3
import threading

import pytest

from hedge.errors import JournalError
from hedge.journal import Fault, InlineCommitter, JournalLog, Projection, ThreadCommitter
from hedge.journal.table import BUSY_S

WAIT_S = 10


@pytest.fixture
def log(tmp_path, samples):
    log = JournalLog.open(tmp_path / "btc", hedge="btc", at=samples.AT)
    yield log
    log.close()


def unexpected(error):
    raise error


def test_inline_catches_up_every_n_rows_and_at_the_end(samples, log, tmp_path):
    tables = Projection.open(tmp_path / "btc")
    committer = InlineCommitter(log, tables, every=3, on_error=unexpected)
    seen = []
    for n in range(1, 6):
        log.append(samples.AT, [samples.place(f"HX-1-S-{n}")])
        committer.wrote()
        seen.append(tables.last_seq)
    assert seen == [0, 0, 3, 3, 3]
    assert committer.close()
    with Projection.stored(tmp_path / "btc") as stored:
        assert stored.last_seq == 5


def test_inline_syncs_at_once_and_reports_a_failure(samples, disk, open_log):
    log = open_log()
    heard = []
    committer = InlineCommitter(log, on_error=heard.append)
    log.append(samples.AT, [samples.place()])
    committer.sync_then(lambda: heard.append("synced"))
    disk.power_loss()
    assert heard == ["synced"]
    log = open_log()
    assert log.next_seq == 2
    committer = InlineCommitter(log, on_error=heard.append)
    disk.sync_faults[disk.syncs + 1] = Fault(OSError(errno.EIO, "I/O error"))
    committer.sync_then(lambda: heard.append("never"))
    assert len(heard) == 2
    assert isinstance(heard[1], JournalError)
    assert not committer.close()


def test_the_thread_calls_back_in_order_and_drains_at_the_end(samples, log, tmp_path):
    posted = queue.SimpleQueue()
    committer = ThreadCommitter(log, commit_ms=60_000, post=posted.put, on_error=unexpected)
    heard = []
    for n in range(1, 21):
        log.append(samples.AT, [samples.place(f"HX-1-S-{n}")])
        committer.wrote()
        committer.sync_then(lambda n=n: heard.append((n, threading.current_thread())))
    for _ in range(20):
        posted.get(timeout=WAIT_S)()
    assert heard == [(n, threading.current_thread()) for n in range(1, 21)]
    log.append(samples.AT, [samples.place("HX-1-S-21")])
    assert committer.close()
    with pytest.raises(JournalError, match="closed"):
        committer.sync_then(lambda: None)
    with Projection.stored(tmp_path / "btc") as stored:
        assert stored.last_seq == 21
    assert posted.empty()


def test_the_thread_looks_by_itself(samples, log, tmp_path):
    synced = threading.Event()
    sync = log.sync

    class Watched(type(log)):
        def sync(self):
            sync()
            synced.set()

    log.__class__ = Watched
    committer = ThreadCommitter(log, commit_ms=1, post=lambda run: run(), on_error=unexpected)
    log.append(samples.AT, [samples.place()])
    assert synced.wait(WAIT_S)
    assert committer.close()


def test_a_failure_in_the_thread_is_heard_and_nothing_is_taken_after_it(samples, log):
    posted = queue.SimpleQueue()
    heard = []

    def broken():
        raise ZeroDivisionError("planted")

    committer = ThreadCommitter(log, broken, post=posted.put, on_error=heard.append)
    posted.get(timeout=WAIT_S)()
    assert isinstance(heard[0], ZeroDivisionError)
    with pytest.raises(JournalError, match="planted"):
        committer.sync_then(lambda: None)
    assert not committer.close()


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_who_writes_in_the_tables_holds_up_neither_the_syncs_nor_the_engine(
    samples, log, tmp_path, lock
):
    Projection.open(tmp_path / "btc").close()
    posted = queue.SimpleQueue()
    other = sqlite3.connect(tmp_path / "btc" / "journal.db", isolation_level=None)
    with contextlib.closing(other):
        other.execute("PRAGMA locking_mode = EXCLUSIVE" if lock == "EXCLUSIVE" else "SELECT 1")
        other.execute(f"BEGIN {lock}")
        committer = ThreadCommitter(log, commit_ms=1, post=posted.put, on_error=unexpected)
        heard = []
        for n in (1, 2, 3):
            log.append(samples.AT, [samples.place(f"HX-1-S-{n}")])
            committer.sync_then(lambda n=n: heard.append(n))
            posted.get(timeout=BUSY_S - 1)()
        assert heard == [1, 2, 3]
        other.execute("ROLLBACK")
    assert committer.close()
    with Projection.stored(tmp_path / "btc") as stored:
        assert stored.last_seq == 3


def test_a_failed_sync_in_the_thread_is_heard(samples, disk, open_log):
    log = open_log()
    posted = queue.SimpleQueue()
    heard = []
    disk.sync_faults[disk.syncs + 1] = Fault(OSError(errno.EIO, "I/O error"))
    committer = ThreadCommitter(
        log,
        lambda: Projection.memory(samples.HERE, disk=disk),
        post=posted.put,
        on_error=heard.append,
    )
    committer.sync_then(lambda: heard.append("never"))
    posted.get(timeout=WAIT_S)()
    assert [type(error) for error in heard] == [JournalError]
    with pytest.raises(JournalError):
        log.append(samples.AT, [samples.place()])
    assert not committer.close()


def test_a_closed_loop_hurts_nobody(samples, log):
    def gone(_run):
        raise RuntimeError("Event loop is closed")

    committer = ThreadCommitter(log, post=gone, on_error=unexpected)
    committer.sync_then(lambda: None)
    assert committer.close()
