"""Kills lives for hours, many side by side, and keeps what came of it for the record of safety.

Most are lives of the laboratory, killed at its instrumented points. Every tenth is a life over the
protocols of Binance and Bybit, WebSocket included, and every fortieth has the fence and the
settling that nobody configured, and is stopped for a true minute.

    python tests/crash/many_kills.py [--kills 2000] [--from 1] [--at-once 12] [--save]

One line for each life that went wrong, with the directory it leaves behind; exit 1 when there is
one. The record is kept every minute; SIGTERM and SIGINT end the run when those who live have ended.
"""

import argparse
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "wire"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "simulation"))

import record
from killer import Harm, Killer
from lab import SCALED, TRUE, Lab, install
from lives import COMBINATIONS, Life
from test_lives import Killer as WireKiller

MINUTE_EVERY = 40
SAID_EVERY_S = 60.0
PATIENCE_S, LIFE_S = 600.0, 1_500.0
"""A machine that does this for hours does something else besides."""
WIRED = "over the wire of Binance and Bybit"


@dataclass
class Lived:
    """What all lives together came to."""

    kills: int
    """How many are wanted."""
    wire_every: int
    lives: int = 0
    harms: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    killed: int = 0
    stopped: bool = False

    def take(self, harms: list[Harm]) -> None:
        with self.lock:
            self.lives += 1
            self.killed += sum(harm.kills for harm in harms)
            self.harms.update(harm.kind for harm in harms)

    def enough(self) -> bool:
        return self.stopped or self.killed >= self.kills

    def stop(self) -> None:
        """Begin no further life; those that live go on to their end, and all are recorded."""
        self.stopped = True


def over_the_wire(seed: int, folder: Path) -> list[Harm]:
    with Life(folder, seed, COMBINATIONS[seed // 10 % len(COMBINATIONS)]) as life:
        happened = WireKiller(life).live()
    return [Harm(WIRED, one) for one in happened if not one.startswith("exit ")]


def in_the_laboratory(seed: int, folder: Path, installed: Path) -> list[Harm]:
    slow = seed % MINUTE_EVERY == 1
    pace = replace(TRUE if slow else SCALED, patience_s=PATIENCE_S, life_s=LIFE_S)
    with Lab(folder, installed, seed, pace=pace) as lab:
        killer = Killer(lab)
        return killer.live([killer.stopped, killer.arrived] if slow else None)


def live(seed: int, folder: Path, installed: Path, all_lives: Lived) -> None:
    """Live one life; its directory stays only where it went wrong."""
    if all_lives.enough():
        return
    place = folder / f"life-{seed}"
    try:
        if all_lives.wire_every and seed % all_lives.wire_every == 0:
            harms = over_the_wire(seed, place)
        else:
            harms = in_the_laboratory(seed, place, installed)
    except Exception as error:  # noqa: BLE001 - whatever it is, this life went wrong
        why = f"{type(error).__name__}: {error}"
        with all_lives.lock:
            all_lives.lives += 1
            all_lives.failed.append((seed, why.splitlines()[0][:500]))
        (place / "why.txt").write_text(traceback.format_exc())
        print(f"seed {seed}: {why[:1_000]}", flush=True)
        return
    all_lives.take(harms)
    shutil.rmtree(place)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=2_000)
    parser.add_argument("--from", dest="first", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=12)
    parser.add_argument("--wire-every", type=int, default=10, help="0 for none over the wire")
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    at, began = record.commit(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="hedge-kills-"))
    installed = install(folder / "served")
    all_lives = Lived(given.kills, given.wire_every)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: all_lives.stop())

    def keep() -> None:
        if given.save:
            took_s = time.monotonic() - began
            record.save_kills(all_lives, at, first=given.first, seconds=took_s)

    print(f"{given.kills} kills from seed {given.first} at {at}, in {folder}", flush=True)
    with ThreadPoolExecutor(given.at_once) as pool:
        done = [
            pool.submit(live, seed, folder, installed, all_lives)
            for seed in range(given.first, given.first + given.kills)
        ]
        said = began
        while not all(one.done() for one in done):
            time.sleep(1)
            if time.monotonic() >= said + SAID_EVERY_S:
                said = time.monotonic()
                print(summary(all_lives, said - began), flush=True)
                keep()
    took_s = time.monotonic() - began
    print(summary(all_lives, took_s))
    for kind, count in all_lives.harms.most_common():
        print(f"  {count:5} {kind}")
    keep()
    if not all_lives.failed:
        shutil.rmtree(folder)
    return 1 if all_lives.failed or not all_lives.enough() else 0


def summary(all_lives: Lived, took_s: float) -> str:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        f"{all_lives.killed} kills in {all_lives.lives} lives, {len(all_lives.failed)} went wrong;"
        f" {took_s:.0f} s, {60 * all_lives.killed / took_s:.0f} a minute,"
        f" {used.ru_utime + used.ru_stime:.0f} s of the processors"
    )


if __name__ == "__main__":
    sys.exit(main())
