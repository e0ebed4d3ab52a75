"""Changes to a configuration file that a person wrote: comments, order and mode stay."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hedge.config.files import read_text, read_toml
from hedge.errors import ConfigError


def allowed_in(path: Path) -> tuple[str, ...]:
    """Return ``[plugins] allow`` as this one file has it."""
    table = read_toml(path).get("plugins", {})
    lines = table.get("allow", []) if isinstance(table, dict) else None
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ConfigError(f"{path}: plugins.allow is no list of texts")
    return tuple(lines)


def change_allowed(path: Path, *, drop: Sequence[str], add: Sequence[str]) -> None:
    """Take lines out of ``[plugins] allow`` and put others in; `ConfigError` if it cannot be."""
    import tomlkit  # noqa: PLC0415 - nothing else writes into a file of the user's
    from tomlkit.items import Array  # noqa: PLC0415 - as said

    allowed_in(path)
    document: Any = tomlkit.parse(read_text(path)[0])
    if "plugins" not in document:
        document["plugins"] = tomlkit.table()
    table = document["plugins"]
    if "allow" not in table:
        table["allow"] = tomlkit.array()
    lines = table["allow"]
    assert isinstance(lines, Array)
    for line in drop:
        lines.remove(line)
    for line in add:
        lines.append(line)
    replace_text(path, tomlkit.dumps(document))


def replace_text(path: Path, text: str) -> None:
    """Write a whole file at once: mode as it was, 0600 for a new one; `ConfigError` if not."""
    target = path.resolve()
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
