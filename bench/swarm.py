"""How many simulated worlds run a second, and how long the truth is unhedged in them.

Prints one JSON line each for worlds with the full swarm of faults and for worlds without any. A
stretch of unhedged time has a cause at every moment: see `attribution` of the simulation.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "simulation"))

from many import Total, quantiles, run_many, shares

FIRST = 900_001
WORLDS = 400
PROCESSES = min(2, os.cpu_count() or 1)


def spans(total: Total) -> dict[str, Any]:
    """Return p50, p99 and the longest stretch in s, and the causes' shares of all of them in %."""
    return {**quantiles(total.spans), "percent_of_the_time": shares(total.spans)}


def main() -> None:
    """Print the two lines, or end with 1 and the first seed that broke an invariant."""
    for name, calm in (("on", False), ("off", True)):
        total = run_many(FIRST, WORLDS, processes=PROCESSES, calm=calm)
        if total.failed:
            seed, why = total.failed[0]
            raise SystemExit(f"seed {seed}: {why}")
        line = {
            "faults": name,
            "worlds": total.seeds,
            "per_s": total.seeds / total.seconds,
            "processes": PROCESSES,
            "events": sum(total.events),
            **spans(total),
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
