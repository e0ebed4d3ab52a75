"""What is installed, by metadata alone, and whether it may load: nothing of it runs here."""

import importlib.metadata
import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from hedge.errors import ConfigError

GROUP = "hedge"
BUNDLE = "hedge-engine"
EXTRAS = {"binance": "binance", "bybit": "pybit", "ccxt": "ccxt"}
"""Venues that come with an extra of ours -> the package that the extra brings.

Missing means not installed, never unknown.
"""
NOTIFIER_EXTRAS = {"apprise": "apprise", "slack": "slack_sdk", "telegram": "telegram"}
"""Notifiers that do, likewise."""
ALLOWED = re.compile(r"(?P<name>[^=@\s]+)\s*==\s*(?P<version>[^=@\s]+)(\s*@\s*(?P<path>/.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One entry point, as its distribution's metadata states it; nothing of it has run."""

    name: str
    value: str
    distribution: str
    version: str
    editable: str = ""
    """The folder of an editable install: its code can change under its version (unpinned)."""

    @property
    def bundled(self) -> bool:
        return canonical(self.distribution) == BUNDLE

    @property
    def provider(self) -> str:
        return f"{self.distribution} {self.version}"

    @property
    def allow_line(self) -> str:
        """Return what ``[plugins] allow`` must say for this very version to load."""
        path = f" @ {self.editable}" if self.editable else ""
        return f"{self.distribution}=={self.version}{path}"

    def allowed(self, allow: Iterable[str]) -> bool:
        """Say whether it may load: ours always, others by name, version and editable folder."""
        wanted = (canonical(self.distribution), self.version, self.editable)
        return self.bundled or wanted in map(parse_allow, allow)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_allow(line: str) -> tuple[str, str, str]:
    """Read ``name==version`` or, for an editable install, ``name==version @ /folder``."""
    found = ALLOWED.fullmatch(line.strip())
    if found is None:
        raise ConfigError(f"plugins.allow: {line!a} is not name==version")
    return canonical(found["name"]), found["version"], (found["path"] or "").rstrip("/")


def discover(path: Sequence[str] | None = None) -> tuple[Found, ...]:
    """Read the entry points of group ``hedge`` without importing anything."""
    all_of_them = importlib.metadata.distributions
    found: dict[tuple[str, str], Found] = {}
    for distribution in all_of_them() if path is None else all_of_them(path=list(path)):
        points = [point for point in distribution.entry_points if point.group == GROUP]
        if not points:
            continue
        name, version = str(distribution.metadata["Name"]), distribution.version
        folder = _editable(distribution.read_text("direct_url.json"))
        for point in points:
            key = (point.name, canonical(name))  # the first on the path is the one Python imports
            found.setdefault(
                key,
                Found(
                    name=point.name,
                    value=point.value,
                    distribution=name,
                    version=version,
                    editable=folder,
                ),
            )
    return tuple(sorted(found.values(), key=lambda one: (one.name, one.distribution)))


def _editable(text: str | None) -> str:
    try:
        direct = json.loads(text or "{}")
        if not direct.get("dir_info", {}).get("editable"):
            return ""
        return unquote(urlsplit(direct["url"]).path).rstrip("/")
    except (ValueError, KeyError, AttributeError):
        return ""


def absent(one: Found) -> str:
    """Return the package that a bundled plugin needs and that is not there, or ""; no import."""
    package = (EXTRAS | NOTIFIER_EXTRAS).get(one.name, "") if one.bundled else ""
    return package if package and not _importable(package) else ""


def _importable(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # in sys.modules without a spec
        return False


def install_line(extra: str) -> str:
    """Return the line that adds an extra of ours to this very installation.

    With this interpreter's own pip, and a checkout by its folder: where we are not installed yet,
    the name is looked up on an index, and whoever answers to it there need not be us.
    """
    try:
        folder = _editable(importlib.metadata.distribution(BUNDLE).read_text("direct_url.json"))
    except importlib.metadata.PackageNotFoundError:
        folder = ""
    what = shlex.quote(f"{folder or BUNDLE}[{extra}]")
    return f"{shlex.quote(sys.executable)} -m pip install {'-e ' if folder else ''}{what}"
