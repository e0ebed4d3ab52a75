"""Reading ``journal.log``: verified line by line, from the start or from where one was before."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hedge.decide.rows import Row
from hedge.errors import JournalError
from hedge.journal import frame
from hedge.journal.disk import REAL, Disk, unusable
from hedge.journal.frame import Frame, Header, damaged

CHUNK = 1 << 20


class Place(NamedTuple):
    """The last line that a reader has seen: where it begins, its row and its chain."""

    offset: int
    seq: int
    chain: bytes


class LogReader:
    """Follows one log; an incomplete last line is not there yet.

    ``end`` is the offset behind the last complete line, ``torn`` how many bytes stood behind it
    when the file was last read to its end. Reading again goes on from there.
    """

    def __init__(self, path: Path, disk: Disk = REAL) -> None:
        self.path = path
        self.header: Header | None = None
        self.end = 0
        self.seq = -1
        self.chain = frame.GENESIS
        self.torn = 0
        self.hole = False
        """The torn bytes are a complete line with a hole in it."""
        self._disk = disk
        self._going: Iterator[Frame] | None = None
        self._began = -1
        """Where the last line seen begins."""

    @property
    def place(self) -> Place | None:
        return Place(self._began, self.seq, self.chain) if self._began >= 0 else None

    def go_to(self, place: Place) -> bool:
        """Stand behind a line seen before; return False, unmoved, where it is not there now."""
        for offset, line in self._lines(place.offset):
            if frame.flaw(line, None) or line[frame.CHAIN] != place.chain:
                return False
            if place.seq and frame.seq_of(line[frame.JSON :]) != place.seq:
                return False
            self.seq = place.seq
            self.end = offset + len(line)
            self.chain = place.chain
            self._began = offset
            return True
        return False

    def frames(self) -> Iterator[Frame]:
        """Yield the rows' lines that follow, without their header; raise `JournalError` on a flaw.

        What a flaw is depends on where it stands: a damaged line that nothing whole follows, with
        the marks of a power cut in it, counts as torn.
        """
        for offset, line in self._lines(self.end):
            why = frame.flaw(line, self.chain)
            if not why and self.seq >= 0:
                seq = frame.seq_of(line[frame.JSON :])
                if seq != self.seq + 1:
                    why = f"row {seq or 'without a number'} where row {self.seq + 1} belongs"
            if why:
                if frame.HOLE in line and not self._whole_after(offset + len(line)):
                    self.torn = len(self._read(offset, -1))
                    self.hole = True
                    return
                raise damaged(self.path, self.seq + 2, offset, why)
            found = self._take(offset, line)
            if found is not None:
                yield found

    def take(self, count: int) -> list[Frame]:
        """Return the next lines, at most ``count``; fewer where the log ends for now."""
        going = self._going or self.frames()
        found = list(itertools.islice(going, count))
        self._going = going if len(found) == count else None
        return found

    def rows(self) -> Iterator[Row]:
        for found in self.frames():
            yield frame.row_from(self.path, found)

    def _take(self, offset: int, line: bytes) -> Frame | None:
        found = Frame(
            self.seq + 2, offset, offset + len(line), line[frame.CHAIN], line[frame.JSON : -1]
        )
        if self.seq < 0:
            self.header = frame.header_from(self.path, found)
        self.seq += 1
        self.end = found.end
        self.chain = found.chain
        self._began = offset
        return found if self.seq else None

    def _lines(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield complete lines with their offsets, and leave ``torn`` behind."""
        rest = b""
        self.torn = 0
        self.hole = False
        while chunk := self._read(offset + len(rest), CHUNK):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for text in lines:
                yield offset, text + b"\n"
                offset += len(text) + 1
        self.torn = len(rest)

    def _whole_after(self, offset: int) -> bool:
        rest = self._read(offset, -1)
        return any(frame.whole(line + b"\n") for line in rest.split(b"\n")[:-1])

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return self._disk.read(self.path, offset, size)
        except FileNotFoundError:
            raise JournalError(f"{self.path}: there is no journal here") from None
        except OSError as error:
            raise unusable(self.path, "read the journal", error) from None


def read_rows(path: Path, disk: Disk = REAL) -> Iterator[Row]:
    """Yield every row of a log, also while an engine writes it."""
    return LogReader(path, disk).rows()
