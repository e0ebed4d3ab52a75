"""Goal: after any death the log opens with what was written, and refuses what was tampered with.
Method: a disk in memory that fails, tears and forgets at every place there is, in turn.
"""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hedge.errors import JournalError
from hedge.journal import ALL, Fault, JournalLog, LogReader, MemoryDisk, read_rows
from hedge.journal.frame import Header, Stamper, header_body, seal

FULL = OSError(errno.ENOSPC, "No space left on device")


class Died(BaseException):
    """The simulated process is gone."""


def open_on(disk, here, at=0, hedge="btc"):
    return JournalLog.open(here, hedge=hedge, at=at, disk=disk)


def copied(disk, path, data):
    other = MemoryDisk()
    other.write_whole(path, data)
    return other


def test_a_tear_at_every_byte_of_the_last_line_is_mended(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    log = open_log()
    log.append(samples.AT, [samples.started(), samples.place()])
    kept = len(disk.read(path))
    log.append(samples.AT, [samples.place("HX-1-S-2")])
    data = disk.read(path)
    for cut in range(kept, len(data)):
        torn = copied(disk, path, data[:cut])
        assert len(list(read_rows(path, torn))) == 2, cut
        log = open_on(torn, samples.HERE)
        assert log.next_seq == 3, cut
        if cut == kept:
            assert log.mended is None
            continue
        assert log.mended is not None
        assert (log.mended.offset, log.mended.dropped) == (kept, cut - kept)
        assert log.mended.kept_in == samples.HERE / "journal.torn-1"
        assert torn.read(log.mended.kept_in) == data[kept:cut]
        assert torn.read(path) == data[:kept]
        log.append(samples.AT, [samples.place("HX-1-S-2")])
        assert torn.read(path) == data  # the same history, whole again
        assert open_on(torn, samples.HERE).mended is None


def test_a_tear_at_every_byte_of_the_header_begins_anew(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    open_log()
    header = disk.read(path)
    for cut in range(len(header)):
        torn = copied(disk, path, header[:cut])
        log = open_on(torn, samples.HERE, samples.AT)
        assert log.next_seq == 1
        assert torn.read(path) == header


def test_a_hole_of_a_power_cut_at_the_end_is_torn_and_in_the_middle_is_not(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    log = open_log()
    log.append(samples.AT, [samples.place()])
    kept = len(disk.read(path))
    log.append(samples.AT, [samples.place("HX-1-S-2")])
    data = disk.read(path)
    holed = data[: kept + 40] + bytes(100) + data[kept + 140 :]
    found = open_on(copied(disk, path, holed), samples.HERE)
    assert found.next_seq == 2
    assert found.mended is not None
    assert found.mended.dropped == len(data) - kept
    log.append(samples.AT, [samples.place("HX-1-S-3")])
    after = holed + disk.read(path)[len(data) :]
    with pytest.raises(JournalError, match=r"line 3 \(offset"):
        open_on(copied(disk, path, after), samples.HERE)


def test_no_space_at_every_write_leaves_the_complete_prefix(samples):
    for nth in range(1, 12):
        for kept in (0, 30, 700):
            disk = MemoryDisk()
            disk.write_faults[nth] = Fault(FULL, kept)
            written = 0
            with pytest.raises(JournalError) as refused:  # noqa: PT012 - any of its writes
                log = open_on(disk, samples.HERE, samples.AT)
                while True:
                    log.append(samples.AT, [samples.place(f"HX-1-S-{written + 1}")])
                    written += 1
            assert "No space left on device; free some space" in str(refused.value)
            assert refused.value.exit_code == 12
            assert "\n" not in str(refused.value)
            disk.crash()
            rows = list(open_on(disk, samples.HERE, samples.AT).rows())
            # A line that fitted whole is there although its append failed; never the reverse.
            assert written <= len(rows) <= written + 1, (nth, kept)


def test_a_poisoned_log_refuses_everything_at_once(samples, disk, open_log):
    for fault in (Fault(FULL), Fault(OSError(errno.EIO, "I/O error"), 5), Fault(None, 5)):
        disk.files.clear()
        log = open_log()
        disk.write_faults[disk.writes + 1] = fault
        with pytest.raises(JournalError):
            log.append(samples.AT, [samples.place()])
        writes, syncs = disk.writes, disk.syncs
        for _ in range(2):
            with pytest.raises(JournalError, match="journal"):
                log.append(samples.AT, [samples.place()])
            with pytest.raises(JournalError):
                log.sync()
        assert (disk.writes, disk.syncs, log.next_seq) == (writes, syncs, 1)
        assert log.broken


def test_a_failed_sync_poisons(samples, disk, open_log):
    log = open_log()
    disk.sync_faults[disk.syncs + 1] = Fault(OSError(errno.EIO, "I/O error"))
    with pytest.raises(JournalError, match="cannot sync the journal: I/O error"):
        log.sync()
    with pytest.raises(JournalError):
        log.append(samples.AT, [samples.place()])


def test_an_interruption_inside_a_write_is_never_written_over(samples, disk, open_log):
    log = open_log()
    disk.write_faults[disk.writes + 1] = Fault(Died(), ALL)
    with pytest.raises(Died):
        log.append(samples.AT, [samples.place()])
    with pytest.raises(JournalError, match="interrupted inside a write"):
        log.append(samples.AT, [samples.place("HX-1-S-2")])
    disk.crash()
    assert [row.seq for row in open_log().rows()] == [1]


def test_power_loss_drops_what_was_not_synced_and_nothing_else(samples):
    for kept in (0, 1, 699, 700, 5000):
        for zeroed in (0, 300):
            disk = MemoryDisk()
            log = open_on(disk, samples.HERE, samples.AT)
            log.append(samples.AT, [samples.started(), samples.place()])
            log.sync()
            log.append(samples.AT, [samples.place("HX-1-S-2")])
            log.append(samples.AT, [samples.place("HX-1-S-3")])
            disk.power_loss(kept=kept, zeroed=zeroed)
            with pytest.raises(JournalError):
                log.append(samples.AT, [samples.place("HX-1-S-4")])
            again = open_on(disk, samples.HERE, samples.AT)
            rows = list(again.rows())
            assert 2 <= len(rows) <= 4
            assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
            if not kept:
                assert len(rows) == 2
            if kept == 5000:
                assert len(rows) == 4


def test_a_crash_keeps_what_was_written(samples, disk, open_log):
    log = open_log()
    log.append(samples.AT, [samples.place()])
    disk.crash()
    assert len(list(open_log().rows())) == 1
    disk.syncs_lie = True
    open_log().sync()
    disk.power_loss()
    assert open_log().next_seq == 1


def test_a_line_taken_out_swapped_or_altered_with_its_checksum_is_named(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    open_log().append(samples.AT, [samples.place(f"HX-1-S-{n}") for n in range(1, 5)])
    lines = disk.read(path).splitlines(keepends=True)
    forged, _ = seal(lines[1][9:25], lines[2][26:-1].replace(b"0.0123", b"0.9123"))
    cases = {
        "line 3 ": [*lines[:2], *lines[3:]],
        "line 2 ": [lines[0], lines[2], lines[1], *lines[3:]],
        "line 4 ": [*lines[:2], forged, *lines[3:]],
        "line 5 ": [*lines[:4], lines[4][:-20] + b"}\n"],
    }
    for named, changed in cases.items():
        tampered = copied(disk, path, b"".join(changed))
        before = tampered.read(path)
        with pytest.raises(JournalError, match=named) as refused:
            open_on(tampered, samples.HERE)
        assert "hedge journal restore" in str(refused.value)
        assert tampered.read(path) == before


def test_rows_with_a_hole_in_their_numbers_are_refused(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    open_log().append(samples.AT, [samples.place(), samples.place("HX-1-S-2")])
    lines = disk.read(path).splitlines(keepends=True)
    chain = lines[1][9:25]
    skipping, _ = seal(chain, lines[2][26:-1].replace(b'"seq":2', b'"seq":3'))
    with pytest.raises(JournalError, match="row 3 where row 2 belongs"):
        open_on(copied(disk, path, b"".join([*lines[:2], skipping])), samples.HERE)


def test_another_version_another_hedge_and_no_journal_are_refused(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    open_log()
    with pytest.raises(JournalError, match="hedge 'btc', not of 'eth'"):
        open_on(disk, samples.HERE, hedge="eth")
    newer = Header(format="hedge.journal/2", hedge="btc", created_at=1)
    line, _ = seal(b"0" * 16, header_body(newer, Stamper().stamp(1)))
    with pytest.raises(JournalError, match=r"hedge\.journal/2.*hedge.journal/1"):
        open_on(copied(disk, path, line), samples.HERE)
    alien = Header(format="other/1", hedge="btc", created_at=1)
    line, _ = seal(b"0" * 16, header_body(alien, Stamper().stamp(1)))
    with pytest.raises(JournalError, match="not a journal"):
        open_on(copied(disk, path, line), samples.HERE)
    with pytest.raises(JournalError, match="line 1"):
        open_on(copied(disk, path, b"hello\n"), samples.HERE)
    with pytest.raises(JournalError, match="no journal here"):
        list(read_rows(samples.HERE / "none" / "journal.log", disk))


def test_a_row_of_an_unknown_kind_is_an_error_and_not_skipped(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    open_log().append(samples.AT, [samples.place()])
    lines = disk.read(path).splitlines(keepends=True)
    strange, _ = seal(lines[0][9:25], lines[1][26:-1].replace(b"PlaceOrder", b"PlaceWager"))
    log = open_on(copied(disk, path, lines[0] + strange), samples.HERE)
    with pytest.raises(JournalError, match=r"line 2 .*PlaceWager"):
        list(log.rows())


def test_a_journal_that_is_gone_is_not_begun_anew(samples, disk):
    for left in ("journal.db", "journal.restored"):
        for empty in (False, True):
            other = MemoryDisk()
            other.write_whole(samples.HERE / left, b"x")
            if empty:
                other.write_whole(samples.HERE / "journal.log", b"")
            with pytest.raises(JournalError, match=f"{left} is still there"):
                open_on(other, samples.HERE)


def test_a_reader_sees_whole_lines_only_while_the_writer_appends(samples, disk, open_log):
    path = samples.HERE / "journal.log"
    log = open_log()
    reader = LogReader(path, disk)
    assert reader.take(5) == []
    for n in range(1, 4):
        log.append(samples.AT, [samples.place(f"HX-1-S-{n}")])
        assert len(reader.take(5)) == 1
    disk.write_faults[disk.writes + 1] = Fault(Died(), 300)
    with pytest.raises(Died):
        log.append(samples.AT, [samples.place("HX-1-S-4")])
    assert reader.take(5) == []
    assert (reader.torn, reader.seq) == (300, 3)
    assert len(list(read_rows(path, disk))) == 3


def test_the_real_disk(samples, tmp_path: Path):
    directory = tmp_path / "state" / "btc"
    log = JournalLog.open(directory, hedge="btc", at=samples.AT)
    log.append(samples.AT, samples.COMMANDS)
    log.sync()
    log.close()
    with pytest.raises(JournalError, match="closed"):
        log.append(samples.AT, [samples.place()])
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "journal.log").stat().st_mode) == 0o600
    with (directory / "journal.log").open("ab") as file:
        file.write(b"torn")
    log = JournalLog.open(directory, hedge="btc", at=samples.AT)
    assert log.mended is not None
    assert log.mended.kept_in.read_bytes() == b"torn"
    assert len(list(log.rows())) == len(samples.COMMANDS)
    log.close()
    (directory / "journal.log").chmod(0o644)
    with pytest.raises(JournalError, match="chmod 600"):
        JournalLog.open(directory, hedge="btc", at=samples.AT)


def test_a_place_that_cannot_be_written_is_one_line(samples):
    with pytest.raises(JournalError) as refused:
        JournalLog.open(Path("/proc/hedge"), hedge="btc", at=samples.AT)
    assert str(refused.value).startswith("/proc/hedge/journal.log: cannot open the journal: ")


def test_what_cannot_be_read_is_one_line(tmp_path: Path):
    (tmp_path / "journal.log").mkdir()
    with pytest.raises(
        JournalError, match=r"journal\.log: cannot read the journal: Is a directory"
    ):
        list(read_rows(tmp_path / "journal.log"))
    with pytest.raises(JournalError, match="cannot open the journal: not a regular file"):
        JournalLog.open(tmp_path, hedge="btc", at=0)


WRITER = """
import pathlib, sys
from hedge.decide.commands import Notice
from hedge.journal.log import JournalLog
log = JournalLog.open(pathlib.Path(sys.argv[1]), hedge="btc", at=0)
while True:
    rows = log.append(0, [Notice(key="k", text="x" * 200)] * 3)
    print(rows[-1].seq, flush=True)
"""


def test_a_killed_writer_leaves_every_row_that_append_returned(tmp_path: Path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], env=env, stdout=subprocess.PIPE, text=True
    ) as writer:
        while int(writer.stdout.readline()) < 300:
            pass
        assert sum(1 for _ in read_rows(tmp_path / "journal.log")) >= 300  # while it writes
        writer.kill()
        said = [int(line) for line in writer.stdout if line.endswith("\n")]
    log = JournalLog.open(tmp_path, hedge="btc", at=0)
    assert log.next_seq - 1 >= max(said, default=300)
    assert [row.seq for row in log.rows()] == list(range(1, log.next_seq))
    log.close()
