"""`hedge status`: the running engine's own picture, else what the journal says, and which it is."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from hedge.cli import view
from hedge.errors import ConfigError, HedgeError, JournalError, NotRunning
from hedge.runtime import client

DEGRADED = 11
WATCH_S = 2
JOURNAL = "journal.log"
SECOND_NS = 1_000_000_000


class Picture(NamedTuple):
    """What one look found; ``idle`` are hedges with a journal and no engine."""

    source: str
    hedges: list[dict[str, Any]]
    engines: list[dict[str, Any]]
    idle: list[str]

    @property
    def exit_code(self) -> int:
        if self.source != "engine":
            return NotRunning.exit_code
        return DEGRADED if any(hedge["degraded"] for hedge in self.hedges) else 0

    def envelope(self) -> dict[str, Any]:
        only = self.engines[0] if len(self.engines) == 1 else {}
        data = {
            "source": self.source,
            "hedges": self.hedges,
            "pid": only.get("pid"),
            "started_at": only.get("started_at"),
            "engines": self.engines,
            "not_running": self.idle,
        }
        at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"schema": "hedge.status/1", "at": at, "data": data}


def status(
    name: Annotated[str | None, typer.Argument(help="The hedge; all of them without it.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help=f"Again every {WATCH_S} s until interrupted.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the exit code.")] = False,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Where the journals are.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A file whose hedges are known names.")
    ] = None,
) -> int:
    """Show what runs: 0 healthy, 10 no engine, 11 degraded."""
    state = client.state_directory(state_dir)
    if name is not None and config is not None:
        _check_name(name, config)
    if watch and not quiet:
        return _watch(lambda: look(name, state), as_json=as_json)
    picture = look(name, state)
    if as_json and not quiet:
        print(json.dumps(picture.envelope()))
    elif not quiet:
        _show(picture, name)
    return picture.exit_code


def look(name: str | None, state: Path) -> Picture:
    """Ask every engine concerned; where none answers, read the journals."""
    running = [
        entry
        for entry in client.entries(client.index_directories(state))
        if name in (None, entry.hedge)
    ]
    hedges: list[dict[str, Any]] = []
    engines: list[dict[str, Any]] = []
    for path in dict.fromkeys(entry.socket for entry in running):
        theirs = [entry for entry in running if entry.socket == path]
        with suppress(NotRunning):
            found, engine = _ask(path, theirs, name, state)
            hedges += found
            engines.append(engine)
    known = _journals(state)
    idle = [one for one in known if one not in {hedge["name"] for hedge in hedges}]
    if engines:
        return Picture("engine", hedges, engines, [] if name else idle)
    wanted = known if name is None else [one for one in known if one == name]
    return Picture("journal", [_from_journal(state / one) for one in wanted], [], wanted)


def _ask(
    path: str, theirs: Sequence[client.Entry], name: str | None, state: Path
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    engine = {
        "pid": theirs[0].pid,
        "started_at": theirs[0].started_at,
        "hedges": [entry.hedge for entry in theirs],
    }
    try:
        query = {} if name is None else {"hedge": name}
        data = client.Client(path).get("/v1/status", **query)["data"]
        hedges, absent = data["hedges"], data.get("absent", {})
    except NotRunning:
        raise
    except (HedgeError, KeyError, TypeError) as error:
        said = f"the engine (pid {theirs[0].pid}) gives no usable answer: {error}"
        hedges = [_from_journal(state / entry.hedge) for entry in theirs]
        for hedge in hedges:
            hedge["degraded"] = [said, *hedge["degraded"]]
        return hedges, engine
    for hedge in hedges:
        hedge["source"] = "engine"
        hedge["degraded"] = client.worries(hedge)
    for absentee, why in absent.items():
        hedges.append(_from_journal(state / absentee, absent=why))
    return hedges, engine


def _journals(state: Path) -> list[str]:
    try:
        return sorted(found.parent.name for found in state.glob(f"*/{JOURNAL}"))
    except OSError as error:
        raise ConfigError(f"cannot read {state}: {error.strerror}") from None


def _check_name(name: str, config: Path) -> None:
    import tomllib

    try:
        hedges = tomllib.loads(config.read_text()).get("hedges", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{config}: {error}") from None
    if isinstance(hedges, dict) and name not in hedges:
        near = client.nearest(name, list(hedges))
        hint = f"; did you mean {near!r}?" if near else ""
        raise ConfigError(f"{config} has no hedge {name!r}{hint}")


# -- printing ------------------------------------------------------------------------------------


def _show(picture: Picture, name: str | None) -> None:
    if picture.source == "journal":
        what = f"no engine runs {name!r}" if name else "no engine is running"
        said = "this is the journal's picture" if picture.hedges else "and there is no journal"
        print(f"{what}; {said}", file=sys.stderr)
    for hedge in picture.hedges:
        if hedge["source"] == "journal" and hedge.get("age_s") is not None:
            print(f"{hedge['name']}: source journal, last row {hedge['age_s']} s ago")
    view.show(picture.hedges)
    for hedge in picture.hedges:
        for line in hedge.get("last_rows", ()):
            print(f"  {line}")
    if picture.source == "engine" and picture.idle:
        print(f"with a journal and not running: {', '.join(picture.idle)}", file=sys.stderr)


def _watch(
    look_again: Callable[[], Picture],
    *,
    as_json: bool,
    pause: Callable[[int], None] = time.sleep,
    turns: int | None = None,
) -> int:
    """Look until interrupted, or until no engine is left; ``turns`` ends it earlier."""
    panel = None
    if not as_json and sys.stdout.isatty():
        from hedge.runtime.panel import Panel

        panel = Panel()
    with suppress(KeyboardInterrupt), panel or nullcontext():
        while turns is None or turns > 0:
            picture = look_again()
            if as_json:
                print(json.dumps(picture.envelope()), flush=True)
            elif panel is None:
                _show(picture, None)
            else:
                panel.update(picture.hedges)
            if picture.source != "engine":
                return picture.exit_code
            turns = turns if turns is None else turns - 1
            pause(WATCH_S)
    return 0


# -- the journal's picture -----------------------------------------------------------------------


def _from_journal(directory: Path, **more: str) -> dict[str, Any]:
    """Return what the journal alone knows, in the shape of a snapshot; the rest is null."""
    hedge: dict[str, Any] = {"name": directory.name, "source": "journal", **more}
    try:
        from hedge.cli.status_journal import picture

        hedge |= picture(directory)
    except JournalError as error:
        hedge["degraded"] = [*client.worries(hedge), str(error)]
        return hedge
    if hedge["at"]:
        hedge["age_s"] = max(0, (time.time_ns() - hedge["at"]) // SECOND_NS)
    hedge["degraded"] = client.worries(hedge)
    return hedge
