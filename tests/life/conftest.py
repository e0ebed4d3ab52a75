"""How the life tests start the real program: as a process, with a state directory of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HEDGE = str(Path(sys.executable).parent / "hedge")
NAME = "btc-usdt-sim-sim"
PATIENCE_S = 120
LOOK_EVERY_S = 0.004


@dataclass
class Program:
    """One command line and its state directory; every process it starts is ended with the test."""

    state: Path
    environ: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def line(self, *more: str, add: dict[str, Any] | None = None) -> list[str]:
        asked = json.dumps(add or {"action": "single"})
        return [
            HEDGE, "run", "--spot", "sim", "--futures", "sim", "--symbol", "BTC/USDT",
            "--usd", "10000", "--add", asked, "--state-dir", str(self.state), "--no-view", *more,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        return {**kept, "HEDGE__RUN__SPEED": "max", **self.environ}

    def start(self, line: list[str], **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            line, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, **options,
        )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, line: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            line, env=self.environment(), capture_output=True, text=True, check=False,
            timeout=PATIENCE_S, **options,
        )  # fmt: skip

    @property
    def journal(self) -> Path:
        return self.state / NAME / "journal.log"

    def seen(self, word: str) -> int:
        """Count the journal's lines with ``word`` in them; 0 while there is no journal."""
        try:
            return sum(word in line for line in self.journal.read_text().splitlines())
        except FileNotFoundError:
            return 0

    def wait_until(self, process: subprocess.Popen[str], ready: Callable[[], bool]) -> bool:
        """Return True when it is ``ready``, False when the process ended before."""
        while not ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_S)  # the core is the program's meanwhile, not ours
                return False
        return True

    def kill_when(self, process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
        """Watch the journal, not the clock, and send SIGKILL."""
        self.wait_until(process, ready)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL, (process.returncode, out[-500:], err)

    def report(self) -> dict[str, Any]:
        done = self.run([HEDGE, "report", "--json", "--state-dir", str(self.state)])
        assert done.returncode == 0, done.stderr
        data: dict[str, Any] = json.loads(done.stdout)["data"]
        return data


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path / "s")
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def hedge() -> str:
    return HEDGE
