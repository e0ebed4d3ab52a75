"""The root of the command line as typer sees it: a group that imports one command at a time."""

import importlib
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from hedge.cli.lazy import TABLE, help_text, nearest
from hedge.errors import UsageError

CONTEXT = {"help_option_names": ["-h", "--help"]}


class LazyGroup(TyperGroup):
    """Reads `lazy.TABLE` for its names and its help; imports the one command that is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        return list(TABLE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        return load_command(cmd_name) if cmd_name in TABLE else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        formatter.write_dl([(name, entry.help) for name, entry in TABLE.items()])

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        formatter.write(help_text())

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in TABLE:
            near = nearest(name)
            hint = f"; nearest: {near}" if near else "; see hedge --help"
            raise UsageError(f"no command {name!a}{hint}")
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    """Import one command's file and make it typer's."""
    entry = TABLE[name]
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = None
        found.info.context_settings = dict(CONTEXT)
        command = get_command(found)
        command.name = name
        return command
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, context_settings=dict(CONTEXT))(found)
    return get_command(app)


def root() -> LazyGroup:
    return LazyGroup(name="hedge", rich_markup_mode=None, context_settings=dict(CONTEXT))


def run_line(arguments: Sequence[str]) -> int:
    """Parse and perform one line; typer's complaints become ours, on one line."""
    group = root()
    try:
        with group.make_context("hedge", list(arguments)) as context:
            code = group.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        where = getattr(getattr(error, "ctx", None), "command_path", "hedge")
        text = " ".join(error.format_message().split()).rstrip(".")
        raise UsageError(f"{text}; see {where} --help") from None
    return code if isinstance(code, int) else 0
