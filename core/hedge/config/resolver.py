"""From all the sources to one checked configuration that knows where each value came from."""

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from hedge.config.add import parse_add, spread_add
from hedge.config.files import is_secret, leaves, present, read_toml
from hedge.config.layers import Flags, Layers, within
from hedge.config.settings import HedgeSettings, Settings
from hedge.config.values import shown
from hedge.errors import ConfigError, HedgeError, UsageError
from hedge.model.numbers import plain

FILE = "hedge.toml"
PROBLEMS_MAX = 20
OFF = ("false", "0", "no", "off", "n", "f")
MASK = "**********"
NO_FLAGS = Flags()
KEY_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The configuration as it counts; ``sources`` has every value that is no default."""

    settings: Settings
    names: tuple[str, ...]
    """The hedges that were meant: the named ones, else the anonymous one, else all enabled."""
    sources: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    config_path: Path | None = None
    place: Path = Path(FILE)
    """The configuration file, or where one would be looked for first: locks lie beside it."""

    def source(self, dotted: str) -> str:
        """Return where a value came from."""
        return self.sources.get(dotted, "default")

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Yield every value as (dotted name, value to show, source); secrets are masked."""
        for path, value in leaves(self.settings.model_dump()):
            dotted = ".".join(path)
            if is_secret(path):
                if value is not None:
                    yield dotted, MASK, self.source(dotted)
            elif value != {}:
                yield dotted, _plain(value), self.source(dotted)

    def hedge_sources(self, name: str) -> dict[str, str]:
        """Return the sources of one hedge's values, by their names within it."""
        table = f"hedges.{name}."
        return {
            dotted.removeprefix(table): source
            for dotted, source in self.sources.items()
            if dotted.startswith(table)
        }


def resolve(
    *,
    environ: Mapping[str, str],
    cwd: Path,
    config_path: Path | None = None,
    flags: Flags = NO_FLAGS,
    add: str | None = None,
) -> Resolved:
    """Read and check everything; the same inputs give the same result.

    The command line's own mistakes are a `UsageError` (exit 2), all others a `ConfigError` (3),
    one line a problem.
    """
    path = find_config(config_path, environ, cwd)
    layers = Layers()
    anonymous = flags.anonymous
    known = (anonymous,) if anonymous else ()
    if path is not None:
        layers.lay(read_toml(path), str(path))
    _lay_secret_files(layers, environ, path.parent if path else cwd)
    if present(cwd / ".env") and (cwd / ".env").is_file():
        layers.lay_dotenv(cwd / ".env", known)
    layers.lay_environ(environ, known)
    hedges = layers.tree.get("hedges", {})
    names = _meant(flags, anonymous, hedges if isinstance(hedges, dict) else {})
    _lay_flags(layers, flags, names)
    if add is not None:
        layers.lay({"hedges": spread_add(parse_add(add), names)}, "--add")
    try:
        settings = Settings.model_validate(layers.tree)
    except ValidationError as error:
        raise explain_errors(error, Settings, layers.sources) from None
    except RecursionError:
        raise ConfigError("the configuration is nested too deeply") from None
    return Resolved(
        settings=settings,
        names=names,
        sources=dict(layers.sources),
        warnings=tuple(layers.warnings),
        config_path=path,
        place=path or cwd / FILE,
    )


