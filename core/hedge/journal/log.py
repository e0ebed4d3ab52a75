"""``journal.log``, the truth: one line a row, appended with one write before anything is sent."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from hedge.decide.rows import AnyEntry, Row
from hedge.errors import JournalError
from hedge.journal import frame
from hedge.journal.disk import REAL, AppendFile, Disk, free_name, unusable
from hedge.journal.frame import FORMAT, NAME, VERSION, Header, Stamper
from hedge.journal.reader import LogReader, read_rows

TORN = "journal.torn"
RESTORED = "journal.restored"
DATABASE = "journal.db"


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """An incomplete last write that was taken off the log, and where its bytes are kept."""

    offset: int
    dropped: int
    kept_in: Path


class JournalLog:
    """One writer's log. After any failure it refuses: what cannot be recorded cannot be sent.

    A process death between `append` and the deed leaves rows without an outcome; a death inside
    `append` may leave the first rows of a batch without the others, never the other way round.
    """

    def __init__(self, path: Path, disk: Disk, file: AppendFile, reader: LogReader) -> None:
        assert reader.header is not None
        self.path = path
        self.hedge = reader.header.hedge
        self.created_at = reader.header.created_at
        self.mended: Mended | None = None
        self._disk = disk
        self._file = file
        self._chain = reader.chain
        self._next_seq = reader.seq + 1
        self._stamp = Stamper().stamp
        self._broken = ""
        self._writing = False

    @classmethod
    def open(cls, directory: Path, *, hedge: str, at: int, disk: Disk = REAL) -> "JournalLog":
        """Open or begin the log of ``hedge``; verify every line of it.

        The caller holds the directory's lock. An incomplete last write is moved to a file beside
        it; any other flaw raises `JournalError`, and nothing is touched.
        """
        path = directory / NAME
        try:
            disk.make_directory(directory)
            if not disk.exists(path):
                _refuse_a_loss(directory, disk)
            file = disk.open_append(path)
        except OSError as error:
            raise unusable(path, "open the journal", error) from None
        try:
            return cls._opened(path, disk, file, Header(
                format=f"{FORMAT}/{VERSION}", hedge=hedge, created_at=at
            ))  # fmt: skip
        except OSError as error:
            file.close()
            raise unusable(path, "begin or mend the journal", error) from None
        except JournalError:
            file.close()
            raise

    @classmethod
    def _opened(cls, path: Path, disk: Disk, file: AppendFile, header: Header) -> "JournalLog":
        reader = LogReader(path, disk)
        for _ in reader.frames():
            pass
        if reader.seq < 0:
            _refuse_a_loss(path.parent, disk)
        mended = _mend(reader, disk, file) if reader.torn else None
        if reader.seq < 0:
            _begin(path, file, header)
            for _ in reader.frames():
                pass
        log = cls(path, disk, file, reader)
        if log.hedge != header.hedge:
            raise JournalError(
                f"{path}: the journal of hedge {log.hedge!r}, not of {header.hedge!r};"
                " give each hedge its own directory"
            )
        log.mended = mended
        return log

    @property
    def next_seq(self) -> int:
        return self._next_seq

    @property
    def head(self) -> str:
        """Return the chain of the last line: one word for all the history before it."""
        return self._chain.decode()

    @property
    def broken(self) -> str:
        """Return why the log refuses, or "" while it does not."""
        return self._broken

    def append(
        self,
        at: int,
        entries: Sequence[AnyEntry],
        spot_mid: Decimal | None = None,
        futures_mid: Decimal | None = None,
    ) -> tuple[Row, ...]:
        """Write the entries as the next rows, with one write, and return them."""
        if self._broken or self._writing:
            raise JournalError(self._broken or f"{self.path}: interrupted inside a write")
        if not entries:
            return ()
        stamp = self._stamp(at) + b" "
        seq = self._next_seq
        chain = self._chain
        rows: list[Row] = []
        lines: list[bytes] = []
        for entry in entries:
            row = Row(seq=seq, at=at, entry=entry, spot_mid=spot_mid, futures_mid=futures_mid)
            line, chain = frame.seal(chain, stamp + frame.encode_row(row))
            rows.append(row)
            lines.append(line)
            seq += 1
        data = lines[0] if len(lines) == 1 else b"".join(lines)
        self._writing = True  # stays so if anything but an answer of the disk ends the write
        try:
            taken = self._file.write(data)
        except OSError as error:
            raise self._poisoned("write the journal", error) from None
        if taken != len(data):
            raise self._poisoned("write the journal", OSError(0, "only a part was written"))
        self._chain = chain
        self._next_seq = seq
        self._writing = False
        return tuple(rows)

    def sync(self) -> None:
        """Return when every row appended before this call is on the disk; for any thread."""
        if self._broken:
            raise JournalError(self._broken)
        try:
            self._file.sync()
        except OSError as error:
            raise self._poisoned("sync the journal", error) from None

    def rows(self) -> Iterator[Row]:
        """Yield every row from the first, verified again."""
        return read_rows(self.path, self._disk)

    def reader(self) -> LogReader:
        return LogReader(self.path, self._disk)

    def close(self) -> None:
        """Give the descriptor back, without a sync; every further append is refused."""
        self._broken = self._broken or f"{self.path}: the journal is closed"
        self._file.close()

    def _poisoned(self, doing: str, error: OSError) -> JournalError:
        refusal = unusable(self.path, doing, error)
        self._broken = str(refusal)
        return refusal


def _begin(path: Path, file: AppendFile, header: Header) -> None:
    line, _ = frame.seal(
        frame.GENESIS, frame.header_body(header, Stamper().stamp(header.created_at))
    )
    if file.write(line) != len(line):
        raise unusable(path, "begin the journal", OSError(0, "only a part was written"))
    file.sync()


def _mend(reader: LogReader, disk: Disk, file: AppendFile) -> Mended:
    """Keep the torn bytes beside the log, durably, and only then cut them off."""
    torn = disk.read(reader.path, reader.end)
    kept_in = free_name(disk, reader.path.with_name(TORN))
    disk.write_whole(kept_in, torn)
    file.truncate(reader.end)
    file.sync()
    return Mended(offset=reader.end, dropped=len(torn), kept_in=kept_in)


def _refuse_a_loss(directory: Path, disk: Disk) -> None:
    """Refuse to begin anew where there was a journal: its ids would be used a second time."""
    for name in (RESTORED, DATABASE):
        if disk.exists(directory / name):
            raise JournalError(
                f"{directory / NAME}: gone, but {name} is still there;"
                " bring it back with `hedge journal restore`, or move the whole directory away"
            )
