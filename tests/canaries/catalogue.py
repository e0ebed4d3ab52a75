"""The planted bugs, what must catch each of them, and the seeds known to show it."""

import tomllib
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "canaries.md"
KNOWN = HERE / "known.toml"
NOTE = "<!-- Written by tests/canaries/search.py; edit tests/canaries/canaries.toml instead. -->"
INTRO = """\
A test that nothing can fail proves nothing. So bugs are planted: each is a small diff in
`tests/canaries/diffs`, applied to a copy of the core, and the simulated world must notice it by a
broken invariant, on a seed that the core as it is survives. The tests run the known seeds; the wide
search (`python tests/canaries/search.py`) walks the seeds from 1 until it has found them, writes
this page, and fails when a bug survives."""


class Canary(NamedTuple):
    """One planted bug."""

    name: str
    plants: str
    """What goes wrong, in a sentence."""
    listed: str
    """Which entry of the safety plan's list it is, or stands for."""
    caught_by: tuple[str, ...]
    """The invariants of which one must break."""
    note: str
    """How it differs from the entry, where it does."""

    @property
    def diff(self) -> str:
        return (HERE / "diffs" / f"{self.name}.diff").read_text(encoding="utf-8")


class Known(NamedTuple):
    """What a search found: seeds that show the bug, and the invariant that the first one broke."""

    invariant: str
    seeds: tuple[int, ...]
    tried: int
    """How many seeds were run until the first of them."""
    commit: str


def canaries() -> dict[str, Canary]:
    """Return every planted bug by its name."""
    tables = tomllib.loads((HERE / "canaries.toml").read_text(encoding="utf-8"))
    return {
        name: Canary(
            name=name,
            plants=one["plants"],
            listed=one.get("listed", ""),
            caught_by=tuple(one["caught_by"]),
            note=one.get("note", ""),
        )
        for name, one in tables.items()
    }


def known() -> dict[str, Known]:
    """Return what the searches found, by the name of the bug."""
    if not KNOWN.exists():
        return {}
    tables = tomllib.loads(KNOWN.read_text(encoding="utf-8"))
    return {
        name: Known(one["invariant"], tuple(one["seeds"]), one["tried"], one["commit"])
        for name, one in tables.items()
    }


def write(found: dict[str, Known]) -> None:
    """Keep what the searches found, and write the page that shows it."""
    parts = ["# Written by search.py: seeds that show each planted bug.\n"]
    parts.extend(
        f"[{name}]\n"
        f'invariant = "{one.invariant}"\n'
        f"seeds = {list(one.seeds)}\n"
        f"tried = {one.tried}\n"
        f'commit = "{one.commit}"\n'
        for name, one in sorted(found.items())
    )
    KNOWN.write_text("\n".join(parts), encoding="utf-8")
    PAGE.write_text(page(canaries(), found), encoding="utf-8")


def page(planted: dict[str, Canary], found: dict[str, Known]) -> str:
    """Return ``docs/canaries.md``."""
    lines = [
        "| canary | what it plants | of the list | caught by | first seed | seeds needed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for canary in planted.values():
        one = found.get(canary.name)
        seen = (one.invariant, str(one.seeds[0]), str(one.tried)) if one else ("nothing", "-", "-")
        row = (f"`{canary.name}`", canary.plants, canary.listed or "beyond the list", *seen)
        lines.append("| " + " | ".join(row) + " |")
    notes = [f"* `{one.name}`: {one.note}" for one in planted.values() if one.note]
    commits = ", ".join(sorted({one.commit for one in found.values()}))
    counted = f"{len(planted)} canaries, {len(found)} caught; searched at commit {commits}."
    parts = ["# Canaries", NOTE, INTRO, counted, "\n".join(lines)]
    if notes:
        parts += ["## Where the list's words do not fit this design", "\n".join(notes)]
    return "\n\n".join(parts) + "\n"


def stale() -> list[str]:
    """Return what does not fit together: diffs, catalogue, known seeds and the page."""
    planted, found = canaries(), known()
    diffs = {path.stem for path in (HERE / "diffs").glob("*.diff")}
    wrong = [f"{name}: in the catalogue or in diffs/, not in both" for name in diffs ^ {*planted}]
    wrong += [f"{name}: no search has caught it" for name in {*planted} - {*found}]
    wrong += [f"{name}: known, and no longer planted" for name in {*found} - {*planted}]
    wrong += [
        f"{name}: {one.invariant} is none of {', '.join(planted[name].caught_by)}"
        for name, one in found.items()
        if name in planted and one.invariant not in planted[name].caught_by
    ]
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(planted, found):
        wrong.append("docs/canaries.md: stale; run python tests/canaries/search.py --page")
    return sorted(wrong)
