"""Goal: the tables say what the log says, whatever happened to them. Method: real SQLite files,
caught up in pieces, destroyed in every way that happens, and compared with tables built in one go.
"""

import sqlite3
import stat

import pytest

from hedge.decide import commands as c
from hedge.decide import events as e
from hedge.decide.orders import OrderStatus
from hedge.errors import JournalError
from hedge.journal import JournalLog, Projection
from hedge.journal.projecting import TABLES
from hedge.model import Leg, ReportedStatus


@pytest.fixture
def log(tmp_path, samples):
    log = JournalLog.open(tmp_path / "btc", hedge="btc", at=samples.AT)
    yield log
    log.close()


@pytest.fixture
def here(tmp_path):
    return tmp_path / "btc"


def content(projection):
    return {
        table: projection._db.execute(f"SELECT * FROM {table}").fetchall()
        for table in (*TABLES, "meta")
    }


def all_of(samples):
    return samples.EVENTS + samples.COMMANDS


def test_piecewise_is_as_one_go_is_as_rebuilt(samples, log, here):
    with Projection.open(here) as tables:
        for entry in all_of(samples):
            log.append(samples.AT, [entry])
            assert tables.catch_up() == 1
            assert tables.catch_up() == 0
        piecewise = content(tables)
        assert tables.last_seq == log.next_seq - 1
        assert tables.rebuild() == log.next_seq - 1
        assert content(tables) == piecewise
    with Projection.open(here) as again:
        assert again.catch_up() == 0
        assert content(again) == piecewise
        assert tuple(again.rows()) == tuple(log.rows())
        assert again.set_aside == ()
    with Projection.memory(here) as other:
        assert content(other) == piecewise
    assert stat.S_IMODE((here / "journal.db").stat().st_mode) == 0o600


def test_rows_by_time(samples, log, here):
    for n in range(5):
        log.append(100 + n, [c.Notice(key="n", text=str(n))])
    with Projection.memory(here) as tables:
        assert [row.at for row in tables.rows(101, 103)] == [101, 102]
        assert [row.at for row in tables.rows(since=103)] == [103, 104]
        assert [row.at for row in tables.rows(until=101)] == [100]


def test_limits_of_catching_up(samples, log, here):
    log.append(samples.AT, [c.Notice(key="n", text=str(n)) for n in range(10)])
    with Projection.open(here) as tables:
        assert tables.catch_up(rows_max=3) == 3
        assert tables.catch_up(until_seq=3) == 0
        assert tables.catch_up(rows_max=9, until_seq=5) == 2
        assert tables.catch_up() == 5


def test_an_orders_life(samples, log, here):
    one = "HX-1-S-1"
    steps = [
        (samples.place(one), OrderStatus.INTENDED, "0"),
        (samples.started(2), OrderStatus.DOUBTFUL, "0"),
        (e.FillSeen(at=1, fill=samples.fill("f1", one)), OrderStatus.WORKING, "0.005"),
        (e.FillSeen(at=1, fill=samples.fill("f1", one)), OrderStatus.WORKING, "0.005"),
        (
            e.OrderReported(
                at=1, leg=Leg.SPOT, report=samples.report(ReportedStatus.WORKING, "0.007")
            ),
            OrderStatus.WORKING,
            "0.007",
        ),
        (
            e.OrderReported(
                at=1, leg=Leg.SPOT, report=samples.report(ReportedStatus.WORKING, "0.002")
            ),
            OrderStatus.WORKING,
            "0.007",
        ),
        (e.OrderUnanswered(at=1, leg=Leg.SPOT, client_order_id=one), OrderStatus.WORKING, "0.007"),
        (samples.EVENTS[20], OrderStatus.FILLED, "0.0123"),
        (c.DeclareDead(leg=Leg.SPOT, client_order_id=one, evidence="no"), OrderStatus.FILLED, None),
    ]
    with Projection.open(here) as tables:
        for n, (entry, status, filled) in enumerate(steps, 1):
            log.append(samples.AT + n, [entry])
            tables.catch_up()
            (order,) = tables.orders()
            assert order.status is status, n
            if filled is not None:
                assert str(order.filled) == filled, n
        assert (order.seq, order.venue_order_id, order.purpose) == (1, "77", "build")
        assert order.placed_at == samples.AT + 1
        assert [fill.fill_id for fill in tables.fills()] == ["f1", "f2"]
        assert tables.fills()[0] == samples.fill("f1", one)
        assert tables.payments() == (samples.PAYMENT,)


