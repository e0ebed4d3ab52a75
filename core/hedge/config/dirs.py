"""Where state and sockets live, and the one way those directories are made."""

import contextlib
import difflib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from hedge.errors import JournalError, UsageError

PRIVATE = 0o700
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
"""What can name a hedge, and so a directory."""
JOURNAL = "journal.log"


def state_dir(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Return ``--state-dir``, else systemd's, else the platform's with ``hedge``."""
    if given is not None:
        return given.expanduser().absolute()
    if systemd := _first(environ.get("STATE_DIRECTORY", "")):
        return Path(systemd)
    if environ.get("XDG_STATE_HOME", "").startswith("/"):
        return Path(environ["XDG_STATE_HOME"]) / "hedge"
    if environ.get("HOME", "").startswith("/") and os.name == "posix":
        # what platformdirs answers on Linux, without its 15 ms in every `hedge status`
        return Path(environ["HOME"]) / ".local" / "state" / "hedge"
    import platformdirs  # noqa: PLC0415 - see above

    return Path(platformdirs.user_state_path("hedge"))


def runtime_dir(state: Path, environ: Mapping[str, str]) -> Path:
    """Return systemd's runtime directory, else the user's with ``hedge``, else ``state``."""
    if systemd := _first(environ.get("RUNTIME_DIRECTORY", "")):
        return Path(systemd)
    if environ.get("XDG_RUNTIME_DIR", "").startswith("/"):
        return Path(environ["XDG_RUNTIME_DIR"]) / "hedge"
    return state


def prepare_dir(path: Path) -> Path:
    """Make a directory (0700) that we can write and nobody else can; else exit 12, in one line."""
    try:
        before = os.umask(0o077)
        try:
            path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        finally:
            os.umask(before)
        status = path.stat()
        if stat.S_IMODE(status.st_mode) & 0o022:
            raise JournalError(f"{path}: others can write this directory; chmod 700 {path}")
        if status.st_uid != os.geteuid():
            raise JournalError(f"{path}: belongs to another user (uid {status.st_uid})")
        probe = path / f".writable.{os.getpid()}"
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with contextlib.suppress(FileNotFoundError):
            probe.unlink()
    except FileExistsError:
        raise JournalError(f"{path}: not a directory") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def known_hedges(state: Path) -> tuple[str, ...]:
    """Return the hedges that have a journal, in order; none where there is no state yet."""
    try:
        found = sorted(one for one in state.iterdir() if NAME.fullmatch(one.name))
        return tuple(one.name for one in found if (one / JOURNAL).exists())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise JournalError(f"{state}: cannot be read: {error.strerror}") from None


def hedge_dir(state: Path, name: str) -> Path:
    """Return the directory of a hedge that has run; exit 2 with the nearest name otherwise."""
    known = known_hedges(state)
    if name not in known and not (NAME.fullmatch(name) and (state / name).is_dir()):
        near = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f'; nearest: "{near[0]}"' if near else ""
        raise UsageError(f"no hedge {name!a} in {state}{hint}")
    return state / name


def _first(paths: str) -> str:
    first = paths.partition(":")[0]
    return first if first.startswith("/") else ""


def claims_directory() -> Path:
    """Return the fixed directory of this user's claims, whatever the environment says."""
    import pwd  # noqa: PLC0415 - not before it is asked for: every `hedge status` comes by here

    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    if os.access(home, os.W_OK):
        return home / ".local" / "state" / "hedge-claims"
    return Path(f"/tmp/hedge-claims-{os.getuid()}")  # noqa: S108 - 0700, checked by `claim`
