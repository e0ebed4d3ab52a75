"""Plants one bug: applies a unified diff to a copy of the core, or refuses loudly."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Stale(Exception):
    """The source has moved on, and the diff no longer says where its bug belongs."""


class Hunk(NamedTuple):
    """One place of a diff: the lines that must stand in ``path`` once, and what replaces them."""

    path: str
    before: str
    after: str


def hunks(diff: str) -> Iterator[Hunk]:
    """Yield the places of a unified diff; its line numbers are for people, its lines count."""
    path, before, after = "", [], []
    for line in [*diff.splitlines(keepends=True), "@@"]:
        if line.startswith(("--- ", "+++ ", "@@")):
            if before or after:
                yield Hunk(path, "".join(before), "".join(after))
            before, after = [], []
            if line.startswith("+++ b/"):
                path = line[6:].strip()
        elif line[0] in " -+":
            if line[0] in " -":
                before.append(line[1:])
            if line[0] in " +":
                after.append(line[1:])
        else:
            raise Stale(f"not a line of a diff: {line!r}")


def plant(diff: str, root: Path) -> None:
    """Apply a diff below ``root``; raise `Stale` unless each place is found exactly once."""
    for path, before, after in hunks(diff):
        source = root / path
        if not source.is_file():
            raise Stale(f"{path} is gone")
        text = source.read_text(encoding="utf-8")
        found = ("\n" + text).count("\n" + before) if before else 0
        if found != 1:
            raise Stale(f"{path}: these lines stand there {found} times, not once:\n{before}")
        source.write_text(("\n" + text).replace("\n" + before, "\n" + after)[1:], encoding="utf-8")


def copy_core(root: Path) -> Path:
    """Copy the core below ``root``; return what to put first on a path to import the copy."""
    shutil.copytree(ROOT / "core", root / "core")
    return root / "core"
