"""Which journal is meant: one directory a hedge under the state directory."""

import difflib
from pathlib import Path

from hedge.errors import UsageError

JOURNAL = "journal.log"


def hedges(state: Path) -> list[str]:
    """Return the hedges that have a journal, by name."""
    if not state.is_dir():
        return []
    return sorted(one.name for one in state.iterdir() if (one / JOURNAL).is_file())


def journal_of(state: Path, name: str | None) -> Path:
    """Return a hedge's journal; without a name the only one's. Raise `UsageError` otherwise."""
    known = hedges(state)
    if not known:
        raise UsageError(f"no hedge has run yet: {state} has no journal")
    if name is None:
        if len(known) > 1:
            raise UsageError(f"which hedge? there are {', '.join(known)}")
        name = known[0]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0)
        raise UsageError(f"no hedge {name!r}; the nearest is {near[0]!r}")
    return state / name / JOURNAL
