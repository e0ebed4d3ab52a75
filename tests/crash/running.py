"""The installed `hedge run` of one hedge, watched: started, killed, and started with the same line.

For every laboratory that judges by what the venues know. Tests wait for conditions only, and every
wait is bounded.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hedge.config.dirs import claims_directory
from hedge.decide.rows import Row
from hedge.journal import read_rows
from hedge.journal.lock import claim_name

HEDGE = str(Path(sys.executable).parent / "hedge")
PATIENCE_S = 90.0
VENUE_ERROR, RESTARTS_MAX = 4, 3
LOOK_S = 0.01


def wait_until(ready: Callable[[], Any], what: str, *, for_s: float = PATIENCE_S) -> Any:
    """Look until ``ready`` says something; an AssertionError says what never came."""
    until = time.monotonic() + for_s
    while not (found := ready()):
        assert time.monotonic() < until, f"{what}: not within {for_s} s"
        time.sleep(LOOK_S)
    return found


def environment(**more: str) -> dict[str, str]:
    """Return what a process of ours finds: nothing that this one was not started for.

    And no right to write bytecode: on a disk that fills up it would leave half a file in the tree.
    """
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | more


class Tail:
    """Counts the words of a growing journal, reading each byte once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._counted: dict[tuple[str, str], tuple[int, int]] = {}
        self.lines: list[str] = []

    def look(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
            if data:
                self._offset += len(data)
                *whole, self._rest = (self._rest + data).split(b"\n")
                self.lines += [line.decode() for line in whole]
        return self.lines

    def count(self, word: str, without: str = "\n") -> int:
        """Count the lines with a word, and without another; each line is looked at once."""
        lines = self.look()
        seen, found = self._counted.get((word, without), (0, 0))
        found += sum(word in line and without not in line for line in lines[seen:])
        self._counted[word, without] = len(lines), found
        return found


class Running:
    """The program in a directory of its own; its laboratory says how it is configured."""

    def __init__(self, folder: Path, directory: Path, *, patience_s: float = PATIENCE_S) -> None:
        self.folder = folder
        self.directory = directory
        """The hedge's own, named as it is, in the state directory."""
        self.config = folder / "hedge.toml"
        self.patience_s = patience_s
        self.happened: list[str] = []
        """What was done to it."""
        self.tail = Tail(directory / "journal.log")
        self._started: list[subprocess.Popen[bytes]] = []
        folder.mkdir(exist_ok=True)

    @property
    def where(self) -> str:
        """Return what a failure names: the seed, the directory, what was done."""
        return f"{self.folder}, {', '.join(self.happened) or 'nothing was done to it'}"

    def environment(self) -> dict[str, str]:
        return environment()

    def look(self) -> None:
        """Do what is to be done around a hedge that lives; called often."""

    def begin(self, line: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start the program; what it says goes into files of its own."""
        number = len(self._started)
        with (
            (self.folder / f"out-{number}.txt").open("wb") as out,
            (self.folder / f"err-{number}.txt").open("wb") as err,
        ):
            given = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **options}
            process = subprocess.Popen(line, env=self.environment(), **given)
        self._started.append(process)
        return process

    def line(self, *more: str, state: Path | None = None) -> list[str]:
        """Return the line that starts the hedge, which is the same each time."""
        return [
            HEDGE, "run", self.directory.name, "--config", str(self.config),
            "--state-dir", str(state or self.directory.parent), "--enter", "now", "--no-view",
            *more,
        ]  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        """Start it with its line."""
        return self.begin(self.line())

    def said(self) -> str:
        """Return what the last engine said on stderr."""
        return (self.folder / f"err-{len(self._started) - 1}.txt").read_text()[-2_000:]

    def command(self, *words: str, for_s: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run another command of the program on its state."""
        return subprocess.run(
            [HEDGE, *words, "--state-dir", str(self.directory.parent)],
            env=self.environment(), capture_output=True, text=True, check=False,
            timeout=for_s or self.patience_s, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, process: subprocess.Popen[bytes], why: str) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(self.patience_s)
        assert process.returncode == -signal.SIGKILL, (self.where, process.returncode, self.said())
        self.happened.append(why)

    def alive_until(
        self, process: subprocess.Popen[bytes], ready: Callable[[], bool], what: str
    ) -> bool:
        """Wait for a moment of a living process; False where it ended before."""

        def look() -> bool:
            self.look()
            return process.poll() is not None or ready()

        wait_until(look, f"{what} ({self.where}; {self.said()})", for_s=self.patience_s)
        return process.poll() is None

    def supervised(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Start it again where it ended with 4, as the unit does: a venue could not be reached."""
        if process.poll() != VENUE_ERROR:
            return process
        self.happened.append(f"exit 4: {self.said().strip()}")
        return self.start()

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Let it live to its end: unwound, with exit code 0."""
        for _ in range(RESTARTS_MAX):
            self.alive_until(process, lambda: False, "the end of the life")
            if process.returncode != VENUE_ERROR:
                break
            process = self.supervised(process)
        assert process.returncode == 0, (self.where, process.returncode, self.said())

    def end(self) -> None:
        """Leave no process behind."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(self.patience_s)

    def unclaim(self, venue: str, account: str, *held: str) -> None:
        """Take away the claims on what an account holds, which outlive the hedge."""
        for what in held:
            (claims_directory() / claim_name(venue, account, what)).unlink(missing_ok=True)

    def rows(self) -> list[Row]:
        return list(read_rows(self.directory / "journal.log"))