def test_a_fill_without_our_id_finds_its_order_by_the_venues(samples, log, here):
    fill = samples.fill("f1", "", "0.0123")
    fields = {name: getattr(fill, name) for name in fill.__struct_fields__}
    nameless = type(fill)(**{**fields, "venue_order_id": "77"})
    seen = e.FillSeen(at=1, fill=nameless)
    known = e.OrderReported(at=1, leg=Leg.SPOT, report=samples.report(ReportedStatus.WORKING))
    for entries in ([samples.place(), seen, known], [known, seen, samples.place("HX-1-S-2")]):
        log.append(1, entries)
        with Projection.memory(here) as tables:
            order = tables.orders()[0]
            assert (order.status, str(order.filled)) == (OrderStatus.FILLED, "0.0123")
    log.append(
        1,
        [
            e.LegAudited(
                at=1,
                leg=Leg.SPOT,
                audit_id=1,
                asked_at=1,
                server_at=1,
                missing=("HX-1-S-1", "HX-1-S-2"),
            )
        ],
    )
    with Projection.memory(here) as tables:
        assert [o.status for o in tables.orders()] == [OrderStatus.FILLED, OrderStatus.INTENDED]


def test_one_fill_id_of_two_sides_or_legs_is_two_fills(samples, log, here):
    fill = samples.fill("f1")
    fields = {name: getattr(fill, name) for name in fill.__struct_fields__}
    log.append(
        1,
        [
            e.FillSeen(at=1, fill=type(fill)(**{**fields, **change}))
            for change in ({}, {}, {"side": "sell"}, {"leg": "futures"}, {"symbol": "ETH/USDT"})
        ],
    )
    with Projection.memory(here) as tables:
        assert len(tables.fills()) == 4


def test_an_alarm_stays_until_it_is_acknowledged(samples, log, here):
    requests = iter("qrstuvw")

    def ack(key):
        request_id = next(requests)
        return e.OperatorAsked(at=1, verb=e.Verb.ACK, request_id=request_id, subject=key, by="ann")

    raised = c.RaiseAlarm(key="a", level="warn", text="one")
    with Projection.open(here) as tables:

        def after(at, entry):
            log.append(at, [entry])
            tables.catch_up()
            return [
                (alarm.raised_at, alarm.text, alarm.settled_at, alarm.acknowledged_at)
                for alarm in tables.alarms()
            ]

        assert after(10, raised) == [(10, "one", None, None)]
        assert after(11, ack("b")) == [(10, "one", None, None)]
        assert after(12, c.SettleAlarm(key="a")) == [(10, "one", 12, None)]
        assert len(tables.alarms(open_only=True)) == 1
        again = c.RaiseAlarm(key="a", level="page", text="two")
        assert after(13, again) == [(10, "two", None, None)]
        assert after(14, ack("a")) == [(10, "two", None, 14)]
        assert tables.alarms(open_only=True) == ()
        assert tables.alarms()[0].acknowledged_by == "ann"
        assert after(15, c.SettleAlarm(key="a")) == [(10, "two", 15, 14)]
        assert after(16, raised) == [(10, "two", 15, 14), (16, "one", None, None)]
        assert [alarm.seq for alarm in tables.alarms(open_only=True)] == [7]
        requests = iter("qx")
        assert after(17, ack("a"))[-1] == (16, "one", None, None)  # a request counts once
        assert after(18, ack("*"))[-1] == (16, "one", None, 18)


def damage_nothing_there(here):
    (here / "journal.db").unlink()


