"""Search for the seeds that show each planted bug, and write what was found.

``python tests/canaries/search.py [--canary NAME] [--seeds N]`` walks seeds from 1 and ends with 1
when a bug survives them all; ``--check`` only says whether diffs, catalogue, known seeds and
``docs/canaries.md`` fit together; ``--page`` writes the page again without searching.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from catalogue import Canary, Known, canaries, known, stale, write  # noqa: E402 - the path first
from planting import ROOT, Stale, copy_core, plant  # noqa: E402 - the path first

KEPT = 2
"""How many seeds are kept of each bug: one is a coincidence that the next change undoes."""


def probe(core: Path, *asked: str) -> Iterator[tuple[int, str]]:
    """Run `probe.py` on the core below ``core``; yield (seed, what it broke, or "")."""
    first = os.pathsep.join(filter(None, (str(core), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        [sys.executable, str(HERE / "probe.py"), str(core), *asked],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": first},
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            seed, why = json.loads(line)
            yield seed, why
    if child.returncode:
        raise RuntimeError(f"the probe of {core} ended with {child.returncode}")


def invariant(why: str) -> str:
    return why.split(" ", maxsplit=1)[0]


def clean(seeds: list[int]) -> set[int]:
    """Return those seeds on which the core as it is breaks nothing."""
    if not seeds:
        return set()
    listed = ",".join(map(str, seeds))
    return {seed for seed, why in probe(ROOT / "core", listed) if not why}


def hunt(canary: Canary, most: int) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """Walk seeds 1..``most``; return the first that show the bug, and what else was broken."""
    shown: list[tuple[int, str]] = []
    others: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as directory:
        core = copy_core(Path(directory))
        plant(canary.diff, Path(directory))
        first = 1
        while len(shown) < KEPT and first <= most:
            hits = []
            left = KEPT - len(shown)
            asked = (str(first), str(most + 1 - first), str(left), ",".join(canary.caught_by))
            first = most + 1
            for seed, why in probe(core, *asked):
                if invariant(why) in canary.caught_by:
                    hits.append((seed, why))
                else:
                    others[invariant(why)] = others.get(invariant(why), 0) + 1
            if len(hits) == left:
                first = hits[-1][0] + 1
            sound = clean([seed for seed, _ in hits])
            shown += [(seed, why) for seed, why in hits if seed in sound]
    return shown, others


def commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def search(names: list[str], most: int) -> int:
    planted, found, at = canaries(), known(), commit()
    survived = []
    asked = [planted[name] for name in names or planted]
    with ThreadPoolExecutor(2) as pool:
        hunts = {pool.submit(hunt, canary, most): canary.name for canary in asked}
        for hunted in as_completed(hunts):
            name = hunts[hunted]
            try:
                shown, others = hunted.result()
            except Stale as error:
                survived.append(name)
                print(f"{name}: STALE: {error}", flush=True)
                continue
            besides = "".join(f", {n} x {kind}" for kind, n in sorted(others.items()))
            if not shown:
                survived.append(name)
                found.pop(name, None)
                print(f"{name}: SURVIVED {most} seeds{besides}", flush=True)
                continue
            seeds = tuple(seed for seed, _ in shown)
            found[name] = Known(invariant(shown[0][1]), seeds, seeds[0], at)
            write({kept: one for kept, one in found.items() if kept in planted})
            print(f"{name}: {seeds}{besides}; {shown[0][1]}", flush=True)
    write({kept: one for kept, one in found.items() if kept in planted})
    return 1 if survived else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canary", action="append", default=[], choices=sorted(canaries()))
    parser.add_argument("--seeds", type=int, default=5_000)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    if asked.page:
        write(known())
        return 0
    if asked.check:
        wrong = stale()
        print("\n".join(wrong) or "all fits together")
        return 1 if wrong else 0
    return search(asked.canary, asked.seeds)


if __name__ == "__main__":
    sys.exit(main())
