"""Goal: a disk that is gone under a running hedge ends it with 12, whoever asks it first.
Method: paths that the system cannot even look up, and files without room.
"""

from pathlib import Path
from typing import Any

import pytest

from hedge.decide import events as e
from hedge.errors import ConfigError, JournalError
from hedge.runtime.api_server import UnixSocket
from hedge.runtime.kill import KillFiles
from hedge.runtime.machine import free_bytes
from hedge.runtime.recorder import Recorder

UNREADABLE = Path("/tmp") / ("x" * 300)
"""Looking it up fails, with more than a "not there"."""


def test_whether_a_kill_file_is_there_must_be_known() -> None:
    with pytest.raises(JournalError, match="look for the kill file"):
        list(KillFiles(UNREADABLE).requests(0, held=False))


def test_a_disk_that_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="measure the disk"):
        free_bytes(tmp_path / "gone")


def test_what_a_recording_still_held_is_not_lost_in_silence(
    tmp_path: Path, room: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path, "btc")
    recorder.take(e.TimerFired(at=1))
    with room(5):
        recorder.close()  # on a way out that has its exit code already
    assert "its end is not recorded" in caplog.text


def test_a_socket_that_finds_no_directory_says_which(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot make a directory in .*/gone"):
        UnixSocket(tmp_path / ("x" * 120), fallback=tmp_path / "gone")
