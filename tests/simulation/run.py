"""Seeds of the simulated world: many of them, one told as a story, or a story with deaths in it.

``--seeds 10000 --from 1`` runs many; ``--seed N`` tells one, made small first when it fails, and
``--whole`` as it is; ``--crashes 1000`` kills that many base stories at every point, ``--again``
twice. ``--save`` leaves what came of it beside `record`. A seed is a number, or ``1:17`` for number
17 of the first edition.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import record
from crash_points import crash_everywhere
from episode import attempt, trace
from many import run_many, unhedged
from shrinking import shrink
from swarm import EDITION, parse_seed


def story(text: str, *, calm: bool, whole: bool) -> str:
    """Return the story of one seed; that of a failing one with as few faults as still break it."""
    edition, seed = parse_seed(text)
    chosen = {"edition": edition, "calm": calm}
    if whole or not attempt(seed, **chosen).violations:
        return trace(seed, **chosen)
    small = shrink(seed, **chosen)
    told = trace(seed, without=small.without, spared=small.spared, **chosen)
    return f"{told}\nshrunk in {small.runs} runs; needed: {small.needed}"


def seeds(asked: argparse.Namespace) -> bool:
    """Run many seeds and say what they came to; return whether all of them held."""
    edition, first = parse_seed(asked.first)
    options = {"edition": edition, "calm": asked.calm, "judge_every": asked.judge}
    total = run_many(first, asked.seeds, processes=asked.processes, **options)
    for seed, why in total.failed[:40]:
        print(f"seed {edition}:{seed}: {why}")
    print(total.summary())
    if not asked.calm:
        print(total.rates())
    print(unhedged("without faults" if asked.calm else "with faults", total.spans))
    print("; ".join(f"{n} x {what}" for what, n in total.outcomes.most_common(12)))
    if asked.save:
        print(f"saved as {record.save_seeds(total, asked.at, calm=asked.calm)}")
    return not total.failed


def deaths(asked: argparse.Namespace) -> bool:
    """Kill base stories at every point; return whether all of them came back well."""
    _, first = parse_seed(asked.first)
    bases = range(first, first + asked.crashes)
    found = crash_everywhere(bases, most=asked.most, again=asked.again, processes=asked.processes)
    for case, why in found.failed[:40]:
        print(f"{case}: {why}")
    print(found.summary())
    if asked.save:
        print(f"saved as {record.save_crashes(found, asked.at, first=first, again=asked.again)}")
    return not found.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", default=f"{EDITION}:1", dest="first")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--calm", action="store_true", help="no faults at all")
    parser.add_argument("--judge", type=int, default=5, help="check the history of each n-th seed")
    parser.add_argument("--seed", help="tell the story of one seed")
    parser.add_argument("--whole", action="store_true", help="with all its faults, if it fails too")
    parser.add_argument("--crashes", type=int, help="so many bases, killed at every point")
    parser.add_argument("--most", type=int, default=0, help="at most so many deaths")
    parser.add_argument("--again", action="store_true", help="and a second time in the recovery")
    parser.add_argument("--save", action="store_true", help="keep the result for the record")
    asked = parser.parse_args()
    asked.at = record.commit()  # before the run: the tree may move on while it lasts
    if asked.seed is not None:
        print(story(asked.seed, calm=asked.calm, whole=asked.whole))
        return 0
    held = deaths(asked) if asked.crashes is not None else seeds(asked)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
