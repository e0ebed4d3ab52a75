"""The tables of ``journal.db``, and what each kind of row does to them."""

import sqlite3
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from hedge.decide import commands, events
from hedge.decide.orders import OPEN, TRANSITIONS, OrderStatus, OrderTrigger
from hedge.decide.rows import Row
from hedge.journal.frame import Frame, encode_row
from hedge.model import Fill, FundingPayment, OrderReport, ReportedStatus

SCHEMA_VERSION = 2

TABLES = ("rows", "orders", "fills", "payments", "alarms", "requests")

SCHEMA = """
CREATE TABLE meta (
    schema_version INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    log_head TEXT NOT NULL
);
CREATE TABLE rows (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX rows_at ON rows (at);
CREATE TABLE orders (
    client_order_id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    placed_at INTEGER NOT NULL,
    leg TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    limit_price TEXT NOT NULL,
    time_in_force TEXT NOT NULL,
    reduce_only INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    venue_order_id TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL,
    reported TEXT NOT NULL DEFAULT '0',
    itemised TEXT NOT NULL DEFAULT '0',
    filled TEXT NOT NULL DEFAULT '0',
    changed_at INTEGER NOT NULL
);
CREATE INDEX orders_status ON orders (status);
CREATE INDEX orders_venue ON orders (venue_order_id);
CREATE TABLE fills (
    key TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    leg TEXT NOT NULL,
    order_id TEXT NOT NULL,
    venue_order_id TEXT NOT NULL,
    filled_at INTEGER NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    price TEXT NOT NULL,
    fee TEXT NOT NULL,
    fee_asset TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX fills_order ON fills (order_id, venue_order_id);
CREATE TABLE payments (
    key TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    cash TEXT NOT NULL,
    asset TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE TABLE alarms (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    settled_at INTEGER,
    acknowledged_at INTEGER,
    acknowledged_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX alarms_key ON alarms (key);
CREATE TABLE requests (request_id TEXT PRIMARY KEY);
"""

SEEN = {
    ReportedStatus.WORKING: OrderTrigger.SEEN_WORKING,
    ReportedStatus.FILLED: OrderTrigger.SEEN_FILLED,
    ReportedStatus.CANCELLED: OrderTrigger.SEEN_CANCELLED,
}


def project(db: sqlite3.Connection, frames: Sequence[Frame], rows: Sequence[Row]) -> None:
    """Apply rows, each exactly once and in their order; the caller holds the transaction."""
    db.executemany(
        "INSERT INTO rows (seq, at, kind, json) VALUES (?, ?, ?, ?)",
        [
            (row.seq, row.at, type(row.entry).__name__, frame.json.decode())
            for frame, row in zip(frames, rows, strict=True)
        ],
    )
    for row in rows:
        apply = APPLY.get(type(row.entry))
        if apply is not None:
            apply(db, row, row.entry)


# -- orders --------------------------------------------------------------------------------------


def _placed(db: sqlite3.Connection, row: Row, entry: commands.PlaceOrder) -> None:
    order = entry.order
    db.execute(
        "INSERT OR IGNORE INTO orders (client_order_id, seq, placed_at, leg, symbol, side,"
        " quantity, limit_price, time_in_force, reduce_only, purpose, status, changed_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order.client_order_id, row.seq, row.at, order.leg.value, order.symbol,
            order.side.value, str(order.quantity), str(order.limit_price),
            order.time_in_force.value, order.reduce_only, entry.purpose.value,
            OrderStatus.INTENDED.value, row.at,
        ),
    )  # fmt: skip


def _step(db: sqlite3.Connection, row: Row, client_order_id: str, trigger: OrderTrigger) -> None:
    found = db.execute(
        "SELECT status FROM orders WHERE client_order_id = ?", (client_order_id,)
    ).fetchone()
    if found is None:
        return
    before = OrderStatus(found[0])
    after = TRANSITIONS.get((before, trigger), before)  # the engine judges it; a view only shows
    if after is not before:
        db.execute(
            "UPDATE orders SET status = ?, changed_at = ? WHERE client_order_id = ?",
            (after.value, row.at, client_order_id),
        )


