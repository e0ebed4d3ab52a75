"""The options that several commands share, and the places they lead to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hedge.config.dirs import runtime_dir, state_dir
from hedge.errors import UsageError

ConfigPath = Annotated[
    Path | None, typer.Option("--config", help="The file; else ./hedge.toml, else the user's own.")
]
StateDir = Annotated[
    Path | None, typer.Option("--state-dir", help="Where journals live; else the platform's place.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def places(given: Path | None) -> tuple[Path, Path]:
    """Return the state and the runtime directory; neither is made here."""
    state = state_dir(given, os.environ)
    return state, runtime_dir(state, os.environ)


def one_of(flag: str, value: str, words: tuple[str, ...]) -> str:
    if value and value not in words:
        raise UsageError(f"{flag}: {value!a} is none of {', '.join(words)}")
    return value
