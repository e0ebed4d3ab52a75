"""``hedge run``: from the line, the files and the plugins to one checked plan for the runtime."""

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

from hedge.cli.options import ConfigPath, StateDir, one_of


def run(
    names: Annotated[list[str] | None, typer.Argument(help="Hedges; else all enabled.")] = None,
    *,
    config: ConfigPath = None,
    state_dir: StateDir = None,
    spot: Annotated[str, typer.Option("--spot", help="venue[:sub][@account]")] = "",
    futures: Annotated[str, typer.Option("--futures", help="venue[:sub][@account]")] = "",
    symbol: Annotated[str, typer.Option("--symbol", help="As in BTC/USDT.")] = "",
    usd: Annotated[str, typer.Option("--usd", help="The target, in quote.")] = "",
    action: Annotated[
        str, typer.Option("--action", help="default, single, scale or liquidation.")
    ] = "",
    add: Annotated[
        list[str] | None, typer.Option("--add", help="JSON laid over the hedge, above all else.")
    ] = None,
    adopt: Annotated[str, typer.Option("--adopt", help="Coins already held to take over.")] = "",
    enter: Annotated[
        str, typer.Option("--enter", help="now: build whatever funding pays at present.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Simulated fills only.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Trade with real money.")] = False,
    testnet: Annotated[bool, typer.Option("--testnet", help="The venues' test networks.")] = False,
    request_id: Annotated[
        str, typer.Option("--request-id", help="Makes a repeated line the same request.")
    ] = "",
    again: Annotated[bool, typer.Option("--again", help="Once more, after its run ended.")] = False,
    record: Annotated[
        Path | None, typer.Option("--record", help="Keep everything received, in DIR.")
    ] = None,
    no_view: Annotated[bool, typer.Option("--no-view", help="No live panel.")] = False,
    log: Annotated[str, typer.Option("--log", help="json: NDJSON on stdout.")] = "",
    sim_reset: Annotated[
        bool, typer.Option("--sim-reset", help="Forget the simulated venue's own record.")
    ] = False,
) -> int:
    """Run hedges: recover, act, watch funding, unwind. Without a file, from the flags alone.

    A live venue needs --live, or a confirmed preview on a terminal.
    """
    from hedge.cli import streams
    from hedge.cli.wire import Line, make_plan

    streams.forgive()  # a hedge is looked after whether or not anybody can read of it
    line = Line(
        names=tuple(names or ()),
        config=config,
        state_dir=state_dir,
        spot=spot,
        futures=futures,
        symbol=symbol,
        usd=usd,
        action=action,
        add=tuple(add or ()),
        adopt=adopt,
        enter_now=one_of("--enter", enter, ("now",)) == "now",
        dry_run=dry_run,
        live=live,
        testnet=testnet,
        request_id=request_id,
        again=again,
        record=record,
        no_view=no_view,
        log_json=one_of("--log", log, ("json", "plain")) == "json",
        sim_reset=sim_reset,
    )
    plan = make_plan(line)
    engine: Any = importlib.import_module("hedge.runtime.app")
    return int(engine.run(plan))