def find_config(given: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Return the file: the given one, else ``./hedge.toml``, else the user's own, else none."""
    if given is not None:
        return cwd / given
    home = environ.get("XDG_CONFIG_HOME") or (
        f"{environ['HOME']}/.config" if environ.get("HOME") else ""
    )
    places = [cwd / FILE, *([Path(home) / "hedge" / FILE] if home.startswith("/") else [])]
    return next((place for place in places if present(place)), None)


def _lay_secret_files(layers: Layers, environ: Mapping[str, str], beside: Path) -> None:
    named = environ.get("HEDGE_SECRETS_DIR")
    folder = Path(named) if named else beside / "secrets"
    if named or (present(folder) and folder.is_dir()):
        layers.lay_secrets(folder, private=True)
    if environ.get("CREDENTIALS_DIRECTORY"):
        layers.lay_secrets(Path(environ["CREDENTIALS_DIRECTORY"]), private=False)


def _meant(flags: Flags, anonymous: str, hedges: Mapping[str, Any]) -> tuple[str, ...]:
    if anonymous:
        return (anonymous,)
    for name in flags.names:
        if name not in hedges:
            near = difflib.get_close_matches(name, hedges, 1, 0.5)
            hint = f'; nearest: "{near[0]}"' if near else ""
            raise UsageError(f"no hedge {shown(name)} in the configuration{hint}")
    if flags.names:
        return tuple(dict.fromkeys(flags.names))
    return tuple(name for name, keys in hedges.items() if _enabled(keys))


def _enabled(keys: Any) -> bool:
    value = keys.get("enabled", True) if isinstance(keys, Mapping) else True
    return str(value).strip().lower() not in OFF


def _lay_flags(layers: Layers, flags: Flags, names: Sequence[str]) -> None:
    given = {
        key: value
        for key in ("spot", "futures", "symbol", "usd", "action")
        if (value := getattr(flags, key))
    }
    for key, value in given.items():
        if len(names) > 1 and key != "action":
            raise UsageError(f"--{key}: {len(names)} hedges, so name the one that is meant")
        if not names:
            raise UsageError(f"--{key}: there is no hedge to set it for; see `hedge init`")
        for name in names:
            layers.lay({"hedges": {name: {key: value}}}, f"--{key}")
    if flags.testnet:
        for name in names:
            keys = layers.tree["hedges"][name]
            for leg in ("spot", "futures"):
                venue = str(keys.get(leg, "")).partition("@")[0]
                if venue:
                    layers.lay({"venues": {venue: {"environment": "testnet"}}}, "--testnet")


def explain_errors(
    error: ValidationError, model: type[BaseModel], sources: Mapping[str, str], prefix: str = ""
) -> HedgeError:
    """Turn what pydantic found into one line a problem, and the blame into the exit code."""
    lines: list[str] = []
    blames: list[bool] = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = tuple(str(part) for part in problem["loc"] if part != "[key]")
        text = problem["msg"].removeprefix("Value error, ").replace("\n", " ")
        where = ".".join((*((prefix,) if prefix else ()), *path))
        if problem["type"] == "extra_forbidden":
            lines.append(unknown_key(path[-1], keys_at(model, path[:-1]), where.rpartition(".")[0]))
        elif problem["type"] == "missing":
            lines.append(f"{where}: missing")
        else:
            lines.append(f"{where}: {text}" if where else text)
        table = where or text.partition(": ")[0]
        blamed = [name for name in sources if within(name, table)]
        if not blamed:
            blamed = [name for name in sources if within(name, table.rpartition(".")[0])]
        blames.append(any(sources[name].startswith("--") for name in blamed))
    if len(lines) > PROBLEMS_MAX:
        lines[PROBLEMS_MAX:] = [f"and {len(lines) - PROBLEMS_MAX} more problems"]
    kind = UsageError if all(blames) else ConfigError
    return kind("\n".join(dict.fromkeys(lines)))


def unknown_key(key: str, valid: Sequence[str], table: str) -> str:
    """Return the line for a key nobody knows, with the nearest that somebody does."""
    near = difflib.get_close_matches(key.lower(), valid, 1, 0.4)
    hint = f'; nearest: "{near[0]}"' if near else ""
    name = key if key.isascii() and key.isprintable() and len(key) <= KEY_MAX else shown(key)
    return f'unknown key "{name}"{f" in {table}" if table else ""}{hint}'


def keys_at(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the keys that the table at ``path`` may have."""
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(part)
            here = field.annotation if field else None
        else:
            here = (typing.get_args(here) or (None,))[-1]
        if typing.get_origin(here) is typing.Annotated:
            here = typing.get_args(here)[0]
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _plain(value: Any) -> Any:
    match value:
        case None:
            return ""
        case bool() | int():
            return value
        case Decimal():
            return plain(value)
        case SecretStr():
            return MASK
        case tuple() | list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return str(value)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(),
        "title": FILE,
    }


__all__ = ["Flags", "HedgeSettings", "Resolved", "explain_errors", "resolve", "schema"]
