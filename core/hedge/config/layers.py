"""Laying the sources of a configuration over each other, lowest first, and knowing what won."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from hedge.config.files import is_secret, nested, read_dotenv, read_secrets
from hedge.config.values import VenueRef, check_symbol, exact, shown
from hedge.errors import ConfigError, UsageError

PREFIX = "HEDGE__"
TARGETS = ("usd", "quantity")
NAME_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The flags of ``run`` and ``plan`` that stand for keys of a hedge."""

    names: Sequence[str] = ()
    spot: str = ""
    futures: str = ""
    symbol: str = ""
    usd: str = ""
    action: str = ""
    testnet: bool = False

    @property
    def anonymous(self) -> str:
        """Return the name of the hedge that the flags alone describe, or nothing."""
        given = {"--spot": self.spot, "--futures": self.futures, "--symbol": self.symbol}
        if self.names or not any(given.values()):
            return ""
        absent = [flag for flag, value in given.items() if not value]
        if absent:
            raise UsageError(
                f"{', '.join(absent)} missing: a hedge without a file needs --spot, --futures,"
                " --symbol and --usd"
            )
        return anonymous_name(self.spot, self.futures, self.symbol)


def anonymous_name(spot: str, futures: str, symbol: str) -> str:
    """Return the name that the same line always has: ``btc-usdt-binance-bybit``."""
    try:
        legs = [VenueRef.parse(text).slug for text in (spot, futures)]
        base, _, quote = check_symbol(symbol).lower().partition("/")
    except ValueError as error:
        raise UsageError(str(error)) from None
    name = "-".join((base, quote, *legs))
    if len(name) > NAME_MAX:
        name = f"{name[: NAME_MAX - 9]}-{sha256(name.encode()).hexdigest()[:8]}"
    return name


@dataclass(slots=True)
class Layers:
    """What has been laid so far: the merged tree, the source of each value, and what to say."""

    tree: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def lay(self, values: Mapping[str, Any], source: str) -> None:
        """Lay a tree over what is there; a target in one unit replaces one in the other."""
        hedges = values.get("hedges")
        if isinstance(hedges, Mapping):
            for name, keys in hedges.items():
                given = [unit for unit in TARGETS if isinstance(keys, Mapping) and unit in keys]
                if len(given) == 1:
                    self._forget(("hedges", name, *(unit for unit in TARGETS if unit not in given)))
        self._merge(self.tree, values, (), source)

    def _merge(
        self, tree: dict[str, Any], values: Mapping[str, Any], path: tuple[str, ...], source: str
    ) -> None:
        for key, value in values.items():
            here = (*path, key)
            if isinstance(value, Mapping) and (value or isinstance(tree.get(key), dict)):
                if not isinstance(tree.get(key), dict):
                    self._unsource(here)
                    tree[key] = {}
                self._merge(tree[key], value, here, source)
                continue
            self._unsource(here)
            tree[key] = value
            self.sources[".".join(here)] = source

    def _unsource(self, path: tuple[str, ...]) -> None:
        dotted = ".".join(path)
        for known in [name for name in self.sources if within(name, dotted)]:
            del self.sources[known]

    def _forget(self, path: tuple[str, ...]) -> None:
        table: Any = self.tree
        for key in path[:-1]:
            table = table.get(key)
            if not isinstance(table, dict):
                return
        table.pop(path[-1], None)
        self._unsource(path)

    def lay_secrets(self, folder: Path, *, private: bool) -> None:
        kind = "secret file" if private else "credential"
        for path, (secret, file) in read_secrets(folder, private=private).items():
            self.lay(nested(path, secret), f"{kind} {file}")

    def lay_dotenv(self, path: Path, names: Sequence[str]) -> None:
        self._lay_variables(read_dotenv(path), f"{path}", names)

    def lay_environ(self, environ: Mapping[str, str], names: Sequence[str]) -> None:
        ours = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
        self._lay_variables(ours, "environment", names)

    def _lay_variables(
        self, variables: Mapping[str, str], source: str, names: Sequence[str]
    ) -> None:
        for variable, value in sorted(variables.items()):
            path = self._path(variable, names)
            if is_secret(path):
                self.warnings.append(
                    f"{variable} ({source}) is a secret: a file of mode 0600 or a systemd"
                    " credential keeps it better"
                )
            self.lay(nested(path, _from_text(variable, value)), f"{source} {variable}")

    def _path(self, variable: str, names: Sequence[str]) -> tuple[str, ...]:
        path = tuple(part.lower() for part in variable.removeprefix(PREFIX).split("__"))
        if not all(path):
            raise ConfigError(f"{shown(variable)}: names no key; as in HEDGE__HEDGES__BTC__USD")
        if len(path) > 1 and path[0] in ("hedges", "accounts", "notifiers", "venues"):
            table = self.tree.get(path[0])
            known = [*(table if isinstance(table, dict) else ()), *names]
            if path[1] not in known:  # a shell's variable cannot hold a dash
                same = [name for name in known if name.replace("-", "_") == path[1]]
                path = (path[0], *(same or path[1:2])[:1], *path[2:])
        return path


def within(dotted: str, table: str) -> bool:
    """Say whether a dotted name is ``table`` itself or lies in it."""
    return not table or dotted == table or dotted.startswith(f"{table}.")


def _from_text(variable: str, value: str) -> Any:
    """Return a variable's value; what looks like JSON must be JSON."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{variable}: not UTF-8") from None
    if value[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value, parse_float=exact)
    except (ValueError, RecursionError):
        raise ConfigError(f"{variable}: looks like JSON and is none") from None
