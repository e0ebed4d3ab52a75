"""The face of the journal: the log, its tables, their locks, and their upkeep."""

from hedge.journal.boot import boot_id
from hedge.journal.committer import Committer, InlineCommitter, ThreadCommitter
from hedge.journal.disk import REAL, AppendFile, Disk, RealDisk
from hedge.journal.frame import FORMAT, NAME, VERSION
from hedge.journal.leases import Leases, leased
from hedge.journal.lock import LOCK_NAME, Held, claim, hold
from hedge.journal.log import DATABASE, JournalLog, Mended
from hedge.journal.memory_disk import ALL, Fault, MemoryDisk
from hedge.journal.reader import LogReader, read_rows
from hedge.journal.table import AlarmLine, OrderLine, Projection
from hedge.journal.upkeep import (
    CheckResult,
    Manifest,
    Restored,
    RestoredMark,
    UpgradeResult,
    backup,
    check,
    clear_restored_mark,
    restore,
    restored_mark,
    upgrade,
)

__all__ = [
    "ALL",
    "DATABASE",
    "FORMAT",
    "LOCK_NAME",
    "NAME",
    "REAL",
    "VERSION",
    "AlarmLine",
    "AppendFile",
    "CheckResult",
    "Committer",
    "Disk",
    "Fault",
    "Held",
    "InlineCommitter",
    "JournalLog",
    "Leases",
    "LogReader",
    "Manifest",
    "MemoryDisk",
    "Mended",
    "OrderLine",
    "Projection",
    "RealDisk",
    "Restored",
    "RestoredMark",
    "ThreadCommitter",
    "UpgradeResult",
    "backup",
    "boot_id",
    "check",
    "claim",
    "clear_restored_mark",
    "hold",
    "leased",
    "read_rows",
    "restore",
    "restored_mark",
    "upgrade",
]
