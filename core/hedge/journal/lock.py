"""One writer of a journal and one owner of an account's instrument: locks the system releases."""

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from hedge.errors import ConfigError, HedgeError, LockHeld
from hedge.journal.disk import FILE_MODE, REAL, unusable

LOCK_NAME = "journal.lock"
"""The lock of a hedge's directory: ``hold(directory / LOCK_NAME)``."""

SAID_MAX = 200


class Held:
    """A lock of this process; gone with it, whatever way it dies. The file stays for the next."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def hold(path: Path, *, what: str = "") -> Held:
    """Take the lock at once or raise `LockHeld` naming its holder; ``what`` is for the message."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        REAL.make_directory(path.parent)
        fd = os.open(path, flags, FILE_MODE)
    except OSError as error:
        raise unusable(path, "open the lock", error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(fd, SAID_MAX, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise LockHeld(
            f"{what or path} is held by {said or 'another process'} ({path});"
            " nothing was sent: stop that one first"
        ) from None
    except OSError as error:
        os.close(fd)
        raise unusable(path, "lock", error) from None
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with contextlib.suppress(OSError):  # a full disk: the lock holds without its message
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"process {os.getpid()} since {started}\n".encode("ascii"), 0)
    return Held(path, fd)


def held_elsewhere(path: Path) -> bool:
    """Return whether another process has the lock; ours is to be released before."""
    if not path.exists():
        return False
    try:
        hold(path).release()
    except LockHeld:
        return True
    except HedgeError:
        return False
    return False


def claim(directory: Path, venue: str, account: str, instrument: str) -> Held:
    """Become the one owner of ``instrument`` (or of a coin) on an account, for this user."""
    _refuse_shared(directory)
    what = f"{venue} account {account or 'main'} {instrument}"
    return hold(directory / claim_name(venue, account, instrument), what=what)


def claim_name(venue: str, account: str, instrument: str) -> str:
    """Return a file name that is safe for any symbol, and differs wherever the three do."""
    parts = (venue, account, instrument)
    exact = hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()
    shown = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(part for part in parts if part)).strip("-")
    return f"claim-{shown[:80]}-{exact}.lock"


def _refuse_shared(directory: Path) -> None:
    """Make the directory, or refuse one in which another user could exchange our locks."""
    try:
        REAL.make_directory(directory)
        found = directory.lstat()
    except OSError as error:
        raise unusable(directory, "use the directory of claims", error) from None
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{directory}: the directory of claims must not be a link")
    if found.st_uid != os.getuid():
        raise ConfigError(f"{directory}: the directory of claims belongs to user {found.st_uid}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{directory}: the directory of claims is writable by others; chmod 700 it"
        )