def damage_garbage(here):
    (here / "journal.db").write_bytes(b"garbage" * 1000)


def damage_empty(here):
    (here / "journal.db").write_bytes(b"")


def damage_old(here):
    with sqlite3.connect(here / "journal.db") as db:
        db.execute("UPDATE meta SET schema_version = 0")
    db.close()


def damage_alien(here):
    (here / "journal.db").unlink()
    with sqlite3.connect(here / "journal.db") as db:
        db.execute("CREATE TABLE meta (a)")
    db.close()


def damage_ahead(here):
    with sqlite3.connect(here / "journal.db") as db:
        db.execute("UPDATE meta SET last_seq = last_seq + 1, last_offset = last_offset + 999")
    db.close()


def damage_another_head(here):
    with sqlite3.connect(here / "journal.db") as db:
        db.execute("UPDATE meta SET log_head = '0123456789abcdef'")
    db.close()


def damage_pages(here):
    data = bytearray((here / "journal.db").read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 4096] = b"\xff" * 4096
    (here / "journal.db").write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing_there, damage_garbage, damage_empty, damage_old, damage_alien,
        damage_ahead, damage_another_head, damage_pages,
    ],
)  # fmt: skip
def test_whatever_happened_to_the_tables_they_are_built_anew(samples, log, here, damage):
    log.append(samples.AT, all_of(samples))
    with Projection.open(here) as tables:
        tables.catch_up()
        whole = content(tables)
    damage(here)
    log.append(samples.AT, [samples.place("HX-1-S-2")])
    if damage is not damage_pages:
        with Projection.view(here) as tables:
            assert tables.last_seq == log.next_seq - 1
    with Projection.open(here) as tables:
        tables.catch_up()
        if damage not in (damage_nothing_there, damage_empty):
            (aside,) = tables.set_aside
            assert aside.name == "journal.db.aside-1"
            assert aside.exists()
        assert tables.last_seq == log.next_seq - 1
        assert len(tables.orders()) == 2
        rows = content(tables)["rows"]
    assert rows[:-1] == whole["rows"]


def test_a_reader_is_level_while_the_writer_is_behind(samples, log, here):
    with pytest.raises(JournalError, match="cannot be opened"):
        Projection.stored(here)
    log.append(samples.AT, [samples.place()])
    with Projection.view(here) as reader:
        assert len(reader.orders()) == 1
    assert not (here / "journal.db").exists()
    with Projection.open(here) as writer:
        writer.catch_up()
        with Projection.view(here) as level:
            assert len(level.orders()) == 1
            with pytest.raises(JournalError, match="readonly"):
                level.rebuild()
        log.append(samples.AT, [samples.place("HX-1-S-2")])
        with Projection.view(here) as ahead, Projection.stored(here) as stored:
            assert len(ahead.orders()) == 2
            assert len(stored.orders()) == 1
            writer.catch_up()
            assert len(stored.orders()) == 2
        assert writer.last_seq == 2


def test_without_a_log_there_is_nothing_to_show(tmp_path):
    with pytest.raises(JournalError, match="no journal here"):
        Projection.view(tmp_path)
    with pytest.raises(JournalError):
        Projection.open(tmp_path / "none")


def test_the_thousandth_fill_of_an_order_costs_no_more_than_the_tenth(samples, log, here):
    one, batch = "HX-1-S-1", 20
    log.append(samples.AT, [samples.place(one)])
    with Projection.open(here) as tables:
        steps = []
        for first in range(0, 1_000, batch):
            entries = [
                e.FillSeen(at=1, fill=samples.fill(f"f{n}", one))
                for n in range(first, first + batch)
            ]
            log.append(samples.AT, entries)
            counted = 0

            def count():
                nonlocal counted
                counted += 1

            tables._db.set_progress_handler(count, 10)
            tables.catch_up()
            steps.append(counted)
        assert steps[-1] < 1.5 * steps[1]
        (order,) = tables.orders()
        assert order.filled == 1_000 * samples.fill("f1", one).quantity
