"""The wire soak: many lives one after another in one engine process, under every fault there is.

Method: each life has fresh simulators behind the venues' protocols, with all faults switched on at
both, and is judged as the wire tests judge it. The engine of all of them is this process, so what a
life leaves behind, in memory, tasks, threads or file descriptors, is still there after the next
one. The market's time is compressed: an hour of it, while anybody trades, is ten minutes here.

    python tests/wire/soak.py [--minutes 60] [--seed 1] [--keep DIR]

One line a life, then the verdict; exit 1 when a life went wrong, or when something grows.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))

from lives import COMBINATIONS, NAME, Legs, Life, drawn

from hedge.cli.wire import Line, make_plan
from hedge.errors import HedgeError, VenueError
from hedge.plugins.host import load_plugins
from hedge.runtime.app import App
from hedge.runtime.clock import RealClock
from hedge.runtime.logs import Redactor
from hedge.runtime.supervise import put_down
from hedge_sim.dialects.faults import SWITCHES

COMPRESSED = 6
"""So many minutes of soak are one minute of the clock on the wall."""
WARM_UP = 8
"""Lives that a process may grow in, two of each combination: modules, caches and pools are filled.

Undisturbed, a process has its size from the seventh life on; a slope over fewer would be noise.
"""
LIVES_MIN = 16
SLOPE_MAX_KIB = 256
"""Growth of the resident set a life, over the lives after the warm-up: noise stays below it."""
LOOK_S = 0.2
STARTS_MAX = 6
LIFE_S = 400.0


class Size(NamedTuple):
    """What a process has, with nothing running in it."""

    rss_kib: int
    tasks: int
    threads: int
    files: int

    @classmethod
    def now(cls) -> "Size":
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            rss_kib=pages * os.sysconf("SC_PAGE_SIZE") // 1024,
            tasks=len(asyncio.all_tasks()),
            threads=threading.active_count(),
            files=len(list(Path("/proc/self/fd").iterdir())),
        )


def faults_of(seed: int, legs: Legs) -> dict[str, tuple[str, ...]]:
    """Return every fault, for each of the life's servers."""
    rng = random.Random(f"soak-{seed}")
    return {name: tuple(drawn(fault, rng) for fault in SWITCHES) for name in legs.dialects}


async def live(life: Life) -> None:
    """Live one life in this process, restarted as a supervisor would; judge it."""
    plan = make_plan(
        Line(
            names=(NAME,),
            config=life.config,
            state_dir=life.state,
            enter_now=True,
            no_view=True,
        ),
        environ={},
        cwd=life.folder,
    )
    plan.state_dir.mkdir(mode=0o700, exist_ok=True)
    host = load_plugins(sorted(set(life.legs)), venues=plan.resolved.settings.venues)
    code = 4
    with (life.folder / "out.txt").open("w") as out, contextlib.redirect_stdout(out):
        for _ in range(STARTS_MAX):
            try:
                code = await App(plan, host, RealClock(), Redactor(())).run()
            except VenueError as error:
                life.happened.append(f"exit 4: {error}")
                code = error.exit_code
            if code != 4:
                break
    assert code == 0, (life.where, code)


async def looked_after(life: Life) -> None:
    """Live it beside the one who watches it: a person, and the passing of the market's time."""
    living = asyncio.create_task(live(life))
    try:
        async with asyncio.timeout(LIFE_S):
            while not living.done():
                await asyncio.to_thread(life.look)
                await asyncio.wait({living}, timeout=LOOK_S)
    finally:
        await put_down({living})
    living.result()
    await asyncio.to_thread(life.judge)


def slope(values: Sequence[int]) -> float:
    """Return the growth a step, by least squares."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in range(len(values)))
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / spread


async def soak(minutes: float, first_seed: int, folder: Path) -> int:
    """Live until the time is over; return the exit code."""
    loop = asyncio.get_running_loop()
    until = time.monotonic() + minutes * 60 / COMPRESSED
    sizes: list[Size] = []
    wrong: list[str] = []
    struck: set[str] = set()
    seed = first_seed
    while time.monotonic() < until or len(sizes) < LIVES_MIN:
        legs = COMBINATIONS[seed % len(COMBINATIONS)]
        began = time.monotonic()
        life = Life(folder / f"life-{seed}", seed, legs, faults=faults_of(seed, legs))
        try:
            await asyncio.to_thread(life.__enter__)
            await looked_after(life)
            for server in life.servers.values():
                struck |= set(await asyncio.to_thread(server.struck))
        except (AssertionError, TimeoutError, HedgeError) as error:
            wrong.append(f"{error or type(error).__name__} ({life.where})")
        finally:
            await asyncio.to_thread(life.close)
        loop.set_exception_handler(None)
        sizes.append(Size.now())
        print(
            f"life {seed} {legs} {time.monotonic() - began:.0f} s, helped {len(life.helped)} times:"
            f" rss {sizes[-1].rss_kib} KiB, {sizes[-1].tasks} tasks, {sizes[-1].threads} threads,"
            f" {sizes[-1].files} files{'' if not wrong else ', WRONG'}",
            flush=True,
        )
        seed += 1
    return verdict(sizes, wrong, struck)


def verdict(sizes: Sequence[Size], wrong: Sequence[str], struck: set[str]) -> int:
    """Print what came of it; 1 where a life went wrong or something grows."""
    steady = sizes[WARM_UP:]
    grows_kib = slope([size.rss_kib for size in steady])
    tasks = [size.tasks for size in steady]
    files = [size.files for size in steady]
    missed = set(SWITCHES) - struck - {"clock_offset"}
    print(f"{len(sizes)} lives, {len(wrong)} wrong; {len(struck)} kinds of fault struck")
    print(f"rss slope {grows_kib:+.0f} KiB a life (bound {SLOPE_MAX_KIB}), tasks {tasks[0]} to")
    print(f"{tasks[-1]} (most {max(tasks)}), files {files[0]} to {files[-1]} (most {max(files)})")
    for text in wrong:
        print(f"wrong: {text}")
    bad = [
        *(["a life went wrong"] if wrong else []),
        *(["the resident set grows"] if grows_kib > SLOPE_MAX_KIB else []),
        *(["tasks are left behind"] if max(tasks) > tasks[0] else []),
        *(["files are left open"] if max(files) > files[0] else []),
        *([f"never struck: {', '.join(sorted(missed))}"] if missed else []),
    ]
    print("FAILED: " + "; ".join(bad) if bad else "flat")
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Soak the engine over the wire, under all faults.")
    parser.add_argument("--minutes", type=float, default=60, help="of soak; a sixth on the wall")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="leave the lives' directories here")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if given.keep is not None:
            given.keep.mkdir(parents=True, exist_ok=True)
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return asyncio.run(soak(given.minutes, given.seed, folder))


if __name__ == "__main__":
    sys.exit(main())
