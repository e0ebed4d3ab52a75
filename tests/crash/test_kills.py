"""Goal: killed at any moment and started again with the same line, a hedge ends flat, and nothing
was ever doubled, forgotten or sent late.

Method: the installed `hedge run` trades at a venue that lives in a process of its own and is
reached over HTTP; `killer` says at which moments it dies, is stopped, or asked to end. The verdict
is read from the venue's own record. `many_kills.py` does it for hours; a failure names the seed and
the directory that it leaves behind.
"""

import os
from concurrent.futures import Future
from typing import Any

import pytest
from killer import KILLS_A_LIFE, Killer
from lab import Story, told_by

KILLS = 25
FIRST_SEED = int(os.environ.get("HEDGE_KILLS_SEED", "1"))
LIVES_WANTED = -(-KILLS // KILLS_A_LIFE) + 1
"""One more than it takes: a harm may come too late for a life."""
LIVES = [
    Story(f"life {seed}", seed, lambda lab: Killer(lab).live())
    for seed in range(FIRST_SEED, FIRST_SEED + LIVES_WANTED)
]


@told_by(LIVES)
def test_a_life_that_is_killed_ends_flat(told: dict[Story, Future[Any]], story: Story) -> None:
    assert told[story].result()


def test_the_lives_were_killed_often_enough(told: dict[Story, Future[Any]]) -> None:
    """A harm may come too late for a life; the run is worth nothing where that is the rule."""
    lived = [told[story] for story in LIVES if story in told]
    if len(lived) < len(LIVES):
        pytest.skip("only some of the lives were asked for")
    harms = [harm for one in lived for harm in one.result()]
    assert sum(harm.kills for harm in harms) >= KILLS, harms
    kinds = {harm.kind.partition(" for ")[0] for harm in harms}
    assert {"stopped", "asked to end", "streams cut"} <= kinds, harms
