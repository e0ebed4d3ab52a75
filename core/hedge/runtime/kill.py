"""The kill switch that needs no socket: a file in the hedge's directory."""

from collections.abc import Iterator
from pathlib import Path

from hedge.decide import events as e
from hedge.journal.disk import unusable

KILL_FILES = {"FREEZE": e.Verb.FREEZE, "LOCK": e.Verb.LOCK}


class KillFiles:
    """The kill files of one hedge, and which of them have been heeded."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._heeded: set[str] = set()

    def requests(self, at: int, *, held: bool) -> Iterator[e.OperatorAsked]:
        """Yield what the files that are there ask for; ``held``: what they asked for stands.

        A file holds for as long as it is there: what `clear` took away is asked for again.
        Raise `JournalError` where nobody can say whether one is there.
        """
        for name, verb in KILL_FILES.items():
            if not self._is_there(name):
                self._heeded.discard(name)
            elif not (held and name in self._heeded):
                self._heeded.add(name)
                by, request_id = f"the file {name}", f"file:{name}:{at}"
                yield e.OperatorAsked(at=at, verb=verb, request_id=request_id, by=by)

    def _is_there(self, name: str) -> bool:
        path = self._directory / name
        try:
            return path.exists()
        except OSError as error:
            raise unusable(path, "look for the kill file", error) from None
