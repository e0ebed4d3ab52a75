"""Goal: the simulated world notices every planted bug, so its silence on the real core means much.

Method: each diff is applied to a copy of the core, and the seeds that a search found are run on the
copy in a process of their own: one of the invariants named must break. On the core as it is none
of them may break anything.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from catalogue import Canary, canaries, known, stale
from planting import ROOT, Stale, copy_core, hunks, plant
from search import invariant, probe

PLANTED, KNOWN = canaries(), known()


def on_a_copy(canary: Canary, directory: Path) -> list[tuple[int, str]]:
    """Run the known seeds on a copy of the core with the bug; return what each of them broke."""
    core = copy_core(directory)
    plant(canary.diff, directory)
    return list(probe(core, ",".join(map(str, KNOWN[canary.name].seeds))))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future]]:
    """Start every canary, two at a time: most of a run is another interpreter's start."""
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(on_a_copy, canary, tmp_path_factory.mktemp(name))
            for name, canary in PLANTED.items()
            if name in KNOWN
        }


def test_there_are_as_many_as_were_promised():
    assert len(PLANTED) >= 20


def test_diffs_catalogue_known_seeds_and_page_fit_together():
    assert not stale()


@pytest.mark.parametrize("name", PLANTED)
def test_it_is_caught(name: str, runs: dict[str, Future]):
    canary = PLANTED[name]
    assert name in runs, (
        f"{name} has no known seed: python tests/canaries/search.py --canary {name}"
    )
    seeds = KNOWN[name].seeds
    broke = runs[name].result()
    assert any(invariant(why) in canary.caught_by for _, why in broke), (
        f"{name} survives its known seeds {seeds}: {broke}."
        f" python tests/canaries/search.py --canary {name} looks for others"
    )


def test_the_core_as_it_is_survives_the_same_seeds():
    seeds = sorted({seed for one in KNOWN.values() for seed in one.seeds})
    half = len(seeds) // 2
    parts = [",".join(map(str, part)) for part in (seeds[:half], seeds[half:])]
    with ThreadPoolExecutor(2) as pool:
        broke = [list(one) for one in pool.map(lambda part: probe(ROOT / "core", part), parts)]
    assert not [why for part in broke for _, why in part if why]
    assert sum(map(len, broke)) == len(seeds)


def test_a_diff_whose_place_is_gone_is_refused(tmp_path: Path):
    diff = PLANTED["drop_the_fence"].diff
    copy_core(tmp_path)
    plant(diff, tmp_path)
    with pytest.raises(Stale, match="0 times"):
        plant(diff, tmp_path)


def test_a_place_that_stands_twice_is_refused(tmp_path: Path):
    diff = PLANTED["drop_the_fence"].diff
    copy_core(tmp_path)
    place = next(hunks(diff))
    source = tmp_path / place.path
    source.write_text(source.read_text() + place.before)
    with pytest.raises(Stale, match="2 times"):
        plant(diff, tmp_path)


def test_the_planted_lines_are_those_of_the_diff(tmp_path: Path):
    for canary in PLANTED.values():
        root = tmp_path / canary.name
        copy_core(root)
        plant(canary.diff, root)
        for place in hunks(canary.diff):
            text = (root / place.path).read_text()
            assert place.after in text, f"{canary.name}: {place.path}"
            compile(text, place.path, "exec")


def test_the_probe_notices_that_another_core_was_imported(tmp_path: Path):
    with pytest.raises(RuntimeError, match="ended with 1"):
        list(probe(tmp_path, "1"))
