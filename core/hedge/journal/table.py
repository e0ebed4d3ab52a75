"""``journal.db``: the log as SQLite tables, for queries; behind the log and never instead of it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from hedge.decide.orders import OrderStatus
from hedge.decide.rows import Row
from hedge.errors import JournalError
from hedge.journal import frame
from hedge.journal.disk import FILE_MODE, REAL, Disk, free_name, unusable
from hedge.journal.frame import NAME
from hedge.journal.log import DATABASE
from hedge.journal.projecting import SCHEMA, SCHEMA_VERSION, TABLES, project
from hedge.journal.reader import LogReader, Place
from hedge.model import Fill, FundingPayment, Leg, Side, TimeInForce

BATCH = 256
"""Rows a transaction; small, because the interpreter is shared with the engine."""
BUSY_S = 5
"""How long a reader waits for a writer, and a start in virtual time."""
ASIDE = "journal.db.aside"
NOT_A_DATABASE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_decode_row = msgspec.json.Decoder(Row).decode
_decode_fill = msgspec.json.Decoder(Fill).decode
_decode_payment = msgspec.json.Decoder(FundingPayment).decode


class TablesBusy(JournalError):
    """Somebody else writes in the tables at this moment."""


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """One order of ours; ``filled`` is the larger of its fills' sum and the venue's word."""

    client_order_id: str
    venue_order_id: str
    seq: int
    placed_at: int
    leg: Leg
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool
    purpose: str
    status: OrderStatus
    filled: Decimal
    changed_at: int


class AlarmLine(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm; it is open until somebody acknowledged it, settled or not."""

    seq: int
    key: str
    level: str
    text: str
    raised_at: int
    settled_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str = ""


class Meta(msgspec.Struct, frozen=True):
    schema_version: int
    last_seq: int
    last_offset: int
    log_head: str


