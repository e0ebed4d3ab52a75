"""A disk in memory that forgets what was not synced, and fails where it is told to."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

ALL = -1


class Fault(NamedTuple):
    """What happens at one write or sync: ``kept`` bytes arrive (`ALL`), then ``error`` is raised.

    Without an error a write is merely short. An error that is no `OSError` (a simulation's own
    "the process died here") goes through the journal untouched.
    """

    error: BaseException | None = None
    kept: int = 0


class MemoryFile:
    """The bytes of one file, and how many of them would survive a power cut."""

    __slots__ = ("data", "synced")

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = 0


class MemoryAppendFile:
    """A descriptor; it is dead after a crash of its process."""

    __slots__ = ("_disk", "_file", "_life")

    def __init__(self, disk: "MemoryDisk", file: MemoryFile) -> None:
        self._disk = disk
        self._file = file
        self._life = disk.life

    def _alive(self) -> "MemoryDisk":
        if self._life != self._disk.life:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._disk

    def write(self, data: bytes) -> int:
        disk = self._alive()
        disk.writes += 1
        if disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if disk.write_faults:
            fault = disk.write_faults.pop(disk.writes, None)
            if fault is not None:
                taken = data if fault.kept == ALL else data[: fault.kept]
                self._file.data += taken
                if fault.error is not None:
                    raise fault.error
                return len(taken)
        self._file.data += data
        return len(data)

    def sync(self) -> None:
        disk = self._alive()
        disk.syncs += 1
        fault = disk.sync_faults.pop(disk.syncs, None)
        if fault is not None and fault.error is not None:
            raise fault.error
        if not disk.syncs_lie:
            self._file.synced = len(self._file.data)

    def truncate(self, size: int) -> None:
        self._alive()
        assert size <= len(self._file.data)
        del self._file.data[size:]
        self._file.synced = min(self._file.synced, size)

    def close(self) -> None:
        self._life = -1


class MemoryDisk:
    """Files in memory, deterministic; ``writes`` and ``syncs`` count from the first one, as 1.

    Names and whole files (`write_whole`, `replace`) are durable at once, as on the real disk, where
    they are synced before the call returns.
    """

    def __init__(self) -> None:
        self.files: dict[Path, MemoryFile] = {}
        self.writes = 0
        self.syncs = 0
        self.write_faults: dict[int, Fault] = {}
        self.sync_faults: dict[int, Fault] = {}
        self.full = False
        """Every write fails with ENOSPC."""
        self.syncs_lie = False
        """Syncs report success and do nothing."""
        self.life = 0

    # -- what happens to a machine ---------------------------------------------------------------

    def crash(self) -> None:
        """Let the process die: its descriptors are gone, every byte written stays."""
        self.life += 1

    def power_loss(self, *, kept: int = 0, zeroed: int = 0) -> None:
        """Let the machine die: of what was not synced, ``kept`` bytes of each file stay.

        The next ``zeroed`` bytes come back as NULs, as a file system does that had grown the file
        before it wrote the data.
        """
        self.life += 1
        for file in self.files.values():
            end = len(file.data)
            first = min(file.synced + kept, end)
            last = min(first + zeroed, end)
            file.data[first:] = bytes(last - first)
            file.synced = len(file.data)

    # -- the port --------------------------------------------------------------------------------

    def make_directory(self, path: Path) -> None:
        """Directories need no making here."""

    def open_append(self, path: Path) -> MemoryAppendFile:
        return MemoryAppendFile(self, self.files.setdefault(path, MemoryFile()))

    def exists(self, path: Path) -> bool:
        return path in self.files

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        data = self._file(path).data
        return bytes(data[offset:] if size < 0 else data[offset : offset + size])

    def write_whole(self, path: Path, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file = MemoryFile()
        file.data += data
        file.synced = len(data)
        self.files[path] = file

    def replace(self, source: Path, target: Path) -> None:
        self.files[target] = self._file(source)
        del self.files[source]

    def remove(self, path: Path) -> None:
        self.files.pop(path, None)

    def _file(self, path: Path) -> MemoryFile:
        file = self.files.get(path)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return file
