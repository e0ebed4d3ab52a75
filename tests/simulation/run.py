"""``python tests/simulation/run.py --seeds 10000 --from 1``, ``--seed N``, ``--shrink N``."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from episode import run_many, shrink, trace
from swarm import Plan


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--calm", action="store_true", help="no faults at all")
    parser.add_argument("--seed", type=int, help="tell the story of one seed")
    parser.add_argument("--shrink", type=int, help="tell it with as few faults as still break it")
    asked = parser.parse_args()
    if asked.shrink is not None:
        gone, _ = shrink(asked.shrink)
        print(trace(asked.shrink, without=gone))
        print("needed:", ", ".join(sorted(Plan(asked.shrink, without=gone).on)) or "no fault")
        return 0
    if asked.seed is not None:
        print(trace(asked.seed, calm=asked.calm))
        return 0
    total = run_many(asked.first, asked.seeds, processes=asked.processes, calm=asked.calm)
    for seed, why in total.failed[:40]:
        print(f"seed {seed}: {why}")
    print(total.summary())
    if not asked.calm:
        print(total.rates())
    print("; ".join(f"{n} x {what}" for what, n in total.outcomes.most_common(12)))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
