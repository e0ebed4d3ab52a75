"""Goal: no fact is lost between memory and disk. Method: one instance of every kind of entry, there
and back, compared as values and as bytes; and the line as a person sees it.
"""

import json
from decimal import Decimal
from typing import get_args

from hedge.decide.commands import AnyCommand
from hedge.decide.events import AnyEvent
from hedge.journal import JournalLog


def test_the_samples_are_all_there_are(samples):
    assert {type(entry) for entry in samples.EVENTS} == set(get_args(AnyEvent))
    assert {type(entry) for entry in samples.COMMANDS} == set(get_args(AnyCommand))
    assert len(samples.EVENTS + samples.COMMANDS) == len(get_args(AnyEvent)) + len(
        get_args(AnyCommand)
    )


def test_every_kind_of_row_comes_back_as_it_was(samples, disk, open_log):
    log = open_log()
    entries = samples.EVENTS + samples.COMMANDS
    written = log.append(samples.AT, entries, Decimal("65432.15"), Decimal("1E+3"))
    written += log.append(samples.AT, entries)
    assert [row.seq for row in written] == list(range(1, 2 * len(entries) + 1))
    assert log.next_seq == len(written) + 1
    assert tuple(log.rows()) == written
    assert repr(tuple(log.rows())) == repr(written)  # 0.0 and 0 are equal, and not the same
    again = open_log()
    assert (again.next_seq, again.head, again.mended) == (log.next_seq, log.head, None)
    assert tuple(again.rows()) == written


def test_one_write_for_all_rows_of_an_append(samples, disk, open_log):
    log = open_log()
    before = disk.writes
    assert log.append(samples.AT, ()) == ()
    assert disk.writes == before
    log.append(samples.AT, samples.EVENTS)
    assert disk.writes == before + 1


def test_a_line_is_text_with_its_time_in_front(samples, disk, open_log):
    log = open_log()
    log.append(samples.AT, [samples.place()])
    log.append(samples.AT + 61 * 10**9, [samples.place("HX-1-S-2")])
    header, first, second = disk.read(samples.HERE / "journal.log").decode().splitlines()
    assert json.loads(header[51:]) == {
        "format": "hedge.journal/1",
        "hedge": "btc",
        "created_at": samples.AT,
    }
    assert first[26:50] == "2026-01-01T00:00:00.123Z"
    assert second[26:50] == "2026-01-01T00:01:01.123Z"
    assert first.split(" ")[1] != second.split(" ")[1] == log.head
    assert json.loads(first.split(" ", 3)[3])["entry"]["order"]["quantity"] == "0.0123"


def test_the_same_rows_make_the_same_bytes(samples, disk, open_log):
    open_log().append(samples.AT, samples.COMMANDS)
    other = type(disk)()
    JournalLog.open(samples.HERE, hedge="btc", at=samples.AT, disk=other).append(
        samples.AT, samples.COMMANDS
    )
    path = samples.HERE / "journal.log"
    assert disk.read(path) == other.read(path)
