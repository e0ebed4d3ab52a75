"""Goal: no single byte of the record can change unseen, and no death loses what was promised.
Method: Hypothesis flips bytes, cuts power and kills processes; a failure prints its seed.
"""

import errno
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hedge.decide import commands as c
from hedge.errors import JournalError
from hedge.journal import Fault, JournalLog, MemoryDisk, Projection, read_rows
from hedge.journal.projecting import TABLES
from hedge.model import Leg

HERE = Path("/state/btc")
LOG = HERE / "journal.log"
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
ENTRIES = st.one_of(
    st.builds(c.Notice, key=TEXT, text=TEXT),
    st.builds(c.BookExternal, leg=st.sampled_from(Leg), quantity=DECIMALS, reason=TEXT),
    st.builds(c.RaiseAlarm, key=st.sampled_from("ab"), level=TEXT, text=TEXT),
    st.builds(c.SettleAlarm, key=st.sampled_from("ab")),
    st.builds(c.SetTarget, quantity=st.none() | DECIMALS),
)
AT = st.integers(0, 4 * 10**18)


def opened(disk):
    return JournalLog.open(HERE, hedge="btc", at=0, disk=disk)


def on_disk(data):
    disk = MemoryDisk()
    disk.write_whole(LOG, data)
    return disk


def sample():
    disk = MemoryDisk()
    log = opened(disk)
    for n in range(6):
        log.append(n, [c.Notice(key="k", text=f"row {n}"), c.SetPaused(paused=bool(n % 2))])
    return disk.read(LOG), tuple(log.rows())


DATA, ROWS = sample()


@given(st.lists(st.tuples(AT, st.lists(ENTRIES, max_size=5)), max_size=10), DECIMALS)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(batches, mid):
    disk = MemoryDisk()
    log = opened(disk)
    written = []
    for at, entries in batches:
        written += log.append(at, entries, mid, None)
    assert repr(list(read_rows(LOG, disk))) == repr(written)
    assert opened(disk).head == log.head
    assert disk.read(LOG).count(b"\n") == len(written) + 1
    assert mid == Decimal(str(mid))


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
@example(len(DATA) - 1, 1)
@example(0, 1)
@settings(max_examples=400, deadline=None)
def test_a_flipped_byte_is_seen_wherever_it_is(place, bits):
    data = bytearray(DATA)
    data[place] ^= bits
    disk = on_disk(bytes(data))
    if place == len(DATA) - 1:  # without its newline the last line counts as torn, and is kept
        log = opened(disk)
        assert tuple(log.rows()) == ROWS[:-1]
        assert log.mended is not None
        assert DATA.endswith(disk.read(log.mended.kept_in)[:-1] + b"\n")
        return
    with pytest.raises(JournalError) as refused:
        opened(disk)
    assert "\n" not in str(refused.value)
    assert disk.read(LOG) == data


def test_every_single_byte_is_guarded():
    for place in range(len(DATA) - 1):
        data = bytearray(DATA)
        data[place] ^= 1 << (place % 8)
        with pytest.raises(JournalError):
            opened(on_disk(bytes(data)))


@given(st.integers(0, len(DATA)), st.integers(1, len(DATA)))
@example(826, 1051)  # from the end of one line to the end of another: a shorter log, and lawful
@settings(max_examples=200, deadline=None)
def test_a_stretch_taken_out_of_the_middle_is_seen(first, length):
    left = DATA[:first] + DATA[first + length :]
    if DATA.startswith(left):
        return  # a shorter log is lawful by itself; its head is what a backup or a table remembers
    with pytest.raises(JournalError):
        opened(on_disk(left))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4)),
        st.tuples(st.just("sync"), st.just(0)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("power"), st.integers(0, 400)),
        st.tuples(st.just("torn"), st.integers(0, 400)),
    ),
    max_size=30,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_deaths_lose_only_what_was_not_promised(steps):
    """Promised to a process death: what `append` returned; to a machine death: what was synced."""
    disk = MemoryDisk()
    log = opened(disk)
    written = 0
    synced = 0
    for kind, number in steps:
        if kind == "append":
            written = log.append(1, [c.Notice(key="k", text="x")] * number)[-1].seq
            continue
        if kind == "sync":
            log.sync()
            synced = written
            continue
        if kind == "torn":
            disk.write_faults[disk.writes + 1] = Fault(OSError(errno.EIO, "planted"), number)
            with pytest.raises(JournalError):
                log.append(1, [c.Notice(key="k", text="y")] * 3)
        promised = written
        if kind == "power":
            disk.power_loss(kept=number, zeroed=number)
            promised = synced
        else:
            disk.crash()
        log = opened(disk)
        assert log.next_seq - 1 >= promised
        assert [row.seq for row in log.rows()] == list(range(1, log.next_seq))
        written = log.next_seq - 1
        synced = written if kind == "power" or log.mended else synced
    assert disk.read(LOG).endswith(b"\n")


def content(projection):
    return [
        projection._db.execute(f"SELECT * FROM {table}").fetchall() for table in (*TABLES, "meta")
    ]


@given(st.lists(st.tuples(ENTRIES, st.booleans(), st.integers(1, 4)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_tables_caught_up_anyhow_are_the_tables_built_at_once(steps):
    disk = MemoryDisk()
    log = opened(disk)
    with Projection.memory(HERE, disk=disk) as tables:
        for at, (entry, now, rows_max) in enumerate(steps):
            log.append(at, [entry])
            if now:
                tables.catch_up(rows_max=rows_max)
        tables.catch_up()
        with Projection.memory(HERE, disk=disk) as other:
            assert content(tables) == content(other)
        before = content(tables)
        tables.rebuild()
        assert content(tables) == before
