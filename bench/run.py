"""Prints one JSON line for each measurement; a measurement that cannot run says why.

Absolute figures belong to the machine they were taken on; the ratios are what is compared.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "core"), str(ROOT / "plugins")]

from bench import stream  # noqa: E402 - the paths above come first, so that no install is needed
from hedge.decide.engine import Engine  # noqa: E402 - as said
from hedge.decide.events import AnyEvent, QuoteSeen  # noqa: E402 - as said
from hedge.decide.mode import Mode  # noqa: E402 - as said
from hedge.decide.rows import AnyEntry, belongs  # noqa: E402 - as said
from hedge.journal import JournalLog  # noqa: E402 - as said

EVENTS = 40_000
ROUNDS = 5
STARTS = 15
MIN_BUILT = Decimal("0.99")
"""How much of the inventory of the recorded build must be hedged at its end."""
DEMO_TIMEOUT_S = 300
REACTION_TIMEOUT_S = 600
HEDGE = Path(sys.executable).parent / "hedge"


def say(bench: str, value: float | None, unit: str, n: int, **more: Any) -> None:
    """Print one line; ``value`` None goes with a ``skipped`` reason."""
    line = {
        "bench": bench,
        "value": None if value is None else round(value, 3),
        "unit": unit,
        "n": n,
        **more,
        "commit": COMMIT,
        "machine": f"{os.cpu_count()} cores, python {platform.python_version()}",
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def commit() -> str:
    """Return the commit that is measured, with ``+`` when the tree differs from it."""

    def git(*words: str) -> str:
        asked = subprocess.run(  # noqa: S603 - fixed words
            ["git", *words],  # noqa: S607 - the developer's git
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + (
        "+" if git("status", "--porcelain", "core", "plugins") else ""
    )


COMMIT = commit()


# -- the core ------------------------------------------------------------------------------------


def timed(events: list[AnyEvent], before: list[AnyEvent] | None = None) -> float:
    """Return the CPU seconds a fresh engine takes for ``events``, told ``before`` first."""
    engine = Engine(stream.terms())
    for event in before or ():
        engine.handle(event)
    handle = engine.handle
    began = time.process_time()
    for event in events:
        handle(event)
    return time.process_time() - began


def engine_benches() -> list[AnyEntry]:
    """Measure the core on a recorded build; return the entries that it would journal."""
    recorder = stream.Recorder()
    events = recorder.record(EVENTS)
    built = recorder.engine
    # A blocked engine would be fast too: the stream must be a build that goes on, hedged.
    assert not built.books.trips, built.books.trips
    assert built.books.mode is Mode.INVENTORY, built.books.mode
    assert -built.position > MIN_BUILT * built.inventory > 0, (built.inventory, built.position)
    best = min(timed(events) for _ in range(ROUNDS))
    say(
        "engine_handle_events_per_s",
        len(events) / best,
        "events/s",
        len(events),
        mix_percent=stream.mix(events),
        rounds=ROUNDS,
        note="a real build: decisions and commands included, one core, CPU time, best round",
    )
    quotes = [event for event in events if isinstance(event, QuoteSeen)]
    cut = next(i for i in range(EVENTS // 2, EVENTS) if isinstance(events[i], QuoteSeen))
    beside = Engine(stream.terms())
    for event in events[:cut]:
        beside.handle(event)
    assert beside.books.spot.open, "no order rests"
    run: list[AnyEvent] = []
    for event in events[cut:]:
        if not isinstance(event, QuoteSeen):
            break
        run.append(event)
    repeated = run * (20_000 // len(run))
    best = min(timed(repeated, events[:cut]) for _ in range(ROUNDS))
    say(
        "engine_handle_quote_ns",
        best / len(repeated) * 1e9,
        "ns",
        len(repeated),
        note=f"beside a resting order; {len(quotes)} of {len(events)} facts are quotes",
    )
    entries: list[AnyEntry] = []
    engine = Engine(stream.terms())
    for event in events:
        commands = engine.handle(event)
        if engine.touched and belongs(event):
            entries.append(event)
        entries.extend(command for command in commands if belongs(command))
    return entries


def journal_bench(entries: list[AnyEntry]) -> None:
    """Measure one append of one row to a real file, without a sync (safety R3)."""
    took = []
    with tempfile.TemporaryDirectory(prefix="hedge-bench-") as folder:
        log = JournalLog.open(Path(folder), hedge="bench", at=stream.START)
        for entry in entries[:5_000]:
            began = time.perf_counter_ns()
            log.append(stream.START, (entry,))
            took.append(time.perf_counter_ns() - began)
        log.close()
    took.sort()
    say(
        "journal_append_us",
        statistics.median(took) / 1_000,
        "us",
        len(took),
        p99_us=round(took[len(took) * 99 // 100] / 1_000, 1),
        note="encode, chain, one write(2); p50",
    )


# -- processes -----------------------------------------------------------------------------------


def demo_bench() -> None:
    """Run the demo in a child: its events per second and its peak memory."""
    if find_spec("hedge.runtime.demo") is None:
        for name, unit in (("demo_events_per_s", "events/s"), ("peak_memory_mb", "MB")):
            say(name, None, unit, 0, skipped="hedge.runtime.demo is not there")
        return
    path = os.pathsep.join(sys.path[:3])
    child = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, str(ROOT / "bench" / "demo_child.py")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEMO_TIMEOUT_S,
    )
    if child.returncode:
        why = (child.stderr.strip().splitlines() or ["no word"])[-1]
        say("demo_events_per_s", None, "events/s", 0, skipped=why)
        say("peak_memory_mb", None, "MB", 0, skipped=why)
        return
    told = json.loads(child.stdout)
    assert told["exit_code"] == 0, told
    say(
        "demo_events_per_s",
        told["events"] / told["seconds"],
        "events/s",
        told["events"],
        seconds=round(told["seconds"], 2),
        note="the whole program: simulated venue, journal on disk, report",
    )
    say("peak_memory_mb", told["peak_mb"], "MB", 1, note="ru_maxrss of the demo's process")


def wall(words: list[str], env: dict[str, str], codes: tuple[int, ...], proof: bytes) -> float:
    """Return the wall seconds of one command; a failure is fast, and must not count as speed."""
    began = time.perf_counter()
    done = subprocess.run(words, env=env, capture_output=True, check=False)  # noqa: S603 - words of our own
    took = time.perf_counter() - began
    assert done.returncode in codes and proof in done.stdout, (words, done.returncode, done.stderr)
    return took


def start_benches() -> None:
    """Compare starts with ``import typer``, interleaved in the same run."""
    if not HEDGE.exists():
        for name in ("help_ratio", "status_ratio"):
            say(name, None, "x import typer", 0, skipped=f"no {HEDGE.name} beside the interpreter")
        return
    with tempfile.TemporaryDirectory(prefix="hedge-bench-") as folder:
        env = {**os.environ, "HOME": folder, "XDG_STATE_HOME": folder, "XDG_CONFIG_HOME": folder}
        state = Path(folder) / "state"
        demo = [str(HEDGE), "demo", "--fast", "--json", "--state-dir", str(state)]
        wall(demo, env, (0,), b"hedge.demo/1")
        status = [str(HEDGE), "status", "--json", "--state-dir", str(state)]
        # 10 is "not running": the answer then comes from the demo's journal, the slower way.
        cases: dict[str, tuple[list[str], tuple[int, ...], bytes]] = {
            "typer": ([sys.executable, "-c", "import typer"], (0,), b""),
            "help": ([str(HEDGE), "--help"], (0,), b"Usage: hedge"),
            "status": (status, (0, 10), b'"demo"'),
        }
        took: dict[str, list[float]] = {name: [] for name in cases}
        for turn in range(STARTS + 2):
            for name, (words, codes, proof) in cases.items():
                seconds = wall(words, env, codes, proof)
                if turn >= 2:  # noqa: PLR2004 - two turns warm the page cache
                    took[name].append(seconds)
    notes = {
        "help": "a prepared table: typer itself is not imported",
        "status": "from the journal of a finished demo; no engine runs",
    }
    floor = statistics.median(took["typer"])
    for name in ("help", "status"):
        middle = statistics.median(took[name])
        say(
            f"{name}_ratio",
            middle / floor,
            "x import typer",
            STARTS,
            ms=round(middle * 1_000, 1),
            floor_ms=round(floor * 1_000, 1),
            note=notes[name],
        )


# -- reaction ------------------------------------------------------------------------------------


def of_child(words: list[str]) -> list[dict[str, Any]]:
    """Return the JSON lines that one of our own scripts prints; raise with its last word."""
    child = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=REACTION_TIMEOUT_S,
    )  # fmt: skip
    if child.returncode:
        raise RuntimeError((child.stderr.strip().splitlines() or ["no word"])[-1])
    return [json.loads(line) for line in child.stdout.splitlines()]


def reaction_bench() -> None:
    """Measure a spot fill on one venue's socket to the hedge on the other's, beside the peers."""
    missing = [name for name in ("binance", "pybit", "ccxt", "picows") if not find_spec(name)]
    if missing:
        say("reaction", None, "us", 0, skipped=f"not installed: {', '.join(missing)}")
        return
    words = ["-m", "bench.reaction", *(["--short"] if "--short" in sys.argv[1:] else [])]
    try:
        told = {line["case"]: line for line in of_child(words)}
        ticker = of_child([str(ROOT / "bench" / "reaction" / "ticker.py")])[0]
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        say("reaction", None, "us", 0, skipped=str(error)[:300])
        return
    for name, line in told.items():
        rounded = {k: round(v, 2) for k, v in line.items() if k not in ("case", "n", "p50_us")}
        say(f"reaction_{name}_us", line["p50_us"], "us", line["n"], **rounded)
    for way in ("to_bybit", "to_binance"):
        ours, floor = told[f"ours_{way}"], told[f"floor_{way}"]
        peers = {
            f"{peer}_times_slower": round(told[peer]["p50_us"] / ours["p50_us"], 2)
            for peer in ("sdks", "ccxt")
        }
        say(
            f"reaction_{way}_ratio",
            ours["p50_us"] / floor["p50_us"],
            "x floor",
            ours["n"],
            p99_ratio=round(ours["p99_us"] / floor["p99_us"], 2),
            burst_ratio=round(ours["burst_us"] / floor["burst_us"], 2),
            **peers,
            note="spot fill written by the venue to order read by the venue, one clock; p50",
        )
    say(
        "book_ticker_us",
        ticker["us"],
        "us",
        ticker["n"],
        median_us=round(ticker["median_us"], 2),
        core_at_5000_per_s=round(ticker["core_at_5000_per_s"], 3),
        note="CPU time of one message, socket to the core's state, twenty a write; best round",
    )


# -- the simulated worlds ------------------------------------------------------------------------


def swarm_bench() -> None:
    """Measure scenarios a second, and the unhedged time with the faults on and off."""
    try:
        told = of_child([str(ROOT / "bench" / "swarm.py")])
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        say("scenarios_per_s", None, "1/s", 0, skipped=str(error)[:300])
        return
    for line in told:
        faults = line["faults"]
        say(
            f"scenarios_per_s_faults_{faults}",
            line["per_s"],
            "1/s",
            line["worlds"],
            processes=line["processes"],
            events=line["events"],
            note="the core, its journal and recovery on virtual time, invariants after every event",
        )
        say(
            f"unhedged_p50_s_faults_{faults}",
            line["p50"],
            "s",
            line["spans"],
            p99_s=line["p99"],
            max_s=line["max"],
            percent_of_the_time=line["percent_of_the_time"],
            note="virtual seconds for which the venues' truth was unhedged at a stretch, by cause",
        )


def main() -> None:
    entries = engine_benches()
    rest: list[Callable[[], None]] = [demo_bench, start_benches, swarm_bench, reaction_bench]
    journal_bench(entries)
    for measure in rest:
        measure()


if __name__ == "__main__":
    main()
