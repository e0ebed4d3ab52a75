"""Runs seeds of the simulated world on the core that stands first on the path: one JSON line each.

``python probe.py HOME FIRST COUNT STOP_AFTER NAMES`` walks seeds until ``STOP_AFTER`` of them broke
one of the invariants ``NAMES`` (with commas); ``python probe.py HOME SEED,SEED,...`` runs just
those. ``HOME`` is where the core must have come from: a bug in a copy that nobody imports proves
nothing.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulation"))

from episode import run

import hedge


def broken(seed: int) -> str:
    """Return the invariant that a seed broke first, with its words; "" for none."""
    try:
        violations = run(seed).violations
    except Exception as error:  # noqa: BLE001 - a core that falls over is an answer too
        return f"FELL {type(error).__name__}: {error}"
    return violations[0] if violations else ""


def main() -> None:
    home, asked = Path(sys.argv[1]).resolve(), sys.argv[2:]
    came_from = Path(hedge.__file__).resolve()
    assert came_from.is_relative_to(home), f"{came_from} is not below {home}"
    walking = len(asked) > 1
    seeds: Iterable[int] = map(int, asked[0].split(","))
    names: set[str] = set()
    left = sys.maxsize
    if walking:
        first, count, left = map(int, asked[:3])
        seeds, names = range(first, first + count), set(asked[3].split(","))
    for seed in seeds:
        why = broken(seed)
        if why or not walking:
            print(json.dumps([seed, why]), flush=True)
        left -= why.split(" ")[0] in names
        if left <= 0:
            return


if __name__ == "__main__":
    main()
