"""The whole program under seeded faults and crashes; every life is judged by the venue's record.

Goal: whatever the seed draws (lost requests and replies, slow and lying answers, dead streams,
stale reads, bans, deleveragings, crashes), the hedge ends flat, nothing was sent twice, never more
was short than was held, and the accounts add up to the last digit. ``HEDGE_LIVES`` sets how many.
"""

import importlib.util
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

LIVES = int(os.environ.get("HEDGE_LIVES", "60"))
FIRST = int(os.environ.get("HEDGE_LIVES_FROM", "1"))
EACH = 10
FAILED_ONCE = {
    7: "a rest below the futures minimum was left unhedged and the build never ended",
}
"""Seeds that once failed, with what was wrong."""


def lives(seeds):
    """Run some seeds in a process of their own; return (seed, what was wrong, counts)."""
    path = Path(__file__).with_name("fault_world.py")
    spec = importlib.util.spec_from_file_location("fault_world", path)
    world = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(world)
    done = []
    for seed in seeds:
        life = world.live(seed)
        done.append((seed, life.wrong, life.orders, life.lives, sorted(life.drawn["faults"])))
    return done


@pytest.fixture(scope="module")
def all_lives():
    seeds = sorted({*FAILED_ONCE, *range(FIRST, FIRST + LIVES)})
    parts = [seeds[at : at + EACH] for at in range(0, len(seeds), EACH)]
    with ProcessPoolExecutor(2) as pool:
        return [one for part in pool.map(lives, parts) for one in part]


def test_every_life_ends_well(all_lives):
    wrong = {seed: said for seed, said, *_ in all_lives if said}
    assert not wrong, f"seeds that went wrong: {wrong}"


def test_the_lives_were_no_empty_episodes(all_lives):
    orders = sorted(one[2] for one in all_lives)
    crashed = sum(one[3] > 1 for one in all_lives)
    assert orders[len(orders) // 2] >= 20, orders
    assert crashed * 10 >= len(all_lives), "hardly a crash in any life"
    fired = {}
    for one in all_lives:
        for fault in one[4]:
            fired[fault] = fired.get(fault, 0) + 1
    rare = {fault: times for fault, times in fired.items() if times * 50 < len(all_lives)}
    assert not rare, f"faults that were drawn too rarely: {rare}"
