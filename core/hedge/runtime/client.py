"""The way to a running engine: where its directories are, who runs what, and HTTP over its socket.

Only the standard library: ``hedge status`` has to be there before a heavier import would be.
"""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from hedge.config.dirs import runtime_dir, state_dir
from hedge.errors import (
    ConfigError,
    HedgeError,
    InvariantBroken,
    JournalError,
    LockHeld,
    NotHedged,
    NotRunning,
    PluginError,
    PositionFound,
    SafetyRefusal,
    UsageError,
    VenueError,
    writing,
)

HOST = "hedge"
"""The only Host the engine answers on its socket."""
TIMEOUT_S = 10
REPLY_BYTES_MAX = 16 * 1024 * 1024
INDEX = ".engines"
"""Hidden, because in a state directory every other name is a hedge."""
STREAM_STALE_MS = 5_000
STREAM_IDLE_MS = 90_000
"""What is no worry of a hedge that only watches; a quote each second is promised while it works."""
PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600
_BY_EXIT_CODE: dict[object, type[HedgeError]] = {
    kind.exit_code: kind
    for kind in (
        UsageError,
        ConfigError,
        VenueError,
        SafetyRefusal,
        PositionFound,
        NotHedged,
        LockHeld,
        PluginError,
        NotRunning,
        JournalError,
        InvariantBroken,
    )
}


class ConfirmationNeeded(SafetyRefusal):
    """The engine shows what it would do, with the code that makes it do so."""

    def __init__(self, message: str, preview: Mapping[str, Any], code: str) -> None:
        super().__init__(message)
        self.preview = preview
        self.code = code


# -- directories ---------------------------------------------------------------------------------


def state_directory(option: Path | None) -> Path:
    return state_dir(option, os.environ)


def index_directories(state: Path, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Where an engine writes its index and a client looks for it.

    Both: a service has a runtime directory that a login session does not know, and shares the
    state directory with it.
    """
    return tuple(dict.fromkeys((runtime_dir(state, environ), state)))


def private_directory(path: Path) -> Path:
    """Make ``path`` a directory of ours that nobody else can enter, or refuse."""
    with writing(f"cannot use directory {path}"):
        path.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
        found = path.stat(follow_symlinks=False)
        if found.st_uid != os.geteuid():
            raise ConfigError(f"{path} belongs to user {found.st_uid}, not to us")
        if found.st_mode & 0o777 != PRIVATE_DIR:
            path.chmod(PRIVATE_DIR)
    return path


# -- the index -----------------------------------------------------------------------------------


class Entry(NamedTuple):
    """One hedge and the engine that runs it."""

    hedge: str
    pid: int
    socket: str
    started_at: int


def _index_file(directory: Path, hedge: str) -> Path:
    return directory / INDEX / f"{quote(hedge, safe='')}.json"


def write_index(directory: Path, entry: Entry) -> None:
    """Say in ``directory`` that ``entry.pid`` runs ``entry.hedge``."""
    private_directory(directory / INDEX)
    target = _index_file(directory, entry.hedge)
    scratch = target.with_name(f"{target.name}.{entry.pid}")
    with writing(f"cannot write {target}"):
        with suppress(FileNotFoundError):
            scratch.unlink()
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(handle, "w") as file:
            json.dump(entry._asdict(), file)
        scratch.replace(target)


def remove_index(directory: Path, hedge: str, pid: int) -> None:
    """Take the entry away, if it still speaks of ``pid``."""
    file = _index_file(directory, hedge)
    entry = _read_entry(file)
    if entry is not None and entry.pid == pid:
        with suppress(OSError):
            file.unlink()


def _read_entry(file: Path) -> Entry | None:
    try:
        raw = json.loads(file.read_text())
        entry = Entry(raw["hedge"], raw["pid"], raw["socket"], raw["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    kinds = (str, int, str, int)
    return entry if all(map(isinstance, entry, kinds)) else None


def _pid_lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _lives(entry: Entry) -> bool:
    """Return whether an engine is behind an entry: by its socket, and by its pid in doubt.

    A pid that we do not see may live in another pid namespace, and one that we see may be another
    program's by now. A socket that refuses is nobody's; one that is not there may be out of sight.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1)
        try:
            sock.connect(entry.socket)
        except ConnectionRefusedError:
            return False
        except OSError:
            return _pid_lives(entry.pid)
    return True


def entries(directories: Sequence[Path]) -> list[Entry]:
    """Every hedge an engine runs, by name; what a dead process left behind is removed."""
    found: dict[str, Entry] = {}
    for directory in directories:
        try:
            files = sorted((directory / INDEX).glob("*.json"))
        except OSError:
            continue
        for file in files:
            entry = _read_entry(file)
            if entry is None or entry.hedge in found:
                continue
            if _lives(entry):
                found[entry.hedge] = entry
            else:
                with suppress(OSError):
                    file.unlink()
    return sorted(found.values())