class Projection:
    """The tables of one hedge's journal; of one thread, the one that opened it."""

    def __init__(self, path: Path, disk: Disk, db: sqlite3.Connection) -> None:
        self.path = path
        self.set_aside: tuple[Path, ...] = ()
        """Databases that were corrupt, old or of another log: kept, and built anew."""
        self._log = path.parent / NAME
        self._disk = disk
        self._db = db
        self._reader: LogReader | None = None

    # -- opening ---------------------------------------------------------------------------------

    @classmethod
    def open(cls, directory: Path, *, disk: Disk = REAL, patience_s: int = 0) -> "Projection":
        """Open for the one writer; a missing, corrupt, old or foreign database is made anew.

        It waits for nobody else who writes in it, later on, and here for ``patience_s``: leases are
        waited for behind the tables. Raises `TablesBusy` instead.
        """
        path = directory / DATABASE
        with _spoken(path), contextlib.ExitStack() as stack:
            projection = cls(path, disk, _connect(path, patience_s=patience_s))
            stack.callback(projection.close)
            if not projection.usable():
                projection._start_over()
            projection._db.execute("PRAGMA busy_timeout = 0")
            stack.pop_all()
            return projection

    @classmethod
    def memory(cls, directory: Path, *, disk: Disk = REAL) -> "Projection":
        """Build the whole projection in memory, level with the log, and write nothing."""
        projection = cls(directory / DATABASE, disk, _create(":memory:"))
        with contextlib.ExitStack() as stack:
            stack.callback(projection.close)
            projection.catch_up()
            stack.pop_all()
        return projection

    @classmethod
    def stored(cls, directory: Path, *, disk: Disk = REAL) -> "Projection":
        """Open what is on the disk, however far it is, for reading only."""
        path = directory / DATABASE
        found = _read_only(path)
        if found is None:
            raise JournalError(f"{path}: cannot be opened; it is built anew at the next start")
        return cls(path, disk, found)

    @classmethod
    def view(cls, directory: Path, *, disk: Disk = REAL) -> "Projection":
        """Open for a reader: level with the log, whether an engine runs or not, writing nothing.

        The database itself where it is level; else a copy in memory, caught up.
        """
        path = directory / DATABASE
        found = _read_only(path)
        if found is None:
            return cls.memory(directory, disk=disk)
        projection = cls(path, disk, found)
        with contextlib.ExitStack() as stack:
            stack.callback(projection.close)
            if not projection.usable():
                return cls.memory(directory, disk=disk)
            reader = projection._following()
            if next(reader.frames(), None) is None:
                stack.pop_all()
                return projection
            level = cls(path, disk, sqlite3.connect(":memory:", isolation_level=None))
            copied = stack.enter_context(contextlib.ExitStack())
            copied.callback(level.close)
            with _spoken(path):
                found.backup(level._db)
            level.catch_up()
            copied.pop_all()
        return level

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- following the log -----------------------------------------------------------------------

    def meta(self) -> Meta | None:
        """Return how far the tables are; None for a database that is none of ours."""
        try:
            found = self._db.execute(
                "SELECT schema_version, last_seq, last_offset, log_head FROM meta"
            ).fetchall()
        except sqlite3.DatabaseError as error:
            if _is_busy(error):
                raise
            return None
        return Meta(*found[0]) if len(found) == 1 else None

    @property
    def last_seq(self) -> int:
        with _spoken(self.path):
            found = self.meta()
        return found.last_seq if found else 0

    def catch_up(self, *, rows_max: int | None = None, until_seq: int | None = None) -> int:
        """Project the rows that the log has and the tables have not; return how many.

        Doing it twice changes nothing. ``until_seq`` holds the tables behind what is synced. Where
        somebody else writes in them, the rest is for the next time: nothing of it is lost.
        """
        done = 0
        while rows_max is None or done < rows_max:
            count = BATCH if rows_max is None else min(BATCH, rows_max - done)
            try:
                added = self._project(count, until_seq)
            except sqlite3.DatabaseError as error:
                if _is_busy(error):
                    break
                if _code(error) not in NOT_A_DATABASE or self.set_aside:
                    raise _database_error(self.path, error) from None
                with _spoken(self.path):
                    self._start_over()
                continue
            if not added:
                break
            done += added
        return done

    def rebuild(self) -> int:
        """Empty the tables and project the whole log again; return the number of rows."""
        with _spoken(self.path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 (names of our own)
            self._db.execute("UPDATE meta SET last_seq = 0, last_offset = 0, log_head = ''")
        self._reader = None
        return self.catch_up()

    def _project(self, count: int, until_seq: int | None) -> int:
        reader = self._following()
        if until_seq is not None:
            count = min(count, until_seq - max(reader.seq, 0))
        frames = reader.take(count) if count > 0 else []
        if not frames:
            return 0
        self._reader = None  # until the transaction stands
        rows = [frame.row_from(self._log, found) for found in frames]
        last = frames[-1]
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            project(self._db, frames, rows)
            self._db.execute(
                "UPDATE meta SET last_seq = ?, last_offset = ?, log_head = ?",
                (rows[-1].seq, last.offset, last.chain.decode()),
            )
        self._reader = reader
        return len(frames)

    def _following(self) -> LogReader:
        """Return a reader that stands where the tables end."""
        if self._reader is None:
            reader = LogReader(self._log, self._disk)
            meta = self.meta()
            assert meta is not None
            place = Place(meta.last_offset, meta.last_seq, meta.log_head.encode())
            if meta.last_seq and not reader.go_to(place):
                raise JournalError(
                    f"{self.path}: does not belong to the log beside it;"
                    " look with `hedge journal check`"
                )
            self._reader = reader
        return self._reader

    def usable(self) -> bool:
        """Return whether the tables are of our schema and of the log beside them."""
        meta = self.meta()
        if meta is None or meta.schema_version != SCHEMA_VERSION:
            return False
        if not meta.last_seq:
            return True
        place = Place(meta.last_offset, meta.last_seq, meta.log_head.encode())
        return LogReader(self._log, self._disk).go_to(place)

    def sound(self) -> bool:
        """Return whether SQLite finds its pages in order, and no row is missing."""
        try:
            (word,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
            found = self._db.execute("SELECT count(*), coalesce(max(seq), 0) FROM rows").fetchone()
        except sqlite3.DatabaseError:
            return False
        return word == "ok" and tuple(found) == (self.last_seq, self.last_seq)

    def _start_over(self) -> None:
        """Move the database aside, if there is anything in it, and begin an empty one."""
        self._reader = None
        if _is_empty(self._db):
            _make_tables(self._db)
            return
        self._db.close()
        if self.path.exists() and self.path.stat().st_size:
            aside = free_name(REAL, self.path.with_name(ASIDE))
            for suffix in ("", "-wal", "-shm"):
                source = self.path.with_name(f"{self.path.name}{suffix}")
                if source.exists():
                    source.replace(aside.with_name(f"{aside.name}{suffix}"))
            self.set_aside = (*self.set_aside, aside)
        self._db = _create(str(self.path))

    # -- queries ---------------------------------------------------------------------------------

    def orders(self) -> tuple[OrderLine, ...]:
        """Return every order of ours, oldest first."""
        found = self._all(
            "SELECT client_order_id, venue_order_id, seq, placed_at, leg, symbol, side, quantity,"
            " limit_price, time_in_force, reduce_only, purpose, status, filled, changed_at"
            " FROM orders ORDER BY seq"
        )
        return tuple(_order_line(*line) for line in found)

    def fills(self) -> tuple[Fill, ...]:
        """Return every fill once, in the order in which we learnt of them."""
        return tuple(
            _decode_fill(json)
            for (json,) in self._all("SELECT json FROM fills ORDER BY seq, rowid")
        )

    def payments(self) -> tuple[FundingPayment, ...]:
        """Return every funding payment once, in the order in which we learnt of them."""
        found = self._all("SELECT json FROM payments ORDER BY seq, rowid")
        return tuple(_decode_payment(json) for (json,) in found)

    def alarms(self, *, open_only: bool = False) -> tuple[AlarmLine, ...]:
        """Return the alarms, oldest first; the open ones are those not acknowledged."""
        found = self._all(
            "SELECT seq, key, level, text, raised_at, settled_at, acknowledged_at, acknowledged_by"
            " FROM alarms WHERE ? OR acknowledged_at IS NULL ORDER BY seq",
            (not open_only,),
        )
        names = AlarmLine.__struct_fields__
        return tuple(AlarmLine(**dict(zip(names, line, strict=True))) for line in found)

    def rows(self, since: int | None = None, until: int | None = None) -> Iterator[Row]:
        """Yield the rows with ``since <= at < until``, by ``seq``."""
        with _spoken(self.path):
            found = self._db.execute(
                "SELECT json FROM rows WHERE (:since IS NULL OR at >= :since)"
                " AND (:until IS NULL OR at < :until) ORDER BY seq",
                {"since": since, "until": until},
            )
            for (json,) in found:
                yield _decode_row(json)

    def _all(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with _spoken(self.path):
            return self._db.execute(sql, values).fetchall()


def _order_line(*line: Any) -> OrderLine:
    found = dict(zip(OrderLine.__struct_fields__, line, strict=True))
    found["reduce_only"] = bool(found["reduce_only"])
    return msgspec.convert(found, OrderLine)


def _connect(path: Path | str, *, patience_s: int = 0) -> sqlite3.Connection:
    if isinstance(path, Path):
        path.touch(FILE_MODE)
    db = sqlite3.connect(path, timeout=patience_s, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.DatabaseError as error:
        if _code(error) not in NOT_A_DATABASE:
            db.close()
            raise
    return db


def _create(path: str) -> sqlite3.Connection:
    db = _connect(Path(path) if path != ":memory:" else path)
    _make_tables(db)
    return db


def _make_tables(db: sqlite3.Connection) -> None:
    first = f"INSERT INTO meta VALUES ({SCHEMA_VERSION}, 0, 0, '');"  # noqa: S608 (a constant)
    db.executescript(f"BEGIN; {SCHEMA} {first} COMMIT;")


def _is_empty(db: sqlite3.Connection) -> bool:
    try:
        (count,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError:
        return False
    return not count


def _read_only(path: Path) -> sqlite3.Connection | None:
    """Open without writing; None where that cannot be done."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)
    except sqlite3.DatabaseError:
        return None
    try:
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError:
        db.close()
        return None
    return db


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; the driver's own errors have none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _database_error(path: Path, error: sqlite3.Error) -> JournalError:
    kind = TablesBusy if _is_busy(error) else JournalError
    return kind(
        f"{path}: {error}; the log is untouched: free the disk or move this file away,"
        " it is built anew at the next start"
    )


@contextlib.contextmanager
def _spoken(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say into one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise _database_error(path, error) from None
    except OSError as error:
        raise unusable(path, "open the tables", error) from None
