"""Goal: state lies where the line, systemd or the platform says, private, or the start ends in 12.

Method: real directories; the environment is passed in.
"""

import os
import stat
from pathlib import Path

import pytest

from hedge.config import prepare_dir, runtime_dir, state_dir
from hedge.config.dirs import hedge_dir, known_hedges
from hedge.errors import JournalError, UsageError


def test_order_of_the_state_directory() -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/hedge:/b", "HOME": "/home/x"}
    assert state_dir(Path("/a"), environ) == Path("/a")
    assert state_dir(Path("a"), environ) == Path.cwd() / "a"
    assert state_dir(None, environ) == Path("/var/lib/hedge")
    assert state_dir(None, {"HOME": "/home/x"}) == Path("/home/x/.local/state/hedge")
    assert state_dir(None, {"HOME": "/h", "XDG_STATE_HOME": "/s"}) == Path("/s/hedge")
    assert state_dir(None, {}).name == "hedge"


def test_order_of_the_runtime_directory() -> None:
    state = Path("/s")
    both = {"RUNTIME_DIRECTORY": "/run/hedge", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert runtime_dir(state, both) == Path("/run/hedge")
    assert runtime_dir(state, {"XDG_RUNTIME_DIR": "/run/user/1"}) == Path("/run/user/1/hedge")
    assert runtime_dir(state, {}) == state


def test_made_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = prepare_dir(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert list(made.iterdir()) == []
    assert prepare_dir(made) == made


def test_what_cannot_hold_a_journal_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(JournalError, match="not a directory"):
        prepare_dir(file)
    with pytest.raises(JournalError, match="Not a directory"):
        prepare_dir(file / "below")
    with pytest.raises(JournalError):
        prepare_dir(Path("/proc/hedge"))
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(JournalError, match="others can write"):
        prepare_dir(open_to_all)


def test_hedges_that_have_run(tmp_path: Path) -> None:
    assert known_hedges(tmp_path / "none") == ()
    for name in ("eth", "btc", "Not a name"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.log").touch()
    (tmp_path / "claims").mkdir()
    assert known_hedges(tmp_path) == ("btc", "eth")
    assert hedge_dir(tmp_path, "btc") == tmp_path / "btc"
    with pytest.raises(UsageError, match='nearest: "btc"'):
        hedge_dir(tmp_path, "bct")
    with pytest.raises(UsageError):
        hedge_dir(tmp_path, "../btc")
