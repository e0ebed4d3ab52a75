"""Writes ``docs/safety-record.md`` from what runs really came to: nothing in it is made up.

``run.py --save`` leaves one file a run in ``results``; ``python record.py`` puts them together, and
with ``--check`` says whether the page is what they say.
"""

import json
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attribution import CAUSES
from failed_seeds import FAILED, FAILED_SINCE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results"
PAGE = ROOT / "docs" / "safety-record.md"
CANARIES = HERE.parent / "canaries"

HEAD = """# The record of safety

<!-- Written by tests/simulation/record.py from tests/simulation/results; do not edit. -->

What the simulated worlds were put through, and what came of it. Each line is a run that was made,
at the commit it names; a `+` behind a commit means that the tree had changes of its own. What has
no line here was not run.
"""
DEATHS = (
    "A story buys at most two slices since b9d460b, and three before: fewer places, the same kinds."
)
KILLED = (
    "The installed program, its files on a disk, its venue in another process; SIGKILL, and the"
    " same line again. A stop is SIGSTOP and then SIGCONT."
)


def commit() -> str:
    """Return the commit of the tree, with a ``+`` when it has changes; "unknown" outside git."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        dirty = git("status", "--porcelain", "--untracked-files=no", "--", "core", "tests")
        return git("rev-parse", "--short", "HEAD") + ("+" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def save(name: str, result: dict[str, Any], at: str, results: Path) -> Path:
    """Keep the result of a run that began at commit ``at`` as a small file of its own."""
    results.mkdir(exist_ok=True)
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    whole = {"commit": at, "ended": ended, **result}
    path = results / f"{name}-{at.replace('+', 'x')}.json"
    path.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
    return path


def save_seeds(total: Any, at: str, *, calm: bool, results: Path = RESULTS) -> Path:
    from many import middle, quantiles, shares

    result = {
        "kind": "calm" if calm else "swarm",
        "edition": total.edition,
        "first": total.first,
        "seeds": total.seeds,
        "judged": total.judged,
        "failed": [[seed, why] for seed, why in total.failed],
        "median_events": middle(total.events),
        "median_orders": middle(total.orders),
        "median_crashes": middle(total.crashes),
        "crashes": sum(total.crashes),
        "fired": dict(total.fired),
        "unhedged": quantiles(total.spans),
        "shares": shares(total.spans),
        "seconds": round(total.seconds),
    }
    name = f"{result['kind']}-{total.edition}-{total.first}-{total.seeds}"
    return save(name, result, at, results)


def save_crashes(found: Any, at: str, *, first: int, again: bool, results: Path = RESULTS) -> Path:
    result = {
        "kind": "deaths twice" if again else "deaths",
        "first": first,
        "bases": found.bases,
        "points": found.points,
        "tried": dict(found.tried),
        "judged": found.judged,
        "failed": [[repr(case), why] for case, why in found.failed],
        "seconds": round(found.seconds),
    }
    name = f"{result['kind'].replace(' ', '-')}-{first}-{found.bases}"
    return save(name, result, at, results)


def save_kills(found: Any, at: str, *, first: int, seconds: float, results: Path = RESULTS) -> Path:
    result = {
        "kind": "kills",
        "first": first,
        "kills": found.killed,
        "lives": found.lives,
        "harms": dict(found.harms),
        "failed": [[seed, why] for seed, why in sorted(found.failed)],
        "seconds": round(seconds),
    }
    return save(f"kills-{first}-{found.kills}", result, at, results)


def read(results: Path = RESULTS) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]


def _table(head: str, rows: Iterable[str]) -> list[str]:
    columns = head.count("|") + 1
    return ["", f"| {head} |", "|" + " --- |" * columns, *(f"| {row} |" for row in rows)]


def _seeds(runs: list[dict[str, Any]]) -> list[str]:
    if not runs:
        return ["", "No run of seeds is recorded."]
    rows = []
    for run in runs:
        u = run["unhedged"]
        rows.append(
            f"{run['commit']} | {run['kind']} | {run['edition']}:{run['first']} |"
            f" {run['seeds']:,} | {len(run['failed'])} | {run['judged']:,} |"
            f" {run['median_events']} / {run['median_orders']} / {run['median_crashes']} |"
            f" {u['p50']} / {u['p99']} / {u['max']}"
        )
    faulty = sum(run["seeds"] for run in runs if run["kind"] == "swarm")
    failed = sum(len(run["failed"]) for run in runs if run["kind"] == "swarm")
    lines = [
        "",
        f"In all {faulty:,} runs of a seed with faults, {failed} of which failed.",
        *_table(
            "commit | world | from | seeds | failed | histories judged |"
            " median events / orders / crashes | unhedged s, p50 / p99 / max",
            rows,
        ),
    ]
    if not failed and faulty:
        bound = f"{3 / faulty:.1e} (95 %), for worlds like these."
        lines += ["", f"With no failure in {faulty:,} seeds the rate of failure lies below {bound}"]
    return lines


def _why(runs: list[dict[str, Any]]) -> list[str]:
    if not runs:
        return []
    # Older runs knew fewer causes: what they did not tell apart stands under "other".
    causes = [one for one in CAUSES if any(one in run["shares"] for run in runs)]
    rows = [
        f"{run['commit']} | {run['kind']} | "
        + " | ".join(f"{run['shares'][one]} %" if one in run["shares"] else "" for one in causes)
        for run in runs
    ]
    head = f"commit | world | {' | '.join(causes)}"
    return ["", "## Why it was unhedged", *_table(head, rows)]


def _deaths(runs: list[dict[str, Any]]) -> list[str]:
    if not runs:
        return ["", "No run of deaths is recorded."]
    table = _table(
        "commit | what | bases | deaths there are | tried | failed | histories judged",
        (
            f"{run['commit']} | {run['kind']} | {run['bases']} | {run['points']:,} |"
            f" {sum(run['tried'].values()):,} | {len(run['failed'])} | {run['judged']:,}"
            for run in runs
        ),
    )
    return ["", DEATHS, *table]


def _kills(runs: list[dict[str, Any]]) -> list[str]:
    if not runs:
        return ["", "No run of real kills is recorded."]
    harms = Counter[str]()
    for run in runs:
        harms.update(run["harms"])
    return [
        "",
        KILLED,
        *_table(
            "commit | from seed | lives | kills | failed | minutes",
            (
                f"{run['commit']} | {run['first']} | {run['lives']:,} | {run['kills']:,} |"
                f" {len(run['failed'])} | {run['seconds'] / 60:.0f}"
                for run in runs
            ),
        ),
        *_table(
            "what was done to a life | times",
            (f"{kind} | {times:,}" for kind, times in sorted(harms.items())),
        ),
        *_broken_lives(runs),
    ]


def _broken_lives(runs: list[dict[str, Any]]) -> list[str]:
    broken = [(seed, run["commit"], why) for run in runs for seed, why in run["failed"]]
    return (
        _table(
            "seed of the life | at commit | what broke",
            (f"{seed} | {at} | {why.replace('|', '/')}" for seed, at, why in broken),
        )
        if broken
        else []
    )


def _canaries(folder: Path) -> list[str]:
    catalogue, known = folder / "canaries.toml", folder / "known.toml"
    if not catalogue.exists() or not known.exists():
        return ["", "No search for canaries is recorded."]
    planted = tomllib.loads(catalogue.read_text())
    caught = [one for one in tomllib.loads(known.read_text()).values() if one.get("seeds")]
    count = len(planted.get("canary", planted))
    seen = f"{len(caught)} of them are caught by known seeds"
    return ["", f"{count} bugs are planted, {seen}: see [Canaries](canaries.md)."]


def _findings(runs: list[dict[str, Any]]) -> list[str]:
    """Return what failed, unless the last run that had the same seed in it held.

    A seed of the fixed list runs in each `make test`, which it would fail.
    """
    last: dict[tuple[str, int, int], tuple[str, str]] = {}
    for run in sorted(runs, key=lambda one: one["ended"]):
        seeds = range(run["first"], run["first"] + run["seeds"])
        broke = dict(run["failed"])
        for known in list(last):
            if known[:2] == (run["kind"], run["edition"]) and known[2] in seeds:
                del last[known]
        for seed, why in broke.items():
            last[run["kind"], run["edition"], seed] = (run["commit"], why)
    fixed = {(1, seed) for seed in FAILED} | {(2, seed) for seed in FAILED_SINCE}
    mended = [known for known in last if known[0] == "swarm" and known[1:] in fixed]
    for known in mended:
        del last[known]
    again = f" {len(mended)} that failed since run again, and hold, in each `make test`."
    if not last:
        return ["", f"None.{again if mended else ''}"]
    return _table(
        "seed | at commit | what broke",
        (
            f"{edition}:{seed} | {at} | {why.replace('|', '/')}"
            for (_, edition, seed), (at, why) in sorted(last.items())
        ),
    )


def page(runs: list[dict[str, Any]], canaries: Path = CANARIES) -> str:
    """Return the whole page."""
    runs = sorted(runs, key=lambda run: run["ended"])
    seeds = [run for run in runs if run["kind"] in ("swarm", "calm")]
    deaths = [run for run in runs if run["kind"].startswith("deaths")]
    lines = [
        HEAD.rstrip(),
        "",
        "## Seeds",
        *_seeds(seeds),
        *_why(seeds),
        "",
        "## Deaths at every point",
        *_deaths(deaths),
        "",
        "## Real kills",
        *_kills([run for run in runs if run["kind"] == "kills"]),
        "",
        "## Canaries",
        *_canaries(canaries),
        "",
        "## Open findings",
        *_findings(seeds),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    text = page(read())
    if "--check" in sys.argv[1:]:
        return 0 if PAGE.exists() and PAGE.read_text() == text else 1
    PAGE.write_text(text)
    print(f"{PAGE.relative_to(ROOT)}: {len(read())} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
