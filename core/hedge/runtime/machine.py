"""What the machine has left for us, and what we take of it."""

import os
from pathlib import Path

from hedge.journal.disk import unusable

STATM = Path("/proc/self/statm")


def free_bytes(path: Path) -> tuple[int, int]:
    """Return the bytes that we may still write, and the size of the file system.

    Raise `JournalError` where the disk does not say.
    """
    try:
        stat = os.statvfs(path)
    except OSError as error:
        raise unusable(path, "measure the disk", error) from None
    return stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize


def resident_bytes() -> int:
    """Return the memory that this process holds (proc(5), ``statm``); 0 where nobody says."""
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