def _report(db: sqlite3.Connection, row: Row, report: OrderReport) -> None:
    found = db.execute(
        "SELECT leg, venue_order_id, reported FROM orders WHERE client_order_id = ?",
        (report.client_order_id,),
    ).fetchone()
    if found is None:
        return
    leg, venue_order_id, reported = found
    if report.venue_order_id and not venue_order_id:
        db.execute(
            "UPDATE orders SET venue_order_id = ? WHERE client_order_id = ?",
            (report.venue_order_id, report.client_order_id),
        )
        db.execute(  # fills that were faster than the answer, and came without our id (F22)
            "UPDATE fills SET order_id = ? WHERE order_id = '' AND leg = ? AND venue_order_id = ?",
            (report.client_order_id, leg, report.venue_order_id),
        )
        fills = db.execute(
            "SELECT quantity FROM fills WHERE order_id = ?", (report.client_order_id,)
        ).fetchall()
        _itemise(db, report.client_order_id, sum((Decimal(text) for (text,) in fills), Decimal(0)))
    if report.filled > Decimal(reported):
        db.execute(
            "UPDATE orders SET reported = ? WHERE client_order_id = ?",
            (str(report.filled), report.client_order_id),
        )
    _step(db, row, report.client_order_id, SEEN[report.status])
    _refill(db, row, report.client_order_id)


def _itemise(db: sqlite3.Connection, client_order_id: str, itemised: Decimal) -> None:
    """Keep the sum of an order's fills: to add them up again at each would be quadratic."""
    db.execute(
        "UPDATE orders SET itemised = ? WHERE client_order_id = ?", (str(itemised), client_order_id)
    )


def _refill(db: sqlite3.Connection, row: Row, client_order_id: str) -> None:
    """Bring ``filled`` up to the venue's word or the fills' sum, whichever is more."""
    reported, summed, before, quantity, status = db.execute(
        "SELECT reported, itemised, filled, quantity, status FROM orders WHERE client_order_id = ?",
        (client_order_id,),
    ).fetchone()
    itemised = Decimal(summed)
    filled = max(Decimal(reported), itemised)
    if filled != Decimal(before):
        db.execute(
            "UPDATE orders SET filled = ?, changed_at = ? WHERE client_order_id = ?",
            (str(filled), row.at, client_order_id),
        )
    if not itemised or status not in OPEN:
        return
    if filled >= Decimal(quantity):
        _step(db, row, client_order_id, OrderTrigger.SEEN_FILLED)
    elif status != OrderStatus.WORKING:
        _step(db, row, client_order_id, OrderTrigger.SEEN_WORKING)


def _reported(db: sqlite3.Connection, row: Row, entry: events.OrderReported) -> None:
    _report(db, row, entry.report)


def _refused(db: sqlite3.Connection, row: Row, entry: events.OrderRefused) -> None:
    _step(db, row, entry.client_order_id, OrderTrigger.REFUSED)


def _unanswered(db: sqlite3.Connection, row: Row, entry: events.OrderUnanswered) -> None:
    _step(db, row, entry.client_order_id, OrderTrigger.UNANSWERED)


def _buried(db: sqlite3.Connection, row: Row, entry: commands.DeclareDead) -> None:
    _step(db, row, entry.client_order_id, OrderTrigger.BURIED)


def _restarted(db: sqlite3.Connection, row: Row, _entry: events.EngineStarted) -> None:
    for status in OrderStatus:
        after = TRANSITIONS.get((status, OrderTrigger.RESTARTED), status)
        if after is not status:
            db.execute(
                "UPDATE orders SET status = ?, changed_at = ? WHERE status = ?",
                (after.value, row.at, status.value),
            )


# -- fills and payments --------------------------------------------------------------------------


