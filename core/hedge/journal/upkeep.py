"""The record's own care: check it, back it up, restore it, bring it to the newest schema."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from hedge.errors import JournalError
from hedge.journal import frame
from hedge.journal.disk import REAL, unusable
from hedge.journal.frame import FORMAT, NAME, VERSION
from hedge.journal.leases import leased
from hedge.journal.lock import LOCK_NAME, hold
from hedge.journal.log import DATABASE, RESTORED
from hedge.journal.reader import LogReader
from hedge.journal.table import Projection

MANIFEST = "backup.json"
MANIFEST_FORMAT = "hedge.backup/1"
BEFORE = "journal.before-restore"
INCOMING = "journal.log.incoming"

_Read = TypeVar("_Read")


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What `check` found; ``problems`` is empty for a journal that an engine may start on."""

    path: str
    hedge: str = ""
    format: str = ""
    rows: int = 0
    head: str = ""
    bytes: int = 0
    torn_bytes: int = 0
    """Behind the last complete line: a write under way, or one that the next start takes off."""
    epoch: int = 0
    projection: str = "missing"
    """missing, level, behind, unusable (old, corrupt or of another log)"""
    projection_rows: int = 0
    restored: bool = False
    problems: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds; written last, so a backup without it is not finished."""

    format: str
    hedge: str
    at: int
    rows: int
    bytes: int
    head: str


class RestoredMark(msgspec.Struct, frozen=True, kw_only=True):
    """The journal was restored: the next start takes epoch = max(``epoch``, venue-seen) + 1."""

    at: int
    source: str
    rows: int
    head: str
    epoch: int


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    mark: RestoredMark
    moved_aside: Path | None = None


class UpgradeResult(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is the line for a person."""

    before: int
    after: int
    text: str


# -- check ---------------------------------------------------------------------------------------


def check(directory: Path) -> CheckResult:
    """Read everything, change nothing; raise only where there is no journal to read."""
    path = directory / NAME
    reader = LogReader(path)
    problems: list[str] = []
    epoch = 0
    try:
        epoch = leased(reader.rows()).epoch
    except JournalError as error:
        if reader.header is None:
            raise
        problems.append(str(error))
    if reader.header is None:
        problems.append(f"{path}: not even a header: the next start begins it anew")
    state, seen = _projection_state(directory, reader.seq)
    mark: RestoredMark | None = None
    try:
        mark = restored_mark(directory)
    except JournalError as error:
        problems.append(str(error))
    return CheckResult(
        path=str(path),
        hedge=reader.header.hedge if reader.header else "",
        format=reader.header.format if reader.header else "",
        rows=max(reader.seq, 0),
        head=reader.chain.decode(),
        bytes=reader.end,
        torn_bytes=reader.torn,
        epoch=epoch,
        projection=state,
        projection_rows=seen,
        restored=mark is not None,
        problems=tuple(problems),
    )


def _projection_state(directory: Path, last_seq: int) -> tuple[str, int]:
    if not (directory / DATABASE).exists():
        return "missing", 0
    try:
        stored = Projection.stored(directory)
    except JournalError:
        return "unusable", 0
    with contextlib.closing(stored) as projection:
        if not projection.usable():
            return "unusable", 0
        seen = projection.last_seq
        sound = projection.sound()
    if not sound:
        return "unusable", seen
    return ("behind" if seen < last_seq else "level"), seen


# -- backup --------------------------------------------------------------------------------------


def backup(directory: Path, target: Path, *, at: int) -> Manifest:
    """Copy the log up to its last complete line, verified, also while an engine writes it."""
    with _spoken(target, "write the backup"):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise JournalError(f"{target}: exists and is not an empty directory; name another")
        reader = _verified(directory / NAME)
        assert reader.header is not None
        REAL.make_directory(target)
        REAL.write_whole(target / NAME, REAL.read(directory / NAME, 0, reader.end))
        manifest = Manifest(
            format=MANIFEST_FORMAT,
            hedge=reader.header.hedge,
            at=at,
            rows=reader.seq,
            bytes=reader.end,
            head=reader.chain.decode(),
        )
        REAL.write_whole(target / MANIFEST, _pretty(manifest))
    return manifest


def _verified(path: Path) -> LogReader:
    """Return a reader at the end of a sound log; raise `JournalError` for any other."""
    reader = LogReader(path)
    for _ in reader.rows():
        pass
    if reader.header is None:
        raise JournalError(f"{path}: an empty journal: there is nothing to keep")
    return reader


# -- restore -------------------------------------------------------------------------------------


