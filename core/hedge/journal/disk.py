"""The port to the disk that the journal stands on, and the real disk behind it."""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Protocol

from hedge.errors import DISK_MENDS, JournalError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
OTHERS = 0o077


class AppendFile(Protocol):
    """One file, open for appending. Every method may raise `OSError`."""

    def write(self, data: bytes) -> int:
        """Do one write at the end; return how many bytes were taken, which may be fewer."""

    def sync(self) -> None:
        """Return when everything written so far is on the disk."""

    def truncate(self, size: int) -> None: ...

    def close(self) -> None: ...


class Disk(Protocol):
    """What the journal needs of a file system. Every method may raise `OSError`."""

    def make_directory(self, path: Path) -> None:
        """Create a directory, and its parents, for this user only; lawful where it exists."""

    def open_append(self, path: Path) -> AppendFile:
        """Open for appending; a file that is new is durable in its directory on return."""

    def exists(self, path: Path) -> bool: ...

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        """Return up to ``size`` bytes from ``offset``; all the rest for a negative size."""

    def write_whole(self, path: Path, data: bytes) -> None:
        """Make or replace a file so that it is seen either as before or whole, and durable."""

    def replace(self, source: Path, target: Path) -> None:
        """Rename, durably; an existing target is replaced."""

    def remove(self, path: Path) -> None:
        """Delete a file, durably; lawful where there is none."""


class RealAppendFile:
    """An append-only descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RealDisk:
    """The operating system's files; 0600 in directories of 0700."""

    def make_directory(self, path: Path) -> None:
        if path.is_dir():
            return
        self.make_directory(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir(DIRECTORY_MODE)
        sync_directory(path.parent)

    def open_append(self, path: Path) -> RealAppendFile:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
        try:
            _refuse_others(path, fd)
            sync_directory(path.parent)
        except (OSError, JournalError):
            os.close(fd)
            raise
        return RealAppendFile(fd)

    def exists(self, path: Path) -> bool:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return True

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        with path.open("rb", buffering=0) as file:
            if offset:
                file.seek(offset)
            return file.read(size) or b""

    def write_whole(self, path: Path, data: bytes) -> None:
        draft = path.with_name(f"{path.name}.draft")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(draft, flags, FILE_MODE)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        self.replace(draft, path)

    def replace(self, source: Path, target: Path) -> None:
        source.replace(target)
        sync_directory(target.parent)
        if source.parent != target.parent:
            sync_directory(source.parent)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)


REAL = RealDisk()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _refuse_others(path: Path, fd: int) -> None:
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if mode & OTHERS:
        raise JournalError(f"{path}: others may open it (mode {mode:o}); chmod 600 it")


MENDS = DISK_MENDS | {
    errno.EACCES: "run as its owner or choose another --state-dir",
    errno.EPERM: "run as its owner or choose another --state-dir",
    errno.ENOENT: "look at --state-dir",
}


def unusable(path: Path, doing: str, error: OSError) -> JournalError:
    """Return the one-line error for an operating system's no, with what to do about it."""
    reason = error.strerror or str(error)
    mend = MENDS.get(error.errno or 0, "look with `hedge journal check`")
    return JournalError(f"{path}: cannot {doing}: {reason}; {mend}")


def free_name(disk: Disk, path: Path) -> Path:
    """Return ``path`` with the first number after it that no file has."""
    number = 1
    while disk.exists(found := path.with_name(f"{path.name}-{number}")):
        number += 1
    return found