def _fill(db: sqlite3.Connection, row: Row, fill: Fill) -> None:
    found = db.execute(
        "SELECT client_order_id FROM orders WHERE client_order_id = ?"
        " OR (venue_order_id != '' AND venue_order_id = ? AND leg = ?)"
        " ORDER BY client_order_id = ? DESC",
        (fill.client_order_id, fill.venue_order_id, fill.leg.value, fill.client_order_id),
    ).fetchone()
    order_id = found[0] if found else ""
    added = db.execute(
        "INSERT OR IGNORE INTO fills (key, seq, leg, order_id, venue_order_id, filled_at, side,"
        " quantity, price, fee, fee_asset, json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            f"{fill.leg.value}|{fill.key}", row.seq, fill.leg.value, order_id,
            fill.venue_order_id, fill.filled_at, fill.side.value, str(fill.quantity),
            str(fill.price), str(fill.fee), fill.fee_asset, encode_row(fill).decode(),
        ),
    )  # fmt: skip
    if added.rowcount and order_id:
        (before,) = db.execute(
            "SELECT itemised FROM orders WHERE client_order_id = ?", (order_id,)
        ).fetchone()
        _itemise(db, order_id, Decimal(before) + fill.quantity)
        _refill(db, row, order_id)


def _filled(db: sqlite3.Connection, row: Row, entry: events.FillSeen) -> None:
    _fill(db, row, entry.fill)


def _payment(db: sqlite3.Connection, row: Row, payment: FundingPayment) -> None:
    db.execute(
        "INSERT OR IGNORE INTO payments (key, seq, settled_at, cash, asset, json)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            f"{payment.symbol}|{payment.payment_id}", row.seq, payment.settled_at,
            str(payment.cash), payment.asset, encode_row(payment).decode(),
        ),
    )  # fmt: skip


def _paid(db: sqlite3.Connection, row: Row, entry: events.FundingPaid) -> None:
    _payment(db, row, entry.payment)


def _audited(db: sqlite3.Connection, row: Row, entry: events.LegAudited) -> None:
    for report in (*entry.found, *entry.open_orders):
        _report(db, row, report)
    for fill in entry.fills:
        _fill(db, row, fill)
    for payment in entry.payments:
        _payment(db, row, payment)
    for client_order_id in entry.missing:
        _step(db, row, client_order_id, OrderTrigger.VANISHED)


# -- alarms --------------------------------------------------------------------------------------


def _raised(db: sqlite3.Connection, row: Row, entry: commands.RaiseAlarm) -> None:
    """Open an alarm; one that nobody has acknowledged yet is the same one, raised again."""
    again = db.execute(
        "UPDATE alarms SET level = ?, text = ?, settled_at = NULL"
        " WHERE key = ? AND acknowledged_at IS NULL",
        (entry.level, entry.text, entry.key),
    )
    if not again.rowcount:
        db.execute(
            "INSERT INTO alarms (seq, key, level, text, raised_at) VALUES (?, ?, ?, ?, ?)",
            (row.seq, entry.key, entry.level, entry.text, row.at),
        )


def _settled(db: sqlite3.Connection, row: Row, entry: commands.SettleAlarm) -> None:
    db.execute(
        "UPDATE alarms SET settled_at = ? WHERE key = ? AND settled_at IS NULL",
        (row.at, entry.key),
    )


def _asked(db: sqlite3.Connection, row: Row, entry: events.OperatorAsked) -> None:
    """Acknowledge one alarm, or all with ``*``; a request counts once."""
    new = db.execute("INSERT OR IGNORE INTO requests VALUES (?)", (entry.request_id,))
    if new.rowcount and entry.verb is events.Verb.ACK:
        db.execute(
            "UPDATE alarms SET acknowledged_at = ?, acknowledged_by = ?"
            " WHERE (key = ? OR ? = '*') AND acknowledged_at IS NULL",
            (row.at, entry.by, entry.subject, entry.subject),
        )


APPLY: dict[type, Callable[[sqlite3.Connection, Row, Any], None]] = {
    commands.PlaceOrder: _placed,
    commands.DeclareDead: _buried,
    commands.RaiseAlarm: _raised,
    commands.SettleAlarm: _settled,
    events.EngineStarted: _restarted,
    events.OrderReported: _reported,
    events.OrderRefused: _refused,
    events.OrderUnanswered: _unanswered,
    events.FillSeen: _filled,
    events.FundingPaid: _paid,
    events.LegAudited: _audited,
    events.OperatorAsked: _asked,
}
"""Every other row stands in ``rows`` and changes no other table."""
