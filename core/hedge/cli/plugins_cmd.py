"""``hedge plugins``: what is installed, what of it may load, and how to begin one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hedge.cli.options import ConfigPath, Json
from hedge.cli.output import print_json, say, table_lines
from hedge.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from hedge.config.resolver import Resolved
    from hedge.plugins.found import Found
    from hedge.plugins.host import PluginHost
    from hedge.plugins.roll import Standing

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Plugins.")
Name = Annotated[str, typer.Argument(help="A plugin, or the package that offers it.")]


@app.callback()
def plugins() -> None:
    """Look at plugins, trust them, write them; nothing that is not allowed ever runs."""


@app.command("list")
def list_plugins(as_json: Json = False, config: ConfigPath = None) -> None:
    """List what is installed or allowed: provider, and whether it loads."""
    rows, _ = _roll(_resolve(config), load=lambda one: not one.bundled)
    if as_json:
        print_json("hedge.plugins/1", [_row(row) for row in rows])
        return
    _print_table(rows)


@app.command("info")
def info(name: Name, as_json: Json = False, config: ConfigPath = None) -> None:
    """Show one plugin: package, hash, roles, and its venues where it may load."""
    rows, host = _roll(_resolve(config), load=lambda one: _means(one, name))
    chosen = [row for row in rows if row.found is not None and _means(row.found, name)]
    if not chosen:
        raise PluginError(f"no plugin {name!a} is installed; see hedge plugins list")
    documents = [_document(row, host) for row in chosen]
    if as_json:
        print_json("hedge.plugin/1", documents)
        return
    for number, document in enumerate(documents):
        print("\n" * (number > 0) + "\n".join(_lines(document)))


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(help="One plugin or package; else all.")] = "",
    *,
    as_json: Json = False,
    config: ConfigPath = None,
) -> int:
    """Load whatever may load, and say what does not work; exit 9 when something does not."""
    rows, _ = _roll(_resolve(config), load=lambda one: not name or _means(one, name))
    if name:
        rows = [row for row in rows if name in (row.name, row.distribution)]
        if not rows:
            raise PluginError(f"no plugin {name!a} is installed; see hedge plugins list")
    if as_json:
        print_json("hedge.plugins/1", [_row(row) for row in rows])
    else:
        _print_table(rows)
    return PluginError.exit_code if any(_fails(row, named=bool(name)) for row in rows) else 0


@app.command("allow")
def allow_plugin(name: Name, config: ConfigPath = None) -> None:
    """Trust a package at its version: show it, name it in the configuration, lock its files."""
    from hedge.cli import plugins_trust
    from hedge.plugins import discover

    resolved, found = _resolve(config), discover()
    path = _file(resolved)
    offered = plugins_trust.of_third_party(name, found)
    digest = plugins_trust.allow(path, offered, found)
    for document in (_facts(one) for one in offered):
        print("\n".join(_lines(document)))
    say(f'"{offered[0].allow_line}" is in [plugins] allow of {path}')
    if digest:
        say(f"its files are locked in {path.with_suffix('.lock')}")
    else:
        say("editable: unpinned, so it is refused with --live")
    say("it runs with all the rights of hedge; there is no sandbox")
    _warn_overridden(resolved, path)


@app.command("block")
def block_plugin(name: Name, config: ConfigPath = None) -> None:
    """Trust a package no longer: take its line and its lock away."""
    from hedge.cli import plugins_trust
    from hedge.plugins import discover
    from hedge.plugins.found import canonical

    resolved, found = _resolve(config), discover()
    path = _file(resolved)
    installed = any(_means(one, name) for one in found)
    package = plugins_trust.of_third_party(name, found)[0].distribution if installed else name
    was = plugins_trust.block(path, package)
    say(f"{canonical(package)} {'is no longer' if was else 'was not'} allowed by {path}")
    _warn_overridden(resolved, path)


@app.command("new")
def new_plugin(
    kind: Annotated[str, typer.Argument(help="venue or notifier")],
    name: Annotated[str, typer.Argument(help="A lower-case word: what it is called.")],
) -> None:
    """Write a package to begin with into ./hedge-NAME; nothing is overwritten."""
    from hedge.cli.plugins_new import next_steps, write_package

    folder = Path.cwd()
    for path in write_package(kind, name, folder):
        print(path.relative_to(folder))
    for line in next_steps(kind, name):
        say(line)


def _resolve(config: Path | None) -> "Resolved":
    from hedge.config import resolve

    return resolve(environ=os.environ, cwd=Path.cwd(), config_path=config)


def _file(resolved: "Resolved") -> Path:
    if resolved.config_path is None:
        raise ConfigError("there is no configuration file to write it in; hedge init makes one")
    return resolved.config_path


def _warn_overridden(resolved: "Resolved", path: Path) -> None:
    source = resolved.source("plugins.allow")
    if source not in ("default", str(path)):
        say(f"warning: plugins.allow is set by {source} too, which counts more than the file")


def _roll(resolved: "Resolved", *, load: Any) -> "tuple[list[Standing], PluginHost]":
    from hedge.plugins import discover
    from hedge.plugins.lock import Lock
    from hedge.plugins.roll import call_roll

    allow = resolved.settings.plugins.allow
    return call_roll(discover(), allow, Lock.of(resolved.place), load=load)


def _means(one: "Found", name: str) -> bool:
    from hedge.plugins.found import canonical

    return name == one.name or canonical(name) == canonical(one.distribution)


def _fails(row: "Standing", *, named: bool) -> bool:
    """Say whether a row is a failure: what may load and does not, or what was asked for by name."""
    from hedge.plugins.roll import LOADS, State

    harmless = (State.LACKING, State.NOT_ALLOWED)
    return row.state not in LOADS and (named or row.state not in harmless)


def _row(row: "Standing") -> dict[str, str]:
    line = row.found.allow_line if row.found is not None and not row.found.bundled else ""
    return {
        "name": row.name,
        "distribution": row.distribution,
        "version": row.version,
        "state": row.state.value,
        "why": row.why,
        "allow": line,
    }


def _print_table(rows: "list[Standing]") -> None:
    cells = [(row.name or "-", row.distribution, row.version, row.state.value) for row in rows]
    for line in table_lines([("NAME", "PROVIDER", "VERSION", "STATE"), *cells]):
        print(line)
    for row in rows:
        if row.why:
            say(f"{row.name}: {row.why}")


def _document(row: "Standing", host: "PluginHost") -> dict[str, Any]:
    """Return all that is known of a plugin: metadata, and its venues where it is loaded."""
    assert row.found is not None
    venues = {
        name: {
            "legs": [leg.name.lower() for leg in spec.legs if leg.name],
            "can": [flag.name for flag in spec.can if flag.name],
            "settings": sorted(getattr(spec.settings, "model_fields", {})),
            "summary": spec.summary,
            "secrets": list(spec.secrets),
        }
        for name, spec in host.venues().items()
        if host.owner(name) == row.name
    }
    head = {"name": row.name, "state": row.state.value, "why": row.why}
    return head | _facts(row.found) | ({"venues": venues} if venues else {})


def _facts(one: "Found") -> dict[str, Any]:
    """Return what the metadata and the files say of a plugin, without running it."""
    from hedge.plugins.installed import claimed_hooks, digest_of, installed_files, stated

    pinned = not one.bundled and not one.editable
    return {
        "name": one.name,
        "package": one.provider,
        **stated(one),
        "entry point": f"{one.name} = {one.value}",
        "hooks": [hook.removeprefix("hedge_") for hook in claimed_hooks(one)],
        **({"editable": one.editable} if one.editable else {}),
        **({"files": len(installed_files(one)), "hash": digest_of(one)} if pinned else {}),
        **({} if one.bundled else {"allow": one.allow_line}),
    }


def _lines(document: dict[str, Any]) -> list[str]:
    """Return a document as aligned lines; what is empty is left out."""
    rows = []
    for key, value in document.items():
        if key == "venues":
            rows += [
                (f"venue {name}", ", ".join([*spec["legs"], *spec["can"]]))
                for name, spec in value.items()
            ]
        elif value not in ("", []):
            rows.append((key, ", ".join(value) if isinstance(value, list) else str(value)))
    width = max(len(key) for key, _ in rows)
    return [f"{key:<{width}}  {value}" for key, value in rows]
