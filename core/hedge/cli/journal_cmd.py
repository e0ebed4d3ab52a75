"""``hedge journal``: check, back up, restore and upgrade the record itself."""

import time
from pathlib import Path
from typing import Annotated

import typer

from hedge.cli.options import Json, StateDir, places
from hedge.cli.output import print_json, say_error
from hedge.config.dirs import hedge_dir, known_hedges, prepare_dir
from hedge.errors import JournalError, UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="The record itself.")

Names = Annotated[list[str] | None, typer.Argument(help="Hedges; all that have run when none.")]
Name = Annotated[str, typer.Argument(help="The hedge.")]


@app.command()
def check(names: Names = None, as_json: Json = False, state_dir: StateDir = None) -> int:
    """Read every row and change nothing; exit 12 when one is not sound."""
    from hedge.journal import upkeep

    results = []
    problems: list[str] = []
    for name, folder in _folders(names, state_dir):
        try:
            result = upkeep.check(folder)
        except JournalError as error:
            problems.append(f"{name}: {error}")
            continue
        results.append(result)
        problems += [f"{name}: {problem}" for problem in result.problems]
        if not as_json:
            state = "sound" if not result.problems else "NOT SOUND"
            print(f"{name}: {state}, {result.rows} rows, projection {result.projection}")
    if as_json:
        print_json("hedge.journal.check/1", {"journals": results, "problems": problems})
    for problem in problems:
        say_error(problem)
    return JournalError.exit_code if problems else 0


@app.command()
def backup(
    name: Name,
    target: Annotated[Path, typer.Argument(help="A directory that does not exist yet.")],
    state_dir: StateDir = None,
) -> None:
    """Copy a journal, verified, also while an engine writes it."""
    from hedge.journal import upkeep

    manifest = upkeep.backup(_folder(name, state_dir), target, at=time.time_ns())
    print(f"{name}: {manifest.rows} rows in {target}")


@app.command()
def restore(
    name: Name,
    source: Annotated[Path, typer.Argument(help="A backup, or with --cut a damaged journal.")],
    move_aside: Annotated[
        bool, typer.Option("--move-aside", help="Keep the present journal beside, and replace it.")
    ] = False,
    cut: Annotated[
        bool, typer.Option("--cut", help="Take the sound beginning of a damaged log.")
    ] = False,
    state_dir: StateDir = None,
) -> None:
    """Put a backup in the place of a journal; nothing is deleted."""
    from hedge.config.dirs import NAME
    from hedge.journal import upkeep

    if NAME.fullmatch(name) is None:
        raise UsageError(f"{name!a} is no name of a hedge")
    folder = prepare_dir(places(state_dir)[0] / name)
    done = upkeep.restore(source, folder, at=time.time_ns(), move_aside=move_aside, cut=cut)
    beside = f"; the old one is in {done.moved_aside}" if done.moved_aside else ""
    print(f"{name}: {done.mark.rows} rows restored from {source}{beside}")


@app.command()
def upgrade(names: Names = None, state_dir: StateDir = None) -> None:
    """Bring journals to this program's schema."""
    from hedge.journal import upkeep

    for name, folder in _folders(names, state_dir):
        print(f"{name}: {upkeep.upgrade(folder).text}")


def _folder(name: str, given: Path | None) -> Path:
    return hedge_dir(places(given)[0], name)


def _folders(names: list[str] | None, given: Path | None) -> list[tuple[str, Path]]:
    state, _ = places(given)
    if names:
        return [(name, hedge_dir(state, name)) for name in names]
    found = known_hedges(state)
    if not found:
        raise JournalError(f"no journal in {state}")
    return [(name, state / name) for name in found]
