"""The kill switch that needs no socket: a file in the hedge's directory."""

from collections.abc import Iterator
from pathlib import Path

from hedge.decide import events as e

KILL_FILES = {"FREEZE": e.Verb.FREEZE, "LOCK": e.Verb.LOCK}


def lying(directory: Path) -> Iterator[str]:
    """Yield the names of the kill files that lie in a hedge's directory."""
    return (name for name in KILL_FILES if (directory / name).exists())


def asked_by(name: str, at: int) -> e.OperatorAsked:
    """Return what a kill file of this name asks for."""
    return e.OperatorAsked(
        at=at, verb=KILL_FILES[name], request_id=f"file:{name}:{at}", by=f"the file {name}"
    )