def find(hedge: str | None, directories: Sequence[Path]) -> Entry:
    """Return the engine of ``hedge``, or of the only one that runs."""
    running = entries(directories)
    names = [entry.hedge for entry in running]
    if hedge is None:
        if not running:
            raise NotRunning("no engine is running; start one with `hedge run NAME`")
        if len(running) > 1:
            raise UsageError(f"several hedges are running, name one of: {', '.join(names)}")
        return running[0]
    if hedge in names:
        return running[names.index(hedge)]
    near = nearest(hedge, names)
    hint = f"; did you mean {near!r}?" if near else ""
    raise NotRunning(f"no engine runs {hedge!r}; start it with `hedge run {hedge}`{hint}")


def nearest(word: str, words: Sequence[str]) -> str:
    """Return the word that was most likely meant, or ""."""
    import difflib  # noqa: PLC0415 - a line that is right never gets here

    return next(iter(difflib.get_close_matches(word, words, n=1)), "")


# -- HTTP over the socket ------------------------------------------------------------------------


_UNKNOWN = "what it did is not known: look at `hedge status`; the same --request-id acts once"


class Client:
    """One engine; every call is one connection, so a restart between two of them is no matter."""

    def __init__(self, path: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def get(self, route: str, **query: str) -> dict[str, Any]:
        """Return the reply's JSON object, or raise what the engine said."""
        return self._ask("GET", f"{route}?{urlencode(query)}" if query else route, None)

    def post(self, verb: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Ask for one command; a refusal is raised, with the engine's exit code and words."""
        given = {key: value for key, value in body.items() if value is not None}
        return self._ask("POST", f"/v1/{verb}", json.dumps(given).encode())

    def _ask(self, method: str, target: str, body: bytes | None) -> dict[str, Any]:
        import http.client  # noqa: PLC0415 - ssl and mail come with it, and often nobody runs

        connection = http.client.HTTPConnection(HOST)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(self._timeout_s)
        try:
            connection.sock.connect(self._path)
            with suppress(BrokenPipeError):  # it may have answered before it heard us out
                connection.request(method, target, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read(REPLY_BYTES_MAX + 1)
            status = response.status
        except TimeoutError:
            said = f"the engine did not answer within {self._timeout_s} s"
            raise HedgeError(f"{said}; {_UNKNOWN}") from None
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(f"no engine answers at {self._path} ({error.strerror})") from None
        except (OSError, http.client.HTTPException) as error:
            raise HedgeError(f"the engine's answer was lost ({error!r}); {_UNKNOWN}") from None
        finally:
            connection.close()
        return _read(status, text)


def _read(status: int, text: bytes) -> dict[str, Any]:
    if len(text) > REPLY_BYTES_MAX:
        raise HedgeError(f"the engine's answer is longer than {REPLY_BYTES_MAX} bytes")
    try:
        reply = json.loads(text)
    except ValueError:
        reply = None
    if not isinstance(reply, dict):
        raise HedgeError(f"the engine's answer is not a JSON object (status {status})")
    if status < HTTPStatus.BAD_REQUEST:
        return reply
    said = str(reply.get("error", f"status {status}"))
    if isinstance(reply.get("preview"), dict):
        raise ConfirmationNeeded(said, reply["preview"], str(reply.get("code", "")))
    raise _BY_EXIT_CODE.get(reply.get("exit_code"), HedgeError)(said)


# -- what is wrong with it -----------------------------------------------------------------------


def worries(hedge: Mapping[str, Any]) -> list[str]:
    """Say why a hedge, as `/v1/status` shows it, is degraded; nothing: it is healthy."""
    found = [str(hedge["absent"])] if hedge.get("absent") else []
    if (trip := hedge.get("trip", "OK")) != "OK":
        reasons = hedge.get("trip_reasons") or {}
        said = "; ".join(f"{reason} {text}".strip() for reason, text in reasons.items())
        found.append(f"trip level {trip}: {said}" if said else f"trip level {trip}")
    for alarm in hedge.get("alarms") or ():
        if not alarm.get("acknowledged"):
            gone = " (settled, not acknowledged)" if alarm.get("settled") else ""
            found.append(f"{alarm.get('level')} {alarm.get('key')}: {alarm.get('text')}{gone}")
    if hedge.get("source") == "journal":
        return found
    missing = [what for what in ("inventory", "position") if hedge.get(what) is None]
    if missing:
        found.append(f"{' and '.join(missing)} not known")
    delta, tolerance = str(hedge.get("delta") or 0), hedge.get("tolerance")
    halted = hedge.get("mode") == "HALT"
    if halted and tolerance is not None and abs(Decimal(delta)) > Decimal(tolerance):
        found.append(f"delta {delta} is beyond the tolerance {tolerance}")
    if hedge.get("phase") != "ended":
        idle = hedge.get("phase") in ("watching", "waiting")
        most = STREAM_IDLE_MS if idle else STREAM_STALE_MS
        for leg in ("spot", "futures"):
            age = hedge.get(f"{leg}_stream_age_ms")
            if age is not None and age > most:
                found.append(f"{leg} stream silent for {age} ms")
    return found
