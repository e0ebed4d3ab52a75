"""Goal: one writer, one owner. Method: a second process tries, the first dies, a third succeeds."""

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hedge.errors import ConfigError, JournalError, LockHeld
from hedge.journal import LOCK_NAME, claim, hold
from hedge.journal.lock import claim_name

HOLDER = """
import pathlib, sys
from hedge.journal.lock import hold
held = hold(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
TRIER = """
import pathlib, sys
from hedge.errors import LockHeld
from hedge.journal.lock import hold
try:
    hold(pathlib.Path(sys.argv[1]))
except LockHeld as error:
    print(error)
    sys.exit(error.exit_code)
"""
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_second_process_is_refused_and_told_by_whom(tmp_path: Path):
    path = tmp_path / LOCK_NAME
    with hold(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        second = subprocess.run(
            [sys.executable, "-c", TRIER, str(path)],
            env=ENV, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert second.returncode == 8, second.stderr
    assert f"process {os.getpid()} since " in second.stdout
    assert str(path) in second.stdout
    with hold(path):
        pass


def test_a_killed_holder_leaves_nothing_behind(tmp_path: Path):
    path = tmp_path / LOCK_NAME
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        assert first.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=f"process {first.pid} since"):
            hold(path)
        first.send_signal(signal.SIGKILL)
    hold(path).release()


def test_a_claim_is_of_one_instrument_of_one_account(tmp_path: Path):
    directory = tmp_path / "claims"
    with claim(directory, "binance", "main", "BTC/USDT:USDT"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        with pytest.raises(LockHeld, match="binance account main BTC/USDT:USDT is held by"):
            claim(directory, "binance", "main", "BTC/USDT:USDT")
        claim(directory, "binance", "main", "ETH/USDT:USDT").release()
        claim(directory, "binance", "sub", "BTC/USDT:USDT").release()
        claim(directory, "bybit", "main", "BTC/USDT:USDT").release()


def test_names_of_claims_are_safe_and_differ():
    names = [
        claim_name(*parts)
        for parts in (
            ("v", "a", "../../etc/passwd"),
            ("v", "a/b", "c"),
            ("v", "a", "b/c"),
            ("v", "a-b", "c"),
            ("v", "", "Ω\0\n" + "x" * 5000),
        )
    ]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9.-]{1,120}", name)
        assert not name.startswith(".")


def test_a_directory_that_others_could_change_is_refused(tmp_path: Path):
    shared = tmp_path / "shared"
    shared.mkdir()
    for mode in (0o770, 0o707, 0o1777):
        shared.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 700"):
            claim(shared, "v", "a", "b")
    shared.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(shared)
    with pytest.raises(ConfigError, match="link"):
        claim(link, "v", "a", "b")
    if os.getuid() == 0:
        os.chown(shared, 12345, 12345)
        other = shared
    else:
        other = Path("/usr")
    with pytest.raises(ConfigError, match="belongs to user"):
        claim(other, "v", "a", "b")


def test_a_lock_that_cannot_be_made_is_one_line():
    with pytest.raises(JournalError, match="cannot open the lock"):
        hold(Path("/proc/hedge/lock"))
