"""The id of this boot of the machine, which tells a process death from a machine death."""

import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STAT = Path("/proc/stat")


def boot_id(source: Path = BOOT_ID, stat: Path = STAT) -> str:
    """Return the kernel's boot id, else the time of the boot, else a word never seen before.

    The last is the safe one: what cannot be shown to be the same boot counts as another.
    """
    found = _read(source).strip()
    if found:
        return found
    for line in _read(stat).splitlines():
        if line.startswith("btime "):
            return f"btime-{line[6:].strip()}"
    return f"unknown-{time.time_ns()}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
