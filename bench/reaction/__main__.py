"""``python -m bench.reaction [--short] [--stages] [--cases a,b]``: prints one JSON line a case."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "core"), str(ROOT / "plugins")]

from bench.reaction import rounds  # noqa: E402 - the paths above come first


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.reaction", description=__doc__)
    parser.add_argument("--short", action="store_true", help="500 events a case, not 2,000")
    parser.add_argument("--cases", default="", help=f"of {', '.join(rounds.COURSES)}")
    parser.add_argument("--stages", action="store_true", help="where ours spends its time")
    given = parser.parse_args()
    plan = rounds.SHORT if given.short else rounds.FULL
    if given.stages:
        measured = rounds.stages(plan.events)
    else:
        measured = rounds.measure(plan, wanted=set(filter(None, given.cases.split(","))))
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        lines = asyncio.run(measured)
    else:
        lines = uvloop.run(measured)
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