def restore(
    source: Path, directory: Path, *, at: int, move_aside: bool = False, cut: bool = False
) -> Restored:
    """Put a backup in the place of a journal, and mark it: its ids are not to be trusted.

    A journal that has rows is only replaced with ``move_aside``: it goes, whole, to a directory
    ``journal.before-restore-<n>``. ``cut`` takes the sound beginning of a damaged log, and then the
    source may be the directory itself. Nothing is deleted. An interrupted restore is repeated.
    """
    with hold(directory / LOCK_NAME), _spoken(directory, "restore the journal"):
        data, reader = _sound_part(source, cut=cut)
        if not move_aside and _has_rows(directory / NAME):
            raise JournalError(
                f"{directory / NAME}: there is a journal already; with --move-aside it is kept"
                f" as {BEFORE}-<n> and replaced"
            )
        mark = RestoredMark(
            at=at,
            source=str(source.absolute()),
            rows=reader.seq,
            head=reader.chain.decode(),
            epoch=_epoch_of(source / NAME, reader.seq),
        )
        # In this order a death at any step leaves a directory that refuses to begin anew.
        REAL.write_whole(directory / INCOMING, data)
        REAL.write_whole(directory / RESTORED, _pretty(mark))
        moved = _move_aside(directory)
        REAL.replace(directory / INCOMING, directory / NAME)
    return Restored(mark=mark, moved_aside=moved)


def _sound_part(source: Path, *, cut: bool) -> tuple[bytes, LogReader]:
    path = source / NAME
    reader = LogReader(path)
    try:
        for _ in reader.rows():
            pass
    except JournalError:
        if not cut or reader.header is None:
            raise
    if reader.header is None:
        raise JournalError(f"{path}: an empty journal: there is nothing to restore")
    if not cut:
        manifest = _read(source / MANIFEST, Manifest)
        if manifest is None:
            raise JournalError(
                f"{source}: not a finished backup: {MANIFEST} is missing;"
                " --cut takes what is sound of it"
            )
        if (manifest.rows, manifest.head) != (reader.seq, reader.chain.decode()):
            raise JournalError(
                f"{source}: {manifest.rows} rows to {manifest.head} were backed up,"
                f" {reader.seq} to {reader.chain.decode()} are there"
            )
    return REAL.read(path, 0, reader.end), reader


def _epoch_of(path: Path, last_seq: int) -> int:
    reader = LogReader(path)
    return leased(frame.row_from(path, found) for found in reader.take(last_seq)).epoch


def _has_rows(path: Path) -> bool:
    """Return whether anything would be lost; a log that cannot be read counts as full."""
    if not REAL.exists(path):
        return False
    try:
        return bool(LogReader(path).take(1))
    except JournalError:
        return True


def _move_aside(directory: Path) -> Path | None:
    there = [
        directory / name
        for name in (NAME, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
        if (directory / name).exists()
    ]
    if not there:
        return None
    number = 1
    while (aside := directory / f"{BEFORE}-{number}").exists():
        number += 1
    REAL.make_directory(aside)
    for path in there:
        REAL.replace(path, aside / path.name)
    return aside


def restored_mark(directory: Path) -> RestoredMark | None:
    """Return the mark of a restore that no start has answered yet."""
    return _read(directory / RESTORED, RestoredMark)


def clear_restored_mark(directory: Path) -> None:
    """Take the mark away, once the row with the higher epoch is appended and synced."""
    with _spoken(directory, "clear the mark of the restore"):
        REAL.remove(directory / RESTORED)


# -- upgrade -------------------------------------------------------------------------------------

STEPS: dict[int, Callable[[Path], None]] = {}
"""From each version to the next; version 1 is the first, so there is no step yet."""


def upgrade(directory: Path) -> UpgradeResult:
    """Bring a journal to this program's schema, step by step; raise for a newer one."""
    before = version = _version(directory / NAME)
    with hold(directory / LOCK_NAME):
        while version < VERSION:
            STEPS[version](directory)
            version += 1
    text = f"{FORMAT}/{version}: up to date" if before == version else f"{before} -> {version}"
    return UpgradeResult(before=before, after=version, text=text)


def _version(path: Path) -> int:
    reader = LogReader(path)
    reader.take(1)
    if reader.header is None or reader.header.version is None:
        raise JournalError(f"{path}: an empty journal: there is nothing to upgrade")
    return reader.header.version


# -- small files ---------------------------------------------------------------------------------


def _pretty(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def _read(path: Path, kind: type[_Read]) -> _Read | None:
    try:
        data = REAL.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, "read", error) from None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise JournalError(f"{path}: damaged; take another backup") from None


@contextlib.contextmanager
def _spoken(path: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unusable(path, doing, error) from None
