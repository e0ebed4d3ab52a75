"""Goal: a stream that is closed, full or gone is no bug; what is lost has one line and one code.

Method: the real program, its streams given by a shell.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEDGE = Path(sys.executable).parent / "hedge"
LOST = "hedge: standard output cannot be written: No space left on device\n"


def shell(tmp_path: Path, words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", words.replace("hedge ", f"{HEDGE} ", 1)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [("--version", 0), ("status", 10), ("config schema", 0), ("plugins list", 0), ("report", 2)],
)
def test_a_closed_output_is_one_that_nobody_reads(tmp_path: Path, words: str, code: int) -> None:
    done = shell(tmp_path, f"hedge {words} >&-")
    assert done.returncode == code
    assert "a bug" not in done.stderr
    assert not (tmp_path / ".local/state/hedge/.crashes").exists()


def test_without_any_stream_the_code_alone_speaks(tmp_path: Path) -> None:
    assert shell(tmp_path, "hedge status <&- >&- 2>&-").returncode == 10
    assert shell(tmp_path, "hedge nonsense <&- >&- 2>&-").returncode == 2


@pytest.mark.parametrize("environ", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize("words", ["--version", "config schema"])
def test_a_full_output_is_said_once(tmp_path: Path, words: str, environ: dict[str, str]) -> None:
    done = shell(tmp_path, f"hedge {words} > /dev/full", **environ)
    assert (done.returncode, done.stderr) == (74, LOST)


def test_a_code_that_says_more_is_kept(tmp_path: Path) -> None:
    assert shell(tmp_path, "hedge status --json > /dev/full").returncode == 10
    assert shell(tmp_path, "hedge nonsense > /dev/full 2> /dev/full").returncode == 2


def test_what_is_opened_first_is_not_taken_for_a_stream(tmp_path: Path) -> None:
    """A file with the number of standard error would get what a library writes there."""
    code = (
        "import os, sys, hedge.cli.main as m; m.main(['--version'])\n"
        "sys.exit(os.open(os.devnull, os.O_RDONLY))"
    )
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code],
        cwd=tmp_path, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode > 2
