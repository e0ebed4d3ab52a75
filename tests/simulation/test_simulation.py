"""Goal: under every fault of safety.md part 4 the invariants hold against the venues' truth.

Method: seeded worlds around the real engine and the real journal; see `episode`. A failure names
its seed: ``make seed N=...`` makes it small and tells its story. What the worlds did is told at the
end of the test run: worlds in which nothing happens prove nothing.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crash_points import crash_everywhere
from episode import run
from failed_seeds import FAILED, FAILED_SINCE
from many import Total, middle, run_many, unhedged

SEEDS = int(os.environ.get("SEEDS", "600"))
FIRST = int(os.environ.get("FIRST", "1"))
DEATHS = int(os.environ.get("DEATHS", "600"))
"""How many deaths are tried, evenly taken of one at each place; 0: every one of them."""
SECOND_DEATHS = 300
"""How many there are of a second one, in the recovery from the first."""
JUDGE_EVERY = 10
"""Which histories the checker reads here; in a soak it is each fifth."""
BASES = range(1, 21)
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def total(tell: list[str]) -> Total:
    found = run_many(FIRST, SEEDS, processes=2, judge_every=JUDGE_EVERY)
    tell += [found.summary(), found.rates(), unhedged("with faults", found.spans)]
    return found


@pytest.mark.parametrize("seed", sorted(FAILED))
def test_a_seed_of_the_first_edition_that_failed_once(seed: int):
    result = run(seed, edition=1)
    assert not result.violations, f"seed 1:{seed}: {result.violations[0]}"


@pytest.mark.parametrize("seed", sorted(FAILED_SINCE))
def test_a_seed_that_failed_once(seed: int):
    result = run(seed)
    assert not result.violations, f"seed {seed}: {result.violations[0]}"


def test_every_seed_keeps_every_invariant(total: Total):
    assert not total.failed, "\n".join(f"seed {seed}: {why}" for seed, why in total.failed[:20])


def test_every_class_of_fault_strikes(total: Total):
    assert not total.quiet(), f"in fewer than 1 % of {total.seeds} seeds: {total.quiet()}"


def test_the_worlds_are_not_empty(total: Total):
    assert middle(total.orders) >= 20
    assert middle(total.events) >= 200
    assert sum(total.crashes) >= total.seeds
    assert total.judged >= total.seeds // JUDGE_EVERY


def test_the_calm_world(tell: list[str]):
    calm = run_many(1, 60, processes=2, calm=True, judge_every=1)
    tell.append(unhedged("without faults", calm.spans))
    assert not calm.failed, "\n".join(f"seed {seed}: {why}" for seed, why in calm.failed)


def test_a_death_at_every_point(tell: list[str]):
    found = crash_everywhere(BASES, most=DEATHS, in_turn=True)
    tell.append(found.summary())
    assert not found.failed, "\n".join(f"{case}: {why}" for case, why in found.failed[:10])


def test_a_second_death_in_the_recovery(tell: list[str]):
    found = crash_everywhere(BASES, most=min(DEATHS or SECOND_DEATHS, SECOND_DEATHS), again=True)
    tell.append(f"twice: {found.summary()}")
    assert not found.failed, "\n".join(f"{case}: {why}" for case, why in found.failed[:10])


def in_two_processes(code: str, *arguments: str) -> tuple[str, str]:
    """Run python twice, side by side, with another order of hashes; return what both print."""

    def run_with(hashed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {code}",
             str(HERE), *arguments],
            env={**os.environ, "PYTHONHASHSEED": hashed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )  # fmt: skip
        return done.stdout

    with ThreadPoolExecutor(2) as pool:
        once, twice = pool.map(run_with, ("1", "2"))
    return once, twice


def test_the_same_seed_is_the_same_story():
    code = (
        "import json; from episode import run;"
        "print(json.dumps([run(seed).hash for seed in json.loads(sys.argv[2])]))"
    )
    seeds = json.dumps(list(range(1, 101)))
    once, twice = in_two_processes(code, seeds)
    assert once == twice


def test_a_story_is_told_twice_in_the_same_words():
    code = "from run import story; print(story('12345', calm=False, whole=False))"
    once, twice = in_two_processes(code)
    assert once == twice
    assert len(once.splitlines()) > 50
