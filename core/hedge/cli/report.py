"""``hedge report``: where the money came from."""

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from hedge.cli.options import ConfigPath, Json, StateDir, places


class By(enum.StrEnum):
    DAY = "day"


def report(
    name: Annotated[str | None, typer.Argument(help="The hedge; the only one without it.")] = None,
    *,
    since: Annotated[str | None, typer.Option(help="A time, a date, or an age: 7d.")] = None,
    until: Annotated[str | None, typer.Option(help="A time, a date, or an age: 1d.")] = None,
    by: Annotated[By | None, typer.Option(help="Add a table by day.")] = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV with every digit.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a page to this file.")] = None,
    state_dir: StateDir = None,
    config: ConfigPath = None,
) -> None:
    """Attribute profit and loss: funding, basis, slippage, fees, drift, and what is left."""
    from hedge.cli.output import print_json
    from hedge.errors import UsageError
    from hedge.journal.reader import read_rows
    from hedge.report import render
    from hedge.report.attribution import attribute
    from hedge.report.find import journal_of
    from hedge.report.when import parse_when

    del config  # the journal carries its own terms
    if json and csv:
        raise UsageError("--json and --csv exclude each other")
    rows = list(read_rows(journal_of(places(state_dir)[0], name)))
    last = rows[-1].at if rows else 0
    made = attribute(
        rows,
        None if since is None else parse_when(since, last),
        None if until is None else parse_when(until, last),
    )
    if html is not None:
        _write(html, made)
    if json:
        print_json(render.SCHEMA, render.as_data(made))
    elif csv:
        print(render.csv_text(made, by_day=by is By.DAY), end="")
    else:
        print(render.text(made, by_day=by is By.DAY), end="")


def _write(path: Path, made: Any) -> None:
    from hedge.cli.output import say
    from hedge.errors import UsageError, writing
    from hedge.report.page import html

    with writing(f"cannot write {path}", otherwise=UsageError):
        path.write_text(html(made), encoding="utf-8")
    say(f"wrote {path}")
