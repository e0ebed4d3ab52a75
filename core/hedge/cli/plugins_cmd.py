"""``hedge plugins``: what is installed and what of it may load, from metadata alone."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from hedge.cli.options import ConfigPath, Json
from hedge.cli.output import print_json, say, table_lines

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Plugins.")


@app.callback()
def plugins() -> None:
    """Look at the plugins without running a line of them."""


@app.command("list")
def list_plugins(as_json: Json = False, config: ConfigPath = None) -> None:
    """List what is installed: provider, and whether it may load."""
    from hedge.config import resolve
    from hedge.plugins import discover

    settings = resolve(environ=os.environ, cwd=Path.cwd(), config_path=config).settings
    allow = settings.plugins.allow
    found = discover()
    names = Counter(one.name for one in found if one.allowed(allow))
    rows = []
    for one in found:
        if not one.allowed(allow):
            state = "not allowed"
        elif names[one.name] > 1:
            state = "duplicate"
        elif one.bundled:
            state = "bundled"
        else:
            state = "allowed, unpinned" if one.editable else "allowed"
        rows.append(
            {
                "name": one.name,
                "distribution": one.distribution,
                "version": one.version,
                "state": state,
                "allow": "" if one.bundled else one.allow_line,
            }
        )
    if as_json:
        print_json("hedge.plugins/1", rows)
        return
    for line in table_lines(
        [
            ("NAME", "PROVIDER", "VERSION", "STATE"),
            *((row["name"], row["distribution"], row["version"], row["state"]) for row in rows),
        ]
    ):
        print(line)


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
