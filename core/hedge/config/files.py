"""The files a configuration comes from: who may read and write them, and what stands in them."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hedge.config.settings import ACCOUNT_SECRETS, NOTIFIER_SECRETS
from hedge.config.values import exact, shown
from hedge.errors import ConfigError

BYTES_MAX = 1_048_576
SECRET_WORDS = re.compile(r"(secret|password|passphrase|token|api_?key|private_?key)", re.ASCII)
LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][^\s=]*)\s*=\s*(?P<value>.*)")


def is_secret(path: tuple[str, ...]) -> bool:
    """Say whether a key holds something that nobody else may read."""
    match path:
        case ("accounts", _, name):
            return name in ACCOUNT_SECRETS
        case ("notifiers", _, name):
            return name in NOTIFIER_SECRETS
        case ("venues", _, *rest) | ("notifiers", _, "options", *rest):
            return any(SECRET_WORDS.search(name) for name in rest)
        case _:
            return False


def leaves(
    tree: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value of a tree with its path; an empty table is a value too."""
    for key, value in tree.items():
        here = (*path, key)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, here)
        else:
            yield here, value


def present(path: Path) -> bool:
    """Say whether a path exists; where we may not look, that is an error and no "no"."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return True


def read_text(path: Path) -> tuple[str, int]:
    """Read a text file and its mode, from one open file; others must not be able to write it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > BYTES_MAX:
        raise ConfigError(f"{path}: larger than {BYTES_MAX} bytes")
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode):
        if mode & 0o022:
            raise ConfigError(f"{path}: others can write it (mode {mode:04o}); chmod go-w {path}")
        if status.st_uid not in (0, os.geteuid()):
            raise ConfigError(f"{path}: belongs to another user (uid {status.st_uid})")
    try:
        return data.decode(), mode
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start})") from None


def check_private(path: Path, mode: int, secret: str) -> None:
    if mode & 0o077:
        raise ConfigError(
            f"{path}: holds a secret ({secret}) and others can read it (mode {mode:04o});"
            f" chmod 600 {path}"
        )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; its numbers stay exact."""
    text, mode = read_text(path)
    try:
        tree = tomllib.loads(text, parse_float=exact)
    except ValueError as error:
        end = f"at line {len(text.splitlines())}, the last"
        said = str(error).replace("at end of document", end)
        raise ConfigError(f"{path}: malformed TOML: {said}") from None
    except RecursionError:
        raise ConfigError(f"{path}: malformed TOML: nested too deeply") from None
    for where, _ in leaves(tree):
        if is_secret(where):
            check_private(path, mode, ".".join(where))
    return tree


def read_dotenv(path: Path) -> dict[str, str]:
    """Read the ``HEDGE__`` lines of a ``.env`` file; nothing in them is expanded."""
    text, mode = read_text(path)
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if "HEDGE__" not in line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"{path}: line {number} is not NAME=value")
        name, value = match["name"], match["value"]
        if name.startswith("HEDGE__"):
            found[name] = _unquote(value, path, number)
            where = tuple(part.lower() for part in name.split("__")[1:])
            if is_secret(where):
                check_private(path, mode, ".".join(where))
    return found


def read_secrets(folder: Path, *, private: bool) -> dict[tuple[str, ...], tuple[str, Path]]:
    """Read a folder of files named ``accounts__carry__api_key``: path -> (secret, file).

    ``private``: the files are ours and must be 0600. systemd guards its credentials itself, and
    they may lie among others that are not for us.
    """
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}") from None
    found: dict[tuple[str, ...], tuple[str, Path]] = {}
    for file in files:
        where = tuple(file.name.split("__"))
        if not is_secret(where) and not private:
            continue
        if where[0] not in ("accounts", "notifiers", "venues") or not where[2:]:
            raise ConfigError(f"{file}: no secret has this name; as in accounts__carry__api_key")
        text, mode = read_text(file)
        if private:
            check_private(file, mode, ".".join(where))
        secret = text.strip("\r\n")
        if not secret:
            raise ConfigError(f"{file}: empty")
        found[where] = (secret, file)
    return found


def _unquote(text: str, path: Path, number: int) -> str:
    text = text.strip()
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        if end < 0 or text[end + 1 :].strip()[:1] not in ("", "#"):
            raise ConfigError(f"{path}: line {number}: the quotes do not close")
        return text[1:end]
    return text.partition(" #")[0].rstrip()


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return ``{a: {b: value}}`` for the path (a, b)."""
    for key in reversed(path):
        value = {key: value}
    if not isinstance(value, dict):
        raise ConfigError(f"no key: {shown(value)}")
    return value
