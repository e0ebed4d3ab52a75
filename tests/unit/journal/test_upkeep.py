"""Goal: a record can be checked, copied and brought back, and never lost by doing so. Method: real
directories; a writer that goes on meanwhile; each refusal once; restores cut off at each step.
"""

import msgspec
import pytest

from hedge.errors import JournalError, LockHeld
from hedge.journal import (
    LOCK_NAME,
    JournalLog,
    Projection,
    backup,
    check,
    clear_restored_mark,
    hold,
    restore,
    restored_mark,
    upgrade,
)
from hedge.model import Leg

AT = 1_767_225_600_000_000_000


def opened(directory):
    return JournalLog.open(directory, hedge="btc", at=AT)


@pytest.fixture
def here(tmp_path, samples):
    """A journal of four rows in epoch 3, its tables level."""
    directory = tmp_path / "btc"
    log = opened(directory)
    log.append(AT, [samples.started(3), samples.lease(Leg.SPOT, 3, 16), samples.place()])
    log.append(AT, [samples.EVENTS[10]])
    log.close()
    with Projection.open(directory) as tables:
        tables.catch_up()
    return directory


def test_check_of_a_sound_journal_changes_nothing(here):
    before = {path: path.read_bytes() for path in here.iterdir()}
    found = check(here)
    assert found.problems == ()
    assert (found.rows, found.epoch, found.hedge, found.torn_bytes) == (4, 3, "btc", 0)
    assert (found.projection, found.projection_rows, found.restored) == ("level", 4, False)
    assert msgspec.json.encode(found)
    assert {path: path.read_bytes() for path in before} == before
    left = {path.name for path in here.iterdir()} - {path.name for path in before}
    assert left <= {"journal.db-shm", "journal.db-wal"}  # SQLite's own, for any reader


def test_check_sees_tears_damage_and_tables(here, samples):
    log = opened(here)
    log.append(AT, [samples.place("HX-1-S-2")])
    assert check(here).projection == "behind"
    (here / "journal.db").write_bytes(b"garbage")
    assert check(here).projection == "unusable"
    (here / "journal.db").unlink()
    assert check(here).projection == "missing"
    log.close()
    path = here / "journal.log"
    path.write_bytes(path.read_bytes() + b"half a line")
    assert (check(here).torn_bytes, check(here).problems) == (11, ())
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    (problem,) = check(here).problems
    assert "line 2" in problem
    assert "\n" not in problem
    with pytest.raises(JournalError, match="no journal here"):
        check(here / "none")


def test_a_backup_while_the_engine_writes(here, tmp_path, samples):
    with hold(here / LOCK_NAME):
        log = opened(here)
        head = log.head
        with (here / "journal.log").open("ab") as file:
            file.write(b"a write under way")
        manifest = backup(here, tmp_path / "backup", at=AT)
        log.close()
    assert (manifest.rows, manifest.head, manifest.hedge) == (4, head, "btc")
    assert check(tmp_path / "backup").torn_bytes == 0
    assert check(tmp_path / "backup").head == head
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    with pytest.raises(JournalError, match="not an empty directory"):
        backup(here, tmp_path / "backup", at=AT)
    (tmp_path / "empty").mkdir()
    backup(here, tmp_path / "empty", at=AT)
    with pytest.raises(JournalError, match="no journal here"):
        backup(tmp_path / "none", tmp_path / "other", at=AT)


def test_restore_into_nothing_and_over_something(here, tmp_path, samples):
    backup(here, tmp_path / "backup", at=AT)
    with pytest.raises(JournalError, match="--move-aside"):
        restore(tmp_path / "backup", here, at=AT)
    log = opened(here)
    log.append(AT, [samples.place("HX-1-S-2")])
    newer = log.head
    log.close()
    done = restore(tmp_path / "backup", here, at=AT, move_aside=True)
    assert done.moved_aside == here / "journal.before-restore-1"
    assert check(done.moved_aside).head == newer
    assert (done.mark.epoch, done.mark.rows) == (3, 4)
    assert restored_mark(here) == done.mark
    assert check(here).restored
    assert check(here).projection == "missing"
    log = opened(here)
    assert (log.next_seq, log.mended) == (5, None)
    log.close()
    clear_restored_mark(here)
    clear_restored_mark(here)
    assert restored_mark(here) is None
    fresh = restore(tmp_path / "backup", tmp_path / "fresh", at=AT)
    assert fresh.moved_aside is None
    assert check(tmp_path / "fresh").rows == 4


def test_restore_refuses_a_running_engine_and_a_bad_source(here, tmp_path):
    backup(here, tmp_path / "backup", at=AT)
    with hold(here / LOCK_NAME), pytest.raises(LockHeld):
        restore(tmp_path / "backup", here, at=AT, move_aside=True)
    before = (here / "journal.log").read_bytes()
    path = tmp_path / "backup" / "journal.log"
    whole = path.read_bytes()
    manifest = (tmp_path / "backup" / "backup.json").read_bytes()
    shorter = b"".join(whole.splitlines(keepends=True)[:-1])
    damaged = whole[:600] + b"#" + whole[601:]
    for data, words in ((shorter, "4 rows to"), (damaged, "line 2"), (b"", "empty journal")):
        path.write_bytes(data)
        with pytest.raises(JournalError, match=words):
            restore(tmp_path / "backup", here, at=AT, move_aside=True)
    path.write_bytes(whole)
    (tmp_path / "backup" / "backup.json").write_bytes(manifest[:-9])
    with pytest.raises(JournalError, match="damaged"):
        restore(tmp_path / "backup", here, at=AT, move_aside=True)
    (tmp_path / "backup" / "backup.json").unlink()
    with pytest.raises(JournalError, match="not a finished backup"):
        restore(tmp_path / "backup", here, at=AT, move_aside=True)
    assert (here / "journal.log").read_bytes() == before
    assert restored_mark(here) is None


def test_a_damaged_journal_without_a_backup_keeps_its_sound_beginning(here):
    path = here / "journal.log"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:100] + b"#" + lines[3][101:]
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match="line 4"):
        opened(here)
    done = restore(here, here, at=AT, move_aside=True, cut=True)
    assert done.moved_aside is not None
    assert (done.moved_aside / "journal.log").read_bytes() == b"".join(lines)
    assert path.read_bytes() == b"".join(lines[:3])
    assert (done.mark.rows, done.mark.epoch) == (2, 3)
    opened(here).close()


def test_a_restore_cut_off_before_its_end_refuses_to_begin_anew(here, tmp_path):
    backup(here, tmp_path / "backup", at=AT)
    restore(tmp_path / "backup", here, at=AT, move_aside=True)
    (here / "journal.log").unlink()  # as after the old one was moved, before the new one came
    with pytest.raises(JournalError, match=r"journal\.restored is still there"):
        opened(here)
    restore(tmp_path / "backup", here, at=AT)
    opened(here).close()
    assert restored_mark(here) is not None


def test_upgrade(here, tmp_path):
    assert upgrade(here).text == "hedge.journal/1: up to date"
    with pytest.raises(JournalError, match="no journal here"):
        upgrade(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with hold(here / LOCK_NAME), pytest.raises(LockHeld):
        upgrade(here)
