"""``hedge explain``: why each order was sent."""

from typing import Annotated

import typer

from hedge.cli.options import ConfigPath, Json, StateDir, places


def explain(
    name: Annotated[str, typer.Argument(help="The hedge.")],
    time: Annotated[str, typer.Argument(help="A time, an age such as 2h, or an order id.")],
    *,
    within: Annotated[int, typer.Option(help="Seconds around the time.", min=0)] = 60,
    json: Json = False,
    state_dir: StateDir = None,
    config: ConfigPath = None,
) -> None:
    """Say why each order around a time was sent, and what came of it."""
    from hedge.cli.output import print_json
    from hedge.journal.reader import read_rows
    from hedge.model.numbers import SECOND
    from hedge.report import explain as why
    from hedge.report.find import journal_of

    del config  # the journal says it all
    rows = read_rows(journal_of(places(state_dir)[0], name))
    stories = why.explain(rows, time, within * SECOND)
    if json:
        print_json(why.SCHEMA, {"orders": [why.as_data(story) for story in stories]})
    else:
        print(why.text(stories), end="")
