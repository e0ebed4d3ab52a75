"""``hedge demo``: a scripted carry on the simulated venues, without a key and without a network."""

import importlib
from typing import Annotated

import typer

from hedge.cli.options import Json, StateDir

SEED = 7


def demo(
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, another run.")] = SEED,
    fast: Annotated[bool, typer.Option("--fast", help="No pauses for the reader.")] = False,
    as_json: Json = False,
    state_dir: StateDir = None,
) -> int:
    """Build a hedge, collect funding, lose the line, recover, unwind: on recorded prices.

    Every figure is modelled, from recorded prices and funding. The report at the end adds up.
    """
    run_demo = importlib.import_module("hedge.runtime.demo").run_demo
    return int(run_demo(seed=seed, fast=fast, as_json=as_json, state_dir=state_dir))
