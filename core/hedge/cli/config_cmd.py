"""``hedge config``: every value with its source, the places of the files, the schema."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from hedge.cli.options import ConfigPath, Json, StateDir, places
from hedge.cli.output import print_json, say, table_lines

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="The configuration.")


@app.command()
def show(
    names: Annotated[list[str] | None, typer.Argument(help="Only these hedges.")] = None,
    add: Annotated[str | None, typer.Option("--add", help="As `hedge run --add`.")] = None,
    as_json: Json = False,
    config: ConfigPath = None,
) -> None:
    """Show each value and where it came from; secrets are masked."""
    from hedge.config import resolve
    from hedge.config.layers import Flags

    flags = Flags(names=tuple(names or ()))
    resolved = resolve(environ=os.environ, cwd=Path.cwd(), config_path=config, flags=flags, add=add)
    others = {f"hedges.{name}." for name in resolved.settings.hedges if name not in (names or ())}
    rows = [
        row
        for row in resolved.rows()
        if not names or not any(row[0].startswith(table) for table in others)
    ]
    for warning in resolved.warnings:
        say(f"warning: {warning}")
    if as_json:
        data = [{"name": name, "value": value, "source": source} for name, value, source in rows]
        print_json("hedge.config/1", data)
        return
    for line in table_lines([(name, _text(value), source) for name, value, source in rows]):
        print(line)


@app.command()
def path(as_json: Json = False, config: ConfigPath = None, state_dir: StateDir = None) -> None:
    """Show which file is read, and where state and sockets live."""
    from hedge.config.resolver import find_config

    state, runtime = places(state_dir)
    file = find_config(config, os.environ, Path.cwd())
    data = {"config": str(file or ""), "state": str(state), "runtime": str(runtime)}
    if as_json:
        print_json("hedge.config.path/1", data)
        return
    for line in table_lines([(name, value or "(none)") for name, value in data.items()]):
        print(line)


@app.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of hedge.toml."""
    from hedge.config.resolver import schema

    print(json.dumps(schema(), indent=2))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
