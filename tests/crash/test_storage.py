"""Goal: whatever the disk does, nothing is sent that is not recorded, and what can go on goes on.

Method: the installed `hedge run` against the venue of the laboratory. The disk is full from a row
of the journal on (a limit on the size of files, set on the running process, fails a write in its
middle as a full disk does), a page of the projection or a line of the journal is overwritten, the
state cannot be written, two state directories ask for one account. What was sent is read at the
venue. The lives run side by side; each test asks for the verdict on one of them.
"""

import os
import re
import resource
import signal
import sqlite3
import subprocess
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from lab import Lab, Story, told_by
from running import PATIENCE_S, wait_until

from hedge.model import ReportedStatus

FIRST_SEED = 9_000
JOURNAL, LOCK = 12, 8
STARTING = re.compile(r"hedge: (plugin served: .* is locked|crash: .*: served \()")
"""Which plugin was found, and which roles it fills."""
TORN_AT = 57
"""Bytes of the next line that still fit: less than any line has."""


def ended(lab: Lab, process: subprocess.Popen[bytes], code: int) -> str:
    """Wait for the end of a process; return the one line it said after those of its start."""
    wait_until(lambda: process.poll() is not None, f"an end with {code} ({lab.where})")
    said = lab.said()
    assert process.returncode == code, (lab.where, process.returncode, said)
    lines = [line for line in said.splitlines() if line and not STARTING.match(line)]
    assert len(lines) == 1 and "Traceback" not in said, (lab.where, said)
    return lines[0]


def nothing_unrecorded(lab: Lab) -> None:
    """Whatever reached the venue stands in the journal, in a line that arrived whole."""
    whole = (lab.directory / "journal.log").read_bytes().rpartition(b"\n")[0]
    missing = [one["id"] for one in lab.venue.seen() if one["id"].encode() not in whole]
    assert not missing, f"sent without a row: {missing} ({lab.where})"


def resting(lab: Lab) -> list[str]:
    orders = lab.venue.truth().orders
    return [oid for oid, one in orders.items() if one.status is ReportedStatus.WORKING]


def full_disk(lab: Lab, rows: int) -> None:
    """The disk is full from this row on, or, of no row, from the first order that rests.

    With room again, the life goes on to its end.
    """
    log = lab.directory / "journal.log"
    process = lab.start()
    now = (lambda: len(lab.tail.look()) >= rows) if rows else (lambda: bool(resting(lab)))
    assert lab.alive_until(process, now, f"row {rows}")
    resource.prlimit(
        process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size + TORN_AT, resource.RLIM_INFINITY)
    )
    assert "journal" in ended(lab, process, JOURNAL)
    nothing_unrecorded(lab)
    left = resting(lab)
    assert not left, f"left to be filled with nobody there: {left} ({lab.where})"
    if not rows:  # who restarts it before there is room is to try again
        again = lab.start(preexec_fn=no_room)
        wait_until(lambda: again.poll() is not None, f"an end without room ({lab.where})")
        assert again.returncode == JOURNAL, (lab.where, again.returncode, lab.said())
    lab.finish(lab.start())
    lab.judge()


def no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (TORN_AT, resource.RLIM_INFINITY))


def full_from_the_start(lab: Lab) -> None:
    """Not a byte can be written: no order leaves."""
    process = lab.start(preexec_fn=no_room, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == JOURNAL, (lab.where, process.returncode, said)
    lock, index, journal = said.decode().splitlines()
    assert "is not locked: " in lock and "will not find it: " in index, (lab.where, said)
    assert "cannot begin the journal" in journal, (lab.where, said)
    assert not lab.venue.seen(), lab.where
    lab.finish(lab.start())
    lab.judge()


def crashed_with_orders(lab: Lab, orders: int) -> None:
    process = lab.start()
    lab.alive_until(process, lambda: len(lab.venue.seen()) >= orders, f"{orders} orders")
    lab.kill(process, f"after {orders} orders")


def corrupt_page(lab: Lab, place: str) -> None:
    """A page of the projection is not what it was: built anew from the log, nothing is lost."""
    crashed_with_orders(lab, 12)
    path = lab.directory / "journal.db"
    with sqlite3.connect(path) as database:  # bring the pages out of the log of pages
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    size = path.stat().st_size
    offset = 0 if place == "header" else size // 2 // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(os.urandom(4096))
    damaged = path.read_bytes()
    lab.finish(lab.start())
    lab.judge()
    if place == "header":
        aside = list(lab.directory.glob("journal.db.aside*"))
        assert any(one.read_bytes() == damaged for one in aside), (lab.where, aside)


def corrupt_line(lab: Lab) -> None:
    """A line of the journal is not what it was: refused, kept as it is, and nothing is sent."""
    crashed_with_orders(lab, 8)
    path = lab.directory / "journal.log"
    text = path.read_bytes()
    middle = len(text) // 2
    path.write_bytes(text[:middle] + bytes([text[middle] ^ 1]) + text[middle + 1 :])
    before, sent = path.read_bytes(), len(lab.venue.seen())
    assert "journal" in ended(lab, lab.start(), JOURNAL)
    assert path.read_bytes() == before, lab.where
    assert len(lab.venue.seen()) == sent, lab.where
    assert lab.command("journal", "check").returncode == JOURNAL, lab.where


def lost_journal(lab: Lab) -> None:
    """The journal is gone and its projection is not: refused, for its ids were used before."""
    crashed_with_orders(lab, 8)
    wait_until((lab.directory / "journal.db").exists, "a projection")
    (lab.directory / "journal.log").unlink()
    sent = len(lab.venue.seen())
    assert "journal" in ended(lab, lab.start(), JOURNAL)
    assert len(lab.venue.seen()) == sent, lab.where


def two_engines(lab: Lab) -> None:
    """A second state directory is no second account: exit 8, and not one order."""
    first = lab.start()
    lab.alive_until(first, lambda: len(lab.venue.seen()) >= 4, "four orders")
    first.send_signal(signal.SIGSTOP)  # or it may have come to its end before the other has begun
    try:
        ended(lab, lab.start(state=lab.folder / "other"), LOCK)
    finally:
        first.send_signal(signal.SIGCONT)
    assert not (lab.folder / "other" / lab.directory.name / "journal.log").exists()
    nothing_unrecorded(lab)
    lab.finish(first)
    lab.judge()


def unwritable(lab: Lab) -> None:
    """No state, no order: in a directory that cannot be made, and in one that is a file."""
    sealed = lab.folder / "sealed"
    sealed.mkdir(mode=0o500)
    root = os.geteuid() == 0  # whom no mode stops, but the kernel's own files
    for state in (Path("/proc/hedge") if root else sealed / "s", lab.folder / "v" / "venue.json"):
        assert str(state) in ended(lab, lab.start(state=state), JOURNAL)
    assert not lab.venue.seen(), lab.where


STORIES = [
    Story(name, FIRST_SEED + number, tell)
    for number, (name, tell) in enumerate(
        (
            *(
                (f"full disk at row {n}", lambda lab, n=n: full_disk(lab, n))
                for n in (0, 2, 12, 45, 120)
            ),
            ("full from the start", full_from_the_start),
            ("corrupt header", lambda lab: corrupt_page(lab, "header")),
            ("corrupt page", lambda lab: corrupt_page(lab, "middle")),
            ("corrupt line", corrupt_line),
            ("lost journal", lost_journal),
            ("two engines", two_engines),
            ("unwritable", unwritable),
        )
    )
]


@told_by(STORIES)
def test_the_disk(told: dict[Story, Future[Any]], story: Story) -> None:
    told[story].result()
