"""The full stream of facts of one hedge, one JSON line each: what ``--record DIR`` keeps."""

import logging
import os
from pathlib import Path

import msgspec

from hedge.config.dirs import prepare_dir
from hedge.decide.events import AnyEvent
from hedge.errors import JournalError

log = logging.getLogger(__name__)
BUFFER_BYTES = 1 << 16


class Recorder:
    """Appends to ``DIR/<hedge>.ndjson``; a recording that fails ends the run, never in silence."""

    def __init__(self, directory: Path, hedge: str) -> None:
        self._path = prepare_dir(directory) / f"{hedge}.ndjson"
        self._encode = msgspec.json.Encoder().encode
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(fd, "ab", BUFFER_BYTES)
        except OSError as error:
            raise JournalError(f"{self._path}: cannot record: {error.strerror}") from None

    def take(self, event: AnyEvent) -> None:
        try:
            self._file.write(self._encode(event) + b"\n")
        except OSError as error:
            raise JournalError(f"{self._path}: cannot record: {error.strerror}") from None

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:  # what it still held; a way out has its exit code already
            log.warning("%s: its end is not recorded: %s", self._path, error.strerror)
