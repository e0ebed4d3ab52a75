"""What an allowed package was when it was trusted: a hash of its files, beside the configuration.

The lock of ``hedge.toml`` is ``hedge.lock``. It says of each third party which version, and a hash
over its installed files: those that its metadata lists, and whatever else lies in its packages.
Other code at the same version does not load. Editable installs change as they please: they are
not in here, and not for real money.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hedge.config.edit import replace_text
from hedge.config.files import present, read_toml
from hedge.errors import ConfigError
from hedge.plugins.found import Found, canonical
from hedge.plugins.installed import digest_of

SUFFIX = ".lock"
HEAD = "# What each allowed package was when it was trusted; written by `hedge plugins allow`.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One line of the lock."""

    version: str
    digest: str


class Lock:
    """The lock of one configuration file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = _read(path)

    @classmethod
    def of(cls, config: Path) -> "Lock":
        """Return the lock beside a configuration file; raise `ConfigError` for a malformed one."""
        return cls(config.with_suffix(SUFFIX))

    def kept(self, one: Found) -> Kept | None:
        """Return what is locked of this very version, if anything."""
        found = self._kept.get(canonical(one.distribution))
        return found if found is not None and found.version == one.version else None

    def keep(self, one: Found) -> str:
        """Lock a package as it is installed now; return the hash."""
        digest = digest_of(one)
        self._kept[canonical(one.distribution)] = Kept(version=one.version, digest=digest)
        self._write()
        return digest

    def drop(self, distribution: str) -> None:
        """Forget a package."""
        if self._kept.pop(canonical(distribution), None) is not None:
            self._write()

    def _write(self) -> None:
        parts = [
            f"\n[{name}]\nversion = {json.dumps(one.version)}\nhash = {json.dumps(one.digest)}\n"
            for name, one in sorted(self._kept.items())
        ]
        replace_text(self.path, "".join([HEAD, *parts]))


def _read(path: Path) -> dict[str, Kept]:
    if not present(path):
        return {}
    found: dict[str, Kept] = {}
    for name, table in read_toml(path).items():
        stated = table if isinstance(table, Mapping) else {}
        version, digest = stated.get("version"), stated.get("hash")
        if not isinstance(version, str) or not isinstance(digest, str):
            raise ConfigError(f"{path}: [{name}] is no lock of a package; delete the table")
        found[canonical(name)] = Kept(version=version, digest=digest)
    return found
