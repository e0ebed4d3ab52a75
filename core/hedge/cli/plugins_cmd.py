"""``hedge plugins``: what is installed and what of it may load, from metadata alone."""

import os
from collections import Counter
from pathlib import Path

import typer

from hedge.cli.options import ConfigPath, Json
from hedge.cli.output import print_json, table_lines

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
